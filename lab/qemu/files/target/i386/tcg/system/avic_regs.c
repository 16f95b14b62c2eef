/*
 * AMD AVIC emulation: the guest's accesses to its local APIC, IPIs
 *
 * "APM" in comments is the AMD64 Architecture Programmer's Manual volume 2,
 * publication 24593, revision 3.43 or later.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "cpu.h"
#include "hw/i386/avic.h"
#include "tcg/helper-tcg.h"
#include "avic.h"
#include "target/i386/trace.h"

#define AVIC_ICR_MODE_MASK      (7U << 8)
#define AVIC_ICR_LOGICAL        (1U << 11)
#define AVIC_ICR_BUSY           (1U << 12)
#define AVIC_ICR_TRIGGER_LEVEL  (1U << 15)
#define AVIC_ICR_SHORTHAND(icr) extract32(icr, 18, 2)
/* Bits 31:20, 17:16, 13 and 12 must be zero in x2APIC mode (APM 16.13) */
#define AVIC_ICR_X2_RESERVED    0xfff33000U

enum {
    AVIC_SHORTHAND_NONE,
    AVIC_SHORTHAND_SELF,
    AVIC_SHORTHAND_ALL,
    AVIC_SHORTHAND_OTHERS,
};

/* Why an IPI was not delivered: APM table 15-27 */
enum {
    AVIC_IPI_INVALID_TYPE,
    AVIC_IPI_NOT_RUNNING,
    AVIC_IPI_INVALID_TARGET,
    AVIC_IPI_INVALID_PAGE,
    AVIC_IPI_INVALID_VECTOR,
};

#define AVIC_MAX_TARGETS        512

typedef struct AVICTarget {
    uint16_t id;        /* guest physical APIC ID */
    uint16_t index;     /* of the table entry that exits report */
} AVICTarget;

typedef struct AVICTargets {
    uint32_t invalid;   /* index of the first one that does not exist */
    unsigned count;
    AVICTarget target[AVIC_MAX_TARGETS];
} AVICTargets;

static uint64_t avic_phys_entry(CPUX86State *env, uint32_t id)
{
    return x86_ldq_phys(env_cpu(env), env->avic_physical_table + id * 8ULL);
}

static bool avic_add_target(CPUX86State *env, AVICTargets *t, uint32_t id,
                            uint32_t index)
{
    if (id > env->avic_max_index ||
        !(avic_phys_entry(env, id) & SVM_AVIC_PHYS_VALID)) {
        t->invalid = index;
        return false;
    }
    t->target[t->count++] = (AVICTarget) { .id = id, .index = index };
    return true;
}

/* A broadcast ignores invalid entries (APM 15.29.6.1, step 4) */
static void avic_add_all(CPUX86State *env, AVICTargets *t, bool self)
{
    for (uint32_t id = 0; id <= env->avic_max_index; id++) {
        uint64_t entry = avic_phys_entry(env, id);

        if ((entry & SVM_AVIC_PHYS_VALID) &&
            (self ||
             (entry & SVM_AVIC_ADDRESS_MASK) != env->avic_backing_page)) {
            avic_add_target(env, t, id, id);
        }
    }
}

/* xAPIC logical destination: APM 15.29.5.3, figures 15-20 and 15-21 */
static bool avic_add_logical(CPUX86State *env, AVICTargets *t, AVICPage *page,
                             uint8_t dest)
{
    bool flat = avic_page_get(page, AVIC_REG_DFR) >> 28 == 0xf;
    uint32_t first = flat ? 0 : (dest >> 4) * 4;
    uint32_t mask = flat ? dest : dest & 0xf;

    for (; mask; mask &= mask - 1) {
        uint32_t index = first + ctz32(mask);
        uint32_t entry = x86_ldl_phys(env_cpu(env),
                                      env->avic_logical_table + index * 4);

        if (!(entry & SVM_AVIC_LOG_VALID)) {
            t->invalid = index;
            return false;
        }
        if (!avic_add_target(env, t, entry & SVM_AVIC_LOG_GUEST_ID, index)) {
            return false;
        }
    }
    return true;
}

/*
 * x2APIC logical destination: 16 members of a cluster of consecutive IDs,
 * without a table (APM 15.29.5.3).
 */
