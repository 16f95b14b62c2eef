/*
 * Intel QuickData Technology (I/OAT, CBDMA) DMA engine
 *
 * A PCI function with one channel, as on Xeon E5, E7 and Skylake-SP, or with
 * up to four, as before. A channel copies as a chain of descriptors in memory
 * says, writes its status to memory and interrupts, by a vector of MSI-X of
 * its own or by INTx. Like the hardware it has no MSI.
 *
 * Registers: Intel Xeon Processor E7-2800/4800/8800 v2 Product Family,
 * Datasheet Volume Two, sections 14.4 (configuration space) and 14.5 (BAR 0).
 * Descriptors: drivers/dma/ioat/hw.h of Linux.
 *
 * Of what that hardware does this has neither XOR, PQ, CRC and DIF, nor DCA
 * and interrupt coalescing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/log.h"
#include "qemu/timer.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pcie.h"
#include "hw/qdev-properties.h"
#include "migration/vmstate.h"

#define TYPE_IOAT "ioat"
OBJECT_DECLARE_SIMPLE_TYPE(IoatState, IOAT)

#define IOAT_DEVICE_ID          0x2021
#define IOAT_MAX_CHANNELS       4
#define IOAT_BAR_SIZE           (16 * KiB)
#define IOAT_MSIX_TABLE         0x2000
#define IOAT_MSIX_PBA           0x3000

/* Configuration space */
#define CFG_MSIX                0x80
#define CFG_EXP                 0x90
#define CFG_CHANERR_INT         0x180
#define CFG_CHANERRMASK_INT     0x184

/* BAR 0: the function */
#define REG_CHANCNT             0x00
#define REG_XFERCAP             0x01
#define REG_GENCTRL             0x02
#define REG_INTRCTRL            0x03
#define   INTRCTRL_MASTER_EN    0x01
#define   INTRCTRL_INT_STATUS   0x02
#define   INTRCTRL_INT          0x04
#define   INTRCTRL_MSIX_VECTOR  0x08
#define REG_ATTNSTATUS          0x04
#define REG_CBVER               0x08
#define   CBVER_3_3             0x33
#define REG_PERPORTOFFSET       0x0a
#define REG_INTRDELAY           0x0c
#define REG_CS_STATUS           0x0e
#define REG_DMACAPABILITY       0x10
#define REG_DCAOFFSET           0x14
#define REG_CBPRIO              0x40

/* Its channels, of 80h bytes each from 80h on */
#define CHANNEL_SIZE            0x80
#define CHANNEL(n)              (CHANNEL_SIZE * ((n) + 1))
#define REG_CHANCTRL            0x00
#define   CHANCTRL_INT_DISABLE  0x0001
#define   CHANCTRL_ANY_ABORT    0x0008
#define   CHANCTRL_ERR_CMPL     0x0004
#define   CHANCTRL_ERR_INT      0x0010
#define   CHANCTRL_SNOOP        0x0020
#define   CHANCTRL_IN_USE       0x0100
#define   CHANCTRL_STORED       (CHANCTRL_ANY_ABORT | CHANCTRL_ERR_CMPL | \
                                 CHANCTRL_ERR_INT | CHANCTRL_SNOOP | \
                                 CHANCTRL_IN_USE)
#define REG_DMA_COMP            0x02
#define   DMA_COMP_V2           0x02
#define REG_CHANCMD             0x04
#define   CHANCMD_SUSPEND       0x04
#define   CHANCMD_RESET         0x20
#define REG_DMACOUNT            0x06
#define REG_CHANSTS             0x08
#define REG_CHAINADDR           0x10
#define REG_CHANCMP             0x18
#define REG_CHANERR             0x28
#define REG_CHANERRMSK          0x2c
#define REG_DCACTRL             0x30
#define REGS_END                CHANNEL(IOAT_MAX_CHANNELS)

/* CHANERR */
#define ERR_SRC_ADDR            BIT(0)
#define ERR_DST_ADDR            BIT(1)
#define ERR_NEXT_ADDR           BIT(2)
#define ERR_DESC                BIT(3)
#define ERR_CHAIN_ADDR          BIT(4)
#define ERR_CHANCMD             BIT(5)
#define ERR_READ_DATA           BIT(8)
#define ERR_WRITE_DATA          BIT(9)
#define ERR_CONTROL             BIT(10)
#define ERR_LENGTH              BIT(11)
#define ERR_CMPL_ADDR           BIT(12)

