// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-pci hands out a device as the header linux/vfio.h promises.
 *
 * Proves config space, BARs, reset and, for INTx, MSI and MSI-X, that a vector can be enabled,
 * triggered through VFIO's loopback, disabled and enabled again, each with exact counts. What
 * the device itself does is the business of vfio_pci_driver_test.
 *
 * Needs a device bound to vfio-pci; any will do.
 */
#include <sys/mman.h>

#include <linux/iommufd.h>
#include <linux/kernel.h>
#include <linux/sizes.h>

#include <libvfio/io.h>
#include <libvfio/iova_allocator.h>
#include <libvfio/vfio_pci_device.h>
#include <tests/harness.h>

/* A signal is in the eventfd before the ioctl that caused it returns; this is for slow hosts. */
#define TRIGGER_MS 1000
#define MAX_VECTORS 8

FIXTURE(device) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
};

FIXTURE_VARIANT_IOMMU_MODE(device);

#define DEVICE_VARIANT(_mode)								\
FIXTURE_VARIANT_ADD(device, _mode) { .iommu_mode = #_mode };
FOR_EACH_IOMMU_MODE(DEVICE_VARIANT)

FIXTURE_SETUP(device)
{
	SKIP_IF_MISSING(test_iommu_mode_missing(variant->iommu_mode));
	self->iommu = iommu_init(variant->iommu_mode);
	self->device = vfio_pci_device_init(test_options.bdf, self->iommu);
}

FIXTURE_TEARDOWN(device)
{
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

TEST_F(device, config_space_names_the_device_that_sysfs_names)
{
	u16 vendor = vfio_pci_config_readw(self->device, PCI_VENDOR_ID);
	u16 id = vfio_pci_config_readw(self->device, PCI_DEVICE_ID);
	unsigned int expected_vendor = 0, expected_id = 0;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/uevent", self->device->bdf);
	file = fopen(path, "r");
	ASSERT_NE(NULL, file);
	while (fgets(path, sizeof(path), file)) {
		if (sscanf(path, "PCI_ID=%x:%x", &expected_vendor, &expected_id) == 2)
			break;
	}
	fclose(file);

	ASSERT_EQ(expected_vendor, vendor);
	ASSERT_EQ(expected_id, id);
}

/* Not bus mastering: nobody has quiesced the device, which could then do DMA. */
TEST_F(device, config_space_keeps_what_is_written)
{
	u8 line = vfio_pci_config_readb(self->device, PCI_INTERRUPT_LINE);

	vfio_pci_config_writeb(self->device, PCI_INTERRUPT_LINE, line ^ 0xff);
	EXPECT_EQ(line ^ 0xff, vfio_pci_config_readb(self->device, PCI_INTERRUPT_LINE));
	vfio_pci_config_writeb(self->device, PCI_INTERRUPT_LINE, line);
	EXPECT_EQ(line, vfio_pci_config_readb(self->device, PCI_INTERRUPT_LINE));
}

TEST_F(device, config_space_protects_the_ids)
{
	u32 ids = vfio_pci_config_readl(self->device, PCI_VENDOR_ID);

	vfio_pci_config_writel(self->device, PCI_VENDOR_ID, ~ids);
	ASSERT_EQ(ids, vfio_pci_config_readl(self->device, PCI_VENDOR_ID));
}

/* VFIO lets nobody read an MSI-X table by syscall, and answers with ones. */
static bool bar_begins_with_msix_table(struct vfio_pci_device *device, u32 bar)
{
	u8 capability = vfio_pci_find_capability(device, PCI_CAP_ID_MSIX);
	u32 table;

	if (!capability)
		return false;

	table = vfio_pci_config_readl(device, capability + PCI_MSIX_TABLE);
	return (table & PCI_MSIX_TABLE_BIR) == bar && !(table & PCI_MSIX_TABLE_OFFSET);
}

/* BARs that are mapped and those that are not give the same answers through read(). */
TEST_F(device, a_bar_reads_the_same_by_mapping_and_by_syscall)
{
	u32 compared = 0;

	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		struct vfio_pci_bar *bar = &self->device->bars[i];
		void *mapping = bar->vaddr;
		u32 mapped, called;

		if (!mapping || bar_begins_with_msix_table(self->device, i))
			continue;

		mapped = vfio_pci_bar_readl(self->device, i, 0);
		bar->vaddr = NULL;
		called = vfio_pci_bar_readl(self->device, i, 0);
		bar->vaddr = mapping;

		EXPECT_EQ(mapped, called);
		compared++;
	}

	if (!compared)
		SKIP(return, "the device has no BAR that can be mapped");
}

TEST_F(device, a_bar_is_as_large_as_sysfs_says)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", self->device->bdf);
	file = fopen(path, "r");
	ASSERT_NE(NULL, file);
	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		unsigned long long start, end, flags;

		ASSERT_EQ(3, fscanf(file, "%llx %llx %llx", &start, &end, &flags));
		EXPECT_EQ(end ? end - start + 1 : 0, self->device->bars[i].info.size);
	}
	fclose(file);
}

TEST_F(device, reset_works)
{
	if (!(self->device->info.flags & VFIO_DEVICE_FLAGS_RESET))
		SKIP(return, "the device has no reset method");

	vfio_pci_device_reset(self->device);
	EXPECT_NE(0xffff, vfio_pci_config_readw(self->device, PCI_VENDOR_ID));
}

