// SPDX-License-Identifier: GPL-2.0-only
/*
 * A Data Streaming Accelerator, the lab's model of one for instance, ends what is wrong with the
 * code that its specification has for that, and goes on.
 *
 * Drivers, Linux's and ours, submit what is right. A model that let anything else pass would let
 * their mistakes pass as well. This asks the device by its portals and registers, around our
 * driver: wrong descriptors, alone and in batches, wrong writes to a portal, a full queue, wrong
 * commands (docs/device-models.md).
 *
 * Needs the device `dsa` of the lab's own QEMU, or the hardware.
 */
#include <string.h>

#include <linux/idxd.h>
#include <linux/sizes.h>

#include <libvfio/deadline.h>
#include <libvfio/dma_region.h>
#include <libvfio/io.h>
#include <tests/harness.h>
#include <tests/irq_device.h>

#define END_MS 2000
#define SIZE SZ_4K

/* Registers that take part here, of BAR 0 */
#define GENSTS 0x90
#define CMD 0xa0
#define CMD_CODE(code) ((u32)(code) << 20)
#define CMDSTS 0xa8
#define CMDSTS_ACTIVE (1U << 31)
#define SWERR 0xc0
#define SWERR_VALID (1U << 0)
#define SWERR_ERROR(low) ((low) >> 8 & 0xff)

enum {
	ENABLE_DEVICE = 1,
	DISABLE_DEVICE,
	DRAIN_ALL,
	RESET_DEVICE = 5,
	ENABLE_WQ,
	DRAIN_WQ = 8,
	RESET_WQ = 10,
};

/* In the buffer: descriptors of a batch, records, where copies begin and end */
#define LIST 0
#define RECORD SZ_8K
#define RECORD_OF_BATCH (RECORD + 64)
#define SRC SZ_64K
#define DST SZ_1M

FIXTURE(dsa) {
	struct irq_device opened;
	struct vfio_pci_device *device;
	struct dma_region buffer;
};

FIXTURE_SETUP(dsa)
{
	SKIP_IF_MISSING(irq_device_open(&self->opened, test_iommu_mode()));
	self->device = self->opened.device;
	if (strcmp(self->device->driver.ops->name, "dsa"))
		SKIP(return, "the device is another one: ./run.sh --lab-device dsa");
	dma_region_setup(self->opened.iommu, self->opened.allocator, &self->buffer, SZ_2M);
	memset(self->buffer.vaddr + SRC, 0x5a, SZ_64K);
}

FIXTURE_TEARDOWN(dsa)
{
	if (self->buffer.vaddr)
		dma_region_teardown(self->opened.iommu, &self->buffer);
	irq_device_close(&self->opened);
}

/* Descriptors *******************************************************************************/

static struct dsa_completion_record *record_at(FIXTURE_DATA(dsa) *self, u64 offset)
{
	return self->buffer.vaddr + offset;
}

static struct dsa_hw_desc copy(FIXTURE_DATA(dsa) *self)
{
	return (struct dsa_hw_desc){
		.opcode = DSA_OPCODE_MEMMOVE,
		.flags = IDXD_OP_FLAG_CRAV | IDXD_OP_FLAG_RCR,
		.completion_addr = self->buffer.iova + RECORD,
		.src_addr = self->buffer.iova + SRC,
		.dst_addr = self->buffer.iova + DST,
		.xfer_size = SIZE,
	};
}

static struct dsa_hw_desc batch(FIXTURE_DATA(dsa) *self, u32 count)
{
	return (struct dsa_hw_desc){
		.opcode = DSA_OPCODE_BATCH,
		.flags = IDXD_OP_FLAG_CRAV | IDXD_OP_FLAG_RCR,
		.completion_addr = self->buffer.iova + RECORD_OF_BATCH,
		.desc_list_addr = self->buffer.iova + LIST,
		.desc_count = count,
	};
}

static void submit(FIXTURE_DATA(dsa) *self, const struct dsa_hw_desc *desc)
{
	void *portal = self->device->bars[2].vaddr;

	__asm__ __volatile__("sfence\n\tmovdir64b %[desc], %[portal]"
			     : : [desc] "m" (*desc), [portal] "r" (portal) : "memory");
}

static u8 status_of(const struct dsa_completion_record *record)
{
	return __atomic_load_n(&record->status, __ATOMIC_ACQUIRE);
}

/* Return: the status in the record, 0 if there is none in time. */
static u32 outcome_at(FIXTURE_DATA(dsa) *self, const struct dsa_hw_desc *desc, u64 offset)
{
	struct dsa_completion_record *record = record_at(self, offset);

	memset(record_at(self, RECORD), 0, 128);
	submit(self, desc);
	wait_for(status_of(record), END_MS);
	return status_of(record);
}

