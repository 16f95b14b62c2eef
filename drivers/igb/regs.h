/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Intel 82576 Gigabit Ethernet Controller. Registers, their bits and the descriptors come from
 * the kernel's driver; here stands what its headers lack. Sections, here and in the code, are
 * those of the datasheet, revision 2.61.
 */
#ifndef IGB_REGS_H
#define IGB_REGS_H

#include <stdbool.h>

#include <linux/bits.h>
#include <linux/types.h>

#include <igb/e1000_regs.h>
#include <igb/e1000_defines.h>
#include <igb/e1000_82575.h>

#define IGB_VENDOR_ID 0x8086
#define IGB_DEVICE_ID 0x10c9

#define IGB_BAR 0

/* 8.8.1 to 8.8.6: bits of the extended interrupt registers */
#define IGB_MAX_VECTORS 25

/* 8.2.4, MDIC: the internal PHY */
#define IGB_PHY_ADDRESS 1

/* RLPML, with RCTL.LPE (8.10.1): the longest frame, with its CRC */
#define IGB_MAX_FRAME 9728
#define IGB_CRC_SIZE 4

/* 8.10.2, SRRCTL: units of the two sizes */
#define IGB_SRRCTL_PACKET(bytes) ((bytes) >> E1000_SRRCTL_BSIZEPKT_SHIFT)
#define IGB_SRRCTL_HEADER(bytes) ((bytes) << E1000_SRRCTL_BSIZEHDRSIZE_SHIFT)

#endif /* IGB_REGS_H */
