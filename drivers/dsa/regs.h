/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Intel Data Streaming Accelerator. Registers, descriptors and completion records come from the
 * kernel's driver; here stands what its headers lack. 341204 is Intel's number of the Data
 * Streaming Accelerator Architecture Specification.
 */
#ifndef DSA_REGS_H
#define DSA_REGS_H

#include <linux/compiler.h>
#include <linux/types.h>

#include <idxd/registers.h>

#define DSA_VENDOR_ID 0x8086
/* Sapphire Rapids and its successors, Granite Rapids D, Diamond Rapids */
#define DSA_DEVICE_ID_SPR 0x0b25
#define DSA_DEVICE_ID_GNRD 0x11fb
#define DSA_DEVICE_ID_DMR 0x1212

/* A work queue has four portals of a page each; the first is an unlimited one for MSI-X. */
#define DSA_PORTAL(wq) ((wq) * 4 * 4096ULL)

/* No batch is shorter. */
#define DSA_MIN_BATCH 2U

/* CPUID leaf 7, subleaf 0, ECX */
#define CPUID_MOVDIR64B (1U << 28)

#endif /* DSA_REGS_H */
