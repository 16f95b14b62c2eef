/*
 * Intel Data Streaming Accelerator
 *
 * Dedicated work queues, without PASID, ATS or page requests: an address that
 * the IOMMU does not translate ends a descriptor with a page fault.  Each work
 * queue does one descriptor at a time, all of them at once.  Written from the
 * Intel Data Streaming Accelerator Architecture Specification, 341204.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"
#include "qemu/range.h"
#include "qemu/timer.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pcie.h"
#include "hw/qdev-properties.h"
#include "dsa-regs.h"
#include "migration/vmstate.h"

#define TYPE_DSA "dsa"
OBJECT_DECLARE_SIMPLE_TYPE(DsaState, DSA)

#define DSA_DEVICE_ID           0x0b25

#define NR_WQS                  8
#define NR_ENGINES              4
#define NR_GROUPS               4
#define NR_VECTORS              (NR_WQS + 1)
#define ALL_WQS                 MAKE_64BIT_MASK(0, NR_WQS)
#define READ_BUFFERS            96
#define QUEUE_ENTRIES           128
#define MAX_TRANSFER_SHIFT      31
#define MAX_BATCH_SHIFT         10
#define BAR0_SIZE               (64 * KiB)
#define PORTAL_SIZE             4096
/* Unlimited and limited ones, for MSI-X and for an interrupt message store */
#define PORTALS_OF_WQ           4
#define FIRST_IMS_PORTAL        2
#define BAR2_SIZE               (NR_WQS * PORTALS_OF_WQ * PORTAL_SIZE)
/* So that a handle is taken for an index by nobody */
#define FIRST_HANDLE            0x40

#define COMMAND_NS              1000
#define DESCRIPTOR_NS           500
#define BYTES_PER_NS            4
/* Of a copy in one step, and steps before others have their turn */
#define STEP_SIZE               (16 * KiB)
#define MAX_STEPS               64

/* What the model itself is to do wrong, to see tests fail; never if 0 */
typedef struct DsaMistake {
    uint32_t every;
    uint32_t count;
} DsaMistake;

typedef struct DsaDesc {
    uint32_t flags;
    uint8_t op;
    uint64_t record;
    uint64_t src;               /* or the list of a batch, or a pattern */
    uint64_t dst;
    uint32_t size;              /* or the length of a batch */
    uint16_t handle;
    bool ims;
} DsaDesc;

/* How a descriptor ended */
typedef struct DsaEnd {
    uint8_t status;
    uint8_t result;
    uint32_t done;
    uint64_t fault;
    uint32_t flags;
} DsaEnd;

typedef struct DsaEntry {
    uint8_t bytes[DESC_SIZE];
    bool ims;
} DsaEntry;

typedef struct DsaWq {
    DsaState *s;
    uint32_t index;
    bool enabled;

    DsaEntry queue[QUEUE_ENTRIES];
    uint32_t first;
    uint32_t count;

    QEMUTimer timer;
    QEMUBH *bh;
    int64_t clock;              /* to when it has worked */

    bool busy;                  /* with desc, of which so much is done */
    DsaDesc desc;
    uint32_t done;
    bool backward;
    bool lacks_last;

    bool in_batch;              /* which desc is one of */
    DsaDesc batch;
    uint32_t batch_index;
    bool batch_failed;
} DsaWq;

struct DsaState {
    PCIDevice parent_obj;

    MemoryRegion bar0;
    MemoryRegion mmio;
    MemoryRegion portals;

    uint32_t regs[DSA_REGISTERS_END / 4];
    uint32_t grpcfg[NR_GROUPS][GRPCFG_SIZE / 4];
    uint32_t wqcfg[NR_WQS][WQCFG_SIZE / 4];
    uint32_t msix_perm[NR_VECTORS];
    bool handles[NR_VECTORS];   /* that were asked for */
    DsaWq wqs[NR_WQS];

    QEMUTimer command_timer;
    uint32_t command;

    /* A write of 64 bytes comes in pieces. */
    QEMUBH *portal_bh;
    uint8_t portal_bytes[DESC_SIZE];
    hwaddr portal_addr;
    uint32_t portal_count;

    bool event_log;
    bool int_handles;
    bool shift_register;
    DsaMistake drop_irq;
    DsaMistake drop_completion;
    DsaMistake short_copy;
};

#define REG(s, name) ((s)->regs[DSA_##name / 4])
#define REG_HIGH(s, name) ((s)->regs[DSA_##name / 4 + 1])

static bool dsa_mistake(DsaMistake *mistake)
{
    if (!mistake->every || ++mistake->count < mistake->every) {
        return false;
    }
    mistake->count = 0;
    return true;
}

static bool dsa_is_enabled(DsaState *s)
{
    return REG(s, GENSTS) == GENSTS_ENABLED;
}

