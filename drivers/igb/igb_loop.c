// SPDX-License-Identifier: GPL-2.0-only
/*
 * memcpy by sending frames to oneself. The device has no means to copy memory, but what it
 * sends, it can receive.
 *
 * A frame is a header of ours, fetched from driver.region, and a piece of the source. The
 * receiving side always splits its frames (8.10.2): the first IGB_HEADER_SIZE bytes go to a sink
 * in driver.region and the rest, exactly the piece, to the destination. So any number of bytes
 * can be copied, down to one, and none of them is taken for an address, a VLAN tag or padding.
 *
 * Nobody reads the descriptors of the sending side again: what has been received has been sent.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include <linux/kernel.h>
#include <linux/mii.h>
#include <linux/sizes.h>

#include <libvfio/deadline.h>

#include "igb.h"

#define PHY_TIMEOUT_MS 10
#define LINK_TIMEOUT_MS 3000
#define QUEUE_TIMEOUT_MS 100
/* Many times what all frames in flight take at 1 Gb/s, 17 ms. */
#define FRAME_TIMEOUT_MS 300

/* The device sets no limit, the rings are filled again as they empty; tests go as far as this. */
#define MAX_SIZE SZ_4M
#define MAX_COPIES UINT16_MAX

/* QEMU maps a buffer to be sent as a whole or not at all, so none may cross a page. */
#define TX_BUFFER_SIZE SZ_4K

/*
 * In units of 1 KiB (8.10.2), so that a frame never needs a second buffer; for QEMU to take it,
 * the last buffer of a ring has to have room for the header, too.
 */
#define RX_BUFFER_SIZE (IGB_MAX_PAYLOAD + SZ_1K)

_Static_assert(IGB_HEADER_SIZE + IGB_MAX_PAYLOAD + IGB_CRC_SIZE <= IGB_MAX_FRAME, "frame too long");
_Static_assert(sizeof(struct igb_memory) <= SZ_1M, "more memory than a test provides");
/* Its address shares a place with the status, whose first bit must not look set (7.1.5.1). */
_Static_assert(offsetof(struct igb_memory, header_sink) % 2 == 0, "DD before it is done");

static struct igb_memory *memory_of(struct vfio_pci_device *device)
{
	return device->driver.region.vaddr;
}

/* @_member: of struct igb_memory */
#define MEMORY_IOVA(_device, _member)							\
	((_device)->driver.region.iova + offsetof(struct igb_memory, _member))

/* The loop **********************************************************************************/

/* 8.2.4. Other users of the PHY, such as management firmware, are not expected in a test. */
static int phy_write(struct vfio_pci_device *device, u32 reg, u16 value)
{
	igb_write(device, E1000_MDIC, E1000_MDIC_OP_WRITE | value | reg << E1000_MDIC_REG_SHIFT |
		  IGB_PHY_ADDRESS << E1000_MDIC_PHY_SHIFT);

	if (!wait_for(igb_read(device, E1000_MDIC) & E1000_MDIC_READY, PHY_TIMEOUT_MS))
		return -EIO;
	return igb_read(device, E1000_MDIC) & E1000_MDIC_ERROR ? -EIO : 0;
}

/*
 * 3.5.6.3.1: the PHY turns back what it is given, and is told speed and duplex.
 *
 * QEMU's link comes up only some time after a restart of the negotiation, which the second write
 * ends before it begins on the real device.
 */
int igb_loop_begin(struct vfio_pci_device *device)
{
	int ret;

	to_igb(device)->looped = false;
	ret = phy_write(device, MII_BMCR, BMCR_ANENABLE | BMCR_ANRESTART);
	if (ret)
		return ret;
	return phy_write(device, MII_BMCR, BMCR_LOOPBACK | BMCR_SPEED1000 | BMCR_FULLDPLX);
}

static void rings_setup(struct vfio_pci_device *device)
{
	struct igb_memory *memory = memory_of(device);
	u64 tx = MEMORY_IOVA(device, tx), rx = MEMORY_IOVA(device, rx);
	/* Locally administered addresses, and the EtherType for local experiments (IEEE 802). */
	static const u8 header[] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5 };
	struct igb *igb = to_igb(device);

	memset(memory, 0, sizeof(*memory));
	memcpy(memory->header, header, sizeof(header));
	igb->tx_tail = 0;
	igb->rx_tail = 0;
	igb->rx_head = 0;

	igb_write(device, E1000_TDBAL(0), tx);
	igb_write(device, E1000_TDBAH(0), tx >> 32);
	igb_write(device, E1000_TDLEN(0), sizeof(memory->tx));
	igb_write(device, E1000_TDH(0), 0);
	igb_write(device, E1000_TDT(0), 0);
	igb_write(device, E1000_TXDCTL(0), E1000_TXDCTL_QUEUE_ENABLE);

	igb_write(device, E1000_RDBAL(0), rx);
	igb_write(device, E1000_RDBAH(0), rx >> 32);
	igb_write(device, E1000_RDLEN(0), sizeof(memory->rx));
	igb_write(device, E1000_SRRCTL(0), E1000_SRRCTL_DESCTYPE_HDR_SPLIT_ALWAYS |
		  IGB_SRRCTL_PACKET(RX_BUFFER_SIZE) | IGB_SRRCTL_HEADER(IGB_HEADER_SIZE));
	igb_write(device, E1000_RXDCTL(0), E1000_RXDCTL_QUEUE_ENABLE);
	igb_write(device, E1000_RDH(0), 0);
	igb_write(device, E1000_RDT(0), 0);
}