/* Descriptors */
#define DESC_SIZE               64
#define CTL_INT                 BIT(0)
#define CTL_SRC_NO_SNOOP        BIT(1)
#define CTL_DST_NO_SNOOP        BIT(2)
#define CTL_COMPLETION          BIT(3)
#define CTL_FENCE               BIT(4)
#define CTL_NULL                BIT(5)
/* All of a copy, operation 0, in a part with no page breaks, DCA and bundles */
#define CTL_KNOWN               (CTL_INT | CTL_SRC_NO_SNOOP | \
                                 CTL_DST_NO_SNOOP | CTL_COMPLETION | \
                                 CTL_FENCE | CTL_NULL)

#define XFERCAP_LOG2            20
#define MAX_TRANSFER            (1u << XFERCAP_LOG2)
#define ADDRESS_BITS            52

/* How long it takes, and how much it does before others get their turn */
#define NS_PER_DESC             100
#define RESET_NS                1000
#define TURN_DESCS              64
#define TURN_BYTES              (256 * KiB)

/* In CHANSTS, bits 2:0 */
typedef enum IoatStatus {
    IOAT_ACTIVE,
    IOAT_IDLE,
    IOAT_SUSPENDED,
    IOAT_HALTED,
} IoatStatus;

typedef struct QEMU_PACKED IoatDescriptor {
    uint32_t size;
    uint32_t ctl;
    uint64_t src;
    uint64_t dst;
    uint64_t next;
    uint64_t ignored[4];
} IoatDescriptor;

QEMU_BUILD_BUG_ON(sizeof(IoatDescriptor) != DESC_SIZE);

/* What the model itself is to do wrong, to see tests fail; never if 0 */
typedef struct IoatMistake {
    uint32_t every;
    uint32_t count;
} IoatMistake;

typedef struct IoatChannel {
    IoatState *s;
    unsigned index;
    /* As software wrote them; what the hardware changes is apart */
    uint8_t *regs;

    IoatStatus status;
    uint64_t completed;
    uint32_t chanerr;
    bool int_disabled;
    bool int_pending;

    /* CHAINADDR was written, and is to be taken with the next DMACOUNT */
    bool chain_is_new;
    uint64_t next;
    uint16_t done;
    bool suspending;
    bool resetting;
    bool hangs;

    QEMUTimer timer;
} IoatChannel;

struct IoatState {
    PCIDevice parent_obj;

    MemoryRegion mmio;
    uint8_t regs[REGS_END];
    uint32_t attention;
    IoatChannel channel[IOAT_MAX_CHANNELS];
    uint8_t *buffer;

    uint32_t channels;
    bool shift_register;
    IoatMistake drop_irq;
    IoatMistake drop_completion;
    IoatMistake short_copy;
};

static bool ioat_mistake(IoatMistake *mistake)
{
    if (!mistake->every || ++mistake->count < mistake->every) {
        return false;
    }
    mistake->count = 0;
    return true;
}

static void ioat_wrong(IoatState *s, const char *what, hwaddr addr)
{
    qemu_log_mask(LOG_GUEST_ERROR, "%s: %s, offset %03" HWADDR_PRIx "h\n",
                  PCI_DEVICE(s)->name, what, addr);
}

static void ioat_channel_wrong(IoatChannel *c, const char *what, hwaddr reg)
{
    ioat_wrong(c->s, what, CHANNEL(c->index) + reg);
}

static uint16_t ioat_dmacount(IoatChannel *c)
{
    return lduw_le_p(c->regs + REG_DMACOUNT);
}

static uint64_t ioat_chansts(IoatChannel *c)
{
    return c->completed | c->status;
}

/* Interrupts */

static void ioat_update_intx(IoatState *s)
{
    pci_set_irq(PCI_DEVICE(s), !msix_enabled(PCI_DEVICE(s)) && s->attention &&
                s->regs[REG_INTRCTRL] & INTRCTRL_MASTER_EN);
}

