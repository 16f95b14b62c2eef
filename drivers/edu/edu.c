// SPDX-License-Identifier: GPL-2.0-only
/*
 * edu, the device that every QEMU has. One MSI or INTx, raised by a register write; memcpy in
 * two transfers, into the device's buffer and out of it again.
 *
 * The device has no reset that it listens to, so init() takes it over as it is. It does not
 * look at the outcome of its DMA either: a transfer from an unmapped IOVA reads zeros, one to
 * an unmapped IOVA goes nowhere, and both end like any other.
 */
#include <errno.h>
#include <stdlib.h>

#include <libvfio/deadline.h>
#include <libvfio/vfio_pci_device.h>

#include "regs.h"

/* A transfer takes 100 ms of the emulated machine's time, whatever its size. */
#define TRANSFER_TIMEOUT_MS 2000
#define INTX_TIMEOUT_MS 1000

/* QEMU 7.2 takes a transfer that ends with the buffer for an overrun, and exits. */
#define MAX_TRANSFER (EDU_BUFFER_SIZE / 2)
/* The device sets no limit; at 200 ms each, more of them would prove nothing more. */
#define MAX_COPIES 4

/* Any bit does but 0x1 and 0x100, by which the factorial unit and the DMA interrupt. */
#define IRQ_CAUSE 0x2

/**
 * struct edu - State of the driver.
 * @src: source of the memcpy in progress
 * @dst: its destination
 * @size: its size
 * @copies_left: how often it is still to be done, the current time included
 * @to_host: whether the second transfer of the current time is running
 * @cut_off: bus mastering is off, because a transfer would not end
 */
struct edu {
	iova_t src;
	iova_t dst;
	u64 size;
	u64 copies_left;
	bool to_host;
	bool cut_off;
};

static u32 edu_read(struct vfio_pci_device *device, u64 reg)
{
	return vfio_pci_bar_readl(device, EDU_BAR, reg);
}

static void edu_write(struct vfio_pci_device *device, u64 reg, u32 value)
{
	vfio_pci_bar_writel(device, EDU_BAR, reg, value);
}

static int edu_probe(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;

	if (!vfio_pci_device_match(device, EDU_VENDOR_ID, EDU_DEVICE_ID))
		return -ENODEV;

	if (device->irq_info[VFIO_PCI_INTX_IRQ_INDEX].count) {
		driver->irq_indexes |= 1U << VFIO_PCI_INTX_IRQ_INDEX;
		driver->irq_index = VFIO_PCI_INTX_IRQ_INDEX;
	}
	if (device->irq_info[VFIO_PCI_MSI_IRQ_INDEX].count) {
		driver->irq_indexes |= 1U << VFIO_PCI_MSI_IRQ_INDEX;
		driver->irq_index = VFIO_PCI_MSI_IRQ_INDEX;
	}
	driver->dma_mask = EDU_DMA_MASK;

	return 0;
}

static bool dma_idle(struct vfio_pci_device *device)
{
	return !(edu_read(device, EDU_DMA_CMD) & EDU_DMA_CMD_RUN);
}

static bool is_alive(struct vfio_pci_device *device)
{
	const u32 pattern = 0x5aa5c33c;

	if ((edu_read(device, EDU_ID) & EDU_ID_MASK) != EDU_ID_VALUE)
		return false;

	edu_write(device, EDU_LIVENESS, pattern);
	return edu_read(device, EDU_LIVENESS) == ~pattern;
}

static void irq_quiesce(struct vfio_pci_device *device)
{
	edu_write(device, EDU_STATUS, 0);
	edu_write(device, EDU_IRQ_ACK, edu_read(device, EDU_IRQ_STATUS));
}

static int edu_init(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;
	int ret;

	if (!is_alive(device))
		return -EIO;

	/* A transfer that someone else left running must not reach our memory. */
	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	if (!wait_for(dma_idle(device), TRANSFER_TIMEOUT_MS))
		return -ETIMEDOUT;

	irq_quiesce(device);
	ret = __vfio_pci_irq_enable(device, driver->irq_index, 0, 1);
	if (ret)
		return ret;

	driver->priv = calloc(1, sizeof(struct edu));
	VFIO_ASSERT_NOT_NULL(driver->priv);
	driver->max_memcpy_size = MAX_TRANSFER;
	driver->max_memcpy_count = MAX_COPIES;
	driver->memcpy_align = 1;
	driver->no_memcpy = NULL;
	driver->msi = 0;
	driver->nr_msi = 1;
	driver->constant = (struct vfio_pci_registers){ EDU_BAR, EDU_ID, sizeof(u32) };
	/* Every transfer begins with writing it. */
	driver->scratch = (struct vfio_pci_registers){ EDU_BAR, EDU_DMA_SRC, sizeof(u64) };

	vfio_pci_cmd_set(device, PCI_COMMAND_MASTER);
	return 0;
}

