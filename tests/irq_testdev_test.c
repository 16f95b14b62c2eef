// SPDX-License-Identifier: GPL-2.0-only
/*
 * irq-testdev does what its registers say, right and wrong.
 *
 * Other tests rely on the model: on its schedule to hit a moment, on its faults to be the only
 * ones, on its counters to say what was sent. This one asks it by its registers, around its driver,
 * and compares with what arrived in memory and at the eventfds (docs/device-models.md).
 *
 * Needs the lab's own QEMU, and its device irq-testdev.
 */
#include <errno.h>
#include <string.h>

#include <linux/sizes.h>

#include <hw/misc/irq-testdev-regs.h>
#include <libvfio/deadline.h>
#include <libvfio/dma_region.h>
#include <tests/harness.h>
#include <tests/irq_device.h>

#define IRQ_MS 2000
/* Long enough to look at the device before something that it was told to do later. */
#define LATER_NS 200000000U
/* Between two interrupts: none is still on its way when a vector's next one comes. */
#define SPACING_NS 20000000U
#define SIZE SZ_4K

FIXTURE(irq_testdev) {
	struct irq_device opened;
	struct vfio_pci_device *device;
	struct dma_region buffer;
};

FIXTURE_SETUP(irq_testdev)
{
	SKIP_IF_MISSING(irq_device_open(&self->opened, test_iommu_mode()));
	self->device = self->opened.device;
	if (strcmp(self->device->driver.ops->name, "irq_testdev"))
		SKIP(return, "the device is another one: ./run.sh --lab-device irq-testdev");
	dma_region_setup(self->opened.iommu, self->opened.allocator, &self->buffer, SZ_2M);
}

FIXTURE_TEARDOWN(irq_testdev)
{
	if (self->buffer.vaddr)
		dma_region_teardown(self->opened.iommu, &self->buffer);
	irq_device_close(&self->opened);
}

static u32 get(struct vfio_pci_device *device, u32 reg)
{
	return vfio_pci_bar_readl(device, IRQ_TESTDEV_BAR, reg);
}

static void set(struct vfio_pci_device *device, u32 reg, u32 value)
{
	vfio_pci_bar_writel(device, IRQ_TESTDEV_BAR, reg, value);
}

/* Return: the errors since the last time, which are cleared, and where the first one was. */
static u32 take_error(struct vfio_pci_device *device, u32 *offset)
{
	u32 error = get(device, IRQ_TESTDEV_ERROR);

	*offset = get(device, IRQ_TESTDEV_ERROR_OFFSET);
	set(device, IRQ_TESTDEV_ERROR, error);
	return error;
}

static u64 take_irqs(struct vfio_pci_device *device, u32 vector, u64 ms)
{
	return vfio_pci_irq_take(device, device->driver.irq_index, vector, ms);
}

TEST_F(irq_testdev, what_it_does_not_expect_is_not_done_and_recorded)
{
	static const struct {
		u32 reg;
		u32 value;
		u32 error;
	} writes[] = {
		{ IRQ_TESTDEV_ID, 0, IRQ_TESTDEV_ERROR_REGISTER },
		{ IRQ_TESTDEV_SENT_MSIX, 0, IRQ_TESTDEV_ERROR_REGISTER },
		{ 0x018, 0, IRQ_TESTDEV_ERROR_REGISTER },
		{ IRQ_TESTDEV_BAR_SIZE - 4, 0, IRQ_TESTDEV_ERROR_REGISTER },
		{ IRQ_TESTDEV_FAULT, 1U << 31, IRQ_TESTDEV_ERROR_RESERVED },
		{ IRQ_TESTDEV_CONTROL, 1U << 2, IRQ_TESTDEV_ERROR_RESERVED },
		{ IRQ_TESTDEV_IRQ_SEND, IRQ_TESTDEV_MAX_VECTORS, IRQ_TESTDEV_ERROR_VALUE },
		{ IRQ_TESTDEV_SENT_SELECT, IRQ_TESTDEV_MAX_VECTORS, IRQ_TESTDEV_ERROR_VALUE },
		{ IRQ_TESTDEV_COPY_COMMAND, IRQ_TESTDEV_COPY_START, IRQ_TESTDEV_ERROR_VALUE },
		{ IRQ_TESTDEV_SCHED_COMMAND, IRQ_TESTDEV_SCHED_START, IRQ_TESTDEV_ERROR_VALUE },
	};
	struct vfio_pci_device *device = self->device;
	u32 offset;

	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		set(device, writes[i].reg, writes[i].value);
		EXPECT_EQ(writes[i].error, take_error(device, &offset))
			TH_LOG("write %u", (u32)i);
		EXPECT_EQ(writes[i].reg, offset);
	}
	get(device, IRQ_TESTDEV_IRQ_SEND);
	EXPECT_EQ(IRQ_TESTDEV_ERROR_REGISTER, take_error(device, &offset));
	EXPECT_EQ(IRQ_TESTDEV_IRQ_SEND, offset);
	EXPECT_EQ(IRQ_TESTDEV_ID_VALUE, get(device, IRQ_TESTDEV_ID));
	EXPECT_EQ(0, get(device, IRQ_TESTDEV_FAULT));
	EXPECT_EQ(0, get(device, IRQ_TESTDEV_COPY_STATUS));
	EXPECT_EQ(0, take_error(device, &offset));
}

