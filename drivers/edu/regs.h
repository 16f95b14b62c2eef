/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's educational device, as specified by docs/specs/edu.rst (edu.txt before QEMU 8) of
 * QEMU. All registers are in BAR 0. Those below 0x80 take accesses of 4 bytes only.
 */
#ifndef EDU_REGS_H
#define EDU_REGS_H

#define EDU_VENDOR_ID 0x1234
#define EDU_DEVICE_ID 0x11e8

#define EDU_BAR 0

/* "MMIO area spec" */
#define EDU_ID 0x00
#define EDU_ID_MASK 0x0000ffff		/* the upper half is the version */
#define EDU_ID_VALUE 0x000000ed
#define EDU_LIVENESS 0x04		/* reads as the inverse of what was written */
#define EDU_STATUS 0x20
#define EDU_IRQ_STATUS 0x24		/* causes not acknowledged yet */
#define EDU_IRQ_RAISE 0x60		/* adds causes; interrupts even if they were set already */
#define EDU_IRQ_ACK 0x64		/* clears causes; INTx falls with the last one */

/*
 * The DMA registers are 64 bits wide. A write of 4 bytes to one sets all of it, and the upper
 * word has no address of its own, which is all that a device with 28 address lines needs.
 */
#define EDU_DMA_SRC 0x80
#define EDU_DMA_DST 0x88
#define EDU_DMA_COUNT 0x90
#define EDU_DMA_CMD 0x98
#define EDU_DMA_CMD_RUN 0x1		/* start; reads as 1 until the transfer is over */
#define EDU_DMA_CMD_TO_HOST 0x2		/* from the device's buffer; otherwise into it */
#define EDU_DMA_CMD_IRQ 0x4		/* interrupt at the end */

/* "DMA controller": where the transfer's other end is, in the device's own addresses. */
#define EDU_BUFFER 0x40000
#define EDU_BUFFER_SIZE 4096

/* "Command line switches", dma_mask; what it was set to cannot be read from the device. */
#define EDU_DMA_MASK 0x0fffffff

#endif /* EDU_REGS_H */
