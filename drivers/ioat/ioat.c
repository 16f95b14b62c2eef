// SPDX-License-Identifier: GPL-2.0-only
/*
 * Intel's DMA engine in Xeon processors, known as QuickData Technology, I/OAT or CBDMA: chains of
 * copies in memory, on one channel with one vector of MSI-X, or on several; or with INTx.
 *
 * Between operations a channel is suspended. Each begins by telling it the address of our only
 * descriptor, whose successor is itself, and then how many there are; that write is the doorbell.
 * The interrupt is that of a small copy within our own memory, and has to be rearmed each time.
 * A channel that met an error has halted, and is reset as is one that does not come to its end.
 *
 * Sections are those of the Datasheet Volume Two of Xeon E7-2800/4800/8800 v2. Numbers are from the
 * kernel's driver.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/bits.h>
#include <linux/kernel.h>
#include <linux/sizes.h>

#include <ioat/hw.h>
#include <ioat/registers.h>
#include <libvfio/deadline.h>
#include <libvfio/io.h>
#include <libvfio/vfio_pci_device.h>

#define IOAT_VENDOR_ID 0x8086
/* Larger ones are none, and the header names no mask (14.4, 14.5). */
#define IOAT_DMA_MASK GENMASK_ULL(51, 0)
#define IOAT_XFERCAP_LOG2 0x1f
#define IOAT_CHANCNT_NUMBER 0x1f

/* No function had more. */
#define MAX_CHANNELS 8U
/* What the copy that is done for its interrupt moves. */
#define PROBE_SIZE 64

/* Behind the time that the bytes take, at 100 MB/s. */
#define COPY_TIMEOUT_MS 2000
#define BYTES_PER_MS 100000
#define STOP_TIMEOUT_MS 1000
#define INTX_TIMEOUT_MS 1000

/**
 * struct ioat_memory - What a channel has in the driver's region.
 * @descriptor: the only one, its own successor
 * @completion: the channel writes its status here
 * @unused: so that the next one has a line of the cache to itself
 * @src: what it copies for the interrupt's sake
 * @dst: to here
 */
struct ioat_memory {
	struct ioat_dma_descriptor descriptor;
	u64 completion;
	u64 unused[7];
	u8 src[PROBE_SIZE];
	u8 dst[PROBE_SIZE];
};

/**
 * struct ioat - State of the driver.
 * @channels: how many the function has
 * @channel: of the operation in progress
 * @bytes: how many it copies
 */
struct ioat {
	u32 channels;
	u32 channel;
	u64 bytes;
};

static struct ioat *to_ioat(struct vfio_pci_device *device)
{
	return device->driver.priv;
}

static struct ioat_memory *memory_of(struct vfio_pci_device *device, u32 channel)
{
	return (struct ioat_memory *)device->driver.region.vaddr + channel;
}

static iova_t iova_of(struct vfio_pci_device *device, const void *in_region)
{
	return device->driver.region.iova + (in_region - device->driver.region.vaddr);
}

/* Registers *********************************************************************************/

static u64 channel_register(u32 channel, u64 offset)
{
	return IOAT_CHANNEL_MMIO_SIZE * (channel + 1) + offset;
}

static u32 read_register(struct vfio_pci_device *device, u64 offset, size_t size)
{
	u32 value = 0;

	vfio_pci_bar_access(device, IOAT_MMIO_BAR, false, offset, size, &value);
	return value;
}

static void write_register(struct vfio_pci_device *device, u64 offset, size_t size, u32 value)
{
	vfio_pci_bar_access(device, IOAT_MMIO_BAR, true, offset, size, &value);
}

static u8 read_8(struct vfio_pci_device *device, u64 offset)
{
	return read_register(device, offset, 1);
}

static u32 read_32(struct vfio_pci_device *device, u64 offset)
{
	return read_register(device, offset, 4);
}

static void write_8(struct vfio_pci_device *device, u64 offset, u8 value)
{
	write_register(device, offset, 1, value);
}

