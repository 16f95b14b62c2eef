/*
 * AMD Pass-Through DMA engine (PTDMA), PCI 1022:1498
 *
 * One queue of 32 byte commands in memory, and of the engines of AMD's
 * cryptographic coprocessor (CCP) none but pass-through, which copies. The
 * queue is that of a CCP of version 5.
 *
 * AMD publishes no specification of it. Where registers, bits and fields are is
 * what the headers of Linux's drivers ptdma and ccp and of FreeBSD's ccp agree
 * on; the codes of errors, and on what they are raised, are in FreeBSD's. What
 * neither of them says is marked "presumably".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qemu/timer.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pcie.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "migration/vmstate.h"

#define TYPE_PTDMA "ptdma"
OBJECT_DECLARE_SIMPLE_TYPE(PtdmaState, PTDMA)

#define PCI_DEVICE_ID_AMD_PTDMA 0x1498
#define PCI_CLASS_CRYPT_OTHER   0x1080

#define PTDMA_BAR       2
#define PTDMA_BAR_SIZE  (512 * KiB)
#define PTDMA_MSIX_BAR  5
#define MSIX_BAR_SIZE   (8 * KiB)
#define MSIX_PBA        (4 * KiB)

/* Of the whole engine */
REG32(QUEUE_PRIO, 0x0000)
REG32(REQID_CONFIG, 0x0004)
REG32(TIMEOUT, 0x0008)
REG32(VERSION, 0x0010)
    FIELD(VERSION, NUMBER, 0, 6)
    FIELD(VERSION, QUEUES, 15, 4)
REG32(CONFIG, 0x1120)
REG32(CLK_GATE_CTL, 0x6004)

/* Of the queue */
REG32(CONTROL, 0x1000)
    FIELD(CONTROL, RUN, 0, 1)
    FIELD(CONTROL, HALTED, 1, 1)
    FIELD(CONTROL, MEM_LOCATION, 2, 1)
    FIELD(CONTROL, SIZE, 3, 5)
    FIELD(CONTROL, ADDRESS_HIGH, 16, 16)
REG32(TAIL_LOW, 0x1004)
REG32(HEAD_LOW, 0x1008)
REG32(INT_ENABLE, 0x100c)
REG32(INTERRUPT_STATUS, 0x1010)
    FIELD(INTERRUPT_STATUS, COMPLETION, 0, 1)
    FIELD(INTERRUPT_STATUS, ERROR, 1, 1)
    FIELD(INTERRUPT_STATUS, STOPPED, 2, 1)
    FIELD(INTERRUPT_STATUS, EMPTY, 3, 1)
REG32(STATUS, 0x1100)
    FIELD(STATUS, ERROR, 0, 6)
    FIELD(STATUS, JOB, 7, 3)
    FIELD(STATUS, ERROR_SOURCE, 10, 2)
REG32(INT_STATUS, 0x1104)
REG32(DMA_STATUS, 0x1108)
REG32(DMA_READ_STATUS, 0x110c)
REG32(DMA_WRITE_STATUS, 0x1110)
REG32(AX_CACHE, 0x1118)

#define CONTROL_WRITABLE \
    (R_CONTROL_RUN_MASK | R_CONTROL_MEM_LOCATION_MASK | \
     R_CONTROL_SIZE_MASK | R_CONTROL_ADDRESS_HIGH_MASK)
/* Where the ring is and how large */
#define CONTROL_RING (CONTROL_WRITABLE & ~R_CONTROL_RUN_MASK)
#define ALL_INTERRUPTS 0xf
/* That of the queue's interface, and one queue */
#define PTDMA_VERSION \
    (5 << R_VERSION_NUMBER_SHIFT | 1 << R_VERSION_QUEUES_SHIFT)
/* 2 to the power of this and 1: 64K commands */
#define MAX_SIZE 15

/* STATUS.ERROR */
enum {
    ILLEGAL_ENGINE = 1,
    ILLEGAL_FUNCTION_MODE = 4,
    ILLEGAL_FUNCTION_RSVD = 8,
    ILLEGAL_BUFFER_LENGTH = 9,
    ILLEGAL_MEM_ADDR = 11,
    ILLEGAL_MEM_SEL = 12,
    ILLEGAL_CONTEXT_ID = 13,
    IDMA0_AXI_SLVERR = 19,
    IDMA0_AXI_DECERR = 20,
    ODMA0_AXI_SLVERR = 38,
    ODMA0_AXI_DECERR = 39,
};

