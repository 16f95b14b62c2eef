/* SPDX-License-Identifier: GPL-2.0-only */
/* Intel 82576 Gigabit Ethernet Controller. Sections are those of its datasheet, revision 2.61. */
#ifndef IGB_REGS_H
#define IGB_REGS_H

#define IGB_VENDOR_ID 0x8086
#define IGB_DEVICE_ID 0x10c9

#define IGB_BAR 0

/* 8.2: general registers */
#define IGB_CTRL 0x0000			/* 8.2.1 */
#define IGB_CTRL_RST (1U << 26)		/* clears itself; not to be read for 1 ms (4.2.1.6.1) */

/* 8.8: interrupt registers */
/* These four by their alias addresses, the only ones that QEMU has; the others are 0x1500 on. */
#define IGB_ICR 0x00c0			/* causes; a read clears them */
#define IGB_ICS 0x00c8			/* sets causes */
#define IGB_IMS 0x00d0			/* enables causes */
#define IGB_IMC 0x00d8			/* disables causes */
#define IGB_ICR_TXDW (1U << 0)		/* a transmit descriptor was written back */

#define IGB_GPIE 0x1514
#define IGB_GPIE_MULTIPLE_MSIX (1U << 4)	/* EICR has one bit per vector (7.3.2) */
#define IGB_EICS 0x1520			/* sets causes */
#define IGB_EIMS 0x1524			/* enables causes */
#define IGB_EIMC 0x1528			/* disables causes */
#define IGB_EIAC 0x152c			/* causes that are cleared as their MSI-X is sent */
#define IGB_EIAM 0x1530			/* causes that are disabled along with that */
#define IGB_EITR(vector) (0x1680 + 4 * (vector))	/* throttling; 0 is off */

#define IGB_MAX_VECTORS 25

#endif /* IGB_REGS_H */
