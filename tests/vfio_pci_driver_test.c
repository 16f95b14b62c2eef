// SPDX-License-Identifier: GPL-2.0-only
/*
 * The conformance suite of the device drivers: each keeps the promises of struct
 * vfio_pci_driver_ops.
 *
 * The other tests trust a driver blindly: that memcpy moves exactly the bytes it was told to and
 * raises no interrupt, and that send_msi raises exactly one, on its vector. This one checks it,
 * by looking at every byte of the memory around a copy and by counting on all vectors, and that
 * a driver recovers from DMA to unmapped memory, a reset, and being removed in the middle of it.
 * A driver says what it can do, and the cases skip by that.
 *
 * Needs a device bound to vfio-pci that a driver of ours supports; for two of them at once,
 * another one that run.sh was given as well.
 */
#include <poll.h>
#include <string.h>

#include <linux/align.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/sizes.h>

#include <libvfio/deadline.h>
#include <libvfio/dma_region.h>
#include <libvfio/io.h>
#include <libvfio/sriov.h>
#include <tests/harness.h>

#define IRQ_MS 2000
/* A second interrupt would follow the first at once; this long we wait for it not to come. */
#define STRAY_MS 1
/* Longer than any device here takes for DMA that it has begun; this long we wait for none. */
#define LATE_DMA_MS 150
/* Two ends of a copy, a half each. */
#define BUFFER_SIZE SZ_256K
#define HALF (BUFFER_SIZE / 2)
/* What is left of a half at both ends of the largest copy. No device wants more alignment. */
#define GUARD_SIZE SZ_4K
/* Each case sends so many, that a driver which loses one now and then is caught. */
#define SENDS 100U
#define STORM_BYTES SZ_1M
/* No driver here takes more at once. */
#define LARGEST_BYTES SZ_4M
/* More than a device does while the other side of a test is being called. */
#define FLIGHT_BYTES SZ_8M
#define INIT_ROUNDS 5
/* Copies of random size, as many as fit into the time. */
#define RANDOM_COPIES 64
#define RANDOM_COPIES_MS 300

/**
 * struct bench - A device with its driver, and memory for it to copy.
 * @iommu: shared if there are two of them
 * @allocator: of IOVAs that every device of @iommu reaches
 * @device: the device
 * @buffer: the source of copies in the first half, their destination in the second
 */
struct bench {
	struct iommu *iommu;
	struct iova_allocator *allocator;
	struct vfio_pci_device *device;
	struct dma_region buffer;
};

/* @irq_index: the type of interrupt, -1 for the driver's choice. Return: why not, or NULL. */
static const char *driver_missing(struct bench *bench, int irq_index)
{
	struct vfio_pci_driver *driver = &bench->device->driver;
	const char *missing = vfio_pci_driver_missing(bench->device);

	if (missing)
		return missing;
	if (irq_index >= 0 && !(driver->irq_indexes & 1U << irq_index))
		return "the driver does not use this type of interrupt with this device";
	if (irq_index >= 0)
		driver->irq_index = irq_index;

	return NULL;
}

static const char *bench_open(struct bench *bench, const char *bdf, int irq_index)
{
	bench->device = vfio_pci_device_init(bdf, bench->iommu);
	return driver_missing(bench, irq_index);
}

static void bench_start(struct bench *bench)
{
	dma_region_setup(bench->iommu, bench->allocator, &bench->buffer, BUFFER_SIZE);
	vfio_pci_driver_start(bench->device, bench->allocator);
}

static void bench_close(struct bench *bench)
{
	vfio_pci_driver_stop(bench->device);
	dma_region_teardown(bench->iommu, &bench->buffer);
	vfio_pci_device_cleanup(bench->device);
}

static const char *bench_setup(struct bench *bench, const char *iommu_mode, int irq_index)
{
	const char *missing = test_iommu_mode_missing(iommu_mode);

	if (missing)
		return missing;

	bench->iommu = iommu_init(iommu_mode);
	missing = bench_open(bench, test_options.bdf, irq_index);
	if (missing)
		return missing;

	bench->allocator = iova_allocator_init(bench->iommu, bench->device->driver.dma_mask);
	bench_start(bench);
	return NULL;
}

