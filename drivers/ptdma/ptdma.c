// SPDX-License-Identifier: GPL-2.0-only
/*
 * AMD Pass-Through DMA engine: one queue of copies, one interrupt, by MSI-X, MSI or INTx.
 *
 * Between operations the queue stands still. Each begins with the first command of the ring, and
 * by one register write, the one that lets the queue run. The interrupt is that of a small copy
 * within our own memory. The queue stops at a command that fails, and goes on when it is told
 * where; after one that does not end, the function is reset.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/kernel.h>
#include <linux/sizes.h>

#include <libvfio/deadline.h>
#include <libvfio/vfio_pci_device.h>

#include "regs.h"

/* As many as the page alignment of the ring allows. One stays free, or full would be empty. */
#define RING_LOG2 7
#define RING_COMMANDS (1U << RING_LOG2)
#define RING_SIZE (RING_COMMANDS * sizeof(struct ptdma_command))

/* The copy that is done for its interrupt: where in the driver's region, and how much. */
#define PROBE_SRC SZ_4K
#define PROBE_DST (SZ_4K + SZ_2K)
#define PROBE_SIZE 64

/* The length has 32 bits; nobody needs more, and the wait is to be short. */
#define MAX_COPY_SIZE SZ_16M

/* Behind the time that the bytes take, at 100 MB/s. */
#define COPY_TIMEOUT_MS 2000
#define BYTES_PER_MS 100000
#define STOP_TIMEOUT_MS 1000
#define INTX_TIMEOUT_MS 1000

/**
 * struct ptdma - State of the driver.
 * @ring: the commands, at the beginning of the driver's region
 * @tail: what HEAD becomes when the operation in progress is over
 * @interrupts: bits of INT_STATUS that are set then
 * @bytes: how many it copies
 */
struct ptdma {
	struct ptdma_command *ring;
	u32 tail;
	u32 interrupts;
	u64 bytes;
};

static struct ptdma *to_ptdma(struct vfio_pci_device *device)
{
	return device->driver.priv;
}

static u32 ptdma_read(struct vfio_pci_device *device, u32 reg)
{
	return vfio_pci_bar_readl(device, PTDMA_BAR, reg);
}

static void ptdma_write(struct vfio_pci_device *device, u32 reg, u32 value)
{
	vfio_pci_bar_writel(device, PTDMA_BAR, reg, value);
}

/* Errors ************************************************************************************/

static const char *const error_names[] = {
	[1] = "ILLEGAL_ENGINE",
	[3] = "ILLEGAL_FUNCTION_TYPE",
	[4] = "ILLEGAL_FUNCTION_MODE",
	[6] = "ILLEGAL_FUNCTION_SIZE",
	[8] = "ILLEGAL_FUNCTION_RSVD",
	[9] = "ILLEGAL_BUFFER_LENGTH",
	[10] = "VLSB_FAULT",
	[11] = "ILLEGAL_MEM_ADDR",
	[12] = "ILLEGAL_MEM_SEL",
	[13] = "ILLEGAL_CONTEXT_ID",
	[18] = "CMD_TIMEOUT",
	[19] = "IDMA0_AXI_SLVERR",
	[20] = "IDMA0_AXI_DECERR",
	[22] = "IDMA1_AXI_SLVERR",
	[23] = "IDMA1_AXI_DECERR",
	[38] = "ODMA0_AXI_SLVERR",
	[39] = "ODMA0_AXI_DECERR",
	[41] = "ODMA1_AXI_SLVERR",
	[42] = "ODMA1_AXI_DECERR",
	[43] = "LSB_PARITY_ERR",
};

static bool has_failed(struct vfio_pci_device *device)
{
	return ptdma_read(device, PTDMA_INT_STATUS) & PTDMA_INT_ERROR;
}

static void say_error(struct vfio_pci_device *device)
{
	u32 status = ptdma_read(device, PTDMA_STATUS), error = PTDMA_STATUS_ERROR(status);
	const char *name = error < ARRAY_SIZE(error_names) ? error_names[error] : NULL;
	bool fetching = PTDMA_STATUS_SOURCE(status) == PTDMA_SOURCE_COMMAND;

	fprintf(stderr, "%s: ptdma: error %u, %s, of the %s\n", device->bdf, error,
		name ? name : "reserved", fetching ? "command" : "data");
}

/* The queue *********************************************************************************/

static u32 control(struct vfio_pci_device *device)
{
	return PTDMA_CONTROL_SIZE(RING_LOG2) | PTDMA_CONTROL_ADDRESS(device->driver.region.iova);
}

/* Nothing is in flight then: HALTED says so, and so does a job that is none. */
static bool is_halted(struct vfio_pci_device *device)
{
	u32 value = ptdma_read(device, PTDMA_CONTROL);

	return !(value & PTDMA_CONTROL_RUN) &&
	       (value & PTDMA_CONTROL_HALTED ||
		PTDMA_STATUS_JOB(ptdma_read(device, PTDMA_STATUS)) == PTDMA_JOB_IDLE);
}

