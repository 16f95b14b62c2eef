/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the igb driver share. */
#ifndef IGB_H
#define IGB_H

#include <libvfio/vfio_pci_device.h>

#include "regs.h"

/*
 * Frames on their way at once, one descriptor each on the receiving side. A ring that is full
 * looks like one that is empty, hence the one less. On the sending side a frame takes one
 * descriptor for its header and up to three for its payload.
 */
#define IGB_RX_RING 256
#define IGB_MAX_FRAMES (IGB_RX_RING - 1)
#define IGB_TX_RING (4 * IGB_RX_RING)

/* The smallest header buffer there is (8.10.2), so each frame begins with that much of ours. */
#define IGB_HEADER_SIZE 64
#define IGB_MAX_PAYLOAD 8192

/**
 * struct igb_memory - What the device and the driver share, at the start of driver.region.
 * @tx: descriptors of frames to send
 * @rx: descriptors of frames to receive
 * @header: the first bytes of every frame sent
 * @header_sink: where the device puts the first bytes of every frame received
 * @probe: two ends of a copy that tells whether the loop is one
 */
struct igb_memory {
	union e1000_adv_tx_desc tx[IGB_TX_RING];
	union e1000_adv_rx_desc rx[IGB_RX_RING];
	u8 header[IGB_HEADER_SIZE];
	u8 header_sink[IGB_HEADER_SIZE];
	u8 probe[2][IGB_HEADER_SIZE];
};

/**
 * struct igb - State of the driver.
 * @vectors: number of interrupt vectors in use
 * @looped: whether what is sent comes back
 * @tx_tail: next descriptor to fill in on the sending side
 * @rx_tail: likewise on the receiving side
 * @rx_head: next descriptor to be filled in by the device
 * @payload: by receive descriptor, the size of the payload that belongs there
 * @src: source of the memcpy in progress
 * @dst: its destination
 * @size: its size
 * @offset: how much of the current time has been handed to the device
 * @copies_left: how often it is still to be handed to the device, the current time included
 * @interrupts: whether the memcpy in progress does
 */
struct igb {
	u32 vectors;
	bool looped;
	u32 tx_tail;
	u32 rx_tail;
	u32 rx_head;
	u16 payload[IGB_RX_RING];
	iova_t src;
	iova_t dst;
	u64 size;
	u64 offset;
	u64 copies_left;
	bool interrupts;
};

static inline struct igb *to_igb(struct vfio_pci_device *device)
{
	return device->driver.priv;
}

static inline u32 igb_read(struct vfio_pci_device *device, u64 reg)
{
	return vfio_pci_bar_readl(device, IGB_BAR, reg);
}

static inline void igb_write(struct vfio_pci_device *device, u64 reg, u32 value)
{
	vfio_pci_bar_writel(device, IGB_BAR, reg, value);
}

/* igb.c */

/**
 * igb_restart() - Reset the device, which ends all DMA, and set it up as it was.
 *
 * Return: 0 or -errno; the device is cut off from memory then.
 */
int igb_restart(struct vfio_pci_device *device);

/* igb_loop.c */

/**
 * igb_loop_begin() - Begin to close the loop, on a device that has just been reset.
 *
 * It takes the link a while to come up. igb_memcpy_start() waits for it.
 *
 * Return: 0, or -EIO if the PHY does not answer.
 */
int igb_loop_begin(struct vfio_pci_device *device);

/** igb_memcpy_limits() - Set the fields about memcpy of struct vfio_pci_driver. */
void igb_memcpy_limits(struct vfio_pci_driver *driver);

int igb_memcpy_start(struct vfio_pci_device *device,
		     iova_t src, iova_t dst, u64 size, u64 count);
int igb_memcpy_wait(struct vfio_pci_device *device);
int igb_memcpy_prepare(struct vfio_pci_device *device, iova_t src, iova_t dst, u64 size,
		       u32 vector, struct vfio_pci_doorbell *doorbell);

#endif /* IGB_H */
