// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device driver of ours keeps the promises of struct vfio_pci_driver_ops.
 *
 * The other tests trust a driver blindly: that memcpy moves exactly the bytes it was told to and
 * raises no interrupt, and that send_msi raises exactly one, on its vector. This one checks it,
 * by guard bytes and by counting on all vectors, and that a driver recovers from DMA to
 * unmapped memory and from a reset.
 *
 * Needs a device bound to vfio-pci that a driver of ours supports.
 */
#include <string.h>

#include <linux/kernel.h>
#include <linux/sizes.h>

#include <libvfio/deadline.h>
#include <libvfio/dma_region.h>
#include <libvfio/io.h>
#include <tests/harness.h>

#define IRQ_MS 2000
/* A second interrupt would follow the first at once; this long we wait for it not to come. */
#define STRAY_MS 1
#define BUFFER_SIZE SZ_256K
/* No device here wants its memory aligned to more. */
#define GUARD_SIZE SZ_4K
/* Each case sends so many, that a driver which loses one now and then is caught. */
#define SENDS 100U
#define STORM_BYTES SZ_1M
#define INIT_ROUNDS 5

struct bench {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct iova_allocator *allocator;
	struct dma_region buffer;
};

static const char *bench_setup(struct bench *bench, const char *iommu_mode, int irq_index)
{
	struct vfio_pci_driver *driver;
	const char *missing = test_iommu_mode_missing(iommu_mode);

	if (missing)
		return missing;

	bench->iommu = iommu_init(iommu_mode);
	bench->device = vfio_pci_device_init(test_options.bdf, bench->iommu);
	driver = &bench->device->driver;
	if (!driver->ops)
		return "no driver of ours supports the device";
	if (!driver->irq_indexes)
		return "the driver can use no type of interrupt of this device";
	if (irq_index >= 0 && !(driver->irq_indexes & 1U << irq_index))
		return "the driver does not use this type of interrupt with this device";
	if (irq_index >= 0)
		driver->irq_index = irq_index;

	bench->allocator = iova_allocator_init(bench->iommu, driver->dma_mask);
	dma_region_setup(bench->iommu, bench->allocator, &bench->buffer, BUFFER_SIZE);
	vfio_pci_driver_start(bench->device, bench->allocator);
	return NULL;
}

static void bench_teardown(struct bench *bench)
{
	vfio_pci_driver_stop(bench->device);
	dma_region_teardown(bench->iommu, &bench->buffer);
	iova_allocator_cleanup(bench->allocator);
	vfio_pci_device_cleanup(bench->device);
	iommu_cleanup(bench->iommu);
}

/* INTx stays masked after each interrupt until user space says otherwise. */
static void rearm(struct vfio_pci_device *device)
{
	if (device->driver.irq_index == VFIO_PCI_INTX_IRQ_INDEX)
		VFIO_ASSERT_EQ(__vfio_pci_irq_unmask(device, VFIO_PCI_INTX_IRQ_INDEX, 0), 0);
}

/* Interrupts taken on all vectors of the driver, but for @except. */
static u64 take_all_but(struct vfio_pci_device *device, u32 except)
{
	const struct vfio_pci_driver *driver = &device->driver;
	u64 taken = 0;

	for (u32 vector = driver->msi; vector < driver->msi + driver->nr_msi; vector++) {
		if (vector != except)
			taken += vfio_pci_irq_take(device, driver->irq_index, vector, 0);
	}

	return taken;
}

/* Sends one and returns how many arrived on the vector, or 1000 for one anywhere else. */
static u64 send_and_take(struct vfio_pci_device *device, u32 vector)
{
	u32 index = device->driver.irq_index;
	u64 taken;

	vfio_pci_driver_send_msi_vector(device, vector);
	taken = vfio_pci_irq_take(device, index, vector, IRQ_MS);
	rearm(device);
	deadline_settle_ms(STRAY_MS);
	taken += vfio_pci_irq_take(device, index, vector, 0);

	return take_all_but(device, vector) ? 1000 : taken;
}

static void fill(u8 *bytes, u64 size, u32 seed)
{
	for (u64 i = 0; i < size; i++)
		bytes[i] = seed + i * 7 + (i >> 8);
}