static bool avic_add_cluster(CPUX86State *env, AVICTargets *t, uint32_t dest)
{
    for (uint32_t mask = dest & 0xffff; mask; mask &= mask - 1) {
        uint32_t id = (dest >> 16) * 16 + ctz32(mask);

        if (!avic_add_target(env, t, id, id)) {
            return false;
        }
    }
    return true;
}

/* APM 15.29.6.1, steps 2 to 4; false if a target does not exist */
static bool avic_find_targets(CPUX86State *env, AVICPage *page, uint32_t icrl,
                              uint32_t icrh, AVICTargets *t)
{
    bool x2apic = env->hflags2 & HF2_X2AVIC_MASK;
    uint32_t dest = x2apic ? icrh : icrh >> 24;

    t->count = 0;
    if (AVIC_ICR_SHORTHAND(icrl) != AVIC_SHORTHAND_NONE ||
        dest == (x2apic ? UINT32_MAX : 0xff)) {
        avic_add_all(env, t,
                     AVIC_ICR_SHORTHAND(icrl) != AVIC_SHORTHAND_OTHERS);
        return true;
    }
    if (!(icrl & AVIC_ICR_LOGICAL)) {
        return avic_add_target(env, t, dest, dest);
    }
    if (x2apic) {
        return avic_add_cluster(env, t, dest);
    }
    return avic_add_logical(env, t, page, dest);
}

static void avic_ipi_exit(CPUX86State *env, uint32_t icrl, uint32_t icrh,
                          uint32_t reason, uint32_t index)
{
    avic_set_trap(env, SVM_EXIT_AVIC_INCOMPLETE_IPI,
                  deposit64(icrl, 32, 32, icrh),
                  deposit64(index & SVM_AVIC_MAX_INDEX_MASK, 32, 32, reason));
}

/* Look at all backing pages first: no target may see an IPI that exits */
static bool avic_pages_valid(CPUX86State *env, AVICTargets *t)
{
    AVICPage page;

    for (unsigned i = 0; i < t->count; i++) {
        uint64_t entry = avic_phys_entry(env, t->target[i].id);

        if (!avic_page_map(&page, entry & SVM_AVIC_ADDRESS_MASK)) {
            t->invalid = t->target[i].index;
            return false;
        }
        avic_page_unmap(&page);
    }
    return true;
}

/* APM 15.29.6.1, steps 5 and 6 */
static void avic_send(CPUX86State *env, AVICPage *own, uint32_t icrl,
                      uint32_t icrh, AVICTargets *t)
{
    int not_running = -1;

    for (unsigned i = 0; i < t->count; i++) {
        uint64_t entry = avic_phys_entry(env, t->target[i].id);
        hwaddr addr = entry & SVM_AVIC_ADDRESS_MASK;

        x86_avic_post(addr, icrl);
        if (addr == env->avic_backing_page) {
            avic_evaluate(env, own);
            continue;
        }
        /*
         * Only now: a hypervisor that stops the target clears the bit and
         * then looks at the IRR a last time.
         */
        entry = avic_phys_entry(env, t->target[i].id);
        if (entry & SVM_AVIC_PHYS_RUNNING) {
            x86_avic_doorbell(entry & SVM_AVIC_PHYS_HOST_ID);
        } else if (not_running < 0) {
            not_running = t->target[i].index;
        }
    }
    if (not_running >= 0) {
        avic_ipi_exit(env, icrl, icrh, AVIC_IPI_NOT_RUNNING, not_running);
    }
}

/*
 * Only fixed, edge-triggered IPIs are accelerated.  Whatever is wrong is found
 * before the first IRR is written: on these exits the hypervisor sends the IPI
 * to all targets itself.
 */
static void avic_write_icr(CPUX86State *env, AVICPage *page, uint32_t icrl,
                           uint32_t icrh)
{
    AVICTargets targets;

    trace_x86_avic_ipi(env_cpu(env)->cpu_index, icrl, icrh);
    if (icrl & (AVIC_ICR_MODE_MASK | AVIC_ICR_TRIGGER_LEVEL)) {
        avic_ipi_exit(env, icrl, icrh, AVIC_IPI_INVALID_TYPE, 0);
    } else if ((icrl & 0xff) < 16) {
        avic_ipi_exit(env, icrl, icrh, AVIC_IPI_INVALID_VECTOR, 0);
    } else if (AVIC_ICR_SHORTHAND(icrl) == AVIC_SHORTHAND_SELF) {
        avic_vector_set(page, AVIC_REG_IRR, icrl);
        avic_evaluate(env, page);
    } else if (!avic_find_targets(env, page, icrl, icrh, &targets)) {
        avic_ipi_exit(env, icrl, icrh, AVIC_IPI_INVALID_TARGET,
                      targets.invalid);
    } else if (!avic_pages_valid(env, &targets)) {
        avic_ipi_exit(env, icrl, icrh, AVIC_IPI_INVALID_PAGE, targets.invalid);
    } else {
        avic_send(env, page, icrl, icrh, &targets);
    }
}