static void bench_teardown(struct bench *bench)
{
	bench_close(bench);
	iova_allocator_cleanup(bench->allocator);
	iommu_cleanup(bench->iommu);
}

/* INTx stays masked after each interrupt until user space says otherwise. */
static void rearm(struct vfio_pci_device *device)
{
	if (device->driver.irq_index == VFIO_PCI_INTX_IRQ_INDEX)
		VFIO_ASSERT_EQ(__vfio_pci_irq_unmask(device, VFIO_PCI_INTX_IRQ_INDEX, 0), 0);
}

/* Vectors of the driver, but for @except, on which interrupts have arrived. They stay there. */
static u32 strays(struct vfio_pci_device *device, u32 except)
{
	const struct vfio_pci_driver *driver = &device->driver;
	struct pollfd *fds = calloc(driver->nr_msi, sizeof(*fds));
	int ready;

	VFIO_ASSERT_TRUE(fds || !driver->nr_msi);
	for (u32 i = 0; i < driver->nr_msi; i++) {
		u32 vector = driver->msi + i;

		fds[i].events = POLLIN;
		fds[i].fd = vector == except ? -1 :
			    vfio_pci_irq_eventfd(device, driver->irq_index, vector);
	}

	ready = poll(fds, driver->nr_msi, 0);
	VFIO_ASSERT_GE(ready, 0);
	free(fds);
	return ready;
}

static u32 strays_anywhere(struct vfio_pci_device *device)
{
	return strays(device, UINT32_MAX);
}

/* Sends one and returns how many arrived on the vector, or 1000 and more for any elsewhere. */
static u64 send_and_take(struct vfio_pci_device *device, u32 vector)
{
	u32 index = device->driver.irq_index;
	u64 taken;

	vfio_pci_driver_send_msi_vector(device, vector);
	taken = vfio_pci_irq_take(device, index, vector, IRQ_MS);
	rearm(device);
	deadline_settle_ms(STRAY_MS);
	taken += vfio_pci_irq_take(device, index, vector, 0);

	return taken + 1000 * strays(device, vector);
}

/* Copies ************************************************************************************/

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

static u64 count_differences(const u8 *bytes, const u8 *others, u64 size)
{
	u64 different = 0;

	for (u64 i = 0; i < size; i++)
		different += bytes[i] != others[i];

	return different;
}

static u8 *destination(struct bench *bench)
{
	return bench->buffer.vaddr + HALF;
}

/*
 * Starts a copy from @src within the first half of the buffer to @dst within the second, with
 * fresh contents in both.
 */
static int copy_start(struct bench *bench, u64 src, u64 dst, u64 size, u64 count)
{
	fill(bench->buffer.vaddr, HALF, test_random(0, 255));
	memset(destination(bench), 0xa5, HALF);
	return __vfio_pci_driver_memcpy_start(bench->device, bench->buffer.iova + src,
					      bench->buffer.iova + HALF + dst, size, count);
}

/* How many bytes of the buffer are not as copy_start() and the copy should have left them. */
static u64 copy_compare(struct bench *bench, u64 src, u64 dst, u64 size)
{
	const u8 *from = bench->buffer.vaddr, *to = destination(bench);
	u8 *unchanged = malloc(HALF);
	u64 wrong;

	VFIO_ASSERT_NOT_NULL(unchanged);
	fill(unchanged, HALF, from[0]);
	wrong = count_differences(from, unchanged, HALF);
	free(unchanged);

	wrong += count_differences(from + src, to + dst, size);
	wrong += count_bytes_other_than(to, dst, 0xa5);
	wrong += count_bytes_other_than(to + dst + size, HALF - dst - size, 0xa5);
	return wrong;
}

/* Copies @size bytes and returns how many bytes of the buffer are wrong then, or -errno. */
static s64 copy_and_compare(struct bench *bench, u64 src, u64 dst, u64 size)
{
	int ret = copy_start(bench, src, dst, size, 1);

	if (!ret)
		ret = vfio_pci_driver_memcpy_wait(bench->device);
	return ret ? ret : (s64)copy_compare(bench, src, dst, size);
}

