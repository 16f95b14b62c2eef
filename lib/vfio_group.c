// SPDX-License-Identifier: GPL-2.0-only
/* The groups of a VFIO container, each shared by all devices of ours that are in it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vfio.h>

#include <libvfio/iommu.h>
#include <libvfio/sysfs.h>

#include "vfio_group.h"

static int group_join(struct vfio_group *group, struct iommu *iommu)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };

	if (ioctl(group->fd, VFIO_GROUP_GET_STATUS, &status))
		return -errno;
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return -EPERM;

	if (ioctl(group->fd, VFIO_GROUP_SET_CONTAINER, &iommu->container_fd))
		return -errno;

	/* The container keeps the type that its first group gave it, until its last one leaves. */
	if (list_empty(&iommu->groups) &&
	    ioctl(iommu->container_fd, VFIO_SET_IOMMU, iommu->mode->iommu_type))
		return -errno;

	return 0;
}

static int group_open(struct iommu *iommu, int number, struct vfio_group **result)
{
	struct vfio_group *group;
	char path[32];
	int fd, ret;

	snprintf(path, sizeof(path), "/dev/vfio/%d", number);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	group = calloc(1, sizeof(*group));
	VFIO_ASSERT_NOT_NULL(group);
	group->number = number;
	group->fd = fd;

	ret = group_join(group, iommu);
	if (ret) {
		close(fd);
		free(group);
		return ret;
	}

	list_add(&group->link, &iommu->groups);
	*result = group;
	return 0;
}

int vfio_group_get(struct iommu *iommu, const char *bdf, struct vfio_group **result)
{
	struct vfio_group *group;
	int number, ret;

	number = sysfs_iommu_group(bdf);
	if (number < 0)
		return number;

	list_for_each_entry(group, &iommu->groups, link) {
		if (group->number == number)
			goto found;
	}

	ret = group_open(iommu, number, &group);
	if (ret)
		return ret;
found:
	group->nr_devices++;
	*result = group;
	return 0;
}

void vfio_group_put(struct vfio_group *group)
{
	if (--group->nr_devices)
		return;

	close(group->fd);
	list_del(&group->link);
	free(group);
}