static u64 count_bytes_other_than(const u8 *bytes, u64 size, u8 value)
{
	u64 others = 0;

	for (u64 i = 0; i < size; i++)
		others += bytes[i] != value;

	return others;
}

/* Copies @size bytes and returns how many bytes of destination and guards are wrong, or -errno. */
static s64 copy_and_compare(struct bench *bench, u64 src_offset, u64 dst_offset, u64 size)
{
	u8 *src = bench->buffer.vaddr + GUARD_SIZE + src_offset;
	u8 *dst = bench->buffer.vaddr + BUFFER_SIZE / 2 + GUARD_SIZE + dst_offset;
	u64 wrong = 0;
	int ret;

	memset(dst - GUARD_SIZE, 0xa5, size + 2 * GUARD_SIZE);
	fill(src, size, test_random(0, 255));
	ret = vfio_pci_driver_memcpy(bench->device, to_iova(bench->device, src),
				     to_iova(bench->device, dst), size);
	if (ret)
		return ret;

	for (u64 i = 0; i < size; i++)
		wrong += src[i] != dst[i];
	wrong += count_bytes_other_than(dst - GUARD_SIZE, GUARD_SIZE, 0xa5);
	wrong += count_bytes_other_than(dst + size, GUARD_SIZE, 0xa5);
	return wrong;
}

static u64 largest_copy(const struct bench *bench)
{
	const struct vfio_pci_driver *driver = &bench->device->driver;
	u64 room = BUFFER_SIZE / 2 - 4 * GUARD_SIZE;

	return min(driver->max_memcpy_size, room / driver->memcpy_align * driver->memcpy_align);
}

FIXTURE(driver) {
	struct bench bench;
	struct vfio_pci_device *device;
};

FIXTURE_VARIANT_IOMMU_MODE(driver);

#define DRIVER_VARIANT(_mode)								\
FIXTURE_VARIANT_ADD(driver, _mode) { .iommu_mode = #_mode };
FOR_EACH_IOMMU_MODE(DRIVER_VARIANT)

FIXTURE_SETUP(driver)
{
	SKIP_IF_MISSING(bench_setup(&self->bench, variant->iommu_mode, -1));
	self->device = self->bench.device;
}

FIXTURE_TEARDOWN(driver)
{
	bench_teardown(&self->bench);
}

#define SKIP_WITHOUT_MSI(_device) do {							\
	if (!(_device)->driver.nr_msi)							\
		SKIP(return, "the driver cannot make this device raise an interrupt");	\
} while (0)

#define SKIP_WITHOUT_MEMCPY(_device) SKIP_IF_MISSING((_device)->driver.no_memcpy)

TEST_F(driver, init_and_remove_can_be_repeated)
{
	for (int i = 0; i < INIT_ROUNDS; i++) {
		vfio_pci_driver_remove(self->device);
		ASSERT_EQ(0, __vfio_pci_driver_init(self->device));
		if (self->device->driver.nr_msi) {
			ASSERT_EQ(1, send_and_take(self->device, self->device->driver.msi));
		}
	}
}

TEST_F(driver, send_msi_raises_exactly_one_on_its_vector)
{
	const struct vfio_pci_driver *driver = &self->device->driver;

	SKIP_WITHOUT_MSI(self->device);
	for (u32 i = 0; i < max(SENDS, driver->nr_msi); i++) {
		u32 vector = driver->msi + i % driver->nr_msi;

		ASSERT_EQ(1, send_and_take(self->device, vector))
			TH_LOG("vector %u, send %u", vector, i);
	}
}

TEST_F(driver, a_vector_out_of_range_is_refused)
{
	const struct vfio_pci_driver *driver = &self->device->driver;

	SKIP_WITHOUT_MSI(self->device);
	EXPECT_EQ(-EINVAL, __vfio_pci_driver_send_msi_vector(self->device,
							     driver->msi + driver->nr_msi));
	EXPECT_EQ(0, take_all_but(self->device, UINT32_MAX));
}

