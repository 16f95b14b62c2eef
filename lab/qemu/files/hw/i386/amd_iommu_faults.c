/*
 * AMD-Vi guest virtual APIC: faults on demand
 *
 * What hardware does once in a million times, as often as a test wants it: a
 * log that overflows, signals that are late, bits that are not up to date.
 * And what it never does, lost steps, so that a test can be seen to fail.
 *
 * All times are those of the virtual clock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "system/tcg.h"
#include "hw/i386/avic.h"
#include "amd_iommu.h"
#include "trace.h"

struct AMDVIDoorbell {
    QTAILQ_ENTRY(AMDVIDoorbell) next;
    int64_t due;
    uint32_t dest;
};

static int64_t amdvi_fault_clock(void)
{
    return qemu_clock_get_us(QEMU_CLOCK_VIRTUAL);
}

static bool amdvi_fault_every(const char *what, uint32_t n, uint32_t *count)
{
    if (!n || ++*count < n) {
        return false;
    }
    *count = 0;
    trace_amdvi_fault(what);
    return true;
}

bool amdvi_fault_drop_irr(AMDVIState *s)
{
    return amdvi_fault_every("IRR dropped", s->faults.drop_irr,
                             &s->faults.irrs);
}

bool amdvi_fault_drop_doorbell(AMDVIState *s)
{
    return amdvi_fault_every("doorbell dropped", s->faults.drop_doorbell,
                             &s->faults.doorbells);
}

bool amdvi_fault_drop_galog(AMDVIState *s)
{
    return amdvi_fault_every("GA log entry dropped", s->faults.drop_galog,
                             &s->faults.galogs);
}

bool amdvi_fault_galog_full(AMDVIState *s, uint32_t entries)
{
    return s->faults.galog_entries && entries >= s->faults.galog_entries;
}

static void amdvi_fault_ring(void *opaque)
{
    AMDVIState *s = opaque;
    AMDVIFaults *f = &s->faults;
    AMDVIDoorbell *bell;

    while ((bell = QTAILQ_FIRST(&f->held))) {
        if (bell->due > amdvi_fault_clock()) {
            timer_mod(f->doorbell_timer, bell->due);
            return;
        }
        QTAILQ_REMOVE(&f->held, bell, next);
        if (tcg_enabled()) {
            x86_avic_doorbell(bell->dest);
        }
        g_free(bell);
    }
}

bool amdvi_fault_hold_doorbell(AMDVIState *s, uint32_t dest)
{
    AMDVIFaults *f = &s->faults;
    AMDVIDoorbell *bell;

    if (!f->doorbell_delay) {
        return false;
    }
    trace_amdvi_fault("doorbell held");
    bell = g_new0(AMDVIDoorbell, 1);
    bell->dest = dest;
    bell->due = amdvi_fault_clock() + f->doorbell_delay;
    QTAILQ_INSERT_TAIL(&f->held, bell, next);
    if (!timer_pending(f->doorbell_timer)) {
        timer_mod(f->doorbell_timer, bell->due);
    }
    return true;
}

static void amdvi_fault_galog_intr(void *opaque)
{
    amdvi_generate_interrupt(opaque, AMDVI_MMIO_XT_GALOG_INTR);
}

bool amdvi_fault_hold_galog_intr(AMDVIState *s)
{
    AMDVIFaults *f = &s->faults;

    if (!f->galog_intr_delay) {
        return false;
    }
    trace_amdvi_fault("GA log interrupt held");
    if (!timer_pending(f->galog_timer)) {
        timer_mod(f->galog_timer, amdvi_fault_clock() + f->galog_intr_delay);
    }
    return true;
}

/*
 * Read all entries that have been used again.  Entries that are no longer in
 * guest mode are forgotten.
 */
static void amdvi_fault_sample(void *opaque)
{
    AMDVIState *s = opaque;
    AMDVIFaults *f = &s->faults;
    GHashTableIter iter;
    gpointer key, value;

    g_hash_table_iter_init(&iter, f->samples);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        uint64_t *sample = value;
        uint64_t lo = 0;

        dma_memory_read(&address_space_memory, *(hwaddr *)key, &lo,
                        sizeof(lo), MEMTXATTRS_UNSPECIFIED);
        *sample = le64_to_cpu(lo);
        if (!(*sample & AMDVI_IRTE_GAM_GUESTMODE)) {
            g_hash_table_iter_remove(&iter);
        }
    }
    if (g_hash_table_size(f->samples)) {
        timer_mod(f->stale_timer, amdvi_fault_clock() + f->stale_isrun);
    }
}

/*
 * IsRun, Destination and GALogIntr as they were up to stale_isrun ago: when
 * the entry was sampled last.
 */
uint64_t amdvi_fault_stale_irte(AMDVIState *s, hwaddr addr, uint64_t lo)
{
    AMDVIFaults *f = &s->faults;
    uint64_t *sample;

    if (!f->stale_isrun) {
        return lo;
    }
    sample = g_hash_table_lookup(f->samples, &addr);
    if (sample) {
        if (*sample != lo) {
            trace_amdvi_fault("stale entry used");
        }
        return *sample;
    }
    g_hash_table_insert(f->samples, g_memdup2(&addr, sizeof(addr)),
                        g_memdup2(&lo, sizeof(lo)));
    if (!timer_pending(f->stale_timer)) {
        timer_mod(f->stale_timer, amdvi_fault_clock() + f->stale_isrun);
    }
    return lo;
}

void amdvi_faults_realize(AMDVIState *s)
{
    AMDVIFaults *f = &s->faults;

    QTAILQ_INIT(&f->held);
    f->galog_timer = timer_new_us(QEMU_CLOCK_VIRTUAL, amdvi_fault_galog_intr,
                                  s);
    f->doorbell_timer = timer_new_us(QEMU_CLOCK_VIRTUAL, amdvi_fault_ring, s);
    f->stale_timer = timer_new_us(QEMU_CLOCK_VIRTUAL, amdvi_fault_sample, s);
    f->samples = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                       g_free);
}

void amdvi_faults_reset(AMDVIState *s)
{
    AMDVIFaults *f = &s->faults;
    AMDVIDoorbell *bell;

    timer_del(f->galog_timer);
    timer_del(f->doorbell_timer);
    timer_del(f->stale_timer);
    while ((bell = QTAILQ_FIRST(&f->held))) {
        QTAILQ_REMOVE(&f->held, bell, next);
        g_free(bell);
    }
    g_hash_table_remove_all(f->samples);
    f->irrs = f->doorbells = f->galogs = 0;
}
