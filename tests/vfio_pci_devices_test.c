// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two devices share an address space, or have one each, and reach each other where they may.
 *
 * In one container or IOAS both see the same memory, also what was mapped before the second one
 * came, and each keeps its interrupts to itself; one that leaves does not take from the other. In
 * different ones the same address is different memory to each, which only devices of different
 * IOMMU groups can have: of one group the second is refused. Where a BAR can be mapped for DMA
 * one device reads and writes the registers of the other.
 *
 * Bug classes: groups opened or closed once per device, a domain that the second device does not
 * get, address spaces mixed up, interrupts that end at the other device's eventfd. Needs two
 * devices bound to vfio-pci, of one group or of two; what they do is up to our drivers for them.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kernel.h>
#include <linux/sizes.h>

#include <libvfio/deadline.h>
#include <libvfio/dma_region.h>
#include <libvfio/sysfs.h>
#include <tests/harness.h>

#define NR_DEVICES 2
#define BUFFER_SIZE SZ_64K
#define COPY_SIZE SZ_4K
/* What any device of ours reaches. */
#define ANYBODYS_IOVA (SZ_256M - 1)
#define IRQ_MS 2000
/* A second interrupt would follow the first at once. */
#define STRAY_MS 1

FIXTURE(pair) {
	struct iommu *iommus[NR_DEVICES];
	struct vfio_pci_device *devices[NR_DEVICES];
	struct iova_allocator *allocator;
	struct dma_region buffer;
};

FIXTURE_VARIANT_IOMMU_MODE(pair);

