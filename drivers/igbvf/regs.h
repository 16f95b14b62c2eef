/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The virtual functions of Intel's 82576. Registers come from the kernel's driver; here stands
 * what its headers lack. They work as those of igb that have the same name.
 */
#ifndef IGBVF_REGS_H
#define IGBVF_REGS_H

#include <linux/types.h>

#include <igbvf/regs.h>
#include <igbvf/defines.h>

#define IGBVF_VENDOR_ID 0x8086
#define IGBVF_DEVICE_ID 0x10ca

#define IGBVF_BAR 0

/*
 * VFMailbox: the physical function was reset, and nobody has set it up since. The kernel has it in
 * igbvf/mbx.h, which does not compile here.
 */
#define IGBVF_V2PMAILBOX_RSTI 0x40

#define IGBVF_MAX_VECTORS 3

#endif /* IGBVF_REGS_H */
