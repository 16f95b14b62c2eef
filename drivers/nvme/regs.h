/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NVM Express controllers on PCIe. Sections are those of the NVM Express Base Specification,
 * revision 1.4; the later ones moved the text, not the layouts. All fields are little endian.
 *
 * The kernel has all of this in include/linux/nvme.h, which does not compile outside of it.
 */
#ifndef NVME_REGS_H
#define NVME_REGS_H

#include <linux/types.h>

/* 2.1.5: base class, subclass and programming interface of an NVM Express I/O controller. */
#define NVME_PCI_CLASS 0x010802

/* 3.1: controller registers, in BAR 0 and 1 as one 64-bit BAR. */
#define NVME_BAR 0

#define NVME_CAP_LO 0x00		/* 3.1.1 */
#define NVME_CAP_LO_MQES(cap) ((cap) & 0xffff)		/* largest queue, less one */
#define NVME_CAP_LO_TO(cap) ((cap) >> 24)		/* in units of 500 ms */
#define NVME_CAP_TO_UNIT_MS 500
#define NVME_CAP_HI 0x04
#define NVME_CAP_HI_DSTRD(cap) ((cap) & 0xf)		/* stride is 4 << DSTRD bytes */
#define NVME_CAP_HI_CSS_NVM (1U << 5)			/* NVM command set */
#define NVME_CAP_HI_CMBS (1U << 25)			/* there is NVME_CMBMSC */
#define NVME_CAP_HI_MPSMIN(cap) (((cap) >> 16) & 0xf)	/* page size is 4096 << MPSMIN */

#define NVME_INTMS 0x0c			/* 3.1.3, not with MSI-X */
#define NVME_INTMC 0x10			/* 3.1.4, not with MSI-X */

#define NVME_CC 0x14			/* 3.1.5 */
#define NVME_CC_EN (1U << 0)
#define NVME_CC_MPS(mps) ((u32)(mps) << 7)
#define NVME_CC_IOSQES(log2) ((u32)(log2) << 16)
#define NVME_CC_IOCQES(log2) ((u32)(log2) << 20)

#define NVME_CSTS 0x1c			/* 3.1.6 */
#define NVME_CSTS_RDY (1U << 0)
#define NVME_CSTS_CFS (1U << 1)

#define NVME_AQA 0x24			/* 3.1.8, sizes less one */
#define NVME_AQA_SIZES(sq, cq) ((u32)((cq) - 1) << 16 | ((sq) - 1))
#define NVME_ASQ 0x28			/* 3.1.9 */
#define NVME_ACQ 0x30			/* 3.1.10 */

#define NVME_CMBLOC 0x38		/* 3.1.11, controller memory buffer */
#define NVME_CMBLOC_BIR(cmbloc) ((cmbloc) & 0x7)
#define NVME_CMBLOC_OFST(cmbloc) ((cmbloc) >> 12)	/* in units of NVME_CMBSZ_UNIT */
#define NVME_CMBSZ 0x3c			/* 3.1.12, 0 without a buffer */
#define NVME_CMBSZ_UNIT(cmbsz) (4096ULL << (4 * (((cmbsz) >> 8) & 0xf)))
#define NVME_CMBMSC 0x50		/* 3.1.16 */
#define NVME_CMBMSC_CRE (1U << 0)			/* show the two registers above */

/* 3.1, "Submission Queue y Tail Doorbell" and "Completion Queue y Head Doorbell" */
#define NVME_SQ_DOORBELL(queue, stride) (0x1000 + 2 * (queue) * (u64)(stride))
#define NVME_CQ_DOORBELL(queue, stride) (0x1000 + (2 * (queue) + 1) * (u64)(stride))

/* 4.2: submission queue entry */
struct nvme_command {
	u8 opcode;
	u8 flags;
	u16 cid;
	u32 nsid;
	u32 cdw2[2];
	u64 mptr;
	u64 prp1;
	u64 prp2;
	u32 cdw10;
	u32 cdw11;
	u32 cdw12;
	u32 cdw13;
	u32 cdw14;
	u32 cdw15;
};

