// SPDX-License-Identifier: GPL-2.0-only
/*
 * dsa, the Intel Data Streaming Accelerator. A dedicated work queue per vector, and an interrupt by
 * an operation without effect, a No-op, on the work queue of that vector.
 *
 * Descriptors are written to the portal of a work queue by MOVDIR64B, 64 bytes at once, which takes
 * a CPU that has it and a BAR that can be mapped. No 32-bit write starts anything, so a copy cannot
 * be prepared for others to start. Shared work queues, for which there is ENQCMD, are not used.
 *
 * A copy that is done many times over is one batch, a descriptor of descriptors in memory, or
 * several that share those. Vector 0 is that of the device's own events, which all are left
 * disabled: commands are polled, and errors are asked for where something failed.
 */
#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>

#include <libvfio/deadline.h>

#include "dsa.h"

#define COMMAND_TIMEOUT_MS 2000
#define NOOP_TIMEOUT_MS 2000
/* On top of the time that the bytes take, of which the device moves so many at the least. */
#define COPY_TIMEOUT_MS 2000
#define BYTES_PER_MS 100000

#define FIRST_VECTOR 1U

static u32 dsa_readl(struct vfio_pci_device *device, u64 reg)
{
	return vfio_pci_bar_readl(device, IDXD_MMIO_BAR, reg);
}

static u64 dsa_readq(struct vfio_pci_device *device, u64 reg)
{
	return vfio_pci_bar_readq(device, IDXD_MMIO_BAR, reg);
}

static bool cpu_has_movdir64b(void)
{
	u32 eax, ebx, ecx, edx;

	return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && ecx & CPUID_MOVDIR64B;
}

static int dsa_probe(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;

	if (!vfio_pci_device_match(device, DSA_VENDOR_ID, DSA_DEVICE_ID_SPR) &&
	    !vfio_pci_device_match(device, DSA_VENDOR_ID, DSA_DEVICE_ID_GNRD) &&
	    !vfio_pci_device_match(device, DSA_VENDOR_ID, DSA_DEVICE_ID_DMR))
		return -ENODEV;

	driver->dma_mask = UINT64_MAX;
	if (!cpu_has_movdir64b()) {
		driver->missing = "this CPU has no MOVDIR64B, by which the device takes its work";
		return 0;
	}
	if (device->irq_info[VFIO_PCI_MSIX_IRQ_INDEX].count > FIRST_VECTOR) {
		driver->irq_indexes = 1U << VFIO_PCI_MSIX_IRQ_INDEX;
		driver->irq_index = VFIO_PCI_MSIX_IRQ_INDEX;
	}
	return 0;
}

/* Commands **********************************************************************************/

static bool command_is_over(struct vfio_pci_device *device)
{
	return !(dsa_readl(device, IDXD_CMDSTS_OFFSET) & IDXD_CMDSTS_ACTIVE);
}

/* @result: receives what the command returns, may be NULL */
static int dsa_command(struct vfio_pci_device *device, u32 code, u32 operand, u32 *result)
{
	union idxd_command_reg command = { .bits = 0 };
	u32 status;

	if (!wait_for(command_is_over(device), COMMAND_TIMEOUT_MS))
		return -ETIMEDOUT;

	command.cmd = code;
	command.operand = operand;
	vfio_pci_bar_writel(device, IDXD_MMIO_BAR, IDXD_CMD_OFFSET, command.bits);
	if (!wait_for(command_is_over(device), COMMAND_TIMEOUT_MS))
		return -ETIMEDOUT;

	status = dsa_readl(device, IDXD_CMDSTS_OFFSET);
	if (status & IDXD_CMDSTS_ERR_MASK) {
		dsa_report_command(device, code, status & IDXD_CMDSTS_ERR_MASK);
		return -EIO;
	}
	if (result)
		*result = status >> IDXD_CMDSTS_RES_SHIFT & 0xffff;
	return 0;
}

static u32 device_state(struct vfio_pci_device *device)
{
	union gensts_reg status = { .bits = dsa_readl(device, IDXD_GENSTATS_OFFSET) };

	return status.state;
}

/*
 * All stops, and all that was configured is forgotten. A halted device takes no command, one that
 * hangs ends none.
 */
static int dsa_stop(struct vfio_pci_device *device)
{
	int ret = -ETIMEDOUT;

	if (device_state(device) != IDXD_DEVICE_STATE_HALT)
		ret = dsa_command(device, IDXD_CMD_RESET_DEVICE, 0, NULL);
	return ret == -ETIMEDOUT ? __vfio_pci_device_reset(device) : ret;
}

/* Configuration *****************************************************************************/

