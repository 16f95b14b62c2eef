// SPDX-License-Identifier: GPL-2.0-only
/*
 * memcpy by a Write of the source to the medium and a Read of it to the destination, on blocks
 * that the user gave up by NVME_SCRATCH_LBA.
 *
 * A controller memory buffer is no way around that. It only makes memory of the device's
 * another place where queues, PRP lists and data may be (4.7); the other end of every NVM
 * command that moves data is still the medium, and no command moves memory to memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>

#include "nvme.h"

#define SCRATCH_VARIABLE "NVME_SCRATCH_LBA"

/* The device sets no limit; flash wears. */
#define MAX_COPIES 16

/* Parses START+COUNT, both numbers of blocks. */
static bool parse_range(const char *text, u64 *start, u64 *count)
{
	char *end;

	errno = 0;
	*start = strtoull(text, &end, 0);
	if (errno || end == text || *end != '+' || strchr(text, '-'))
		return false;

	text = end + 1;
	*count = strtoull(text, &end, 0);
	return !errno && end != text && !*end && *count;
}

/* Return: why the range cannot be used, or NULL after filling @scratch. */
static const char *scratch_take_range(struct vfio_pci_device *device, struct nvme_scratch *scratch)
{
	const char *text = getenv(SCRATCH_VARIABLE);
	struct nvme *nvme = to_nvme(device);
	u64 start, count, capacity;
	u32 format;

	if (!text || !*text)
		return "memcpy overwrites blocks of the drive: name some by "
		       SCRATCH_VARIABLE "=START+COUNT";
	if (!parse_range(text, &start, &count))
		return SCRATCH_VARIABLE " is not START+COUNT, two numbers of blocks";
	if (nvme_identify(device, NVME_CNS_NAMESPACE, nvme->nsid))
		return "the controller does not identify its first namespace";

	memcpy(&capacity, &nvme->data[NVME_ID_NS_NSZE], sizeof(capacity));
	if (start >= capacity || count > capacity - start)
		return SCRATCH_VARIABLE " is not within the first namespace";

	memcpy(&format, &nvme->data[NVME_ID_NS_LBAF(NVME_ID_NS_FLBAS_INDEX(
			nvme->data[NVME_ID_NS_FLBAS]))], sizeof(format));
	if (NVME_LBAF_MS(format))
		return "the first namespace is formatted with metadata, which memcpy cannot use";

	scratch->lba = start;
	scratch->block_size = 1ULL << NVME_LBAF_LBADS(format);
	scratch->blocks = count;
	return NULL;
}

/* One page of the list names one page each, besides the first, which the command itself names. */
static u64 scratch_max_size(struct nvme *nvme)
{
	struct nvme_scratch *scratch = &nvme->scratch;
	u64 blocks = min_t(u64, scratch->blocks, NVME_NVM_MAX_BLOCKS);
	u64 listed = nvme->page_size / sizeof(*scratch->prp_list) * nvme->page_size;
	u64 size = min_t(u64, blocks * scratch->block_size, min_t(u64, nvme->mdts, listed));

	return size / scratch->block_size * scratch->block_size;
}

void nvme_scratch_refuse(struct vfio_pci_device *device, const char *why)
{
	struct vfio_pci_driver *driver = &device->driver;

	driver->max_memcpy_size = 0;
	driver->max_memcpy_count = 0;
	driver->memcpy_align = 1;
	driver->no_memcpy = why;
}

int nvme_scratch_setup(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;
	struct nvme *nvme = to_nvme(device);
	struct nvme_scratch *scratch = &nvme->scratch;

	nvme_scratch_refuse(device, scratch_take_range(device, scratch));
	if (driver->no_memcpy)
		return 0;

	driver->max_memcpy_size = scratch_max_size(nvme);
	driver->max_memcpy_count = MAX_COPIES;
	driver->memcpy_align = scratch->block_size;

	scratch->prp_list = nvme_page_alloc(device, &scratch->prp_list_iova);
	return scratch->prp_list ? 0 : -ENOMEM;
}

