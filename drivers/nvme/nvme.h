/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the nvme driver share. */
#ifndef NVME_H
#define NVME_H

#include <stdbool.h>

#include <libvfio/vfio_pci_device.h>

#include "regs.h"

/**
 * struct nvme_queue - A submission queue and the completion queue of the same number.
 * @id: the number of both, 0 for the admin queue
 * @depth: entries in each
 * @sq: submission queue entries, one page
 * @cq: completion queue entries, one page
 * @sq_iova: where the device sees @sq
 * @cq_iova: where the device sees @cq
 * @sq_tail: the next entry to submit
 * @cq_head: the next entry to be completed
 * @phase: NVME_STATUS_PHASE that marks an entry at @cq_head as new
 * @stuck: a command was given up on, so the next completion may not be the awaited one
 */
struct nvme_queue {
	u16 id;
	u16 depth;
	struct nvme_command *sq;
	struct nvme_completion *cq;
	iova_t sq_iova;
	iova_t cq_iova;
	u16 sq_tail;
	u16 cq_head;
	u16 phase;
	bool stuck;
};

/**
 * struct nvme_scratch - Blocks that the user lets us overwrite, and the memcpy through them.
 * @lba: the first
 * @blocks: their number, 0 if memcpy is not to be had
 * @block_size: bytes
 * @max_size: bytes that one command can move
 * @prp_list: one page for the addresses of the pages of a transfer
 * @prp_list_iova: where the device sees it
 * @queue: polled; its completion queue has interrupts off
 * @used: the queue of the memcpy in progress: @queue, or one that interrupts
 * @src: source of the memcpy in progress
 * @dst: its destination
 * @size: its size
 * @copies_left: how often it is still to be done, the current time included
 * @reading: whether the current copy has got to the Read
 */
struct nvme_scratch {
	u64 lba;
	u64 blocks;
	u64 block_size;
	u64 max_size;
	u64 *prp_list;
	iova_t prp_list_iova;
	struct nvme_queue queue;
	struct nvme_queue *used;
	iova_t src;
	iova_t dst;
	u64 size;
	u64 copies_left;
	bool reading;
};

/**
 * struct nvme - State of the driver.
 * @page_size: the controller's memory page size
 * @mps: log2 of the above, less 12, as CC.MPS takes it
 * @max_depth: CAP.MQES as a number of entries
 * @stride: bytes from one doorbell to the next
 * @ready_ms: how long CSTS.RDY may take to change
 * @region_used: bytes of driver.region given to queues and buffers
 * @data: one page for what Identify returns
 * @data_iova: where the device sees it
 * @mdts: bytes that one command can move, UINT64_MAX for no limit
 * @write_cache: whether there is a volatile write cache
 * @nsid: the namespace that commands name
 * @admin: the admin queue
 * @io: the I/O queues; io[i] interrupts by vector driver.msi + i
 * @nr_io: their number
 * @irqs_enabled: whether remove() has interrupts to disable
 * @scratch: for memcpy
 */
struct nvme {
	u64 page_size;
	u32 mps;
	u32 max_depth;
	u32 stride;
	u64 ready_ms;
	u64 region_used;
	u8 *data;
	iova_t data_iova;
	u64 mdts;
	bool write_cache;
	u32 nsid;
	struct nvme_queue admin;
	struct nvme_queue *io;
	u32 nr_io;
	bool irqs_enabled;
	struct nvme_scratch scratch;
};

static inline struct nvme *to_nvme(struct vfio_pci_device *device)
{
	return device->driver.priv;
}

static inline u32 nvme_read(struct vfio_pci_device *device, u64 reg)
{
	return vfio_pci_bar_readl(device, NVME_BAR, reg);
}

static inline void nvme_write(struct vfio_pci_device *device, u64 reg, u32 value)
{
	vfio_pci_bar_writel(device, NVME_BAR, reg, value);
}

/* nvme_queue.c */

/**
 * nvme_page_alloc() - Take a zeroed page out of driver.region. There is no way to give it back.
 * @device: the device
 * @iova: receives where the device sees it
 *
 * Return: the page, or NULL if the region is used up.
 */
void *nvme_page_alloc(struct vfio_pci_device *device, iova_t *iova);

/**
 * nvme_queue_alloc() - Give a queue its memory.
 *
 * Return: 0 or -ENOMEM.
 */
int nvme_queue_alloc(struct vfio_pci_device *device, struct nvme_queue *queue, u16 id);

/** nvme_queue_rewind() - Make a queue look as the device sees it when it has just been created. */
void nvme_queue_rewind(struct nvme_queue *queue);

/**
 * nvme_prepare() - Put a command into a queue that has no other in flight.
 *
 * Return: the register write that submits it.
 */
struct vfio_pci_doorbell nvme_prepare(struct vfio_pci_device *device, struct nvme_queue *queue,
				      const struct nvme_command *command);

/** nvme_submit() - Submit a command to a queue that has no other in flight. */
void nvme_submit(struct vfio_pci_device *device, struct nvme_queue *queue,
		 const struct nvme_command *command);

/**
 * nvme_wait() - Wait until the command in flight is completed, leaving its completion there.
 *
 * Return: 0, or -ETIMEDOUT; the queue is stuck from then on.
 */
int nvme_wait(struct vfio_pci_device *device, struct nvme_queue *queue);

/**
 * nvme_consume() - Take the completion that nvme_wait() saw, and tell the device.
 * @result: receives its first dword, may be NULL
 *
 * Return: 0, or -EIO if the command failed.
 */
int nvme_consume(struct vfio_pci_device *device, struct nvme_queue *queue, u32 *result);

/** nvme_admin() - Submit an admin command, wait and consume; returns as those do. */
int nvme_admin(struct vfio_pci_device *device, const struct nvme_command *command, u32 *result);

/* nvme_scratch.c */

/**
 * nvme_scratch_setup() - See whether the user allows a memcpy, and prepare for it.
 *
 * Sets driver.no_memcpy and the other fields about memcpy of struct vfio_pci_driver. The queue
 * is left to the caller.
 *
 * Return: 0, also if it is not to be had, or -errno.
 */
int nvme_scratch_setup(struct vfio_pci_device *device);

/**
 * nvme_scratch_refuse() - State in struct vfio_pci_driver that there is no memcpy.
 * @why: a sentence for a SKIP; NULL if nvme_scratch_setup() is about to state what there is
 */
void nvme_scratch_refuse(struct vfio_pci_device *device, const char *why);

int nvme_memcpy_start(struct vfio_pci_device *device,
		      iova_t src, iova_t dst, u64 size, u64 count);
int nvme_memcpy_wait(struct vfio_pci_device *device);
int nvme_memcpy_prepare(struct vfio_pci_device *device, iova_t src, iova_t dst, u64 size,
			u32 vector, struct vfio_pci_doorbell *doorbell);

/* nvme.c */

/**
 * nvme_identify() - Have the controller fill nvme->data.
 * @cns: NVME_CNS_*
 * @nsid: the namespace, if @cns wants one
 *
 * Return: as nvme_admin().
 */
int nvme_identify(struct vfio_pci_device *device, u32 cns, u32 nsid);

/**
 * nvme_restart() - Reset the controller, which ends all DMA, and set it up as it was.
 *
 * Return: 0 or -errno; all queues are stuck then.
 */
int nvme_restart(struct vfio_pci_device *device);

#endif /* NVME_H */