TEST_F(irq_testdev, a_running_copy_is_not_written_to_and_a_reset_stops_it)
{
	struct vfio_pci_device *device = self->device;
	u32 busy = get(device, IRQ_TESTDEV_RESETS_BUSY), offset;
	iova_t iova = self->buffer.iova;

	vfio_pci_driver_memcpy_start(device, iova, iova + SZ_1M, SZ_1M, IRQ_TESTDEV_MAX_COPY_COUNT);
	set(device, IRQ_TESTDEV_COPY_SIZE, 1);
	EXPECT_EQ(IRQ_TESTDEV_ERROR_BUSY, take_error(device, &offset));
	EXPECT_EQ(IRQ_TESTDEV_COPY_SIZE, offset);
	EXPECT_EQ(SZ_1M, get(device, IRQ_TESTDEV_COPY_SIZE));
	EXPECT_EQ(IRQ_TESTDEV_COPY_BUSY, get(device, IRQ_TESTDEV_COPY_STATUS));

	vfio_pci_device_reset(device);
	EXPECT_EQ(0, get(device, IRQ_TESTDEV_COPY_STATUS));
	EXPECT_EQ(busy + 1, get(device, IRQ_TESTDEV_RESETS_BUSY));
	EXPECT_EQ(-EIO, vfio_pci_driver_memcpy_wait(device));
}

TEST_F(irq_testdev, a_copy_outlives_a_reset_if_it_is_told_to)
{
	struct vfio_pci_device *device = self->device;
	iova_t iova = self->buffer.iova;
	u8 *dst = self->buffer.vaddr + SZ_1M;

	memset(self->buffer.vaddr, 0x5a, SZ_1M);
	set(device, IRQ_TESTDEV_FAULT, IRQ_TESTDEV_FAULT_OUTLIVE_RESET);
	vfio_pci_driver_memcpy_start(device, iova, iova + SZ_1M, SZ_1M, IRQ_TESTDEV_MAX_COPY_COUNT);
	vfio_pci_device_reset(device);
	EXPECT_EQ(IRQ_TESTDEV_COPY_BUSY, get(device, IRQ_TESTDEV_COPY_STATUS));
	__atomic_store_n(dst, 0, __ATOMIC_SEQ_CST);
	EXPECT_TRUE(wait_for(__atomic_load_n(dst, __ATOMIC_SEQ_CST) == 0x5a, IRQ_MS));

	vfio_pci_device_reset(device);
	EXPECT_EQ(0, get(device, IRQ_TESTDEV_COPY_STATUS));
	(void)vfio_pci_driver_memcpy_wait(device);
}

/* Copies the first page to the second. Return: as memcpy_wait(). */
static int copy_page(FIXTURE_DATA(irq_testdev) *self)
{
	iova_t iova = self->buffer.iova;

	for (u32 i = 0; i < SIZE; i++)
		((u8 *)self->buffer.vaddr)[i] = i * 7 + 1;
	memset(self->buffer.vaddr + SIZE, 0, SIZE);
	vfio_pci_driver_memcpy_start(self->device, iova, iova + SIZE, SIZE, 1);
	return vfio_pci_driver_memcpy_wait(self->device);
}

static u32 count_different(const u8 *bytes, const u8 *others, u32 size)
{
	u32 different = 0;

	for (u32 i = 0; i < size; i++)
		different += bytes[i] != others[i];
	return different;
}

TEST_F(irq_testdev, a_copy_goes_wrong_as_it_was_told_to_and_only_once)
{
	struct vfio_pci_device *device = self->device;
	const u8 *src = self->buffer.vaddr, *dst = src + SIZE;
	u32 failed = get(device, IRQ_TESTDEV_COPIES_FAILED);

	set(device, IRQ_TESTDEV_FAULT_BIT, 8 * 1234 + 5);
	set(device, IRQ_TESTDEV_FAULT, IRQ_TESTDEV_FAULT_FLIP);
	EXPECT_EQ(0, copy_page(self));
	EXPECT_EQ(1, count_different(src, dst, SIZE));
	EXPECT_EQ(1U << 5, src[1234] ^ dst[1234]);

	set(device, IRQ_TESTDEV_FAULT, IRQ_TESTDEV_FAULT_ABORT);
	EXPECT_EQ(-EIO, copy_page(self));
	EXPECT_EQ(0, count_different(src, dst, SIZE / 2));
	for (u32 i = SIZE / 2; i < SIZE; i++)
		ASSERT_EQ(0, dst[i]);
	EXPECT_EQ(failed + 1, get(device, IRQ_TESTDEV_COPIES_FAILED));

	EXPECT_EQ(0, get(device, IRQ_TESTDEV_FAULT));
	EXPECT_EQ(0, copy_page(self));
	EXPECT_EQ(0, count_different(src, dst, SIZE));
}