#define PAIR_VARIANT(_mode)								\
FIXTURE_VARIANT_ADD(pair, _mode) { .iommu_mode = #_mode };
FOR_EACH_IOMMU_MODE(PAIR_VARIANT)

static const char *bdf_of(int i)
{
	return i ? test_options.second_bdf : test_options.bdf;
}

static void open_device(FIXTURE_DATA(pair) *self, int i, struct iommu *iommu)
{
	self->devices[i] = vfio_pci_device_init(bdf_of(i), iommu);
}

static void close_device(FIXTURE_DATA(pair) *self, int i)
{
	if (!self->devices[i])
		return;

	if (self->devices[i]->driver.initialized)
		vfio_pci_driver_stop(self->devices[i]);
	vfio_pci_device_cleanup(self->devices[i]);
	self->devices[i] = NULL;
}

/* Device 0 with a mapped buffer. Device 1 is the business of each case. */
FIXTURE_SETUP(pair)
{
	SKIP_IF_MISSING(test_second_device_missing());
	SKIP_IF_MISSING(test_iommu_mode_missing(variant->iommu_mode));
	self->iommus[0] = iommu_init(variant->iommu_mode);
	open_device(self, 0, self->iommus[0]);
	self->allocator = iova_allocator_init(self->iommus[0], ANYBODYS_IOVA);
	dma_region_setup(self->iommus[0], self->allocator, &self->buffer, BUFFER_SIZE);
}

FIXTURE_TEARDOWN(pair)
{
	close_device(self, 1);
	dma_region_teardown(self->iommus[0], &self->buffer);
	iova_allocator_cleanup(self->allocator);
	close_device(self, 0);
	if (self->iommus[1])
		iommu_cleanup(self->iommus[1]);
	iommu_cleanup(self->iommus[0]);
}

/* Starts the driver of a device, if we have one that can use it. Return: whether it runs. */
static bool start_driver(FIXTURE_DATA(pair) *self, int i)
{
	struct vfio_pci_device *device = self->devices[i];

	if (vfio_pci_driver_missing(device))
		return false;

	vfio_pci_driver_start(device, self->allocator);
	return true;
}

static bool can_copy(const struct vfio_pci_device *device)
{
	return device->driver.initialized && !device->driver.no_memcpy;
}

static void fill(void *memory, u64 size, u32 seed)
{
	u8 *bytes = memory;

	for (u64 i = 0; i < size; i++)
		bytes[i] = seed + i * 7 + (i >> 8);
}

/* Makes a device copy within the buffer. Return: whether all bytes arrived. */
static bool copies(FIXTURE_DATA(pair) *self, int i)
{
	u64 size = min(self->devices[i]->driver.max_memcpy_size, (u64)COPY_SIZE);
	void *src = self->buffer.vaddr, *dst = src + BUFFER_SIZE / 2;

	fill(src, size, test_random(0, 255));
	memset(dst, 0, size);
	return !vfio_pci_driver_memcpy(self->devices[i], self->buffer.iova,
				       self->buffer.iova + BUFFER_SIZE / 2, size) &&
	       !memcmp(src, dst, size);
}

static u64 take_all(struct vfio_pci_device *device)
{
	const struct vfio_pci_driver *driver = &device->driver;
	u64 taken = 0;

	for (u32 i = 0; driver->initialized && i < driver->nr_msi; i++)
		taken += vfio_pci_irq_take(device, driver->irq_index, driver->msi + i, 0);

	return taken;
}

/* One interrupt of each vector of a device. Return: those that got lost or went elsewhere. */
static u64 wrong_interrupts(FIXTURE_DATA(pair) *self, int i)
{
	struct vfio_pci_device *device = self->devices[i], *other = self->devices[!i];
	struct vfio_pci_driver *driver = &device->driver;
	u64 wrong = 0;

	for (u32 vector = driver->msi; vector < driver->msi + driver->nr_msi; vector++) {
		vfio_pci_driver_send_msi_vector(device, vector);
		wrong += vfio_pci_irq_take(device, driver->irq_index, vector, IRQ_MS) != 1;
	}
	deadline_settle_ms(STRAY_MS);
	return wrong + take_all(device) + (other ? take_all(other) : 0);
}

/* What a device can do, it does. Return: what went wrong. */
static const char *exercise(FIXTURE_DATA(pair) *self, int i)
{
	struct vfio_pci_device *device = self->devices[i];

	if (can_copy(device) && !copies(self, i))
		return "a copy did not arrive";
	if (device->driver.initialized && device->driver.irq_index != VFIO_PCI_INTX_IRQ_INDEX &&
	    wrong_interrupts(self, i))
		return "an interrupt got lost or went elsewhere";

	return "";
}

TEST_F(pair, both_use_one_address_space_and_either_may_leave)
{
	bool running = start_driver(self, 0);

	/* The buffer is older than the second device's part in the address space. */
	open_device(self, 1, self->iommus[0]);
	running |= start_driver(self, 1);
	if (!running)
		SKIP(return, "no driver of ours supports either device");
	EXPECT_STREQ("", exercise(self, 0));
	EXPECT_STREQ("", exercise(self, 1));

	close_device(self, 1);
	EXPECT_STREQ("", exercise(self, 0));

	open_device(self, 1, self->iommus[0]);
	start_driver(self, 1);
	close_device(self, 0);
	EXPECT_STREQ("", exercise(self, 1));

	open_device(self, 0, self->iommus[0]);
	start_driver(self, 0);
	EXPECT_STREQ("", exercise(self, 0));
	EXPECT_STREQ("", exercise(self, 1));
}

static bool same_group(void)
{
	return sysfs_iommu_group(bdf_of(0)) == sysfs_iommu_group(bdf_of(1));
}

/*
 * A group's devices can reach each other past the IOMMU, so they go together: the group cannot
 * be opened twice, a second iommufd is not its owner, and a second IOAS is not what it is
 * attached to.
 */
TEST_F(pair, devices_of_one_group_cannot_have_different_address_spaces)
{
	bool native = self->iommus[0]->iommufd >= 0;

	if (!same_group())
		SKIP(return, "the devices are of different IOMMU groups");

	self->iommus[1] = iommu_init(variant->iommu_mode);
	EXPECT_EQ(native ? -EPERM : -EBUSY,
		  __vfio_pci_device_init(bdf_of(1), self->iommus[1], &self->devices[1]));

	/* The attempt changed nothing. */
	open_device(self, 1, self->iommus[0]);
}

TEST_F(pair, one_address_is_different_memory_in_different_address_spaces)
{
	struct dma_region other = { .size = BUFFER_SIZE, .iova = self->buffer.iova };
	struct dma_region driver_region;

	if (same_group())
		SKIP(return, "devices of one IOMMU group share an address space");

	self->iommus[1] = iommu_init(variant->iommu_mode);
	open_device(self, 1, self->iommus[1]);
	start_driver(self, 0);
	start_driver(self, 1);
	if (!can_copy(self->devices[0]) || !can_copy(self->devices[1]))
		SKIP(return, "it takes two devices that our drivers can make copy memory");

	driver_region = self->buffer;
	other.vaddr = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			   -1, 0);
	ASSERT_NE(MAP_FAILED, other.vaddr);
	iommu_map(self->iommus[1], &other);

	EXPECT_TRUE(copies(self, 0));
	EXPECT_EQ(0, *(u8 *)other.vaddr || memcmp(other.vaddr, other.vaddr + 1, BUFFER_SIZE - 1));

	/* The same case from the other side. */
	memset(self->buffer.vaddr, 0, BUFFER_SIZE);
	self->buffer = other;
	EXPECT_TRUE(copies(self, 1));
	self->buffer = driver_region;
	EXPECT_EQ(0, *(u8 *)self->buffer.vaddr ||
		  memcmp(self->buffer.vaddr, self->buffer.vaddr + 1, BUFFER_SIZE - 1));

	iommu_unmap(self->iommus[1], &other);
}

