// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory is mapped for DMA by the largest pages it allows, unmapped to the byte, and what cannot
 * be mapped is refused with the errno of its reason, having changed nothing.
 *
 * Proves it for 4 KiB pages and for huge pages of 2 MiB and 1 GiB by reading the page tables of
 * the IOMMU itself, where it shows them. VFIO_TYPE1_IOMMU (v1) makes no promise on the size of
 * pages, and iommufd's version of it maps 4 KiB ones only, so that any range can be unmapped: of
 * these two it is asked that what an unmap says it did is true.
 *
 * Bug classes: huge pages that are mapped piece by piece, ranges that stay mapped though the
 * kernel said otherwise, wrap-around at the top of the address space, locked memory that is not
 * accounted or not given back. Needs a device bound to vfio-pci; any will do.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/iommufd.h>
#include <linux/kernel.h>
#include <linux/mman.h>
#include <linux/sizes.h>

#include <libvfio/iommu_page_table.h>
#include <libvfio/iova_allocator.h>
#include <libvfio/vfio_pci_device.h>
#include <tests/harness.h>

#define NR_REGIONS 3
#define REGION_SIZE SZ_64K
/* With room for one more region behind the last. */
#define MEMORY_SIZE (4 * REGION_SIZE)
/* What a container takes by default, and as much as can be used up within a few seconds. */
#define MAX_MAPPINGS SZ_64K

struct bench {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct iova_allocator *allocator;
};

static void bench_setup(struct bench *bench, const char *iommu_mode)
{
	bench->iommu = iommu_init(iommu_mode);
	bench->device = vfio_pci_device_init(test_options.bdf, bench->iommu);
	bench->allocator = iova_allocator_init(bench->iommu, UINT64_MAX);
}

static void bench_teardown(struct bench *bench)
{
	iova_allocator_cleanup(bench->allocator);
	vfio_pci_device_cleanup(bench->device);
	iommu_cleanup(bench->iommu);
}

static bool mode_is(const struct bench *bench, const char *name)
{
	return !strcmp(bench->iommu->mode->name, name);
}

/* The interface in which any range may be unmapped. */
static bool is_v1(const struct bench *bench)
{
	return mode_is(bench, MODE_VFIO_TYPE1_IOMMU) || mode_is(bench, MODE_IOMMUFD_COMPAT_TYPE1);
}

/* vfio_iommu_type1.c, as opposed to iommufd under either of its interfaces. */
static bool is_type1(const struct bench *bench)
{
	return mode_is(bench, MODE_VFIO_TYPE1_IOMMU) || mode_is(bench, MODE_VFIO_TYPE1V2_IOMMU);
}

static void *map_memory(u64 size, int flags)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | flags, -1, 0);
}

/*
 * struct size - Pages of one size.
 * @page_size: their size
 * @nr_pages: how many are mapped for DMA at a time
 * @flags: of mmap() that ask for them
 * @memory: the pages, for all cases: each is a process of its own, and it takes the lab seconds to
 *	    clear a page of 1 GiB. MAP_FAILED if there are none.
 */
static struct size {
	u64 page_size;
	u64 nr_pages;
	int flags;
	void *memory;
} sizes[] = {
	{ .page_size = SZ_4K, .nr_pages = 16 },
	{ .page_size = SZ_2M, .nr_pages = 2, .flags = MAP_HUGETLB | MAP_HUGE_2MB },
	{ .page_size = SZ_1G, .nr_pages = 1, .flags = MAP_HUGETLB | MAP_HUGE_1GB },
};

static void __attribute__((constructor)) map_sizes(void)
{
	for (struct size *size = sizes; size < sizes + ARRAY_SIZE(sizes); size++)
		size->memory = map_memory(size->nr_pages * size->page_size, size->flags);
}

FIXTURE(pages) {
	struct bench bench;
	struct dma_region region;
};

FIXTURE_VARIANT(pages) {
	const char *iommu_mode;
	const struct size *of;
};

