/*
 * AMD AVIC emulation: the guest's APIC page
 *
 * A guest accesses its local APIC at the guest physical address APIC_BAR.  The
 * nested page walk finds out (mmu_translate) and, instead of the page in the
 * nested page tables, enters into the TLB the only page of an address space
 * that each CPU has for this purpose.  That page is MMIO: accesses arrive here
 * one by one and with the CPU state in order, so that exits are precise.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "cpu.h"
#include "exec/address-spaces.h"
#include "tcg/helper-tcg.h"
#include "avic.h"

/*
 * All registers are 32 bits wide.  The result of accesses to bytes 4 to 15 of
 * a register is undefined (24593, section 15.29.3.1).  These, and accesses
 * that are not 32 bits wide, are left to the hypervisor.
 */
static bool avic_mmio_accelerated(X86CPU *cpu, hwaddr addr, unsigned size)
{
    return current_cpu == CPU(cpu) && avic_is_xavic(&cpu->env) &&
           size == 4 && !(addr & 0xf);
}

static MemTxResult avic_mmio_read(void *opaque, hwaddr addr, uint64_t *data,
                                  unsigned size, MemTxAttrs attrs)
{
    X86CPU *cpu = opaque;
    uint32_t val;

    if (!avic_mmio_accelerated(cpu, addr, size) ||
        !cpu_avic_read(&cpu->env, addr, &val)) {
        return MEMTX_ACCESS_ERROR;
    }
    *data = val;
    return MEMTX_OK;
}

static MemTxResult avic_mmio_write(void *opaque, hwaddr addr, uint64_t data,
                                   unsigned size, MemTxAttrs attrs)
{
    X86CPU *cpu = opaque;

    if (!avic_mmio_accelerated(cpu, addr, size) ||
        !cpu_avic_write(&cpu->env, addr, data)) {
        return MEMTX_ACCESS_ERROR;
    }
    return MEMTX_OK;
}

static const MemoryRegionOps avic_mmio_ops = {
    .read_with_attrs = avic_mmio_read,
    .write_with_attrs = avic_mmio_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1,
        .max_access_size = 8,
    },
    .impl = {
        .min_access_size = 1,
        .max_access_size = 8,
    },
};

void cpu_avic_realize(X86CPU *cpu)
{
    cpu->avic = g_new(MemoryRegion, 1);
    memory_region_init_io(cpu->avic, OBJECT(cpu), &avic_mmio_ops, cpu, "avic",
                          TARGET_PAGE_SIZE);
    cpu_address_space_init(CPU(cpu), X86ASIdx_AVIC, "cpu-avic", cpu->avic);
}

/*
 * An access to the APIC page that could not be made: exit with fault behavior.
 * Other transactions that nobody answers are no error on x86.
 */
void x86_cpu_do_transaction_failed(CPUState *cs, hwaddr physaddr, vaddr addr,
                                   unsigned size, MMUAccessType access_type,
                                   int mmu_idx, MemTxAttrs attrs,
                                   MemTxResult response, uintptr_t retaddr)
{
    CPUX86State *env = cpu_env(cs);

    if (x86_asidx_from_attrs(cs, attrs) == X86ASIdx_AVIC &&
        avic_is_xavic(env)) {
        cpu_avic_fault(env, physaddr & 0xff0, access_type == MMU_DATA_STORE,
                       retaddr);
    }
}
