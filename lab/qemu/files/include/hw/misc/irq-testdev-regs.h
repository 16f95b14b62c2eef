/*
 * Registers of irq-testdev, a PCI device to test interrupts and DMA with
 *
 * For the model and for its drivers alike, so there is nothing but numbers.
 *
 * All registers are in BAR 0, 32 bits wide, and accessed as such. Whatever the
 * device does not expect it ignores, and records it in ERROR.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_IRQ_TESTDEV_REGS_H
#define HW_MISC_IRQ_TESTDEV_REGS_H

#define IRQ_TESTDEV_VENDOR_ID       0x1234
#define IRQ_TESTDEV_DEVICE_ID       0x7e57

#define IRQ_TESTDEV_BAR             0
#define IRQ_TESTDEV_BAR_SIZE        0x1000
/* The table of MSI-X and its pending bits. */
#define IRQ_TESTDEV_MSIX_BAR        1

#define IRQ_TESTDEV_MAX_VECTORS     2048

/* Read only, the same at any time */
#define IRQ_TESTDEV_ID              0x000
#define   IRQ_TESTDEV_ID_VALUE      0x7e57de01

/* What was wrong, and was not done; write 1 to clear */
#define IRQ_TESTDEV_ERROR           0x004
/* An access that is not 4 bytes wide, or not at a multiple of 4 */
#define   IRQ_TESTDEV_ERROR_ACCESS      (1u << 0)
/* No register there, or a write to one that is read only, or the reverse */
#define   IRQ_TESTDEV_ERROR_REGISTER    (1u << 1)
/* A bit set that has no meaning */
#define   IRQ_TESTDEV_ERROR_RESERVED    (1u << 2)
/* A register of the copy or the schedule written while that is running */
#define   IRQ_TESTDEV_ERROR_BUSY        (1u << 3)
/* A start with a number out of range, a vector that is not there */
#define   IRQ_TESTDEV_ERROR_VALUE       (1u << 4)
/* A message while the bus master is disabled; a copy waits */
#define   IRQ_TESTDEV_ERROR_MASTER      (1u << 5)
/* DMA was refused: no access to a register, so ERROR_OFFSET says nothing */
#define   IRQ_TESTDEV_ERROR_DMA_READ    (1u << 6)
#define   IRQ_TESTDEV_ERROR_DMA_WRITE   (1u << 7)

/* Read only: the register accessed when the first of these errors came */
#define IRQ_TESTDEV_ERROR_OFFSET    0x008

/* Write only: RESET stops all that goes on, clears all but the counters */
#define IRQ_TESTDEV_CONTROL         0x00c
#define   IRQ_TESTDEV_CONTROL_RESET         (1u << 0)
#define   IRQ_TESTDEV_CONTROL_CLEAR_COUNTS  (1u << 1)

/* Keeps what is written to it */
#define IRQ_TESTDEV_SCRATCH         0x010

/* Read only: how many vectors it has of the type that is enabled, INTx is 1 */
#define IRQ_TESTDEV_VECTORS         0x014

/*
 * The copy. SIZE bytes, COUNT times over, each taking a nanosecond per byte.
 * COMMAND starts it, and with IRQ its end interrupts on VECTOR.
 */
#define IRQ_TESTDEV_COPY_SRC_LOW    0x020
#define IRQ_TESTDEV_COPY_SRC_HIGH   0x024
#define IRQ_TESTDEV_COPY_DST_LOW    0x028
#define IRQ_TESTDEV_COPY_DST_HIGH   0x02c
#define IRQ_TESTDEV_COPY_SIZE       0x030
#define   IRQ_TESTDEV_MAX_COPY_SIZE     0x100000
#define IRQ_TESTDEV_COPY_COUNT      0x034
#define   IRQ_TESTDEV_MAX_COPY_COUNT    0xffff
#define IRQ_TESTDEV_COPY_VECTOR     0x038
#define IRQ_TESTDEV_COPY_COMMAND    0x03c
#define   IRQ_TESTDEV_COPY_START        (1u << 0)
#define   IRQ_TESTDEV_COPY_IRQ          (1u << 1)
/* Read only. Not one of these bits: no copy since the reset */
#define IRQ_TESTDEV_COPY_STATUS     0x040
#define   IRQ_TESTDEV_COPY_BUSY         (1u << 0)
#define   IRQ_TESTDEV_COPY_DONE         (1u << 1)
#define   IRQ_TESTDEV_COPY_FAILED       (1u << 2)
/* Read only: how many of COUNT are left */
#define IRQ_TESTDEV_COPY_LEFT       0x044