/* STATUS.JOB */
enum {
    JOB_IDLE = 0,
    JOB_ACTIVE = 2,
    JOB_ERROR = 4,
    JOB_PREPARE_HALT = 5,
};

/* STATUS.ERROR_SOURCE */
enum {
    SOURCE_MEMORY = 0,
    SOURCE_COMMAND = 1,
    SOURCE_DATA = 2,
};

/* A command: 8 words, the last two of which are reserved here */
typedef struct PtdmaCommand {
    uint32_t function;
    uint32_t length;
    uint32_t src_low;
    uint32_t src_high;
    uint32_t dst_low;
    uint32_t dst_high;
    uint32_t reserved[2];
} PtdmaCommand;
QEMU_BUILD_BUG_ON(sizeof(PtdmaCommand) != 32);

FIELD(FUNCTION, STOP, 0, 1)
FIELD(FUNCTION, INTERRUPT, 1, 1)
FIELD(FUNCTION, RESERVED, 2, 1)
FIELD(FUNCTION, MODE, 5, 7)             /* swap, bit operation, reflection */
FIELD(FUNCTION, MODE_RESERVED, 12, 8)
FIELD(FUNCTION, ENGINE, 20, 4)
FIELD(FUNCTION, PROTECTED, 24, 1)
FIELD(FUNCTION, RESERVED_HIGH, 25, 7)
FIELD(POINTER, HIGH, 0, 16)
FIELD(POINTER, MEMORY, 16, 2)
FIELD(POINTER, CONTEXT, 18, 8)          /* reserved in the destination */
FIELD(POINTER, RESERVED, 26, 5)
FIELD(POINTER, FIXED, 31, 1)

#define ENGINE_PASS_THROUGH 5
#define MEMORY_SYSTEM 0

/* So much at once, for the main loop has other things to do; 1 ns per byte */
#define CHUNK_SIZE (64 * KiB)
#define FETCH_NS 500
/*
 * From the doorbell of an idle queue on. A CPU that is emulated may take that
 * long from one instruction to the next, and Linux's driver still writes to its
 * descriptor when it has rung.
 */
#define START_NS (100 * SCALE_US)

/* What the model itself is to do wrong, to see tests fail; never if 0 */
typedef struct PtdmaMistake {
    uint32_t every;
    uint32_t count;
} PtdmaMistake;

struct PtdmaState {
    PCIDevice parent_obj;

    MemoryRegion mmio;
    MemoryRegion msix_bar;

    uint32_t prio;
    uint32_t reqid_config;
    uint32_t timeout;
    uint32_t config;
    uint32_t clk_gate_ctl;

    uint32_t control;
    uint32_t tail;
    uint32_t head;
    uint32_t int_enable;
    uint32_t interrupt_status;
    uint32_t status;
    uint32_t ax_cache;

    /* The command at the head: being fetched, or copied up to done */
    QEMUTimer timer;
    bool busy;
    bool fetched;
    PtdmaCommand command;
    uint32_t done;
    uint8_t *buffer;

    bool asserted;
    PtdmaMistake drop_completion;
    PtdmaMistake drop_irq;
    PtdmaMistake short_copy;
    bool shift_register;
};

static bool ptdma_mistake(PtdmaMistake *mistake)
{
    if (!mistake->every || ++mistake->count < mistake->every) {
        return false;
    }
    mistake->count = 0;
    return true;
}

static void ptdma_misuse(const char *what, hwaddr addr, uint64_t value)
{
    qemu_log_mask(LOG_GUEST_ERROR, "ptdma: %s: 0x%" PRIx64 " to 0x%"
                  HWADDR_PRIx "\n", what, value, addr);
}

/* Interrupts */

/*
 * Any enabled bit of the status is one interrupt: a level on the pin, a message
 * when it rises. Software masks all, reads, clears and unmasks again, and what
 * came in the meantime is a message then.
 */
static void ptdma_update_irq(PtdmaState *s)
{
    PCIDevice *pdev = PCI_DEVICE(s);
    bool messages = msix_enabled(pdev) || msi_enabled(pdev);
    bool asserted = s->interrupt_status & s->int_enable;
    bool rises = asserted && !s->asserted;

    s->asserted = asserted;
    if (rises && ptdma_mistake(&s->drop_irq)) {
        return;
    }
    pci_set_irq(pdev, asserted && !messages);
    if (!rises) {
        return;
    }
    if (msix_enabled(pdev)) {
        msix_notify(pdev, 0);
    } else if (msi_enabled(pdev)) {
        msi_notify(pdev, 0);
    }
}

