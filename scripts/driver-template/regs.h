/* SPDX-License-Identifier: GPL-2.0-only */
/* FILL IN: the device, and the datasheet, with its revision, whose sections are named here. */
#ifndef FOO_REGS_H
#define FOO_REGS_H

#define FOO_VENDOR_ID 0x0000	/* FILL IN */
#define FOO_DEVICE_ID 0x0000	/* FILL IN */

/* FILL IN: the BAR, and the registers by their names in the datasheet, with the section. */
#define FOO_BAR 0

#endif /* FOO_REGS_H */
