// SPDX-License-Identifier: GPL-2.0-only
/* The drivers that are linked in, and the rules that hold for all of them. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/bits.h>
#include <linux/kernel.h>

#include <libvfio/vfio_pci_device.h>

/*
 * The sections that VFIO_PCI_DRIVER() fills; the linker defines their ends. Weak, so that a
 * program without any driver links, too.
 */
typedef const struct vfio_pci_driver_ops *const driver_list[];

extern driver_list __start_vfio_pci_drivers __attribute__((weak));
extern driver_list __stop_vfio_pci_drivers __attribute__((weak));
extern driver_list __start_vfio_pci_drivers_out_of_tree __attribute__((weak));
extern driver_list __stop_vfio_pci_drivers_out_of_tree __attribute__((weak));

static int probe_drivers(struct vfio_pci_device *device,
			 const struct vfio_pci_driver_ops *const *ops,
			 const struct vfio_pci_driver_ops *const *end)
{
	const struct vfio_pci_driver_ops *found = NULL;

	for (; ops < end; ops++) {
		struct vfio_pci_driver driver = device->driver;

		if ((*ops)->probe(device)) {
			device->driver = driver;
			continue;
		}

		if (found) {
			fprintf(stderr, "%s: both %s and %s claim to drive it\n", device->bdf,
				found->name, (*ops)->name);
			return -EEXIST;
		}
		found = *ops;
	}

	device->driver.ops = found;
	return found ? 0 : -ENODEV;
}

int __vfio_pci_driver_probe(struct vfio_pci_device *device)
{
	int ret = probe_drivers(device, __start_vfio_pci_drivers_out_of_tree,
				__stop_vfio_pci_drivers_out_of_tree);

	if (ret != -ENODEV)
		return ret;
	return probe_drivers(device, __start_vfio_pci_drivers, __stop_vfio_pci_drivers);
}

const char *vfio_pci_driver_of_sysfs(const char *directory)
{
	struct vfio_pci_device *device = calloc(1, sizeof(*device));
	const char *name = NULL;
	char path[PATH_MAX];
	struct stat config;

	VFIO_ASSERT_NOT_NULL(device);
	snprintf(path, sizeof(path), "%s/config", directory);
	device->fd = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s", directory);
	snprintf(device->bdf, sizeof(device->bdf), "%s", basename(path));

	/* All that probe() is shown is config space, which is a file of its own here. */
	if (!fstat(device->fd, &config) && config.st_size >= PCI_STD_HEADER_SIZEOF &&
	    !__vfio_pci_driver_probe(device))
		name = device->driver.ops->name;

	if (device->fd >= 0)
		close(device->fd);
	free(device);
	return name;
}

void vfio_pci_driver_use_irqs(struct vfio_pci_device *device, u32 indexes)
{
	for (u32 index = VFIO_PCI_INTX_IRQ_INDEX; index <= VFIO_PCI_MSIX_IRQ_INDEX; index++) {
		if (!(indexes & BIT(index)) || !device->irq_info[index].count)
			continue;
		device->driver.irq_indexes |= BIT(index);
		device->driver.irq_index = index;
	}
}

const char *vfio_pci_driver_missing(const struct vfio_pci_device *device)
{
	const struct vfio_pci_driver *driver = &device->driver;

	if (!driver->ops)
		return "no driver of ours supports the device";
	if (driver->missing)
		return driver->missing;
	return driver->irq_indexes ? NULL :
	       "the driver can use no type of interrupt of this device";
}

int __vfio_pci_driver_init(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;
	int ret;

	if (!driver->ops)
		return -ENODEV;
	if (driver->initialized)
		return -EBUSY;
	if (!(driver->irq_indexes & (1U << driver->irq_index)))
		return -EOPNOTSUPP;
	VFIO_ASSERT_NE(driver->region.size, 0ULL, "%s: the driver needs memory", device->bdf);

	ret = driver->ops->init(device);
	driver->initialized = !ret;
	driver->memcpy_in_progress = false;
	return ret;
}

void vfio_pci_driver_init(struct vfio_pci_device *device)
{
	int ret = __vfio_pci_driver_init(device);

	VFIO_ASSERT_EQ(ret, 0, "%s: driver %s cannot initialize it: %s", device->bdf,
		       device->driver.ops ? device->driver.ops->name : "(none)", strerror(-ret));
}

void vfio_pci_driver_remove(struct vfio_pci_device *device)
{
	VFIO_ASSERT_TRUE(device->driver.initialized);
	device->driver.ops->remove(device);
	device->driver.initialized = false;
	device->driver.memcpy_in_progress = false;
}

static bool ranges_overlap(iova_t a, iova_t b, u64 size)
{
	return a < b ? b - a < size : a - b < size;
}