#define PAGES_VARIANTS(_mode)								\
FIXTURE_VARIANT_ADD(pages, _mode##_4K) { .iommu_mode = #_mode, .of = &sizes[0] };	\
FIXTURE_VARIANT_ADD(pages, _mode##_2M) { .iommu_mode = #_mode, .of = &sizes[1] };	\
FIXTURE_VARIANT_ADD(pages, _mode##_1G) { .iommu_mode = #_mode, .of = &sizes[2] };
FOR_EACH_IOMMU_MODE(PAGES_VARIANTS)

FIXTURE_SETUP(pages)
{
	struct dma_region *region = &self->region;

	SKIP_IF_MISSING(test_iommu_mode_missing(variant->iommu_mode));
	SKIP_IF_MISSING(test_page_size_missing(variant->of->page_size));

	region->size = variant->of->nr_pages * variant->of->page_size;
	region->vaddr = variant->of->memory;
	if (region->vaddr == MAP_FAILED)
		SKIP(return, "no free huge pages of this size: run.sh reserves them where it can, "
		     "/sys/kernel/mm/hugepages is the place to do it by hand");

	bench_setup(&self->bench, variant->iommu_mode);
	region->iova = iova_allocator_alloc(self->bench.allocator, region->size);
}

FIXTURE_TEARDOWN(pages)
{
	bench_teardown(&self->bench);
}

/* Each page gets a number, so that one which comes back as another is noticed. */
TEST_F(pages, memory_is_mapped_and_comes_back_as_it_was)
{
	u64 page_size = variant->of->page_size, unmapped = 0;
	struct dma_region *region = &self->region;
	u32 seed = test_random(1, INT32_MAX);

	for (u64 i = 0; i < variant->of->nr_pages; i++)
		*(u64 *)(region->vaddr + i * page_size) = seed + i;

	ASSERT_EQ(0, __iommu_map(self->bench.iommu, region));
	EXPECT_EQ(region->iova, to_iova(self->bench.device, region->vaddr));
	EXPECT_EQ(-EEXIST, __iommu_map(self->bench.iommu, &(struct dma_region){
		.vaddr = region->vaddr, .iova = region->iova + region->size - SZ_4K,
		.size = SZ_4K }));
	ASSERT_EQ(0, __iommu_unmap(self->bench.iommu, region, &unmapped));
	EXPECT_EQ(region->size, unmapped);
	EXPECT_EQ(-ENOENT, __to_iova(self->bench.device, region->vaddr, NULL));

	for (u64 i = 0; i < variant->of->nr_pages; i++)
		EXPECT_EQ(seed + i, *(u64 *)(region->vaddr + i * page_size));
}

TEST_F(pages, the_page_tables_of_the_iommu_hold_pages_of_this_size)
{
	u64 page_size = variant->of->page_size, nr_pages = variant->of->nr_pages;
	const char *bdf = self->bench.device->bdf;
	struct dma_region *region = &self->region;
	struct iommu_page_counts counts;

	if (is_v1(&self->bench))
		SKIP(return, "v1 promises no size of page, so that any range can be unmapped");
	SKIP_IF_MISSING(iommu_page_table_missing(bdf));
	if (!iommu_page_table_takes(bdf, page_size))
		SKIP(return, "the IOMMU has no pages of this size");

	iommu_map(self->bench.iommu, region);
	counts = iommu_page_table_count(bdf, region->iova, region->size);
	EXPECT_EQ(page_size == SZ_4K ? nr_pages : 0, counts.nr_4k);
	EXPECT_EQ(page_size == SZ_2M ? nr_pages : 0, counts.nr_2m);
	EXPECT_EQ(page_size == SZ_1G ? nr_pages : 0, counts.nr_1g);

	iommu_unmap(self->bench.iommu, region);
	counts = iommu_page_table_count(bdf, region->iova, region->size);
	EXPECT_EQ(0, iommu_page_counts_bytes(counts));
}

/*
 * The same memory where no page of its size fits. This is also what shows that the page tables
 * tell a huge page from small ones that happen to lie side by side.
 */
TEST_F(pages, an_iova_that_is_not_aligned_takes_pages_of_a_smaller_size)
{
	u64 smaller = variant->of->page_size == SZ_1G ? SZ_2M : SZ_4K;
	const char *bdf = self->bench.device->bdf;
	struct dma_region region = self->region;
	struct iommu_page_counts counts;

	if (variant->of->page_size == SZ_4K)
		SKIP(return, "there is no smaller size of page");
	if (is_v1(&self->bench))
		SKIP(return, "v1 promises no size of page, so that any range can be unmapped");
	SKIP_IF_MISSING(iommu_page_table_missing(bdf));
	if (!iommu_page_table_takes(bdf, smaller))
		SKIP(return, "the IOMMU has no pages of 2 MiB");

	region.iova = iova_allocator_alloc(self->bench.allocator, 2 * region.size) + smaller;
	iommu_map(self->bench.iommu, &region);
	counts = iommu_page_table_count(bdf, region.iova, region.size);
	EXPECT_EQ(smaller == SZ_4K ? region.size / SZ_4K : 0, counts.nr_4k);
	EXPECT_EQ(smaller == SZ_2M ? region.size / SZ_2M : 0, counts.nr_2m);
	EXPECT_EQ(0, counts.nr_1g);
	iommu_unmap(self->bench.iommu, &region);
	counts = iommu_page_table_count(bdf, region.iova, region.size);
	EXPECT_EQ(0, iommu_page_counts_bytes(counts));
}

/* Regions side by side in one piece of memory. */
FIXTURE(ranges) {
	struct bench bench;
	struct dma_region regions[NR_REGIONS];
	iova_t iova;
	void *vaddr;
};

FIXTURE_VARIANT_IOMMU_MODE(ranges);

#define RANGES_VARIANT(_mode)								\
FIXTURE_VARIANT_ADD(ranges, _mode) { .iommu_mode = #_mode };
FOR_EACH_IOMMU_MODE(RANGES_VARIANT)

FIXTURE_SETUP(ranges)
{
	SKIP_IF_MISSING(test_iommu_mode_missing(variant->iommu_mode));
	bench_setup(&self->bench, variant->iommu_mode);
	self->vaddr = map_memory(MEMORY_SIZE, 0);
	VFIO_ASSERT_TRUE(self->vaddr != MAP_FAILED);
	self->iova = iova_allocator_alloc(self->bench.allocator, MEMORY_SIZE);

	for (int i = 0; i < NR_REGIONS; i++)
		self->regions[i] = (struct dma_region){
			.vaddr = self->vaddr + i * REGION_SIZE,
			.iova = self->iova + i * REGION_SIZE,
			.size = REGION_SIZE,
		};
}

FIXTURE_TEARDOWN(ranges)
{
	bench_teardown(&self->bench);
	munmap(self->vaddr, MEMORY_SIZE);
}

static void map_all(FIXTURE_DATA(ranges) *self)
{
	for (int i = 0; i < NR_REGIONS; i++)
		iommu_map(self->bench.iommu, &self->regions[i]);
}

/* Bytes that the page tables say are mapped; @expected where they cannot be read. */
static u64 mapped_bytes(FIXTURE_DATA(ranges) *self, u64 expected)
{
	const char *bdf = self->bench.device->bdf;

	if (iommu_page_table_missing(bdf))
		return expected;

	return iommu_page_counts_bytes(iommu_page_table_count(bdf, self->iova,
							      NR_REGIONS * REGION_SIZE));
}

/* Unmapping what is not there: native iommufd calls it an error, containers say 0 bytes. */
static void expect_nothing_there(struct __test_metadata *_metadata, FIXTURE_DATA(ranges) *self)
{
	bool native = mode_is(&self->bench, MODE_IOMMUFD);
	u64 unmapped = 1;

	EXPECT_EQ(native ? -ENOENT : 0,
		  __iommu_unmap_range(self->bench.iommu, self->iova, REGION_SIZE, &unmapped));
	EXPECT_EQ(native ? 1 : 0, unmapped);
}

TEST_F(ranges, an_unmap_takes_all_regions_in_its_range_and_says_how_much)
{
	u64 unmapped = 0;

	expect_nothing_there(_metadata, self);
	map_all(self);
	EXPECT_EQ(NR_REGIONS * REGION_SIZE, mapped_bytes(self, NR_REGIONS * REGION_SIZE));
	ASSERT_EQ(0, __iommu_unmap_range(self->bench.iommu, self->iova, 2 * REGION_SIZE,
					 &unmapped));
	EXPECT_EQ(2 * REGION_SIZE, unmapped);
	EXPECT_EQ(REGION_SIZE, mapped_bytes(self, REGION_SIZE));
	EXPECT_EQ(-ENOENT, __to_iova(self->bench.device, self->vaddr, NULL));
	EXPECT_EQ(self->iova + 2 * REGION_SIZE,
		  to_iova(self->bench.device, self->vaddr + 2 * REGION_SIZE));
	expect_nothing_there(_metadata, self);

	/* The range may be larger than what is in it. */
	ASSERT_EQ(0, __iommu_unmap_range(self->bench.iommu, self->iova, MEMORY_SIZE, &unmapped));
	EXPECT_EQ(REGION_SIZE, unmapped);
	EXPECT_EQ(0, mapped_bytes(self, 0));
}

TEST_F(ranges, unmap_all_takes_everything)
{
	u64 unmapped = 0;
	int ret;

	map_all(self);
	ret = __iommu_unmap_all(self->bench.iommu, &unmapped);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "the container has no VFIO_UNMAP_ALL, the kernel is older than 5.12");
	ASSERT_EQ(0, ret);
	EXPECT_EQ(NR_REGIONS * REGION_SIZE, unmapped);
	EXPECT_EQ(0, mapped_bytes(self, 0));

	EXPECT_EQ(0, __iommu_unmap_all(self->bench.iommu, &unmapped));
	EXPECT_EQ(0, unmapped);
	map_all(self);
	iommu_unmap_all(self->bench.iommu);
}

/* Where a region cannot be cut in two the attempt fails, and it stays mapped as a whole. */
static void expect_no_cut(struct __test_metadata *_metadata, FIXTURE_DATA(ranges) *self,
			  iova_t iova, u64 size)
{
	u64 unmapped = 0;

	EXPECT_EQ(is_type1(&self->bench) ? -EINVAL : -ENOENT,
		  __iommu_unmap_range(self->bench.iommu, iova, size, &unmapped));
	EXPECT_EQ(0, unmapped);
	EXPECT_EQ(REGION_SIZE, mapped_bytes(self, REGION_SIZE));
}

/*
 * A v1 unmap succeeds whatever the range is, and is believed in what it says that it did: from
 * none of the region to all of it. The rest is mapped still and can be unmapped.
 */
static void expect_true_cut(struct __test_metadata *_metadata, FIXTURE_DATA(ranges) *self,
			    iova_t iova, u64 size)
{
	u64 unmapped = UINT64_MAX, rest = 0;

	ASSERT_EQ(0, __iommu_unmap_range(self->bench.iommu, iova, size, &unmapped));
	ASSERT_GE(REGION_SIZE, unmapped);
	EXPECT_EQ(REGION_SIZE - unmapped, mapped_bytes(self, REGION_SIZE - unmapped));
	/* iommufd cuts where it is told to. */
	if (!is_type1(&self->bench)) {
		EXPECT_EQ(size, unmapped);
	}

	ASSERT_EQ(0, __iommu_unmap_range(self->bench.iommu, self->iova, REGION_SIZE, &rest));
	EXPECT_EQ(REGION_SIZE, unmapped + rest);
	EXPECT_EQ(0, mapped_bytes(self, 0));
	iommu_map(self->bench.iommu, &self->regions[0]);
}

TEST_F(ranges, a_part_of_a_region_is_unmapped_as_the_mode_promises)
{
	static const struct { u64 offset, size; } parts[] = {
		{ 0, SZ_4K }, { 0, REGION_SIZE - SZ_4K }, { SZ_4K, SZ_4K },
		{ SZ_4K, REGION_SIZE - SZ_4K }, { REGION_SIZE - SZ_4K, SZ_4K },
	};

	iommu_map(self->bench.iommu, &self->regions[0]);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		iova_t iova = self->iova + parts[i].offset;

		if (is_v1(&self->bench))
			expect_true_cut(_metadata, self, iova, parts[i].size);
		else
			expect_no_cut(_metadata, self, iova, parts[i].size);
	}
	iommu_unmap(self->bench.iommu, &self->regions[0]);
}

static int try_map(FIXTURE_DATA(ranges) *self, void *vaddr, iova_t iova, u64 size)
{
	struct dma_region region = { .vaddr = vaddr, .iova = iova, .size = size };
	int ret = __iommu_map(self->bench.iommu, &region);

	if (!ret)
		iommu_unmap(self->bench.iommu, &region);
	return ret;
}

/* vfio_iommu_type1 says EOVERFLOW since 6.19, EINVAL before. */
static bool is_overflow(const struct bench *bench, int ret)
{
	return ret == -EOVERFLOW || (ret == -EINVAL && is_type1(bench));
}

TEST_F(ranges, a_range_that_cannot_be_is_refused)
{
	iova_t iova = self->iova + SZ_4K, top = -(iova_t)SZ_4K;
	void *vaddr = self->vaddr;
	u64 unmapped = 0;

	EXPECT_EQ(-EINVAL, try_map(self, vaddr, iova, 0));
	EXPECT_EQ(-EINVAL, try_map(self, vaddr, iova + 1, SZ_4K));
	EXPECT_EQ(-EINVAL, try_map(self, vaddr + 1, iova, SZ_4K));
	EXPECT_EQ(-EINVAL, try_map(self, vaddr, iova, SZ_4K - 1));

	/* Around the end of the address space. */
	iommu_map(self->bench.iommu, &self->regions[0]);
	EXPECT_TRUE(is_overflow(&self->bench, try_map(self, vaddr, top, 2 * SZ_4K)));
	EXPECT_TRUE(is_overflow(&self->bench, __iommu_unmap_range(self->bench.iommu, top,
								  2 * SZ_4K, &unmapped)));
	EXPECT_TRUE(is_overflow(&self->bench, __iommu_unmap_range(self->bench.iommu, iova,
								  -iova + SZ_4K, &unmapped)));
	EXPECT_EQ(0, unmapped);
	EXPECT_EQ(REGION_SIZE, mapped_bytes(self, REGION_SIZE));
	iommu_unmap(self->bench.iommu, &self->regions[0]);
}

TEST_F(ranges, memory_that_cannot_be_mapped_is_refused)
{
	void *vaddr = self->vaddr;
	iova_t iova = self->iova;

	/* Only for the device to read, as for the process. */
	ASSERT_EQ(0, mprotect(vaddr, REGION_SIZE, PROT_READ));
	EXPECT_EQ(-EFAULT, try_map(self, vaddr, iova, REGION_SIZE));

	/* A failure leaves nothing behind, not even where it began well. */
	ASSERT_EQ(0, mprotect(vaddr, REGION_SIZE, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, munmap(vaddr + 2 * REGION_SIZE, SZ_4K));
	EXPECT_EQ(-EFAULT, try_map(self, vaddr + 2 * REGION_SIZE, iova, SZ_4K));
	EXPECT_EQ(-EFAULT, try_map(self, vaddr, iova, NR_REGIONS * REGION_SIZE));
	EXPECT_EQ(0, mapped_bytes(self, 0));
	EXPECT_EQ(0, try_map(self, vaddr, iova, 2 * REGION_SIZE));
}

/* The last page of 2^64 bytes needs care, and did not always get it. */
static void expect_last_page(struct __test_metadata *_metadata, FIXTURE_DATA(ranges) *self)
{
	iova_t top = -(iova_t)SZ_4K;

	if (try_map(self, self->vaddr, top, 2 * SZ_4K) == -EINVAL) {
		test_report("vfio_iommu_type1 before 6.19 loses what is mapped there: not tested");
		return;
	}
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, try_map(self, self->vaddr, top, SZ_4K));
}

/*
 * The ranges that the kernel reports are those it keeps to: they can be mapped to their last
 * byte, and what is outside cannot.
 */
TEST_F(ranges, iovas_can_be_mapped_in_the_reported_ranges_only)
{
	struct iommu_iova_range *ranges;
	void *vaddr = self->vaddr;
	u32 nranges;

	ranges = iommu_iova_ranges(self->bench.iommu, &nranges);
	for (u32 i = 0; i < nranges; i++) {
		iova_t start = ranges[i].start, end = ranges[i].last + 1;

		EXPECT_EQ(0, try_map(self, vaddr, start, SZ_4K));
		if (start) {
			EXPECT_EQ(-EINVAL, try_map(self, vaddr, start - SZ_4K, SZ_4K));
		}
		if (!end) {
			expect_last_page(_metadata, self);
			continue;
		}
		EXPECT_EQ(0, try_map(self, vaddr, end - SZ_4K, SZ_4K));
		EXPECT_EQ(-EINVAL, try_map(self, vaddr, end, SZ_4K));
		EXPECT_EQ(-EINVAL, try_map(self, vaddr, end - SZ_4K, 2 * SZ_4K));
	}
	free(ranges);
}

/* kB in a line of /proc/self/status: memory pinned for devices counts as locked. */
static u64 status_kib(const char *name)
{
	unsigned long long value = 0;
	char line[128];
	FILE *file = fopen("/proc/self/status", "r");

	VFIO_ASSERT_NOT_NULL(file);
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, strlen(name)))
			sscanf(line + strlen(name), ": %llu", &value);
	}
	fclose(file);
	return value;
}