static u32 outcome(FIXTURE_DATA(dsa) *self, const struct dsa_hw_desc *desc)
{
	return outcome_at(self, desc, RECORD);
}

#define EXPECT_STATUS(_status, _change) do {						\
	struct dsa_hw_desc desc = copy(self);						\
											\
	_change;									\
	EXPECT_EQ(_status, outcome(self, &desc))					\
		TH_LOG("%s", #_change);							\
} while (0)

#define EXPECT_BATCH_STATUS(_status, _change) do {					\
	struct dsa_hw_desc desc = batch(self, 2);					\
											\
	_change;									\
	EXPECT_EQ(_status, outcome_at(self, &desc, RECORD_OF_BATCH))			\
		TH_LOG("%s", #_change);							\
} while (0)

TEST_F(dsa, each_wrong_descriptor_ends_with_its_code)
{
	EXPECT_STATUS(DSA_COMP_SUCCESS, (void)desc);
	EXPECT_STATUS(DSA_COMP_BAD_OPCODE, desc.opcode = 0x7f);
	EXPECT_STATUS(DSA_COMP_INVALID_FLAGS, desc.flags |= IDXD_OP_FLAG_FENCE);
	EXPECT_STATUS(DSA_COMP_INVALID_FLAGS, desc.flags |= IDXD_OP_FLAG_BOF);
	EXPECT_STATUS(DSA_COMP_INVALID_FLAGS, desc.flags |= 1U << 6);
	EXPECT_EQ(1U << 6, (u32)record_at(self, RECORD)->invalid_flags);
	EXPECT_STATUS(DSA_COMP_NOZERO_RESERVE, desc.rsvd = 1);
	EXPECT_STATUS(DSA_COMP_NOZERO_RESERVE, desc.rsvd1 = 1);
	EXPECT_STATUS(DSA_COMP_NOZERO_RESERVE, desc.op_specific[23] = 1);
	EXPECT_STATUS(DSA_COMP_XFER_ERANGE, desc.xfer_size = 0);
	EXPECT_STATUS(DSA_COMP_INT_HANDLE_INVAL, {
		desc.flags |= IDXD_OP_FLAG_RCI;
		desc.int_handle = 1000;
	});
	EXPECT_STATUS(DSA_COMP_SUCCESS, (void)desc);
}

TEST_F(dsa, each_wrong_batch_ends_with_its_code)
{
	struct dsa_hw_desc *list = self->buffer.vaddr + LIST;

	for (u32 i = 0; i < 3; i++)
		list[i] = copy(self);
	EXPECT_BATCH_STATUS(DSA_COMP_SUCCESS, (void)desc);
	EXPECT_EQ(2, record_at(self, RECORD_OF_BATCH)->descs_completed);
	EXPECT_BATCH_STATUS(DSA_COMP_DESC_CNT_ERANGE, desc.desc_count = 1);
	EXPECT_BATCH_STATUS(DSA_COMP_DESC_CNT_ERANGE, desc.desc_count = 1U << 20);
	EXPECT_BATCH_STATUS(DSA_COMP_DESCLIST_ALIGN, desc.desc_list_addr += 32);
	EXPECT_BATCH_STATUS(DSA_COMP_NOZERO_RESERVE, desc.dst_addr = 64);

	list[0] = batch(self, 2);
	EXPECT_BATCH_STATUS(DSA_COMP_BATCH_FAIL, (void)desc);
}

/* What follows a fence is not done if anything before it failed. */
TEST_F(dsa, a_fence_ends_a_batch_in_which_something_failed)
{
	struct dsa_hw_desc *list = self->buffer.vaddr + LIST;
	u8 *dst = self->buffer.vaddr + DST;

	for (u32 i = 0; i < 3; i++)
		list[i] = copy(self);
	list[0].xfer_size = 0;
	list[1].flags = IDXD_OP_FLAG_FENCE | IDXD_OP_FLAG_CRAV;
	memset(dst, 0, SIZE);

	EXPECT_BATCH_STATUS(DSA_COMP_BATCH_FAIL, desc.desc_count = 3);
	EXPECT_EQ(1, record_at(self, RECORD_OF_BATCH)->descs_completed);
	EXPECT_EQ(0, dst[0]);

	list[0] = copy(self);
	EXPECT_BATCH_STATUS(DSA_COMP_SUCCESS, desc.desc_count = 3);
	EXPECT_EQ(0x5a, dst[0]);
}

