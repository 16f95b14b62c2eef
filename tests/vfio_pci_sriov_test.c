// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtual function is open to whom the user of its physical function trusts, and is a device
 * of its own.
 *
 * Proves the rules of VF tokens, in each IOMMU mode: a virtual function is opened with the token
 * of its physical function and with no other; while it is open, so is the physical function; a
 * new token counts from when it is set; a device that has no use for a token refuses it. Then
 * that a virtual function outlives the close of its physical function, is told by its request
 * interrupt when it is taken away, and has config space, BARs, MSI-X, DMA and reset for itself.
 *
 * Bug class: a virtual function in the hands of somebody whom its physical function, which can
 * disturb it, does not trust (VFIO_DEVICE_BIND_IOMMUFD did not ask before Linux 6.17), and
 * functions removed under their users.
 *
 * Needs a physical function bound to vfio-pci, without virtual ones. They are gone afterwards.
 */
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/kernel.h>
#include <linux/sizes.h>

#include <libvfio/deadline.h>
#include <libvfio/dma_region.h>
#include <libvfio/sriov.h>
#include <libvfio/sysfs.h>
#include <libvfio/vfio_pci_device.h>
#include <tests/harness.h>

#define NR_VFS 2
#define IRQ_MS 1000
#define REMOVAL_MS 15000

static const struct vf_token token = { "fifteen and one" };
static const struct vf_token other_token = { "something else." };

/**
 * struct functions - A physical function that is open, and virtual ones that are not.
 * @iommu: what @pf is opened with
 * @pf: opened with the token
 * @sriov: the virtual functions
 * @vf: their addresses
 * @token_unchecked: the kernel asks for no token in this IOMMU mode
 */
struct functions {
	struct iommu *iommu;
	struct vfio_pci_device *pf;
	struct sriov sriov;
	char vf[NR_VFS][PCI_BDF_SIZE];
	bool token_unchecked;
};

/* Opens @bdf in an address space of its own, and closes it again at once. */
static int try_open(const char *mode, const char *bdf, const struct vf_token *with)
{
	struct iommu *iommu = iommu_init(mode);
	struct vfio_pci_device *device;
	int ret = __vfio_pci_device_init_token(bdf, iommu, with, &device);

	if (!ret)
		vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);
	return ret;
}

static struct vfio_pci_device *open_function(struct iommu *iommu, const char *bdf, bool unchecked)
{
	struct vfio_pci_device *device = NULL;
	int ret = __vfio_pci_device_init_token(bdf, iommu, unchecked ? NULL : &token, &device);

	VFIO_ASSERT_EQ(ret, 0, "cannot open %s: %s", bdf, strerror(-ret));
	return device;
}

/* Before Linux 6.17 the character device neither takes a token nor asks for one. */
static bool ignores_tokens(const char *mode, const char *vf)
{
	return !strcmp(mode, MODE_IOMMUFD) && !try_open(mode, vf, NULL);
}

static const char *functions_missing(const char *mode)
{
	const char *missing = test_iommu_mode_missing(mode) ?: sriov_missing(test_options.bdf);

	if (!missing && sriov_total_vfs(test_options.bdf) < NR_VFS)
		missing = "the device has fewer than two virtual functions";
	return missing;
}

static void functions_open(struct functions *functions, const char *mode)
{
	sriov_enable(&functions->sriov, test_options.bdf, NR_VFS);
	for (u32 i = 0; i < NR_VFS; i++) {
		char *vf = functions->vf[i], driver[64];

		VFIO_ASSERT_EQ(sriov_vf(test_options.bdf, i, vf), 0);
		VFIO_ASSERT_EQ(sysfs_driver(vf, driver, sizeof(driver)), 0);
		VFIO_ASSERT_TRUE(!strcmp(driver, "vfio-pci"), "%s is bound to '%s'", vf, driver);
	}
	functions->iommu = iommu_init(mode);
	functions->token_unchecked = ignores_tokens(mode, functions->vf[0]);
	functions->pf = open_function(functions->iommu, test_options.bdf,
				      functions->token_unchecked);
}

static void functions_close(struct functions *functions)
{
	if (functions->pf)
		vfio_pci_device_cleanup(functions->pf);
	iommu_cleanup(functions->iommu);
	sriov_disable(&functions->sriov);
}

/* Tokens *************************************************************************************/

FIXTURE(tokens) {
	struct functions functions;
};

FIXTURE_VARIANT_IOMMU_MODE(tokens);

