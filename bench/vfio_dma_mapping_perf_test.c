// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long it takes to map memory for DMA and to unmap it again: by IOMMU mode, by the size of
 * the pages it is made of and by the size of the region; BARs too, where they can be mapped: by
 * their address in VFIO's own containers, as a dma-buf in iommufd where the kernel makes one.
 *
 * Memory that cannot be mapped, or that the IOMMU maps by smaller pages than those it is made of,
 * ends the program with an error: the line would not be what it says.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kernel.h>
#include <linux/mman.h>
#include <linux/sizes.h>

#include <libvfio/iommu_page_table.h>
#include <libvfio/iova_allocator.h>
#include <libvfio/vfio_pci_device.h>

#include "options.h"
#include "samples.h"

/* More rounds of something this slow say nothing new. */
#define BUDGET_NS 500000000ULL
/* The size of a region is doubled three times at each step. */
#define STEP 8
#define MAX_ROUNDS 1000
#define MAX_MEGABYTES (1024 * 1024)

struct page_size {
	const char *name;
	u64 size;
	int flags;
};

static const struct page_size page_sizes[] = {
	{ "4K", SZ_4K, 0 },
	{ "2M", SZ_2M, MAP_HUGETLB | MAP_HUGE_2MB },
	{ "1G", SZ_1G, MAP_HUGETLB | MAP_HUGE_1GB },
};

static FILE *csv;

/* By its address, or from a file if @fd is one. */
static int map(struct iommu *iommu, struct dma_region *region, int fd)
{
	return fd < 0 ? __iommu_map(iommu, region) : __iommu_map_file(iommu, region, fd, 0);
}

/* Return: 0, or -errno of the first map. */
static int measure(struct iommu *iommu, struct dma_region *region, int fd, int rounds,
		   const char *label)
{
	static struct samples maps, unmaps;
	u64 begin = now_ns();
	char text[128];

	for (int i = 0; i < rounds && (!i || now_ns() - begin < BUDGET_NS); i++) {
		u64 start = now_ns();
		int ret = map(iommu, region, fd);

		if (ret)
			return ret;
		samples_add(&maps, now_ns() - start);
		start = now_ns();
		iommu_unmap(iommu, region);
		samples_add(&unmaps, now_ns() - start);
	}

	snprintf(text, sizeof(text), "%s map", label);
	samples_report(stdout, csv, text, &maps);
	snprintf(text, sizeof(text), "%s unmap", label);
	samples_report(stdout, csv, text, &unmaps);
	return 0;
}

/* Whether the IOMMU has to map huge pages as such: v1 need not, see vfio_dma_mapping_test. */
static bool keeps_page_size(const struct iommu *iommu, const char *bdf, u64 page_size)
{
	return page_size > SZ_4K && strcmp(iommu->mode->name, MODE_VFIO_TYPE1_IOMMU) &&
	       strcmp(iommu->mode->name, MODE_IOMMUFD_COMPAT_TYPE1) &&
	       !iommu_page_table_missing(bdf) && iommu_page_table_takes(bdf, page_size);
}

/* Before anything is timed. */
static void check_page_size(struct iommu *iommu, const char *bdf, struct dma_region *region,
			    u64 page_size)
{
	struct iommu_page_counts counts;

	if (!keeps_page_size(iommu, bdf, page_size))
		return;

	iommu_map(iommu, region);
	counts = iommu_page_table_count(bdf, region->iova, region->size);
	iommu_unmap(iommu, region);
	VFIO_ASSERT_EQ((page_size == SZ_2M ? counts.nr_2m : counts.nr_1g) * page_size,
		       region->size, "%s does not map these pages as such", iommu->mode->name);
}