static int read_capabilities(struct vfio_pci_device *device)
{
	union gen_cap_reg general = { .bits = dsa_readq(device, IDXD_GENCAP_OFFSET) };
	union wq_cap_reg wqs = { .bits = dsa_readq(device, IDXD_WQCAP_OFFSET) };
	u64 needed = 1U << DSA_OPCODE_NOOP | 1U << DSA_OPCODE_BATCH | 1U << DSA_OPCODE_MEMMOVE;
	u32 vectors = device->irq_info[VFIO_PCI_MSIX_IRQ_INDEX].count;
	struct dsa *dsa = to_dsa(device);

	if (general.bits == UINT64_MAX)
		return -ENODEV;
	if ((dsa_readq(device, IDXD_OPCAP_OFFSET) & needed) != needed ||
	    !wqs.dedicated_mode || !wqs.num_wqs || !general.config_en)
		return -EOPNOTSUPP;

	dsa->nr_wqs = min_t(u32, wqs.num_wqs, min(vectors - FIRST_VECTOR, DSA_MAX_WQS));
	dsa->wq_size = wqs.total_wq_size / dsa->nr_wqs;
	dsa->max_batch = min(1U << general.max_batch_shift, DSA_MAX_BATCH);
	return dsa->wq_size ? 0 : -EOPNOTSUPP;
}

static union offsets_reg table_offsets(struct vfio_pci_device *device)
{
	union offsets_reg offsets;

	offsets.bits[0] = dsa_readq(device, IDXD_TABLE_OFFSET);
	offsets.bits[1] = dsa_readq(device, IDXD_TABLE_OFFSET + sizeof(u64));
	return offsets;
}

/*
 * The device must not translate by itself: what it may not reach would end there, and the IOMMU
 * would never hear of it.
 */
static void configure_wq(struct vfio_pci_device *device, u32 wq)
{
	union gen_cap_reg general = { .bits = dsa_readq(device, IDXD_GENCAP_OFFSET) };
	union wq_cap_reg capability = { .bits = dsa_readq(device, IDXD_WQCAP_OFFSET) };
	u64 size = 1ULL << (capability.wqcfg_size + IDXD_WQCFG_MIN);
	u64 at = table_offsets(device).wqcfg * IDXD_TABLE_MULT + wq * size;
	union wqcfg config;

	memset(&config, 0, sizeof(config));
	config.wq_size = to_dsa(device)->wq_size;
	config.mode = 1;
	config.priority = 1;
	config.wq_ats_disable = capability.wq_ats_support;
	config.max_xfer_shift = general.max_xfer_shift;
	config.max_batch_shift = general.max_batch_shift;
	for (u32 i = 0; capability.op_config && i < ARRAY_SIZE(config.op_config); i++)
		config.op_config[i] = dsa_readq(device, IDXD_OPCAP_OFFSET + i * sizeof(u64));

	for (u64 i = 0; i < min_t(u64, size, sizeof(config)) / sizeof(u32); i++)
		vfio_pci_bar_writel(device, IDXD_MMIO_BAR, at + i * sizeof(u32), config.bits[i]);
}

/* As many groups as there can be, each with an engine of its own, share the work queues. */
static void configure_groups(struct vfio_pci_device *device)
{
	union group_cap_reg capability = { .bits = dsa_readq(device, IDXD_GRPCAP_OFFSET) };
	union engine_cap_reg engines = { .bits = dsa_readq(device, IDXD_ENGCAP_OFFSET) };
	u32 nr_wqs = to_dsa(device)->nr_wqs;
	u32 groups = min_t(u32, nr_wqs, min_t(u32, capability.num_groups, engines.num_engines));
	u64 at = table_offsets(device).grpcfg * IDXD_TABLE_MULT;

	for (u32 group = 0; group < groups; group++, at += GRPCFG_SIZE) {
		u64 wqs = 0;

		for (u32 wq = group; wq < nr_wqs; wq += groups)
			wqs |= 1ULL << wq;
		vfio_pci_bar_writeq(device, IDXD_MMIO_BAR, at, wqs);
		vfio_pci_bar_writeq(device, IDXD_MMIO_BAR, at + offsetof(struct grpcfg, engines),
				    1ULL << group);
	}
}

/* A handle is the number of a vector, unless the device insists on giving it out. */
static int request_handles(struct vfio_pci_device *device)
{
	union gen_cap_reg general = { .bits = dsa_readq(device, IDXD_GENCAP_OFFSET) };
	u32 commands = general.cmd_cap ? dsa_readl(device, IDXD_CMDCAP_OFFSET) : 0;
	struct dsa *dsa = to_dsa(device);
	int ret = 0;

	for (u32 i = 0; i < dsa->nr_wqs && !ret; i++) {
		u32 handle = FIRST_VECTOR + i;

		if (commands & 1U << IDXD_CMD_REQUEST_INT_HANDLE)
			ret = dsa_command(device, IDXD_CMD_REQUEST_INT_HANDLE, handle, &handle);
		dsa->handles[i] = handle;
	}
	return ret;
}

