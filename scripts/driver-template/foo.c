// SPDX-License-Identifier: GPL-2.0-only
/*
 * foo, FILL IN: what the device is, by which means of its own it interrupts and copies memory,
 * and what of it is peculiar. Registers are in regs.h.
 */
#include <errno.h>
#include <stdlib.h>

#include <libvfio/deadline.h>
#include <libvfio/vfio_pci_device.h>

#include "regs.h"

/* FILL IN: how long the datasheet gives the device. */
#define STOP_TIMEOUT_MS 100
#define COPY_TIMEOUT_MS 1000

/* FILL IN: the type of interrupt, MSI-X if the device has it, and how many vectors to use. */
#define IRQ_INDEX VFIO_PCI_MSIX_IRQ_INDEX
#define VECTORS 1

/**
 * struct foo - State of the driver.
 * @src: source of the memcpy in progress
 * @dst: its destination
 * @size: its size
 * @copies_left: how often it is still to be done, the current time included
 */
struct foo {
	iova_t src;
	iova_t dst;
	u64 size;
	u64 copies_left;
};

static inline u32 foo_read(struct vfio_pci_device *device, u64 reg)
{
	return vfio_pci_bar_readl(device, FOO_BAR, reg);
}

static inline void foo_write(struct vfio_pci_device *device, u64 reg, u32 value)
{
	vfio_pci_bar_writel(device, FOO_BAR, reg, value);
}

/* Looks at config space only: the device may belong to another driver. */
static int foo_probe(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;

	if (!vfio_pci_device_match(device, FOO_VENDOR_ID, FOO_DEVICE_ID))
		return -ENODEV;

	if (device->irq_info[IRQ_INDEX].count >= VECTORS)
		driver->irq_indexes |= 1U << IRQ_INDEX;
	driver->irq_index = IRQ_INDEX;
	/* FILL IN: the highest address that the device can reach. */
	driver->dma_mask = UINT64_MAX;
	return 0;
}

static bool is_stopped(struct vfio_pci_device *device)
{
	/* FILL IN: whether no DMA is in flight any more. */
	return true;
}

/* Whatever the device is doing: no DMA and no interrupt of it after this. */
static int device_stop(struct vfio_pci_device *device)
{
	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	/* FILL IN: mask and clear all interrupts, reset the device. */
	return wait_for(is_stopped(device), STOP_TIMEOUT_MS) ? 0 : -ETIMEDOUT;
}

static void device_setup(struct vfio_pci_device *device)
{
	/* FILL IN: no coalescing; a vector of its own for each cause, none for copies. */
	vfio_pci_cmd_set(device, PCI_COMMAND_MASTER);
}

static int foo_init(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;
	int ret;

	ret = device_stop(device);
	if (ret)
		return ret;
	ret = __vfio_pci_irq_enable(device, driver->irq_index, 0, VECTORS);
	if (ret)
		return ret;

	driver->priv = calloc(1, sizeof(struct foo));
	VFIO_ASSERT_NOT_NULL(driver->priv);
	driver->msi = 0;
	driver->nr_msi = VECTORS;

	/* FILL IN: what the device can copy at once, and NULL as soon as it does. */
	driver->max_memcpy_size = 0;
	driver->max_memcpy_count = 0;
	driver->memcpy_align = 1;
	driver->no_memcpy = "foo cannot copy memory yet";

	device_setup(device);
	return 0;
}

static void foo_remove(struct vfio_pci_device *device)
{
	device_stop(device);
	vfio_pci_irq_disable(device, device->driver.irq_index);

	free(device->driver.priv);
	device->driver.priv = NULL;
}

static void copy_begin(struct vfio_pci_device *device)
{
	/* FILL IN: descriptors in driver.region, and the write that starts the device. */
}

static int foo_memcpy_start(struct vfio_pci_device *device,
			    iova_t src, iova_t dst, u64 size, u64 count)
{
	struct foo *foo = device->driver.priv;

	*foo = (struct foo){ .src = src, .dst = dst, .size = size, .copies_left = count };
	copy_begin(device);
	return 0;
}

static bool copy_done(struct vfio_pci_device *device)
{
	/* FILL IN: what the device wrote when it was done, read with __ATOMIC_ACQUIRE. */
	return true;
}

static int foo_memcpy_wait(struct vfio_pci_device *device)
{
	struct foo *foo = device->driver.priv;
	int ret;

	/* A device that takes many descriptors at once does not have to be fed one by one. */
	while (wait_for(copy_done(device), COPY_TIMEOUT_MS)) {
		if (!--foo->copies_left)
			return 0;
		copy_begin(device);
	}

	/* No DMA may be in flight now, and the next copy has to work. */
	ret = device_stop(device);
	if (!ret)
		device_setup(device);
	return -ETIMEDOUT;
}

static int foo_send_msi(struct vfio_pci_device *device, u32 vector)
{
	/* FILL IN: the write that raises exactly one, and a read that waits until it is there. */
	return -EOPNOTSUPP;
}

static const struct vfio_pci_driver_ops foo_ops = {
	.name = "foo",
	.probe = foo_probe,
	.init = foo_init,
	.remove = foo_remove,
	.memcpy_start = foo_memcpy_start,
	.memcpy_wait = foo_memcpy_wait,
	.send_msi = foo_send_msi,
};

VFIO_PCI_DRIVER(foo_ops);
