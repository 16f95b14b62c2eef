// SPDX-License-Identifier: GPL-2.0-only
/*
 * A BAR is mapped for DMA by those who say that they can, and by nobody else.
 *
 * The IOMMU type of VFIO's own containers maps a BAR, or a part of one, like memory, so that
 * other devices reach it. iommufd pins pages, which a BAR does not have, and refuses its address
 * under each of its interfaces; it takes a dma-buf of the BAR instead, if the kernel makes one
 * (VFIO_DEVICE_FEATURE_DMA_BUF, since 6.19). Whether DMA arrives there is up to
 * vfio_pci_devices_test, since it takes a second device.
 *
 * Bug classes: a wrong size or offset of what is mapped, a BAR let through to where nothing keeps
 * track of it, mappings that outlive a failure. Needs a device bound to vfio-pci with a BAR that
 * can be mmapped.
 */
#include <string.h>
#include <unistd.h>

#include <linux/kernel.h>
#include <linux/sizes.h>

#include <libvfio/iommu_page_table.h>
#include <libvfio/iova_allocator.h>
#include <libvfio/vfio_pci_device.h>
#include <tests/harness.h>

FIXTURE(bar) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct iova_allocator *allocator;
	struct vfio_pci_bar *bar;
	iova_t iova;
	/* VFIO's own container, as opposed to iommufd under any of its interfaces */
	bool type1;
};

FIXTURE_VARIANT_IOMMU_MODE(bar);

#define BAR_VARIANT(_mode)								\
FIXTURE_VARIANT_ADD(bar, _mode) { .iommu_mode = #_mode };
FOR_EACH_IOMMU_MODE(BAR_VARIANT)

/* The largest of those that are mapped and of at least a page. */
static struct vfio_pci_bar *find_bar(struct vfio_pci_device *device)
{
	struct vfio_pci_bar *found = NULL;

	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		struct vfio_pci_bar *bar = &device->bars[i];

		if (bar->vaddr && bar->info.size >= SZ_4K &&
		    (!found || bar->info.size > found->info.size))
			found = bar;
	}

	return found;
}

FIXTURE_SETUP(bar)
{
	SKIP_IF_MISSING(test_iommu_mode_missing(variant->iommu_mode));
	self->iommu = iommu_init(variant->iommu_mode);
	self->device = vfio_pci_device_init(test_options.bdf, self->iommu);
	self->bar = find_bar(self->device);
	if (!self->bar)
		SKIP(return, "the device has no BAR that can be mapped");

	/* An unbacked BAR is no longer mapped by anyone. */
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	self->allocator = iova_allocator_init(self->iommu, UINT64_MAX);
	self->iova = iova_allocator_alloc(self->allocator, 2 * self->bar->info.size);
	self->type1 = !strncmp(variant->iommu_mode, "vfio_", strlen("vfio_"));
}

FIXTURE_TEARDOWN(bar)
{
	iova_allocator_cleanup(self->allocator);
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

/* Bytes that the page tables say are mapped; @expected where they cannot be read. */
static u64 mapped_bytes(FIXTURE_DATA(bar) *self, u64 expected)
{
	const char *bdf = self->device->bdf;

	if (iommu_page_table_missing(bdf))
		return expected;

	return iommu_page_counts_bytes(iommu_page_table_count(bdf, self->iova,
							      2 * self->bar->info.size));
}

/* Maps a part of the BAR and unmaps it again. Return: what the attempt to map it returned. */
static int try_map(FIXTURE_DATA(bar) *self, u64 offset, u64 iova_offset, u64 size)
{
	struct dma_region region = {
		.vaddr = self->bar->vaddr + offset,
		.iova = self->iova + iova_offset,
		.size = size,
	};
	int ret = __iommu_map(self->iommu, &region);

	if (!ret) {
		VFIO_ASSERT_EQ(mapped_bytes(self, size), size);
		iommu_unmap(self->iommu, &region);
	}
	VFIO_ASSERT_EQ(mapped_bytes(self, 0), 0ULL);
	return ret;
}

TEST_F(bar, a_whole_bar_is_mapped_by_type1_and_refused_by_iommufd)
{
	EXPECT_EQ(self->type1 ? 0 : -EFAULT, try_map(self, 0, 0, self->bar->info.size));
}

TEST_F(bar, a_part_of_a_bar_is_mapped_by_type1_and_refused_by_iommufd)
{
	u64 size = self->bar->info.size;

	if (size < 2 * SZ_4K)
		SKIP(return, "no BAR of the device has two pages");

	EXPECT_EQ(self->type1 ? 0 : -EFAULT, try_map(self, 0, 0, SZ_4K));
	EXPECT_EQ(self->type1 ? 0 : -EFAULT, try_map(self, size - SZ_4K, 0, SZ_4K));
	EXPECT_EQ(self->type1 ? 0 : -EFAULT, try_map(self, size / 2, 0, size / 2));
	/* So that no page but the smallest fits. */
	EXPECT_EQ(self->type1 ? 0 : -EFAULT, try_map(self, 0, SZ_4K, size));
}

TEST_F(bar, less_than_a_page_of_a_bar_is_refused)
{
	EXPECT_EQ(-EINVAL, try_map(self, 0, 0, SZ_4K / 2));
	EXPECT_EQ(-EINVAL, try_map(self, SZ_4K / 2, 0, SZ_4K / 2));
	EXPECT_EQ(-EINVAL, try_map(self, 0, SZ_4K / 2, SZ_4K));
}

TEST_F(bar, a_dma_buf_of_a_bar_is_mapped_by_iommufd)
{
	struct dma_region region = { .iova = self->iova, .size = self->bar->info.size };
	u64 unmapped = 0;
	int fd;

	if (self->iommu->iommufd < 0)
		SKIP(return, "only native iommufd maps a dma-buf");
	fd = vfio_pci_bar_dma_buf(self->device, self->bar->info.index, 0, region.size);
	if (fd == -ENOTTY || fd == -EOPNOTSUPP)
		SKIP(return, "the kernel makes no dma-buf of this BAR (6.19, CONFIG_PCI_P2PDMA)");
	ASSERT_LE(0, fd);

	ASSERT_EQ(0, __iommu_map_file(self->iommu, &region, fd, 0));
	EXPECT_EQ(region.size, mapped_bytes(self, region.size));
	/* A BAR that does not answer is taken away, and not put back. */
	vfio_pci_cmd_clear(self->device, PCI_COMMAND_MEMORY);
	EXPECT_EQ(0, mapped_bytes(self, 0));
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	EXPECT_EQ(0, mapped_bytes(self, 0));
	EXPECT_EQ(0, __iommu_unmap(self->iommu, &region, &unmapped));
	EXPECT_EQ(region.size, unmapped);

	region.size *= 2;
	EXPECT_GT(0, __iommu_map_file(self->iommu, &region, fd, 0));
	EXPECT_EQ(0, mapped_bytes(self, 0));
	close(fd);
}

TEST_PROGRAM(NEEDS_DEVICE, "a BAR as target of DMA: mapped by type1, by iommufd as dma-buf only")