/* What fits into a half of the buffer with room around it. */
static u64 largest_copy(const struct bench *bench)
{
	const struct vfio_pci_driver *driver = &bench->device->driver;
	u64 room = HALF - 2 * GUARD_SIZE;

	return min(driver->max_memcpy_size, room / driver->memcpy_align * driver->memcpy_align);
}

/* A copy that is still under way when this returns, unless the device is very fast. */
static int long_copy_start(struct bench *bench)
{
	u64 size = largest_copy(bench);

	return copy_start(bench, 0, 0, size,
			  min(bench->device->driver.max_memcpy_count, FLIGHT_BYTES / size + 1));
}

/* Overwrites the destination and returns how many bytes of it change then, by no one's leave. */
static u64 late_writes(struct bench *bench)
{
	memset(destination(bench), 0x3c, HALF);
	deadline_settle_ms(LATE_DMA_MS);
	return count_bytes_other_than(destination(bench), HALF, 0x3c);
}

static bool may_access_memory(struct vfio_pci_device *device)
{
	return vfio_pci_config_readw(device, PCI_COMMAND) & PCI_COMMAND_MASTER;
}

#define SKIP_WITHOUT_MSI(_device) do {							\
	if (!(_device)->driver.nr_msi)							\
		SKIP(return, "the driver cannot make this device raise an interrupt");	\
} while (0)

#define SKIP_WITHOUT_MEMCPY(_device) SKIP_IF_MISSING((_device)->driver.no_memcpy)

#define SKIP_WITHOUT_RESET(_device) do {						\
	if (!((_device)->info.flags & VFIO_DEVICE_FLAGS_RESET))				\
		SKIP(return, "the device has no reset method");				\
} while (0)

/* All that a driver can do still works. */
#define EXPECT_WORKING(_bench) do {							\
	struct vfio_pci_device *__device = (_bench)->device;				\
											\
	if (__device->driver.nr_msi) {							\
		EXPECT_EQ(1, send_and_take(__device, __device->driver.msi));		\
	}										\
	if (!__device->driver.no_memcpy) {						\
		EXPECT_EQ(0, copy_and_compare(_bench, 0, 0, largest_copy(_bench)));	\
	}										\
} while (0)

/* What the IOMMU mode matters to ************************************************************/

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