/* APM 15.29.3.1: the TPR of the backing page and V_TPR follow each other */
static void avic_write_tpr(CPUX86State *env, AVICPage *page, uint8_t tpr)
{
    avic_page_set(page, AVIC_REG_TPR, tpr);
    env->int_ctl = deposit32(env->int_ctl, 0, 4, tpr >> 4);
    avic_evaluate(env, page);
}

static void avic_noaccel_trap(CPUX86State *env, unsigned offset, uint8_t vec)
{
    avic_set_trap(env, SVM_EXIT_AVIC_NOACCEL, offset | SVM_AVIC_NOACCEL_WRITE,
                  vec);
}

static void avic_write_eoi(CPUX86State *env, AVICPage *page)
{
    int vec = avic_vector_highest(page, AVIC_REG_ISR);

    if (vec < 0) {
        return;
    }
    if (avic_vector_test(page, AVIC_REG_TMR, vec)) {
        /*
         * Level triggered: the hypervisor does it, including the ISR.  The
         * manual does not say so, but KVM relies on it.
         */
        avic_noaccel_trap(env, AVIC_REG_EOI, vec);
        return;
    }
    avic_vector_clear(page, AVIC_REG_ISR, vec);
    avic_evaluate(env, page);
}

/* What AVIC does with an access: APM table 15-22, last column */
typedef enum {
    AVIC_ALLOW,         /* to the backing page */
    AVIC_ACCELERATE,    /* ... with side effects */
    AVIC_TRAP,          /* ... then exit */
    AVIC_FAULT,         /* exit instead */
} AVICAction;

static AVICAction avic_read_action(unsigned offset)
{
    switch (offset) {
    case AVIC_REG_APR:
    case AVIC_REG_TMCCT:
    case AVIC_REG_EXT ... 0xfff:
        return AVIC_FAULT;
    default:
        return AVIC_ALLOW;
    }
}

static AVICAction avic_write_action(unsigned offset)
{
    switch (offset) {
    case AVIC_REG_TPR:
    case AVIC_REG_EOI:
    case AVIC_REG_ICR:
        return AVIC_ACCELERATE;
    case AVIC_REG_ID:
    case AVIC_REG_RRR:
    case AVIC_REG_LDR:
    case AVIC_REG_DFR:
    case AVIC_REG_SVR:
    case AVIC_REG_ESR:
    case AVIC_REG_LVTT ... AVIC_REG_LVTERR:
    case AVIC_REG_TMICT:
    case AVIC_REG_TDCR:
        return AVIC_TRAP;
    case AVIC_REG_VERSION:
    case AVIC_REG_APR:
    case AVIC_REG_PPR:
    case AVIC_REG_ISR ... AVIC_REG_IRR_LAST:
    case AVIC_REG_TMCCT:
    case AVIC_REG_EXT ... 0xfff:
        return AVIC_FAULT;
    default:
        return AVIC_ALLOW;
    }
}

static void avic_accelerate(CPUX86State *env, AVICPage *page, unsigned offset,
                            uint32_t val)
{
    switch (offset) {
    case AVIC_REG_TPR:
        avic_write_tpr(env, page, val);
        break;
    case AVIC_REG_EOI:
        avic_write_eoi(env, page);
        break;
    case AVIC_REG_ICR:
        val &= ~AVIC_ICR_BUSY;
        avic_page_set(page, AVIC_REG_ICR, val);
        avic_write_icr(env, page, val, avic_page_get(page, AVIC_REG_ICR2));
        break;
    default:
        g_assert_not_reached();
    }
}

/* Returns false if the access has to exit before it is made */
bool cpu_avic_read(CPUX86State *env, unsigned offset, uint32_t *val)
{
    AVICPage page;

    if (avic_read_action(offset) == AVIC_FAULT) {
        return false;
    }
    *val = 0;
    if (avic_page_map(&page, env->avic_backing_page)) {
        *val = avic_page_get(&page, offset);
        avic_page_unmap(&page);
    }
    return true;
}

