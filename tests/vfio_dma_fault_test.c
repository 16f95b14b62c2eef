// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device reaches the memory that is mapped for it, the way it is mapped, and no other.
 *
 * DMA to what is not mapped, no longer mapped, or mapped for reading only changes nothing and
 * raises no interrupt; the kernel's log tells of it, and of no other device. A reset in the
 * middle of DMA ends it. What the process gets back after all is its memory as it left it.
 *
 * Bug classes: stale IOTLB entries after an unmap, lost permissions, faults blamed on another
 * device, DMA that outlives a reset, pages that stay pinned. Devices do not have to notice that
 * an access was refused, and few do; so memory and log are asked, not the device.
 *
 * Needs a device bound to vfio-pci that a driver of ours can make copy memory.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kernel.h>
#include <linux/sizes.h>

#include <libvfio/deadline.h>
#include <libvfio/dma_region.h>
#include <tests/harness.h>

#define BUFFER_SIZE SZ_64K
#define COPY_SIZE SZ_4K
#define UNMAP_ROUNDS 3
/* How long a line of the kernel's log takes, and so often to try. */
#define LOG_MS 500
#define LOG_TRIES 13
/* A transfer that a reset did not end would be over by then. */
#define LATE_DMA_MS 150
#define FIRST_COPY_MS 2000

FIXTURE(fault) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct iova_allocator *allocator;
	struct dma_region buffer;
	u64 size;
};

FIXTURE_VARIANT_IOMMU_MODE(fault);

