// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lab's model of AMD's Pass-Through DMA engine is strict, and its queue goes on after an error.
 *
 * A driver's mistake that a model lets pass would be found on hardware only. So this one makes
 * them, around our driver and without its header, and looks for the error that the hardware has
 * for each (docs/device-models.md). It also goes where Linux's driver does not: several commands,
 * a stop between two of them, the way on behind a wrong one, an interrupt that comes while it is
 * masked.
 *
 * Needs the lab's own QEMU, and its device ptdma. What the model decided where nothing is published
 * may be otherwise on hardware.
 */
#include <string.h>

#include <linux/bits.h>
#include <linux/kernel.h>
#include <linux/sizes.h>

#include <libvfio/deadline.h>
#include <libvfio/dma_region.h>
#include <tests/harness.h>
#include <tests/irq_device.h>

#define BAR 2
#define CONTROL 0x1000
#define RUN BIT(0)
#define HALTED BIT(1)
#define LOCAL_MEMORY BIT(2)
#define RESERVED_CONTROL BIT(8)
#define TAIL 0x1004
#define HEAD 0x1008
#define INT_ENABLE 0x100c
#define INT_STATUS 0x1010
#define COMPLETION BIT(0)
#define ERROR BIT(1)
#define STOPPED BIT(2)
#define EMPTY BIT(3)
#define ALL_INTERRUPTS GENMASK(3, 0)
#define STATUS 0x1100
#define STATUS_ERROR GENMASK(5, 0)
#define STATUS_SOURCE GENMASK(11, 10)
#define SOURCE_COMMAND BIT(10)

/* Of a command's first word */
#define STOP BIT(0)
#define INTERRUPT BIT(1)
#define COPY (5U << 20)

/* The ring has 2^4 commands, the rest of its page is none. */
#define RING_LOG2 4
#define COMMAND_SIZE 32
#define SIZE SZ_4K
#define OVER_MS 2000
/* The model begins within a microsecond, if it does. */
#define IDLE_MS 20

/* Where what is in the buffer, which is aligned to its size. */
#define RING 0
#define SRC SZ_4K
#define DST SZ_8K

FIXTURE(ptdma) {
	struct irq_device opened;
	struct vfio_pci_device *device;
	struct dma_region buffer;
	u32 ring;
	u32 control;
};

static u32 get(struct vfio_pci_device *device, u32 reg)
{
	return vfio_pci_bar_readl(device, BAR, reg);
}

static void set(struct vfio_pci_device *device, u32 reg, u32 value)
{
	vfio_pci_bar_writel(device, BAR, reg, value);
}

FIXTURE_SETUP(ptdma)
{
	SKIP_IF_MISSING(irq_device_open(&self->opened, test_iommu_mode()));
	self->device = self->opened.device;
	if (strcmp(self->device->driver.ops->name, "ptdma"))
		SKIP(return, "the device is another one: ./run.sh --lab-device ptdma");
	dma_region_setup(self->opened.iommu, self->opened.allocator, &self->buffer, SZ_16K);
	self->ring = self->buffer.iova + RING;
	self->control = (RING_LOG2 - 1) << 3 | (u32)(self->buffer.iova >> 32) << 16;
}

FIXTURE_TEARDOWN(ptdma)
{
	if (self->buffer.vaddr)
		dma_region_teardown(self->opened.iommu, &self->buffer);
	irq_device_close(&self->opened);
}

/* A queue that stands still and is empty, as after a reset, with fresh contents in the buffer. */
static void rewind_queue(FIXTURE_DATA(ptdma) *self)
{
	memset(self->buffer.vaddr, 0, self->buffer.size);
	memset(self->buffer.vaddr + SRC, 0x5a, SIZE);
	set(self->device, CONTROL, self->control);
	set(self->device, HEAD, self->ring);
	set(self->device, TAIL, self->ring);
	set(self->device, INT_ENABLE, 0);
	set(self->device, INT_STATUS, ALL_INTERRUPTS);
}

/* Command @index copies the @index-th part of the source. */
static u32 *command(FIXTURE_DATA(ptdma) *self, u32 index, u32 flags)
{
	u32 *words = self->buffer.vaddr + RING + index * COMMAND_SIZE;
	iova_t src = self->buffer.iova + SRC + index * 64, dst = src - SRC + DST;

	memset(words, 0, COMMAND_SIZE);
	words[0] = COPY | flags;
	words[1] = 64;
	words[2] = src;
	words[3] = src >> 32;
	words[4] = dst;
	words[5] = dst >> 32;
	return words;
}

static void run(FIXTURE_DATA(ptdma) *self, u32 commands)
{
	set(self->device, TAIL, self->ring + commands * COMMAND_SIZE);
	set(self->device, CONTROL, self->control | RUN);
}

