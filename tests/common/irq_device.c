// SPDX-License-Identifier: GPL-2.0-only
#include <linux/sizes.h>

#include <libvfio/iommu.h>
#include <libvfio/iova_allocator.h>
#include <libvfio/dma_region.h>
#include <tests/irq_device.h>
#include <tests/test_program.h>

#define GUEST_MEMORY_END SZ_64M

/* Opens the device without starting it. Return: NULL, or why the test has to be skipped. */
static const char *open_device(struct irq_device *self, const char *iommu_mode)
{
	const char *missing = test_iommu_mode_missing(iommu_mode);

	if (missing)
		return missing;

	self->iommu = iommu_init(iommu_mode);
	self->device = vfio_pci_device_init(test_options.bdf, self->iommu);
	return vfio_pci_driver_missing(self->device);
}

static void start_device(struct irq_device *self)
{
	self->allocator = iova_allocator_init(self->iommu, self->device->driver.dma_mask);
	/* The guest's memory goes below, at its guest physical addresses. */
	iova_allocator_skip_below(self->allocator, GUEST_MEMORY_END);
	vfio_pci_driver_start(self->device, self->allocator);
}

const char *irq_device_open(struct irq_device *self, const char *iommu_mode)
{
	const char *missing = open_device(self, iommu_mode);

	if (missing)
		return missing;
	if (self->device->driver.irq_index == VFIO_PCI_INTX_IRQ_INDEX)
		return "the driver can use neither MSI nor MSI-X of this device";

	start_device(self);
	return self->device->driver.nr_msi ? NULL : "the driver cannot make this device send MSIs";
}

const char *irq_device_open_intx(struct irq_device *self, const char *iommu_mode)
{
	const char *missing = open_device(self, iommu_mode);

	if (missing)
		return missing;
	if (!(self->device->driver.irq_indexes & 1U << VFIO_PCI_INTX_IRQ_INDEX))
		return "the driver does not use INTx with this device";

	self->device->driver.irq_index = VFIO_PCI_INTX_IRQ_INDEX;
	start_device(self);
	return self->device->driver.nr_msi ? NULL : "the driver cannot make this device raise INTx";
}

void irq_device_close(struct irq_device *self)
{
	if (self->allocator) {
		vfio_pci_driver_stop(self->device);
		iova_allocator_cleanup(self->allocator);
	}
	if (self->iommu) {
		vfio_pci_device_cleanup(self->device);
		iommu_cleanup(self->iommu);
	}
}