/* What holds for all copies. */
static int check_memcpy(const struct vfio_pci_driver *driver, iova_t src, iova_t dst, u64 size,
			u64 count)
{
	VFIO_ASSERT_TRUE(driver->initialized);
	if (driver->no_memcpy || !driver->ops->memcpy_start)
		return -EOPNOTSUPP;
	if (driver->memcpy_in_progress)
		return -EBUSY;
	if (!size || size > driver->max_memcpy_size ||
	    !count || count > driver->max_memcpy_count ||
	    (src | dst | size) % driver->memcpy_align || ranges_overlap(src, dst, size))
		return -EINVAL;

	return 0;
}

int __vfio_pci_driver_memcpy_start(struct vfio_pci_device *device,
				   iova_t src, iova_t dst, u64 size, u64 count)
{
	struct vfio_pci_driver *driver = &device->driver;
	int ret = check_memcpy(driver, src, dst, size, count);

	if (ret)
		return ret;

	ret = driver->ops->memcpy_start(device, src, dst, size, count);
	driver->memcpy_in_progress = !ret;
	return ret;
}

void vfio_pci_driver_memcpy_start(struct vfio_pci_device *device,
				  iova_t src, iova_t dst, u64 size, u64 count)
{
	int ret = __vfio_pci_driver_memcpy_start(device, src, dst, size, count);

	VFIO_ASSERT_EQ(ret, 0, "%s: cannot start a memcpy: %s", device->bdf, strerror(-ret));
}

int __vfio_pci_driver_memcpy_prepare(struct vfio_pci_device *device, iova_t src, iova_t dst,
				     u64 size, u32 vector, struct vfio_pci_doorbell *doorbell)
{
	struct vfio_pci_driver *driver = &device->driver;
	int ret = check_memcpy(driver, src, dst, size, 1);

	if (ret)
		return ret;
	if (!driver->ops->memcpy_prepare)
		return -EOPNOTSUPP;
	if (size > VFIO_PCI_MAX_PREPARED_SIZE || vector < driver->msi ||
	    vector - driver->msi >= driver->nr_msi)
		return -EINVAL;

	ret = driver->ops->memcpy_prepare(device, src, dst, size, vector, doorbell);
	driver->memcpy_in_progress = !ret;
	return ret;
}

int vfio_pci_driver_memcpy_wait(struct vfio_pci_device *device)
{
	int ret;

	VFIO_ASSERT_TRUE(device->driver.memcpy_in_progress);
	ret = device->driver.ops->memcpy_wait(device);
	device->driver.memcpy_in_progress = false;
	return ret;
}

int vfio_pci_driver_memcpy(struct vfio_pci_device *device, iova_t src, iova_t dst, u64 size)
{
	while (size) {
		u64 piece = min(size, device->driver.max_memcpy_size);
		int ret;

		ret = __vfio_pci_driver_memcpy_start(device, src, dst, piece, 1);
		if (!ret)
			ret = vfio_pci_driver_memcpy_wait(device);
		if (ret)
			return ret;

		src += piece;
		dst += piece;
		size -= piece;
	}

	return 0;
}

int __vfio_pci_driver_send_msi_vector(struct vfio_pci_device *device, u32 vector)
{
	struct vfio_pci_driver *driver = &device->driver;

	VFIO_ASSERT_TRUE(driver->initialized);
	if (!driver->ops->send_msi)
		return -EOPNOTSUPP;
	if (driver->memcpy_in_progress)
		return -EBUSY;
	if (vector < driver->msi || vector - driver->msi >= driver->nr_msi)
		return -EINVAL;

	return driver->ops->send_msi(device, vector);
}

void vfio_pci_driver_send_msi_vector(struct vfio_pci_device *device, u32 vector)
{
	int ret = __vfio_pci_driver_send_msi_vector(device, vector);

	VFIO_ASSERT_EQ(ret, 0, "%s: cannot make it raise vector %u: %s", device->bdf, vector,
		       strerror(-ret));
}

void vfio_pci_driver_schedule_msis(struct vfio_pci_device *device,
				   const struct vfio_pci_msi_schedule *schedule)
{
	struct vfio_pci_driver *driver = &device->driver;
	int ret;

	VFIO_ASSERT_TRUE(driver->initialized && !driver->memcpy_in_progress);
	VFIO_ASSERT_TRUE(schedule->count && schedule->nr_vectors);
	VFIO_ASSERT_TRUE(schedule->vector >= driver->msi &&
			 schedule->vector - driver->msi + schedule->nr_vectors <= driver->nr_msi);
	ret = driver->ops->schedule_msis(device, schedule);
	VFIO_ASSERT_EQ(ret, 0, "%s: cannot start a schedule of interrupts: %s", device->bdf,
		       strerror(-ret));
}

void vfio_pci_driver_send_msi(struct vfio_pci_device *device)
{
	vfio_pci_driver_send_msi_vector(device, device->driver.msi);
}
