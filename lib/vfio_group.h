/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LIB_VFIO_GROUP_H
#define LIB_VFIO_GROUP_H

#include <linux/list.h>

struct iommu;

/**
 * struct vfio_group - A VFIO group in a container; the kernel lets it be opened but once.
 * @link: entry of iommu->groups
 * @number: of the IOMMU group
 * @fd: /dev/vfio/@number
 * @nr_devices: devices of ours that were opened through it
 */
struct vfio_group {
	struct list_head link;
	int number;
	int fd;
	unsigned int nr_devices;
};

/**
 * vfio_group_get() - The group of a device, put into the container of @iommu if it is not there.
 * @iommu: a container
 * @bdf: segment:bus:device.function
 * @group: receives the group
 *
 * Return: 0 or -errno; -EPERM if the group is not viable, -EBUSY if it is open elsewhere.
 */
int vfio_group_get(struct iommu *iommu, const char *bdf, struct vfio_group **group);

/* Undo one vfio_group_get(), once the device is closed. */
void vfio_group_put(struct vfio_group *group);

#endif /* LIB_VFIO_GROUP_H */