static void write_16(struct vfio_pci_device *device, u64 offset, u16 value)
{
	write_register(device, offset, 2, value);
}

static void write_32(struct vfio_pci_device *device, u64 offset, u32 value)
{
	write_register(device, offset, 4, value);
}

/* Not every one of them takes 64 bits at once, says the kernel's driver. */
static void write_64(struct vfio_pci_device *device, u64 offset, u64 value)
{
	write_32(device, offset, value);
	write_32(device, offset + 4, value >> 32);
}

static u32 channel_status(struct vfio_pci_device *device, u32 channel)
{
	return read_32(device, channel_register(channel, IOAT_CHANSTS_OFFSET)) &
	       IOAT_CHANSTS_STATUS;
}

/* Errors ************************************************************************************/

static const char *const error_names[] = {
	"source address", "destination address", "next descriptor's address", "descriptor",
	"chain address", "command", "chipset data integrity", "DMA data integrity", "reading data",
	"writing data", "descriptor's control", "length", "completion address",
	"interrupt configuration", "soft error", "unaffiliated", "XOR P or CRC", "XOR Q",
	"descriptor count",
};

static void say_errors(struct vfio_pci_device *device, u32 channel)
{
	u32 errors = read_32(device, channel_register(channel, IOAT_CHANERR_OFFSET));
	char words[512] = "", *end = words;

	for (u32 i = 0; i < ARRAY_SIZE(error_names); i++) {
		if (errors & BIT(i))
			end += sprintf(end, "%s %s", end == words ? ":" : ",", error_names[i]);
	}
	fprintf(stderr, "%s: ioat: channel %u has halted, CHANERR %#x%s\n", device->bdf, channel,
		errors, words);
}

/* Both are cleared by writing ones; it does not start before (14.4, CHANERR_INT; 14.5, CHANERR). */
static void clear_errors(struct vfio_pci_device *device, u32 channel)
{
	u64 offset = channel_register(channel, IOAT_CHANERR_OFFSET);

	write_32(device, offset, read_32(device, offset));
	if (device->config_space.size >= IOAT_PCI_CHANERR_INT_OFFSET + sizeof(u32)) {
		u32 errors = vfio_pci_config_readl(device, IOAT_PCI_CHANERR_INT_OFFSET);

		vfio_pci_config_writel(device, IOAT_PCI_CHANERR_INT_OFFSET, errors);
	}
}

/* The channels ******************************************************************************/

static bool is_resetting(struct vfio_pci_device *device, u32 channel)
{
	return read_8(device, channel_register(channel, IOAT2_CHANCMD_OFFSET)) &
	       IOAT_CHANCMD_RESET;
}

/* What it was doing is thrown away, and it halts (14.5, CHANCMD). */
static int channel_reset(struct vfio_pci_device *device, u32 channel)
{
	clear_errors(device, channel);
	write_8(device, channel_register(channel, IOAT2_CHANCMD_OFFSET), IOAT_CHANCMD_RESET);
	if (!wait_for(!is_resetting(device, channel), STOP_TIMEOUT_MS))
		return -ETIMEDOUT;
	clear_errors(device, channel);
	return channel_status(device, channel) == IOAT_CHANSTS_HALTED ? 0 : -EIO;
}

static int reset_all(struct vfio_pci_device *device, u32 channels)
{
	int ret = 0;

	for (u32 i = 0; i < channels && !ret; i++)
		ret = channel_reset(device, i);
	return ret;
}

/*
 * Reading INTRCTRL disables INTx, and reading ATTNSTATUS forgets which channels wanted it, as the
 * kernel's driver has it; also if it was by MSI-X that they told.
 */