static void ptdma_interrupt(PtdmaState *s, uint32_t bits)
{
    s->interrupt_status |= bits;
    ptdma_update_irq(s);
}

/* The queue */

static bool ptdma_runs(PtdmaState *s)
{
    return s->control & R_CONTROL_RUN_MASK;
}

static uint32_t ptdma_ring_bytes(PtdmaState *s)
{
    return sizeof(PtdmaCommand) << (FIELD_EX32(s->control, CONTROL, SIZE) + 1);
}

static dma_addr_t ptdma_pointer(uint32_t high, uint32_t low)
{
    return (uint64_t)FIELD_EX32(high, POINTER, HIGH) << 32 | low;
}

/* The queue stands still, at the command that is wrong. */
static void ptdma_error(PtdmaState *s, uint32_t error, uint32_t source)
{
    s->busy = false;
    s->control &= ~R_CONTROL_RUN_MASK;
    s->status = FIELD_DP32(0, STATUS, ERROR, error);
    s->status = FIELD_DP32(s->status, STATUS, JOB, JOB_ERROR);
    s->status = FIELD_DP32(s->status, STATUS, ERROR_SOURCE, source);
    ptdma_interrupt(s, R_INTERRUPT_STATUS_ERROR_MASK);
}

static void ptdma_after(PtdmaState *s, uint64_t ns)
{
    timer_mod(&s->timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + ns);
}

/* Begins the next command if there is one and none is being done. */
static void ptdma_proceed(PtdmaState *s, uint64_t ns)
{
    uint32_t within = ptdma_ring_bytes(s) - 1;

    if (!ptdma_runs(s) || s->busy) {
        return;
    }
    /* The host has no memory of the other kind. */
    if (s->control & R_CONTROL_MEM_LOCATION_MASK) {
        ptdma_error(s, ILLEGAL_MEM_SEL, SOURCE_COMMAND);
        return;
    }
    /* The ring is aligned to its size; presumably that is how it is told. */
    if ((s->head | s->tail) % sizeof(PtdmaCommand) ||
        (s->head ^ s->tail) & ~within) {
        ptdma_error(s, ILLEGAL_MEM_ADDR, SOURCE_COMMAND);
        return;
    }
    if (s->head == s->tail) {
        return;
    }
    s->busy = true;
    s->fetched = false;
    s->done = 0;
    s->status = FIELD_DP32(0, STATUS, JOB, JOB_ACTIVE);
    ptdma_after(s, ns);
}

/* Software cleared RUN, or a command said so. */
static void ptdma_stopped(PtdmaState *s)
{
    s->control &= ~R_CONTROL_RUN_MASK;
    s->status = 0;
    ptdma_interrupt(s, R_INTERRUPT_STATUS_STOPPED_MASK);
}

static void ptdma_advance(PtdmaState *s)
{
    uint32_t within = ptdma_ring_bytes(s) - 1;

    s->head = (s->head & ~within) | ((s->head + sizeof(PtdmaCommand)) & within);
}

static void ptdma_complete(PtdmaState *s)
{
    uint32_t function = s->command.function, bits = 0;

    /* It stays the current one, until a reset. */
    if (ptdma_mistake(&s->drop_completion)) {
        return;
    }
    s->busy = false;
    s->status = 0;
    ptdma_advance(s);
    if (FIELD_EX32(function, FUNCTION, INTERRUPT)) {
        bits |= R_INTERRUPT_STATUS_COMPLETION_MASK;
    }
    if (s->head == s->tail) {
        bits |= R_INTERRUPT_STATUS_EMPTY_MASK;
    }
    ptdma_interrupt(s, bits);
    if (!ptdma_runs(s) || FIELD_EX32(function, FUNCTION, STOP)) {
        ptdma_stopped(s);
    } else {
        ptdma_proceed(s, FETCH_NS);
    }
}

