/*
 * AMD-Vi guest virtual APIC: log of interrupts and guest mode remapping
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AMD_IOMMU_GAM_H
#define AMD_IOMMU_GAM_H

#include "exec/hwaddr.h"

typedef struct AMDVIState AMDVIState;

/* Guest virtual APIC log, the GA log (48882, section 2.7) */
typedef struct AMDVIGALog {
    bool enabled;               /* GALogEn and IommuEn */
    hwaddr base;
    hwaddr tail_addr;           /* where the tail pointer is copied to */
    uint32_t len;               /* in bytes */
    uint32_t head;              /* next entry that software reads */
    uint32_t tail;              /* next entry that the IOMMU writes */
    uint64_t intr;              /* status bits that have interrupted */
} AMDVIGALog;

void amdvi_galog_reset(AMDVIState *s);
void amdvi_galog_control_write(AMDVIState *s);
void amdvi_galog_status_write(AMDVIState *s);
void amdvi_galog_reg_write(AMDVIState *s);
void amdvi_galog_add(AMDVIState *s, uint16_t devid, uint32_t ga_tag);

#endif
