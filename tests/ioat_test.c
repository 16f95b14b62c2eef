// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lab's model of Intel's DMA engine in Xeon processors is strict, and does chains of
 * descriptors that no driver of ours makes.
 *
 * A driver's mistake that a model lets pass would be found on hardware only. So this one makes
 * them, around our driver and without its header, and looks for the bit of CHANERR that the
 * datasheet has for each (docs/device-models.md). It also has the count of descriptors go round, an
 * interrupt that has to wait until the channel is rearmed, and a channel that is suspended.
 *
 * Needs the lab's own QEMU, and its device ioat.
 */
#include <string.h>

#include <linux/bits.h>
#include <linux/kernel.h>
#include <linux/sizes.h>

#include <libvfio/deadline.h>
#include <libvfio/dma_region.h>
#include <tests/harness.h>
#include <tests/irq_device.h>

#define BAR 0
#define CHANERR_INT 0x180	/* in config space */

/* The first channel, the only one there is by default */
#define CHANCTRL 0x80
#define INT_DISABLE BIT(0)
#define CHANCMD 0x84
#define SUSPEND 0x04
#define RESET 0x20
#define DMACOUNT 0x86
#define CHANSTS 0x88
#define CHAINADDR 0x90
#define CHANCMP 0x98
#define CHANERR 0xa8

#define ACTIVE 0U
#define IDLE 1U
#define SUSPENDED 2U
#define HALTED 3U

#define SRC_ADDR BIT(0)
#define DST_ADDR BIT(1)
#define NEXT_ADDR BIT(2)
#define DESCRIPTOR BIT(3)
#define CHAIN_ADDR BIT(4)
#define COMMAND BIT(5)
#define READ_DATA BIT(8)
#define WRITE_DATA BIT(9)
#define CONTROL BIT(10)
#define LENGTH BIT(11)
#define COMPLETION_ADDR BIT(12)

/* Of a descriptor's second word */
#define INTERRUPT BIT(0)
#define COMPLETION BIT(3)
#define NONE BIT(5)

#define DESCRIPTOR_SIZE 64
#define RING_LENGTH 4U
#define PART 64
#define OVER_MS 5000
/* The model begins within a microsecond, if it does. */
#define IDLE_MS 20

/* Where what is in the buffer. */
#define RING 0
#define WRITTEN SZ_2K
#define SRC SZ_4K
#define DST SZ_8K

FIXTURE(ioat) {
	struct irq_device opened;
	struct vfio_pci_device *device;
	struct dma_region buffer;
};

static u32 get(struct vfio_pci_device *device, u32 reg, size_t size)
{
	u32 value = 0;

	vfio_pci_bar_access(device, BAR, false, reg, size, &value);
	return value;
}

static void set(struct vfio_pci_device *device, u32 reg, size_t size, u64 value)
{
	vfio_pci_bar_access(device, BAR, true, reg, size, &value);
}

static void set_address(struct vfio_pci_device *device, u32 reg, iova_t address)
{
	set(device, reg, 4, (u32)address);
	set(device, reg + 4, 4, address >> 32);
}

static u32 status(struct vfio_pci_device *device)
{
	return get(device, CHANSTS, 4) & 0x7;
}

static iova_t ring_at(FIXTURE_DATA(ioat) *self, u32 index)
{
	return self->buffer.iova + RING + index * DESCRIPTOR_SIZE;
}

/* Descriptor @index, one of a ring, copies the @index-th part of the source. */
static u32 *descriptor(FIXTURE_DATA(ioat) *self, u32 index, u32 flags)
{
	u32 *words = self->buffer.vaddr + RING + index * DESCRIPTOR_SIZE;
	const iova_t addresses[] = {
		self->buffer.iova + SRC + index * PART,
		self->buffer.iova + DST + index * PART,
		ring_at(self, (index + 1) % RING_LENGTH),
	};

	memset(words, 0, DESCRIPTOR_SIZE);
	words[0] = PART;
	words[1] = flags;
	memcpy(words + 2, addresses, sizeof(addresses));
	return words;
}

