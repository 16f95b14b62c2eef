/*
 * Registers, descriptors and completion records of the Intel Data Streaming
 * Accelerator
 *
 * Chapters, tables and numbers are those of the Intel Data Streaming
 * Accelerator Architecture Specification, 341204.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DMA_DSA_REGS_H
#define HW_DMA_DSA_REGS_H

/* BAR 0, chapter 9.2 */
#define DSA_VERSION             0x00
#define   DSA_VERSION_1         0x100
#define   DSA_VERSION_2         0x200
#define DSA_GENCAP              0x10
#define   GENCAP_OVERLAP        (1u << 1)
#define   GENCAP_CACHE_MEM      (1u << 2)
#define   GENCAP_CACHE_CACHE    (1u << 3)
#define   GENCAP_COMMANDS       (1u << 4)
#define   GENCAP_DEST_READBACK  (1u << 8)
#define   GENCAP_EVENT_LOG_64   (1u << 13)
#define   GENCAP_MAX_TRANSFER   16
#define   GENCAP_MAX_BATCH      21
#define   GENCAP_CONFIGURABLE   (1u << 31)
#define DSA_WQCAP               0x20
#define   WQCAP_NR              16
#define   WQCAP_DEDICATED_HIGH  (1u << 17)
#define   WQCAP_PRIORITY_HIGH   (1u << 19)
#define DSA_GRPCAP              0x30
#define   GRPCAP_READ_BUFFERS   8
#define   GRPCAP_RDBUF_CONTROL  (1u << 16)
#define   GRPCAP_RDBUF_LIMIT    (1u << 17)
#define DSA_ENGCAP              0x38
#define DSA_OPCAP               0x40
#define DSA_TABLE_OFFSETS       0x60
#define   TABLE_OFFSET_UNIT     0x100
#define DSA_GENCFG              0x80
#define   GENCFG_EVENT_LOG      (1u << 13)
#define   GENCFG_BITS           0x30ff
#define DSA_GENCTRL             0x88
#define   GENCTRL_SWERR         (1u << 0)
#define   GENCTRL_HALT          (1u << 1)
#define   GENCTRL_EVENT_LOG     (1u << 2)
#define DSA_GENSTS              0x90
#define   GENSTS_ENABLED        1
#define DSA_INTCAUSE            0x98
#define   INTCAUSE_SWERR        (1u << 0)
#define   INTCAUSE_COMMAND      (1u << 1)
#define   INTCAUSE_EVENT_LOG    (1u << 5)
#define DSA_CMD                 0xa0
#define   CMD_OPERAND           MAKE_64BIT_MASK(0, 20)
#define   CMD_CODE_SHIFT        20
#define   CMD_CODE_BITS         5
#define   CMD_RESERVED          0x7e000000
#define   CMD_INTERRUPT         (1u << 31)
#define   CMD_IMS               (1u << 16)
#define DSA_CMDSTS              0xa8
#define   CMDSTS_RESULT         8
#define   CMDSTS_ACTIVE         (1u << 31)
#define DSA_CMDCAP              0xb0
#define DSA_SWERR               0xc0
#define   SWERR_VALID           (1u << 0)
#define   SWERR_OVERFLOW        (1u << 1)
#define   SWERR_DESC_VALID      (1u << 2)
#define   SWERR_WQ_VALID        (1u << 3)
#define   SWERR_BATCH           (1u << 4)
#define   SWERR_WRITE           (1u << 5)
#define   SWERR_INFO_VALID      (1u << 7)   /* only in the event log */
#define   SWERR_CODE            8
#define   SWERR_WQ              16
#define DSA_EVLCFG              0xe0
#define DSA_EVLSTATUS           0xf0
#define   EVLSTATUS_PENDING     (1u << 30)  /* in the upper half */
#define DSA_REGISTERS_END       0x100

/* Where this model has its tables, and their entries */
#define DSA_GRPCFG              0x400
#define   GRPCFG_SIZE           64
#define   GRPCFG_ENGINES        32
#define   GRPCFG_FLAGS          40
#define   GRPFLAGS_LOW_BITS     0x0ff0ffbf
#define   GRPFLAGS_HIGH_BITS    0x33
#define DSA_WQCFG               0x500
#define   WQCFG_SIZE            32
#define   WQCFG_MODE_DEDICATED  (1u << 0)
#define   WQCFG_BLOCK_ON_FAULT  (1u << 1)
#define   WQCFG_PRIORITY        4
#define   WQCFG_PASID_ENABLE    (1u << 28)
#define   WQCFG_MAX_BATCH       5
#define   WQCFG_STATE_ENABLED   (1u << 30)
#define DSA_MSIX_PERM           0x600
#define   MSIX_PERM_SIZE        8
#define   MSIX_PERM_BITS        0xfffff00c
#define DSA_MSIX_TABLE          0x2000
#define DSA_MSIX_PBA            0x3000