static void drop_ipc_lock(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	VFIO_ASSERT_EQ(syscall(SYS_capget, &header, data), 0);
	data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &= ~CAP_TO_MASK(CAP_IPC_LOCK);
	VFIO_ASSERT_EQ(syscall(SYS_capset, &header, data), 0);
}

/* Containers account to the process, native iommufd to the user. */
TEST_F(ranges, mapped_memory_is_locked_and_limited)
{
	u64 locked = status_kib("VmLck") + status_kib("VmPin");
	struct rlimit limit;
	int ret;

	drop_ipc_lock();
	ASSERT_EQ(0, getrlimit(RLIMIT_MEMLOCK, &limit));
	limit.rlim_cur = REGION_SIZE / 2;
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	EXPECT_EQ(-ENOMEM, try_map(self, self->vaddr, self->iova, REGION_SIZE));
	EXPECT_EQ(0, mapped_bytes(self, 0));
	EXPECT_EQ(locked, status_kib("VmLck") + status_kib("VmPin"));

	limit.rlim_cur = limit.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	ret = __iommu_map(self->bench.iommu, &self->regions[0]);
	if (ret == -ENOMEM && limit.rlim_max != RLIM_INFINITY)
		SKIP(return, "the hard limit on locked memory (ulimit -l) is too low");
	ASSERT_EQ(0, ret);
	EXPECT_EQ(locked + REGION_SIZE / SZ_1K, status_kib("VmLck") + status_kib("VmPin"));
	iommu_unmap(self->bench.iommu, &self->regions[0]);
	EXPECT_EQ(locked, status_kib("VmLck") + status_kib("VmPin"));
}