static void ioat_send(IoatChannel *c)
{
    IoatState *s = c->s;

    c->int_pending = false;
    c->int_disabled = true;
    if (ioat_mistake(&s->drop_irq)) {
        return;
    }
    s->attention |= BIT(c->index);
    if (!msix_enabled(PCI_DEVICE(s))) {
        ioat_update_intx(s);
    } else if (s->regs[REG_INTRCTRL] & INTRCTRL_MSIX_VECTOR) {
        msix_notify(PCI_DEVICE(s), c->index);
    } else if (s->regs[REG_INTRCTRL] & INTRCTRL_MASTER_EN) {
        msix_notify(PCI_DEVICE(s), 0);
    }
}

/*
 * After each interrupt the channel's are disabled until software has rearmed
 * them. One that comes in between is kept (CHANCTRL; MSI-X pending bits,
 * 14.5.35).
 */
static void ioat_interrupt(IoatChannel *c)
{
    c->int_pending = true;
    if (!c->int_disabled) {
        ioat_send(c);
    }
}

static void ioat_rearm(IoatChannel *c)
{
    c->int_disabled = false;
    if (c->int_pending) {
        ioat_send(c);
    }
}

/* Reading it disables them, so that a handler has the line to itself. */
static uint8_t ioat_read_intrctrl(IoatState *s)
{
    uint8_t value = s->regs[REG_INTRCTRL];

    if (s->attention) {
        value |= INTRCTRL_INT_STATUS |
                 (value & INTRCTRL_MASTER_EN ? INTRCTRL_INT : 0);
    }
    if (!msix_enabled(PCI_DEVICE(s))) {
        s->regs[REG_INTRCTRL] &= ~INTRCTRL_MASTER_EN;
        ioat_update_intx(s);
    }
    return value;
}

static uint32_t ioat_read_attention(IoatState *s)
{
    uint32_t attention = s->attention;

    s->attention = 0;
    ioat_update_intx(s);
    return attention;
}

/* The channel */

static bool ioat_write_completion(IoatChannel *c)
{
    uint64_t to = ldq_le_p(c->regs + REG_CHANCMP);
    uint64_t value = cpu_to_le64(ioat_chansts(c));

    return !(to % 8) && pci_dma_write(PCI_DEVICE(c->s), to, &value,
                                      sizeof(value)) == MEMTX_OK;
}

static void ioat_halt(IoatChannel *c, uint32_t error)
{
    uint16_t ctrl = lduw_le_p(c->regs + REG_CHANCTRL);

    timer_del(&c->timer);
    c->status = IOAT_HALTED;
    c->suspending = false;
    c->chanerr |= error;
    pci_long_test_and_set_mask(PCI_DEVICE(c->s)->config + CFG_CHANERR_INT,
                               error);
    if (ctrl & CHANCTRL_ERR_CMPL && !(error & ERR_CMPL_ADDR)) {
        ioat_write_completion(c);
    }
    if (ctrl & CHANCTRL_ERR_INT &&
        !(ldl_le_p(c->regs + REG_CHANERRMSK) & error)) {
        ioat_interrupt(c);
    }
}

static bool ioat_is_address(uint64_t address, uint64_t size)
{
    return !(address >> ADDRESS_BITS || (address + size - 1) >> ADDRESS_BITS);
}

/* Return: 0, or what is wrong with the descriptor. */
static uint32_t ioat_check(const IoatDescriptor *desc)
{
    if (desc->ctl & ~CTL_KNOWN) {
        return ERR_CONTROL;
    }
    if (!desc->size || desc->size > MAX_TRANSFER) {
        return ERR_LENGTH;
    }
    if (desc->ctl & CTL_NULL) {
        return 0;
    }
    if (!ioat_is_address(desc->src, desc->size)) {
        return ERR_SRC_ADDR;
    }
    return ioat_is_address(desc->dst, desc->size) ? 0 : ERR_DST_ADDR;
}

static uint32_t ioat_copy(IoatState *s, const IoatDescriptor *desc)
{
    PCIDevice *pdev = PCI_DEVICE(s);
    uint32_t size = desc->size;

    if (ioat_mistake(&s->short_copy)) {
        size--;
    }
    if (pci_dma_read(pdev, desc->src, s->buffer, size) != MEMTX_OK) {
        return ERR_READ_DATA;
    }
    if (pci_dma_write(pdev, desc->dst, s->buffer, size) != MEMTX_OK) {
        return ERR_WRITE_DATA;
    }
    return 0;
}