/* Return: the bits of INT_STATUS once it has @bits. */
static u32 wait_status(FIXTURE_DATA(ptdma) *self, u32 bits)
{
	VFIO_ASSERT_TRUE(wait_for(get(self->device, INT_STATUS) & bits, OVER_MS));
	return get(self->device, INT_STATUS);
}

/* How many commands have been done, and how many parts of the destination were written. */
static u32 done(FIXTURE_DATA(ptdma) *self)
{
	return (get(self->device, HEAD) - self->ring) / COMMAND_SIZE;
}

static u32 parts_copied(FIXTURE_DATA(ptdma) *self)
{
	const u8 *dst = self->buffer.vaddr + DST;
	u32 parts = 0;

	for (u32 i = 0; i < SIZE / 64; i++)
		parts += !memcmp(dst + i * 64, self->buffer.vaddr + SRC, 64);
	return parts;
}

/* Return: the error that stopped the queue at the command @at; more than 63 if it did not so. */
static u32 error_at(FIXTURE_DATA(ptdma) *self, u32 at)
{
	u32 bits = wait_status(self, ERROR | EMPTY);

	if (bits != ERROR || done(self) != at || parts_copied(self) ||
	    (get(self->device, CONTROL) & (RUN | HALTED)) != HALTED)
		return 1000 + bits;
	return get(self->device, STATUS) & STATUS_ERROR;
}

TEST_F(ptdma, a_wrong_command_stops_the_queue_with_its_error)
{
	static const struct {
		u32 word;
		u32 bits;
		u32 error;
	} wrong[] = {
		{ 0, 5U << 20 ^ 0U << 20, 1 },	/* AES */
		{ 0, 5U << 20 ^ 3U << 20, 1 },	/* SHA */
		{ 0, BIT(5), 4 },		/* swap bytes */
		{ 0, BIT(7), 4 },		/* AND with a mask */
		{ 0, BIT(2), 8 },
		{ 0, BIT(12), 8 },
		{ 0, BIT(24), 8 },
		{ 0, BIT(31), 8 },
		{ 1, 64, 9 },			/* a length of 0 */
		{ 3, BIT(16), 12 },		/* from the local storage block */
		{ 5, BIT(17), 12 },		/* to local memory */
		{ 3, BIT(18), 13 },
		{ 5, BIT(18), 8 },
		{ 3, BIT(26), 8 },
		{ 5, BIT(31), 11 },		/* all to one address */
		{ 6, BIT(0), 8 },
		{ 7, BIT(31), 8 },
	};

	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		rewind_queue(self);
		command(self, 0, 0)[wrong[i].word] ^= wrong[i].bits;
		run(self, 1);
		EXPECT_EQ(wrong[i].error, error_at(self, 0))
			TH_LOG("word %u, bits %#x", wrong[i].word, wrong[i].bits);
		EXPECT_EQ(SOURCE_COMMAND, get(self->device, STATUS) & STATUS_SOURCE);
	}
}

TEST_F(ptdma, a_ring_in_the_wrong_place_stops_the_queue_with_its_error)
{
	rewind_queue(self);
	set(self->device, HEAD, self->ring + COMMAND_SIZE / 2);
	set(self->device, TAIL, self->ring + COMMAND_SIZE);
	set(self->device, CONTROL, self->control | RUN);
	EXPECT_EQ(11, get(self->device, STATUS) & STATUS_ERROR);
	EXPECT_EQ(ERROR, get(self->device, INT_STATUS));

	rewind_queue(self);
	run(self, 1U << RING_LOG2);
	EXPECT_EQ(11, error_at(self, 0));

	rewind_queue(self);
	command(self, 0, 0);
	set(self->device, TAIL, self->ring + COMMAND_SIZE);
	set(self->device, CONTROL, self->control | LOCAL_MEMORY | RUN);
	EXPECT_EQ(12, error_at(self, 0));
}

TEST_F(ptdma, what_the_iommu_refuses_is_an_error_of_reading_or_writing)
{
	iova_t unmapped = iova_allocator_alloc(self->opened.allocator, SZ_16K);
	u32 *words;

	rewind_queue(self);
	words = command(self, 0, 0);
	words[2] = unmapped;
	words[3] = unmapped >> 32;
	run(self, 1);
	EXPECT_EQ(20, error_at(self, 0));
	EXPECT_NE(SOURCE_COMMAND, get(self->device, STATUS) & STATUS_SOURCE);

	rewind_queue(self);
	words = command(self, 0, 0);
	words[4] = unmapped;
	words[5] = unmapped >> 32;
	run(self, 1);
	EXPECT_EQ(39, error_at(self, 0));

	rewind_queue(self);
	set(self->device, CONTROL, (RING_LOG2 - 1) << 3 | (u32)(unmapped >> 32) << 16);
	set(self->device, HEAD, unmapped);
	set(self->device, TAIL, (u32)unmapped + COMMAND_SIZE);
	set(self->device, CONTROL, get(self->device, CONTROL) | RUN);
	EXPECT_EQ(ERROR, wait_status(self, ERROR | EMPTY));
	EXPECT_EQ(20 | SOURCE_COMMAND,
		  get(self->device, STATUS) & (STATUS_ERROR | STATUS_SOURCE));
}