/* From a device that has been stopped to one that takes descriptors. */
static int dsa_start(struct vfio_pci_device *device)
{
	struct dsa *dsa = to_dsa(device);
	int ret;

	for (u32 i = 0; i < dsa->nr_wqs; i++)
		configure_wq(device, i);
	configure_groups(device);

	vfio_pci_cmd_set(device, PCI_COMMAND_MASTER);
	ret = dsa_command(device, IDXD_CMD_ENABLE_DEVICE, 0, NULL);
	for (u32 i = 0; i < dsa->nr_wqs && !ret; i++)
		ret = dsa_command(device, IDXD_CMD_ENABLE_WQ, i, NULL);
	return ret ? ret : request_handles(device);
}

/* The machine may have fewer vectors left than the device has. */
static int interrupts_enable(struct vfio_pci_device *device)
{
	struct dsa *dsa = to_dsa(device);
	int ret;

	for (;;) {
		ret = __vfio_pci_irq_enable(device, VFIO_PCI_MSIX_IRQ_INDEX, FIRST_VECTOR,
					    dsa->nr_wqs);
		if (ret != -ENOSPC || dsa->nr_wqs == 1)
			break;
		dsa->nr_wqs /= 2;
	}
	dsa->irqs_enabled = !ret;
	return ret;
}

/* Init and remove ***************************************************************************/

static int bring_up(struct vfio_pci_device *device)
{
	int ret;

	if (!device->bars[IDXD_WQ_BAR].vaddr ||
	    device->driver.region.size < sizeof(struct dsa_memory))
		return -EOPNOTSUPP;

	ret = read_capabilities(device);
	if (!ret)
		ret = dsa_stop(device);
	if (!ret)
		ret = interrupts_enable(device);
	return ret ? ret : dsa_start(device);
}

static void dsa_remove(struct vfio_pci_device *device)
{
	struct dsa *dsa = to_dsa(device);

	dsa_stop(device);
	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	if (dsa->irqs_enabled)
		vfio_pci_irq_disable(device, VFIO_PCI_MSIX_IRQ_INDEX);

	free(dsa);
	device->driver.priv = NULL;
}

static int dsa_init(struct vfio_pci_device *device)
{
	union gen_cap_reg general = { .bits = dsa_readq(device, IDXD_GENCAP_OFFSET) };
	struct vfio_pci_driver *driver = &device->driver;
	struct dsa *dsa;
	int ret;

	dsa = calloc(1, sizeof(*dsa));
	VFIO_ASSERT_NOT_NULL(dsa);
	driver->priv = dsa;
	ret = bring_up(device);
	if (ret) {
		dsa_remove(device);
		return ret;
	}

	driver->max_memcpy_size = 1ULL << general.max_xfer_shift;
	driver->max_memcpy_count = dsa->max_batch < 2 * DSA_MIN_BATCH ? 1 :
				   (u64)min(dsa->wq_size, DSA_MAX_BATCHES) * dsa->max_batch;
	driver->memcpy_align = 1;
	driver->no_memcpy = NULL;
	driver->msi = FIRST_VECTOR;
	driver->nr_msi = dsa->nr_wqs;
	driver->constant = (struct vfio_pci_registers){
		IDXD_MMIO_BAR, IDXD_GENCAP_OFFSET, sizeof(u64),
	};
	return 0;
}

/* After a failure. Where the device cannot be brought up again it is at least cut off. */
static void dsa_restart(struct vfio_pci_device *device)
{
	int ret = dsa_stop(device);

	if (!ret)
		ret = dsa_start(device);
	if (ret) {
		vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
		to_dsa(device)->broken = true;
	}
}

/* Descriptors *******************************************************************************/

/* What the descriptor refers to has to be in memory first, which MOVDIR64B does not wait for. */
static void dsa_submit(struct vfio_pci_device *device, u32 wq, const struct dsa_hw_desc *desc)
{
	void *portal = device->bars[IDXD_WQ_BAR].vaddr + DSA_PORTAL(wq);

	__asm__ __volatile__("sfence\n\tmovdir64b %[desc], %[portal]"
			     : : [desc] "m" (*desc), [portal] "r" (portal) : "memory");
}

static u8 record_status(const struct dsa_completion_record *record)
{
	return __atomic_load_n(&record->status, __ATOMIC_ACQUIRE);
}

/* A device that was reset meanwhile is disabled and writes no record. */
static bool has_ended(struct vfio_pci_device *device, const struct dsa_completion_record *record)
{
	return record_status(record) || device_state(device) != IDXD_DEVICE_STATE_ENABLED;
}