TEST_F(irq_testdev, a_late_completion_comes_behind_its_bytes)
{
	struct vfio_pci_device *device = self->device;
	const u8 *last = self->buffer.vaddr + 2 * SIZE - 1;
	iova_t iova = self->buffer.iova;

	memset(self->buffer.vaddr, 0x5a, SIZE);
	memset(self->buffer.vaddr + SIZE, 0, SIZE);
	set(device, IRQ_TESTDEV_FAULT_DELAY, LATER_NS);
	set(device, IRQ_TESTDEV_FAULT, IRQ_TESTDEV_FAULT_LATE);
	vfio_pci_driver_memcpy_start(device, iova, iova + SIZE, SIZE, 1);
	EXPECT_TRUE(wait_for(__atomic_load_n(last, __ATOMIC_ACQUIRE) == 0x5a, IRQ_MS));
	EXPECT_EQ(IRQ_TESTDEV_COPY_BUSY, get(device, IRQ_TESTDEV_COPY_STATUS));
	EXPECT_EQ(0, vfio_pci_driver_memcpy_wait(device));
}

TEST_F(irq_testdev, a_message_goes_astray_as_it_was_told_to_and_only_once)
{
	struct vfio_pci_device *device = self->device;
	u32 astray = get(device, IRQ_TESTDEV_SENT_ASTRAY), *target = self->buffer.vaddr;

	*target = UINT32_MAX;
	set(device, IRQ_TESTDEV_FAULT_ADDRESS_LOW, self->buffer.iova);
	set(device, IRQ_TESTDEV_FAULT_ADDRESS_HIGH, self->buffer.iova >> 32);
	set(device, IRQ_TESTDEV_FAULT, IRQ_TESTDEV_FAULT_ADDRESS);
	vfio_pci_driver_send_msi(device);
	EXPECT_TRUE(wait_for(__atomic_load_n(target, __ATOMIC_ACQUIRE) != UINT32_MAX, IRQ_MS));
	EXPECT_EQ(astray + 1, get(device, IRQ_TESTDEV_SENT_ASTRAY));
	deadline_settle_ms(1);
	EXPECT_EQ(0, take_irqs(device, 0, 0));

	vfio_pci_driver_send_msi(device);
	EXPECT_EQ(1, take_irqs(device, 0, IRQ_MS));
	EXPECT_EQ(astray + 1, get(device, IRQ_TESTDEV_SENT_ASTRAY));
}

TEST_F(irq_testdev, a_schedule_is_kept_and_counted_vector_by_vector)
{
	static const struct vfio_pci_msi_schedule schedule = {
		.count = 10, .delay_ns = LATER_NS, .spacing_ns = SPACING_NS,
		.vector = 1, .nr_vectors = 3,
	};
	static const u32 expected[] = { 0, 4, 3, 3, 0 };
	struct vfio_pci_device *device = self->device;
	u32 before[ARRAY_SIZE(expected)], all = get(device, IRQ_TESTDEV_SENT_MSIX);

	ASSERT_LE(ARRAY_SIZE(expected), device->driver.nr_msi);
	for (u32 i = 0; i < ARRAY_SIZE(expected); i++)
		before[i] = device->driver.ops->msis_sent(device, i);
	vfio_pci_driver_schedule_msis(device, &schedule);
	EXPECT_EQ(schedule.count, get(device, IRQ_TESTDEV_SCHED_LEFT));
	EXPECT_EQ(-EBUSY, device->driver.ops->schedule_msis(device, &schedule));
	ASSERT_TRUE(wait_for(!get(device, IRQ_TESTDEV_SCHED_LEFT), IRQ_MS));
	deadline_settle_ms(10);

	for (u32 i = 0; i < ARRAY_SIZE(expected); i++) {
		EXPECT_EQ(expected[i], device->driver.ops->msis_sent(device, i) - before[i]);
		EXPECT_EQ(expected[i], take_irqs(device, i, expected[i] ? IRQ_MS : 0))
			TH_LOG("vector %u", i);
	}
	EXPECT_EQ(all + schedule.count, get(device, IRQ_TESTDEV_SENT_MSIX));
}

TEST_PROGRAM(NEEDS_DEVICE, "the lab's irq-testdev does what its registers say, right and wrong")