#define FAULT_VARIANT(_mode)								\
FIXTURE_VARIANT_ADD(fault, _mode) { .iommu_mode = #_mode };
FOR_EACH_IOMMU_MODE(FAULT_VARIANT)

FIXTURE_SETUP(fault)
{
	struct vfio_pci_driver *driver;

	SKIP_IF_MISSING(test_iommu_mode_missing(variant->iommu_mode));
	self->iommu = iommu_init(variant->iommu_mode);
	self->device = vfio_pci_device_init(test_options.bdf, self->iommu);
	driver = &self->device->driver;
	SKIP_IF_MISSING(vfio_pci_driver_missing(self->device));

	self->allocator = iova_allocator_init(self->iommu, driver->dma_mask);
	dma_region_setup(self->iommu, self->allocator, &self->buffer, BUFFER_SIZE);
	vfio_pci_driver_start(self->device, self->allocator);
	SKIP_IF_MISSING(driver->no_memcpy);
	self->size = min(driver->max_memcpy_size, (u64)COPY_SIZE);
}

FIXTURE_TEARDOWN(fault)
{
	vfio_pci_driver_stop(self->device);
	dma_region_teardown(self->iommu, &self->buffer);
	iova_allocator_cleanup(self->allocator);
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

static void fill(void *memory, u64 size, u32 seed)
{
	u8 *bytes = memory;

	for (u64 i = 0; i < size; i++)
		bytes[i] = seed + i * 7 + (i >> 8);
}

/* Bytes of a part of what was filled that are not as fill() left them. */
static u64 differences(const void *memory, u64 offset, u64 size, u32 seed)
{
	const u8 *bytes = memory;
	u64 different = 0;

	for (u64 i = offset; i < offset + size; i++)
		different += bytes[i] != (u8)(seed + i * 7 + (i >> 8));

	return different;
}

/* Copies between any two IOVAs; whether the device noticed that it went wrong is its affair. */
static void copy(FIXTURE_DATA(fault) *self, iova_t src, iova_t dst)
{
	(void)vfio_pci_driver_memcpy(self->device, src, dst, self->size);
}

/* Interrupts that came on any vector; there is no reason for one in the whole program. */
static u64 take_interrupts(FIXTURE_DATA(fault) *self)
{
	const struct vfio_pci_driver *driver = &self->device->driver;
	u64 taken = 0;

	for (u32 vector = driver->msi; vector < driver->msi + driver->nr_msi; vector++)
		taken += vfio_pci_irq_take(self->device, driver->irq_index, vector, 0);

	return taken;
}

/* The device copies the first part of the buffer to the second. Return: bytes that are wrong. */
static u64 copy_within_buffer(FIXTURE_DATA(fault) *self)
{
	u32 seed = test_random(0, 255);

	fill(self->buffer.vaddr, self->size, seed);
	memset(self->buffer.vaddr + BUFFER_SIZE / 2, 0, self->size);
	if (vfio_pci_driver_memcpy(self->device, self->buffer.iova,
				   self->buffer.iova + BUFFER_SIZE / 2, self->size))
		return self->size;

	return differences(self->buffer.vaddr + BUFFER_SIZE / 2, 0, self->size, seed);
}

TEST_F(fault, what_is_not_mapped_is_neither_read_nor_written)
{
	/* Between its neighbours in memory, of which a copy that runs over would hit one. */
	iova_t hole = iova_allocator_alloc(self->allocator, 4 * BUFFER_SIZE) + BUFFER_SIZE;
	struct dma_region below = { .size = BUFFER_SIZE, .iova = hole - BUFFER_SIZE };
	struct dma_region above = { .size = BUFFER_SIZE, .iova = hole + BUFFER_SIZE };
	u8 *memory = mmap(NULL, 3 * BUFFER_SIZE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)memory);
	below.vaddr = memory;
	above.vaddr = memory + 2 * BUFFER_SIZE;
	fill(memory, 3 * BUFFER_SIZE, 1);
	iommu_map(self->iommu, &below);
	iommu_map(self->iommu, &above);

	fill(self->buffer.vaddr, BUFFER_SIZE, 2);
	copy(self, self->buffer.iova, hole);
	EXPECT_EQ(0, differences(memory, 0, 3 * BUFFER_SIZE, 1));
	EXPECT_EQ(0, differences(self->buffer.vaddr, 0, BUFFER_SIZE, 2));

	/* What a device makes of a read that failed is not memory of ours, and only @size bytes. */
	copy(self, hole, self->buffer.iova);
	EXPECT_NE(0, memcmp(self->buffer.vaddr, memory + BUFFER_SIZE, self->size));
	EXPECT_EQ(0, differences(self->buffer.vaddr, self->size, BUFFER_SIZE - self->size, 2));
	EXPECT_EQ(0, take_interrupts(self));
	EXPECT_EQ(0, copy_within_buffer(self));

	iommu_unmap(self->iommu, &above);
	iommu_unmap(self->iommu, &below);
	munmap(memory, 3 * BUFFER_SIZE);
}

TEST_F(fault, memory_mapped_for_reading_is_read_but_not_written)
{
	struct dma_region region = { .size = BUFFER_SIZE, .flags = DMA_REGION_READ };

	region.vaddr = mmap(NULL, region.size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, region.vaddr);
	region.iova = iova_allocator_alloc(self->allocator, region.size);
	iommu_map(self->iommu, &region);

	fill(region.vaddr, region.size, 3);
	copy(self, region.iova, self->buffer.iova);
	EXPECT_EQ(0, memcmp(self->buffer.vaddr, region.vaddr, self->size));

	memset(self->buffer.vaddr, 0, self->size);
	copy(self, self->buffer.iova, region.iova);
	EXPECT_EQ(0, differences(region.vaddr, 0, region.size, 3));
	EXPECT_EQ(0, take_interrupts(self));
	EXPECT_EQ(0, copy_within_buffer(self));

	iommu_unmap(self->iommu, &region);
	munmap(region.vaddr, region.size);
}

/*
 * The device has just used the address, so that the IOTLB knows it, when the memory is taken
 * away from there; and then there is other memory at the same address.
 */
TEST_F(fault, unmapped_memory_is_out_of_reach_at_once)
{
	iova_t iova = iova_allocator_alloc(self->allocator, BUFFER_SIZE);
	struct dma_region regions[2];

	for (int i = 0; i < 2; i++) {
		regions[i] = (struct dma_region){ .iova = iova, .size = BUFFER_SIZE };
		regions[i].vaddr = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, regions[i].vaddr);
	}

	for (int round = 0; round < UNMAP_ROUNDS; round++) {
		struct dma_region *now = &regions[round % 2], *before = &regions[(round + 1) % 2];

		memset(now->vaddr, 0, BUFFER_SIZE);
		memset(before->vaddr, 0, BUFFER_SIZE);
		fill(self->buffer.vaddr, self->size, round);
		iommu_map(self->iommu, now);
		copy(self, self->buffer.iova, iova);
		EXPECT_EQ(0, differences(now->vaddr, 0, self->size, round));
		EXPECT_EQ(0, *(u8 *)before->vaddr || memcmp(before->vaddr, before->vaddr + 1,
							    BUFFER_SIZE - 1));

		iommu_unmap(self->iommu, now);
		memset(now->vaddr, 0, self->size);
		copy(self, self->buffer.iova, iova);
		EXPECT_EQ(0, *(u8 *)now->vaddr || memcmp(now->vaddr, now->vaddr + 1,
							 BUFFER_SIZE - 1));
	}
	EXPECT_EQ(0, take_interrupts(self));
	EXPECT_EQ(0, copy_within_buffer(self));

	munmap(regions[0].vaddr, BUFFER_SIZE);
	munmap(regions[1].vaddr, BUFFER_SIZE);
}

