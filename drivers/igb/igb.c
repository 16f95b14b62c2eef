// SPDX-License-Identifier: GPL-2.0-only
/*
 * igb, Intel's 82576 and QEMU's model of it. The only part used is its interrupt block, where
 * software can set a cause as if the device had; with MSI-X, each vector has one of its own.
 */
#include <errno.h>
#include <time.h>

#include <linux/kernel.h>

#include <libvfio/deadline.h>
#include <libvfio/vfio_pci_device.h>

#include "regs.h"

#define RESET_TIMEOUT_MS 100
#define INTX_TIMEOUT_MS 1000

/* The cause for MSI and INTx: one that is not going to happen by itself. */
#define IRQ_CAUSE IGB_ICR_TXDW

static u32 igb_read(struct vfio_pci_device *device, u64 reg)
{
	return vfio_pci_bar_readl(device, IGB_BAR, reg);
}

static void igb_write(struct vfio_pci_device *device, u64 reg, u32 value)
{
	vfio_pci_bar_writel(device, IGB_BAR, reg, value);
}

static int igb_probe(struct vfio_pci_device *device)
{
	const u32 usable[] = {
		VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX,
	};
	struct vfio_pci_driver *driver = &device->driver;

	if (!vfio_pci_device_match(device, IGB_VENDOR_ID, IGB_DEVICE_ID))
		return -ENODEV;

	for (u32 i = 0; i < ARRAY_SIZE(usable); i++) {
		if (!device->irq_info[usable[i]].count)
			continue;
		driver->irq_indexes |= 1U << usable[i];
		driver->irq_index = usable[i];
	}
	driver->dma_mask = UINT64_MAX;

	return 0;
}

static void interrupts_off(struct vfio_pci_device *device)
{
	igb_write(device, IGB_IMC, UINT32_MAX);
	igb_write(device, IGB_EIMC, UINT32_MAX);
}

/* Stops transmit and receive, too, and clears what is asserted. */
static int reset(struct vfio_pci_device *device)
{
	const struct timespec settle = { .tv_nsec = 1000000 };

	interrupts_off(device);
	igb_write(device, IGB_CTRL, igb_read(device, IGB_CTRL) | IGB_CTRL_RST);
	nanosleep(&settle, NULL);

	if (!wait_for(!(igb_read(device, IGB_CTRL) & IGB_CTRL_RST), RESET_TIMEOUT_MS))
		return -ETIMEDOUT;

	interrupts_off(device);
	igb_read(device, IGB_ICR);
	return 0;
}

/*
 * EIAC, so that a cause can be set again once its message is out. Not EIAM: it would disable
 * the cause along with that, on the real device only, and each message would need another
 * write to EIMS.
 */
static void msix_setup(struct vfio_pci_device *device, u32 vectors)
{
	u32 all = (1U << vectors) - 1;

	igb_write(device, IGB_GPIE, IGB_GPIE_MULTIPLE_MSIX);
	igb_write(device, IGB_EIAC, all);
	igb_write(device, IGB_EIAM, 0);
	for (u32 i = 0; i < vectors; i++)
		igb_write(device, IGB_EITR(i), 0);
	igb_write(device, IGB_EIMS, all);
}

/* One message for all causes, for which the throttling of vector 0 counts (7.3.1). */
static void single_setup(struct vfio_pci_device *device)
{
	igb_write(device, IGB_GPIE, 0);
	igb_write(device, IGB_EITR(0), 0);
	igb_write(device, IGB_IMS, IRQ_CAUSE);
}

static int igb_init(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;
	u32 vectors = 1;
	int ret;

	ret = reset(device);
	if (ret)
		return ret;

	if (driver->irq_index == VFIO_PCI_MSIX_IRQ_INDEX)
		vectors = min_t(u32, device->irq_info[driver->irq_index].count, IGB_MAX_VECTORS);
	ret = __vfio_pci_irq_enable(device, driver->irq_index, 0, vectors);
	if (ret)
		return ret;

	vfio_pci_cmd_set(device, PCI_COMMAND_MASTER);
	if (driver->irq_index == VFIO_PCI_MSIX_IRQ_INDEX)
		msix_setup(device, vectors);
	else
		single_setup(device);

	driver->no_memcpy = "memcpy by a loop from transmit to receive is not implemented yet";
	driver->max_memcpy_size = 0;
	driver->max_memcpy_count = 0;
	driver->memcpy_align = 1;
	driver->msi = 0;
	driver->nr_msi = vectors;
	return 0;
}

static void igb_remove(struct vfio_pci_device *device)
{
	reset(device);
	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	vfio_pci_irq_disable(device, device->driver.irq_index);
}

static int send_single(struct vfio_pci_device *device, bool intx)
{
	bool taken = true;

	if (!(igb_read(device, IGB_IMS) & IRQ_CAUSE))
		return -EIO;
	if (intx && vfio_pci_intx_masked(device))
		return -EBUSY;

	/* INTx must stay up until the kernel has seen whose it is and masked it. */
	igb_write(device, IGB_ICS, IRQ_CAUSE);
	if (intx)
		taken = wait_for(vfio_pci_intx_masked(device), INTX_TIMEOUT_MS);
	igb_read(device, IGB_ICR);

	return taken ? 0 : -ETIMEDOUT;
}

static int igb_send_msi(struct vfio_pci_device *device, u32 vector)
{
	u32 index = device->driver.irq_index;

	if (index != VFIO_PCI_MSIX_IRQ_INDEX)
		return send_single(device, index == VFIO_PCI_INTX_IRQ_INDEX);

	/*
	 * The read waits until the write has reached the device, lest the next call catches up
	 * with it, and tells whether the device was reset and forgot its set-up.
	 */
	igb_write(device, IGB_EICS, 1U << vector);
	return igb_read(device, IGB_EIMS) & 1U << vector ? 0 : -EIO;
}

static const struct vfio_pci_driver_ops igb_ops = {
	.name = "igb",
	.probe = igb_probe,
	.init = igb_init,
	.remove = igb_remove,
	.send_msi = igb_send_msi,
};

VFIO_PCI_DRIVER(igb_ops);
