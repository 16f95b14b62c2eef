/*
 * AMD-Vi guest virtual APIC: faults on demand
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AMD_IOMMU_FAULTS_H
#define AMD_IOMMU_FAULTS_H

#include "exec/hwaddr.h"
#include "qemu/queue.h"
#include "qemu/timer.h"

typedef struct AMDVIState AMDVIState;
typedef struct AMDVIDoorbell AMDVIDoorbell;

/* Properties of the device; 0 is off.  Times are in microseconds. */
typedef struct AMDVIFaults {
    uint32_t galog_entries;     /* capacity of the GA log */
    uint32_t galog_intr_delay;
    uint32_t doorbell_delay;
    uint32_t stale_isrun;       /* age that IsRun & co. may have */
    uint32_t drop_irr;          /* skip every Nth one */
    uint32_t drop_doorbell;
    uint32_t drop_galog;

    /* State */
    uint32_t irrs, doorbells, galogs;   /* counted for drop_* */
    QEMUTimer *galog_timer;
    QEMUTimer *doorbell_timer;
    QTAILQ_HEAD(, AMDVIDoorbell) held;  /* doorbells, the oldest first */
    QEMUTimer *stale_timer;
    GHashTable *samples;        /* low half of an entry by its address */
} AMDVIFaults;

void amdvi_faults_realize(AMDVIState *s);
void amdvi_faults_reset(AMDVIState *s);

/* Is this one to be skipped? */
bool amdvi_fault_drop_irr(AMDVIState *s);
bool amdvi_fault_drop_doorbell(AMDVIState *s);
bool amdvi_fault_drop_galog(AMDVIState *s);

/* Is the log full, although there is room in memory? */
bool amdvi_fault_galog_full(AMDVIState *s, uint32_t entries);

/* Is this one held back?  Then it happens later by itself. */
bool amdvi_fault_hold_doorbell(AMDVIState *s, uint32_t dest);
bool amdvi_fault_hold_galog_intr(AMDVIState *s);

/* The low half of a guest mode entry as the IOMMU believes it to be */
uint64_t amdvi_fault_stale_irte(AMDVIState *s, hwaddr addr, uint64_t lo);

#endif