static void measure_memory(struct vfio_pci_device *device, struct iova_allocator *allocator,
			   const struct page_size *page, u64 size, int rounds)
{
	struct iommu *iommu = device->iommu;
	struct dma_region region = { .size = size };
	char label[96];
	int ret;

	region.vaddr = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE | page->flags, -1, 0);
	snprintf(label, sizeof(label), "%s %s %lluK", iommu->mode->name, page->name,
		 (unsigned long long)size >> 10);
	if (region.vaddr == MAP_FAILED) {
		printf("%-52s no such memory to be had\n", label);
		return;
	}
	/* Small pages are not to become large ones. */
	if (!page->flags)
		madvise(region.vaddr, size, MADV_NOHUGEPAGE);
	region.iova = iova_allocator_alloc(allocator, size);
	check_page_size(iommu, device->bdf, &region, page->size);
	ret = measure(iommu, &region, -1, rounds, label);
	VFIO_ASSERT_EQ(ret, 0, "%s: %s", label, strerror(-ret));
	munmap(region.vaddr, size);
}

static void measure_bars(struct vfio_pci_device *device, struct iova_allocator *allocator,
			 int rounds)
{
	struct iommu *iommu = device->iommu;

	/* A BAR that is not enabled cannot be touched. */
	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);
	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		const struct vfio_pci_bar *bar = &device->bars[i];
		struct dma_region region = { .vaddr = bar->vaddr, .size = bar->info.size };
		char label[96];
		int ret, fd = -1;

		if (!bar->vaddr || bar->info.size < SZ_4K)
			continue;
		if (iommu->iommufd >= 0)
			fd = vfio_pci_bar_dma_buf(device, i, 0, region.size);
		region.iova = iova_allocator_alloc(allocator, bar->info.size);
		snprintf(label, sizeof(label), "%s BAR%d %lluK", iommu->mode->name, i,
			 (unsigned long long)bar->info.size >> 10);
		ret = measure(iommu, &region, fd, rounds, label);
		/* iommufd takes no address of a BAR. */
		VFIO_ASSERT_TRUE(!ret || ret == -EFAULT, "%s: %s", label, strerror(-ret));
		if (ret)
			printf("%-52s not mapped in this mode, or only as a dma-buf\n", label);
		if (fd >= 0)
			close(fd);
	}
}

static void measure_mode(const char *mode, const char *bdf, u64 limit, int rounds)
{
	struct iommu *iommu = iommu_init(mode);
	struct vfio_pci_device *device = vfio_pci_device_init(bdf, iommu);
	struct iova_allocator *allocator = iova_allocator_init(iommu, UINT64_MAX);

	for (size_t i = 0; i < ARRAY_SIZE(page_sizes); i++) {
		const struct page_size *page = &page_sizes[i];

		/* One page at least. */
		for (u64 size = page->size; size <= max(limit, page->size); size *= STEP)
			measure_memory(device, allocator, page, size, rounds);
	}
	measure_bars(device, allocator, rounds);
	iova_allocator_cleanup(allocator);
	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);
}

static int explain(void)
{
	fprintf(stderr, "usage: vfio_dma_mapping_perf_test [-n ROUNDS] [-m MEGABYTES] [-c CSV] BDF\n"
		"  -n  how often each region is mapped at most, 50 by default\n"
		"  -m  the largest region of more than one page, 256 by default\n"
		"  -c  also write the figures there, comma separated\n"
		"The device is bound to vfio-pci.\n");
	return 2;
}

int main(int argc, char **argv)
{
#define MODE(_mode) #_mode,
	const char *const modes[] = { FOR_EACH_IOMMU_MODE(MODE) };
	int option, rounds = 50, limit_mb = 256;

	while ((option = getopt(argc, argv, "n:c:m:")) != -1) {
		if (option == 'n')
			rounds = option_number(option, optarg, MAX_ROUNDS);
		else if (option == 'm')
			limit_mb = option_number(option, optarg, MAX_MEGABYTES);
		else if (option == 'c')
			csv = option_csv(optarg);
		else
			return explain();
	}
	if (argc - optind != 1)
		return explain();

	printf("microseconds to map and to unmap\n%-52s %6s %12s %12s %12s\n",
	       "mode pages region operation", "n", "min", "median", "p99");
	if (csv)
		fprintf(csv, "mode,pages,region,operation,n,min_us,median_us,p99_us\n");
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		const char *missing = iommu_mode_missing(iommu_mode_lookup(modes[i]));

		if (missing)
			printf("%s: %s\n", modes[i], missing);
		else
			measure_mode(modes[i], argv[optind], (u64)limit_mb << 20, rounds);
	}
	return csv && fclose(csv) ? 2 : 0;
}