#define TOKENS_VARIANT(_mode)								\
FIXTURE_VARIANT_ADD(tokens, _mode) { .iommu_mode = #_mode };
FOR_EACH_IOMMU_MODE(TOKENS_VARIANT)

FIXTURE_SETUP(tokens)
{
	SKIP_IF_MISSING(functions_missing(variant->iommu_mode));
	functions_open(&self->functions, variant->iommu_mode);
}

FIXTURE_TEARDOWN(tokens)
{
	functions_close(&self->functions);
}

TEST_F(tokens, a_function_is_opened_with_the_token_of_its_pf_only)
{
	const char *mode = variant->iommu_mode, *pf = test_options.bdf;
	struct functions *functions = &self->functions;
	struct vfio_pci_device *vf = NULL;

	if (functions->token_unchecked)
		SKIP(return, "this kernel does not ask for a token at VFIO_DEVICE_BIND_IOMMUFD, "
		     "as Linux does from 6.17 on");

	EXPECT_EQ(-EACCES, try_open(mode, functions->vf[0], NULL));
	EXPECT_EQ(-EACCES, try_open(mode, functions->vf[0], &other_token));

	/* A new one counts for each function from now on, and the old one no more. */
	ASSERT_EQ(0, vf_token_set(functions->pf->fd, &other_token));
	EXPECT_EQ(-EACCES, try_open(mode, functions->vf[0], &token));
	EXPECT_EQ(-EACCES, try_open(mode, functions->vf[1], &token));
	ASSERT_EQ(0, __vfio_pci_device_init_token(functions->vf[0], functions->iommu,
						  &other_token, &vf));

	/* The user of a virtual function need not put up with any user of the physical one. */
	vfio_pci_device_cleanup(functions->pf);
	functions->pf = NULL;
	EXPECT_EQ(-EACCES, try_open(mode, pf, NULL));
	EXPECT_EQ(-EACCES, try_open(mode, pf, &token));
	EXPECT_EQ(0, try_open(mode, pf, &other_token));
	vfio_pci_device_cleanup(vf);

	/* With nobody left to protect, it takes whatever it is given. */
	EXPECT_EQ(0, try_open(mode, pf, &token));
	EXPECT_EQ(-EACCES, try_open(mode, functions->vf[1], &other_token));
	EXPECT_EQ(0, try_open(mode, functions->vf[1], &token));
}

/* A device of its own ************************************************************************/

FIXTURE(vf) {
	struct functions functions;
};

FIXTURE_VARIANT(vf) { const char *iommu_mode; };

/* The two ways to open a device; the address space makes no difference here. */
FIXTURE_VARIANT_ADD(vf, vfio_type1v2_iommu) { .iommu_mode = MODE_VFIO_TYPE1V2_IOMMU };
FIXTURE_VARIANT_ADD(vf, iommufd) { .iommu_mode = MODE_IOMMUFD };

FIXTURE_SETUP(vf)
{
	SKIP_IF_MISSING(functions_missing(variant->iommu_mode));
	functions_open(&self->functions, variant->iommu_mode);
}

FIXTURE_TEARDOWN(vf)
{
	functions_close(&self->functions);
}

/* A device by the rules that hold for all: as vfio_pci_device_test, but of a function like this. */
TEST_F(vf, a_vf_is_a_device_of_its_own)
{
	struct functions *functions = &self->functions;
	struct vfio_pci_device *vf = open_function(functions->iommu, functions->vf[0],
						   functions->token_unchecked);
	struct iova_allocator *allocator = iova_allocator_init(functions->iommu, UINT64_MAX);
	u32 nr_vectors = vf->irq_info[VFIO_PCI_MSIX_IRQ_INDEX].count, mapped = 0;
	struct dma_region region;

	/* A real one reads as ones; VFIO puts in what its physical function says. */
	EXPECT_NE(0xffff, vfio_pci_config_readw(vf, PCI_VENDOR_ID));
	EXPECT_EQ(vfio_pci_config_readw(functions->pf, PCI_VENDOR_ID),
		  vfio_pci_config_readw(vf, PCI_VENDOR_ID));
	EXPECT_NE(vfio_pci_config_readw(functions->pf, PCI_DEVICE_ID),
		  vfio_pci_config_readw(vf, PCI_DEVICE_ID));
	EXPECT_EQ(0, vf->irq_info[VFIO_PCI_INTX_IRQ_INDEX].count);
	EXPECT_NE(sysfs_iommu_group(test_options.bdf), sysfs_iommu_group(functions->vf[0]));
	EXPECT_NE(sysfs_iommu_group(functions->vf[1]), sysfs_iommu_group(functions->vf[0]));

	for (int i = 0; i < PCI_STD_NUM_BARS; i++)
		mapped += vf->bars[i].vaddr && vfio_pci_bar_readl(vf, i, 0) != UINT32_MAX;
	EXPECT_LT(0, mapped);

	vfio_pci_irq_enable(vf, VFIO_PCI_MSIX_IRQ_INDEX, 0, nr_vectors);
	for (u32 vector = 0; vector < nr_vectors; vector++) {
		vfio_pci_irq_trigger(vf, VFIO_PCI_MSIX_IRQ_INDEX, vector);
		for (u32 i = 0; i < nr_vectors; i++) {
			EXPECT_EQ(i == vector,
				  vfio_pci_irq_take(vf, VFIO_PCI_MSIX_IRQ_INDEX, i, 0));
		}
	}
	vfio_pci_irq_disable(vf, VFIO_PCI_MSIX_IRQ_INDEX);

	dma_region_setup(functions->iommu, allocator, &region, SZ_2M);
	dma_region_teardown(functions->iommu, &region);
	vfio_pci_device_reset(vf);

	/* The reset was the function's own. */
	EXPECT_NE(0xffff, vfio_pci_config_readw(functions->pf, PCI_VENDOR_ID));
	EXPECT_NE(0xffff, vfio_pci_config_readw(vf, PCI_VENDOR_ID));
	iova_allocator_cleanup(allocator);
	vfio_pci_device_cleanup(vf);
}

static void *remove_vfs(void *pf)
{
	return (void *)(intptr_t)__sriov_set_vfs(pf, 0);
}

/* The physical function is closed early, then its virtual ones are removed under their user. */
TEST_F(vf, a_vf_outlives_its_pf_and_leaves_when_asked)
{
	struct functions *functions = &self->functions;
	struct vfio_pci_device *vf = open_function(functions->iommu, functions->vf[0],
						   functions->token_unchecked);
	int request = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	u16 vendor = vfio_pci_config_readw(vf, PCI_VENDOR_ID);
	eventfd_t requests = 0;
	pthread_t remover;
	void *ret = NULL;

	vfio_pci_irq_enable(vf, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1);
	ASSERT_EQ(0, __vfio_pci_irq_set_eventfd(vf, VFIO_PCI_REQ_IRQ_INDEX, 0,
						VFIO_IRQ_SET_ACTION_TRIGGER, request));
	vfio_pci_device_cleanup(functions->pf);
	functions->pf = NULL;
	EXPECT_EQ(vendor, vfio_pci_config_readw(vf, PCI_VENDOR_ID));
	vfio_pci_irq_trigger(vf, VFIO_PCI_MSIX_IRQ_INDEX, 0);
	EXPECT_EQ(1, vfio_pci_irq_take(vf, VFIO_PCI_MSIX_IRQ_INDEX, 0, IRQ_MS));

	ASSERT_EQ(0, pthread_create(&remover, NULL, remove_vfs, functions->sriov.pf));
	EXPECT_TRUE(wait_for(!eventfd_read(request, &requests), REMOVAL_MS));
	EXPECT_LE(1, requests);
	/* Nothing is taken from who has not let go yet. */
	EXPECT_EQ(vendor, vfio_pci_config_readw(vf, PCI_VENDOR_ID));
	EXPECT_LE(0, sysfs_iommu_group(functions->vf[0]));
	vfio_pci_device_cleanup(vf);
	pthread_join(remover, &ret);
	EXPECT_EQ(NULL, ret);
	EXPECT_EQ(-ENOENT, sysfs_iommu_group(functions->vf[0]));
	close(request);
}

/* Without virtual functions **********************************************************************/

FIXTURE(plain) {
	struct iommu *iommu;
};

FIXTURE_VARIANT_IOMMU_MODE(plain);

#define PLAIN_VARIANT(_mode)								\
FIXTURE_VARIANT_ADD(plain, _mode) { .iommu_mode = #_mode };
FOR_EACH_IOMMU_MODE(PLAIN_VARIANT)

FIXTURE_SETUP(plain)
{
	SKIP_IF_MISSING(test_iommu_mode_missing(variant->iommu_mode));
	self->iommu = iommu_init(variant->iommu_mode);
}

FIXTURE_TEARDOWN(plain)
{
	iommu_cleanup(self->iommu);
}

TEST_F(plain, a_device_without_vfs_refuses_a_token)
{
	struct vfio_pci_device *device;

	if (sriov_total_vfs(test_options.bdf))
		SKIP(return, "the device has virtual functions");

	EXPECT_EQ(-EINVAL, try_open(variant->iommu_mode, test_options.bdf, &token));
	device = vfio_pci_device_init(test_options.bdf, self->iommu);
	EXPECT_EQ(-ENOTTY, vf_token_set(device->fd, &token));
	vfio_pci_device_cleanup(device);
}

TEST(vfs_come_by_permission_and_in_possible_numbers_only)
{
	struct sriov sriov;
	int allowed;

	SKIP_IF_MISSING(sriov_missing(test_options.bdf));
	allowed = __sriov_set_allowed(0);
	ASSERT_LE(0, allowed);
	EXPECT_EQ(-ENOENT, __sriov_set_vfs(test_options.bdf, 1));
	EXPECT_EQ(0, __sriov_set_allowed(allowed));

	sriov_enable(&sriov, test_options.bdf, 1);
	EXPECT_EQ(-EBUSY, __sriov_set_vfs(test_options.bdf, 2));
	EXPECT_EQ(-ERANGE, __sriov_set_vfs(test_options.bdf,
					   sriov_total_vfs(test_options.bdf) + 1));
	sriov_disable(&sriov);
	EXPECT_EQ(allowed, __sriov_set_allowed(allowed));
}

TEST_PROGRAM(NEEDS_DEVICE, "virtual functions: VF tokens in each IOMMU mode, and their lives")