static void enable_interrupts(struct vfio_pci_device *device)
{
	bool msix = device->driver.irq_index == VFIO_PCI_MSIX_IRQ_INDEX;

	(void)read_8(device, IOAT_INTRCTRL_OFFSET);
	(void)read_32(device, IOAT_ATTNSTATUS_OFFSET);
	write_8(device, IOAT_INTRCTRL_OFFSET, IOAT_INTRCTRL_MASTER_INT_EN |
		(msix ? IOAT_INTRCTRL_MSIX_VECTOR_CONTROL : 0));
}

/* After this no DMA is in flight, and the device works again. If not, it reaches memory no more. */
static int restart(struct vfio_pci_device *device)
{
	const struct ioat *ioat = to_ioat(device);
	int ret = channel_reset(device, ioat->channel);

	if (ret)
		ret = __vfio_pci_device_reset(device) ?: reset_all(device, ioat->channels);
	if (ret)
		vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	else
		enable_interrupts(device);
	return ret;
}

/*
 * All of an operation but the doorbell: @count times the same copy. The doorbell is the upper half
 * of a word whose lower half takes commands, of which 0 is none.
 */
static struct vfio_pci_doorbell channel_prepare(struct vfio_pci_device *device, u32 channel,
						iova_t src, iova_t dst, u32 size, u32 count,
						bool interrupt)
{
	struct ioat_memory *memory = memory_of(device, channel);
	iova_t descriptor = iova_of(device, &memory->descriptor);
	struct ioat *ioat = to_ioat(device);

	ioat->channel = channel;
	ioat->bytes = (u64)size * count;
	memory->completion = 0;
	memory->descriptor = (struct ioat_dma_descriptor){
		.size = size,
		.ctl_f.op = IOAT_OP_COPY,
		.ctl_f.int_en = interrupt,
		.ctl_f.compl_write = 1,
		.src_addr = src,
		.dst_addr = dst,
		.next = descriptor,
	};

	write_64(device, channel_register(channel, IOAT_CHANCMP_OFFSET),
		 iova_of(device, &memory->completion));
	write_64(device, channel_register(channel, IOAT2_CHAINADDR_OFFSET), descriptor);
	write_16(device, channel_register(channel, IOAT_CHANCTRL_OFFSET),
		 IOAT_CHANCTRL_INT_REARM | IOAT_CHANCTRL_ANY_ERR_ABORT_EN);

	return (struct vfio_pci_doorbell){
		.bar = IOAT_MMIO_BAR,
		.offset = channel_register(channel, IOAT2_CHANCMD_OFFSET),
		.value = count << 16,
	};
}

static void ring_doorbell(struct vfio_pci_device *device, struct vfio_pci_doorbell doorbell)
{
	write_16(device, channel_register(to_ioat(device)->channel, IOAT_CHAN_DMACOUNT_OFFSET),
		 doorbell.value >> 16);
}

/* Its status comes to memory behind the bytes, for each descriptor; only CHANSTS knows the last. */
static bool is_done(struct vfio_pci_device *device)
{
	u32 channel = to_ioat(device)->channel;
	struct ioat_memory *memory = memory_of(device, channel);
	u64 written = *(volatile u64 *)&memory->completion;

	return channel_status(device, channel) == IOAT_CHANSTS_DONE &&
	       (written & IOAT_CHANSTS_COMPLETED_DESCRIPTOR_ADDR) ==
	       iova_of(device, &memory->descriptor);
}

static bool is_halted(struct vfio_pci_device *device)
{
	return channel_status(device, to_ioat(device)->channel) == IOAT_CHANSTS_HALTED;
}

/* A channel that is done takes the address of a new chain only if it is suspended. */
static bool channel_suspend(struct vfio_pci_device *device, u32 channel)
{
	write_8(device, channel_register(channel, IOAT2_CHANCMD_OFFSET), IOAT_CHANCMD_SUSPEND);
	return wait_for(channel_status(device, channel) == IOAT_CHANSTS_SUSPENDED,
			STOP_TIMEOUT_MS);
}

