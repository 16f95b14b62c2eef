// SPDX-License-Identifier: GPL-2.0-only
/*
 * Vectors come, move and go one by one, and each interrupt goes where its vector leads just then.
 *
 * Proves, with exact counts on every vector: MSI and MSI-X vectors enabled one by one in any order,
 * with gaps, and as many as the device has; one moved to another eventfd while the device fires.
 * And that INTx is masked when it has fired, until it is unmasked by ioctl, by config space or by
 * an eventfd as KVM's resampling does; that a mask does not outlive its type; that an INTx without
 * an eventfd is not lost for good, nor one to which all of that was done at once. What is refused
 * is the business of vfio_irq_uapi_test.
 *
 * Bug class: INTx handler races and leaks (CVE-2024-26812, 26810), resample lost on unmask,
 * DisINTx left behind by a change of type (899649b7d4ea), vectors lost when SET_IRQS registers
 * again, exhaustion of the CPUs' vectors and of IRTEs.
 *
 * Needs a device bound to vfio-pci; what takes a real interrupt needs a driver for it.
 */
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kernel.h>

#include <libvfio/deadline.h>
#include <libvfio/dma_region.h>
#include <libvfio/proc_interrupts.h>
#include <libvfio/vfio_pci_device.h>
#include <tests/harness.h>

#define IRQ_MS 1000
/* Of vectors where each is compared with each. */
#define MAX_VECTORS 16
#define ROUNDS 20
#define MEDDLING_MS 500