/* Commands, and how they fail */
enum {
    CMD_ENABLE_DEVICE = 1,
    CMD_DISABLE_DEVICE,
    CMD_DRAIN_ALL,
    CMD_ABORT_ALL,
    CMD_RESET_DEVICE,
    CMD_ENABLE_WQ,
    CMD_DISABLE_WQ,
    CMD_DRAIN_WQ,
    CMD_ABORT_WQ,
    CMD_RESET_WQ,
    CMD_REQUEST_HANDLE = 13,
    CMD_RELEASE_HANDLE,
};

enum {
    CMD_OK = 0,
    CMD_ERR_CODE = 0x01,
    CMD_ERR_WQ_INDEX = 0x02,
    CMD_ERR_RESERVED = 0x04,
    CMD_ERR_NOT_DISABLED = 0x10,
    CMD_ERR_CONFIG = 0x11,
    CMD_ERR_BUS_MASTER = 0x12,
    CMD_ERR_WQ_SIZES = 0x14,
    CMD_ERR_GROUP_LACKS = 0x15,
    CMD_ERR_GROUP_WQS = 0x16,
    CMD_ERR_GROUP_ENGINES = 0x17,
    CMD_ERR_GROUP_BUFFERS = 0x18,
    CMD_ERR_DEVICE_DISABLED = 0x20,
    CMD_ERR_WQ_NOT_DISABLED = 0x21,
    CMD_ERR_WQ_SIZE = 0x22,
    CMD_ERR_WQ_PRIORITY = 0x23,
    CMD_ERR_WQ_MODE = 0x24,
    CMD_ERR_WQ_FAULTS = 0x25,
    CMD_ERR_WQ_PASID = 0x26,
    CMD_ERR_WQ_BATCH = 0x27,
    CMD_ERR_WQ_TRANSFER = 0x28,
    CMD_ERR_NOT_ENABLED = 0x31,
    CMD_ERR_WQ_NOT_ENABLED = 0x32,
    CMD_ERR_HANDLE_INDEX = 0x41,
};

/* A descriptor, chapter 8.1 */
enum {
    OP_NOOP = 0,
    OP_BATCH = 1,
    OP_DRAIN = 2,
    OP_MEMMOVE = 3,
    OP_FILL = 4,
};

#define DESC_SIZE               64
#define DESC_RESERVED           0x7ff00000

#define FLAG_FENCE              (1u << 0)
#define FLAG_RECORD_VALID       (1u << 2)
#define FLAG_RECORD             (1u << 3)
#define FLAG_INTERRUPT          (1u << 4)
#define FLAG_CACHE              (1u << 8)
#define FLAG_TC_ADDRESS_1       (1u << 9)
#define FLAG_TC_ADDRESS_2       (1u << 10)
#define FLAG_TC_RECORD          (1u << 12)
#define FLAG_STRICT_ORDER       (1u << 13)
#define FLAG_READBACK           (1u << 14)

/* A completion record, chapter 8.2 */
#define RECORD_SIZE             32

enum {
    STATUS_SUCCESS = 0x01,
    STATUS_PAGE_FAULT = 0x03,
    STATUS_BATCH_FAILED = 0x05,
    STATUS_BATCH_PAGE_FAULT = 0x06,
    STATUS_OPCODE = 0x10,
    STATUS_FLAGS = 0x11,
    STATUS_RESERVED = 0x12,
    STATUS_TRANSFER_SIZE = 0x13,
    STATUS_BATCH_COUNT = 0x14,
    STATUS_BATCH_ALIGN = 0x18,
    STATUS_HANDLE = 0x19,
    STATUS_RECORD_FAULT = 0x1a,
    STATUS_RECORD_ALIGN = 0x1b,
    /* Only in SWERR; the numbers are the model's */
    STATUS_WQ_DISABLED = 0x51,
    STATUS_WQ_FULL = 0x52,
    STATUS_PORTAL_WRITE = 0x53,
    STATUS_BUSY_COMMAND = 0x54,

    STATUS_WRITE = 0x80,        /* the fault was that of a write */
};

#endif