static int64_t dsa_now(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

/* Interrupts */

static void dsa_notify(DsaState *s, uint32_t vector)
{
    if (!dsa_mistake(&s->drop_irq)) {
        msix_notify(PCI_DEVICE(s), vector);
    }
}

static void dsa_raise_cause(DsaState *s, uint32_t cause)
{
    if (~REG(s, INTCAUSE) & cause) {
        REG(s, INTCAUSE) |= cause;
        dsa_notify(s, 0);
    }
}

/* The entry of MSI-X that a handle is of, 0 if it is of none */
static uint32_t dsa_vector_of(DsaState *s, const DsaDesc *desc)
{
    uint32_t vector = desc->handle;

    if (s->int_handles) {
        vector = vector < FIRST_HANDLE ? 0 : vector - FIRST_HANDLE;
    }
    if (desc->ims || vector >= NR_VECTORS ||
        (s->int_handles && !s->handles[vector])) {
        return 0;
    }
    return vector;
}

/* Errors that no completion record can tell of */

static void dsa_fill_record(uint8_t *record, const DsaEnd *end)
{
    memset(record, 0, RECORD_SIZE);
    record[0] = end->status;
    record[1] = end->result;
    stl_le_p(record + 4, end->done);
    stq_le_p(record + 8, end->fault);
    stl_le_p(record + 16, end->flags);
}

/* Return: whether it found its place in the event log. */
static bool dsa_log_event(DsaState *s, const uint32_t *error,
                          const DsaEnd *end)
{
    uint64_t base = ((uint64_t)REG_HIGH(s, EVLCFG) << 32 | REG(s, EVLCFG)) &
                    ~MAKE_64BIT_MASK(0, 12);
    uint32_t entries = s->regs[DSA_EVLCFG / 4 + 2] & 0xffff;
    uint32_t tail = REG_HIGH(s, EVLSTATUS) & 0xffff;
    uint32_t next = (tail + 1) % entries;
    uint8_t entry[32 + RECORD_SIZE];

    if (next == (REG(s, EVLSTATUS) & 0xffff)) {
        return false;
    }
    for (int i = 0; i < 8; i++) {
        stl_le_p(entry + i * 4, error[i]);
    }
    /* Valid and overflow are of the register only. */
    entry[0] &= ~(SWERR_VALID | SWERR_OVERFLOW);
    dsa_fill_record(entry + 32, end);
    if (pci_dma_write(PCI_DEVICE(s), base + tail * sizeof(entry), entry,
                      sizeof(entry)) != MEMTX_OK) {
        return false;
    }
    REG_HIGH(s, EVLSTATUS) = (REG_HIGH(s, EVLSTATUS) & ~0xffff) | next;
    if (!(REG_HIGH(s, EVLSTATUS) & EVLSTATUS_PENDING) &&
        REG(s, GENCTRL) & GENCTRL_EVENT_LOG) {
        REG_HIGH(s, EVLSTATUS) |= EVLSTATUS_PENDING;
        dsa_raise_cause(s, INTCAUSE_EVENT_LOG);
    }
    return true;
}

static void dsa_software_error(DsaState *s, uint32_t info, uint8_t op,
                               uint32_t batch_index, const DsaEnd *end)
{
    uint32_t error[8] = {
        info | (end->status & ~STATUS_WRITE) << SWERR_CODE |
            (end->status & STATUS_WRITE ? SWERR_WRITE : 0),
        op, batch_index, end->flags, end->fault, end->fault >> 32,
    };

    if (REG(s, GENCFG) & GENCFG_EVENT_LOG && dsa_is_enabled(s) &&
        dsa_log_event(s, error, end)) {
        return;
    }
    if (REG(s, SWERR) & SWERR_VALID) {
        REG(s, SWERR) |= SWERR_OVERFLOW;
        return;
    }
    memcpy(&REG(s, SWERR), error, sizeof(error));
    REG(s, SWERR) |= SWERR_VALID;
    if (REG(s, GENCTRL) & GENCTRL_SWERR) {
        dsa_raise_cause(s, INTCAUSE_SWERR);
    }
}

static void dsa_wq_error(DsaWq *wq, uint8_t status)
{
    DsaEnd end = { .status = status };

    dsa_software_error(wq->s, SWERR_WQ_VALID | wq->index << SWERR_WQ, 0, 0,
                       &end);
}

static void dsa_desc_error(DsaWq *wq, const DsaDesc *desc, const DsaEnd *end)
{
    bool in_batch = wq->in_batch && desc == &wq->desc;

    dsa_software_error(wq->s, SWERR_WQ_VALID | wq->index << SWERR_WQ |
                       SWERR_DESC_VALID | (in_batch ? SWERR_BATCH : 0),
                       desc->op, in_batch ? wq->batch_index : 0, end);
}

/* How a descriptor ends */

static void dsa_write_record(DsaWq *wq, const DsaDesc *desc, const DsaEnd *end)
{
    PCIDevice *pdev = PCI_DEVICE(wq->s);
    uint8_t record[RECORD_SIZE];

    if (dsa_mistake(&wq->s->drop_completion)) {
        return;
    }
    dsa_fill_record(record, end);
    /* Who sees the status sees all the rest. */
    if (pci_dma_write(pdev, desc->record + 8, record + 8,
                      RECORD_SIZE - 8) != MEMTX_OK ||
        stq_le_pci_dma(pdev, desc->record, ldq_le_p(record),
                       MEMTXATTRS_UNSPECIFIED) != MEMTX_OK) {
        DsaEnd fault = *end;

        fault.status = STATUS_RECORD_FAULT | STATUS_WRITE;
        fault.fault = desc->record;
        dsa_desc_error(wq, desc, &fault);
    }
}

static void dsa_end(DsaWq *wq, const DsaDesc *desc, const DsaEnd *end)
{
    bool success = end->status == STATUS_SUCCESS;
    uint32_t vector = dsa_vector_of(wq->s, desc);

    if (!(desc->flags & FLAG_RECORD_VALID) || desc->record % RECORD_SIZE) {
        if (!success) {
            dsa_desc_error(wq, desc, end);
        }
    } else if (desc->flags & FLAG_RECORD || !success) {
        dsa_write_record(wq, desc, end);
    }
    if (desc->flags & FLAG_INTERRUPT && vector) {
        dsa_notify(wq->s, vector);
    }
}

static void dsa_end_batch(DsaWq *wq, uint8_t status, uint64_t fault)
{
    DsaEnd end = {
        .status = status,
        .done = wq->batch_index,
        .fault = fault,
    };

    wq->in_batch = false;
    dsa_end(wq, &wq->batch, &end);
}

/* The descriptor that the queue was busy with is over. */
static void dsa_end_current(DsaWq *wq, const DsaEnd *end)
{
    dsa_end(wq, &wq->desc, end);
    wq->busy = false;
    if (!wq->in_batch) {
        return;
    }
    wq->batch_failed |= end->status != STATUS_SUCCESS;
    if (++wq->batch_index == wq->batch.size) {
        dsa_end_batch(wq, wq->batch_failed ? STATUS_BATCH_FAILED :
                                             STATUS_SUCCESS, 0);
    }
}

static void dsa_end_with(DsaWq *wq, uint8_t status)
{
    DsaEnd end = { .status = status };

    dsa_end_current(wq, &end);
}

/* What is wrong with a descriptor */

typedef struct DsaOperation {
    uint32_t flags;             /* more than those of all operations */
    uint32_t size;              /* of what comes first and is not reserved */
} DsaOperation;

#define COMMON_FLAGS (FLAG_RECORD_VALID | FLAG_RECORD | FLAG_INTERRUPT | \
                      FLAG_TC_RECORD)