static u64 take(int eventfd)
{
	u64 count = 0;

	return read(eventfd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* Vectors ************************************************************************************/

FIXTURE(vectors) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	u32 count;
	bool resizable;
};

FIXTURE_VARIANT(vectors) { u32 index; };

FIXTURE_VARIANT_ADD(vectors, msi) { .index = VFIO_PCI_MSI_IRQ_INDEX };
FIXTURE_VARIANT_ADD(vectors, msix) { .index = VFIO_PCI_MSIX_IRQ_INDEX };

FIXTURE_SETUP(vectors)
{
	SKIP_IF_MISSING(test_iommu_mode_missing(test_iommu_mode()));
	self->iommu = iommu_init(test_iommu_mode());
	self->device = vfio_pci_device_init(test_options.bdf, self->iommu);
	self->count = self->device->irq_info[variant->index].count;
	self->resizable = !(self->device->irq_info[variant->index].flags & VFIO_IRQ_INFO_NORESIZE);
	if (!self->count) {
		vfio_pci_device_cleanup(self->device);
		iommu_cleanup(self->iommu);
		SKIP(return, "the device has no %s", vfio_pci_irq_index_name(variant->index));
	}
}

FIXTURE_TEARDOWN(vectors)
{
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

/*
 * Triggers vectors [0, count) one by one. Return: how many eventfds were signalled wrongly, by
 * their own trigger or another's.
 */
static u32 wrong_vectors(struct vfio_pci_device *device, u32 index, u32 count)
{
	u32 wrong = 0;

	for (u32 vector = 0; vector < count; vector++) {
		bool armed = device->irq_eventfds[index][vector] >= 0;

		vfio_pci_irq_trigger(device, index, vector);
		for (u32 other = 0; other < count; other++) {
			if (device->irq_eventfds[index][other] >= 0)
				wrong += vfio_pci_irq_take(device, index, other, 0) !=
					 (armed && other == vector);
		}
	}

	return wrong;
}

TEST_F(vectors, vectors_can_be_enabled_one_by_one_in_any_order)
{
	u32 count = min(self->count, (u32)MAX_VECTORS), enabled = 0;
	u32 vector = test_random(0, count - 1);

	if (count == 1)
		SKIP(return, "the device has one vector");

	/* The first decides how many there can be, unless the kernel can add some later. */
	vfio_pci_irq_enable(self->device, variant->index, vector, 1);
	if (!self->resizable && vector + 1 < count) {
		EXPECT_EQ(-EINVAL, __vfio_pci_irq_enable(self->device, variant->index,
							 vector + 1, 1));
	}
	if (!self->resizable)
		count = vector + 1;

	/* 7 has no divisor in common with a count that is a power of two. */
	for (u32 i = 0; i < count; i++) {
		u32 next = (vector + 7 * i) % count;

		if (self->device->irq_eventfds[variant->index][next] < 0)
			vfio_pci_irq_enable(self->device, variant->index, next, 1);
		enabled++;
		EXPECT_EQ(0, wrong_vectors(self->device, variant->index, count));
	}
	EXPECT_EQ(count, enabled);
	vfio_pci_irq_disable(self->device, variant->index);
}

TEST_F(vectors, a_sparse_set_leaves_its_gaps_alone)
{
	u32 count = min(self->count, (u32)MAX_VECTORS);
	int *eventfds = self->device->irq_eventfds[variant->index];
	struct proc_interrupt found;
	s32 fds[MAX_VECTORS];

	if (count < 3)
		SKIP(return, "the device has fewer than three vectors");

	for (u32 i = 0; i < count; i++)
		fds[i] = i % 2 ? -1 : (eventfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	ASSERT_EQ(0, __vfio_pci_irq_set_eventfds(self->device, variant->index, 0, count,
						 VFIO_IRQ_SET_ACTION_TRIGGER, fds));
	EXPECT_EQ(0, wrong_vectors(self->device, variant->index, count));
	for (u32 i = 0; i < count; i++) {
		EXPECT_EQ(i % 2 ? -ENOENT : 0, vfio_pci_host_irq(self->device->bdf, variant->index,
								 i, &found));
	}

	/* The gaps are filled later, as far as the first call has allocated them. */
	for (u32 i = 1; i < count; i += 2)
		vfio_pci_irq_enable(self->device, variant->index, i, 1);
	EXPECT_EQ(0, wrong_vectors(self->device, variant->index, count));
	vfio_pci_irq_disable(self->device, variant->index);
}

/* x86 has some 200 vectors for each CPU, so a large device can exhaust a small machine. */
TEST_F_TIMEOUT(vectors, as_many_vectors_as_the_device_has_can_be_enabled, 120)
{
	u32 possible = 0;

	for (u32 count = 1;; count = min(2 * count, self->count)) {
		int ret = __vfio_pci_irq_enable(self->device, variant->index, 0, count);
		struct proc_interrupt found;

		if (ret == -ENOSPC || ret == -ENOMEM) {
			test_report("%u vectors were to be had, and not %u: this machine's %ld "
				    "CPUs have no more", possible, count,
				    sysconf(_SC_NPROCESSORS_ONLN));
			break;
		}
		ASSERT_EQ(0, ret);
		/* The first, the last and one between; all of them would take a minute. */
		for (u32 i = 0; i < 3; i++) {
			u32 vector = i == 0 ? 0 : i == 1 ? count - 1 : test_random(0, count - 1);

			vfio_pci_irq_trigger(self->device, variant->index, vector);
			EXPECT_EQ(1, vfio_pci_irq_take(self->device, variant->index, vector, 0));
			EXPECT_EQ(0, vfio_pci_host_irq(self->device->bdf, variant->index, vector,
						       &found));
		}
		for (u32 vector = 0; vector < count; vector++) {
			EXPECT_EQ(0, vfio_pci_irq_take(self->device, variant->index, vector, 0));
		}
		vfio_pci_irq_disable(self->device, variant->index);
		possible = count;
		if (count == self->count)
			break;
	}

	/* Whatever was refused has not kept anything. */
	EXPECT_LE(1, possible);
	vfio_pci_irq_enable(self->device, variant->index, 0, possible);
	vfio_pci_irq_disable(self->device, variant->index);
	test_report("%s: %u of %u vectors at once", vfio_pci_irq_index_name(variant->index),
		    possible, self->count);
}

FIXTURE(irq) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct iova_allocator *allocator;
};

FIXTURE_SETUP(irq)
{
	SKIP_IF_MISSING(test_iommu_mode_missing(test_iommu_mode()));
	self->iommu = iommu_init(test_iommu_mode());
	self->device = vfio_pci_device_init(test_options.bdf, self->iommu);
	self->allocator = iova_allocator_init(self->iommu, self->device->driver.dma_mask ?:
					      UINT64_MAX);
}

FIXTURE_TEARDOWN(irq)
{
	iova_allocator_cleanup(self->allocator);
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

/* With a driver ******************************************************************************/

/* Starts the driver with @index. Return: NULL, or why not. */
static const char *start_driver(struct vfio_pci_device *device, struct iova_allocator *allocator,
				u32 index)
{
	const char *missing = vfio_pci_driver_missing(device);

	if (missing)
		return missing;
	if (!(device->driver.irq_indexes & 1U << index))
		return "the driver does not use this type of interrupt";
	device->driver.irq_index = index;
	vfio_pci_driver_start(device, allocator);
	return device->driver.nr_msi ? NULL : "the driver cannot raise an interrupt";
}

TEST_F(irq, a_vector_registered_again_signals_only_its_new_eventfd)
{
	struct vfio_pci_device *device = self->device;
	u32 index = device->driver.irq_index, vector, wrong = 0;
	int *eventfds = device->irq_eventfds[index];
	int old = -1;

	SKIP_IF_MISSING(start_driver(device, self->allocator, index));
	vector = device->driver.msi;
	if (index == VFIO_PCI_INTX_IRQ_INDEX)
		SKIP(return, "the driver raises INTx only");

	for (int i = 0; i < ROUNDS; i++) {
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		/* Nobody listens to one that comes before the change, and it must not linger. */
		vfio_pci_driver_send_msi_vector(device, vector);
		wrong += vfio_pci_irq_take(device, index, vector, IRQ_MS) != 1;
		ASSERT_EQ(0, __vfio_pci_irq_set_eventfd(device, index, vector,
							VFIO_IRQ_SET_ACTION_TRIGGER, fd));
		if (old >= 0)
			close(old);
		old = eventfds[vector];
		eventfds[vector] = fd;

		vfio_pci_driver_send_msi_vector(device, vector);
		wrong += vfio_pci_irq_take(device, index, vector, IRQ_MS) != 1;
		wrong += take(old);
	}
	EXPECT_EQ(0, wrong);
	close(old);
	vfio_pci_driver_stop(device);
}

/* INTx ***************************************************************************************/

TEST_F(irq, disintx_in_config_space_masks_intx)
{
	struct vfio_pci_device *device = self->device;
	const u32 index = VFIO_PCI_INTX_IRQ_INDEX;

	if (!device->irq_info[index].count)
		SKIP(return, "the device has no INTx");

	vfio_pci_irq_enable(device, index, 0, 1);
	EXPECT_FALSE(vfio_pci_intx_masked(device));
	vfio_pci_cmd_set(device, PCI_COMMAND_INTX_DISABLE);
	EXPECT_TRUE(vfio_pci_intx_masked(device));

	/* While it is set, neither a loopback gets through nor does an unmask. */
	vfio_pci_irq_trigger(device, index, 0);
	EXPECT_EQ(0, vfio_pci_irq_take(device, index, 0, 0));
	EXPECT_EQ(0, __vfio_pci_irq_unmask(device, index, 0));
	EXPECT_TRUE(vfio_pci_intx_masked(device));

	vfio_pci_cmd_clear(device, PCI_COMMAND_INTX_DISABLE);
	EXPECT_FALSE(vfio_pci_intx_masked(device));
	vfio_pci_irq_trigger(device, index, 0);
	EXPECT_EQ(1, vfio_pci_irq_take(device, index, 0, 0));
	vfio_pci_irq_disable(device, index);
}

/* A mask must not outlive the type that it was for (899649b7d4ea). */
TEST_F(irq, a_masked_intx_leaves_no_trace_in_the_next_type)
{
	struct vfio_pci_device *device = self->device;
	u32 changes = 0;

	if (!device->irq_info[VFIO_PCI_INTX_IRQ_INDEX].count)
		SKIP(return, "the device has no INTx");

	for (u32 other = VFIO_PCI_MSI_IRQ_INDEX; other <= VFIO_PCI_MSIX_IRQ_INDEX; other++) {
		if (!device->irq_info[other].count)
			continue;
		vfio_pci_irq_enable(device, VFIO_PCI_INTX_IRQ_INDEX, 0, 1);
		EXPECT_EQ(0, __vfio_pci_irq_mask(device, VFIO_PCI_INTX_IRQ_INDEX, 0));
		EXPECT_TRUE(vfio_pci_intx_masked(device));
		vfio_pci_irq_disable(device, VFIO_PCI_INTX_IRQ_INDEX);

		vfio_pci_irq_enable(device, other, 0, 1);
		EXPECT_EQ(0, wrong_vectors(device, other, 1));
		vfio_pci_irq_disable(device, other);

		vfio_pci_irq_enable(device, VFIO_PCI_INTX_IRQ_INDEX, 0, 1);
		EXPECT_FALSE(vfio_pci_intx_masked(device));
		EXPECT_EQ(0, wrong_vectors(device, VFIO_PCI_INTX_IRQ_INDEX, 1));
		vfio_pci_irq_disable(device, VFIO_PCI_INTX_IRQ_INDEX);
		changes++;
	}
	if (!changes)
		SKIP(return, "the device has neither MSI nor MSI-X");
}

static int set_intx(struct vfio_pci_device *device, u32 action, int eventfd)
{
	return __vfio_pci_irq_set_eventfd(device, VFIO_PCI_INTX_IRQ_INDEX, 0, action, eventfd);
}

/* Raises INTx and takes it; false unless exactly one came and left it masked. */
static bool intx_fires(struct vfio_pci_device *device)
{
	vfio_pci_driver_send_msi(device);
	return vfio_pci_irq_take(device, VFIO_PCI_INTX_IRQ_INDEX, 0, IRQ_MS) == 1 &&
	       vfio_pci_intx_masked(device);
}

TEST_F(irq, an_intx_is_masked_until_it_is_unmasked_by_ioctl_or_eventfd)
{
	struct vfio_pci_device *device = self->device;
	int unmask = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	const u32 index = VFIO_PCI_INTX_IRQ_INDEX;

	SKIP_IF_MISSING(test_intx_missing());
	SKIP_IF_MISSING(start_driver(device, self->allocator, index));

	for (int i = 0; i < ROUNDS; i++) {
		ASSERT_TRUE(intx_fires(device));
		ASSERT_EQ(0, __vfio_pci_irq_unmask(device, index, 0));
		ASSERT_FALSE(vfio_pci_intx_masked(device));
	}

	/* As KVM's resamplefd does at each EOI. */
	ASSERT_EQ(0, set_intx(device, VFIO_IRQ_SET_ACTION_UNMASK, unmask));
	EXPECT_EQ(-EBUSY, set_intx(device, VFIO_IRQ_SET_ACTION_UNMASK, unmask));
	for (int i = 0; i < ROUNDS; i++) {
		ASSERT_TRUE(intx_fires(device));
		ASSERT_EQ(0, eventfd_write(unmask, 1));
		ASSERT_TRUE(wait_for(!vfio_pci_intx_masked(device), IRQ_MS));
	}
	EXPECT_EQ(0, vfio_pci_irq_take(device, index, 0, 0));

	/* Taken away, it unmasks nothing; brought back with a signal pending, it does at once. */
	ASSERT_EQ(0, set_intx(device, VFIO_IRQ_SET_ACTION_UNMASK, -1));
	ASSERT_TRUE(intx_fires(device));
	take(unmask);
	ASSERT_EQ(0, eventfd_write(unmask, 1));
	deadline_settle_ms(20);
	EXPECT_TRUE(vfio_pci_intx_masked(device));
	ASSERT_EQ(0, set_intx(device, VFIO_IRQ_SET_ACTION_UNMASK, unmask));
	EXPECT_TRUE(wait_for(!vfio_pci_intx_masked(device), IRQ_MS));
	EXPECT_TRUE(intx_fires(device));
	vfio_pci_driver_stop(device);
	close(unmask);
}

/* The handler may be about to signal the eventfd that is being taken away (CVE-2024-26812). */
TEST_F(irq, an_intx_without_an_eventfd_is_masked_and_not_lost_for_good)
{
	struct vfio_pci_device *device = self->device;
	const u32 index = VFIO_PCI_INTX_IRQ_INDEX;

	SKIP_IF_MISSING(test_intx_missing());
	SKIP_IF_MISSING(start_driver(device, self->allocator, index));

	for (int i = 0; i < ROUNDS; i++) {
		int fd = vfio_pci_irq_eventfd(device, index, 0);

		ASSERT_EQ(0, set_intx(device, VFIO_IRQ_SET_ACTION_TRIGGER, -1));
		vfio_pci_driver_send_msi(device);
		EXPECT_TRUE(vfio_pci_intx_masked(device));
		EXPECT_EQ(0, take(fd));
		ASSERT_EQ(0, set_intx(device, VFIO_IRQ_SET_ACTION_TRIGGER, fd));
		ASSERT_EQ(0, __vfio_pci_irq_unmask(device, index, 0));
		EXPECT_TRUE(intx_fires(device));
		ASSERT_EQ(0, __vfio_pci_irq_unmask(device, index, 0));
	}
	vfio_pci_driver_stop(device);
}

/* What one thread does to INTx, over and over. */
struct meddler {
	pthread_t thread;
	int (*meddle)(struct vfio_pci_device *device, int eventfd);
	struct vfio_pci_device *device;
	int eventfd;
	bool stop;
	int ret;
};

static int mask_and_unmask(struct vfio_pci_device *device, int eventfd)
{
	return __vfio_pci_irq_mask(device, VFIO_PCI_INTX_IRQ_INDEX, 0) ?:
	       __vfio_pci_irq_unmask(device, VFIO_PCI_INTX_IRQ_INDEX, 0);
}

static int disable_and_enable(struct vfio_pci_device *device, int eventfd)
{
	vfio_pci_cmd_set(device, PCI_COMMAND_INTX_DISABLE);
	vfio_pci_cmd_clear(device, PCI_COMMAND_INTX_DISABLE);
	return 0;
}

/* One of the eventfds is gone for good when it is taken away, so that its memory is free then. */
static int take_and_give_eventfd(struct vfio_pci_device *device, int fd)
{
	int brief = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), ret;

	ret = set_intx(device, VFIO_IRQ_SET_ACTION_TRIGGER, brief);
	close(brief);
	return ret ?: set_intx(device, VFIO_IRQ_SET_ACTION_TRIGGER, -1) ?:
	       set_intx(device, VFIO_IRQ_SET_ACTION_TRIGGER, fd);
}

static int unless_disabled(int ret)
{
	return ret == -EINVAL ? 0 : ret;
}

static int mask_and_unmask_unless_disabled(struct vfio_pci_device *device, int eventfd)
{
	return unless_disabled(__vfio_pci_irq_mask(device, VFIO_PCI_INTX_IRQ_INDEX, 0)) ?:
	       unless_disabled(__vfio_pci_irq_unmask(device, VFIO_PCI_INTX_IRQ_INDEX, 0));
}

/* A trigger with an eventfd enables INTx, one with no data and no count disables it. */
static int take_down_and_bring_up(struct vfio_pci_device *device, int eventfd)
{
	struct vfio_irq_set none = {
		.argsz = sizeof(none),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_INTX_IRQ_INDEX,
	};

	if (ioctl(device->fd, VFIO_DEVICE_SET_IRQS, &none))
		return -errno;
	return set_intx(device, VFIO_IRQ_SET_ACTION_TRIGGER, eventfd);
}

static void *meddle(void *arg)
{
	struct meddler *meddler = arg;

	while (!meddler->ret && !__atomic_load_n(&meddler->stop, __ATOMIC_RELAXED))
		meddler->ret = meddler->meddle(meddler->device, meddler->eventfd);
	return NULL;
}

static void start_meddling(struct vfio_pci_device *device, struct meddler *meddlers, u32 count)
{
	for (struct meddler *m = meddlers; m < meddlers + count; m++) {
		m->device = device;
		m->eventfd = vfio_pci_irq_eventfd(device, VFIO_PCI_INTX_IRQ_INDEX, 0);
		VFIO_ASSERT_EQ(pthread_create(&m->thread, NULL, meddle, m), 0);
	}
}

/* Return: the first error that any of them met, or 0. */
static int stop_meddling(struct meddler *meddlers, u32 count)
{
	int ret = 0;

	for (struct meddler *m = meddlers; m < meddlers + count; m++) {
		__atomic_store_n(&m->stop, true, __ATOMIC_RELAXED);
		VFIO_ASSERT_EQ(pthread_join(m->thread, NULL), 0);
		ret = ret ?: m->ret;
	}

	return ret;
}

/*
 * CVE-2024-26810 and 26812 were races of a mask, of DisINTx, of an eventfd that goes, and of
 * the interrupt itself. Who comes first is chance; that INTx works as ever afterwards is not.
 */
TEST_F(irq, an_intx_is_as_ever_after_all_was_done_to_it_at_once)
{
	struct meddler meddlers[] = {
		{ .meddle = mask_and_unmask },
		{ .meddle = disable_and_enable },
		{ .meddle = take_and_give_eventfd },
	};
	struct vfio_pci_device *device = self->device;
	const u32 index = VFIO_PCI_INTX_IRQ_INDEX;
	struct deadline enough, at_all;
	u32 raised = 0;

	SKIP_IF_MISSING(test_intx_missing());
	SKIP_IF_MISSING(start_driver(device, self->allocator, index));

	start_meddling(device, meddlers, ARRAY_SIZE(meddlers));
	/*
	 * It is no error that it was masked just now, or that nobody masked it in time; the first
	 * may take longer than all of them should.
	 */
	enough = deadline_after_ms(MEDDLING_MS);
	at_all = deadline_after_ms(20 * MEDDLING_MS);
	while (!deadline_expired(&enough) || (!raised && !deadline_expired(&at_all)))
		raised += !__vfio_pci_driver_send_msi_vector(device, device->driver.msi);
	EXPECT_EQ(0, stop_meddling(meddlers, ARRAY_SIZE(meddlers)));
	EXPECT_LT(0, raised);

	ASSERT_EQ(0, __vfio_pci_irq_unmask(device, index, 0));
	deadline_settle_ms(1);
	vfio_pci_irq_take(device, index, 0, 0);
	for (int i = 0; i < ROUNDS; i++) {
		ASSERT_TRUE(intx_fires(device));
		ASSERT_EQ(0, __vfio_pci_irq_unmask(device, index, 0));
	}
	EXPECT_EQ(0, vfio_pci_irq_take(device, index, 0, 0));
	vfio_pci_driver_stop(device);
}

/*
 * What DisINTx masks in config space is freed when INTx is disabled by ioctl: CVE-2024-26810. The
 * device raises nothing meanwhile, as nobody would be there to take it.
 */
TEST_F(irq, an_intx_is_as_ever_after_it_was_disabled_while_all_was_done_to_it)
{
	struct meddler meddlers[] = {
		{ .meddle = take_down_and_bring_up },
		{ .meddle = disable_and_enable },
		{ .meddle = mask_and_unmask_unless_disabled },
	};
	struct vfio_pci_device *device = self->device;
	const u32 index = VFIO_PCI_INTX_IRQ_INDEX;

	if (!device->irq_info[index].count)
		SKIP(return, "the device has no INTx");

	vfio_pci_irq_enable(device, index, 0, 1);
	start_meddling(device, meddlers, ARRAY_SIZE(meddlers));
	deadline_settle_ms(MEDDLING_MS);
	EXPECT_EQ(0, stop_meddling(meddlers, ARRAY_SIZE(meddlers)));

	EXPECT_EQ(0, __vfio_pci_irq_unmask(device, index, 0));
	EXPECT_FALSE(vfio_pci_intx_masked(device));
	vfio_pci_irq_trigger(device, index, 0);
	EXPECT_EQ(1, vfio_pci_irq_take(device, index, 0, 0));
	vfio_pci_irq_disable(device, index);
}

TEST_PROGRAM(NEEDS_DEVICE, "vectors enabled, moved and disabled; INTx masked and unmasked")