/*
 * RCTL.LBM is for QEMU, where older releases look at nothing else; the real device has no such
 * loop and ignores it (3.5.6.2). The CRC must go, or it would follow the piece to memory.
 */
static void mac_setup(struct vfio_pci_device *device)
{
	u32 ctrl = igb_read(device, E1000_CTRL) & ~E1000_CTRL_SPD_SEL;

	igb_write(device, E1000_CTRL, ctrl | E1000_CTRL_FRCSPD | E1000_CTRL_FRCDPX |
		  E1000_CTRL_SPD_1000 | E1000_CTRL_FD | E1000_CTRL_SLU);
	/* 8.6.1: a read that the IOMMU refused is not tried for ever. */
	igb_write(device, E1000_GCR, igb_read(device, E1000_GCR) & ~E1000_GCR_CMPL_TMOUT_RESEND);

	igb_write(device, E1000_RLPML, IGB_MAX_FRAME);
	igb_write(device, E1000_RCTL, E1000_RCTL_EN | E1000_RCTL_UPE | E1000_RCTL_LPE |
		  E1000_RCTL_LBM_MAC | E1000_RCTL_SECRC);
	igb_write(device, E1000_TCTL, E1000_TCTL_EN | E1000_TCTL_PSP);
}

/* 8.10.10, 8.12.13: a queue takes until the MAC is on to be enabled. */
static bool queues_enabled(struct vfio_pci_device *device)
{
	return igb_read(device, E1000_TXDCTL(0)) & E1000_TXDCTL_QUEUE_ENABLE &&
	       igb_read(device, E1000_RXDCTL(0)) & E1000_RXDCTL_QUEUE_ENABLE;
}

/* Frames ************************************************************************************/

static u32 frames_in_flight(const struct igb *igb)
{
	return (igb->rx_tail - igb->rx_head) % IGB_RX_RING;
}

/* 7.2.2.3: @first is PAYLEN of a frame's first descriptor, @last the flags of its last one. */
static void tx_fill(struct vfio_pci_device *device, iova_t address, u32 size, u32 first, u32 last)
{
	struct igb *igb = to_igb(device);

	memory_of(device)->tx[igb->tx_tail] = (union e1000_adv_tx_desc){
		.read.buffer_addr = address,
		.read.cmd_type_len = size | last | E1000_ADVTXD_DTYP_DATA |
				     E1000_ADVTXD_DCMD_DEXT | E1000_ADVTXD_DCMD_IFCS,
		.read.olinfo_status = first << E1000_ADVTXD_PAYLEN_SHIFT,
	};
	igb->tx_tail = (igb->tx_tail + 1) % IGB_TX_RING;
}

static void frame_fill(struct vfio_pci_device *device, iova_t src, iova_t dst, u32 size)
{
	struct igb *igb = to_igb(device);

	igb->payload[igb->rx_tail] = size;
	memory_of(device)->rx[igb->rx_tail] = (union e1000_adv_rx_desc){
		.read.pkt_addr = dst,
		.read.hdr_addr = MEMORY_IOVA(device, header_sink),
	};
	igb->rx_tail = (igb->rx_tail + 1) % IGB_RX_RING;

	tx_fill(device, MEMORY_IOVA(device, header), IGB_HEADER_SIZE, IGB_HEADER_SIZE + size, 0);
	while (size) {
		u32 piece = min_t(u64, size, TX_BUFFER_SIZE - src % TX_BUFFER_SIZE);

		size -= piece;
		tx_fill(device, src, piece, 0, size ? 0 : E1000_ADVTXD_DCMD_EOP);
		src += piece;
	}
}

/* The descriptors are in memory by then: x86 does not reorder stores, see libvfio/io.h. */
static void frames_send(struct vfio_pci_device *device)
{
	igb_write(device, E1000_RDT(0), to_igb(device)->rx_tail);
	igb_write(device, E1000_TDT(0), to_igb(device)->tx_tail);
}

/* Hands as much of the memcpy to the device as the rings take. */
static void frames_refill(struct vfio_pci_device *device)
{
	struct igb *igb = to_igb(device);

	if (!igb->copies_left)
		return;

	while (igb->copies_left && frames_in_flight(igb) < IGB_MAX_FRAMES) {
		u32 size = min_t(u64, igb->size - igb->offset, IGB_MAX_PAYLOAD);

		frame_fill(device, igb->src + igb->offset, igb->dst + igb->offset, size);
		igb->offset += size;
		if (igb->offset == igb->size) {
			igb->offset = 0;
			igb->copies_left--;
		}
	}
	frames_send(device);
}