/* Return: 0, or what is wrong with the command. */
static uint32_t ptdma_check(const PtdmaCommand *c)
{
    uint32_t pointers = c->src_high | c->dst_high;

    if (FIELD_EX32(c->function, FUNCTION, ENGINE) != ENGINE_PASS_THROUGH) {
        return ILLEGAL_ENGINE;
    }
    if (FIELD_EX32(c->function, FUNCTION, MODE)) {
        return ILLEGAL_FUNCTION_MODE;
    }
    if (FIELD_EX32(c->function, FUNCTION, RESERVED) ||
        FIELD_EX32(c->function, FUNCTION, MODE_RESERVED) ||
        FIELD_EX32(c->function, FUNCTION, PROTECTED) ||
        FIELD_EX32(c->function, FUNCTION, RESERVED_HIGH) ||
        FIELD_EX32(pointers, POINTER, RESERVED) ||
        FIELD_EX32(c->dst_high, POINTER, CONTEXT) ||
        c->reserved[0] || c->reserved[1]) {
        return ILLEGAL_FUNCTION_RSVD;
    }
    if (!c->length) {
        return ILLEGAL_BUFFER_LENGTH;
    }
    if (FIELD_EX32(pointers, POINTER, MEMORY) != MEMORY_SYSTEM) {
        return ILLEGAL_MEM_SEL;
    }
    if (FIELD_EX32(pointers, POINTER, FIXED)) {
        return ILLEGAL_MEM_ADDR;
    }
    return FIELD_EX32(c->src_high, POINTER, CONTEXT) ? ILLEGAL_CONTEXT_ID : 0;
}

static void ptdma_fetch(PtdmaState *s)
{
    uint32_t words[sizeof(PtdmaCommand) / sizeof(uint32_t)], error;
    dma_addr_t addr = s->head |
        (uint64_t)FIELD_EX32(s->control, CONTROL, ADDRESS_HIGH) << 32;
    MemTxResult result = pci_dma_read(PCI_DEVICE(s), addr, words,
                                      sizeof(words));

    if (result != MEMTX_OK) {
        ptdma_error(s, result & MEMTX_DECODE_ERROR ? IDMA0_AXI_DECERR :
                    IDMA0_AXI_SLVERR, SOURCE_COMMAND);
        return;
    }
    for (int i = 0; i < ARRAY_SIZE(words); i++) {
        le32_to_cpus(&words[i]);
    }
    memcpy(&s->command, words, sizeof(words));
    error = ptdma_check(&s->command);
    if (error) {
        ptdma_error(s, error, SOURCE_COMMAND);
        return;
    }
    s->fetched = true;
    ptdma_after(s, MIN(s->command.length, CHUNK_SIZE));
}

static void ptdma_copy_chunk(PtdmaState *s)
{
    PCIDevice *pdev = PCI_DEVICE(s);
    const PtdmaCommand *c = &s->command;
    uint32_t size = MIN(c->length - s->done, CHUNK_SIZE), written = size;
    bool last = s->done + size == c->length;
    MemTxResult result;

    result = pci_dma_read(pdev, ptdma_pointer(c->src_high, c->src_low) +
                          s->done, s->buffer, size);
    if (result != MEMTX_OK) {
        ptdma_error(s, result & MEMTX_DECODE_ERROR ? IDMA0_AXI_DECERR :
                    IDMA0_AXI_SLVERR, SOURCE_DATA);
        return;
    }
    if (last && ptdma_mistake(&s->short_copy)) {
        written--;
    }
    result = pci_dma_write(pdev, ptdma_pointer(c->dst_high, c->dst_low) +
                           s->done, s->buffer, written);
    /* It may have reached the registers of this very device. */
    if (!s->busy) {
        return;
    }
    if (result != MEMTX_OK) {
        ptdma_error(s, result & MEMTX_DECODE_ERROR ? ODMA0_AXI_DECERR :
                    ODMA0_AXI_SLVERR, SOURCE_MEMORY);
        return;
    }
    s->done += size;
    if (last) {
        ptdma_complete(s);
    } else {
        ptdma_after(s, MIN(c->length - s->done, CHUNK_SIZE));
    }
}

static void ptdma_timer(void *opaque)
{
    PtdmaState *s = opaque;

    if (s->fetched) {
        ptdma_copy_chunk(s);
    } else {
        ptdma_fetch(s);
    }
}

/* Registers */

static uint32_t ptdma_control(PtdmaState *s)
{
    bool halted = !ptdma_runs(s) && !s->busy;

    return FIELD_DP32(s->control, CONTROL, HALTED, halted);
}

