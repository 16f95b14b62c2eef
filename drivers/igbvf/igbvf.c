// SPDX-License-Identifier: GPL-2.0-only
/*
 * igbvf, a virtual function of Intel's 82576 or of QEMU's model of it. It has three vectors, each
 * with a cause that software can set.
 *
 * It lives by its physical function. That one has to be set up, by the kernel's igb or by ours,
 * in its mode of several MSI-X vectors, which init() sees by the mailbox register. It does not
 * have to answer: no message is sent, and so nothing is asked for that takes one, which is every
 * frame. Hence no memcpy.
 */
#include <errno.h>
#include <time.h>

#include <linux/kernel.h>

#include <libvfio/deadline.h>
#include <libvfio/vfio_pci_device.h>

#include "regs.h"

#define RESET_TIMEOUT_MS 100
#define PF_TIMEOUT_MS 500

static u32 igbvf_read(struct vfio_pci_device *device, u64 reg)
{
	return vfio_pci_bar_readl(device, IGBVF_BAR, reg);
}

static void igbvf_write(struct vfio_pci_device *device, u64 reg, u32 value)
{
	vfio_pci_bar_writel(device, IGBVF_BAR, reg, value);
}

static int igbvf_probe(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;

	if (!vfio_pci_device_match(device, IGBVF_VENDOR_ID, IGBVF_DEVICE_ID))
		return -ENODEV;

	/* Virtual functions have neither MSI nor INTx. */
	if (device->irq_info[VFIO_PCI_MSIX_IRQ_INDEX].count)
		driver->irq_indexes = 1U << VFIO_PCI_MSIX_IRQ_INDEX;
	driver->irq_index = VFIO_PCI_MSIX_IRQ_INDEX;
	driver->dma_mask = UINT64_MAX;
	return 0;
}

static bool pf_ready(struct vfio_pci_device *device)
{
	return !(igbvf_read(device, E1000_V2PMAILBOX(0)) & IGBVF_V2PMAILBOX_RSTI);
}

/* Of this function alone, its queues and interrupts. */
static int reset(struct vfio_pci_device *device)
{
	const struct timespec settle = { .tv_nsec = 1000000 };

	igbvf_write(device, E1000_EIMC, UINT32_MAX);
	igbvf_write(device, E1000_CTRL, E1000_CTRL_RST);
	nanosleep(&settle, NULL);

	if (!wait_for(!(igbvf_read(device, E1000_CTRL) & E1000_CTRL_RST), RESET_TIMEOUT_MS))
		return -ETIMEDOUT;

	igbvf_write(device, E1000_EIMC, UINT32_MAX);
	return 0;
}

static int igbvf_init(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;
	u32 vectors = min_t(u32, device->irq_info[driver->irq_index].count, IGBVF_MAX_VECTORS);
	u32 all = (1U << vectors) - 1;
	int ret;

	if (!wait_for(pf_ready(device), PF_TIMEOUT_MS)) {
		fprintf(stderr, "%s: its physical function is not set up\n", device->bdf);
		return -ENOTCONN;
	}
	ret = reset(device);
	if (ret)
		return ret;
	ret = __vfio_pci_irq_enable(device, driver->irq_index, 0, vectors);
	if (ret)
		return ret;

	vfio_pci_cmd_set(device, PCI_COMMAND_MASTER);
	igbvf_write(device, E1000_EIAC, all);
	igbvf_write(device, E1000_EIAM, 0);
	for (u32 i = 0; i < vectors; i++)
		igbvf_write(device, E1000_EITR(i), 0);
	igbvf_write(device, E1000_EIMS, all);

	driver->no_memcpy = "a virtual function of the 82576 sends nothing before its physical "
			    "function has answered its mailbox";
	driver->max_memcpy_size = 0;
	driver->max_memcpy_count = 0;
	driver->memcpy_align = 1;
	driver->msi = 0;
	driver->nr_msi = vectors;
	return 0;
}

static void igbvf_remove(struct vfio_pci_device *device)
{
	reset(device);
	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	vfio_pci_irq_disable(device, device->driver.irq_index);
}

/*
 * EIMS first, as in igb. The read waits until the writes have reached the device, and tells
 * whether the physical function was reset, and this one's set-up with it.
 */
static int igbvf_send_msi(struct vfio_pci_device *device, u32 vector)
{
	igbvf_write(device, E1000_EIMS, 1U << vector);
	igbvf_write(device, E1000_EICS, 1U << vector);
	return pf_ready(device) ? 0 : -EIO;
}

static const struct vfio_pci_driver_ops igbvf_ops = {
	.name = "igbvf",
	.probe = igbvf_probe,
	.init = igbvf_init,
	.remove = igbvf_remove,
	.send_msi = igbvf_send_msi,
};

VFIO_PCI_DRIVER(igbvf_ops);
