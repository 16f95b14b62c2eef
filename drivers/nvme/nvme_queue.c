// SPDX-License-Identifier: GPL-2.0-only
/* Queue pairs. Each has at most one command in flight, so every completion is the awaited one. */
#include <errno.h>
#include <string.h>

#include <linux/kernel.h>

#include <libvfio/deadline.h>

#include "nvme.h"

/* Enough that a queue with one entry in use is far from full. */
#define QUEUE_DEPTH 16

/* How long a command may take; a drive may have to leave a low power state first. */
#define COMMAND_TIMEOUT_MS 5000
/* After this long, it is worth a look whether the controller is still there. */
#define SUSPICION_MS 100

void *nvme_page_alloc(struct vfio_pci_device *device, iova_t *iova)
{
	struct dma_region *region = &device->driver.region;
	struct nvme *nvme = to_nvme(device);
	void *page;

	if (region->size - nvme->region_used < nvme->page_size)
		return NULL;

	page = (u8 *)region->vaddr + nvme->region_used;
	*iova = region->iova + nvme->region_used;
	nvme->region_used += nvme->page_size;
	return memset(page, 0, nvme->page_size);
}

int nvme_queue_alloc(struct vfio_pci_device *device, struct nvme_queue *queue, u16 id)
{
	queue->id = id;
	queue->depth = min_t(u32, QUEUE_DEPTH, to_nvme(device)->max_depth);
	queue->sq = nvme_page_alloc(device, &queue->sq_iova);
	queue->cq = nvme_page_alloc(device, &queue->cq_iova);
	if (!queue->sq || !queue->cq)
		return -ENOMEM;

	nvme_queue_rewind(queue);
	return 0;
}

void nvme_queue_rewind(struct nvme_queue *queue)
{
	memset(queue->cq, 0, queue->depth * sizeof(*queue->cq));
	queue->sq_tail = 0;
	queue->cq_head = 0;
	queue->phase = NVME_STATUS_PHASE;
	queue->stuck = false;
}

struct vfio_pci_doorbell nvme_prepare(struct vfio_pci_device *device, struct nvme_queue *queue,
				      const struct nvme_command *command)
{
	struct nvme_command *entry = &queue->sq[queue->sq_tail];

	*entry = *command;
	entry->cid = queue->sq_tail;
	queue->sq_tail = (queue->sq_tail + 1) % queue->depth;

	return (struct vfio_pci_doorbell){
		.bar = NVME_BAR,
		.offset = NVME_SQ_DOORBELL(queue->id, to_nvme(device)->stride),
		.value = queue->sq_tail,
	};
}

void nvme_submit(struct vfio_pci_device *device, struct nvme_queue *queue,
		 const struct nvme_command *command)
{
	struct vfio_pci_doorbell doorbell = nvme_prepare(device, queue, command);

	/* The entry is in memory by then: x86 does not reorder stores, see libvfio/io.h. */
	nvme_write(device, doorbell.offset, doorbell.value);
}

static bool completed(struct nvme_queue *queue)
{
	/* Nothing else of the entry, nor of what the command wrote, may be read before. */
	u16 status = __atomic_load_n(&queue->cq[queue->cq_head].status, __ATOMIC_ACQUIRE);

	return (status & NVME_STATUS_PHASE) == queue->phase;
}

static bool controller_ready(struct vfio_pci_device *device)
{
	u32 status = nvme_read(device, NVME_CSTS);

	return (status & (NVME_CSTS_RDY | NVME_CSTS_CFS)) == NVME_CSTS_RDY;
}

int nvme_wait(struct vfio_pci_device *device, struct nvme_queue *queue)
{
	if (wait_for(completed(queue), SUSPICION_MS))
		return 0;
	if (controller_ready(device) && wait_for(completed(queue), COMMAND_TIMEOUT_MS))
		return 0;

	queue->stuck = true;
	return -ETIMEDOUT;
}

int nvme_consume(struct vfio_pci_device *device, struct nvme_queue *queue, u32 *result)
{
	struct nvme_completion completion = queue->cq[queue->cq_head];

	if (++queue->cq_head == queue->depth) {
		queue->cq_head = 0;
		queue->phase ^= NVME_STATUS_PHASE;
	}
	nvme_write(device, NVME_CQ_DOORBELL(queue->id, to_nvme(device)->stride), queue->cq_head);

	if (result)
		*result = completion.result;
	return completion.status & NVME_STATUS_ERROR ? -EIO : 0;
}

int nvme_admin(struct vfio_pci_device *device, const struct nvme_command *command, u32 *result)
{
	struct nvme_queue *admin = &to_nvme(device)->admin;
	int ret;

	if (admin->stuck)
		return -EIO;

	nvme_submit(device, admin, command);
	ret = nvme_wait(device, admin);
	return ret ? ret : nvme_consume(device, admin, result);
}
