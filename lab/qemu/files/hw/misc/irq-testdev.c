/*
 * irq-testdev, a PCI device to test interrupts and DMA with
 *
 * It copies memory, interrupts by up to 2048 vectors of MSI-X, by MSI or INTx,
 * at once or on a schedule, and does things wrong if it is told to. It counts
 * what it sent. Its registers are in irq-testdev-regs.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pcie.h"
#include "hw/qdev-properties.h"
#include "hw/misc/irq-testdev-regs.h"
#include "migration/vmstate.h"

#define TYPE_IRQ_TESTDEV "irq-testdev"
OBJECT_DECLARE_SIMPLE_TYPE(IrqTestdevState, IRQ_TESTDEV)

/* Where the counters begin, which no reset clears */
#define FIRST_COUNTER IRQ_TESTDEV_SENT_MSIX

/* Later than the CPU takes the first, sooner than a test looks away */
#define DOUBLE_DELAY_NS (300 * SCALE_US)

#define READ            (1u << 0)
#define WRITE           (1u << 1)
/* Not to be written while the copy, or the schedule, is running */
#define NOT_IN_COPY     (1u << 2)
#define NOT_IN_SCHED    (1u << 3)

/* What the model itself is to do wrong, to see tests fail; never if 0 */
typedef struct IrqTestdevMistake {
    uint32_t every;
    uint32_t count;
} IrqTestdevMistake;

struct IrqTestdevState {
    PCIDevice parent_obj;

    MemoryRegion mmio;
    uint32_t regs[IRQ_TESTDEV_REGS_END / 4];
    uint32_t sent_on[IRQ_TESTDEV_MAX_VECTORS];

    QEMUTimer copy_timer;
    bool copy_landed;
    uint8_t *buffer;

    QEMUTimer sched_timer;
    int64_t sched_due;
    uint32_t sched_step;
    uint32_t sched_random;

    QEMUTimer double_timer;
    uint32_t double_vector;

    uint32_t vectors;
    uint32_t msi_vectors;
    IrqTestdevMistake drop_irq;
    IrqTestdevMistake double_irq;
    IrqTestdevMistake wrong_vector;
    IrqTestdevMistake drop_completion;
    IrqTestdevMistake short_copy;
};

typedef struct IrqTestdevRegister {
    uint32_t bits;
    uint32_t flags;
} IrqTestdevRegister;

