// SPDX-License-Identifier: GPL-2.0-only
/*
 * igb, Intel's 82576 and QEMU's model of it. Software can set an interrupt's cause as if the
 * device had; with MSI-X, each vector has one of its own. For memcpy see igb_loop.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <linux/kernel.h>

#include <libvfio/deadline.h>

#include "igb.h"

#define RESET_TIMEOUT_MS 100
#define INTX_TIMEOUT_MS 1000

/*
 * The cause for MSI and INTx: one that is not going to happen by itself, as no descriptor asks
 * for its write-back. The registers are at their alias addresses, the only ones that QEMU has;
 * the others are 0x1500 on (8.8).
 */
#define IRQ_CAUSE E1000_ICR_TXDW

static int igb_probe(struct vfio_pci_device *device)
{
	if (!vfio_pci_device_match(device, IGB_VENDOR_ID, IGB_DEVICE_ID))
		return -ENODEV;

	vfio_pci_driver_use_irqs(device, BIT(VFIO_PCI_INTX_IRQ_INDEX) |
					 BIT(VFIO_PCI_MSI_IRQ_INDEX) |
					 BIT(VFIO_PCI_MSIX_IRQ_INDEX));
	device->driver.dma_mask = UINT64_MAX;

	return 0;
}

static void interrupts_off(struct vfio_pci_device *device)
{
	igb_write(device, E1000_IMC, UINT32_MAX);
	igb_write(device, E1000_EIMC, UINT32_MAX);
}

/* 4.2.1.6.1: CTRL.RST clears itself, and is not to be looked at for 1 ms. */
static int reset(struct vfio_pci_device *device)
{
	const struct timespec settle = { .tv_nsec = 1000000 };

	/* Stops transmit and receive, too, and clears what is asserted. */
	interrupts_off(device);
	igb_write(device, E1000_CTRL, igb_read(device, E1000_CTRL) | E1000_CTRL_RST);
	nanosleep(&settle, NULL);

	if (!wait_for(!(igb_read(device, E1000_CTRL) & E1000_CTRL_RST), RESET_TIMEOUT_MS))
		return -ETIMEDOUT;

	interrupts_off(device);
	igb_read(device, E1000_ICR);
	return 0;
}

/*
 * 7.3.2: with GPIE.Multiple_MSIX, EICR has a bit per vector. EIAC, so that a cause can be set
 * again once its message is out. Not EIAM: it would disable the cause along with that. The
 * queues have no vector at all, their entries in IVAR are invalid after a reset.
 */
static void msix_setup(struct vfio_pci_device *device, u32 vectors)
{
	u32 all = (1U << vectors) - 1;

	igb_write(device, E1000_GPIE, E1000_GPIE_MSIX_MODE);
	igb_write(device, E1000_EIAC, all);
	igb_write(device, E1000_EIAM, 0);
	for (u32 i = 0; i < vectors; i++)
		igb_write(device, E1000_EITR(i), 0);
	igb_write(device, E1000_EIMS, all);
}

/* One message for all causes, for which the throttling of vector 0 counts (7.3.1). */
static void single_setup(struct vfio_pci_device *device)
{
	igb_write(device, E1000_GPIE, 0);
	igb_write(device, E1000_EITR(0), 0);
	igb_write(device, E1000_IMS, IRQ_CAUSE);
}

/* From a device that has been reset to one that works. */
static int setup(struct vfio_pci_device *device)
{
	vfio_pci_cmd_set(device, PCI_COMMAND_MASTER);
	if (device->driver.irq_index == VFIO_PCI_MSIX_IRQ_INDEX)
		msix_setup(device, to_igb(device)->vectors);
	else
		single_setup(device);

	/* Virtual functions, if there are any, may begin. */
	igb_write(device, E1000_CTRL_EXT,
		  igb_read(device, E1000_CTRL_EXT) | E1000_CTRL_EXT_PFRSTD);
	return igb_loop_begin(device);
}

static int bring_up(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;
	struct igb *igb = to_igb(device);
	int ret;

	ret = reset(device);
	if (ret)
		return ret;

	igb->vectors = 1;
	if (driver->irq_index == VFIO_PCI_MSIX_IRQ_INDEX)
		igb->vectors = min_t(u32, device->irq_info[driver->irq_index].count,
				     IGB_MAX_VECTORS);
	ret = __vfio_pci_irq_enable(device, driver->irq_index, 0, igb->vectors);
	if (ret)
		return ret;

	ret = setup(device);
	if (ret)
		vfio_pci_irq_disable(device, driver->irq_index);
	return ret;
}

static int igb_init(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;
	int ret;

	driver->priv = calloc(1, sizeof(struct igb));
	VFIO_ASSERT_NOT_NULL(driver->priv);

	ret = bring_up(device);
	if (ret) {
		vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
		free(driver->priv);
		driver->priv = NULL;
		return ret;
	}

	igb_memcpy_limits(driver);
	driver->msi = 0;
	driver->nr_msi = to_igb(device)->vectors;
	return 0;
}

static void igb_remove(struct vfio_pci_device *device)
{
	reset(device);
	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	vfio_pci_irq_disable(device, device->driver.irq_index);

	free(device->driver.priv);
	device->driver.priv = NULL;
}

/*
 * A DMA engine whose read was refused may be beyond the help of CTRL.RST, so the function is
 * reset first. That leaves config space, with the enabled interrupts, as it is.
 */
int igb_restart(struct vfio_pci_device *device)
{
	int ret;

	to_igb(device)->looped = false;
	__vfio_pci_device_reset(device);
	ret = reset(device);
	if (!ret)
		ret = setup(device);
	if (ret)
		vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	return ret;
}

static int send_single(struct vfio_pci_device *device, bool intx)
{
	bool taken = true;

	if (!(igb_read(device, E1000_IMS) & IRQ_CAUSE))
		return -EIO;
	if (intx && vfio_pci_intx_masked(device))
		return -EBUSY;

	/* INTx must stay up until the kernel has seen whose it is and masked it. */
	igb_write(device, E1000_ICS, IRQ_CAUSE);
	if (intx)
		taken = wait_for(vfio_pci_intx_masked(device), INTX_TIMEOUT_MS);
	igb_read(device, E1000_ICR);

	return taken ? 0 : -ETIMEDOUT;
}

static int igb_send_msi(struct vfio_pci_device *device, u32 vector)
{
	u32 index = device->driver.irq_index;

	if (index != VFIO_PCI_MSIX_IRQ_INDEX)
		return send_single(device, index == VFIO_PCI_INTX_IRQ_INDEX);

	/*
	 * EIMS first: with EIAM, or by the device's own doing, the last message may have disabled
	 * its cause. The read waits until the writes have reached the device, lest the next call
	 * catches up with them, and tells whether it was reset and forgot its set-up.
	 */
	igb_write(device, E1000_EIMS, 1U << vector);
	igb_write(device, E1000_EICS, 1U << vector);
	return igb_read(device, E1000_GPIE) & E1000_GPIE_MSIX_MODE ? 0 : -EIO;
}

static const struct vfio_pci_driver_ops igb_ops = {
	.name = "igb",
	.probe = igb_probe,
	.init = igb_init,
	.remove = igb_remove,
	.memcpy_start = igb_memcpy_start,
	.memcpy_wait = igb_memcpy_wait,
	.memcpy_prepare = igb_memcpy_prepare,
	.send_msi = igb_send_msi,
};

VFIO_PCI_DRIVER(igb_ops);