/* Write only: a vector to send at once. 0 raises INTx if that is in use */
#define IRQ_TESTDEV_IRQ_SEND        0x050
/* Whether INTx is raised; write 1 to lower it */
#define IRQ_TESTDEV_INTX            0x054
#define   IRQ_TESTDEV_INTX_RAISED       (1u << 0)

/*
 * The schedule. COUNT interrupts, the first of them DELAY nanoseconds after the
 * start and each further one SPACING later, on the NR_VECTORS vectors from
 * FIRST_VECTOR on. What is late is sent at once, none is left out.
 */
#define IRQ_TESTDEV_SCHED_COUNT     0x060
#define   IRQ_TESTDEV_MAX_SCHED_COUNT   0xffff
#define IRQ_TESTDEV_SCHED_DELAY     0x064
#define IRQ_TESTDEV_SCHED_SPACING   0x068
#define IRQ_TESTDEV_SCHED_FIRST_VECTOR  0x06c
#define IRQ_TESTDEV_SCHED_NR_VECTORS    0x070
#define IRQ_TESTDEV_SCHED_PATTERN   0x074
#define   IRQ_TESTDEV_SCHED_UPWARD      0
#define   IRQ_TESTDEV_SCHED_DOWNWARD    1
#define   IRQ_TESTDEV_SCHED_RANDOM      2
/* Of RANDOM; the same seed is the same sequence */
#define IRQ_TESTDEV_SCHED_SEED      0x078
/* START begins the schedule, 0 ends it */
#define IRQ_TESTDEV_SCHED_COMMAND   0x07c
#define   IRQ_TESTDEV_SCHED_START       (1u << 0)
/* Read only: how many are still to be sent; by how much the latest was late */
#define IRQ_TESTDEV_SCHED_LEFT      0x080
#define IRQ_TESTDEV_SCHED_LATE      0x084

/* What is to go wrong, once each: a bit is cleared as its fault strikes. */
#define IRQ_TESTDEV_FAULT           0x090
/* The next copy fails halfway through its bytes */
#define   IRQ_TESTDEV_FAULT_ABORT           (1u << 0)
/* The next copy says that it is done FAULT_DELAY nanoseconds after it is */
#define   IRQ_TESTDEV_FAULT_LATE            (1u << 1)
/* Bit FAULT_BIT of the next copy arrives inverted */
#define   IRQ_TESTDEV_FAULT_FLIP            (1u << 2)
/* The next message goes to FAULT_ADDRESS */
#define   IRQ_TESTDEV_FAULT_ADDRESS         (1u << 3)
/* The next function level reset that finds a copy running does not stop it */
#define   IRQ_TESTDEV_FAULT_OUTLIVE_RESET   (1u << 4)
#define IRQ_TESTDEV_FAULT_DELAY     0x094
#define IRQ_TESTDEV_FAULT_BIT       0x098
#define IRQ_TESTDEV_FAULT_ADDRESS_LOW   0x09c
#define IRQ_TESTDEV_FAULT_ADDRESS_HIGH  0x0a0

/*
 * Counters, read only, of what really left the device. No reset clears them.
 * HELD is what found its vector masked: such a vector sends one message when it
 * is unmasked, however often it was held, which no other counter shows.
 */
#define IRQ_TESTDEV_SENT_MSIX       0x0c0
#define IRQ_TESTDEV_SENT_MSI        0x0c4
#define IRQ_TESTDEV_SENT_INTX       0x0c8
#define IRQ_TESTDEV_SENT_ASTRAY     0x0cc
#define IRQ_TESTDEV_HELD            0x0d0
#define IRQ_TESTDEV_COPIES_DONE     0x0d4
#define IRQ_TESTDEV_COPIES_FAILED   0x0d8
#define IRQ_TESTDEV_RESETS_BUSY     0x0dc
/* What was sent on the vector in SENT_SELECT, by its own address */
#define IRQ_TESTDEV_SENT_SELECT     0x0e0
#define IRQ_TESTDEV_SENT_ON_VECTOR  0x0e4

#define IRQ_TESTDEV_REGS_END        0x0e8

#endif /* HW_MISC_IRQ_TESTDEV_REGS_H */