/* A command that has begun comes to its end first, if it has one. */
static int queue_stop(struct vfio_pci_device *device)
{
	u32 value = ptdma_read(device, PTDMA_CONTROL);
	bool halted;

	ptdma_write(device, PTDMA_INT_ENABLE, 0);
	ptdma_write(device, PTDMA_CONTROL, value & ~(PTDMA_CONTROL_RUN | PTDMA_CONTROL_HALTED));
	halted = wait_for(is_halted(device), STOP_TIMEOUT_MS);
	ptdma_write(device, PTDMA_INT_STATUS, PTDMA_INT_ALL);
	return halted ? 0 : -ETIMEDOUT;
}

static void setup(struct vfio_pci_device *device)
{
	ptdma_write(device, PTDMA_CONFIG, PTDMA_CONFIG_VHB_EN);
	ptdma_write(device, PTDMA_QUEUE_PRIO, PTDMA_QUEUE_PRIO_VALUE);
	ptdma_write(device, PTDMA_TIMEOUT, PTDMA_TIMEOUT_OFF);
	ptdma_write(device, PTDMA_CLK_GATE_CTL, PTDMA_CLK_GATE_CTL_VALUE);
	ptdma_write(device, PTDMA_REQID_CONFIG, 0);
}

/* That leaves config space, with the enabled interrupts, as it is. */
static int restart(struct vfio_pci_device *device)
{
	int ret = __vfio_pci_device_reset(device);

	if (!ret)
		ret = queue_stop(device);
	if (ret)
		vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	else
		setup(device);
	return ret;
}

static void command_write(struct vfio_pci_device *device, u32 index, iova_t src, iova_t dst,
			  u32 size)
{
	to_ptdma(device)->ring[index] = (struct ptdma_command){
		.function = PTDMA_COMMAND_COPY | PTDMA_COMMAND_END,
		.length = size,
		.src_low = src,
		.src_high = src >> 32,
		.dst_low = dst,
		.dst_high = dst >> 32,
	};
}

/*
 * @count commands are in the ring, and the last of them is to cause @interrupts, if any.
 * Return: the doorbell. The commands are in memory by then, see libvfio/io.h.
 */
static struct vfio_pci_doorbell queue_prepare(struct vfio_pci_device *device, u32 count,
					      u32 interrupts)
{
	struct ptdma *ptdma = to_ptdma(device);
	u32 head = device->driver.region.iova;

	if (interrupts)
		ptdma->ring[count - 1].function |= PTDMA_COMMAND_INTERRUPT;
	ptdma->tail = head + count * sizeof(struct ptdma_command);
	ptdma->interrupts = interrupts;

	ptdma_write(device, PTDMA_CONTROL, control(device));
	ptdma_write(device, PTDMA_HEAD, head);
	ptdma_write(device, PTDMA_TAIL, ptdma->tail);
	ptdma_write(device, PTDMA_INT_STATUS, PTDMA_INT_ALL);
	ptdma_write(device, PTDMA_INT_ENABLE, interrupts);

	return (struct vfio_pci_doorbell){
		.bar = PTDMA_BAR,
		.offset = PTDMA_CONTROL,
		.value = control(device) | PTDMA_CONTROL_RUN,
	};
}

static void ring_doorbell(struct vfio_pci_device *device, struct vfio_pci_doorbell doorbell)
{
	ptdma_write(device, doorbell.offset, doorbell.value);
}

/* Before its interrupt is sent none must be disabled. */
static bool is_done(struct vfio_pci_device *device)
{
	const struct ptdma *ptdma = to_ptdma(device);

	return ptdma_read(device, PTDMA_HEAD) == ptdma->tail &&
	       !(~ptdma_read(device, PTDMA_INT_STATUS) & ptdma->interrupts);
}

/* It stops by itself only at an error, and by a reset. */
static bool is_over(struct vfio_pci_device *device)
{
	return is_done(device) || has_failed(device) ||
	       ptdma_read(device, PTDMA_CONTROL) & PTDMA_CONTROL_HALTED;
}

/* Waits for the operation in progress, and has the queue stand still. */
static int queue_wait(struct vfio_pci_device *device)
{
	u64 ms = COPY_TIMEOUT_MS + to_ptdma(device)->bytes / BYTES_PER_MS;
	bool over = wait_for(is_over(device), ms), failed = has_failed(device);
	int ret = over ? 0 : -ETIMEDOUT;

	if (failed)
		say_error(device);
	if (over && !is_done(device))
		ret = -EIO;
	/* What does not say that it is over may go on copying. */
	if (queue_stop(device))
		return restart(device) ?: -ETIMEDOUT;
	return ret;
}

/* The driver ********************************************************************************/