static uint32_t ioat_fetch(IoatChannel *c, IoatDescriptor *desc)
{
    if (c->next % DESC_SIZE || !ioat_is_address(c->next, DESC_SIZE)) {
        return ERR_NEXT_ADDR;
    }
    if (pci_dma_read(PCI_DEVICE(c->s), c->next, desc, sizeof(*desc)) !=
        MEMTX_OK) {
        return ERR_DESC;
    }
    desc->size = le32_to_cpu(desc->size);
    desc->ctl = le32_to_cpu(desc->ctl);
    desc->src = le64_to_cpu(desc->src);
    desc->dst = le64_to_cpu(desc->dst);
    desc->next = le64_to_cpu(desc->next);
    return 0;
}

/* A descriptor is done. Return: 0, or what went wrong after all. */
static uint32_t ioat_complete(IoatChannel *c, const IoatDescriptor *desc)
{
    if (desc->ctl & CTL_COMPLETION && ioat_mistake(&c->s->drop_completion)) {
        c->hangs = true;
        return 0;
    }
    c->completed = c->next;
    c->next = desc->next;
    c->done++;
    if (c->done == ioat_dmacount(c)) {
        c->status = IOAT_IDLE;
    }
    if (desc->ctl & CTL_COMPLETION && !ioat_write_completion(c)) {
        return ERR_CMPL_ADDR;
    }
    if (desc->ctl & CTL_INT) {
        ioat_interrupt(c);
    }
    return 0;
}

/* Does one descriptor. Return: 0, or what went wrong. */
static uint32_t ioat_do(IoatChannel *c, uint32_t *bytes)
{
    IoatDescriptor desc;
    uint32_t error = ioat_fetch(c, &desc);

    if (!error) {
        error = ioat_check(&desc);
    }
    if (!error && !(desc.ctl & CTL_NULL)) {
        error = ioat_copy(c->s, &desc);
        *bytes += desc.size;
    }
    /* It may have reached the registers of this very device. */
    if (error || c->status != IOAT_ACTIVE) {
        return error;
    }
    return ioat_complete(c, &desc);
}

static void ioat_later(IoatChannel *c, uint64_t ns)
{
    timer_mod(&c->timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + ns);
}

static void ioat_reset_channel(IoatChannel *c)
{
    timer_del(&c->timer);
    memset(c->regs, 0, CHANNEL_SIZE);
    c->status = IOAT_HALTED;
    c->completed = 0;
    c->chanerr = 0;
    c->int_disabled = false;
    c->int_pending = false;
    c->chain_is_new = false;
    c->next = 0;
    c->done = 0;
    c->suspending = false;
    c->resetting = false;
    c->hangs = false;
}

static bool ioat_may_go_on(IoatChannel *c)
{
    if (c->status == IOAT_ACTIVE && c->suspending) {
        c->status = IOAT_SUSPENDED;
    }
    c->suspending = false;
    return c->status == IOAT_ACTIVE;
}

static void ioat_timer(void *opaque)
{
    IoatChannel *c = opaque;
    uint32_t descs = 0, bytes = 0, error;

    if (c->resetting) {
        ioat_reset_channel(c);
        return;
    }
    while (ioat_may_go_on(c) && descs++ < TURN_DESCS && bytes < TURN_BYTES) {
        error = ioat_do(c, &bytes);
        if (error) {
            ioat_halt(c, error);
        }
        if (c->hangs) {
            return;
        }
    }
    if (c->status == IOAT_ACTIVE) {
        ioat_later(c, descs * NS_PER_DESC + bytes);
    }
}

/* Registers */

/* Software has taken note of errors before it starts a channel again. */
static bool ioat_chain_take(IoatChannel *c)
{
    if (c->chain_is_new) {
        c->chain_is_new = false;
        c->done = 0;
        c->next = ldq_le_p(c->regs + REG_CHAINADDR);
    } else if (c->status == IOAT_HALTED) {
        ioat_halt(c, ERR_CHAIN_ADDR);
        return false;
    }
    if (c->next % DESC_SIZE || !ioat_is_address(c->next, DESC_SIZE)) {
        ioat_halt(c, ERR_CHAIN_ADDR);
        return false;
    }
    return true;
}

