/* SPDX-License-Identifier: GPL-2.0-only */
/* What sysfs and procfs say about a PCI device. */
#ifndef LIBVFIO_SYSFS_H
#define LIBVFIO_SYSFS_H

#include <stddef.h>

#include <linux/types.h>

#include <libvfio/pci_bdf.h>

/**
 * sysfs_iommu_group() - The IOMMU group of a device.
 * @bdf: segment:bus:device.function
 *
 * Return: the group's number, -ENOENT without such a device, -ENODEV if it has no group.
 */
int sysfs_iommu_group(const char *bdf);

/**
 * sysfs_driver() - The kernel driver a device is bound to.
 * @bdf: segment:bus:device.function
 * @name: receives its name, empty if it is bound to none
 * @size: bytes at @name
 *
 * Return: 0, or -ENOENT without such a device.
 */
int sysfs_driver(const char *bdf, char *name, size_t size);

/**
 * sysfs_group_intruder() - The device that keeps an IOMMU group from being handed to user space.
 * @bdf: segment:bus:device.function of a device of the group
 * @sibling: receives the address of another device of it that a host driver does DMA with
 * @driver: receives the name of that driver
 * @size: bytes at @driver
 *
 * Drivers that do no DMA of their own are no obstacle to the kernel: those of VFIO, pci-stub
 * and that of PCIe ports (iommu_group_claim_dma_owner() and driver_managed_dma).
 *
 * Return: 0, or -ENOENT if there is no such device.
 */
int sysfs_group_intruder(const char *bdf, char sibling[PCI_BDF_SIZE], char *driver, size_t size);

/**
 * sysfs_vfio_cdev() - The character device of a device bound to vfio-pci.
 * @bdf: segment:bus:device.function
 * @path: receives /dev/vfio/devices/vfioN
 * @size: bytes at @path
 *
 * Return: 0, or -ENOENT if there is none: not bound, or a kernel without VFIO_DEVICE_CDEV.
 */
int sysfs_vfio_cdev(const char *bdf, char *path, size_t size);

#endif /* LIBVFIO_SYSFS_H */