static u32 rx_status(struct vfio_pci_device *device)
{
	union e1000_adv_rx_desc *rx = &memory_of(device)->rx[to_igb(device)->rx_head];

	/* Nothing else of the descriptor, nor of the payload, may be read before. */
	return __atomic_load_n(&rx->wb.upper.status_error, __ATOMIC_ACQUIRE);
}

/* 7.1.5.2: waits for the oldest frame in flight and sees whether its payload came whole. */
static int frame_take(struct vfio_pci_device *device)
{
	const u32 good = E1000_RXD_STAT_DD | E1000_RXD_STAT_EOP;
	struct igb *igb = to_igb(device);
	u32 status;

	if (!wait_for(rx_status(device) & E1000_RXD_STAT_DD, FRAME_TIMEOUT_MS))
		return -ETIMEDOUT;

	status = rx_status(device);
	if ((status & (good | E1000_RXDEXT_STATERR_RXE)) != good ||
	    memory_of(device)->rx[igb->rx_head].wb.upper.length != igb->payload[igb->rx_head])
		return -EIO;

	igb->rx_head = (igb->rx_head + 1) % IGB_RX_RING;
	return 0;
}

/* Copies one byte within our own memory, lest a device that splits no headers harms another's. */
static int loop_probe(struct vfio_pci_device *device)
{
	struct igb_memory *memory = memory_of(device);
	int ret;

	memory->probe[0][0] = 0x5a;
	frame_fill(device, MEMORY_IOVA(device, probe[0]), MEMORY_IOVA(device, probe[1]), 1);
	frames_send(device);
	ret = frame_take(device);
	if (ret)
		return ret;
	return memory->probe[1][0] == 0x5a && !memory->probe[1][1] ? 0 : -EIO;
}

static int loop_finish(struct vfio_pci_device *device)
{
	int ret;

	rings_setup(device);
	mac_setup(device);
	if (!wait_for(igb_read(device, E1000_STATUS) & E1000_STATUS_LU, LINK_TIMEOUT_MS) ||
	    !wait_for(queues_enabled(device), QUEUE_TIMEOUT_MS))
		return -ETIMEDOUT;

	ret = loop_probe(device);
	to_igb(device)->looped = !ret;
	return ret;
}

/* Operations ********************************************************************************/

void igb_memcpy_limits(struct vfio_pci_driver *driver)
{
	driver->max_memcpy_size = MAX_SIZE;
	driver->max_memcpy_count = MAX_COPIES;
	driver->memcpy_align = 1;
	driver->no_memcpy = NULL;
}

/* Return: 0 or -errno; why the device cannot copy to @dst. */
static int loop_use(struct vfio_pci_device *device, iova_t dst)
{
	/* QEMU takes a receive descriptor with the address 0 for one without a buffer. */
	if (!dst)
		return -EINVAL;

	return to_igb(device)->looped ? 0 : loop_finish(device);
}

int igb_memcpy_start(struct vfio_pci_device *device,
		     iova_t src, iova_t dst, u64 size, u64 count)
{
	struct igb *igb = to_igb(device);
	int ret = loop_use(device, dst);

	if (ret)
		return ret;

	igb->src = src;
	igb->dst = dst;
	igb->size = size;
	igb->offset = 0;
	igb->copies_left = count;
	frames_refill(device);
	return 0;
}

/* One frame, whose arrival interrupts: 7.3.1.2, the entry of receive queue 0 in IVAR. */
int igb_memcpy_prepare(struct vfio_pci_device *device, iova_t src, iova_t dst, u64 size,
		       u32 vector, struct vfio_pci_doorbell *doorbell)
{
	struct igb *igb = to_igb(device);
	int ret;

	if (device->driver.irq_index != VFIO_PCI_MSIX_IRQ_INDEX)
		return -EOPNOTSUPP;
	ret = loop_use(device, dst);
	if (ret)
		return ret;

	igb->copies_left = 0;
	igb->interrupts = true;
	igb_write(device, E1000_IVAR0, E1000_IVAR_VALID | vector);
	igb_write(device, E1000_EIMS, 1U << vector);
	frame_fill(device, src, dst, size);
	igb_write(device, E1000_RDT(0), igb->rx_tail);
	doorbell->bar = IGB_BAR;
	doorbell->offset = E1000_TDT(0);
	doorbell->value = igb->tx_tail;
	return 0;
}

int igb_memcpy_wait(struct vfio_pci_device *device)
{
	struct igb *igb = to_igb(device);
	int ret;

	while (frames_in_flight(igb)) {
		ret = frame_take(device);
		if (ret) {
			igb_restart(device);
			return ret;
		}
		if (frames_in_flight(igb) <= IGB_MAX_FRAMES / 2)
			frames_refill(device);
	}

	/* Other copies do not interrupt. */
	if (igb->interrupts)
		igb_write(device, E1000_IVAR0, 0);
	igb->interrupts = false;
	return 0;
}