TEST_F(driver, init_and_remove_can_be_repeated)
{
	for (int i = 0; i < INIT_ROUNDS; i++) {
		vfio_pci_driver_remove(self->device);
		ASSERT_FALSE(may_access_memory(self->device));
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

TEST_F(driver, memcpy_and_interrupts_work_in_turn)
{
	u64 align = self->device->driver.memcpy_align;

	SKIP_WITHOUT_MEMCPY(self->device);
	ASSERT_EQ(0, copy_and_compare(&self->bench, align, 3 * align, align));
	EXPECT_EQ(0, strays_anywhere(self->device));
	EXPECT_WORKING(&self->bench);
	EXPECT_EQ(0, strays_anywhere(self->device));
}

/* Copies, in one mode ***********************************************************************/

FIXTURE(copy) {
	struct bench bench;
	struct vfio_pci_device *device;
};

FIXTURE_SETUP(copy)
{
	SKIP_IF_MISSING(bench_setup(&self->bench, test_iommu_mode(), -1));
	self->device = self->bench.device;
	SKIP_WITHOUT_MEMCPY(self->device);
}

FIXTURE_TEARDOWN(copy)
{
	bench_teardown(&self->bench);
}

/* Sizes from one unit of alignment to the largest, each a bit more than three times the last. */
TEST_F(copy, moves_exactly_the_bytes_it_was_told_to)
{
	u64 align = self->device->driver.memcpy_align, largest = largest_copy(&self->bench);
	u64 size = align;

	for (;;) {
		ASSERT_EQ(0, copy_and_compare(&self->bench, 3 * align, align, size))
			TH_LOG("%llu bytes", (unsigned long long)size);
		if (size == largest)
			break;
		size = size == largest - align ? largest : min(3 * size + align, largest - align);
	}
}

TEST_F(copy, moves_the_largest_piece_that_the_driver_takes)
{
	const struct vfio_pci_driver *driver = &self->device->driver;
	u64 limit = LARGEST_BYTES / driver->memcpy_align * driver->memcpy_align;
	u64 size = min(driver->max_memcpy_size, limit);
	struct dma_region region;
	u8 *from, *to;

	dma_region_setup(self->bench.iommu, self->bench.allocator, &region,
			 roundup_pow_of_two(2 * size + 4 * GUARD_SIZE));
	from = region.vaddr + GUARD_SIZE;
	to = region.vaddr + ALIGN(size + 2 * GUARD_SIZE, (u64)GUARD_SIZE);
	memset(region.vaddr, 0xa5, region.size);
	fill(from, size, test_random(0, 255));

	vfio_pci_driver_memcpy_start(self->device, to_iova(self->device, from),
				     to_iova(self->device, to), size, 1);
	ASSERT_EQ(0, vfio_pci_driver_memcpy_wait(self->device));
	EXPECT_EQ(0, count_differences(from, to, size));
	EXPECT_EQ(0, count_bytes_other_than(from - GUARD_SIZE, GUARD_SIZE, 0xa5));
	EXPECT_EQ(0, count_bytes_other_than(from + size, to - from - size, 0xa5));
	EXPECT_EQ(0, count_bytes_other_than(to + size, region.vaddr + region.size -
					    (void *)(to + size), 0xa5));
	dma_region_teardown(self->bench.iommu, &region);
}

TEST_F(copy, moves_random_pieces_from_and_to_anywhere)
{
	struct deadline deadline = deadline_after_ms(RANDOM_COPIES_MS);
	u64 align = self->device->driver.memcpy_align, largest = largest_copy(&self->bench);

	for (u32 i = 0; i < RANDOM_COPIES && !deadline_expired(&deadline); i++) {
		u64 size = test_random(1, test_random(1, largest / align)) * align;
		u64 src = test_random(0, (HALF - size) / align) * align;
		u64 dst = test_random(0, (HALF - size) / align) * align;

		ASSERT_EQ(0, copy_and_compare(&self->bench, src, dst, size))
			TH_LOG("copy %u: %#llx bytes from %#llx to %#llx", i,
			       (unsigned long long)size, (unsigned long long)src,
			       (unsigned long long)dst);
	}
}

TEST_F(copy, can_be_repeated_by_the_device_and_raises_no_interrupt)
{
	const struct vfio_pci_driver *driver = &self->device->driver;
	u64 size = largest_copy(&self->bench);
	u64 count = min(driver->max_memcpy_count, STORM_BYTES / size + 1);

	ASSERT_EQ(0, copy_start(&self->bench, 0, 0, size, count));
	ASSERT_EQ(0, vfio_pci_driver_memcpy_wait(self->device));
	EXPECT_EQ(0, copy_compare(&self->bench, 0, 0, size));
	EXPECT_EQ(0, strays_anywhere(self->device));
	EXPECT_WORKING(&self->bench);
	EXPECT_EQ(0, strays_anywhere(self->device));
}

/* Nothing happens before the doorbell is rung, which anybody may do. */
TEST_F(copy, a_prepared_one_begins_at_its_doorbell_and_ends_with_one_interrupt)
{
	const struct vfio_pci_driver *driver = &self->device->driver;
	u64 size = min(largest_copy(&self->bench), (u64)VFIO_PCI_MAX_PREPARED_SIZE);
	u32 vector = driver->msi + driver->nr_msi - 1;
	iova_t iova = self->bench.buffer.iova;
	struct vfio_pci_doorbell doorbell;

	if (!driver->ops->memcpy_prepare)
		SKIP(return, "the driver cannot say which register write starts a copy");
	for (int i = 0; i < 2; i++) {
		fill(self->bench.buffer.vaddr, HALF, test_random(0, 255));
		memset(destination(&self->bench), 0xa5, HALF);
		ASSERT_EQ(0, __vfio_pci_driver_memcpy_prepare(self->device, iova, iova + HALF, size,
							      vector, &doorbell));
		EXPECT_EQ(-EBUSY, __vfio_pci_driver_memcpy_start(self->device, iova, iova + HALF,
								 driver->memcpy_align, 1));
		deadline_settle_ms(LATE_DMA_MS);
		EXPECT_EQ(0, count_bytes_other_than(destination(&self->bench), HALF, 0xa5));
		EXPECT_EQ(0, strays_anywhere(self->device));

		vfio_pci_bar_writel(self->device, doorbell.bar, doorbell.offset, doorbell.value);
		EXPECT_EQ(1, vfio_pci_irq_take(self->device, driver->irq_index, vector, IRQ_MS));
		EXPECT_EQ(0, copy_compare(&self->bench, 0, 0, size));
		EXPECT_EQ(0, vfio_pci_driver_memcpy_wait(self->device));
	}
	EXPECT_WORKING(&self->bench);
	EXPECT_EQ(0, strays_anywhere(self->device));
}

TEST_F(copy, refuses_what_the_driver_says_it_cannot_do)
{
	const struct vfio_pci_driver *driver = &self->device->driver;
	iova_t src = self->bench.buffer.iova, dst = src + HALF;
	u64 align = driver->memcpy_align;

	EXPECT_EQ(-EINVAL, __vfio_pci_driver_memcpy_start(self->device, src, dst, 0, 1));
	EXPECT_EQ(-EINVAL, __vfio_pci_driver_memcpy_start(self->device, src, dst, align, 0));
	EXPECT_EQ(-EINVAL, __vfio_pci_driver_memcpy_start(self->device, src, dst,
							  driver->max_memcpy_size + align, 1));
	EXPECT_EQ(-EINVAL, __vfio_pci_driver_memcpy_start(self->device, src, dst, align,
							  driver->max_memcpy_count + 1));
	if (align > 1) {
		EXPECT_EQ(-EINVAL, __vfio_pci_driver_memcpy_start(self->device, src + 1, dst,
								  align, 1));
	}
	EXPECT_EQ(0, copy_and_compare(&self->bench, 0, 0, align));
}

TEST_F(copy, refuses_ranges_that_overlap)
{
	iova_t low = self->bench.buffer.iova;
	u64 align = self->device->driver.memcpy_align;
	iova_t high = low + align;

	EXPECT_EQ(-EINVAL, __vfio_pci_driver_memcpy_start(self->device, low, low, align, 1));
	EXPECT_EQ(-EINVAL, __vfio_pci_driver_memcpy_start(self->device, low, high, 2 * align, 1));
	EXPECT_EQ(-EINVAL, __vfio_pci_driver_memcpy_start(self->device, high, low, 2 * align, 1));
	/* These touch. */
	ASSERT_EQ(0, __vfio_pci_driver_memcpy_start(self->device, low, high, align, 1));
	EXPECT_EQ(0, vfio_pci_driver_memcpy_wait(self->device));
}

TEST_F(copy, keeps_everything_else_waiting)
{
	u64 align = self->device->driver.memcpy_align;
	iova_t src = self->bench.buffer.iova, dst = src + HALF;

	ASSERT_EQ(0, copy_start(&self->bench, 0, 0, align, 1));
	EXPECT_EQ(-EBUSY, __vfio_pci_driver_memcpy_start(self->device, src, dst, align, 1));
	if (self->device->driver.nr_msi) {
		EXPECT_EQ(-EBUSY, __vfio_pci_driver_send_msi_vector(self->device,
								    self->device->driver.msi));
	}
	EXPECT_EQ(0, vfio_pci_driver_memcpy_wait(self->device));
}

/* Not every device notices that its access was refused; so no error is asked for. */
TEST_F(copy, from_unmapped_memory_copies_nothing)
{
	iova_t unmapped = iova_allocator_alloc(self->bench.allocator, BUFFER_SIZE);
	u64 size = min(largest_copy(&self->bench), (u64)SZ_4K);
	u8 *dst = self->bench.buffer.vaddr;

	fill(dst + size, size, 1);
	memset(dst, 0, size);
	(void)vfio_pci_driver_memcpy(self->device, unmapped, to_iova(self->device, dst), size);
	EXPECT_NE(0, memcmp(dst, dst + size, size));
	EXPECT_EQ(0, strays_anywhere(self->device));
	EXPECT_WORKING(&self->bench);
}

TEST_F(copy, to_unmapped_memory_reaches_nothing_mapped)
{
	iova_t unmapped = iova_allocator_alloc(self->bench.allocator, BUFFER_SIZE);
	u64 size = min(largest_copy(&self->bench), (u64)SZ_4K);
	u8 *src = self->bench.buffer.vaddr;

	memset(src, 0x5a, BUFFER_SIZE);
	(void)vfio_pci_driver_memcpy(self->device, to_iova(self->device, src), unmapped, size);
	EXPECT_EQ(0, count_bytes_other_than(src, BUFFER_SIZE, 0x5a));
	EXPECT_EQ(0, strays_anywhere(self->device));
	EXPECT_WORKING(&self->bench);
}

/* Whether the copy fails or was done already is not asked; the wait has to end it either way. */
TEST_F(copy, interrupted_by_a_reset_is_over_after_the_wait)
{
	SKIP_WITHOUT_RESET(self->device);
	ASSERT_EQ(0, long_copy_start(&self->bench));
	vfio_pci_device_reset(self->device);
	(void)vfio_pci_driver_memcpy_wait(self->device);
	EXPECT_EQ(0, late_writes(&self->bench));

	vfio_pci_driver_remove(self->device);
	vfio_pci_driver_init(self->device);
	EXPECT_EQ(0, strays_anywhere(self->device));
	EXPECT_WORKING(&self->bench);
}

/*
 * The emulated devices have either written everything by then, or do not begin to before the next
 * step of their driver. Late writes are those of real ones.
 */
TEST_F(copy, is_over_when_the_driver_is_removed)
{
	ASSERT_EQ(0, long_copy_start(&self->bench));
	vfio_pci_driver_remove(self->device);
	EXPECT_FALSE(may_access_memory(self->device));
	EXPECT_EQ(0, late_writes(&self->bench));

	vfio_pci_driver_init(self->device);
	EXPECT_EQ(0, strays_anywhere(self->device));
	EXPECT_WORKING(&self->bench);
}

/* Each type of interrupt, in one mode *******************************************************/

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

TEST_F(irq_type, a_vector_out_of_range_is_refused)
{
	const struct vfio_pci_driver *driver = &self->device->driver;

	SKIP_WITHOUT_MSI(self->device);
	EXPECT_EQ(-EINVAL, __vfio_pci_driver_send_msi_vector(self->device,
							     driver->msi + driver->nr_msi));
	EXPECT_EQ(-EINVAL, __vfio_pci_driver_send_msi_vector(self->device, UINT32_MAX));
	EXPECT_EQ(0, strays_anywhere(self->device));
}

static void report_driver(const struct vfio_pci_driver *driver)
{
	char copies[32];

	snprintf(copies, sizeof(copies), "copies in units of %llu",
		 (unsigned long long)driver->memcpy_align);
	test_report("driver %s: %u vectors of %s from %u on, %s", driver->ops->name,
		    driver->nr_msi, vfio_pci_irq_index_name(driver->irq_index), driver->msi,
		    driver->no_memcpy ? driver->no_memcpy : copies);
}

TEST_F(irq_type, what_the_driver_states_makes_sense)
{
	const struct vfio_pci_driver *driver = &self->device->driver;

	report_driver(driver);
	EXPECT_LE(driver->msi + driver->nr_msi,
		  self->device->irq_info[driver->irq_index].count);
	EXPECT_EQ(!driver->nr_msi, !driver->ops->send_msi);
	EXPECT_NE(0, driver->memcpy_align);
	if (driver->no_memcpy) {
		EXPECT_EQ(0, driver->max_memcpy_size);
		EXPECT_EQ(0, driver->max_memcpy_count);
	} else {
		EXPECT_TRUE(driver->ops->memcpy_start && driver->ops->memcpy_wait);
		EXPECT_NE(0, driver->max_memcpy_size);
		EXPECT_EQ(0, driver->max_memcpy_size % driver->memcpy_align);
		EXPECT_NE(0, driver->max_memcpy_count);
	}
}

TEST_F(irq_type, the_driver_works_again_after_init_and_after_a_reset)
{
	SKIP_WITHOUT_MSI(self->device);
	if (variant->index == VFIO_PCI_INTX_IRQ_INDEX) {
		SKIP_IF_MISSING(test_intx_missing());
	}
	for (int i = 0; i < INIT_ROUNDS; i++) {
		if (i && self->device->info.flags & VFIO_DEVICE_FLAGS_RESET)
			vfio_pci_device_reset(self->device);
		vfio_pci_driver_remove(self->device);
		ASSERT_EQ(0, __vfio_pci_driver_init(self->device));
		ASSERT_EQ(1, send_and_take(self->device, self->device->driver.msi));
		ASSERT_EQ(0, strays_anywhere(self->device));
	}
}

/* Two devices *******************************************************************************/

/*
 * Opens another device that the user named besides ours, one with the same driver if there is
 * one: two of a kind show what a driver should keep per device and does not.
 */
static const char *peer_open(struct bench *bench, struct bench *peer)
{
	const char *names = getenv("VFIO_SELFTESTS_BDFS");
	char *list = strdup(names ? names : ""), *rest = list, *name;
	char found[PCI_BDF_SIZE] = "";

	VFIO_ASSERT_NOT_NULL(list);
	while ((name = strsep(&rest, " "))) {
		struct vfio_pci_device *device;

		if (!strcmp(name, bench->device->bdf) ||
		    __vfio_pci_device_init(name, bench->iommu, &device))
			continue;
		if (device->driver.irq_indexes &&
		    (!*found || device->driver.ops == bench->device->driver.ops))
			strcpy(found, device->bdf);
		vfio_pci_device_cleanup(device);
	}
	free(list);

	if (!*found)
		return "it takes a second device with a driver of ours: ./run.sh -d BDF -d BDF";
	return bench_open(peer, found, -1);
}

FIXTURE(two) {
	struct bench bench;
	struct bench peer;
};

FIXTURE_SETUP(two)
{
	struct bench *bench = &self->bench, *peer = &self->peer;

	SKIP_IF_MISSING(test_iommu_mode_missing(test_iommu_mode()));
	bench->iommu = iommu_init(test_iommu_mode());
	peer->iommu = bench->iommu;
	SKIP_IF_MISSING(bench_open(bench, test_options.bdf, -1));
	SKIP_IF_MISSING(peer_open(bench, peer));

	bench->allocator = iova_allocator_init(bench->iommu, min(bench->device->driver.dma_mask,
								 peer->device->driver.dma_mask));
	peer->allocator = bench->allocator;
	bench_start(bench);
	bench_start(peer);
}

FIXTURE_TEARDOWN(two)
{
	bench_close(&self->peer);
	bench_teardown(&self->bench);
}

TEST_F(two, send_msi_raises_no_interrupt_of_the_other_one)
{
	struct vfio_pci_device *device = self->bench.device, *other = self->peer.device;
	const struct vfio_pci_driver *driver = &device->driver;

	SKIP_WITHOUT_MSI(device);
	SKIP_WITHOUT_MSI(other);
	for (u32 i = 0; i < SENDS; i++) {
		ASSERT_EQ(1, send_and_take(device, driver->msi + i % driver->nr_msi));
		ASSERT_EQ(0, strays_anywhere(other));
		ASSERT_EQ(1, send_and_take(other, other->driver.msi + i % other->driver.nr_msi));
		ASSERT_EQ(0, strays_anywhere(device));
	}
}

TEST_F(two, memcpys_go_on_side_by_side)
{
	u64 size = largest_copy(&self->bench), peer_size = largest_copy(&self->peer);

	SKIP_WITHOUT_MEMCPY(self->bench.device);
	SKIP_WITHOUT_MEMCPY(self->peer.device);
	ASSERT_EQ(0, copy_start(&self->bench, 0, 0, size, 1));
	ASSERT_EQ(0, copy_start(&self->peer, 0, 0, peer_size, 1));
	EXPECT_EQ(0, vfio_pci_driver_memcpy_wait(self->peer.device));
	EXPECT_EQ(0, vfio_pci_driver_memcpy_wait(self->bench.device));
	EXPECT_EQ(0, copy_compare(&self->bench, 0, 0, size));
	EXPECT_EQ(0, copy_compare(&self->peer, 0, 0, peer_size));
}

TEST_F(two, removing_one_leaves_the_other_alone)
{
	vfio_pci_driver_remove(self->peer.device);
	EXPECT_WORKING(&self->bench);
	vfio_pci_driver_init(self->peer.device);
	EXPECT_WORKING(&self->peer);
}

/* A virtual function ************************************************************************/

/* Opens a function of an SR-IOV device, where the first one decides about the token. */
static void function_open(struct bench *bench, const char *bdf)
{
	static const struct vf_token token = { "between the two" };
	int ret = __vfio_pci_device_init_token(bdf, bench->iommu, &token, &bench->device);

	/* The character device takes tokens from Linux 6.17 on. */
	if (ret == -EINVAL)
		ret = __vfio_pci_device_init(bdf, bench->iommu, &bench->device);
	VFIO_ASSERT_EQ(ret, 0, "cannot open %s: %s", bdf, strerror(-ret));
}

FIXTURE(vf) {
	struct bench pf;
	struct bench vf;
	struct sriov sriov;
};

FIXTURE_SETUP(vf)
{
	struct bench *pf = &self->pf, *vf = &self->vf;
	char bdf[PCI_BDF_SIZE];

	SKIP_IF_MISSING(test_iommu_mode_missing(test_iommu_mode()));
	SKIP_IF_MISSING(sriov_missing(test_options.bdf));
	sriov_enable(&self->sriov, test_options.bdf, 1);
	ASSERT_EQ(0, sriov_vf(test_options.bdf, 0, bdf));

	pf->iommu = iommu_init(test_iommu_mode());
	vf->iommu = pf->iommu;
	function_open(pf, test_options.bdf);
	SKIP_IF_MISSING(driver_missing(pf, -1));
	pf->allocator = iova_allocator_init(pf->iommu, pf->device->driver.dma_mask);
	vf->allocator = pf->allocator;
	bench_start(pf);

	function_open(vf, bdf);
	SKIP_IF_MISSING(driver_missing(vf, -1));
	bench_start(vf);
}

FIXTURE_TEARDOWN(vf)
{
	bench_close(&self->vf);
	bench_teardown(&self->pf);
	sriov_disable(&self->sriov);
}

TEST_F(vf, send_msi_raises_exactly_one_on_its_vector_and_none_of_the_pf)
{
	const struct vfio_pci_driver *driver = &self->vf.device->driver;

	SKIP_WITHOUT_MSI(self->vf.device);
	for (u32 i = 0; i < SENDS; i++) {
		u32 vector = driver->msi + i % driver->nr_msi;

		ASSERT_EQ(1, send_and_take(self->vf.device, vector))
			TH_LOG("vector %u, send %u", vector, i);
		ASSERT_EQ(0, strays_anywhere(self->pf.device));
	}
	EXPECT_EQ(1, send_and_take(self->pf.device, self->pf.device->driver.msi));
	EXPECT_EQ(0, strays_anywhere(self->vf.device));
}

TEST_F(vf, init_and_remove_can_be_repeated_and_leave_the_pf_alone)
{
	for (int i = 0; i < INIT_ROUNDS; i++) {
		vfio_pci_driver_remove(self->vf.device);
		ASSERT_FALSE(may_access_memory(self->vf.device));
		ASSERT_EQ(1, send_and_take(self->pf.device, self->pf.device->driver.msi));
		ASSERT_EQ(0, __vfio_pci_driver_init(self->vf.device));
		EXPECT_WORKING(&self->vf);
	}
}

TEST_F(vf, it_works_again_after_a_reset_and_after_one_of_the_pf)
{
	SKIP_WITHOUT_RESET(self->vf.device);
	vfio_pci_device_reset(self->vf.device);
	vfio_pci_driver_remove(self->vf.device);
	vfio_pci_driver_init(self->vf.device);
	EXPECT_WORKING(&self->vf);

	vfio_pci_driver_remove(self->pf.device);
	EXPECT_NE(0, __vfio_pci_driver_send_msi_vector(self->vf.device,
						       self->vf.device->driver.msi));
	vfio_pci_driver_init(self->pf.device);
	vfio_pci_driver_remove(self->vf.device);
	vfio_pci_driver_init(self->vf.device);
	EXPECT_WORKING(&self->vf);
}

TEST_PROGRAM(NEEDS_DEVICE, "device drivers of ours keep the promises of their operations")