static void edu_remove(struct vfio_pci_device *device)
{
	/* The device cannot stop a transfer, but it cannot reach memory any more either. */
	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	irq_quiesce(device);
	vfio_pci_irq_disable(device, device->driver.irq_index);

	free(device->driver.priv);
	device->driver.priv = NULL;
}

/* Return: the command that starts it. */
static u32 transfer_prepare(struct vfio_pci_device *device)
{
	struct edu *edu = device->driver.priv;

	edu_write(device, EDU_DMA_SRC, edu->to_host ? EDU_BUFFER : edu->src);
	edu_write(device, EDU_DMA_DST, edu->to_host ? edu->dst : EDU_BUFFER);
	edu_write(device, EDU_DMA_COUNT, edu->size);
	return EDU_DMA_CMD_RUN | (edu->to_host ? EDU_DMA_CMD_TO_HOST : 0);
}

static void transfer_start(struct vfio_pci_device *device)
{
	edu_write(device, EDU_DMA_CMD, transfer_prepare(device));
}

static int transfer_wait(struct vfio_pci_device *device)
{
	struct edu *edu = device->driver.priv;

	if (wait_for(dma_idle(device), TRANSFER_TIMEOUT_MS))
		return 0;

	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	edu->cut_off = true;
	return -ETIMEDOUT;
}

/* The device drops writes to its DMA registers during a transfer, and sends MSIs by DMA. */
static int recover(struct vfio_pci_device *device)
{
	struct edu *edu = device->driver.priv;

	if (!edu->cut_off)
		return 0;
	if (!wait_for(dma_idle(device), TRANSFER_TIMEOUT_MS))
		return -EBUSY;

	vfio_pci_cmd_set(device, PCI_COMMAND_MASTER);
	edu->cut_off = false;
	return 0;
}

static int edu_memcpy_start(struct vfio_pci_device *device,
			    iova_t src, iova_t dst, u64 size, u64 count)
{
	struct edu *edu = device->driver.priv;
	int ret;

	if (src + size - 1 > EDU_DMA_MASK || dst + size - 1 > EDU_DMA_MASK)
		return -EINVAL;
	ret = recover(device);
	if (ret)
		return ret;

	*edu = (struct edu){ .src = src, .dst = dst, .size = size, .copies_left = count };
	transfer_start(device);
	return 0;
}

static int edu_memcpy_wait(struct vfio_pci_device *device)
{
	struct edu *edu = device->driver.priv;

	for (;;) {
		int ret = transfer_wait(device);

		if (ret)
			return ret;

		if (edu->to_host && !--edu->copies_left)
			return 0;

		edu->to_host = !edu->to_host;
		transfer_start(device);
	}
}

/* The bytes are in the device's buffer then, and the other transfer wants its command only. */
static int edu_memcpy_prepare(struct vfio_pci_device *device, iova_t src, iova_t dst, u64 size,
			      u32 vector, struct vfio_pci_doorbell *doorbell)
{
	struct edu *edu = device->driver.priv;
	int ret;

	/* Somebody would have to lower it. */
	if (device->driver.irq_index == VFIO_PCI_INTX_IRQ_INDEX)
		return -EOPNOTSUPP;

	ret = edu_memcpy_start(device, src, dst, size, 1);
	if (!ret)
		ret = transfer_wait(device);
	if (ret)
		return ret;

	edu->to_host = true;
	doorbell->bar = EDU_BAR;
	doorbell->offset = EDU_DMA_CMD;
	doorbell->value = transfer_prepare(device) | EDU_DMA_CMD_IRQ;
	return 0;
}

/*
 * INTx must stay up until the kernel has seen which device it is of and masked it, or nobody
 * owns it, and must be down before it is unmasked, or there is a second one.
 */
static int edu_send_msi(struct vfio_pci_device *device, u32 vector)
{
	bool intx = device->driver.irq_index == VFIO_PCI_INTX_IRQ_INDEX;
	bool taken = true;
	int ret;

	ret = recover(device);
	if (ret)
		return ret;
	if (intx && vfio_pci_intx_masked(device))
		return -EBUSY;

	edu_write(device, EDU_IRQ_RAISE, IRQ_CAUSE);
	if (intx)
		taken = wait_for(vfio_pci_intx_masked(device), INTX_TIMEOUT_MS);
	edu_write(device, EDU_IRQ_ACK, IRQ_CAUSE);

	return taken ? 0 : -ETIMEDOUT;
}

static const struct vfio_pci_driver_ops edu_ops = {
	.name = "edu",
	.probe = edu_probe,
	.init = edu_init,
	.remove = edu_remove,
	.memcpy_start = edu_memcpy_start,
	.memcpy_wait = edu_memcpy_wait,
	.memcpy_prepare = edu_memcpy_prepare,
	.send_msi = edu_send_msi,
};

VFIO_PCI_DRIVER(edu_ops);
