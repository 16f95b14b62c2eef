/*
 * AMD AVIC emulation: virtual processor state, doorbells, interrupt delivery
 *
 * The state of a guest's local APIC is in the vAPIC backing page, which is
 * ordinary memory of the hypervisor.  Other CPUs and the IOMMU set bits in its
 * IRR at any time and then ring a doorbell, here CPU_INTERRUPT_AVIC, on the CPU
 * that the virtual processor is assigned to.  The CPU answers by looking at
 * the IRR, as it does at VMRUN and whenever the priority of the processor may
 * have fallen.
 *
 * Nothing of the page is cached: every operation maps it anew, so that neither
 * a change of the memory map nor migration has to know about it.
 *
 * "APM" in comments is the AMD64 Architecture Programmer's Manual volume 2,
 * publication 24593, revision 3.43 or later.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "cpu.h"
#include "exec/address-spaces.h"
#include "hw/i386/avic.h"
#include "tcg/helper-tcg.h"
#include "avic.h"
#include "target/i386/trace.h"

bool avic_page_map(AVICPage *page, hwaddr addr)
{
    int64_t len = address_space_cache_init(&page->cache, &address_space_memory,
                                           addr, TARGET_PAGE_SIZE, true);

    if (len == TARGET_PAGE_SIZE && page->cache.ptr) {
        return true;
    }
    address_space_cache_destroy(&page->cache);
    return false;
}

void avic_page_unmap(AVICPage *page)
{
    address_space_cache_destroy(&page->cache);
}

static uint32_t *avic_page_word(AVICPage *page, unsigned offset)
{
    return (uint32_t *)((uint8_t *)page->cache.ptr + offset);
}

uint32_t avic_page_get(AVICPage *page, unsigned offset)
{
    return le32_to_cpu(qatomic_read(avic_page_word(page, offset)));
}

void avic_page_set(AVICPage *page, unsigned offset, uint32_t val)
{
    qatomic_set(avic_page_word(page, offset), cpu_to_le32(val));
    address_space_cache_invalidate(&page->cache, offset, sizeof(val));
}

/* IRR, ISR and TMR: 32 vectors in every 16 bytes */
static unsigned avic_vector_offset(unsigned base, uint8_t vec)
{
    return base + vec / 32 * 0x10;
}

bool avic_vector_test(AVICPage *page, unsigned base, uint8_t vec)
{
    return avic_page_get(page, avic_vector_offset(base, vec)) &
           (1U << (vec % 32));
}

void avic_vector_set(AVICPage *page, unsigned base, uint8_t vec)
{
    unsigned offset = avic_vector_offset(base, vec);

    qatomic_or(avic_page_word(page, offset), cpu_to_le32(1U << (vec % 32)));
    address_space_cache_invalidate(&page->cache, offset, sizeof(uint32_t));
}

void avic_vector_clear(AVICPage *page, unsigned base, uint8_t vec)
{
    unsigned offset = avic_vector_offset(base, vec);

    qatomic_and(avic_page_word(page, offset), ~cpu_to_le32(1U << (vec % 32)));
    address_space_cache_invalidate(&page->cache, offset, sizeof(uint32_t));
}

int avic_vector_highest(AVICPage *page, unsigned base)
{
    for (int i = 7; i >= 0; i--) {
        uint32_t word = avic_page_get(page, base + i * 0x10);

        if (word) {
            return i * 32 + 31 - clz32(word);
        }
    }
    return -1;
}

bool x86_avic_post(hwaddr addr, uint8_t vector)
{
    AVICPage page;

    if (!avic_page_map(&page, addr)) {
        return false;
    }
    avic_vector_set(&page, AVIC_REG_IRR, vector);
    avic_page_unmap(&page);
    /* Callers look whether the virtual processor runs, see avic.h */
    smp_mb();
    return true;
}

void x86_avic_doorbell(uint32_t apic_id)
{
    CPUState *cs;

    BQL_LOCK_GUARD();
    cs = cpu_by_arch_id(apic_id);
    trace_x86_avic_doorbell(apic_id, cs != NULL);
    if (cs) {
        cpu_interrupt(cs, CPU_INTERRUPT_AVIC);
    }
}