/*
 * struct fault_log - What the kernel's log says of faults at an address.
 * @fd: /dev/kmsg, from the time of fault_log_open() on
 * @ours: lines that name our device
 * @others: lines that name any other
 */
struct fault_log {
	int fd;
	u32 ours;
	u32 others;
};

static const char *fault_log_open(struct fault_log *log)
{
	*log = (struct fault_log){ .fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC) };
	if (log->fd < 0 || lseek(log->fd, 0, SEEK_END) < 0)
		return "the kernel's log, /dev/kmsg, cannot be read";

	return NULL;
}

/*
 * "DMAR: [DMA Write NO_PASID] Request device [01:00.0] fault addr 0x1000 [fault reason ..." or
 * "AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:01:00.0 domain=... address=0x1000 ...".
 */
static bool is_fault_at(const char *line, iova_t iova, u64 size)
{
	const char *address = strstr(line, "fault addr ");

	if (!address && strstr(line, "IO_PAGE_FAULT"))
		address = strstr(line, "address=");
	if (!address)
		return false;

	while (*address && !isdigit(*address))
		address++;
	return strtoull(address, NULL, 0) - iova < size;
}

static bool fault_log_read(struct fault_log *log, const char *bdf, iova_t iova, u64 size)
{
	char record[8192];
	ssize_t length;

	for (;;) {
		length = read(log->fd, record, sizeof(record) - 1);
		/* Older records were overwritten before they were read. */
		if (length < 0 && errno == EPIPE)
			continue;
		if (length <= 0)
			return log->ours + log->others;

		record[length] = '\0';
		if (!is_fault_at(record, iova, size))
			continue;
		/* VT-d leaves out the segment. */
		if (strstr(record, strchr(bdf, ':') + 1))
			log->ours++;
		else
			log->others++;
	}
}

