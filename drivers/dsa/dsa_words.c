// SPDX-License-Identifier: GPL-2.0-only
/* What the codes of the Data Streaming Accelerator mean, on stderr. */
#include <stdio.h>

#include <linux/kernel.h>

#include "dsa.h"

/* Of CMDSTS, 341204 chapter 9.2 */
static const char *const command_errors[] = {
	[IDXD_CMDSTS_INVAL_CMD] = "no such command",
	[IDXD_CMDSTS_INVAL_WQIDX] = "no such work queue",
	[IDXD_CMDSTS_HW_ERR] = "hardware error",
	[4] = "a reserved field is not 0",
	[IDXD_CMDSTS_ERR_DEV_ENABLED] = "the device is not disabled",
	[IDXD_CMDSTS_ERR_CONFIG] = "the configuration is wrong",
	[IDXD_CMDSTS_ERR_BUSMASTER_EN] = "bus mastering is off",
	[IDXD_CMDSTS_ERR_PASID_INVAL] = "PASID, ATS and PRS do not go together so",
	[IDXD_CMDSTS_ERR_WQ_SIZE_ERANGE] = "the work queues are too large together",
	[IDXD_CMDSTS_ERR_GRP_CONFIG] = "a group lacks work queues or engines",
	[IDXD_CMDSTS_ERR_GRP_CONFIG2] = "a work queue is in two groups or none",
	[IDXD_CMDSTS_ERR_GRP_CONFIG3] = "an engine is in two groups",
	[IDXD_CMDSTS_ERR_GRP_CONFIG4] = "the read buffers of a group are wrong",
	[IDXD_CMDSTS_ERR_DEV_NOTEN] = "the device is not enabled",
	[IDXD_CMDSTS_ERR_WQ_ENABLED] = "the work queue is not disabled",
	[IDXD_CMDSTS_ERR_WQ_SIZE] = "the work queue has no size",
	[IDXD_CMDSTS_ERR_WQ_PRIOR] = "the work queue has no priority",
	[IDXD_CMDSTS_ERR_WQ_MODE] = "the work queue cannot have this mode",
	[IDXD_CMDSTS_ERR_BOF_EN] = "the work queue cannot block on faults",
	[IDXD_CMDSTS_ERR_PASID_EN] = "the work queue cannot have this PASID",
	[IDXD_CMDSTS_ERR_MAX_BATCH_SIZE] = "batches of the work queue are too large",
	[IDXD_CMDSTS_ERR_MAX_XFER_SIZE] = "transfers of the work queue are too large",
	[IDXD_CMDSTS_ERR_DIS_DEV_EN] = "the device is not enabled",
	[IDXD_CMDSTS_ERR_DEV_NOT_EN] = "a work queue is not enabled",
	[IDXD_CMDSTS_ERR_INVAL_INT_IDX] = "no such interrupt",
	[IDXD_CMDSTS_ERR_NO_HANDLE] = "no interrupt handle is left",
};