#define WRITE_FLAGS (FLAG_FENCE | FLAG_CACHE | FLAG_TC_ADDRESS_2 | \
                     FLAG_STRICT_ORDER | FLAG_READBACK)

static const DsaOperation dsa_operations[] = {
    [OP_NOOP] = { FLAG_FENCE, 16 },
    [OP_BATCH] = { FLAG_TC_ADDRESS_1, 36 },
    [OP_DRAIN] = { 0, 16 },
    [OP_MEMMOVE] = { WRITE_FLAGS | FLAG_TC_ADDRESS_1, 36 },
    [OP_FILL] = { WRITE_FLAGS, 36 },
};

static void dsa_decode(DsaDesc *desc, const uint8_t *bytes, bool ims)
{
    *desc = (DsaDesc) {
        .flags = ldl_le_p(bytes + 4) & MAKE_64BIT_MASK(0, 24),
        .op = bytes[7],
        .record = ldq_le_p(bytes + 8),
        .src = ldq_le_p(bytes + 16),
        .dst = ldq_le_p(bytes + 24),
        .size = ldl_le_p(bytes + 32),
        .handle = lduw_le_p(bytes + 36),
        .ims = ims,
    };
}

static bool dsa_reserved_is_set(const DsaDesc *desc, const uint8_t *bytes)
{
    uint32_t size = dsa_operations[desc->op].size;

    return ldl_le_p(bytes) & DESC_RESERVED ||
           (!(desc->flags & FLAG_RECORD_VALID) && desc->record) ||
           (!(desc->flags & FLAG_INTERRUPT) && desc->handle) ||
           !buffer_is_zero(bytes + size, 36 - size) ||
           !buffer_is_zero(bytes + 38, DESC_SIZE - 38) ||
           (desc->op == OP_BATCH && desc->dst);
}

static uint32_t dsa_wrong_flags(DsaWq *wq, const DsaDesc *desc)
{
    uint32_t allowed = COMMON_FLAGS | dsa_operations[desc->op].flags;

    if (!wq->in_batch) {
        allowed &= ~FLAG_FENCE;
    }
    if (!(desc->flags & FLAG_RECORD_VALID)) {
        allowed &= ~FLAG_RECORD;
    }
    return desc->flags & ~allowed;
}

static uint8_t dsa_check_size(DsaWq *wq, const DsaDesc *desc)
{
    uint32_t limits = wq->s->wqcfg[wq->index][3];
    uint64_t max_transfer = 1ull << extract32(limits, 0, 5);
    uint32_t max_batch = 1u << extract32(limits, WQCFG_MAX_BATCH, 4);

    switch (desc->op) {
    case OP_BATCH:
        if (desc->src % DESC_SIZE) {
            return STATUS_BATCH_ALIGN;
        }
        return desc->size < 2 || desc->size > max_batch ? STATUS_BATCH_COUNT :
                                                          STATUS_SUCCESS;
    case OP_MEMMOVE:
    case OP_FILL:
        return !desc->size || desc->size > max_transfer ?
               STATUS_TRANSFER_SIZE : STATUS_SUCCESS;
    default:
        return STATUS_SUCCESS;
    }
}

static uint8_t dsa_check(DsaWq *wq, const DsaDesc *desc, const uint8_t *bytes,
                         uint32_t *wrong_flags)
{
    if (desc->op >= ARRAY_SIZE(dsa_operations) ||
        (wq->in_batch && (desc->op == OP_BATCH || desc->op == OP_DRAIN))) {
        return STATUS_OPCODE;
    }
    *wrong_flags = dsa_wrong_flags(wq, desc);
    if (*wrong_flags) {
        return STATUS_FLAGS;
    }
    if (desc->flags & FLAG_RECORD_VALID && desc->record % RECORD_SIZE) {
        return STATUS_RECORD_ALIGN;
    }
    if (dsa_reserved_is_set(desc, bytes)) {
        return STATUS_RESERVED;
    }
    if (desc->flags & FLAG_INTERRUPT && !dsa_vector_of(wq->s, desc)) {
        return STATUS_HANDLE;
    }
    return dsa_check_size(wq, desc);
}

/* The work */

/* The queue is busy with a descriptor from now on, unless that is wrong. */
static void dsa_begin(DsaWq *wq, const uint8_t *bytes, bool ims)
{
    DsaDesc *desc = &wq->desc;
    DsaEnd end = { };

    dsa_decode(desc, bytes, ims);
    wq->busy = true;
    wq->done = 0;
    wq->backward = desc->op == OP_MEMMOVE && desc->src < desc->dst &&
                   desc->dst - desc->src < desc->size;
    wq->lacks_last = false;
    end.status = dsa_check(wq, desc, bytes, &end.flags);
    if (end.status != STATUS_SUCCESS) {
        dsa_end_current(wq, &end);
    } else if (desc->op == OP_BATCH) {
        wq->batch = *desc;
        wq->in_batch = true;
        wq->batch_index = 0;
        wq->batch_failed = false;
        wq->busy = false;
    } else if (desc->op == OP_MEMMOVE) {
        wq->lacks_last = dsa_mistake(&wq->s->short_copy);
    }
}

/* Gets the next one of a batch. */
static void dsa_begin_in_batch(DsaWq *wq)
{
    uint64_t addr = wq->batch.src + (uint64_t)wq->batch_index * DESC_SIZE;
    uint8_t bytes[DESC_SIZE];
    uint32_t flags;

    if (pci_dma_read(PCI_DEVICE(wq->s), addr, bytes, sizeof(bytes)) !=
        MEMTX_OK) {
        dsa_end_batch(wq, STATUS_BATCH_PAGE_FAULT, addr);
        return;
    }
    flags = ldl_le_p(bytes + 4);
    if (wq->batch_failed && flags & FLAG_FENCE) {
        dsa_end_batch(wq, STATUS_BATCH_FAILED, 0);
        return;
    }
    dsa_begin(wq, bytes, wq->batch.ims);
}