TEST_F(ptdma, nothing_happens_before_the_doorbell_nor_by_a_wrong_one)
{
	rewind_queue(self);
	command(self, 0, 0);
	set(self->device, TAIL, self->ring + COMMAND_SIZE);
	set(self->device, CONTROL, self->control | RESERVED_CONTROL | RUN);
	deadline_settle_ms(IDLE_MS);
	EXPECT_EQ(0, done(self));
	EXPECT_EQ(0, parts_copied(self));
	EXPECT_EQ(HALTED, get(self->device, CONTROL) & (RUN | HALTED));

	/* With the queue running, the tail is the doorbell, and the head is not to be moved. */
	set(self->device, CONTROL, self->control | RUN);
	EXPECT_EQ(EMPTY, wait_status(self, EMPTY));
	set(self->device, INT_STATUS, ALL_INTERRUPTS);
	set(self->device, HEAD, self->ring);
	EXPECT_EQ(1, done(self));
	command(self, 1, 0);
	set(self->device, TAIL, self->ring + 2 * COMMAND_SIZE);
	EXPECT_EQ(EMPTY, wait_status(self, EMPTY));
	EXPECT_EQ(2, done(self));
	EXPECT_EQ(2, parts_copied(self));
}

TEST_F(ptdma, it_goes_round_the_ring_and_stops_where_a_command_says_so)
{
	u32 all = 1U << RING_LOG2;

	rewind_queue(self);
	for (u32 i = 0; i < all - 1; i++)
		command(self, i, i == 1 ? STOP | INTERRUPT : 0);
	run(self, all - 1);
	EXPECT_EQ(STOPPED | COMPLETION, wait_status(self, STOPPED));
	EXPECT_EQ(2, done(self));
	EXPECT_EQ(HALTED, get(self->device, CONTROL) & (RUN | HALTED));

	set(self->device, CONTROL, self->control | RUN);
	(void)wait_status(self, EMPTY);
	command(self, all - 1, 0);
	command(self, 0, 0);
	set(self->device, INT_STATUS, ALL_INTERRUPTS);
	set(self->device, TAIL, self->ring + COMMAND_SIZE);
	EXPECT_EQ(EMPTY, wait_status(self, EMPTY));
	EXPECT_EQ(1, done(self));
	EXPECT_EQ(all, parts_copied(self));
}

/* As FreeBSD's driver of the CCP does it. */
TEST_F(ptdma, behind_a_wrong_command_it_goes_on)
{
	rewind_queue(self);
	for (u32 i = 0; i < 3; i++)
		command(self, i, i == 1 ? BIT(2) : 0);
	run(self, 3);
	EXPECT_EQ(ERROR, wait_status(self, ERROR | EMPTY));
	EXPECT_EQ(1, done(self));
	EXPECT_EQ(1, parts_copied(self));

	set(self->device, INT_STATUS, ALL_INTERRUPTS);
	set(self->device, HEAD, self->ring + 2 * COMMAND_SIZE);
	run(self, 3);
	EXPECT_EQ(EMPTY, wait_status(self, ERROR | EMPTY));
	EXPECT_EQ(0, get(self->device, STATUS));
	EXPECT_EQ(2, parts_copied(self));
}

TEST_F(ptdma, an_interrupt_waits_while_it_is_masked_and_is_one)
{
	u32 index = self->device->driver.irq_index;

	rewind_queue(self);
	for (u32 i = 0; i < 3; i++)
		command(self, i, INTERRUPT);
	run(self, 3);
	EXPECT_EQ(COMPLETION | EMPTY, wait_status(self, EMPTY));
	EXPECT_EQ(0, vfio_pci_irq_take(self->device, index, 0, IDLE_MS));
	set(self->device, INT_ENABLE, COMPLETION | ERROR);
	EXPECT_EQ(1, vfio_pci_irq_take(self->device, index, 0, OVER_MS));

	/* Not acknowledged, it is still the same one. */
	command(self, 3, INTERRUPT);
	set(self->device, INT_STATUS, EMPTY);
	set(self->device, TAIL, self->ring + 4 * COMMAND_SIZE);
	EXPECT_EQ(COMPLETION | EMPTY, wait_status(self, EMPTY));
	EXPECT_EQ(0, vfio_pci_irq_take(self->device, index, 0, IDLE_MS));
	set(self->device, INT_STATUS, ALL_INTERRUPTS);
	command(self, 4, INTERRUPT);
	set(self->device, TAIL, self->ring + 5 * COMMAND_SIZE);
	EXPECT_EQ(1, vfio_pci_irq_take(self->device, index, 0, OVER_MS));
}

TEST_PROGRAM(NEEDS_DEVICE, "the lab's ptdma has the errors of the hardware, and goes on after them")