TEST_F(driver, memcpy_moves_exactly_the_bytes_it_was_told_to)
{
	u64 align = self->device->driver.memcpy_align;
	u64 largest = largest_copy(&self->bench);
	const struct { u64 src, dst, size; } copies[] = {
		{ 0, 0, align }, { align, 3 * align, 5 * align }, { 0, align, largest - align },
		{ 0, 0, largest },
	};

	SKIP_WITHOUT_MEMCPY(self->device);
	for (size_t i = 0; i < ARRAY_SIZE(copies); i++) {
		ASSERT_EQ(0, copy_and_compare(&self->bench, copies[i].src, copies[i].dst,
					      copies[i].size))
			TH_LOG("copy %zu: %#llx bytes", i, (unsigned long long)copies[i].size);
	}
}

TEST_F(driver, memcpy_raises_no_interrupt)
{
	SKIP_WITHOUT_MEMCPY(self->device);
	SKIP_WITHOUT_MSI(self->device);
	ASSERT_EQ(0, copy_and_compare(&self->bench, 0, 0, largest_copy(&self->bench)));
	EXPECT_EQ(0, take_all_but(self->device, UINT32_MAX));
	EXPECT_EQ(1, send_and_take(self->device, self->device->driver.msi));
}

TEST_F(driver, memcpy_refuses_what_it_cannot_do)
{
	const struct vfio_pci_driver *driver = &self->device->driver;
	iova_t src = self->bench.buffer.iova, dst = src + BUFFER_SIZE / 2;
	u64 align = driver->memcpy_align;

	SKIP_WITHOUT_MEMCPY(self->device);
	EXPECT_EQ(-EINVAL, __vfio_pci_driver_memcpy_start(self->device, src, dst, 0, 1));
	EXPECT_EQ(-EINVAL, __vfio_pci_driver_memcpy_start(self->device, src, dst, align, 0));
	EXPECT_EQ(-EINVAL, __vfio_pci_driver_memcpy_start(self->device, src, src, align, 1));
	EXPECT_EQ(-EINVAL, __vfio_pci_driver_memcpy_start(self->device, src, src + align,
							  2 * align, 1));
	EXPECT_EQ(-EINVAL, __vfio_pci_driver_memcpy_start(self->device, src, dst,
							  driver->max_memcpy_size + align, 1));
	EXPECT_EQ(-EINVAL, __vfio_pci_driver_memcpy_start(self->device, src, dst, align,
							  driver->max_memcpy_count + 1));
	EXPECT_EQ(0, copy_and_compare(&self->bench, 0, 0, align));
}

TEST_F(driver, nothing_else_starts_during_a_memcpy)
{
	iova_t src = self->bench.buffer.iova, dst = src + BUFFER_SIZE / 2;
	u64 align = self->device->driver.memcpy_align;

	SKIP_WITHOUT_MEMCPY(self->device);
	vfio_pci_driver_memcpy_start(self->device, src, dst, align, 1);
	EXPECT_EQ(-EBUSY, __vfio_pci_driver_memcpy_start(self->device, src, dst, align, 1));
	if (self->device->driver.nr_msi) {
		EXPECT_EQ(-EBUSY, __vfio_pci_driver_send_msi_vector(self->device,
								    self->device->driver.msi));
	}
	EXPECT_EQ(0, vfio_pci_driver_memcpy_wait(self->device));
}

TEST_F(driver, memcpy_can_be_repeated_by_the_device)
{
	const struct vfio_pci_driver *driver = &self->device->driver;
	iova_t src = self->bench.buffer.iova, dst = src + BUFFER_SIZE / 2;
	u64 size, count;

	SKIP_WITHOUT_MEMCPY(self->device);
	size = largest_copy(&self->bench);
	count = min(driver->max_memcpy_count, (u64)STORM_BYTES / size + 1);
	fill(self->bench.buffer.vaddr, size, test_random(0, 255));
	vfio_pci_driver_memcpy_start(self->device, src, dst, size, count);
	ASSERT_EQ(0, vfio_pci_driver_memcpy_wait(self->device));
	EXPECT_EQ(0, memcmp(self->bench.buffer.vaddr, self->bench.buffer.vaddr + BUFFER_SIZE / 2,
			    size));
	EXPECT_EQ(0, take_all_but(self->device, UINT32_MAX));
}