/* The size of the next piece, which lies in one page at either end. */
static uint32_t dsa_piece(DsaWq *wq)
{
    const DsaDesc *desc = &wq->desc;
    uint64_t src = desc->op == OP_MEMMOVE ? desc->src : desc->dst;
    uint32_t size = desc->size - wq->done;

    if (wq->backward) {
        uint64_t src_end = src + size - 1, dst_end = desc->dst + size - 1;

        return MIN(size, 1 + MIN(src_end % 4096, dst_end % 4096));
    }
    return MIN(size, 4096 - MAX((src + wq->done) % 4096,
                                (desc->dst + wq->done) % 4096));
}

static void dsa_page_fault(DsaWq *wq, uint64_t addr, bool write)
{
    DsaEnd end = {
        .status = STATUS_PAGE_FAULT | (write ? STATUS_WRITE : 0),
        .result = wq->backward,
        .done = wq->done,
        .fault = addr & ~4095ull,
    };

    dsa_end_current(wq, &end);
}

/* Return: false if that was the end of it. */
static bool dsa_copy_piece(DsaWq *wq)
{
    PCIDevice *pdev = PCI_DEVICE(wq->s);
    const DsaDesc *desc = &wq->desc;
    uint32_t piece = dsa_piece(wq), left = desc->size - wq->done;
    uint64_t offset = wq->backward ? left - piece : wq->done;
    bool is_last = offset + piece == desc->size;
    uint8_t buffer[4096];

    if (desc->op == OP_FILL) {
        for (uint32_t i = 0; i < piece; i++) {
            buffer[i] = desc->src >> (wq->done + i) % 8 * 8;
        }
    } else if (pci_dma_read(pdev, desc->src + offset, buffer, piece) !=
               MEMTX_OK) {
        dsa_page_fault(wq, desc->src + offset, false);
        return false;
    }
    if (pci_dma_write(pdev, desc->dst + offset, buffer,
                      piece - (is_last && wq->lacks_last)) != MEMTX_OK) {
        dsa_page_fault(wq, desc->dst + offset, true);
        return false;
    }
    wq->done += piece;
    return true;
}

static void dsa_copy(DsaWq *wq)
{
    uint32_t upto = wq->done + MIN(wq->desc.size - wq->done, STEP_SIZE);
    DsaEnd end = {
        .status = STATUS_SUCCESS,
        .result = wq->backward,
    };

    while (wq->done < upto) {
        if (!dsa_copy_piece(wq)) {
            return;
        }
    }
    if (wq->done == wq->desc.size) {
        dsa_end_current(wq, &end);
    }
}

static bool dsa_has_work(DsaWq *wq)
{
    return wq->busy || wq->in_batch || wq->count;
}

/* Return: how long the next step takes. */
static int64_t dsa_step_ns(DsaWq *wq)
{
    if (!wq->busy) {
        return DESCRIPTOR_NS;
    }
    return MIN(wq->desc.size - wq->done, STEP_SIZE) / BYTES_PER_NS + 1;
}

static void dsa_step(DsaWq *wq)
{
    if (wq->busy) {
        if (wq->desc.op == OP_MEMMOVE || wq->desc.op == OP_FILL) {
            dsa_copy(wq);
        } else {
            dsa_end_with(wq, STATUS_SUCCESS);
        }
    } else if (wq->in_batch) {
        dsa_begin_in_batch(wq);
    } else {
        DsaEntry *entry = &wq->queue[wq->first];

        wq->first = (wq->first + 1) % QUEUE_ENTRIES;
        wq->count--;
        dsa_begin(wq, entry->bytes, entry->ims);
    }
}

static void dsa_arm(DsaWq *wq)
{
    timer_mod(&wq->timer, wq->clock + dsa_step_ns(wq));
}

static void dsa_timer(void *opaque)
{
    DsaWq *wq = opaque;

    qemu_bh_schedule(wq->bh);
}

static void dsa_bh(void *opaque)
{
    DsaWq *wq = opaque;
    int64_t now = dsa_now();

    for (int i = 0; i < MAX_STEPS && dsa_has_work(wq); i++) {
        int64_t ns = dsa_step_ns(wq);

        if (wq->clock + ns > now) {
            break;
        }
        wq->clock += ns;
        dsa_step(wq);
    }
    if (dsa_has_work(wq)) {
        dsa_arm(wq);
    }
}

static void dsa_submit(DsaWq *wq, const uint8_t *bytes, bool ims)
{
    uint32_t size = wq->s->wqcfg[wq->index][0];
    DsaEntry *entry;

    if (!wq->enabled) {
        dsa_wq_error(wq, STATUS_WQ_DISABLED);
        return;
    }
    if (wq->count == size) {
        dsa_wq_error(wq, STATUS_WQ_FULL);
        return;
    }
    if (!dsa_has_work(wq)) {
        wq->clock = dsa_now();
    }
    entry = &wq->queue[(wq->first + wq->count++) % QUEUE_ENTRIES];
    memcpy(entry->bytes, bytes, DESC_SIZE);
    entry->ims = ims;
    if (!timer_pending(&wq->timer)) {
        dsa_arm(wq);
    }
}

/* Commands */

static void dsa_abandon(DsaWq *wq)
{
    wq->count = 0;
    wq->busy = false;
    wq->in_batch = false;
    timer_del(&wq->timer);
    qemu_bh_cancel(wq->bh);
}

static void dsa_disable_wq(DsaWq *wq)
{
    dsa_abandon(wq);
    wq->enabled = false;
    wq->s->wqcfg[wq->index][6] &= ~WQCFG_STATE_ENABLED;
}

/* Its size remains, as the device is still enabled. */
static void dsa_reset_wq(DsaWq *wq)
{
    dsa_disable_wq(wq);
    memset(&wq->s->wqcfg[wq->index][1], 0, WQCFG_SIZE - 4);
}

