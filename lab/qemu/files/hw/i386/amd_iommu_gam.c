/*
 * AMD-Vi guest virtual APIC: log of interrupts and guest mode remapping
 *
 * Section numbers are those of the AMD I/O Virtualization Technology (IOMMU)
 * Specification, publication 48882.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "system/tcg.h"
#include "hw/i386/avic.h"
#include "amd_iommu.h"
#include "trace.h"

#define AMDVI_GALOG_INTR_BITS   (AMDVI_MMIO_STATUS_GALOG_INT | \
                                 AMDVI_MMIO_STATUS_GALOG_OVF)

void amdvi_galog_reset(AMDVIState *s)
{
    s->galog = (AMDVIGALog) { };
}

/*
 * An interrupt is due when a status bit is set while GAIntEn is, and when
 * GAIntEn is set while a status bit is.
 */
static void amdvi_galog_update_intr(AMDVIState *s)
{
    uint64_t old = s->galog.intr;

    s->galog.intr = 0;
    if (amdvi_readq(s, AMDVI_MMIO_CONTROL) & AMDVI_MMIO_CONTROL_GAINTEN) {
        s->galog.intr = amdvi_readq(s, AMDVI_MMIO_STATUS) &
                        AMDVI_GALOG_INTR_BITS;
    }
    if (s->galog.intr & ~old) {
        trace_amdvi_galog_intr(s->galog.intr);
        if (!amdvi_fault_hold_galog_intr(s)) {
            amdvi_generate_interrupt(s, AMDVI_MMIO_XT_GALOG_INTR);
        }
    }
}

/*
 * GALogRun follows GALogEn.  An overflow clears it; logging starts again when
 * software has cleared GALOverflow and then sets GALogEn (section 2.7.4).
 */
void amdvi_galog_control_write(AMDVIState *s)
{
    uint64_t control = amdvi_readq(s, AMDVI_MMIO_CONTROL);
    uint64_t status = amdvi_readq(s, AMDVI_MMIO_STATUS);
    bool enabled = s->gamsup && (control & AMDVI_MMIO_CONTROL_AMDVIEN) &&
                   (control & AMDVI_MMIO_CONTROL_GALOGEN);

    if (!enabled) {
        amdvi_assign_andq(s, AMDVI_MMIO_STATUS, ~AMDVI_MMIO_STATUS_GALOG_RUN);
    } else if (!s->galog.enabled && !(status & AMDVI_MMIO_STATUS_GALOG_OVF)) {
        amdvi_assign_orq(s, AMDVI_MMIO_STATUS, AMDVI_MMIO_STATUS_GALOG_RUN);
    }
    s->galog.enabled = enabled;
    amdvi_galog_update_intr(s);
}

void amdvi_galog_status_write(AMDVIState *s)
{
    amdvi_galog_update_intr(s);
}

void amdvi_galog_reg_write(AMDVIState *s)
{
    uint64_t base = amdvi_readq(s, AMDVI_MMIO_GALOG_BASE);
    uint32_t mask;

    s->galog.base = base & AMDVI_MMIO_GALOG_BASE_MASK;
    /* GALogLen: 1000b is 512 entries, each value more doubles it */
    s->galog.len = AMDVI_GALOG_ENTRY_LEN << (extract64(base, 56, 4) + 1);
    mask = (s->galog.len - 1) & AMDVI_MMIO_GALOG_PTR_MASK;
    s->galog.tail_addr = amdvi_readq(s, AMDVI_MMIO_GALOG_TAIL_ADDR) &
                         AMDVI_MMIO_GALOG_TAIL_ADDR_MASK;
    s->galog.head = amdvi_readq(s, AMDVI_MMIO_GALOG_HEAD) & mask;
    s->galog.tail = amdvi_readq(s, AMDVI_MMIO_GALOG_TAIL) & mask;
}

static void amdvi_galog_write_entry(AMDVIState *s, uint16_t devid,
                                    uint32_t ga_tag)
{
    uint64_t entry = AMDVI_GALOG_GUEST_NR | ((uint64_t)devid << 32) | ga_tag;
    uint64_t tail = (s->galog.tail + AMDVI_GALOG_ENTRY_LEN) &
                    (s->galog.len - 1);

    trace_amdvi_galog(devid, ga_tag, s->galog.head, tail);
    entry = cpu_to_le64(entry);
    if (dma_memory_write(&address_space_memory, s->galog.base + s->galog.tail,
                         &entry, sizeof(entry), MEMTXATTRS_UNSPECIFIED)) {
        trace_amdvi_galog_fail(s->galog.base, s->galog.tail);
    }

    s->galog.tail = tail;
    amdvi_writeq_raw(s, AMDVI_MMIO_GALOG_TAIL, tail);
    if (s->galog.tail_addr) {
        tail = cpu_to_le64(tail);
        dma_memory_write(&address_space_memory, s->galog.tail_addr, &tail,
                         sizeof(tail), MEMTXATTRS_UNSPECIFIED);
    }
}