/*
 * One page, mapped as often as the container takes it: vfio_iommu_type1.dma_entry_limit, which the
 * lab sets to a few hundred.
 */
TEST_F(ranges, a_container_takes_as_many_mappings_as_it_says)
{
	struct dma_region *regions;
	u32 left = 0, now = 0, n;
	iova_t iova;
	int ret = 0;

	if (!is_type1(&self->bench))
		SKIP(return, "iommufd has no limit on the number of mappings");
	if (__iommu_mappings_left(self->bench.iommu, &left))
		SKIP(return, "the container does not say how many it takes, as it does since 5.10");
	if (left > MAX_MAPPINGS)
		SKIP(return, "the limit of %u mappings is too far away, see "
		     "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit", left);

	regions = calloc(left + 1, sizeof(*regions));
	ASSERT_NE(NULL, regions);
	iova = iova_allocator_alloc(self->bench.allocator, MAX_MAPPINGS * 2ULL * SZ_4K);
	for (n = 0; n <= left && !ret; n++) {
		regions[n] = (struct dma_region){
			.vaddr = self->vaddr, .iova = iova + n * (u64)SZ_4K, .size = SZ_4K,
		};
		ret = __iommu_map(self->bench.iommu, &regions[n]);
		if (n == left / 2) {
			EXPECT_EQ(0, __iommu_mappings_left(self->bench.iommu, &now));
			EXPECT_EQ(left - n - 1, now);
		}
	}
	EXPECT_EQ(left + 1, n);
	EXPECT_EQ(-ENOSPC, ret);
	EXPECT_EQ(0, __iommu_mappings_left(self->bench.iommu, &now));
	EXPECT_EQ(0, now);

	/* One that goes makes room for another. */
	iommu_unmap(self->bench.iommu, &regions[0]);
	EXPECT_EQ(0, try_map(self, self->vaddr, iova, SZ_4K));
	ASSERT_EQ(0, __iommu_unmap_range(self->bench.iommu, iova, left * (u64)SZ_4K, NULL));
	EXPECT_EQ(0, __iommu_mappings_left(self->bench.iommu, &now));
	EXPECT_EQ(left, now);
	free(regions);
}

TEST_PROGRAM(NEEDS_DEVICE | NEEDS_HUGEPAGES,
	     "DMA mappings: page sizes in the IOMMU, unmapping of ranges, limits and their errno")
