/*
 * AMD AVIC emulation: shared by avic_helper.c and avic_regs.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef I386_TCG_AVIC_H
#define I386_TCG_AVIC_H

#include "exec/memory.h"
#include "cpu.h"

/* Registers of the local APIC: 24593, table 16-2 */
#define AVIC_REG_ID             0x020
#define AVIC_REG_VERSION        0x030
#define AVIC_REG_TPR            0x080
#define AVIC_REG_APR            0x090
#define AVIC_REG_PPR            0x0a0
#define AVIC_REG_EOI            0x0b0
#define AVIC_REG_RRR            0x0c0
#define AVIC_REG_LDR            0x0d0
#define AVIC_REG_DFR            0x0e0
#define AVIC_REG_SVR            0x0f0
#define AVIC_REG_ISR            0x100
#define AVIC_REG_TMR            0x180
#define AVIC_REG_IRR            0x200
#define AVIC_REG_IRR_LAST       0x270
#define AVIC_REG_ESR            0x280
#define AVIC_REG_ICR            0x300
#define AVIC_REG_ICR2           0x310
#define AVIC_REG_LVTT           0x320
#define AVIC_REG_LVTERR         0x370
#define AVIC_REG_TMICT          0x380
#define AVIC_REG_TMCCT          0x390
#define AVIC_REG_TDCR           0x3e0
#define AVIC_REG_SELF_IPI       0x3f0
#define AVIC_REG_EXT            0x400

/* A vAPIC backing page while it is being worked on */
typedef struct AVICPage {
    MemoryRegionCache cache;
} AVICPage;

bool avic_page_map(AVICPage *page, hwaddr addr);
void avic_page_unmap(AVICPage *page);
uint32_t avic_page_get(AVICPage *page, unsigned offset);
void avic_page_set(AVICPage *page, unsigned offset, uint32_t val);
bool avic_vector_test(AVICPage *page, unsigned base, uint8_t vec);
void avic_vector_set(AVICPage *page, unsigned base, uint8_t vec);
void avic_vector_clear(AVICPage *page, unsigned base, uint8_t vec);
int avic_vector_highest(AVICPage *page, unsigned base);

static inline bool avic_is_xavic(CPUX86State *env)
{
    return (env->hflags2 & (HF2_AVIC_MASK | HF2_X2AVIC_MASK)) == HF2_AVIC_MASK;
}

void avic_evaluate(CPUX86State *env, AVICPage *page);
void avic_set_trap(CPUX86State *env, uint32_t code, uint64_t info_1,
                   uint64_t info_2);

#endif