#define REGISTER(name, bits, flags) \
    [IRQ_TESTDEV_##name / 4] = { bits, flags }
#define RW(name, bits, more) REGISTER(name, bits, READ | WRITE | (more))
#define RO(name) REGISTER(name, 0, READ)
#define WO(name, bits) REGISTER(name, bits, WRITE)

static const IrqTestdevRegister irq_testdev_registers[] = {
    RO(ID),
    RW(ERROR, 0xff, 0),
    RO(ERROR_OFFSET),
    WO(CONTROL, IRQ_TESTDEV_CONTROL_RESET | IRQ_TESTDEV_CONTROL_CLEAR_COUNTS),
    RW(SCRATCH, UINT32_MAX, 0),
    RO(VECTORS),

    RW(COPY_SRC_LOW, UINT32_MAX, NOT_IN_COPY),
    RW(COPY_SRC_HIGH, UINT32_MAX, NOT_IN_COPY),
    RW(COPY_DST_LOW, UINT32_MAX, NOT_IN_COPY),
    RW(COPY_DST_HIGH, UINT32_MAX, NOT_IN_COPY),
    RW(COPY_SIZE, UINT32_MAX, NOT_IN_COPY),
    RW(COPY_COUNT, UINT32_MAX, NOT_IN_COPY),
    RW(COPY_VECTOR, UINT32_MAX, NOT_IN_COPY),
    RW(COPY_COMMAND, IRQ_TESTDEV_COPY_START | IRQ_TESTDEV_COPY_IRQ,
       NOT_IN_COPY),
    RO(COPY_STATUS),
    RO(COPY_LEFT),

    WO(IRQ_SEND, UINT32_MAX),
    RW(INTX, IRQ_TESTDEV_INTX_RAISED, 0),

    RW(SCHED_COUNT, UINT32_MAX, NOT_IN_SCHED),
    RW(SCHED_DELAY, UINT32_MAX, NOT_IN_SCHED),
    RW(SCHED_SPACING, UINT32_MAX, NOT_IN_SCHED),
    RW(SCHED_FIRST_VECTOR, UINT32_MAX, NOT_IN_SCHED),
    RW(SCHED_NR_VECTORS, UINT32_MAX, NOT_IN_SCHED),
    RW(SCHED_PATTERN, UINT32_MAX, NOT_IN_SCHED),
    RW(SCHED_SEED, UINT32_MAX, NOT_IN_SCHED),
    RW(SCHED_COMMAND, IRQ_TESTDEV_SCHED_START, 0),
    RO(SCHED_LEFT),
    RO(SCHED_LATE),

    RW(FAULT, 0x1f, 0),
    RW(FAULT_DELAY, UINT32_MAX, 0),
    RW(FAULT_BIT, UINT32_MAX, 0),
    RW(FAULT_ADDRESS_LOW, UINT32_MAX, 0),
    RW(FAULT_ADDRESS_HIGH, UINT32_MAX, 0),

    RO(SENT_MSIX),
    RO(SENT_MSI),
    RO(SENT_INTX),
    RO(SENT_ASTRAY),
    RO(HELD),
    RO(COPIES_DONE),
    RO(COPIES_FAILED),
    RO(RESETS_BUSY),
    RW(SENT_SELECT, UINT32_MAX, 0),
    RO(SENT_ON_VECTOR),
};

#define REG(s, name) ((s)->regs[IRQ_TESTDEV_##name / 4])

static uint64_t irq_testdev_pair(IrqTestdevState *s, uint32_t low)
{
    return s->regs[low / 4] | (uint64_t)s->regs[low / 4 + 1] << 32;
}

static void irq_testdev_error(IrqTestdevState *s, uint32_t error, hwaddr addr)
{
    if (!REG(s, ERROR)) {
        REG(s, ERROR_OFFSET) = addr;
    }
    REG(s, ERROR) |= error;
}

static bool irq_testdev_mistake(IrqTestdevMistake *mistake)
{
    if (!mistake->every || ++mistake->count < mistake->every) {
        return false;
    }
    mistake->count = 0;
    return true;
}

/* Whether a fault was asked for, which it then is no more. */
static bool irq_testdev_fault(IrqTestdevState *s, uint32_t fault)
{
    bool asked = REG(s, FAULT) & fault;

    REG(s, FAULT) &= ~fault;
    return asked;
}

static bool irq_testdev_is_master(IrqTestdevState *s)
{
    return pci_get_word(PCI_DEVICE(s)->config + PCI_COMMAND) &
           PCI_COMMAND_MASTER;
}

/* Interrupts */

static bool irq_testdev_uses_messages(IrqTestdevState *s)
{
    return msix_enabled(PCI_DEVICE(s)) || msi_enabled(PCI_DEVICE(s));
}

static uint32_t irq_testdev_nr_vectors(IrqTestdevState *s)
{
    PCIDevice *pdev = PCI_DEVICE(s);

    if (msix_enabled(pdev)) {
        return s->vectors;
    }
    return msi_enabled(pdev) ? msi_nr_vectors_allocated(pdev) : 1;
}

static void irq_testdev_raise_intx(IrqTestdevState *s)
{
    REG(s, SENT_INTX) += !REG(s, INTX);
    REG(s, INTX) = IRQ_TESTDEV_INTX_RAISED;
    pci_set_irq(PCI_DEVICE(s), 1);
}

static void irq_testdev_lower_intx(IrqTestdevState *s)
{
    REG(s, INTX) = 0;
    pci_set_irq(PCI_DEVICE(s), 0);
}

static void irq_testdev_message(IrqTestdevState *s, uint32_t vector)
{
    PCIDevice *pdev = PCI_DEVICE(s);
    bool is_msix = msix_enabled(pdev);

    if (is_msix ? msix_is_masked(pdev, vector) : msi_is_masked(pdev, vector)) {
        REG(s, HELD)++;
    } else if (irq_testdev_fault(s, IRQ_TESTDEV_FAULT_ADDRESS)) {
        MSIMessage msg = is_msix ? msix_get_message(pdev, vector) :
                                   msi_get_message(pdev, vector);

        msg.address = irq_testdev_pair(s, IRQ_TESTDEV_FAULT_ADDRESS_LOW);
        msi_send_message(pdev, msg);
        REG(s, SENT_ASTRAY)++;
        return;
    } else {
        REG(s, SENT_MSIX) += is_msix;
        REG(s, SENT_MSI) += !is_msix;
        s->sent_on[vector]++;
    }
    if (is_msix) {
        msix_notify(pdev, vector);
    } else {
        msi_notify(pdev, vector);
    }
}

static void irq_testdev_send(IrqTestdevState *s, uint32_t vector, hwaddr addr)
{
    if (!irq_testdev_uses_messages(s)) {
        irq_testdev_raise_intx(s);
    } else if (irq_testdev_is_master(s)) {
        irq_testdev_message(s, vector);
    } else {
        irq_testdev_error(s, IRQ_TESTDEV_ERROR_MASTER, addr);
    }
}

static void irq_testdev_double_timer(void *opaque)
{
    IrqTestdevState *s = opaque;

    irq_testdev_send(s, s->double_vector, IRQ_TESTDEV_IRQ_SEND);
}

/* @addr: the register that made it interrupt */
static void irq_testdev_interrupt(IrqTestdevState *s, uint32_t vector,
                                  hwaddr addr)
{
    uint32_t nr = irq_testdev_nr_vectors(s);

    if (vector >= nr) {
        irq_testdev_error(s, IRQ_TESTDEV_ERROR_VALUE, addr);
        return;
    }
    if (irq_testdev_mistake(&s->wrong_vector)) {
        vector = (vector + 1) % nr;
    }
    if (irq_testdev_mistake(&s->double_irq)) {
        /* At once it would be one with the first in the CPU's IRR. */
        s->double_vector = vector;
        timer_mod(&s->double_timer,
                  qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + DOUBLE_DELAY_NS);
    }
    if (!irq_testdev_mistake(&s->drop_irq)) {
        irq_testdev_send(s, vector, addr);
    }
}

/* The schedule */

static uint32_t irq_testdev_sched_vector(IrqTestdevState *s)
{
    uint32_t first = REG(s, SCHED_FIRST_VECTOR), nr = REG(s, SCHED_NR_VECTORS);
    uint32_t step = s->sched_step++;

    switch (REG(s, SCHED_PATTERN)) {
    case IRQ_TESTDEV_SCHED_UPWARD:
        return first + step % nr;
    case IRQ_TESTDEV_SCHED_DOWNWARD:
        return first + nr - 1 - step % nr;
    default:
        /* The low bits of such a generator repeat early. */
        s->sched_random = s->sched_random * 1664525 + 1013904223;
        return first + (s->sched_random >> 16) % nr;
    }
}

static void irq_testdev_sched_stop(IrqTestdevState *s)
{
    timer_del(&s->sched_timer);
    REG(s, SCHED_COMMAND) = 0;
}

static void irq_testdev_sched_timer(void *opaque)
{
    IrqTestdevState *s = opaque;
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    REG(s, SCHED_LATE) = MIN(now - s->sched_due, UINT32_MAX);
    while (REG(s, SCHED_COMMAND) && s->sched_due <= now) {
        irq_testdev_interrupt(s, irq_testdev_sched_vector(s),
                              IRQ_TESTDEV_SCHED_COMMAND);
        s->sched_due += REG(s, SCHED_SPACING);
        if (!--REG(s, SCHED_LEFT)) {
            irq_testdev_sched_stop(s);
        }
    }
    if (REG(s, SCHED_COMMAND)) {
        timer_mod(&s->sched_timer, s->sched_due);
    }
}

static void irq_testdev_sched_start(IrqTestdevState *s)
{
    uint64_t end = (uint64_t)REG(s, SCHED_FIRST_VECTOR) +
                   REG(s, SCHED_NR_VECTORS);

    if (!REG(s, SCHED_COUNT) ||
        REG(s, SCHED_COUNT) > IRQ_TESTDEV_MAX_SCHED_COUNT ||
        REG(s, SCHED_PATTERN) > IRQ_TESTDEV_SCHED_RANDOM ||
        !REG(s, SCHED_NR_VECTORS) || end > irq_testdev_nr_vectors(s)) {
        irq_testdev_error(s, IRQ_TESTDEV_ERROR_VALUE,
                          IRQ_TESTDEV_SCHED_COMMAND);
        irq_testdev_sched_stop(s);
        return;
    }
    s->sched_step = 0;
    s->sched_random = REG(s, SCHED_SEED);
    REG(s, SCHED_LEFT) = REG(s, SCHED_COUNT);
    REG(s, SCHED_LATE) = 0;
    s->sched_due = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + REG(s, SCHED_DELAY);
    timer_mod(&s->sched_timer, s->sched_due);
}

/* The copy */

static bool irq_testdev_copy_runs(IrqTestdevState *s)
{
    return REG(s, COPY_STATUS) & IRQ_TESTDEV_COPY_BUSY;
}

/* It says how the copy went, and interrupts. */
static void irq_testdev_copy_end(IrqTestdevState *s, uint32_t status)
{
    bool done = status & IRQ_TESTDEV_COPY_DONE;
    bool irq = REG(s, COPY_COMMAND) & IRQ_TESTDEV_COPY_IRQ;

    REG(s, COPIES_DONE) += done;
    REG(s, COPIES_FAILED) += !done;
    if (irq_testdev_mistake(&s->drop_completion)) {
        return;
    }
    REG(s, COPY_STATUS) = status;
    REG(s, COPY_COMMAND) = 0;
    if (irq) {
        irq_testdev_interrupt(s, REG(s, COPY_VECTOR), IRQ_TESTDEV_COPY_COMMAND);
    }
}

/* Return: 0, or what went wrong. */
static uint32_t irq_testdev_copy_bytes(IrqTestdevState *s, uint32_t size)
{
    PCIDevice *pdev = PCI_DEVICE(s);
    uint32_t bit = REG(s, FAULT_BIT);

    if (pci_dma_read(pdev, irq_testdev_pair(s, IRQ_TESTDEV_COPY_SRC_LOW),
                     s->buffer, size) != MEMTX_OK) {
        return IRQ_TESTDEV_ERROR_DMA_READ;
    }
    if (bit / 8 < size && irq_testdev_fault(s, IRQ_TESTDEV_FAULT_FLIP)) {
        s->buffer[bit / 8] ^= 1 << bit % 8;
    }
    if (pci_dma_write(pdev, irq_testdev_pair(s, IRQ_TESTDEV_COPY_DST_LOW),
                      s->buffer, size) != MEMTX_OK) {
        return IRQ_TESTDEV_ERROR_DMA_WRITE;
    }
    return 0;
}

static void irq_testdev_copy_again(IrqTestdevState *s, uint64_t ns)
{
    timer_mod(&s->copy_timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + ns);
}

static void irq_testdev_copy_timer(void *opaque)
{
    IrqTestdevState *s = opaque;
    bool aborted;
    uint32_t size = REG(s, COPY_SIZE), error;

    if (s->copy_landed) {
        irq_testdev_copy_end(s, IRQ_TESTDEV_COPY_DONE);
        return;
    }
    /* As on hardware, it waits until it may reach memory. */
    if (!irq_testdev_is_master(s)) {
        irq_testdev_copy_again(s, REG(s, COPY_SIZE));
        return;
    }
    aborted = irq_testdev_fault(s, IRQ_TESTDEV_FAULT_ABORT);
    if (aborted) {
        size /= 2;
    } else if (irq_testdev_mistake(&s->short_copy)) {
        size--;
    }
    error = irq_testdev_copy_bytes(s, size);
    /* It may have reached the registers of this very device. */
    if (!irq_testdev_copy_runs(s)) {
        return;
    }
    if (error || aborted) {
        REG(s, ERROR) |= error;
        irq_testdev_copy_end(s, IRQ_TESTDEV_COPY_FAILED);
    } else if (--REG(s, COPY_LEFT)) {
        irq_testdev_copy_again(s, REG(s, COPY_SIZE));
    } else if (irq_testdev_fault(s, IRQ_TESTDEV_FAULT_LATE)) {
        s->copy_landed = true;
        irq_testdev_copy_again(s, REG(s, FAULT_DELAY));
    } else {
        irq_testdev_copy_end(s, IRQ_TESTDEV_COPY_DONE);
    }
}

static void irq_testdev_copy_start(IrqTestdevState *s)
{
    uint32_t command = REG(s, COPY_COMMAND);

    if (!(command & IRQ_TESTDEV_COPY_START) ||
        !REG(s, COPY_SIZE) || REG(s, COPY_SIZE) > IRQ_TESTDEV_MAX_COPY_SIZE ||
        !REG(s, COPY_COUNT) ||
        REG(s, COPY_COUNT) > IRQ_TESTDEV_MAX_COPY_COUNT ||
        (command & IRQ_TESTDEV_COPY_IRQ &&
         REG(s, COPY_VECTOR) >= irq_testdev_nr_vectors(s))) {
        irq_testdev_error(s, IRQ_TESTDEV_ERROR_VALUE, IRQ_TESTDEV_COPY_COMMAND);
        REG(s, COPY_COMMAND) = 0;
        return;
    }
    s->copy_landed = false;
    REG(s, COPY_LEFT) = REG(s, COPY_COUNT);
    REG(s, COPY_STATUS) = IRQ_TESTDEV_COPY_BUSY;
    irq_testdev_copy_again(s, REG(s, COPY_SIZE));
}

/* Registers */

static void irq_testdev_clear(IrqTestdevState *s)
{
    timer_del(&s->copy_timer);
    timer_del(&s->sched_timer);
    timer_del(&s->double_timer);
    memset(s->regs, 0, FIRST_COUNTER);
    irq_testdev_lower_intx(s);
}

static void irq_testdev_control(IrqTestdevState *s, uint32_t value)
{
    if (value & IRQ_TESTDEV_CONTROL_CLEAR_COUNTS) {
        memset((uint8_t *)s->regs + FIRST_COUNTER, 0,
               sizeof(s->regs) - FIRST_COUNTER);
        memset(s->sent_on, 0, sizeof(s->sent_on));
    }
    if (value & IRQ_TESTDEV_CONTROL_RESET) {
        irq_testdev_clear(s);
    }
}

/* What is wrong with an access, 0 if it is one to be done. */
static uint32_t irq_testdev_check(IrqTestdevState *s, hwaddr addr,
                                  unsigned size, uint32_t direction,
                                  uint32_t value)
{
    const IrqTestdevRegister *reg;

    if (size != 4 || addr % 4) {
        return IRQ_TESTDEV_ERROR_ACCESS;
    }
    if (addr >= IRQ_TESTDEV_REGS_END) {
        return IRQ_TESTDEV_ERROR_REGISTER;
    }
    reg = &irq_testdev_registers[addr / 4];
    if (!(reg->flags & direction)) {
        return IRQ_TESTDEV_ERROR_REGISTER;
    }
    if (direction == READ) {
        return 0;
    }
    if (value & ~reg->bits) {
        return IRQ_TESTDEV_ERROR_RESERVED;
    }
    if ((reg->flags & NOT_IN_COPY && irq_testdev_copy_runs(s)) ||
        (reg->flags & NOT_IN_SCHED && REG(s, SCHED_COMMAND))) {
        return IRQ_TESTDEV_ERROR_BUSY;
    }
    if (addr == IRQ_TESTDEV_SCHED_COMMAND && value && REG(s, SCHED_COMMAND)) {
        return IRQ_TESTDEV_ERROR_BUSY;
    }
    if (addr == IRQ_TESTDEV_SENT_SELECT && value >= s->vectors) {
        return IRQ_TESTDEV_ERROR_VALUE;
    }
    return 0;
}

static uint64_t irq_testdev_read(void *opaque, hwaddr addr, unsigned size)
{
    IrqTestdevState *s = opaque;
    uint32_t error = irq_testdev_check(s, addr, size, READ, 0);

    if (error) {
        irq_testdev_error(s, error, addr);
        return UINT64_MAX;
    }
    switch (addr) {
    case IRQ_TESTDEV_ID:
        return IRQ_TESTDEV_ID_VALUE;
    case IRQ_TESTDEV_VECTORS:
        return irq_testdev_nr_vectors(s);
    case IRQ_TESTDEV_SENT_ON_VECTOR:
        return s->sent_on[REG(s, SENT_SELECT)];
    default:
        return s->regs[addr / 4];
    }
}

static void irq_testdev_write(void *opaque, hwaddr addr, uint64_t value,
                              unsigned size)
{
    IrqTestdevState *s = opaque;
    uint32_t error = irq_testdev_check(s, addr, size, WRITE, value);

    if (error) {
        irq_testdev_error(s, error, addr);
        return;
    }
    switch (addr) {
    case IRQ_TESTDEV_ERROR:
        REG(s, ERROR) &= ~value;
        if (!REG(s, ERROR)) {
            REG(s, ERROR_OFFSET) = 0;
        }
        break;
    case IRQ_TESTDEV_CONTROL:
        irq_testdev_control(s, value);
        break;
    case IRQ_TESTDEV_IRQ_SEND:
        irq_testdev_interrupt(s, value, addr);
        break;
    case IRQ_TESTDEV_INTX:
        if (value) {
            irq_testdev_lower_intx(s);
        }
        break;
    case IRQ_TESTDEV_COPY_COMMAND:
        REG(s, COPY_COMMAND) = value;
        irq_testdev_copy_start(s);
        break;
    case IRQ_TESTDEV_SCHED_COMMAND:
        REG(s, SCHED_COMMAND) = value;
        if (value) {
            irq_testdev_sched_start(s);
        } else {
            irq_testdev_sched_stop(s);
        }
        break;
    default:
        s->regs[addr / 4] = value;
    }
}

/* It takes accesses of any kind, for it is the device that judges them. */
static const MemoryRegionOps irq_testdev_ops = {
    .read = irq_testdev_read,
    .write = irq_testdev_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
    .impl = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
};

static void irq_testdev_reset(DeviceState *dev)
{
    IrqTestdevState *s = IRQ_TESTDEV(dev);

    if (irq_testdev_copy_runs(s)) {
        REG(s, RESETS_BUSY)++;
        if (irq_testdev_fault(s, IRQ_TESTDEV_FAULT_OUTLIVE_RESET)) {
            irq_testdev_sched_stop(s);
            irq_testdev_lower_intx(s);
            return;
        }
    }
    irq_testdev_clear(s);
}

static void irq_testdev_config_write(PCIDevice *pdev, uint32_t addr,
                                     uint32_t value, int size)
{
    pci_default_write_config(pdev, addr, value, size);
    pcie_cap_flr_write_config(pdev, addr, value, size);
}

static void irq_testdev_realize(PCIDevice *pdev, Error **errp)
{
    IrqTestdevState *s = IRQ_TESTDEV(pdev);

    if (!s->vectors || s->vectors > IRQ_TESTDEV_MAX_VECTORS) {
        error_setg(errp, "vectors must be between 1 and %d",
                   IRQ_TESTDEV_MAX_VECTORS);
        return;
    }
    if (!is_power_of_2(s->msi_vectors) || s->msi_vectors > 32) {
        error_setg(errp, "msi-vectors must be a power of 2 up to 32");
        return;
    }
    pci_config_set_interrupt_pin(pdev->config, 1);
    memory_region_init_io(&s->mmio, OBJECT(s), &irq_testdev_ops, s,
                          TYPE_IRQ_TESTDEV, IRQ_TESTDEV_BAR_SIZE);
    pci_register_bar(pdev, IRQ_TESTDEV_BAR, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->mmio);

    if (pcie_endpoint_cap_init(pdev, 0) < 0) {
        error_setg(errp, "no room for the capability of PCI Express");
        return;
    }
    pcie_cap_flr_init(pdev);
    if (msi_init(pdev, 0, s->msi_vectors, true, true, errp)) {
        return;
    }
    if (msix_init_exclusive_bar(pdev, s->vectors, IRQ_TESTDEV_MSIX_BAR, errp)) {
        msi_uninit(pdev);
        return;
    }
    for (uint32_t i = 0; i < s->vectors; i++) {
        msix_vector_use(pdev, i);
    }

    s->buffer = g_malloc(IRQ_TESTDEV_MAX_COPY_SIZE);
    timer_init_ns(&s->copy_timer, QEMU_CLOCK_VIRTUAL, irq_testdev_copy_timer,
                  s);
    timer_init_ns(&s->sched_timer, QEMU_CLOCK_VIRTUAL, irq_testdev_sched_timer,
                  s);
    timer_init_ns(&s->double_timer, QEMU_CLOCK_VIRTUAL,
                  irq_testdev_double_timer, s);
}

static void irq_testdev_exit(PCIDevice *pdev)
{
    IrqTestdevState *s = IRQ_TESTDEV(pdev);

    timer_del(&s->copy_timer);
    timer_del(&s->sched_timer);
    timer_del(&s->double_timer);
    g_free(s->buffer);
    msix_unuse_all_vectors(pdev);
    msix_uninit_exclusive_bar(pdev);
    msi_uninit(pdev);
    pcie_cap_exit(pdev);
}

static const Property irq_testdev_properties[] = {
    DEFINE_PROP_UINT32("vectors", IrqTestdevState, vectors,
                       IRQ_TESTDEV_MAX_VECTORS),
    DEFINE_PROP_UINT32("msi-vectors", IrqTestdevState, msi_vectors, 1),
    DEFINE_PROP_UINT32("x-drop-irq", IrqTestdevState, drop_irq.every, 0),
    DEFINE_PROP_UINT32("x-double-irq", IrqTestdevState, double_irq.every, 0),
    DEFINE_PROP_UINT32("x-wrong-vector", IrqTestdevState, wrong_vector.every,
                       0),
    DEFINE_PROP_UINT32("x-drop-completion", IrqTestdevState,
                       drop_completion.every, 0),
    DEFINE_PROP_UINT32("x-short-copy", IrqTestdevState, short_copy.every, 0),
};

static const VMStateDescription irq_testdev_vmstate = {
    .name = TYPE_IRQ_TESTDEV,
    .unmigratable = 1,
};

static void irq_testdev_class_init(ObjectClass *class, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(class);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(class);

    k->realize = irq_testdev_realize;
    k->exit = irq_testdev_exit;
    k->config_write = irq_testdev_config_write;
    k->vendor_id = IRQ_TESTDEV_VENDOR_ID;
    k->device_id = IRQ_TESTDEV_DEVICE_ID;
    k->revision = 1;
    k->class_id = PCI_CLASS_OTHERS;
    dc->desc = "Interrupts and DMA for tests, right and wrong";
    dc->vmsd = &irq_testdev_vmstate;
    device_class_set_legacy_reset(dc, irq_testdev_reset);
    device_class_set_props(dc, irq_testdev_properties);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo irq_testdev_types[] = {
    {
        .name = TYPE_IRQ_TESTDEV,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(IrqTestdevState),
        .class_init = irq_testdev_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { },
        },
    },
};

DEFINE_TYPES(irq_testdev_types)