bool cpu_avic_write(CPUX86State *env, unsigned offset, uint32_t val)
{
    AVICAction action = avic_write_action(offset);
    AVICPage page;

    if (action == AVIC_FAULT) {
        return false;
    }
    if (!avic_page_map(&page, env->avic_backing_page)) {
        return true;
    }
    if (action == AVIC_ACCELERATE) {
        avic_accelerate(env, &page, offset, val);
    } else {
        avic_page_set(&page, offset, val);
    }
    avic_page_unmap(&page);
    if (action == AVIC_TRAP) {
        avic_noaccel_trap(env, offset, 0);
    }
    return true;
}

/*
 * x2APIC registers: APM table 16-6.  Whether an access is one that x2APIC
 * allows at all is checked before AVIC looks at it (APM 15.29.10).
 */
static bool avic_x2apic_readable(unsigned offset)
{
    switch (offset) {
    case AVIC_REG_ID:
    case AVIC_REG_VERSION:
    case AVIC_REG_TPR:
    case AVIC_REG_APR:
    case AVIC_REG_PPR:
    case AVIC_REG_LDR:
    case AVIC_REG_SVR:
    case AVIC_REG_ISR ... AVIC_REG_IRR_LAST:
    case AVIC_REG_ESR:
    case AVIC_REG_ICR:
    case AVIC_REG_LVTT ... AVIC_REG_LVTERR:
    case AVIC_REG_TMICT:
    case AVIC_REG_TMCCT:
    case AVIC_REG_TDCR:
        return true;
    default:
        return false;
    }
}

static bool avic_x2apic_writable(unsigned offset, uint64_t val)
{
    switch (offset) {
    case AVIC_REG_EOI:
    case AVIC_REG_ESR:
        return val == 0;
    case AVIC_REG_TPR:
    case AVIC_REG_SELF_IPI:
        return val <= 0xff;
    case AVIC_REG_ICR:
        return !(val & AVIC_ICR_X2_RESERVED);
    case AVIC_REG_SVR:
    case AVIC_REG_LVTT ... AVIC_REG_LVTERR:
    case AVIC_REG_TMICT:
    case AVIC_REG_TDCR:
        return val <= UINT32_MAX;
    default:
        return false;
    }
}

/* RDMSR, not intercepted, x2AVIC on; returns false for #GP(0) */
bool cpu_avic_rdmsr(CPUX86State *env, int index, uint64_t *val,
                    uintptr_t retaddr)
{
    unsigned offset = index << 4;
    uint32_t low, high = 0;

    if (!avic_x2apic_readable(offset)) {
        return false;
    }
    if (!cpu_avic_read(env, offset, &low)) {
        cpu_avic_fault(env, offset, false, retaddr);
    }
    if (offset == AVIC_REG_ICR) {
        cpu_avic_read(env, AVIC_REG_ICR2, &high);
    }
    *val = deposit64(low, 32, 32, high);
    return true;
}

/*
 * WRMSR, not intercepted, x2AVIC on; returns false for #GP(0).  The registers
 * on which AVIC exits before the access are all read-only in x2APIC mode.
 */
bool cpu_avic_wrmsr(CPUX86State *env, int index, uint64_t val)
{
    unsigned offset = index << 4;
    AVICPage page;

    if (!avic_x2apic_writable(offset, val)) {
        return false;
    }
    if (offset == AVIC_REG_ICR) {
        /* The two halves are registers of the backing page (APM 15.29.10) */
        cpu_avic_write(env, AVIC_REG_ICR2, val >> 32);
    } else if (offset == AVIC_REG_SELF_IPI) {
        if (avic_page_map(&page, env->avic_backing_page)) {
            avic_write_icr(env, &page,
                           deposit32(val, 18, 2, AVIC_SHORTHAND_SELF), 0);
            avic_page_unmap(&page);
        }
        return true;
    }
    cpu_avic_write(env, offset, val);
    return true;
}

/* APM 15.29.4.1: independent of V_INTR_MASKING */
void cpu_avic_write_cr8(CPUX86State *env, uint8_t cr8)
{
    cpu_avic_write(env, AVIC_REG_TPR, cr8 << 4);
}