static void dsa_reset_registers(DsaState *s)
{
    for (int i = 0; i < NR_WQS; i++) {
        dsa_disable_wq(&s->wqs[i]);
    }
    memset(s->wqcfg, 0, sizeof(s->wqcfg));
    memset(s->grpcfg, 0, sizeof(s->grpcfg));
    memset(s->msix_perm, 0, sizeof(s->msix_perm));
    memset(s->handles, 0, sizeof(s->handles));
    for (int i = 0; i < NR_GROUPS; i++) {
        /* Traffic class B is 1, all read buffers are allowed. */
        s->grpcfg[i][GRPCFG_FLAGS / 4] = 1 << 3 | READ_BUFFERS << 20;
    }
    REG(s, GENSTS) = 0;
    REG(s, GENCFG) = 0;
    REG(s, GENCTRL) = 0;
    memset(&REG(s, SWERR), 0, 32);
    memset(&REG(s, EVLCFG), 0, 16);
    memset(&REG(s, EVLSTATUS), 0, 8);
    s->portal_count = 0;
}

static uint8_t dsa_check_group(DsaState *s, int group)
{
    uint32_t flags = s->grpcfg[group][GRPCFG_FLAGS / 4];
    uint32_t wqs = s->grpcfg[group][0];
    uint32_t engines = s->grpcfg[group][GRPCFG_ENGINES / 4];
    uint32_t allowed = extract32(flags, 20, 8);
    uint32_t reserved = extract32(flags, 8, 8);

    if (!wqs != !engines) {
        return CMD_ERR_GROUP_LACKS;
    }
    if (engines && (allowed < 4 * ctpop32(engines) || allowed > READ_BUFFERS ||
                    reserved > allowed)) {
        return CMD_ERR_GROUP_BUFFERS;
    }
    return CMD_OK;
}

static uint8_t dsa_check_groups(DsaState *s)
{
    uint32_t wqs = 0, engines = 0, sized = 0;
    uint8_t error = CMD_OK;

    for (int i = 0; i < NR_WQS; i++) {
        sized |= s->wqcfg[i][0] ? 1u << i : 0;
    }
    for (int i = 0; i < NR_GROUPS && !error; i++) {
        uint32_t more_engines = s->grpcfg[i][GRPCFG_ENGINES / 4];

        error = dsa_check_group(s, i);
        if (wqs & s->grpcfg[i][0]) {
            return CMD_ERR_GROUP_WQS;
        }
        if (engines & more_engines) {
            return CMD_ERR_GROUP_ENGINES;
        }
        wqs |= s->grpcfg[i][0];
        engines |= more_engines;
    }
    return error ? error : wqs != sized ? CMD_ERR_GROUP_WQS : CMD_OK;
}

static uint8_t dsa_enable_device(DsaState *s)
{
    uint32_t entries = s->regs[DSA_EVLCFG / 4 + 2] & 0xffff, total = 0;
    uint8_t error;

    if (dsa_is_enabled(s)) {
        return CMD_ERR_NOT_DISABLED;
    }
    if (!(pci_get_word(PCI_DEVICE(s)->config + PCI_COMMAND) &
          PCI_COMMAND_MASTER)) {
        return CMD_ERR_BUS_MASTER;
    }
    if (REG(s, GENCFG) & GENCFG_EVENT_LOG && entries < 64) {
        return CMD_ERR_CONFIG;
    }
    for (int i = 0; i < NR_WQS; i++) {
        total += s->wqcfg[i][0];
    }
    if (total > QUEUE_ENTRIES) {
        return CMD_ERR_WQ_SIZES;
    }
    error = dsa_check_groups(s);
    if (!error) {
        REG(s, GENSTS) = GENSTS_ENABLED;
    }
    return error;
}

static uint8_t dsa_disable_device(DsaState *s)
{
    if (!dsa_is_enabled(s)) {
        return CMD_ERR_NOT_ENABLED;
    }
    for (int i = 0; i < NR_WQS; i++) {
        dsa_disable_wq(&s->wqs[i]);
    }
    REG(s, GENSTS) = 0;
    return CMD_OK;
}

static uint8_t dsa_enable_wq(DsaState *s, uint32_t index)
{
    const uint32_t *config;

    if (!dsa_is_enabled(s)) {
        return CMD_ERR_DEVICE_DISABLED;
    }
    if (index >= NR_WQS) {
        return CMD_ERR_WQ_INDEX;
    }
    config = s->wqcfg[index];
    if (s->wqs[index].enabled) {
        return CMD_ERR_WQ_NOT_DISABLED;
    }
    if (!config[0]) {
        return CMD_ERR_WQ_SIZE;
    }
    if (!extract32(config[2], WQCFG_PRIORITY, 4)) {
        return CMD_ERR_WQ_PRIORITY;
    }
    if (!(config[2] & WQCFG_MODE_DEDICATED)) {
        return CMD_ERR_WQ_MODE;
    }
    if (config[2] & WQCFG_BLOCK_ON_FAULT) {
        return CMD_ERR_WQ_FAULTS;
    }
    if (config[2] & WQCFG_PASID_ENABLE) {
        return CMD_ERR_WQ_PASID;
    }
    if (extract32(config[3], WQCFG_MAX_BATCH, 4) > MAX_BATCH_SHIFT) {
        return CMD_ERR_WQ_BATCH;
    }
    if (extract32(config[3], 0, 5) > MAX_TRANSFER_SHIFT) {
        return CMD_ERR_WQ_TRANSFER;
    }
    s->wqs[index].enabled = true;
    s->wqcfg[index][6] |= WQCFG_STATE_ENABLED;
    return CMD_OK;
}

/* @operand: sixteen of them, from the sixteenfold of its upper part on */
static uint8_t dsa_command_wqs(DsaState *s, uint32_t code, uint32_t operand)
{
    uint32_t mask = operand & 0xffff;
    bool all_enabled = true;

    if (!dsa_is_enabled(s)) {
        return CMD_ERR_NOT_ENABLED;
    }
    if (operand >> 16 || !mask || mask & ~ALL_WQS) {
        return CMD_ERR_WQ_INDEX;
    }
    for (int i = 0; i < NR_WQS; i++) {
        DsaWq *wq = &s->wqs[i];

        if (!(mask & 1u << i)) {
            continue;
        }
        all_enabled &= wq->enabled;
        if (code == CMD_DISABLE_WQ) {
            dsa_disable_wq(wq);
        } else if (code == CMD_RESET_WQ) {
            dsa_reset_wq(wq);
        } else if (code == CMD_ABORT_WQ) {
            dsa_abandon(wq);
        }
    }
    return all_enabled ? CMD_OK : CMD_ERR_WQ_NOT_ENABLED;
}

