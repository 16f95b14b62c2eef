// SPDX-License-Identifier: GPL-2.0-only
/* Opening a device, through its group or its character device, and closing it again. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kernel.h>

#include <libvfio/deadline.h>
#include <libvfio/sysfs.h>
#include <libvfio/vfio_pci_device.h>

#include "vfio_group.h"
#include "vfio_pci_bar.h"

#define RESET_RETRY_MS 1000

static int container_setup(struct vfio_pci_device *device)
{
	int ret = vfio_group_get(device->iommu, device->bdf, &device->group);

	if (ret)
		return ret;

	device->fd = vf_token_get_device(device->group->fd, device->bdf, device->vf_token);
	return device->fd < 0 ? device->fd : 0;
}

static int iommufd_setup(struct vfio_pci_device *device)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = device->iommu->ioas_id,
	};
	char path[PATH_MAX];
	int ret;

	ret = sysfs_vfio_cdev(device->bdf, path, sizeof(path));
	if (ret)
		return ret;

	device->fd = open(path, O_RDWR | O_CLOEXEC);
	if (device->fd < 0)
		return -errno;

	ret = vf_token_bind(device->fd, device->iommu->iommufd, device->vf_token);
	if (ret)
		return ret;

	return ioctl(device->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) ? -errno : 0;
}

static int query_device(struct vfio_pci_device *device)
{
	device->info.argsz = sizeof(device->info);
	if (ioctl(device->fd, VFIO_DEVICE_GET_INFO, &device->info))
		return -errno;

	device->config_space.argsz = sizeof(device->config_space);
	device->config_space.index = VFIO_PCI_CONFIG_REGION_INDEX;
	if (ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, &device->config_space))
		return -errno;

	for (u32 index = 0; index < ARRAY_SIZE(device->irq_info); index++) {
		device->irq_info[index].argsz = sizeof(device->irq_info[index]);
		device->irq_info[index].index = index;
		if (ioctl(device->fd, VFIO_DEVICE_GET_IRQ_INFO, &device->irq_info[index]))
			return -errno;
	}

	return 0;
}

/* Undoes whatever part of the initialization took place, in reverse order. */
static void device_close(struct vfio_pci_device *device)
{
	vfio_pci_bars_unmap(device);

	for (int *fd = &device->irq_eventfds[0][0]; fd < (int *)(&device->irq_eventfds + 1); fd++) {
		if (*fd >= 0)
			close(*fd);
	}

	if (device->fd >= 0)
		close(device->fd);
	if (device->group)
		vfio_group_put(device->group);
	free(device);
}

static struct vfio_pci_device *device_alloc(const char *bdf, struct iommu *iommu)
{
	struct vfio_pci_device *device = calloc(1, sizeof(*device));

	VFIO_ASSERT_NOT_NULL(device);
	snprintf(device->bdf, sizeof(device->bdf), "%s", bdf);
	device->iommu = iommu;
	device->fd = -1;
	/* All bits of -1 are set. */
	memset(device->irq_eventfds, 0xff, sizeof(device->irq_eventfds));

	return device;
}

int __vfio_pci_device_init_token(const char *bdf, struct iommu *iommu,
				 const struct vf_token *token, struct vfio_pci_device **result)
{
	struct vfio_pci_device *device = device_alloc(bdf, iommu);
	int ret;

	device->vf_token = token;

	ret = iommu->mode->container_path ? container_setup(device) : iommufd_setup(device);
	if (!ret)
		ret = query_device(device);
	if (!ret)
		ret = vfio_pci_bars_map(device);
	/* Tests of the device alone need no driver. */
	if (!ret && __vfio_pci_driver_probe(device) == -EEXIST)
		ret = -EEXIST;
	if (ret) {
		device_close(device);
		return ret;
	}

	*result = device;
	return 0;
}

int __vfio_pci_device_init(const char *bdf, struct iommu *iommu, struct vfio_pci_device **result)
{
	return __vfio_pci_device_init_token(bdf, iommu, NULL, result);
}

/* What a person can do about a device that does not open. */
static void explain(const char *bdf, int error, char *text, size_t size)
{
	char sibling[PCI_BDF_SIZE], driver[NAME_MAX];

	*text = '\0';
	if (!sysfs_group_intruder(bdf, sibling, driver, sizeof(driver)))
		snprintf(text, size, " (%s of its IOMMU group is bound to %s)", sibling, driver);
	else if (error == -EBUSY)
		snprintf(text, size, " (is it, or its IOMMU group, open somewhere else?)");
	else if (error == -EPERM)
		snprintf(text, size, " (is interrupt remapping off?)");
}

struct vfio_pci_device *vfio_pci_device_init(const char *bdf, struct iommu *iommu)
{
	struct vfio_pci_device *device = NULL;
	int ret = __vfio_pci_device_init(bdf, iommu, &device);
	char reason[NAME_MAX + 64] = "";

	if (ret)
		explain(bdf, ret, reason, sizeof(reason));
	VFIO_ASSERT_EQ(ret, 0, "cannot open %s in IOMMU mode %s: %s%s", bdf, iommu->mode->name,
		       strerror(-ret), reason);
	return device;
}

void vfio_pci_device_cleanup(struct vfio_pci_device *device)
{
	if (device->driver.initialized)
		vfio_pci_driver_remove(device);

	/* A case that failed half-way has not called vfio_pci_driver_stop(). */
	if (device->driver.region.vaddr)
		__iommu_unmap(device->iommu, &device->driver.region, NULL);

	device_close(device);
}

int __vfio_pci_device_reset(struct vfio_pci_device *device)
{
	return ioctl(device->fd, VFIO_DEVICE_RESET) ? -errno : 0;
}

void vfio_pci_device_reset(struct vfio_pci_device *device)
{
	int ret = -EAGAIN;

	wait_for((ret = __vfio_pci_device_reset(device)) != -EAGAIN, RESET_RETRY_MS);
	VFIO_ASSERT_EQ(ret, 0, "cannot reset %s: %s", device->bdf, strerror(-ret));
}