/* Return: 0, -EIO after an error, which is reported, or -ETIMEDOUT. */
static int record_wait(struct vfio_pci_device *device,
		       const struct dsa_completion_record *record, u64 ms)
{
	if (!wait_for(has_ended(device, record), ms))
		return -ETIMEDOUT;
	if (record_status(record) == DSA_COMP_SUCCESS)
		return 0;

	if (record_status(record))
		dsa_report_record(device, record);
	return -EIO;
}

static struct dsa_hw_desc copy_descriptor(iova_t src, iova_t dst, u64 size, iova_t record)
{
	return (struct dsa_hw_desc){
		.flags = IDXD_OP_FLAG_CRAV,
		.opcode = DSA_OPCODE_MEMMOVE,
		.completion_addr = record,
		.src_addr = src,
		.dst_addr = dst,
		.xfer_size = size,
	};
}

/* @batches: so many, as equal as can be, for none may be of a single descriptor. */
static void submit_batches(struct vfio_pci_device *device, u64 count, u32 batches)
{
	struct dsa_memory *memory = to_dsa_memory(device);
	u64 done = 0;

	for (u32 i = 0; i < batches; i++) {
		u64 upto = count * (i + 1) / batches;
		struct dsa_hw_desc desc = {
			.flags = IDXD_OP_FLAG_CRAV | IDXD_OP_FLAG_RCR,
			.opcode = DSA_OPCODE_BATCH,
			.completion_addr = to_iova(device, &memory->ends[i]),
			.desc_list_addr = to_iova(device, memory->list),
			.desc_count = upto - done,
		};

		dsa_submit(device, 0, &desc);
		done = upto;
	}
}

static int dsa_memcpy_start(struct vfio_pci_device *device,
			    iova_t src, iova_t dst, u64 size, u64 count)
{
	struct dsa_memory *memory = to_dsa_memory(device);
	struct dsa *dsa = to_dsa(device);
	struct dsa_hw_desc desc;

	if (dsa->broken)
		return -EIO;

	memset(memory->ends, 0, sizeof(memory->ends));
	memset(&memory->failed, 0, sizeof(memory->failed));
	dsa->submitted = (count + dsa->max_batch - 1) / dsa->max_batch;
	dsa->bytes = size * count;
	if (count == 1) {
		desc = copy_descriptor(src, dst, size, to_iova(device, &memory->ends[0]));
		desc.flags |= IDXD_OP_FLAG_RCR;
		dsa_submit(device, 0, &desc);
		return 0;
	}

	desc = copy_descriptor(src, dst, size, to_iova(device, &memory->failed));
	for (u64 i = 0; i < min_t(u64, count, dsa->max_batch); i++)
		memory->list[i] = desc;
	submit_batches(device, count, dsa->submitted);
	return 0;
}

static int dsa_memcpy_wait(struct vfio_pci_device *device)
{
	struct dsa_memory *memory = to_dsa_memory(device);
	struct dsa *dsa = to_dsa(device);
	int ret = 0;

	for (u32 i = 0; i < dsa->submitted && ret != -ETIMEDOUT; i++)
		ret = record_wait(device, &memory->ends[i],
				  COPY_TIMEOUT_MS + dsa->bytes / BYTES_PER_MS) ?: ret;
	if (!ret)
		return 0;

	if (record_status(&memory->failed))
		dsa_report_record(device, &memory->failed);
	dsa_report_swerr(device);
	dsa_restart(device);
	return ret;
}

/* The interrupt follows the completion record. */
static int dsa_send_msi(struct vfio_pci_device *device, u32 vector)
{
	u32 wq = vector - FIRST_VECTOR;
	struct dsa *dsa = to_dsa(device);
	struct dsa_completion_record *record = &to_dsa_memory(device)->interrupts[wq];
	struct dsa_hw_desc desc = {
		.flags = IDXD_OP_FLAG_CRAV | IDXD_OP_FLAG_RCR | IDXD_OP_FLAG_RCI,
		.opcode = DSA_OPCODE_NOOP,
		.completion_addr = to_iova(device, record),
		.int_handle = dsa->handles[wq],
	};
	int ret;

	if (dsa->broken)
		return -EIO;

	memset(record, 0, sizeof(*record));
	dsa_submit(device, wq, &desc);
	ret = record_wait(device, record, NOOP_TIMEOUT_MS);
	if (ret) {
		dsa_report_swerr(device);
		dsa_restart(device);
	}
	return ret;
}

static const struct vfio_pci_driver_ops dsa_ops = {
	.name = "dsa",
	.probe = dsa_probe,
	.init = dsa_init,
	.remove = dsa_remove,
	.memcpy_start = dsa_memcpy_start,
	.memcpy_wait = dsa_memcpy_wait,
	.send_msi = dsa_send_msi,
};

VFIO_PCI_DRIVER(dsa_ops);