/* Return: those whose descriptors the command waits for. */
static uint32_t dsa_command_waits_for(uint32_t code, uint32_t operand)
{
    switch (code) {
    case CMD_DISABLE_DEVICE:
    case CMD_DRAIN_ALL:
        return ALL_WQS;
    case CMD_DISABLE_WQ:
    case CMD_DRAIN_WQ:
        return operand;
    default:
        return 0;
    }
}

static uint8_t dsa_command_all(DsaState *s, uint32_t code)
{
    if (!dsa_is_enabled(s)) {
        return CMD_ERR_NOT_ENABLED;
    }
    for (int i = 0; i < NR_WQS && code == CMD_ABORT_ALL; i++) {
        dsa_abandon(&s->wqs[i]);
    }
    return CMD_OK;
}

static uint8_t dsa_command_handle(DsaState *s, uint32_t code, uint32_t operand,
                                  uint32_t *result)
{
    uint32_t index = operand;

    if (code == CMD_RELEASE_HANDLE) {
        index = operand < FIRST_HANDLE ? 0 : operand - FIRST_HANDLE;
    }
    if (operand & CMD_IMS || !index || index >= NR_VECTORS) {
        return CMD_ERR_HANDLE_INDEX;
    }
    s->handles[index] = code == CMD_REQUEST_HANDLE;
    *result = code == CMD_REQUEST_HANDLE ? FIRST_HANDLE + index : 0;
    return CMD_OK;
}

static uint8_t dsa_execute(DsaState *s, uint32_t code, uint32_t operand,
                           uint32_t *result)
{
    if (s->command & CMD_RESERVED) {
        return CMD_ERR_RESERVED;
    }
    if (!(REG(s, CMDCAP) & 1u << code)) {
        return CMD_ERR_CODE;
    }
    if (code <= CMD_RESET_DEVICE && operand) {
        return CMD_ERR_RESERVED;
    }
    switch (code) {
    case CMD_ENABLE_DEVICE:
        return dsa_enable_device(s);
    case CMD_DISABLE_DEVICE:
        return dsa_disable_device(s);
    case CMD_RESET_DEVICE:
        dsa_reset_registers(s);
        return CMD_OK;
    case CMD_DRAIN_ALL:
    case CMD_ABORT_ALL:
        return dsa_command_all(s, code);
    case CMD_ENABLE_WQ:
        return dsa_enable_wq(s, operand);
    case CMD_REQUEST_HANDLE:
    case CMD_RELEASE_HANDLE:
        return dsa_command_handle(s, code, operand, result);
    default:
        return dsa_command_wqs(s, code, operand);
    }
}

static void dsa_command_timer(void *opaque)
{
    DsaState *s = opaque;
    uint32_t code = extract32(s->command, CMD_CODE_SHIFT, CMD_CODE_BITS);
    uint32_t operand = s->command & CMD_OPERAND, result = 0;
    uint32_t wait_for = dsa_command_waits_for(code, operand);
    uint8_t error;

    for (int i = 0; i < NR_WQS; i++) {
        if (wait_for & 1u << i && dsa_has_work(&s->wqs[i])) {
            timer_mod(&s->command_timer, dsa_now() + COMMAND_NS);
            return;
        }
    }
    error = dsa_execute(s, code, operand, &result);
    REG(s, CMDSTS) = error | result << CMDSTS_RESULT;
    if (s->command & CMD_INTERRUPT) {
        dsa_raise_cause(s, INTCAUSE_COMMAND);
    }
}

static void dsa_command(DsaState *s, uint32_t value)
{
    if (REG(s, CMDSTS) & CMDSTS_ACTIVE) {
        DsaEnd end = { .status = STATUS_BUSY_COMMAND };

        dsa_software_error(s, 0, 0, 0, &end);
        return;
    }
    s->command = value;
    REG(s, CMDSTS) = CMDSTS_ACTIVE;
    timer_mod(&s->command_timer, dsa_now() + COMMAND_NS);
}

/* Registers */

static uint32_t dsa_wqcfg_mask(DsaState *s, uint32_t wq, uint32_t word)
{
    if (word == 0) {
        return dsa_is_enabled(s) ? 0 : 0xffff;
    }
    if (s->wqs[wq].enabled) {
        return 0;
    }
    return word == 1 ? 0xffff : word == 2 ? 0x3fffffff : word == 3 ? 0x1ff : 0;
}

static uint32_t dsa_grpcfg_mask(DsaState *s, uint32_t offset)
{
    if (dsa_is_enabled(s)) {
        return 0;
    }
    switch (offset) {
    case 0:
        return ALL_WQS;
    case GRPCFG_ENGINES:
        return MAKE_64BIT_MASK(0, NR_ENGINES);
    case GRPCFG_FLAGS:
        return GRPFLAGS_LOW_BITS;
    case GRPCFG_FLAGS + 4:
        return GRPFLAGS_HIGH_BITS;
    default:
        return 0;
    }
}

/*
 * Where a word of the tables is.
 * @mask: its bits that can be written now
 */
static uint32_t *dsa_table(DsaState *s, hwaddr addr, uint32_t *mask)
{
    uint32_t entry, offset;

    if (ranges_overlap(addr, 4, DSA_GRPCFG, sizeof(s->grpcfg))) {
        entry = (addr - DSA_GRPCFG) / GRPCFG_SIZE;
        offset = (addr - DSA_GRPCFG) % GRPCFG_SIZE;
        *mask = dsa_grpcfg_mask(s, offset);
        return &s->grpcfg[entry][offset / 4];
    }
    if (ranges_overlap(addr, 4, DSA_WQCFG, sizeof(s->wqcfg))) {
        entry = (addr - DSA_WQCFG) / WQCFG_SIZE;
        offset = (addr - DSA_WQCFG) % WQCFG_SIZE;
        *mask = dsa_wqcfg_mask(s, entry, offset / 4);
        return &s->wqcfg[entry][offset / 4];
    }
    entry = (addr - DSA_MSIX_PERM) / MSIX_PERM_SIZE;
    if (addr >= DSA_MSIX_PERM && entry < NR_VECTORS &&
        !(addr % MSIX_PERM_SIZE)) {
        *mask = MSIX_PERM_BITS;
        return &s->msix_perm[entry];
    }
    return NULL;
}