/* Waits for the operation in progress. */
static int channel_wait(struct vfio_pci_device *device)
{
	const struct ioat *ioat = to_ioat(device);
	u64 ms = COPY_TIMEOUT_MS + ioat->bytes / BYTES_PER_MS;
	int ret = -ETIMEDOUT;

	if (wait_for(is_done(device) || is_halted(device), ms))
		ret = is_halted(device) ? -EIO : 0;
	if (ret == -EIO)
		say_errors(device, ioat->channel);
	if (!ret && !channel_suspend(device, ioat->channel))
		ret = -ETIMEDOUT;
	if (ret && restart(device))
		ret = -ETIMEDOUT;
	return ret;
}

/* The driver ********************************************************************************/

/* Skylake-SP, and E5 and E7 from the first to v4, which all had ten of them. */
static bool is_known(u16 id)
{
	const u16 families[] = { 0x3c20, PCI_DEVICE_ID_INTEL_IOAT_IVB0,
				 PCI_DEVICE_ID_INTEL_IOAT_HSW0, PCI_DEVICE_ID_INTEL_IOAT_BDX0 };

	for (u32 i = 0; i < ARRAY_SIZE(families); i++) {
		u16 number = id - families[i];

		if (number <= 0x7 || number == 0xe || number == 0xf)
			return true;
	}
	return id == PCI_DEVICE_ID_INTEL_IOAT_SKX;
}

static int ioat_probe(struct vfio_pci_device *device)
{
	u16 id = vfio_pci_config_readw(device, PCI_DEVICE_ID);

	if (!is_known(id) || !vfio_pci_device_match(device, IOAT_VENDOR_ID, id))
		return -ENODEV;

	vfio_pci_driver_use_irqs(device, BIT(VFIO_PCI_INTX_IRQ_INDEX) |
					 BIT(VFIO_PCI_MSIX_IRQ_INDEX));
	device->driver.dma_mask = IOAT_DMA_MASK;

	return 0;
}

/* Return: whether the registers are where they should be, and the device answers at all. */
static bool is_alive(struct vfio_pci_device *device)
{
	u8 version = read_8(device, IOAT_VER_OFFSET);
	u32 channels = read_8(device, IOAT_CHANCNT_OFFSET) & IOAT_CHANCNT_NUMBER;

	return GET_IOAT_VER_MAJOR(version) == 3 && channels && channels <= MAX_CHANNELS &&
	       read_8(device, IOAT_XFERCAP_OFFSET) & IOAT_XFERCAP_LOG2;
}

static void state_capabilities(struct vfio_pci_device *device, u32 vectors)
{
	struct vfio_pci_driver *driver = &device->driver;
	u32 log2 = read_8(device, IOAT_XFERCAP_OFFSET) & IOAT_XFERCAP_LOG2;

	driver->max_memcpy_size = 1U << log2;
	driver->max_memcpy_count = UINT16_MAX;
	driver->memcpy_align = 1;
	driver->no_memcpy = NULL;
	driver->msi = 0;
	driver->nr_msi = vectors;
	driver->constant = (struct vfio_pci_registers){
		IOAT_MMIO_BAR, IOAT_VER_OFFSET, sizeof(u32),
	};
	driver->scratch = (struct vfio_pci_registers){
		IOAT_MMIO_BAR, channel_register(0, IOAT_CHANCMP_OFFSET), sizeof(u32),
	};
}

static int ioat_init(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;
	u32 channels, vectors;
	int ret;

	if (!is_alive(device))
		return -EIO;
	channels = read_8(device, IOAT_CHANCNT_OFFSET) & IOAT_CHANCNT_NUMBER;
	/* What someone else left running must not reach our memory. */
	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	if (reset_all(device, channels)) {
		ret = __vfio_pci_device_reset(device) ?: reset_all(device, channels);
		if (ret)
			return ret;
	}

	vectors = min(device->irq_info[driver->irq_index].count, channels);
	ret = __vfio_pci_irq_enable(device, driver->irq_index, 0, vectors);
	if (ret)
		return ret;

	driver->priv = calloc(1, sizeof(struct ioat));
	VFIO_ASSERT_NOT_NULL(driver->priv);
	VFIO_ASSERT_EQ(driver->region.iova % IOAT_DESC_SZ, 0UL);
	to_ioat(device)->channels = channels;
	state_capabilities(device, vectors);

	enable_interrupts(device);
	vfio_pci_cmd_set(device, PCI_COMMAND_MASTER);
	return 0;
}