/* The number of descriptors so far, modulo 2^16: more of them have come. */
static void ioat_count_written(IoatChannel *c)
{
    if (c->resetting) {
        ioat_channel_wrong(c, "started during its reset", REG_DMACOUNT);
        return;
    }
    if (c->chanerr) {
        ioat_channel_wrong(c, "started with errors not cleared", REG_DMACOUNT);
        return;
    }
    if (c->status == IOAT_ACTIVE) {
        return;
    }
    if (!ioat_chain_take(c)) {
        return;
    }
    c->status = IOAT_IDLE;
    if (c->done != ioat_dmacount(c)) {
        c->status = IOAT_ACTIVE;
        ioat_later(c, NS_PER_DESC);
    }
}

static void ioat_command(IoatChannel *c, uint8_t command)
{
    if (c->resetting || !command) {
        return;
    }
    switch (command) {
    case CHANCMD_RESET:
        c->resetting = true;
        ioat_later(c, RESET_NS);
        break;
    case CHANCMD_SUSPEND:
        if (c->status == IOAT_IDLE) {
            c->status = IOAT_SUSPENDED;
        } else if (c->status == IOAT_ACTIVE) {
            c->suspending = true;
        }
        break;
    default:
        ioat_halt(c, ERR_CHANCMD);
    }
}

static void ioat_control(IoatChannel *c, uint16_t value)
{
    if (value & ~(CHANCTRL_STORED | CHANCTRL_INT_DISABLE)) {
        ioat_channel_wrong(c, "reserved bits set", REG_CHANCTRL);
    }
    stw_le_p(c->regs + REG_CHANCTRL, value & CHANCTRL_STORED);
    if (value & CHANCTRL_INT_DISABLE) {
        ioat_rearm(c);
    }
}

typedef struct IoatRegister {
    uint16_t offset;
    uint8_t size;
    bool writable;
} IoatRegister;

static const IoatRegister ioat_function_registers[] = {
    { REG_CHANCNT, 1, false },
    { REG_XFERCAP, 1, false },
    { REG_GENCTRL, 1, true },
    { REG_INTRCTRL, 1, true },
    { REG_ATTNSTATUS, 4, false },
    { REG_CBVER, 1, false },
    { REG_PERPORTOFFSET, 2, false },
    { REG_INTRDELAY, 2, true },
    { REG_CS_STATUS, 2, false },
    { REG_DMACAPABILITY, 4, false },
    { REG_DCAOFFSET, 2, false },
    { REG_CBPRIO, 1, false },
    { }
};

static const IoatRegister ioat_channel_registers[] = {
    { REG_CHANCTRL, 2, true },
    { REG_DMA_COMP, 2, false },
    { REG_CHANCMD, 1, true },
    { REG_DMACOUNT, 2, true },
    { REG_CHANSTS, 8, false },
    { REG_CHAINADDR, 8, true },
    { REG_CHANCMP, 8, true },
    { REG_CHANERR, 4, true },
    { REG_CHANERRMSK, 4, true },
    { REG_DCACTRL, 4, true },
    { }
};

static uint64_t ioat_function_value(IoatState *s, const IoatRegister *reg)
{
    switch (reg->offset) {
    case REG_CHANCNT:
        return s->channels;
    case REG_XFERCAP:
        return XFERCAP_LOG2;
    case REG_INTRCTRL:
        return ioat_read_intrctrl(s);
    case REG_ATTNSTATUS:
        return ioat_read_attention(s);
    case REG_CBVER:
        return CBVER_3_3;
    default:
        return ldn_le_p(s->regs + reg->offset, reg->size);
    }
}

static uint64_t ioat_channel_value(IoatChannel *c, const IoatRegister *reg)
{
    uint16_t ctrl;

    switch (reg->offset) {
    case REG_CHANCTRL:
        ctrl = lduw_le_p(c->regs + REG_CHANCTRL);
        /* Who reads it first has the channel. */
        stw_le_p(c->regs + REG_CHANCTRL, ctrl | CHANCTRL_IN_USE);
        return ctrl | (c->int_disabled ? CHANCTRL_INT_DISABLE : 0);
    case REG_DMA_COMP:
        return DMA_COMP_V2;
    case REG_CHANCMD:
        return c->resetting ? CHANCMD_RESET : 0;
    case REG_CHANSTS:
        return ioat_chansts(c);
    case REG_CHANERR:
        return c->chanerr;
    default:
        return ldn_le_p(c->regs + reg->offset, reg->size);
    }
}