static int ptdma_probe(struct vfio_pci_device *device)
{
	if (!vfio_pci_device_match(device, PTDMA_VENDOR_ID, PTDMA_DEVICE_ID))
		return -ENODEV;

	vfio_pci_driver_use_irqs(device, BIT(VFIO_PCI_INTX_IRQ_INDEX) |
					 BIT(VFIO_PCI_MSI_IRQ_INDEX) |
					 BIT(VFIO_PCI_MSIX_IRQ_INDEX));
	device->driver.dma_mask = PTDMA_DMA_MASK;

	return 0;
}

/* Whether the registers are where they should be, and the device answers at all. */
static bool is_alive(struct vfio_pci_device *device)
{
	u32 version = ptdma_read(device, PTDMA_VERSION);

	return version != UINT32_MAX && version & PTDMA_VERSION_NUMBER;
}

static int ptdma_init(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;
	int ret;

	if (!is_alive(device))
		return -EIO;
	/* What someone else left running must not reach our memory. */
	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	ret = queue_stop(device) ? restart(device) : 0;
	if (ret)
		return ret;
	ret = __vfio_pci_irq_enable(device, driver->irq_index, 0, 1);
	if (ret)
		return ret;

	driver->priv = calloc(1, sizeof(struct ptdma));
	VFIO_ASSERT_NOT_NULL(driver->priv);
	VFIO_ASSERT_TRUE(!(driver->region.iova % RING_SIZE));
	to_ptdma(device)->ring = driver->region.vaddr;
	driver->max_memcpy_size = MAX_COPY_SIZE;
	driver->max_memcpy_count = RING_COMMANDS - 1;
	driver->memcpy_align = 1;
	driver->no_memcpy = NULL;
	driver->msi = 0;
	driver->nr_msi = 1;
	driver->constant = (struct vfio_pci_registers){ PTDMA_BAR, PTDMA_VERSION, sizeof(u32) };

	setup(device);
	vfio_pci_cmd_set(device, PCI_COMMAND_MASTER);
	return 0;
}

static void ptdma_remove(struct vfio_pci_device *device)
{
	/* If it does not stop, at least it does not reach memory any more. */
	(void)queue_stop(device);
	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	vfio_pci_irq_disable(device, device->driver.irq_index);

	free(device->driver.priv);
	device->driver.priv = NULL;
}

static bool is_reachable(iova_t iova, u64 size)
{
	return iova + size - 1 <= PTDMA_DMA_MASK;
}

static int ptdma_memcpy_start(struct vfio_pci_device *device,
			      iova_t src, iova_t dst, u64 size, u64 count)
{
	if (!is_reachable(src, size) || !is_reachable(dst, size))
		return -EINVAL;

	for (u32 i = 0; i < count; i++)
		command_write(device, i, src, dst, size);
	to_ptdma(device)->bytes = size * count;
	ring_doorbell(device, queue_prepare(device, count, 0));
	return 0;
}

static int ptdma_memcpy_wait(struct vfio_pci_device *device)
{
	return queue_wait(device);
}

static int ptdma_memcpy_prepare(struct vfio_pci_device *device, iova_t src, iova_t dst, u64 size,
				u32 vector, struct vfio_pci_doorbell *doorbell)
{
	/* Somebody would have to lower it. */
	if (device->driver.irq_index == VFIO_PCI_INTX_IRQ_INDEX)
		return -EOPNOTSUPP;
	if (!is_reachable(src, size) || !is_reachable(dst, size))
		return -EINVAL;

	command_write(device, 0, src, dst, size);
	to_ptdma(device)->bytes = size;
	*doorbell = queue_prepare(device, 1, PTDMA_INT_COMPLETION);
	return 0;
}

static int ptdma_send_msi(struct vfio_pci_device *device, u32 vector)
{
	bool intx = device->driver.irq_index == VFIO_PCI_INTX_IRQ_INDEX;
	iova_t region = device->driver.region.iova;
	bool taken = true;
	int ret;

	if (intx && vfio_pci_intx_masked(device))
		return -EBUSY;

	command_write(device, 0, region + PROBE_SRC, region + PROBE_DST, PROBE_SIZE);
	to_ptdma(device)->bytes = PROBE_SIZE;
	ring_doorbell(device, queue_prepare(device, 1, PTDMA_INT_COMPLETION));

	/* INTx must stay up until the kernel has seen whose it is and masked it. */
	if (intx)
		taken = wait_for(vfio_pci_intx_masked(device), INTX_TIMEOUT_MS);
	ret = queue_wait(device);

	return ret ?: taken ? 0 : -ETIMEDOUT;
}

static const struct vfio_pci_driver_ops ptdma_ops = {
	.name = "ptdma",
	.probe = ptdma_probe,
	.init = ptdma_init,
	.remove = ptdma_remove,
	.memcpy_start = ptdma_memcpy_start,
	.memcpy_wait = ptdma_memcpy_wait,
	.memcpy_prepare = ptdma_memcpy_prepare,
	.send_msi = ptdma_send_msi,
};

VFIO_PCI_DRIVER(ptdma_ops);
