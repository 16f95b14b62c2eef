/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * AMD Pass-Through DMA engine. There is no public specification. Offsets and bits are those of
 * the kernel's drivers/dma/ptdma/ptdma.h (drivers/dma/amd/ptdma/ in later ones), which does not
 * compile outside of it. Its queue is that of AMD's CCP of version 5, of which FreeBSD's
 * sys/crypto/ccp/ccp_hardware.h says more: HALTED, the job's status, the codes of errors.
 *
 * All registers are 32 bits wide, in BAR 2.
 */
#ifndef PTDMA_REGS_H
#define PTDMA_REGS_H

#include <linux/bits.h>
#include <linux/types.h>

#define PTDMA_VENDOR_ID 0x1022
#define PTDMA_DEVICE_ID 0x1498		/* the only one of the kernel's table */

#define PTDMA_BAR 2

/* Of the engine, with what the kernel's driver writes to them */
#define PTDMA_QUEUE_PRIO 0x0000
#define PTDMA_QUEUE_PRIO_VALUE GENMASK(2, 1)
#define PTDMA_REQID_CONFIG 0x0004
#define PTDMA_TIMEOUT 0x0008
#define PTDMA_TIMEOUT_OFF 0
#define PTDMA_VERSION 0x0010
#define PTDMA_VERSION_NUMBER GENMASK(5, 0)
#define PTDMA_CONFIG 0x1120
#define PTDMA_CONFIG_VHB_EN BIT(0)
#define PTDMA_CLK_GATE_CTL 0x6004
#define PTDMA_CLK_GATE_CTL_VALUE (BIT(0) | BIT(12))

/* Of its queue */
#define PTDMA_CONTROL 0x1000
#define PTDMA_CONTROL_RUN BIT(0)
#define PTDMA_CONTROL_HALTED BIT(1)
#define PTDMA_CONTROL_SIZE(log2) (((log2) - 1) << 3)		/* of commands in the ring */
#define PTDMA_CONTROL_ADDRESS(iova) ((u32)((iova) >> 32) << 16)	/* its upper 16 bits of 48 */
#define PTDMA_TAIL 0x1004		/* lower half of an address: the first command not to do */
#define PTDMA_HEAD 0x1008		/* ... the first one not done yet */
#define PTDMA_INT_ENABLE 0x100c
#define PTDMA_INT_STATUS 0x1010		/* cleared by writing ones */
#define PTDMA_INT_COMPLETION BIT(0)	/* of a command with PTDMA_COMMAND_INTERRUPT */
#define PTDMA_INT_ERROR BIT(1)
#define PTDMA_INT_STOPPED BIT(2)
#define PTDMA_INT_EMPTY BIT(3)
#define PTDMA_INT_ALL GENMASK(3, 0)
#define PTDMA_STATUS 0x1100
#define PTDMA_STATUS_ERROR(status) ((status) & 0x3f)
#define PTDMA_STATUS_JOB(status) (((status) >> 7) & 0x7)
#define PTDMA_JOB_IDLE 0
#define PTDMA_STATUS_SOURCE(status) (((status) >> 10) & 0x3)
#define PTDMA_SOURCE_COMMAND 1

/**
 * struct ptdma_command - One copy. The ring of them is aligned to its size.
 * @function: PTDMA_COMMAND_*
 * @length: bytes
 * @src_low: lower half of the source's address
 * @src_high: bits 47 to 32 of it; what kind of memory, 0 for the host's
 * @dst_low: the same of the destination
 * @dst_high: the same of the destination
 * @reserved: 0
 */
struct ptdma_command {
	u32 function;
	u32 length;
	u32 src_low;
	u32 src_high;
	u32 dst_low;
	u32 dst_high;
	u32 reserved[2];
};

#define PTDMA_COMMAND_INTERRUPT BIT(1)
#define PTDMA_COMMAND_END BIT(4)	/* of a message; each of ours is one */
#define PTDMA_COMMAND_COPY (5U << 20)	/* the engine: pass-through, with no bits changed */

#define PTDMA_DMA_MASK GENMASK_ULL(47, 0)

#endif /* PTDMA_REGS_H */