static void ptdma_write_control(PtdmaState *s, uint32_t value)
{
    bool ran = ptdma_runs(s);

    /* HALTED may be written as it was read. */
    value &= ~R_CONTROL_HALTED_MASK;
    if (value & ~CONTROL_WRITABLE ||
        FIELD_EX32(value, CONTROL, SIZE) > MAX_SIZE) {
        ptdma_misuse("reserved bits", A_CONTROL, value);
        return;
    }
    if ((ran || s->busy) && (value ^ s->control) & CONTROL_RING) {
        ptdma_misuse("the ring of a running queue", A_CONTROL, value);
        return;
    }
    s->control = value;
    if (ptdma_runs(s)) {
        s->status = FIELD_DP32(0, STATUS, JOB, s->busy ? JOB_ACTIVE : JOB_IDLE);
        ptdma_proceed(s, START_NS);
    } else if (s->busy) {
        /* A command that has begun comes to its end. */
        s->status = FIELD_DP32(s->status, STATUS, JOB, JOB_PREPARE_HALT);
    } else if (ran) {
        ptdma_stopped(s);
    }
}

static uint64_t ptdma_read(void *opaque, hwaddr addr, unsigned size)
{
    PtdmaState *s = opaque;

    if (s->shift_register) {
        addr -= 8;
    }
    switch (addr) {
    case A_QUEUE_PRIO:
        return s->prio;
    case A_REQID_CONFIG:
        return s->reqid_config;
    case A_TIMEOUT:
        return s->timeout;
    case A_VERSION:
        return PTDMA_VERSION;
    case A_CONFIG:
        return s->config;
    case A_CLK_GATE_CTL:
        return s->clk_gate_ctl;
    case A_CONTROL:
        return ptdma_control(s);
    case A_TAIL_LOW:
        return s->tail;
    case A_HEAD_LOW:
        return s->head;
    case A_INT_ENABLE:
        return s->int_enable;
    case A_INTERRUPT_STATUS:
    case A_INT_STATUS:
        return s->interrupt_status;
    case A_STATUS:
        return s->status;
    case A_AX_CACHE:
        return s->ax_cache;
    case A_DMA_STATUS:
    case A_DMA_READ_STATUS:
    case A_DMA_WRITE_STATUS:
        return 0;
    default:
        ptdma_misuse("read of no register", addr, 0);
        return 0;
    }
}

/* Return: whether it is one of the registers that mean nothing to the model. */
static bool ptdma_write_setting(PtdmaState *s, hwaddr addr, uint32_t value)
{
    switch (addr) {
    case A_QUEUE_PRIO:
        s->prio = value;
        return true;
    case A_REQID_CONFIG:
        s->reqid_config = value;
        return true;
    case A_TIMEOUT:
        s->timeout = value;
        return true;
    case A_CONFIG:
        s->config = value;
        return true;
    case A_CLK_GATE_CTL:
        s->clk_gate_ctl = value;
        return true;
    case A_AX_CACHE:
        s->ax_cache = value;
        return true;
    default:
        return false;
    }
}

static void ptdma_write(void *opaque, hwaddr addr, uint64_t value,
                        unsigned size)
{
    PtdmaState *s = opaque;

    if (s->shift_register) {
        addr -= 8;
    }
    if (ptdma_write_setting(s, addr, value)) {
        return;
    }
    switch (addr) {
    case A_CONTROL:
        ptdma_write_control(s, value);
        break;
    case A_TAIL_LOW:
        s->tail = value;
        ptdma_proceed(s, START_NS);
        break;
    case A_HEAD_LOW:
        if (ptdma_runs(s) || s->busy) {
            ptdma_misuse("the head of a running queue", addr, value);
            break;
        }
        s->head = value;
        break;
    case A_INT_ENABLE:
        if (value & ~ALL_INTERRUPTS) {
            ptdma_misuse("reserved bits", addr, value);
            break;
        }
        s->int_enable = value;
        ptdma_update_irq(s);
        break;
    case A_INTERRUPT_STATUS:
        s->interrupt_status &= ~value;
        ptdma_update_irq(s);
        break;
    default:
        ptdma_misuse("write to no register", addr, value);
    }
}

/* Words only, as both drivers do it. */
static const MemoryRegionOps ptdma_ops = {
    .read = ptdma_read,
    .write = ptdma_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 4,
        .max_access_size = 4,
    },
    .impl = {
        .min_access_size = 4,
        .max_access_size = 4,
    },
};