TEST_F(device, dma_memory_can_be_mapped_and_unmapped)
{
	struct iova_allocator *allocator = iova_allocator_init(self->iommu, UINT64_MAX);
	struct dma_region region = { .size = SZ_2M };
	u64 unmapped = 0;

	region.vaddr = mmap(NULL, region.size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, region.vaddr);
	region.iova = iova_allocator_alloc(allocator, region.size);

	ASSERT_EQ(0, __iommu_map(self->iommu, &region));
	EXPECT_EQ(region.iova + SZ_4K, to_iova(self->device, region.vaddr + SZ_4K));
	EXPECT_EQ(-EEXIST, __iommu_map(self->iommu, &(struct dma_region){
		.vaddr = region.vaddr, .iova = region.iova, .size = SZ_4K }));
	ASSERT_EQ(0, __iommu_unmap(self->iommu, &region, &unmapped));
	EXPECT_EQ(region.size, unmapped);
	EXPECT_EQ(-ENOENT, __to_iova(self->device, region.vaddr, NULL));

	munmap(region.vaddr, region.size);
	iova_allocator_cleanup(allocator);
}

FIXTURE(irq) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	u32 count;
};

FIXTURE_VARIANT(irq) {
	u32 index;
};

FIXTURE_VARIANT_ADD(irq, intx) { .index = VFIO_PCI_INTX_IRQ_INDEX };
FIXTURE_VARIANT_ADD(irq, msi) { .index = VFIO_PCI_MSI_IRQ_INDEX };
FIXTURE_VARIANT_ADD(irq, msix) { .index = VFIO_PCI_MSIX_IRQ_INDEX };

FIXTURE_SETUP(irq)
{
	SKIP_IF_MISSING(test_iommu_mode_missing(test_iommu_mode()));
	self->iommu = iommu_init(test_iommu_mode());
	self->device = vfio_pci_device_init(test_options.bdf, self->iommu);
	self->count = min(self->device->irq_info[variant->index].count, (u32)MAX_VECTORS);
	if (!self->count) {
		vfio_pci_device_cleanup(self->device);
		iommu_cleanup(self->iommu);
		SKIP(return, "the device has no %s", vfio_pci_irq_index_name(variant->index));
	}
}

FIXTURE_TEARDOWN(irq)
{
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

/* Triggers one vector and looks at all of them. */
static u32 wrong_counts(struct vfio_pci_device *device, u32 index, u32 count, u32 triggered)
{
	u32 wrong = 0;

	vfio_pci_irq_trigger(device, index, triggered);
	for (u32 vector = 0; vector < count; vector++) {
		u64 expected = vector == triggered;
		u64 seen = vfio_pci_irq_take(device, index, vector, expected ? TRIGGER_MS : 0);

		wrong += seen != expected;
	}

	return wrong;
}

TEST_F(irq, each_vector_signals_its_own_eventfd)
{
	vfio_pci_irq_enable(self->device, variant->index, 0, self->count);
	for (u32 vector = 0; vector < self->count; vector++)
		EXPECT_EQ(0, wrong_counts(self->device, variant->index, self->count, vector));
	vfio_pci_irq_disable(self->device, variant->index);
}

TEST_F(irq, a_disabled_vector_works_when_enabled_again)
{
	for (int i = 0; i < 3; i++) {
		vfio_pci_irq_enable(self->device, variant->index, 0, self->count);
		EXPECT_EQ(0, wrong_counts(self->device, variant->index, self->count, 0));
		vfio_pci_irq_disable(self->device, variant->index);
	}
}

TEST_F(irq, more_vectors_than_the_device_has_are_refused)
{
	u32 count = self->device->irq_info[variant->index].count;

	if (count == VFIO_PCI_MAX_MSI)
		SKIP(return, "the device has as many vectors as there can be");

	EXPECT_EQ(-EINVAL, __vfio_pci_irq_enable(self->device, variant->index, 0, count + 1));
	EXPECT_EQ(-EINVAL, __vfio_pci_irq_enable(self->device, variant->index, count, 1));
}

TEST_F(irq, another_type_is_refused_while_one_is_enabled)
{
	vfio_pci_irq_enable(self->device, variant->index, 0, 1);
	for (u32 other = 0; other <= VFIO_PCI_MSIX_IRQ_INDEX; other++) {
		if (other == variant->index || !self->device->irq_info[other].count)
			continue;

		EXPECT_EQ(-EINVAL, __vfio_pci_irq_enable(self->device, other, 0, 1));
	}
	vfio_pci_irq_disable(self->device, variant->index);
}

TEST_F(irq, only_intx_can_be_masked)
{
	bool maskable = self->device->irq_info[variant->index].flags & VFIO_IRQ_INFO_MASKABLE;

	EXPECT_EQ(variant->index == VFIO_PCI_INTX_IRQ_INDEX, maskable);
	vfio_pci_irq_enable(self->device, variant->index, 0, 1);
	if (maskable) {
		EXPECT_EQ(0, __vfio_pci_irq_mask(self->device, variant->index, 0));
		EXPECT_TRUE(vfio_pci_intx_masked(self->device));
		EXPECT_EQ(0, __vfio_pci_irq_unmask(self->device, variant->index, 0));
		EXPECT_FALSE(vfio_pci_intx_masked(self->device));
	} else {
		EXPECT_GT(0, __vfio_pci_irq_mask(self->device, variant->index, 0));
	}
	vfio_pci_irq_disable(self->device, variant->index);
}

TEST_PROGRAM(NEEDS_DEVICE, "vfio-pci: config space, BARs, reset, DMA mappings, each irq type")