static bool dsa_shift(DsaState *s, hwaddr *addr)
{
    if (!s->shift_register) {
        return true;
    }
    *addr -= 8;
    return *addr < DSA_MSIX_TABLE;
}

static uint64_t dsa_read(void *opaque, hwaddr addr, unsigned size)
{
    DsaState *s = opaque;
    uint32_t mask, *word;

    if (!dsa_shift(s, &addr)) {
        return 0;
    }
    if (addr < DSA_REGISTERS_END) {
        return addr == DSA_CMD ? 0 : s->regs[addr / 4];
    }
    word = dsa_table(s, addr, &mask);
    return word ? *word : 0;
}

static void dsa_write_register(DsaState *s, hwaddr addr, uint32_t value)
{
    uint32_t *reg = &s->regs[addr / 4];
    bool has_log = s->event_log && !dsa_is_enabled(s);

    switch (addr) {
    case DSA_GENCFG:
        *reg = value & (GENCFG_BITS & ~(s->event_log ? 0 : GENCFG_EVENT_LOG));
        break;
    case DSA_GENCTRL:
        *reg = value & (GENCTRL_SWERR | GENCTRL_HALT |
                        (s->event_log ? GENCTRL_EVENT_LOG : 0));
        break;
    case DSA_INTCAUSE:
        *reg &= ~value;
        break;
    case DSA_CMD:
        dsa_command(s, value);
        break;
    case DSA_SWERR:
        *reg &= ~(value & (SWERR_VALID | SWERR_OVERFLOW));
        break;
    case DSA_EVLCFG:
        *reg = has_log ? value & ~0xfffu : *reg;
        break;
    case DSA_EVLCFG + 4:
        *reg = has_log ? value : *reg;
        break;
    case DSA_EVLCFG + 8:
        *reg = has_log ? value & 0xffff : *reg;
        break;
    case DSA_EVLSTATUS:
        *reg = value & 0xffff;
        break;
    case DSA_EVLSTATUS + 4:
        *reg &= ~(value & EVLSTATUS_PENDING);
        break;
    }
}

static void dsa_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    DsaState *s = opaque;
    uint32_t mask, *word;

    if (!dsa_shift(s, &addr)) {
        return;
    }
    if (addr < DSA_REGISTERS_END) {
        dsa_write_register(s, addr, value);
        return;
    }
    word = dsa_table(s, addr, &mask);
    if (word) {
        *word = (*word & ~mask) | (value & mask);
    }
}

static const MemoryRegionOps dsa_mmio_ops = {
    .read = dsa_read,
    .write = dsa_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 4,
        .max_access_size = 8,
    },
    .impl = {
        .min_access_size = 4,
        .max_access_size = 4,
    },
};

/* Portals */

static DsaWq *dsa_wq_of_portal(DsaState *s, hwaddr addr)
{
    return &s->wqs[addr / PORTAL_SIZE / PORTALS_OF_WQ];
}

/* What was written was not 64 bytes at once. */
static void dsa_portal_broken(DsaState *s)
{
    if (s->portal_count) {
        s->portal_count = 0;
        dsa_wq_error(dsa_wq_of_portal(s, s->portal_addr), STATUS_PORTAL_WRITE);
    }
}

static void dsa_portal_bh(void *opaque)
{
    dsa_portal_broken(opaque);
}

static uint64_t dsa_portal_read(void *opaque, hwaddr addr, unsigned size)
{
    return UINT64_MAX;
}

/*
 * No device sees a write of more than 8 bytes.  Those of one MOVDIR64B come
 * with nothing in between, not even a turn of the main loop.
 */
static void dsa_portal_write(void *opaque, hwaddr addr, uint64_t value,
                             unsigned size)
{
    DsaState *s = opaque;
    bool continues = s->portal_count && size == 8 &&
                     addr == s->portal_addr + s->portal_count;

    if (!continues) {
        dsa_portal_broken(s);
        if (size != 8 || addr % DESC_SIZE) {
            dsa_wq_error(dsa_wq_of_portal(s, addr), STATUS_PORTAL_WRITE);
            return;
        }
        s->portal_addr = addr;
        qemu_bh_schedule(s->portal_bh);
    }
    stq_le_p(s->portal_bytes + s->portal_count, value);
    s->portal_count += 8;
    if (s->portal_count == DESC_SIZE) {
        s->portal_count = 0;
        qemu_bh_cancel(s->portal_bh);
        dsa_submit(dsa_wq_of_portal(s, addr), s->portal_bytes,
                   addr / PORTAL_SIZE % PORTALS_OF_WQ >= FIRST_IMS_PORTAL);
    }
}

