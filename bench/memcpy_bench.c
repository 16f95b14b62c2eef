// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bytes per second that a device copies for its driver. The same program is linked with our
 * library and, as WITH_UPSTREAM, with that of the kernel's selftests, whose names it has: what
 * scripts/bench-memcpy compares is the drivers alone.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifdef WITH_UPSTREAM
#include <libvfio.h>
#else
#include <libvfio/assert.h>
#include <libvfio/dma_region.h>
#endif

#include <linux/kernel.h>
#include <linux/sizes.h>

#define BUFFER_SIZE SZ_2M
#define HALF (BUFFER_SIZE / 2)
/* Long enough for what else the machine does to even out. */
#define MIN_NS 300000000ULL

struct bench {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct iova_allocator *allocator;
	struct dma_region buffer;
};

#ifdef WITH_UPSTREAM
static void region_setup(struct bench *bench, struct dma_region *region, u64 size)
{
	region->size = size;
	region->vaddr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	VFIO_ASSERT_NE(region->vaddr, MAP_FAILED);
	region->iova = iova_allocator_alloc(bench->allocator, size);
	iommu_map(bench->iommu, region);
}

static const char *bench_start(struct bench *bench, const char *bdf)
{
	bench->iommu = iommu_init(default_iommu_mode);
	bench->device = vfio_pci_device_init(bdf, bench->iommu);
	if (!bench->device->driver.ops)
		return "no driver";

	bench->allocator = iova_allocator_init(bench->iommu);
	region_setup(bench, &bench->buffer, BUFFER_SIZE);
	region_setup(bench, &bench->device->driver.region, SZ_2M);
	vfio_pci_driver_init(bench->device);
	return NULL;
}

static void bench_stop(struct bench *bench)
{
	vfio_pci_driver_remove(bench->device);
}
#else
static const char *bench_start(struct bench *bench, const char *bdf)
{
	struct vfio_pci_driver *driver;

	bench->iommu = iommu_init(NULL);
	bench->device = vfio_pci_device_init(bdf, bench->iommu);
	driver = &bench->device->driver;
	if (!driver->ops)
		return "no driver";

	bench->allocator = iova_allocator_init(bench->iommu, driver->dma_mask);
	dma_region_setup(bench->iommu, bench->allocator, &bench->buffer, BUFFER_SIZE);
	vfio_pci_driver_start(bench->device, bench->allocator);
	return driver->no_memcpy;
}

static void bench_stop(struct bench *bench)
{
	vfio_pci_driver_stop(bench->device);
}
#endif

static u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* @count times @size bytes in one go, or if @count is 0, @size bytes piece by piece. */
static void copy(struct bench *bench, u64 size, u64 count)
{
	iova_t src = bench->buffer.iova, dst = src + HALF;

	if (!count) {
		VFIO_ASSERT_EQ(vfio_pci_driver_memcpy(bench->device, src, dst, size), 0);
		return;
	}
	vfio_pci_driver_memcpy_start(bench->device, src, dst, size, count);
	VFIO_ASSERT_EQ(vfio_pci_driver_memcpy_wait(bench->device), 0);
}

static void run(struct bench *bench, u64 size, u64 count)
{
	u8 *bytes = bench->buffer.vaddr;
	u64 begin, ns, copied = 0;

	/* What is done once, such as the wait for a link, is not timed. */
	copy(bench, min(size, (u64)SZ_4K), 0);
	for (u64 i = 0; i < size; i++)
		bytes[i] = i * 7 + (i >> 8);

	begin = now_ns();
	do {
		copy(bench, size, count);
		copied += size * (count ? count : 1);
		ns = now_ns() - begin;
	} while (ns < MIN_NS);

	VFIO_ASSERT_EQ(memcmp(bytes, bytes + HALF, size), 0);
	printf("%llu\n", (unsigned long long)(copied * 1000000 / (ns / 1000)));
}

int main(int argc, char **argv)
{
	u64 size = 0, count = 0;
	struct bench bench = {};
	const char *bdf = NULL, *missing;
	int option;

	while ((option = getopt(argc, argv, "d:s:c:")) != -1) {
		if (option == 'd')
			bdf = optarg;
		else if (option == 's')
			size = strtoull(optarg, NULL, 0);
		else if (option == 'c')
			count = strtoull(optarg, NULL, 0);
		else
			size = 0, optind = argc;
	}
	if (!bdf || !size || size > HALF) {
		fprintf(stderr, "usage: memcpy_bench -d BDF -s SIZE [-c COUNT], SIZE up to %u\n"
			"Prints bytes per second. -c: so often, by one request to the driver.\n",
			HALF);
		return 2;
	}

	missing = bench_start(&bench, bdf);
	if (missing) {
		fprintf(stderr, "memcpy_bench: %s: %s\n", bdf, missing);
		return 4;
	}
	run(&bench, size, count);
	bench_stop(&bench);
	return 0;
}