/*
 * APM 15.29.3.1: hardware computes the PPR when the TPR or the highest vector
 * in service changes.  Real processors compare with the copy of the TPR in
 * V_TPR, which VMRUN loads from the VMCB: a hypervisor that changes the TPR
 * in the backing page has to change V_TPR as well.
 */
static uint8_t avic_ppr(CPUX86State *env, AVICPage *page)
{
    uint8_t tpr = (env->int_ctl & V_TPR_MASK) << 4;
    uint8_t subclass = avic_page_get(page, AVIC_REG_TPR) & 0xf;
    int isr = avic_vector_highest(page, AVIC_REG_ISR);

    if (isr >= 0 && (isr & 0xf0) > tpr) {
        return isr & 0xf0;
    }
    return tpr | subclass;
}

/* Highest pending vector, -1 if the priority of the processor forbids it */
static int avic_deliverable(CPUX86State *env, AVICPage *page)
{
    int irr = avic_vector_highest(page, AVIC_REG_IRR);

    if (irr < 0) {
        return -1;
    }
    if ((irr & 0xf0) <= (avic_ppr(env, page) & 0xf0)) {
        trace_x86_avic_masked(env_cpu(env)->cpu_index, irr,
                              avic_ppr(env, page));
        return -1;
    }
    return irr;
}

static void avic_update_ppr(CPUX86State *env, AVICPage *page)
{
    uint8_t ppr = avic_ppr(env, page);

    if (avic_page_get(page, AVIC_REG_PPR) != ppr) {
        avic_page_set(page, AVIC_REG_PPR, ppr);
    }
}

/* To be called when the TPR, the ISR or the own IRR changed */
void avic_evaluate(CPUX86State *env, AVICPage *page)
{
    avic_update_ppr(env, page);
    if (avic_deliverable(env, page) >= 0) {
        BQL_LOCK_GUARD();
        cpu_interrupt(env_cpu(env), CPU_INTERRUPT_AVIC);
    }
}

/*
 * Is there still a reason for CPU_INTERRUPT_AVIC?  If not, reset it, so that
 * it neither wakes a halted CPU nor makes a running one look again and again.
 * Whatever allows the delivery later raises it anew.  An interrupt that only
 * has to wait for EFLAGS.IF, GIF or the end of a shadow is a reason.
 *
 * No doorbell is lost: who rings it has set the IRR before, and needs the BQL,
 * which is held here.
 */
bool cpu_avic_poll(CPUX86State *env)
{
    AVICPage page;
    int vec = -1;

    g_assert(bql_locked());

    if (env->avic_exit_code) {
        return true;
    }
    if ((env->hflags2 & HF2_AVIC_MASK) &&
        avic_page_map(&page, env->avic_backing_page)) {
        vec = avic_deliverable(env, &page);
        avic_page_unmap(&page);
    }
    if (vec < 0) {
        cpu_reset_interrupt(env_cpu(env), CPU_INTERRUPT_AVIC);
    }
    return vec >= 0;
}

/* Move the highest pending vector from IRR to ISR; -1 if there is none */
int cpu_avic_ack(CPUX86State *env)
{
    AVICPage page;
    int vec;

    if (!avic_page_map(&page, env->avic_backing_page)) {
        return -1;
    }
    vec = avic_deliverable(env, &page);
    if (vec >= 0) {
        avic_vector_clear(&page, AVIC_REG_IRR, vec);
        avic_vector_set(&page, AVIC_REG_ISR, vec);
        avic_update_ppr(env, &page);
        trace_x86_avic_deliver(env_cpu(env)->cpu_index, vec);
    }
    avic_page_unmap(&page);
    return vec;
}

/*
 * An exit with trap behavior is due: it is taken at the next instruction
 * boundary, by cpu_avic_take_trap().
 */
void avic_set_trap(CPUX86State *env, uint32_t code, uint64_t info_1,
                   uint64_t info_2)
{
    env->avic_exit_code = code;
    env->avic_exit_info_1 = info_1;
    env->avic_exit_info_2 = info_2;

    BQL_LOCK_GUARD();
    cpu_interrupt(env_cpu(env), CPU_INTERRUPT_AVIC);
}

static G_NORETURN void avic_exit(CPUX86State *env, uint32_t code,
                                 uint64_t info_1, uint64_t info_2,
                                 uintptr_t retaddr)
{
    trace_x86_avic_exit(env_cpu(env)->cpu_index, code, info_1, info_2);
    x86_stq_phys(env_cpu(env), env->vm_vmcb +
                 offsetof(struct vmcb, control.exit_info_2), info_2);
    cpu_vmexit(env, code, info_1, retaddr);
}