/* Status of completion records, which SWERR has as well */
static const char *const status_words[] = {
	[DSA_COMP_NONE] = "it has not ended",
	[DSA_COMP_SUCCESS] = "success",
	[DSA_COMP_SUCCESS_PRED] = "success, but not the expected result",
	[DSA_COMP_PAGE_FAULT_NOBOF] = "page fault",
	[DSA_COMP_PAGE_FAULT_IR] = "page request refused",
	[DSA_COMP_BATCH_FAIL] = "a descriptor of the batch failed",
	[DSA_COMP_BATCH_PAGE_FAULT] = "page fault at the descriptors of the batch",
	[DSA_COMP_DR_OFFSET_NOINC] = "offsets of the delta record do not increase",
	[DSA_COMP_DR_OFFSET_ERANGE] = "an offset of the delta record is out of range",
	[DSA_COMP_DIF_ERR] = "data integrity field mismatch",
	[DSA_COMP_BAD_OPCODE] = "no such operation",
	[DSA_COMP_INVALID_FLAGS] = "wrong flags",
	[DSA_COMP_NOZERO_RESERVE] = "a reserved field is not 0",
	[DSA_COMP_XFER_ERANGE] = "transfer size out of range",
	[DSA_COMP_DESC_CNT_ERANGE] = "descriptor count out of range",
	[DSA_COMP_DR_ERANGE] = "delta record size out of range",
	[DSA_COMP_OVERLAP_BUFFERS] = "buffers overlap",
	[DSA_COMP_DCAST_ERR] = "the destinations differ in bits 11:0",
	[DSA_COMP_DESCLIST_ALIGN] = "the descriptors of the batch are not aligned",
	[DSA_COMP_INT_HANDLE_INVAL] = "wrong interrupt handle",
	[DSA_COMP_CRA_XLAT] = "page fault at the completion record",
	[DSA_COMP_CRA_ALIGN] = "the completion record is not aligned",
	[DSA_COMP_ADDR_ALIGN] = "an address is not aligned",
	[DSA_COMP_PRIV_BAD] = "wrong privilege",
	[DSA_COMP_TRAFFIC_CLASS_CONF] = "wrong traffic class",
	[DSA_COMP_PFAULT_RDBA] = "page fault at the readback address",
	[DSA_COMP_HW_ERR1] = "hardware error",
	[DSA_COMP_HW_ERR_DRB] = "hardware error at a readback",
	[DSA_COMP_TRANSLATION_FAIL] = "translation failed",
	[DSA_COMP_DRAIN_EVL] = "page fault at the completion record of a drain",
	[DSA_COMP_BATCH_EVL_ERR] = "page fault at completion records of a batch",
};

static const char *word(const char *const *words, u32 nr, u32 code)
{
	return code < nr && words[code] ? words[code] : "a code unknown to the driver";
}

void dsa_report_command(struct vfio_pci_device *device, u32 command, u32 error)
{
	fprintf(stderr, "%s: dsa: command %u failed: %s (%#x)\n", device->bdf, command,
		word(command_errors, ARRAY_SIZE(command_errors), error), error);
}

void dsa_report_record(struct vfio_pci_device *device, const struct dsa_completion_record *record)
{
	u32 code = DSA_COMP_STATUS(record->status);
	bool fault = code == DSA_COMP_PAGE_FAULT_NOBOF;

	fprintf(stderr, "%s: dsa: a descriptor failed: %s (%#x)", device->bdf,
		word(status_words, ARRAY_SIZE(status_words), code), code);
	if (fault)
		fprintf(stderr, ", %s %#llx after %u bytes",
			record->status & DSA_COMP_STATUS_WRITE ? "writing to" : "reading from",
			(unsigned long long)record->fault_addr, record->bytes_completed);
	if (code == DSA_COMP_INVALID_FLAGS)
		fprintf(stderr, ", those of %#x", record->invalid_flags);
	fprintf(stderr, "\n");
}

void dsa_report_swerr(struct vfio_pci_device *device)
{
	union sw_err_reg error;
	u32 code;

	for (u32 i = 0; i < ARRAY_SIZE(error.bits); i++)
		error.bits[i] = vfio_pci_bar_readq(device, IDXD_MMIO_BAR,
						   IDXD_SWERR_OFFSET + i * sizeof(u64));
	if (!error.valid)
		return;

	code = DSA_COMP_STATUS(error.error);
	fprintf(stderr, "%s: dsa: software error: %s (%#x)", device->bdf,
		word(status_words, ARRAY_SIZE(status_words), code), code);
	if (error.wq_idx_valid)
		fprintf(stderr, ", work queue %u", (u32)error.wq_idx);
	if (error.desc_valid)
		fprintf(stderr, ", operation %u", (u32)error.operation);
	if (error.batch)
		fprintf(stderr, ", descriptor %u of a batch", (u32)error.batch_idx);
	if (error.fault_addr)
		fprintf(stderr, ", address %#llx", (unsigned long long)error.fault_addr);
	fprintf(stderr, "%s\n", error.overflow ? ", and more after it" : "");

	vfio_pci_bar_writel(device, IDXD_MMIO_BAR, IDXD_SWERR_OFFSET, IDXD_SWERR_ACK);
}