static void ioat_remove(struct vfio_pci_device *device)
{
	write_8(device, IOAT_INTRCTRL_OFFSET, 0);
	/* One that is not reset at least does not reach memory any more. */
	(void)reset_all(device, to_ioat(device)->channels);
	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	vfio_pci_irq_disable(device, device->driver.irq_index);

	free(device->driver.priv);
	device->driver.priv = NULL;
}

static bool is_reachable(iova_t iova, u64 size)
{
	return iova <= IOAT_DMA_MASK && iova + size - 1 <= IOAT_DMA_MASK;
}

static int ioat_memcpy_start(struct vfio_pci_device *device,
			     iova_t src, iova_t dst, u64 size, u64 count)
{
	if (!is_reachable(src, size) || !is_reachable(dst, size))
		return -EINVAL;

	ring_doorbell(device, channel_prepare(device, 0, src, dst, size, count, false));
	return 0;
}

static int ioat_memcpy_wait(struct vfio_pci_device *device)
{
	return channel_wait(device);
}

static int ioat_memcpy_prepare(struct vfio_pci_device *device, iova_t src, iova_t dst, u64 size,
			       u32 vector, struct vfio_pci_doorbell *doorbell)
{
	/* Somebody would have to lower it. */
	if (device->driver.irq_index == VFIO_PCI_INTX_IRQ_INDEX)
		return -EOPNOTSUPP;
	if (!is_reachable(src, size) || !is_reachable(dst, size))
		return -EINVAL;

	*doorbell = channel_prepare(device, vector, src, dst, size, 1, true);
	return 0;
}

/* Return: whether the channel has raised INTx since the last time; if so, it is forgotten. */
static bool take_attention(struct vfio_pci_device *device, u32 channel)
{
	return read_32(device, IOAT_ATTNSTATUS_OFFSET) & BIT(channel);
}

/*
 * INTx must stay up until the kernel has seen whose it is and masked it. Somebody else may have
 * masked it before it went up, so that is waited for as well, or it would stay up.
 */
static bool intx_is_taken(struct vfio_pci_device *device, u32 channel)
{
	bool taken = wait_for(vfio_pci_intx_masked(device), INTX_TIMEOUT_MS);

	taken &= wait_for(take_attention(device, channel), INTX_TIMEOUT_MS);
	enable_interrupts(device);
	return taken;
}

static int ioat_send_msi(struct vfio_pci_device *device, u32 vector)
{
	bool intx = device->driver.irq_index == VFIO_PCI_INTX_IRQ_INDEX;
	struct ioat_memory *memory = memory_of(device, vector);
	int ret;

	if (intx && vfio_pci_intx_masked(device))
		return -EBUSY;

	ring_doorbell(device, channel_prepare(device, vector, iova_of(device, memory->src),
					      iova_of(device, memory->dst), PROBE_SIZE, 1, true));
	ret = channel_wait(device);
	if (!ret && intx && !intx_is_taken(device, vector))
		ret = -ETIMEDOUT;
	return ret;
}

static const struct vfio_pci_driver_ops ioat_ops = {
	.name = "ioat",
	.probe = ioat_probe,
	.init = ioat_init,
	.remove = ioat_remove,
	.memcpy_start = ioat_memcpy_start,
	.memcpy_wait = ioat_memcpy_wait,
	.memcpy_prepare = ioat_memcpy_prepare,
	.send_msi = ioat_send_msi,
};

VFIO_PCI_DRIVER(ioat_ops);