/* A channel that was reset, with fresh contents in the buffer, and a chain. */
static void rewind_channel(FIXTURE_DATA(ioat) *self)
{
	struct vfio_pci_device *device = self->device;

	set(device, CHANERR, 4, UINT32_MAX);
	vfio_pci_config_writel(device, CHANERR_INT, UINT32_MAX);
	set(device, CHANCMD, 1, RESET);
	VFIO_ASSERT_TRUE(wait_for(!(get(device, CHANCMD, 1) & RESET), OVER_MS));
	memset(self->buffer.vaddr, 0, self->buffer.size);
	memset(self->buffer.vaddr + SRC, 0x5a, RING_LENGTH * PART);
	for (u32 i = 0; i < RING_LENGTH; i++)
		descriptor(self, i, COMPLETION);
	set_address(device, CHANCMP, self->buffer.iova + WRITTEN);
	set_address(device, CHAINADDR, ring_at(self, 0));
}

FIXTURE_SETUP(ioat)
{
	SKIP_IF_MISSING(irq_device_open(&self->opened, test_iommu_mode()));
	self->device = self->opened.device;
	if (strcmp(self->device->driver.ops->name, "ioat"))
		SKIP(return, "the device is another one: ./run.sh --lab-device ioat");
	dma_region_setup(self->opened.iommu, self->opened.allocator, &self->buffer, SZ_16K);
	rewind_channel(self);
}

FIXTURE_TEARDOWN(ioat)
{
	if (self->buffer.vaddr)
		dma_region_teardown(self->opened.iommu, &self->buffer);
	irq_device_close(&self->opened);
}

static u32 parts_copied(FIXTURE_DATA(ioat) *self)
{
	const u8 *dst = self->buffer.vaddr + DST;
	u32 parts = 0;

	for (u32 i = 0; i < RING_LENGTH; i++)
		parts += !memcmp(dst + i * PART, self->buffer.vaddr + SRC, PART);
	return parts;
}

/* Runs up to @count. Return: the state in which the channel is no longer active. */
static u32 run(FIXTURE_DATA(ioat) *self, u32 count)
{
	set(self->device, DMACOUNT, 2, count);
	VFIO_ASSERT_TRUE(wait_for(status(self->device) != ACTIVE, OVER_MS));
	return status(self->device);
}

/* Return: the error that halted the channel; more than any if it did not, or copied @parts not. */
static u32 error_of(FIXTURE_DATA(ioat) *self, u32 parts)
{
	u32 error = get(self->device, CHANERR, 4);

	if (status(self->device) != HALTED || parts_copied(self) != parts ||
	    vfio_pci_config_readl(self->device, CHANERR_INT) != error)
		return BIT(31) | error;
	return error;
}

TEST_F(ioat, a_wrong_descriptor_halts_the_channel_with_its_error)
{
	static const struct {
		u32 word;
		u32 bits;
		u32 error;
	} wrong[] = {
		{ 0, PART, LENGTH },		/* none at all */
		{ 0, SZ_1M, LENGTH },		/* more than XFERCAP */
		{ 0, BIT(31), LENGTH },
		{ 1, BIT(6), CONTROL },		/* page breaks, which DMACAP has not */
		{ 1, BIT(7), CONTROL },
		{ 1, BIT(8), CONTROL },		/* a bundle */
		{ 1, BIT(9), CONTROL },		/* DCA */
		{ 1, BIT(11), CONTROL },
		{ 1, BIT(23), CONTROL },
		{ 1, 0x01U << 24, CONTROL },	/* a fill */
		{ 1, 0x87U << 24, CONTROL },	/* XOR */
		{ 3, BIT(20), SRC_ADDR },
		{ 3, BIT(31), SRC_ADDR },
		{ 5, BIT(20), DST_ADDR },
		{ 5, BIT(31), DST_ADDR },
	};

	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		rewind_channel(self);
		descriptor(self, 0, 0)[wrong[i].word] ^= wrong[i].bits;
		run(self, 1);
		EXPECT_EQ(wrong[i].error, error_of(self, 0))
			TH_LOG("word %u, bits %#x", wrong[i].word, wrong[i].bits);
	}
}