/* Copies that go beyond what is mapped, by their second page. */
TEST_F(dsa, a_page_fault_says_where_and_after_how_much)
{
	iova_t end = iova_allocator_alloc(self->opened.allocator, SZ_128K) + SZ_64K;
	struct dsa_completion_record *record = record_at(self, RECORD);
	struct dma_region half = self->buffer;

	half.iova = end - SZ_64K;
	half.size = SZ_64K;
	iommu_map(self->opened.iommu, &half);
	EXPECT_STATUS(DSA_COMP_PAGE_FAULT_NOBOF, {
		desc.src_addr = end - 100;
	});
	EXPECT_EQ(100, record->bytes_completed);
	EXPECT_EQ(end, record->fault_addr);
	EXPECT_STATUS(DSA_COMP_PAGE_FAULT_NOBOF | DSA_COMP_STATUS_WRITE, {
		desc.dst_addr = end - 100;
	});
	EXPECT_EQ(100, record->bytes_completed);
	EXPECT_EQ(end, record->fault_addr);
	iommu_unmap(self->opened.iommu, &half);
	EXPECT_STATUS(DSA_COMP_SUCCESS, (void)desc);
}

TEST_F(dsa, copies_to_and_from_what_overlaps_are_right_in_either_direction)
{
	u8 *bytes = self->buffer.vaddr + SRC, *wanted = self->buffer.vaddr + DST;

	for (int up = 0; up <= 1; up++) {
		u64 src = up ? 0 : 777, dst = up ? 777 : 0;

		for (u32 i = 0; i < SZ_32K; i++)
			bytes[i] = i * 13 + (i >> 8);
		memmove(wanted, bytes, SZ_32K);
		memmove(wanted + dst, wanted + src, SZ_16K);
		EXPECT_STATUS(DSA_COMP_SUCCESS, {
			desc.src_addr += src;
			desc.dst_addr = self->buffer.iova + SRC + dst;
			desc.xfer_size = SZ_16K;
		});
		EXPECT_EQ(0, memcmp(wanted, bytes, SZ_32K));
		EXPECT_EQ(up, record_at(self, RECORD)->result);
	}
}

/* What no completion record tells of ********************************************************/

static u32 get(FIXTURE_DATA(dsa) *self, u64 reg)
{
	return vfio_pci_bar_readl(self->device, 0, reg);
}

static void set(FIXTURE_DATA(dsa) *self, u64 reg, u32 value)
{
	vfio_pci_bar_writel(self->device, 0, reg, value);
}

/* Return: the code in SWERR, which is clear then; 0 if there is none. */
static u32 software_error(FIXTURE_DATA(dsa) *self)
{
	u32 low;

	wait_for(get(self, SWERR) & SWERR_VALID, END_MS);
	low = get(self, SWERR);
	set(self, SWERR, low);
	return low & SWERR_VALID ? SWERR_ERROR(low) : 0;
}

TEST_F(dsa, an_error_without_a_place_for_its_record_is_a_software_error)
{
	struct dsa_hw_desc desc = copy(self);

	desc.completion_addr += 8;
	submit(self, &desc);
	EXPECT_EQ(DSA_COMP_CRA_ALIGN, software_error(self));

	desc = copy(self);
	desc.flags = 0;
	desc.completion_addr = 0;
	desc.xfer_size = 0;
	submit(self, &desc);
	EXPECT_EQ(DSA_COMP_XFER_ERANGE, software_error(self));

	desc = copy(self);
	desc.completion_addr = iova_allocator_alloc(self->opened.allocator, SZ_64K);
	submit(self, &desc);
	EXPECT_EQ(DSA_COMP_CRA_XLAT, software_error(self));
	EXPECT_STATUS(DSA_COMP_SUCCESS, (void)desc);
}

TEST_F(dsa, a_write_of_less_than_64_bytes_to_a_portal_starts_nothing)
{
	struct dsa_hw_desc desc = copy(self);
	void *portal = self->device->bars[2].vaddr;
	u64 words[8];

	memcpy(words, &desc, sizeof(words));
	memset(record_at(self, RECORD), 0, 128);
	writel(words[0], portal);
	EXPECT_NE(0, software_error(self));
	writeq(words[0], portal);
	EXPECT_NE(0, software_error(self));
	for (u32 i = 0; i < 7; i++)
		writeq(words[i], portal + i * 8);
	EXPECT_NE(0, software_error(self));
	EXPECT_EQ(0, status_of(record_at(self, RECORD)));
	EXPECT_STATUS(DSA_COMP_SUCCESS, (void)desc);
}

TEST_F(dsa, what_a_full_queue_drops_is_a_software_error)
{
	struct dsa_hw_desc desc = copy(self);

	desc.flags = 0;
	desc.completion_addr = 0;
	desc.dst_addr = self->buffer.iova + DST;
	desc.xfer_size = SZ_512K;
	/* No queue of any device is so long. */
	for (u32 i = 0; i < 1000; i++)
		submit(self, &desc);
	EXPECT_NE(0, software_error(self));
}

/* Commands **********************************************************************************/