/* The device */

static void ptdma_reset(DeviceState *dev)
{
    PtdmaState *s = PTDMA(dev);

    timer_del(&s->timer);
    s->prio = 0;
    s->reqid_config = 0;
    s->timeout = 0;
    s->config = 0;
    s->clk_gate_ctl = 0;
    s->control = 0;
    s->tail = 0;
    s->head = 0;
    s->int_enable = 0;
    s->interrupt_status = 0;
    s->status = 0;
    s->ax_cache = 0;
    s->busy = false;
    s->asserted = false;
    pci_set_irq(PCI_DEVICE(s), 0);
}

/* A pin that is up falls when messages take its place. */
static void ptdma_config_write(PCIDevice *pdev, uint32_t addr, uint32_t value,
                               int size)
{
    pci_default_write_config(pdev, addr, value, size);
    pcie_cap_flr_write_config(pdev, addr, value, size);
    ptdma_update_irq(PTDMA(pdev));
}

static void ptdma_realize(PCIDevice *pdev, Error **errp)
{
    PtdmaState *s = PTDMA(pdev);

    pci_config_set_interrupt_pin(pdev->config, 1);
    memory_region_init_io(&s->mmio, OBJECT(s), &ptdma_ops, s, TYPE_PTDMA,
                          PTDMA_BAR_SIZE);
    pci_register_bar(pdev, PTDMA_BAR, PCI_BASE_ADDRESS_SPACE_MEMORY, &s->mmio);
    memory_region_init(&s->msix_bar, OBJECT(s), "ptdma-msix", MSIX_BAR_SIZE);
    pci_register_bar(pdev, PTDMA_MSIX_BAR, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->msix_bar);

    if (pcie_endpoint_cap_init(pdev, 0) < 0) {
        error_setg(errp, "no room for the capability of PCI Express");
        return;
    }
    pcie_cap_flr_init(pdev);
    if (msi_init(pdev, 0, 1, true, false, errp)) {
        return;
    }
    if (msix_init(pdev, 1, &s->msix_bar, PTDMA_MSIX_BAR, 0, &s->msix_bar,
                  PTDMA_MSIX_BAR, MSIX_PBA, 0, errp)) {
        msi_uninit(pdev);
        return;
    }
    msix_vector_use(pdev, 0);
    s->buffer = g_malloc(CHUNK_SIZE);
    timer_init_ns(&s->timer, QEMU_CLOCK_VIRTUAL, ptdma_timer, s);
}

static void ptdma_exit(PCIDevice *pdev)
{
    PtdmaState *s = PTDMA(pdev);

    timer_del(&s->timer);
    g_free(s->buffer);
    msix_unuse_all_vectors(pdev);
    msix_uninit(pdev, &s->msix_bar, &s->msix_bar);
    msi_uninit(pdev);
    pcie_cap_exit(pdev);
}

static const Property ptdma_properties[] = {
    DEFINE_PROP_UINT32("x-drop-completion", PtdmaState, drop_completion.every,
                       0),
    DEFINE_PROP_UINT32("x-drop-irq", PtdmaState, drop_irq.every, 0),
    DEFINE_PROP_UINT32("x-short-copy", PtdmaState, short_copy.every, 0),
    DEFINE_PROP_BOOL("x-shift-register", PtdmaState, shift_register, false),
};

static const VMStateDescription ptdma_vmstate = {
    .name = TYPE_PTDMA,
    .unmigratable = 1,
};

static void ptdma_class_init(ObjectClass *class, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(class);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(class);

    k->realize = ptdma_realize;
    k->exit = ptdma_exit;
    k->config_write = ptdma_config_write;
    k->vendor_id = PCI_VENDOR_ID_AMD;
    k->device_id = PCI_DEVICE_ID_AMD_PTDMA;
    k->class_id = PCI_CLASS_CRYPT_OTHER;
    dc->desc = "AMD Pass-Through DMA engine";
    dc->vmsd = &ptdma_vmstate;
    device_class_set_legacy_reset(dc, ptdma_reset);
    device_class_set_props(dc, ptdma_properties);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo ptdma_types[] = {
    {
        .name = TYPE_PTDMA,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(PtdmaState),
        .class_init = ptdma_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { },
        },
    },
};

DEFINE_TYPES(ptdma_types)