TEST_F(ioat, a_wrong_way_on_halts_it_behind_what_is_done)
{
	static const struct {
		u32 word;
		u32 bits;
	} wrong[] = { { 6, BIT(0) }, { 6, BIT(5) }, { 7, BIT(20) } };

	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		rewind_channel(self);
		descriptor(self, 0, 0)[wrong[i].word] ^= wrong[i].bits;
		run(self, 2);
		EXPECT_EQ(NEXT_ADDR, error_of(self, 1)) TH_LOG("word %u", wrong[i].word);
		EXPECT_EQ((u32)ring_at(self, 0), get(self->device, CHANSTS, 4) & ~0x3fU);
	}
}

TEST_F(ioat, dma_that_the_iommu_refuses_has_its_error)
{
	iova_t unmapped = iova_allocator_alloc(self->opened.allocator, SZ_16K);

	memcpy(descriptor(self, 0, 0) + 2, &unmapped, sizeof(unmapped));
	run(self, 1);
	EXPECT_EQ(READ_DATA, error_of(self, 0));

	rewind_channel(self);
	memcpy(descriptor(self, 0, 0) + 4, &unmapped, sizeof(unmapped));
	run(self, 1);
	EXPECT_EQ(WRITE_DATA, error_of(self, 0));

	rewind_channel(self);
	set_address(self->device, CHAINADDR, unmapped);
	run(self, 1);
	EXPECT_EQ(DESCRIPTOR, error_of(self, 0));

	rewind_channel(self);
	set_address(self->device, CHANCMP, unmapped);
	run(self, 1);
	EXPECT_EQ(COMPLETION_ADDR, error_of(self, 1));
}

TEST_F(ioat, a_wrong_command_or_chain_is_an_error)
{
	static const u8 commands[] = { 0x01, 0x02, 0x08, 0x10, 0x40, SUSPEND | RESET };

	for (u32 i = 0; i < ARRAY_SIZE(commands); i++) {
		rewind_channel(self);
		set(self->device, CHANCMD, 1, commands[i]);
		EXPECT_EQ(COMMAND, error_of(self, 0)) TH_LOG("command %#x", commands[i]);
	}

	rewind_channel(self);
	set_address(self->device, CHAINADDR, ring_at(self, 0) + 32);
	run(self, 1);
	EXPECT_EQ(CHAIN_ADDR, error_of(self, 0));

	/* It has halted, and has no chain but the one that it had. */
	rewind_channel(self);
	descriptor(self, 0, 0)[0] = 0;
	run(self, 1);
	set(self->device, CHANERR, 4, LENGTH);
	vfio_pci_config_writel(self->device, CHANERR_INT, LENGTH);
	run(self, 2);
	EXPECT_EQ(CHAIN_ADDR, error_of(self, 0));
}

TEST_F(ioat, it_does_not_start_before_its_error_is_cleared)
{
	descriptor(self, 0, 0)[0] = 0;
	run(self, 1);
	ASSERT_EQ(LENGTH, error_of(self, 0));

	descriptor(self, 0, 0);
	set_address(self->device, CHAINADDR, ring_at(self, 0));
	set(self->device, DMACOUNT, 2, 1);
	deadline_settle_ms(IDLE_MS);
	EXPECT_EQ(LENGTH, error_of(self, 0));

	/* By ones, and each by its own. */
	set(self->device, CHANERR, 4, ~LENGTH);
	EXPECT_EQ(LENGTH, get(self->device, CHANERR, 4));
	set(self->device, CHANERR, 4, LENGTH);
	EXPECT_EQ(0, get(self->device, CHANERR, 4));
	EXPECT_EQ(IDLE, run(self, 1));
	EXPECT_EQ(1, parts_copied(self));
}