static u32 command(FIXTURE_DATA(dsa) *self, u32 value)
{
	set(self, CMD, value);
	wait_for(!(get(self, CMDSTS) & CMDSTS_ACTIVE), END_MS);
	return get(self, CMDSTS);
}

static u64 table(FIXTURE_DATA(dsa) *self, u32 shift)
{
	return (vfio_pci_bar_readq(self->device, 0, 0x60) >> shift & 0xffff) * 0x100;
}

TEST_F(dsa, each_wrong_command_ends_with_its_code)
{
	EXPECT_EQ(0x01, command(self, CMD_CODE(31)));
	EXPECT_EQ(0x02, command(self, CMD_CODE(ENABLE_WQ) | 200));
	EXPECT_EQ(0x04, command(self, CMD_CODE(DRAIN_ALL) | 1U << 26));
	EXPECT_EQ(0x10, command(self, CMD_CODE(ENABLE_DEVICE)));
	EXPECT_EQ(0x21, command(self, CMD_CODE(ENABLE_WQ)));
	EXPECT_EQ(0, command(self, CMD_CODE(DRAIN_ALL)));
	EXPECT_EQ(0, command(self, CMD_CODE(RESET_WQ) | 1));
	EXPECT_EQ(0x32, command(self, CMD_CODE(DRAIN_WQ) | 1));
	EXPECT_EQ(0x23, command(self, CMD_CODE(ENABLE_WQ)));
	EXPECT_EQ(0, command(self, CMD_CODE(DISABLE_DEVICE)));
	EXPECT_EQ(0x31, command(self, CMD_CODE(DISABLE_DEVICE)));
	EXPECT_EQ(0x20, command(self, CMD_CODE(ENABLE_WQ)));
	vfio_pci_cmd_clear(self->device, PCI_COMMAND_MASTER);
	EXPECT_EQ(0x12, command(self, CMD_CODE(ENABLE_DEVICE)));
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MASTER);
	EXPECT_EQ(0, command(self, CMD_CODE(ENABLE_DEVICE)));
}

TEST_F(dsa, each_wrong_configuration_has_its_code)
{
	u64 grpcfg = table(self, 0), wqcfg = table(self, 16);

	ASSERT_EQ(0, command(self, CMD_CODE(RESET_DEVICE)));
	set(self, grpcfg, 1);
	EXPECT_EQ(0x15, command(self, CMD_CODE(ENABLE_DEVICE)));
	set(self, grpcfg + 32, 1);
	EXPECT_EQ(0x16, command(self, CMD_CODE(ENABLE_DEVICE)));
	set(self, wqcfg, 0xffff);
	EXPECT_EQ(0x14, command(self, CMD_CODE(ENABLE_DEVICE)));
	set(self, wqcfg, 4);
	set(self, grpcfg + 64, 1);
	set(self, grpcfg + 64 + 32, 2);
	EXPECT_EQ(0x16, command(self, CMD_CODE(ENABLE_DEVICE)));
	set(self, grpcfg + 64, 0);
	set(self, grpcfg + 64 + 32, 0);
	set(self, grpcfg + 40, 1);
	EXPECT_EQ(0x18, command(self, CMD_CODE(ENABLE_DEVICE)));
	set(self, grpcfg + 40, 8 << 20);
	EXPECT_EQ(0, command(self, CMD_CODE(ENABLE_DEVICE)));

	EXPECT_EQ(0x23, command(self, CMD_CODE(ENABLE_WQ)));
	set(self, wqcfg + 8, 1 << 4);
	EXPECT_EQ(0x24, command(self, CMD_CODE(ENABLE_WQ)));
	set(self, wqcfg + 8, 1 << 4 | 1 << 1 | 1);
	EXPECT_EQ(0x25, command(self, CMD_CODE(ENABLE_WQ)));
	set(self, wqcfg + 8, 1 << 4 | 1);
	set(self, wqcfg + 12, 15 << 5);
	EXPECT_EQ(0x27, command(self, CMD_CODE(ENABLE_WQ)));
	set(self, wqcfg + 12, 0);
	EXPECT_EQ(0, command(self, CMD_CODE(ENABLE_WQ)));
	EXPECT_EQ(0x22, command(self, CMD_CODE(ENABLE_WQ) | 1));
}

TEST_F(dsa, after_a_reset_it_is_disabled_and_takes_nothing)
{
	struct dsa_hw_desc desc = copy(self);

	vfio_pci_device_reset(self->device);
	EXPECT_EQ(0, get(self, GENSTS));
	memset(record_at(self, RECORD), 0, 128);
	submit(self, &desc);
	EXPECT_NE(0, software_error(self));
	EXPECT_EQ(0, status_of(record_at(self, RECORD)));
}

TEST_PROGRAM(NEEDS_DEVICE, "a Data Streaming Accelerator ends what is wrong with its code")