void cpu_avic_take_trap(CPUX86State *env)
{
    uint32_t code = env->avic_exit_code;

    env->avic_exit_code = 0;
    avic_exit(env, code, env->avic_exit_info_1, env->avic_exit_info_2, 0);
}

/* Exit with fault behavior: the access has not been made (APM 15.29.9.2) */
void cpu_avic_fault(CPUX86State *env, unsigned offset, bool write,
                    uintptr_t retaddr)
{
    avic_exit(env, SVM_EXIT_AVIC_NOACCEL,
              offset | (write ? SVM_AVIC_NOACCEL_WRITE : 0), 0, retaddr);
}

static uint64_t avic_load_pointer(CPUX86State *env, size_t offset)
{
    return x86_ldq_phys(env_cpu(env), env->vm_vmcb + offset);
}

/*
 * APM 15.29.4.3: the pointers must be within the physical address space and
 * the maximum index within the size of the table.
 */
static bool avic_pointers_valid(CPUX86State *env)
{
    uint64_t reserved = ~MAKE_64BIT_MASK(0, env_archcpu(env)->phys_bits);
    uint32_t limit = env->hflags2 & HF2_X2AVIC_MASK ? 511 : 255;

    return env->avic_max_index <= limit &&
           !(env->avic_physical_table & reserved) &&
           !(env->avic_backing_page & reserved) &&
           !(avic_is_xavic(env) && (env->avic_logical_table & reserved));
}

/* VMRUN: false if the VMCB is not valid (APM 15.29.4 and 15.29.8.3) */
bool cpu_avic_vmrun(CPUX86State *env)
{
    bool avic = env->int_ctl & V_AVIC_ENABLED_MASK;
    bool x2avic = env->int_ctl & V_X2AVIC_ENABLED_MASK;
    AVICPage page;
    uint64_t table;

    env->hflags2 &= ~(HF2_AVIC_MASK | HF2_X2AVIC_MASK);
    env->avic_exit_code = 0;

    /* Without the feature the bits are reserved and ignored */
    avic &= !!(env->features[FEAT_SVM] & CPUID_SVM_AVIC);
    x2avic &= !!(env->features[FEAT_SVM] & CPUID_SVM_X2AVIC);
    if (!avic) {
        return !x2avic;
    }
    /* "Any guest configured to use AVIC must also enable nested paging" */
    if (!(env->hflags2 & HF2_NPT_MASK)) {
        return false;
    }

    table = avic_load_pointer(env, offsetof(struct vmcb,
                                            control.avic_physical_table));
    env->avic_physical_table = table & SVM_AVIC_ADDRESS_MASK;
    env->avic_max_index = table & SVM_AVIC_MAX_INDEX_MASK;
    env->avic_logical_table = SVM_AVIC_ADDRESS_MASK &
        avic_load_pointer(env, offsetof(struct vmcb,
                                        control.avic_logical_table));
    env->avic_backing_page = SVM_AVIC_ADDRESS_MASK &
        avic_load_pointer(env, offsetof(struct vmcb,
                                        control.avic_backing_page));
    env->avic_apic_bar = SVM_AVIC_ADDRESS_MASK &
        avic_load_pointer(env, offsetof(struct vmcb, control.avic_apic_bar));

    env->hflags2 |= HF2_AVIC_MASK | (x2avic ? HF2_X2AVIC_MASK : 0);
    /* More than the manual asks for: only RAM can be a backing page here */
    if (!avic_pointers_valid(env) ||
        !avic_page_map(&page, env->avic_backing_page)) {
        return false;
    }
    /* From here on doorbells are answered: no interrupt is missed */
    avic_evaluate(env, &page);
    avic_page_unmap(&page);
    return true;
}

/* #VMEXIT, with the BQL held */
void cpu_avic_vmexit(CPUX86State *env)
{
    env->hflags2 &= ~(HF2_AVIC_MASK | HF2_X2AVIC_MASK);
    env->avic_exit_code = 0;
    cpu_reset_interrupt(env_cpu(env), CPU_INTERRUPT_AVIC);
}
