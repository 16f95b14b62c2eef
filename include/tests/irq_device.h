/* SPDX-License-Identifier: GPL-2.0-only */
/* The device of a test of interrupts, opened and started by its driver. */
#ifndef TESTS_IRQ_DEVICE_H
#define TESTS_IRQ_DEVICE_H

#include <libvfio/vfio_pci_device.h>

struct iova_allocator;

/**
 * struct irq_device - A device that can send MSIs.
 * @iommu: its address space, in which a guest's memory has room below 64 MiB
 * @device: the device
 * @allocator: what its driver allocates from
 */
struct irq_device {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct iova_allocator *allocator;
};

/**
 * irq_device_open() - Open the device that the program was given, and start it.
 * @self: to be initialized; irq_device_close() takes it however far this came
 * @iommu_mode: e.g. test_iommu_mode()
 *
 * Return: NULL, or a sentence why the test has to be skipped.
 */
const char *irq_device_open(struct irq_device *self, const char *iommu_mode);
/** irq_device_open_intx() - The same for a device that is to raise INTx, rather than MSIs. */
const char *irq_device_open_intx(struct irq_device *self, const char *iommu_mode);
void irq_device_close(struct irq_device *self);

#endif /* TESTS_IRQ_DEVICE_H */