/* The kernel logs ten faults in five seconds, whoever caused them; so it is tried for longer. */
TEST_F(fault, the_kernel_logs_a_fault_of_this_device_and_of_no_other)
{
	/* What the lab says of its emulation. */
	const char *missing = getenv("KVM_VFIO_TESTS_NO_FAULT_LOG");
	iova_t hole = iova_allocator_alloc(self->allocator, BUFFER_SIZE);
	int tries = missing ? 1 : LOG_TRIES;
	struct fault_log log;
	bool logged = false;

	SKIP_IF_MISSING(fault_log_open(&log));
	for (int i = 0; i < tries && !logged; i++) {
		copy(self, self->buffer.iova, hole);
		logged = wait_for(fault_log_read(&log, self->device->bdf, hole, BUFFER_SIZE),
				  LOG_MS);
	}
	close(log.fd);

	if (!logged && missing)
		SKIP(return, "no fault was logged: %s", missing);
	EXPECT_LT(0, log.ours);
	EXPECT_EQ(0, log.others);
}

static void *wait_for_copies(void *device)
{
	return (void *)(intptr_t)vfio_pci_driver_memcpy_wait(device);
}

/*
 * A copy is of many operations of some devices, so one thread lets the device go on copying while
 * the other resets it after the first copy has arrived.
 */
TEST_F(fault, a_reset_in_the_middle_of_dma_harms_nothing_else)
{
	u8 *dst = self->buffer.vaddr + BUFFER_SIZE / 2;
	pthread_t copying;

	if (!(self->device->info.flags & VFIO_DEVICE_FLAGS_RESET))
		SKIP(return, "the device has no reset method");

	fill(self->buffer.vaddr, BUFFER_SIZE, 4);
	dst[0] = ~*(u8 *)self->buffer.vaddr;
	vfio_pci_driver_memcpy_start(self->device, self->buffer.iova,
				     self->buffer.iova + BUFFER_SIZE / 2, self->size,
				     self->device->driver.max_memcpy_count);
	ASSERT_EQ(0, pthread_create(&copying, NULL, wait_for_copies, self->device));
	EXPECT_TRUE(wait_for(*(volatile u8 *)dst == *(u8 *)self->buffer.vaddr, FIRST_COPY_MS));
	vfio_pci_device_reset(self->device);
	ASSERT_EQ(0, pthread_join(copying, NULL));

	/* The driver says that no DMA is in flight any more. */
	fill(dst, BUFFER_SIZE / 2, 5);
	deadline_settle_ms(LATE_DMA_MS);
	EXPECT_EQ(0, differences(dst, 0, BUFFER_SIZE / 2, 5));
	EXPECT_EQ(0, differences(self->buffer.vaddr, 0, BUFFER_SIZE / 2, 4));
	EXPECT_EQ(0, take_interrupts(self));

	vfio_pci_driver_remove(self->device);
	vfio_pci_driver_init(self->device);
	EXPECT_EQ(0, copy_within_buffer(self));
}

TEST_F(fault, memory_comes_back_as_the_device_left_it)
{
	struct dma_region region;

	dma_region_setup(self->iommu, self->allocator, &region, BUFFER_SIZE);
	fill(region.vaddr, BUFFER_SIZE, 6);
	fill(self->buffer.vaddr, self->size, 7);
	copy(self, self->buffer.iova, region.iova + COPY_SIZE);
	iommu_unmap(self->iommu, &region);

	EXPECT_EQ(0, differences(region.vaddr, 0, COPY_SIZE, 6));
	EXPECT_EQ(0, memcmp(region.vaddr + COPY_SIZE, self->buffer.vaddr, self->size));
	EXPECT_EQ(0, differences(region.vaddr, COPY_SIZE + self->size,
				 BUFFER_SIZE - COPY_SIZE - self->size, 6));

	/* It is this process's again: writing to it has its usual effect, and the device none. */
	fill(region.vaddr, BUFFER_SIZE, 8);
	copy(self, self->buffer.iova, region.iova);
	EXPECT_EQ(0, differences(region.vaddr, 0, BUFFER_SIZE, 8));
	EXPECT_EQ(0, munmap(region.vaddr, BUFFER_SIZE));
}

TEST_PROGRAM(NEEDS_DEVICE, "a device reaches the memory mapped for it and no other; faults are logged")