/* 4.3: the first page by PRP1, a second one by PRP2, more by a list that PRP2 points to. */
static void set_prps(struct nvme *nvme, struct nvme_command *command, iova_t iova, u64 size)
{
	struct nvme_scratch *scratch = &nvme->scratch;
	u64 first = nvme->page_size - iova % nvme->page_size;
	u64 pages;

	command->prp1 = iova;
	if (size <= first)
		return;

	iova += first;
	pages = DIV_ROUND_UP(size - first, nvme->page_size);
	if (pages == 1) {
		command->prp2 = iova;
		return;
	}

	for (u64 i = 0; i < pages; i++)
		scratch->prp_list[i] = iova + i * nvme->page_size;
	command->prp2 = scratch->prp_list_iova;
}

static struct vfio_pci_doorbell prepare_transfer(struct vfio_pci_device *device)
{
	struct nvme *nvme = to_nvme(device);
	struct nvme_scratch *scratch = &nvme->scratch;
	struct nvme_command command = {
		.opcode = scratch->reading ? NVME_NVM_READ : NVME_NVM_WRITE,
		.nsid = nvme->nsid,
		.cdw10 = scratch->lba,
		.cdw11 = scratch->lba >> 32,
		.cdw12 = scratch->size / scratch->block_size - 1,
	};

	set_prps(nvme, &command, scratch->reading ? scratch->dst : scratch->src, scratch->size);
	return nvme_prepare(device, scratch->used, &command);
}

static void submit_transfer(struct vfio_pci_device *device)
{
	struct vfio_pci_doorbell doorbell = prepare_transfer(device);

	nvme_write(device, doorbell.offset, doorbell.value);
}

int nvme_memcpy_start(struct vfio_pci_device *device,
		      iova_t src, iova_t dst, u64 size, u64 count)
{
	struct nvme_scratch *scratch = &to_nvme(device)->scratch;

	if (scratch->queue.stuck)
		return -EIO;

	scratch->used = &scratch->queue;
	scratch->src = src;
	scratch->dst = dst;
	scratch->size = size;
	scratch->copies_left = count;
	scratch->reading = false;
	submit_transfer(device);
	return 0;
}

static int finish_transfer(struct vfio_pci_device *device)
{
	struct nvme_queue *queue = to_nvme(device)->scratch.used;

	if (!nvme_wait(device, queue))
		return nvme_consume(device, queue, NULL);

	/* Only a reset makes sure that the DMA is over. */
	nvme_restart(device);
	return -ETIMEDOUT;
}

int nvme_memcpy_wait(struct vfio_pci_device *device)
{
	struct nvme_scratch *scratch = &to_nvme(device)->scratch;
	int ret;

	for (;;) {
		ret = finish_transfer(device);
		if (ret || (scratch->reading && !--scratch->copies_left))
			return ret;

		scratch->reading = !scratch->reading;
		submit_transfer(device);
	}
}

/* The Write is done here; the Read is left, on the queue of @vector. */
int nvme_memcpy_prepare(struct vfio_pci_device *device, iova_t src, iova_t dst, u64 size,
			u32 vector, struct vfio_pci_doorbell *doorbell)
{
	struct nvme *nvme = to_nvme(device);
	struct nvme_queue *queue = &nvme->io[vector - device->driver.msi];
	int ret;

	/* Somebody would have to consume the completion, or INTx stays up. */
	if (device->driver.irq_index == VFIO_PCI_INTX_IRQ_INDEX)
		return -EOPNOTSUPP;
	if (queue->stuck)
		return -EIO;

	ret = nvme_memcpy_start(device, src, dst, size, 1);
	if (!ret)
		ret = finish_transfer(device);
	if (ret)
		return ret;

	nvme->scratch.reading = true;
	nvme->scratch.used = queue;
	*doorbell = prepare_transfer(device);
	return 0;
}
