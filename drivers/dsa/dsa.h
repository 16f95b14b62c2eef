/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the dsa driver share. */
#ifndef DSA_H
#define DSA_H

#include <stdbool.h>

#include <libvfio/vfio_pci_device.h>

#include "regs.h"

/* More than any device has had so far. */
#define DSA_MAX_WQS 16U
#define DSA_MAX_BATCHES 64U
#define DSA_MAX_BATCH 1024U

/**
 * struct dsa_memory - What the device reads and writes of ours, in driver.region.
 * @list: the copies of a batch; every batch is of the same
 * @ends: how each batch of a memcpy ended, or the only copy
 * @failed: how a copy of a batch ended that failed
 * @interrupts: how the operation ended that interrupts, by work queue
 */
struct dsa_memory {
	struct dsa_hw_desc list[DSA_MAX_BATCH];
	struct dsa_completion_record ends[DSA_MAX_BATCHES];
	struct dsa_completion_record failed;
	struct dsa_completion_record interrupts[DSA_MAX_WQS];
};

/**
 * struct dsa - State of the driver.
 * @nr_wqs: work queues in use; work queue i interrupts by vector driver.msi + i
 * @wq_size: descriptors that each of them holds
 * @max_batch: descriptors in a batch
 * @handles: of the vectors, by work queue
 * @irqs_enabled: whether remove() has interrupts to disable
 * @broken: it could not be brought up again after a failure
 * @submitted: how many of memory's ends the memcpy in progress has
 * @bytes: how many it moves
 */
struct dsa {
	u32 nr_wqs;
	u32 wq_size;
	u32 max_batch;
	u16 handles[DSA_MAX_WQS];
	bool irqs_enabled;
	bool broken;
	u32 submitted;
	u64 bytes;
};

static inline struct dsa *to_dsa(struct vfio_pci_device *device)
{
	return device->driver.priv;
}

static inline struct dsa_memory *to_dsa_memory(struct vfio_pci_device *device)
{
	return device->driver.region.vaddr;
}

/* dsa_words.c */

/** dsa_report_command() - Say on stderr which command failed and why, by CMDSTS. */
void dsa_report_command(struct vfio_pci_device *device, u32 command, u32 error);

/** dsa_report_record() - Say on stderr how a descriptor failed. */
void dsa_report_record(struct vfio_pci_device *device, const struct dsa_completion_record *record);

/** dsa_report_swerr() - Say on stderr what SWERR holds, if anything, and clear it. */
void dsa_report_swerr(struct vfio_pci_device *device);

#endif /* DSA_H */