#define NVME_SQE_LOG2 6
_Static_assert(sizeof(struct nvme_command) == 1 << NVME_SQE_LOG2, "layout of a command");

/* 4.6: completion queue entry */
struct nvme_completion {
	u32 result;
	u32 reserved;
	u16 sq_head;
	u16 sq_id;
	u16 cid;
	u16 status;
};

#define NVME_CQE_LOG2 4
_Static_assert(sizeof(struct nvme_completion) == 1 << NVME_CQE_LOG2, "layout of a completion");

#define NVME_STATUS_PHASE 0x1		/* 4.6, "Phase Tag" */
#define NVME_STATUS_ERROR 0x1ffe	/* 4.6.1: Status Code and Status Code Type; 0 is success */

/* 5: admin commands */
#define NVME_ADMIN_CREATE_SQ 0x01	/* 5.4 */
#define NVME_ADMIN_CREATE_CQ 0x05	/* 5.3 */
#define NVME_ADMIN_IDENTIFY 0x06	/* 5.15 */
#define NVME_ADMIN_SET_FEATURES 0x09	/* 5.21 */
#define NVME_ADMIN_GET_FEATURES 0x0a	/* 5.14 */

#define NVME_QUEUE_CDW10(id, depth) ((u32)((depth) - 1) << 16 | (id))
#define NVME_QUEUE_CONTIGUOUS (1U << 0)
#define NVME_CQ_INTERRUPT(vector) ((u32)(vector) << 16 | 1U << 1)
#define NVME_SQ_COMPLETES_TO(id) ((u32)(id) << 16)

#define NVME_FEAT_VOLATILE_WRITE_CACHE 0x06	/* 5.21.1.6 */
#define NVME_FEAT_NUMBER_OF_QUEUES 0x07		/* 5.21.1.7 */
#define NVME_FEAT_INTERRUPT_COALESCING 0x08	/* 5.21.1.8 */
#define NVME_QUEUES_SQ(value) (((value) & 0xffff) + 1)
#define NVME_QUEUES_CQ(value) (((value) >> 16) + 1)
#define NVME_QUEUES(count) ((u32)((count) - 1) << 16 | ((count) - 1))

/* 5.15.2: which data structure Identify returns */
#define NVME_CNS_NAMESPACE 0x00
#define NVME_CNS_CONTROLLER 0x01
#define NVME_CNS_ACTIVE_NAMESPACES 0x02

/* 5.15.2.2: Identify Controller data structure, bytes */
#define NVME_ID_CTRL_MDTS 77		/* largest transfer, 2^n minimum pages; 0 is no limit */
#define NVME_ID_CTRL_VWC 525
#define NVME_ID_CTRL_VWC_PRESENT 0x1

/* 5.15.2.1: Identify Namespace data structure, bytes */
#define NVME_ID_NS_NSZE 0		/* blocks, 64 bits */
#define NVME_ID_NS_FLBAS 26
#define NVME_ID_NS_FLBAS_INDEX(flbas) (((flbas) & 0xf) | ((flbas) & 0x60) >> 1)
#define NVME_ID_NS_LBAF(index) (128 + 4 * (index))
#define NVME_LBAF_MS(lbaf) ((lbaf) & 0xffff)		/* metadata bytes per block */
#define NVME_LBAF_LBADS(lbaf) (((lbaf) >> 16) & 0xff)	/* log2 of the block size */

/* 6: commands of the NVM command set */
#define NVME_NVM_FLUSH 0x00		/* 6.8 */
#define NVME_NVM_WRITE 0x01		/* 6.15 */
#define NVME_NVM_READ 0x02		/* 6.9 */
#define NVME_NVM_MAX_BLOCKS 0x10000	/* the count in CDW12 has 16 bits, less one */

#endif /* NVME_REGS_H */