/* Not every device notices that its access was refused; so no error is asked for. */
TEST_F(driver, memcpy_from_unmapped_memory_copies_nothing)
{
	iova_t unmapped = iova_allocator_alloc(self->bench.allocator, BUFFER_SIZE);
	u64 size = min(largest_copy(&self->bench), (u64)SZ_4K);
	u8 *dst = self->bench.buffer.vaddr;

	SKIP_WITHOUT_MEMCPY(self->device);
	fill(dst + size, size, 1);
	memset(dst, 0, size);
	(void)vfio_pci_driver_memcpy(self->device, unmapped, to_iova(self->device, dst), size);
	EXPECT_NE(0, memcmp(dst, dst + size, size));
	EXPECT_EQ(0, take_all_but(self->device, UINT32_MAX));
	EXPECT_EQ(0, copy_and_compare(&self->bench, 0, 0, size));
}

TEST_F(driver, memcpy_to_unmapped_memory_reaches_nothing_mapped)
{
	iova_t unmapped = iova_allocator_alloc(self->bench.allocator, BUFFER_SIZE);
	u64 size = min(largest_copy(&self->bench), (u64)SZ_4K);
	u8 *src = self->bench.buffer.vaddr;

	SKIP_WITHOUT_MEMCPY(self->device);
	memset(src, 0x5a, BUFFER_SIZE);
	(void)vfio_pci_driver_memcpy(self->device, to_iova(self->device, src), unmapped, size);
	EXPECT_EQ(0, count_bytes_other_than(src, BUFFER_SIZE, 0x5a));
	EXPECT_EQ(0, take_all_but(self->device, UINT32_MAX));
	EXPECT_EQ(0, copy_and_compare(&self->bench, 0, 0, size));
}

TEST_F(driver, it_works_again_after_a_reset)
{
	if (!(self->device->info.flags & VFIO_DEVICE_FLAGS_RESET))
		SKIP(return, "the device has no reset method");

	vfio_pci_device_reset(self->device);
	vfio_pci_driver_remove(self->device);
	vfio_pci_driver_init(self->device);
	if (self->device->driver.nr_msi) {
		EXPECT_EQ(1, send_and_take(self->device, self->device->driver.msi));
	}
	if (!self->device->driver.no_memcpy) {
		EXPECT_EQ(0, copy_and_compare(&self->bench, 0, 0, largest_copy(&self->bench)));
	}
}

FIXTURE(irq_type) {
	struct bench bench;
	struct vfio_pci_device *device;
};

FIXTURE_VARIANT(irq_type) {
	int index;
};

FIXTURE_VARIANT_ADD(irq_type, intx) { .index = VFIO_PCI_INTX_IRQ_INDEX };
FIXTURE_VARIANT_ADD(irq_type, msi) { .index = VFIO_PCI_MSI_IRQ_INDEX };
FIXTURE_VARIANT_ADD(irq_type, msix) { .index = VFIO_PCI_MSIX_IRQ_INDEX };

FIXTURE_SETUP(irq_type)
{
	SKIP_IF_MISSING(bench_setup(&self->bench, test_iommu_mode(), variant->index));
	self->device = self->bench.device;
}

FIXTURE_TEARDOWN(irq_type)
{
	bench_teardown(&self->bench);
}

TEST_F(irq_type, send_msi_raises_exactly_one_on_its_vector)
{
	const struct vfio_pci_driver *driver = &self->device->driver;

	SKIP_WITHOUT_MSI(self->device);
	if (variant->index == VFIO_PCI_INTX_IRQ_INDEX) {
		SKIP_IF_MISSING(test_intx_missing());
	}
	for (u32 i = 0; i < SENDS; i++) {
		ASSERT_EQ(1, send_and_take(self->device, driver->msi + i % driver->nr_msi))
			TH_LOG("send %u", i);
	}
}

TEST_F(irq_type, the_driver_can_be_removed_and_initialized_again)
{
	for (int i = 0; i < INIT_ROUNDS; i++) {
		vfio_pci_driver_remove(self->device);
		ASSERT_EQ(0, __vfio_pci_driver_init(self->device));
	}
}

TEST_PROGRAM(NEEDS_DEVICE, "device drivers of ours keep the promises of their operations")