/* Maps the page of a BAR that has these registers in it: by its address, or as a dma-buf. */
static int map_registers(FIXTURE_DATA(pair) *self, int i, struct vfio_pci_registers registers,
			 struct dma_region *page)
{
	struct vfio_pci_device *device = self->devices[i];
	u64 offset = round_down(registers.offset, SZ_4K);
	int fd, ret;

	*page = (struct dma_region){
		.size = SZ_4K,
		.iova = iova_allocator_alloc(self->allocator, SZ_4K),
	};
	fd = vfio_pci_bar_dma_buf(device, registers.bar, offset, SZ_4K);
	if (fd < 0 || self->iommus[0]->iommufd < 0) {
		if (fd >= 0)
			close(fd);
		page->vaddr = device->bars[registers.bar].vaddr + offset;
		return __iommu_map(self->iommus[0], page);
	}

	ret = __iommu_map_file(self->iommus[0], page, fd, 0);
	close(fd);
	return ret;
}

/* Whether device @i can copy to or from these registers of the other one. */
static bool can_reach(FIXTURE_DATA(pair) *self, int i, struct vfio_pci_registers registers)
{
	const struct vfio_pci_device *device = self->devices[i], *peer = self->devices[!i];

	return can_copy(device) && registers.size && peer->bars[registers.bar].vaddr &&
	       (registers.offset | registers.size) % device->driver.memcpy_align == 0;
}

/* Device @i reads what never changes. Return: whether it got what the CPU reads. */
static bool peer_reads(FIXTURE_DATA(pair) *self, int i, iova_t from)
{
	struct vfio_pci_device *peer = self->devices[!i];
	struct vfio_pci_registers registers = peer->driver.constant;
	u64 expected = 0;

	for (u32 offset = 0; offset < registers.size; offset += sizeof(u32))
		((u32 *)&expected)[offset / sizeof(u32)] =
			vfio_pci_bar_readl(peer, registers.bar, registers.offset + offset);
	memset(self->buffer.vaddr, 0, sizeof(expected));
	return !vfio_pci_driver_memcpy(self->devices[i], from + registers.offset % SZ_4K,
				       self->buffer.iova, registers.size) &&
	       expected && !memcmp(self->buffer.vaddr, &expected, registers.size);
}

/* Device @i writes where it does no harm. Return: whether the CPU reads it there. */
static bool peer_writes(FIXTURE_DATA(pair) *self, int i, iova_t to)
{
	struct vfio_pci_device *peer = self->devices[!i];
	struct vfio_pci_registers registers = peer->driver.scratch;
	u32 value = test_random(1, INT32_MAX);

	memset(self->buffer.vaddr, 0, sizeof(u64));
	*(u32 *)self->buffer.vaddr = value;
	return !vfio_pci_driver_memcpy(self->devices[i], self->buffer.iova,
				       to + registers.offset % SZ_4K, registers.size) &&
	       vfio_pci_bar_readl(peer, registers.bar, registers.offset) == value;
}

TEST_F(pair, one_device_reaches_the_registers_of_the_other)
{
	struct dma_region page;
	u32 reads = 0, writes = 0;
	int ret;

	open_device(self, 1, self->iommus[0]);
	start_driver(self, 0);
	start_driver(self, 1);

	for (int i = 0; i < NR_DEVICES; i++) {
		const struct vfio_pci_driver *peer = &self->devices[!i]->driver;

		if (can_reach(self, i, peer->constant)) {
			ret = map_registers(self, !i, peer->constant, &page);
			if (ret == -EFAULT && strncmp(variant->iommu_mode, "vfio_", 5))
				SKIP(return, "iommufd maps no BAR by its address, and there is no "
				     "dma-buf of it or none is taken in this mode");
			ASSERT_EQ(0, ret);
			EXPECT_TRUE(peer_reads(self, i, page.iova));
			iommu_unmap(self->iommus[0], &page);
			reads++;
		}
		if (can_reach(self, i, peer->scratch)) {
			ASSERT_EQ(0, map_registers(self, !i, peer->scratch, &page));
			EXPECT_TRUE(peer_writes(self, i, page.iova));
			iommu_unmap(self->iommus[0], &page);
			writes++;
		}
	}
	if (!reads && !writes)
		SKIP(return, "neither device can copy so few bytes to or from the other");
	test_report("%s and %s: %u reads and %u writes from device to device", bdf_of(0), bdf_of(1),
		    reads, writes);
}

TEST_PROGRAM(NEEDS_TWO_DEVICES,
	     "two devices in one address space, in two, in one IOMMU group, and peer to peer")
