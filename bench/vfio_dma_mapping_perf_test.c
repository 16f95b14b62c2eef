// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long it takes to map memory for DMA and to unmap it again: by IOMMU mode, by the size of
 * the pages it is made of and by the size of the region; BARs too, where they can be mapped.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kernel.h>
#include <linux/mman.h>
#include <linux/sizes.h>

#include <libvfio/iova_allocator.h>
#include <libvfio/vfio_pci_device.h>

#include "samples.h"

/* More rounds of something this slow say nothing new. */
#define BUDGET_NS 500000000ULL
/* The size of a region is doubled three times at each step. */
#define STEP 8

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

/* Return: 0, or -errno of the first map. */
static int measure(struct iommu *iommu, struct dma_region *region, int rounds, const char *label)
{
	static struct samples map, unmap;
	u64 begin = now_ns();
	char text[128];

	for (int i = 0; i < rounds && (!i || now_ns() - begin < BUDGET_NS); i++) {
		u64 start = now_ns();
		int ret = __iommu_map(iommu, region);

		if (ret)
			return ret;
		samples_add(&map, now_ns() - start);
		start = now_ns();
		iommu_unmap(iommu, region);
		samples_add(&unmap, now_ns() - start);
	}

	snprintf(text, sizeof(text), "%s map", label);
	samples_report(stdout, csv, text, &map);
	snprintf(text, sizeof(text), "%s unmap", label);
	samples_report(stdout, csv, text, &unmap);
	return 0;
}

static void measure_memory(struct iommu *iommu, struct iova_allocator *allocator,
			   const struct page_size *page, u64 size, int rounds)
{
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
	ret = measure(iommu, &region, rounds, label);
	if (ret)
		printf("%-52s %s\n", label, strerror(-ret));
	munmap(region.vaddr, size);
}

static void measure_bars(struct iommu *iommu, struct vfio_pci_device *device,
			 struct iova_allocator *allocator, int rounds)
{
	/* A BAR that is not enabled cannot be touched. */
	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);
	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		const struct vfio_pci_bar *bar = &device->bars[i];
		struct dma_region region = { .vaddr = bar->vaddr, .size = bar->info.size };
		char label[96];
		int ret;

		if (!bar->vaddr || bar->info.size < SZ_4K)
			continue;
		region.iova = iova_allocator_alloc(allocator, bar->info.size);
		snprintf(label, sizeof(label), "%s BAR%d %lluK", iommu->mode->name, i,
			 (unsigned long long)bar->info.size >> 10);
		ret = measure(iommu, &region, rounds, label);
		if (ret)
			printf("%-52s %s\n", label, strerror(-ret));
	}
}

static void measure_mode(const char *mode, const char *bdf, u64 limit, int rounds)
{
	struct iommu *iommu = iommu_init(mode);
	struct vfio_pci_device *device = vfio_pci_device_init(bdf, iommu);
	struct iova_allocator *allocator = iova_allocator_init(iommu, UINT64_MAX);

	for (size_t i = 0; i < ARRAY_SIZE(page_sizes); i++) {
		for (u64 size = page_sizes[i].size; size <= limit; size *= STEP)
			measure_memory(iommu, allocator, &page_sizes[i], size, rounds);
	}
	measure_bars(iommu, device, allocator, rounds);
	iova_allocator_cleanup(allocator);
	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);
}

int main(int argc, char **argv)
{
#define MODE(_mode) #_mode,
	const char *const modes[] = { FOR_EACH_IOMMU_MODE(MODE) };
	int option, rounds = 50, limit_mb = 256;

	while ((option = getopt(argc, argv, "n:c:m:")) != -1) {
		if (option == 'n')
			rounds = atoi(optarg);
		else if (option == 'm')
			limit_mb = atoi(optarg);
		else if (option == 'c')
			csv = fopen(optarg, "w");
	}
	if (rounds < 1 || limit_mb < 1 || argc - optind != 1) {
		fprintf(stderr, "usage: vfio_dma_mapping_perf_test [-n ROUNDS] [-m MEGABYTES] "
			"[-c CSV] BDF\n  -m  the largest region\n");
		return 2;
	}

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