static void ioat_function_written(IoatState *s, const IoatRegister *reg)
{
    if (reg->offset == REG_INTRCTRL) {
        s->regs[REG_INTRCTRL] &= INTRCTRL_MASTER_EN | INTRCTRL_MSIX_VECTOR;
        ioat_update_intx(s);
    }
}

static void ioat_channel_written(IoatChannel *c, const IoatRegister *reg)
{
    uint64_t value = ldn_le_p(c->regs + reg->offset, reg->size);

    switch (reg->offset) {
    case REG_CHANCTRL:
        ioat_control(c, value);
        break;
    case REG_CHANCMD:
        ioat_command(c, value);
        break;
    case REG_DMACOUNT:
        ioat_count_written(c);
        break;
    case REG_CHAINADDR:
        c->chain_is_new = true;
        break;
    case REG_CHANERR:
        c->chanerr &= ~value;
        stl_le_p(c->regs + REG_CHANERR, 0);
        break;
    }
}

/* The channel that @addr is of, NULL for the function; which is made its. */
static IoatChannel *ioat_find(IoatState *s, hwaddr *addr)
{
    unsigned index = *addr / CHANNEL_SIZE;

    *addr %= CHANNEL_SIZE;
    return index ? &s->channel[index - 1] : NULL;
}

static bool ioat_is_register(IoatState *s, hwaddr addr)
{
    return addr < CHANNEL(s->channels);
}

/*
 * One access may reach several registers, in ascending order, or a part of
 * one; what it leaves of that is as before.
 */
static uint64_t ioat_read(void *opaque, hwaddr addr, unsigned size)
{
    IoatState *s = opaque;
    hwaddr at = addr - (s->shift_register ? 8 : 0), first = at;
    const IoatRegister *reg = ioat_function_registers;
    uint64_t result = 0;
    IoatChannel *c = NULL;
    bool found = false;

    if (ioat_is_register(s, at)) {
        c = ioat_find(s, &first);
        reg = c ? ioat_channel_registers : ioat_function_registers;
        for (; reg->size; reg++) {
            uint64_t value;

            if (first >= reg->offset + reg->size ||
                first + size <= reg->offset) {
                continue;
            }
            value = c ? ioat_channel_value(c, reg) :
                        ioat_function_value(s, reg);
            result |= first > reg->offset ?
                      value >> (first - reg->offset) * 8 :
                      value << (reg->offset - first) * 8;
            found = true;
        }
    }
    if (!found) {
        ioat_wrong(s, "read of no register", addr);
    }
    return result;
}

static bool ioat_write_register(IoatState *s, IoatChannel *c,
                                const IoatRegister *reg, hwaddr first,
                                uint64_t value, unsigned size)
{
    uint8_t *regs = c ? c->regs : s->regs;
    bool hit = false;

    for (hwaddr at = first; reg->writable && at < first + size; at++) {
        if (at >= reg->offset && at < reg->offset + reg->size) {
            regs[at] = value >> (at - first) * 8;
            hit = true;
        }
    }
    if (hit && c) {
        ioat_channel_written(c, reg);
    } else if (hit) {
        ioat_function_written(s, reg);
    }
    return hit;
}

static void ioat_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    IoatState *s = opaque;
    hwaddr at = addr - (s->shift_register ? 8 : 0), first = at;
    const IoatRegister *reg;
    IoatChannel *c;
    bool found = false;

    if (ioat_is_register(s, at)) {
        c = ioat_find(s, &first);
        reg = c ? ioat_channel_registers : ioat_function_registers;
        for (; reg->size; reg++) {
            found |= ioat_write_register(s, c, reg, first, value, size);
        }
    }
    if (!found) {
        ioat_wrong(s, "write that no register takes", addr);
    }
}

static const MemoryRegionOps ioat_ops = {
    .read = ioat_read,
    .write = ioat_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8 },
    .impl = { .min_access_size = 1, .max_access_size = 8 },
};

static void ioat_reset(DeviceState *dev)
{
    IoatState *s = IOAT(dev);

    for (unsigned i = 0; i < s->channels; i++) {
        ioat_reset_channel(&s->channel[i]);
    }
    memset(s->regs, 0, sizeof(s->regs));
    s->attention = 0;
    ioat_update_intx(s);
    pci_set_long(PCI_DEVICE(s)->config + CFG_CHANERR_INT, 0);
    pci_set_long(PCI_DEVICE(s)->config + CFG_CHANERRMASK_INT, 0);
}