static const MemoryRegionOps dsa_portal_ops = {
    .read = dsa_portal_read,
    .write = dsa_portal_write,
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

/* The device */

static void dsa_set_capabilities(DsaState *s)
{
    REG(s, VERSION) = s->event_log ? DSA_VERSION_2 : DSA_VERSION_1;
    REG(s, GENCAP) = GENCAP_OVERLAP | GENCAP_CACHE_MEM | GENCAP_CACHE_CACHE |
                     GENCAP_COMMANDS | GENCAP_DEST_READBACK |
                     (s->event_log ? GENCAP_EVENT_LOG_64 : 0) |
                     MAX_TRANSFER_SHIFT << GENCAP_MAX_TRANSFER |
                     MAX_BATCH_SHIFT << GENCAP_MAX_BATCH | GENCAP_CONFIGURABLE;
    REG(s, WQCAP) = QUEUE_ENTRIES | NR_WQS << WQCAP_NR;
    REG_HIGH(s, WQCAP) = WQCAP_DEDICATED_HIGH | WQCAP_PRIORITY_HIGH;
    REG(s, GRPCAP) = NR_GROUPS | READ_BUFFERS << GRPCAP_READ_BUFFERS |
                     GRPCAP_RDBUF_CONTROL | GRPCAP_RDBUF_LIMIT;
    REG(s, ENGCAP) = NR_ENGINES;
    REG(s, OPCAP) = 1 << OP_NOOP | 1 << OP_BATCH | 1 << OP_DRAIN |
                    1 << OP_MEMMOVE | 1 << OP_FILL;
    REG(s, TABLE_OFFSETS) = DSA_GRPCFG / TABLE_OFFSET_UNIT |
                            DSA_WQCFG / TABLE_OFFSET_UNIT << 16;
    REG_HIGH(s, TABLE_OFFSETS) = DSA_MSIX_PERM / TABLE_OFFSET_UNIT;
    REG(s, CMDCAP) = MAKE_64BIT_MASK(CMD_ENABLE_DEVICE, CMD_RESET_WQ);
    if (s->int_handles) {
        REG(s, CMDCAP) |= 1 << CMD_REQUEST_HANDLE | 1 << CMD_RELEASE_HANDLE;
    }
}

static void dsa_reset(DeviceState *dev)
{
    DsaState *s = DSA(dev);

    timer_del(&s->command_timer);
    qemu_bh_cancel(s->portal_bh);
    dsa_reset_registers(s);
    REG(s, CMDSTS) = 0;
    REG(s, INTCAUSE) = 0;
}

static void dsa_config_write(PCIDevice *pdev, uint32_t addr, uint32_t value,
                             int size)
{
    pci_default_write_config(pdev, addr, value, size);
    pcie_cap_flr_write_config(pdev, addr, value, size);
}

static void dsa_init_work(DsaState *s)
{
    MemReentrancyGuard *guard = &DEVICE(s)->mem_reentrancy_guard;

    for (int i = 0; i < NR_WQS; i++) {
        DsaWq *wq = &s->wqs[i];

        wq->s = s;
        wq->index = i;
        wq->bh = qemu_bh_new_guarded(dsa_bh, wq, guard);
        timer_init_ns(&wq->timer, QEMU_CLOCK_VIRTUAL, dsa_timer, wq);
    }
    s->portal_bh = qemu_bh_new_guarded(dsa_portal_bh, s, guard);
    timer_init_ns(&s->command_timer, QEMU_CLOCK_VIRTUAL, dsa_command_timer, s);
}

static void dsa_realize(PCIDevice *pdev, Error **errp)
{
    const uint8_t bar = PCI_BASE_ADDRESS_MEM_TYPE_64 |
                        PCI_BASE_ADDRESS_MEM_PREFETCH;
    DsaState *s = DSA(pdev);

    memory_region_init(&s->bar0, OBJECT(s), "dsa-bar0", BAR0_SIZE);
    memory_region_init_io(&s->mmio, OBJECT(s), &dsa_mmio_ops, s, "dsa-mmio",
                          DSA_MSIX_TABLE);
    memory_region_add_subregion(&s->bar0, 0, &s->mmio);
    memory_region_init_io(&s->portals, OBJECT(s), &dsa_portal_ops, s,
                          "dsa-portals", BAR2_SIZE);
    pci_register_bar(pdev, 0, bar, &s->bar0);
    pci_register_bar(pdev, 2, bar, &s->portals);

    if (pcie_endpoint_cap_init(pdev, 0) < 0) {
        error_setg(errp, "no room for the capability of PCI Express");
        return;
    }
    pcie_cap_flr_init(pdev);
    if (msix_init(pdev, NR_VECTORS, &s->bar0, 0, DSA_MSIX_TABLE, &s->bar0, 0,
                  DSA_MSIX_PBA, 0, errp)) {
        return;
    }
    for (int i = 0; i < NR_VECTORS; i++) {
        msix_vector_use(pdev, i);
    }
    dsa_init_work(s);
    dsa_set_capabilities(s);
}

static void dsa_exit(PCIDevice *pdev)
{
    DsaState *s = DSA(pdev);

    timer_del(&s->command_timer);
    qemu_bh_delete(s->portal_bh);
    for (int i = 0; i < NR_WQS; i++) {
        timer_del(&s->wqs[i].timer);
        qemu_bh_delete(s->wqs[i].bh);
    }
    msix_unuse_all_vectors(pdev);
    msix_uninit(pdev, &s->bar0, &s->bar0);
    pcie_cap_exit(pdev);
}

static const Property dsa_properties[] = {
    DEFINE_PROP_BOOL("event-log", DsaState, event_log, true),
    DEFINE_PROP_BOOL("int-handles", DsaState, int_handles, false),
    DEFINE_PROP_UINT32("x-drop-irq", DsaState, drop_irq.every, 0),
    DEFINE_PROP_UINT32("x-drop-completion", DsaState, drop_completion.every,
                       0),
    DEFINE_PROP_UINT32("x-short-copy", DsaState, short_copy.every, 0),
    DEFINE_PROP_BOOL("x-shift-register", DsaState, shift_register, false),
};

static const VMStateDescription dsa_vmstate = {
    .name = TYPE_DSA,
    .unmigratable = 1,
};

static void dsa_class_init(ObjectClass *class, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(class);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(class);

    k->realize = dsa_realize;
    k->exit = dsa_exit;
    k->config_write = dsa_config_write;
    k->vendor_id = PCI_VENDOR_ID_INTEL;
    k->device_id = DSA_DEVICE_ID;
    k->class_id = PCI_CLASS_SYSTEM_OTHER;
    dc->desc = "Intel Data Streaming Accelerator";
    dc->vmsd = &dsa_vmstate;
    device_class_set_legacy_reset(dc, dsa_reset);
    device_class_set_props(dc, dsa_properties);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo dsa_types[] = {
    {
        .name = TYPE_DSA,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(DsaState),
        .class_init = dsa_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { },
        },
    },
};

DEFINE_TYPES(dsa_types)