TEST_F(ioat, it_goes_on_in_the_chain_when_the_count_is_raised)
{
	u64 written;

	EXPECT_EQ(IDLE, run(self, 2));
	EXPECT_EQ(2, parts_copied(self));
	EXPECT_EQ(IDLE, run(self, 3));
	EXPECT_EQ(3, parts_copied(self));
	EXPECT_EQ((u32)ring_at(self, 2), get(self->device, CHANSTS, 4) & ~0x3fU);
	memcpy(&written, self->buffer.vaddr + WRITTEN, sizeof(written));
	EXPECT_EQ(ring_at(self, 2) | IDLE, written);

	/* Once around the ring, and to its second one. */
	EXPECT_EQ(IDLE, run(self, 6));
	EXPECT_EQ(RING_LENGTH, parts_copied(self));
	EXPECT_EQ((u32)ring_at(self, 1), get(self->device, CHANSTS, 4) & ~0x3fU);
}

/* The count has 16 bits and does not begin again. */
TEST_F(ioat, the_count_goes_round)
{
	for (u32 i = 0; i < RING_LENGTH; i++)
		descriptor(self, i, NONE);
	EXPECT_EQ(IDLE, run(self, UINT16_MAX));
	EXPECT_EQ(0, parts_copied(self));
	EXPECT_EQ((u32)ring_at(self, 2), get(self->device, CHANSTS, 4) & ~0x3fU);
	EXPECT_EQ(IDLE, run(self, 2));
	EXPECT_EQ((u32)ring_at(self, 1), get(self->device, CHANSTS, 4) & ~0x3fU);
}

TEST_F(ioat, it_is_suspended_between_two_descriptors)
{
	for (u32 i = 0; i < RING_LENGTH; i++)
		descriptor(self, i, NONE);
	set(self->device, DMACOUNT, 2, UINT16_MAX);
	set(self->device, CHANCMD, 1, SUSPEND);
	ASSERT_TRUE(wait_for(status(self->device) != ACTIVE, OVER_MS));
	EXPECT_EQ(SUSPENDED, status(self->device));

	/* It takes another chain then. */
	descriptor(self, 0, 0);
	set_address(self->device, CHAINADDR, ring_at(self, 0));
	EXPECT_EQ(IDLE, run(self, 1));
	EXPECT_EQ(1, parts_copied(self));
}

TEST_F(ioat, an_interrupt_waits_until_the_channel_is_rearmed)
{
	u32 index = self->device->driver.irq_index, vector = self->device->driver.msi;

	for (u32 i = 0; i < RING_LENGTH; i++)
		descriptor(self, i, INTERRUPT);
	ASSERT_EQ(IDLE, run(self, 1));
	EXPECT_EQ(1, vfio_pci_irq_take(self->device, index, vector, OVER_MS));
	EXPECT_EQ(INT_DISABLE, get(self->device, CHANCTRL, 2) & INT_DISABLE);

	ASSERT_EQ(IDLE, run(self, 3));
	deadline_settle_ms(IDLE_MS);
	EXPECT_EQ(0, vfio_pci_irq_take(self->device, index, vector, 0));
	/* Two that waited are one. */
	set(self->device, CHANCTRL, 2, INT_DISABLE);
	EXPECT_EQ(1, vfio_pci_irq_take(self->device, index, vector, OVER_MS));
	set(self->device, CHANCTRL, 2, INT_DISABLE);
	deadline_settle_ms(IDLE_MS);
	EXPECT_EQ(0, vfio_pci_irq_take(self->device, index, vector, 0));
}

TEST_PROGRAM(NEEDS_DEVICE, "the lab's model of Intel's DMA engine is as strict as its datasheet")