static void ioat_config_write(PCIDevice *pdev, uint32_t addr, uint32_t value,
                              int size)
{
    pci_default_write_config(pdev, addr, value, size);
    pcie_cap_flr_write_config(pdev, addr, value, size);
    ioat_update_intx(IOAT(pdev));
}

static void ioat_realize(PCIDevice *pdev, Error **errp)
{
    IoatState *s = IOAT(pdev);

    if (!s->channels || s->channels > IOAT_MAX_CHANNELS) {
        error_setg(errp, "channels must be between 1 and %d",
                   IOAT_MAX_CHANNELS);
        return;
    }
    pci_config_set_interrupt_pin(pdev->config, 1);
    memory_region_init_io(&s->mmio, OBJECT(s), &ioat_ops, s, TYPE_IOAT,
                          IOAT_BAR_SIZE);
    pci_register_bar(pdev, 0, PCI_BASE_ADDRESS_SPACE_MEMORY |
                     PCI_BASE_ADDRESS_MEM_TYPE_64, &s->mmio);
    if (pcie_endpoint_cap_init(pdev, CFG_EXP) < 0) {
        error_setg(errp, "no room for the capability of PCI Express");
        return;
    }
    pcie_cap_flr_init(pdev);
    if (msix_init(pdev, s->channels, &s->mmio, 0, IOAT_MSIX_TABLE, &s->mmio, 0,
                  IOAT_MSIX_PBA, CFG_MSIX, errp)) {
        return;
    }
    pci_set_long(pdev->wmask + CFG_CHANERR_INT, 0);
    pci_set_long(pdev->w1cmask + CFG_CHANERR_INT, UINT32_MAX);
    pci_set_long(pdev->wmask + CFG_CHANERRMASK_INT, UINT32_MAX);

    s->buffer = g_malloc(MAX_TRANSFER);
    for (unsigned i = 0; i < s->channels; i++) {
        IoatChannel *c = &s->channel[i];

        c->s = s;
        c->index = i;
        c->regs = s->regs + CHANNEL(i);
        timer_init_ns(&c->timer, QEMU_CLOCK_VIRTUAL, ioat_timer, c);
        msix_vector_use(pdev, i);
    }
}

static void ioat_exit(PCIDevice *pdev)
{
    IoatState *s = IOAT(pdev);

    for (unsigned i = 0; i < s->channels; i++) {
        timer_del(&s->channel[i].timer);
    }
    g_free(s->buffer);
    msix_unuse_all_vectors(pdev);
    msix_uninit(pdev, &s->mmio, &s->mmio);
    pcie_cap_exit(pdev);
}

static const Property ioat_properties[] = {
    DEFINE_PROP_UINT32("channels", IoatState, channels, 1),
    DEFINE_PROP_UINT32("x-drop-irq", IoatState, drop_irq.every, 0),
    DEFINE_PROP_UINT32("x-drop-completion", IoatState, drop_completion.every,
                       0),
    DEFINE_PROP_UINT32("x-short-copy", IoatState, short_copy.every, 0),
    DEFINE_PROP_BOOL("x-shift-register", IoatState, shift_register, false),
};

static const VMStateDescription ioat_vmstate = {
    .name = TYPE_IOAT,
    .unmigratable = 1,
};

static void ioat_class_init(ObjectClass *class, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(class);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(class);

    k->realize = ioat_realize;
    k->exit = ioat_exit;
    k->config_write = ioat_config_write;
    k->vendor_id = PCI_VENDOR_ID_INTEL;
    k->device_id = IOAT_DEVICE_ID;
    k->class_id = PCI_CLASS_SYSTEM_OTHER;
    dc->desc = "Intel I/OAT DMA engine";
    dc->vmsd = &ioat_vmstate;
    device_class_set_legacy_reset(dc, ioat_reset);
    device_class_set_props(dc, ioat_properties);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo ioat_types[] = {
    {
        .name = TYPE_IOAT,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(IoatState),
        .class_init = ioat_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { },
        },
    },
};

DEFINE_TYPES(ioat_types)