/*
 * Section 2.7: tell the hypervisor that a guest mode interrupt, already in the
 * IRR, found its virtual processor not running.
 */
void amdvi_galog_add(AMDVIState *s, uint16_t devid, uint32_t ga_tag)
{
    uint32_t used = (s->galog.tail - s->galog.head) & (s->galog.len - 1);

    if (!(amdvi_readq(s, AMDVI_MMIO_STATUS) & AMDVI_MMIO_STATUS_GALOG_RUN)) {
        trace_amdvi_galog_lost(devid, ga_tag);
        return;
    }
    if (amdvi_fault_drop_galog(s)) {
        return;
    }
    if (used + AMDVI_GALOG_ENTRY_LEN >= s->galog.len ||
        amdvi_fault_galog_full(s, used / AMDVI_GALOG_ENTRY_LEN)) {
        trace_amdvi_galog_overflow(devid, ga_tag);
        amdvi_assign_andq(s, AMDVI_MMIO_STATUS, ~AMDVI_MMIO_STATUS_GALOG_RUN);
        amdvi_assign_orq(s, AMDVI_MMIO_STATUS, AMDVI_MMIO_STATUS_GALOG_OVF);
    } else {
        amdvi_galog_write_entry(s, devid, ga_tag);
        amdvi_assign_orq(s, AMDVI_MMIO_STATUS, AMDVI_MMIO_STATUS_GALOG_INT);
    }
    amdvi_galog_update_intr(s);
}

/*
 * Section 2.2.5.2: IsRun, Destination, GALogIntr and GATag are not cached.
 * Read them after the IRR has been written: a hypervisor that stops the
 * virtual processor clears IsRun and then looks at the IRR a last time.  If
 * the entry has left guest mode meanwhile, there is nothing but its old
 * contents to go by, and a doorbell too many does no harm.
 */
static void amdvi_gam_reread(AMDVIState *s, MSIMessage *origin, uint64_t *dte,
                             struct irte_ga *irte, uint16_t devid)
{
    struct irte_ga now;

    if (amdvi_get_irte_ga(s, origin, dte, &now, devid) == 0 &&
        (le64_to_cpu(now.lo.val) & AMDVI_IRTE_GAM_GUESTMODE)) {
        *irte = now;
    }
    irte->lo.val = cpu_to_le64(
        amdvi_fault_stale_irte(s, amdvi_irte_ga_addr(origin, dte),
                               le64_to_cpu(irte->lo.val)));
}

/* Section 2.2.5.2: tell whoever has to know of the bit in the IRR */
static void amdvi_gam_notify(AMDVIState *s, struct irte_ga *irte,
                             uint16_t devid)
{
    uint64_t lo = le64_to_cpu(irte->lo.val);
    uint64_t hi = le64_to_cpu(irte->hi.val);
    uint32_t ga_tag = extract64(lo, 32, 32);
    uint32_t dest = extract64(lo, 8, 24);

    if (s->xtsup) {
        dest = deposit32(dest, 24, 8, extract64(hi, 56, 8));
    } else {
        dest &= 0xff;
    }

    if (lo & AMDVI_IRTE_GAM_ISRUN) {
        trace_amdvi_ir_post_doorbell(devid, dest);
        if (!amdvi_fault_drop_doorbell(s) &&
            !amdvi_fault_hold_doorbell(s, dest)) {
            x86_avic_doorbell(dest);
        }
    } else if (lo & AMDVI_IRTE_GAM_GALOGINTR) {
        amdvi_galog_add(s, devid, ga_tag);
    } else {
        trace_amdvi_ir_post_quiet(devid, ga_tag);
    }
}

/*
 * Sections 2.2.5.2 and 2.2.8: deliver a fixed or arbitrated interrupt to a
 * virtual processor, by its vAPIC backing page.  Returns AMDVI_IR_POSTED or a
 * negative error.
 */
int amdvi_gam_post(AMDVIState *s, MSIMessage *origin, uint64_t *dte,
                   struct irte_ga *irte, uint16_t devid)
{
    uint64_t hi = le64_to_cpu(irte->hi.val);
    uint8_t vector = extract64(hi, 0, 8);
    hwaddr page = hi & AMDVI_IRTE_GAM_ROOT_MASK;

    /* Who else would look at the backing page */
    if (!tcg_enabled()) {
        return -AMDVI_IR_ERR;
    }
    trace_amdvi_ir_post(devid, vector, page);
    if (!amdvi_fault_drop_irr(s) && !x86_avic_post(page, vector)) {
        trace_amdvi_ir_err("no memory at the vAPIC backing page");
        return -AMDVI_IR_ERR;
    }
    amdvi_gam_reread(s, origin, dte, irte, devid);
    amdvi_gam_notify(s, irte, devid);
    return AMDVI_IR_POSTED;
}
