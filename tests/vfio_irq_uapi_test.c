// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_DEVICE_SET_IRQS and VFIO_DEVICE_GET_IRQ_INFO do what linux/vfio.h says, and no more.
 *
 * Proves that, with each interrupt type enabled in turn, every combination of flags, index,
 * start, count, argsz and kind of data is answered as a model of the header says: what is legal
 * has its effect, everything else gets its errno and changes nothing. After each combination
 * that is well formed the eventfds of the device are compared with the model by VFIO's loopback,
 * and after each group of them the handlers that the kernel has requested.
 *
 * Bug class: a check of user space's numbers that is missing, and state that a refused call
 * leaves behind.
 *
 * Needs a device bound to vfio-pci; any will do. The address space makes no difference.
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kernel.h>

#include <libvfio/proc_interrupts.h>
#include <libvfio/vfio_pci_device.h>
#include <tests/harness.h>
#include <tests/irq_set_model.h>

/* INTx, MSI and MSI-X, of which one can be enabled. */
#define NR_TYPES (VFIO_PCI_MSIX_IRQ_INDEX + 1)

FIXTURE(irq_uapi) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
};

FIXTURE_SETUP(irq_uapi)
{
	SKIP_IF_MISSING(test_iommu_mode_missing(test_iommu_mode()));
	self->iommu = iommu_init(test_iommu_mode());
	self->device = vfio_pci_device_init(test_options.bdf, self->iommu);
}

FIXTURE_TEARDOWN(irq_uapi)
{
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

/* 0 or -errno; a positive answer is a number of vectors, kept as it is. */
static int set_irqs(struct vfio_pci_device *device, struct vfio_irq_set *set)
{
	int ret = ioctl(device->fd, VFIO_DEVICE_SET_IRQS, set);

	return ret < 0 ? -errno : ret;
}

/* Every combination **************************************************************************/

/* The bit behind the last that the header knows. */
#define UNKNOWN_FLAG (VFIO_IRQ_SET_ACTION_TRIGGER << 1)
/* A number that no process has so many files for. */
#define CLOSED_FD (INT_MAX - 1)
/* Of what a call may name: the vectors of a type, and the indexes of one vector. */
#define NR_EVENTFDS (IRQ_MODEL_VECTORS + VFIO_PCI_NUM_IRQS)

FIXTURE(combination) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct irq_model model;
	int eventfds[NR_EVENTFDS];
	int unmask_fd;
	int no_eventfd;
	u64 answered;
};

FIXTURE_VARIANT(combination) { u32 enabled; };

FIXTURE_VARIANT_ADD(combination, nothing_enabled) { .enabled = IRQ_MODEL_NONE };
FIXTURE_VARIANT_ADD(combination, intx_enabled) { .enabled = VFIO_PCI_INTX_IRQ_INDEX };
FIXTURE_VARIANT_ADD(combination, msi_enabled) { .enabled = VFIO_PCI_MSI_IRQ_INDEX };
FIXTURE_VARIANT_ADD(combination, msix_enabled) { .enabled = VFIO_PCI_MSIX_IRQ_INDEX };

FIXTURE_SETUP(combination)
{
	SKIP_IF_MISSING(test_iommu_mode_missing(test_iommu_mode()));
	self->iommu = iommu_init(test_iommu_mode());
	self->device = vfio_pci_device_init(test_options.bdf, self->iommu);
	self->model.type = IRQ_MODEL_NONE;
	for (u32 index = 0; index < VFIO_PCI_NUM_IRQS; index++) {
		struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

		if (ioctl(self->device->fd, VFIO_DEVICE_GET_IRQ_INFO, &info))
			continue;
		self->model.num[index] = info.count;
		self->model.noresize[index] = info.flags & VFIO_IRQ_INFO_NORESIZE;
	}
	for (int i = 0; i < NR_EVENTFDS; i++)
		self->eventfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	self->unmask_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	self->no_eventfd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (variant->enabled < IRQ_MODEL_NONE && !self->model.num[variant->enabled]) {
		vfio_pci_device_cleanup(self->device);
		iommu_cleanup(self->iommu);
		SKIP(return, "the device has no %s", vfio_pci_irq_index_name(variant->enabled));
	}
}

FIXTURE_TEARDOWN(combination)
{
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

#define SELF FIXTURE_DATA(combination)

/* The eventfd of @vector of @index; the vectors of the three types share theirs. */
static int eventfd_of(const SELF *self, u32 index, u32 vector)
{
	return index > VFIO_PCI_MSIX_IRQ_INDEX ? self->eventfds[IRQ_MODEL_VECTORS + index] :
						 self->eventfds[vector];
}

static s32 descriptor_of(const SELF *self, const struct vfio_irq_set *set, enum irq_set_data data,
			 u32 i)
{
	bool unmask = set->flags & VFIO_IRQ_SET_ACTION_UNMASK;
	int fd = unmask ? self->unmask_fd : eventfd_of(self, set->index, set->start + i);

	switch (data) {
	case IRQ_DATA_SET:
		return fd;
	case IRQ_DATA_CLEAR:
		return -1;
	case IRQ_DATA_NO_EVENTFD:
		return self->no_eventfd;
	case IRQ_DATA_LAST_CLOSED:
		return i + 1 < set->count ? fd : CLOSED_FD;
	default:
		return CLOSED_FD;
	}
}

static void fill_data(const SELF *self, struct vfio_irq_set *set, enum irq_set_data data)
{
	/* Only a call that the structure forbids has more, and its data is not looked at. */
	u32 count = min(set->count, (u32)IRQ_MODEL_VECTORS);

	for (u32 i = 0; i < count; i++) {
		bool meant = data == IRQ_DATA_SET ||
			     (data == IRQ_DATA_LAST_CLOSED && i + 1 < set->count);

		if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
			((s32 *)set->data)[i] = set->start < IRQ_MODEL_VECTORS ?
				descriptor_of(self, set, data, i) : CLOSED_FD;
		else
			set->data[i] = meant;
	}
}

static u64 take(int eventfd)
{
	u64 count = 0;

	return read(eventfd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* Whether each eventfd has been signalled as often as @signals says, since the last look. */
static bool signals_agree(const SELF *self, const struct irq_model_signals *signals)
{
	bool agree = true;

	for (u32 i = 0; i < IRQ_MODEL_VECTORS; i++)
		agree &= take(self->eventfds[i]) == signals->vector[i];
	for (u32 index = VFIO_PCI_ERR_IRQ_INDEX; index < VFIO_PCI_NUM_IRQS; index++)
		agree &= take(eventfd_of(self, index, 0)) == signals->single[index];
	return agree;
}

/* Triggers all that the model knows by loopback: exactly what is armed must be signalled. */
static bool device_agrees(const SELF *self)
{
	struct irq_model_signals signals = {}, call;
	struct irq_model model = self->model;

	for (u32 index = 0; index < VFIO_PCI_NUM_IRQS; index++) {
		struct vfio_irq_set set = {
			.argsz = sizeof(set),
			.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = index,
			.count = min(model.num[index], (u32)IRQ_MODEL_VECTORS),
		};

		if (set.count && set_irqs(self->device, &set) !=
				 irq_model_set(&model, &set, IRQ_DATA_SET, &call))
			return false;
		for (u32 i = 0; set.count && i < IRQ_MODEL_VECTORS; i++)
			signals.vector[i] += call.vector[i];
		for (u32 i = 0; set.count && i < VFIO_PCI_NUM_IRQS; i++)
			signals.single[i] += call.single[i];
	}

	if (model.type == VFIO_PCI_INTX_IRQ_INDEX &&
	    vfio_pci_intx_masked(self->device) != model.masked)
		return false;
	return signals_agree(self, &signals);
}

/* Whether the kernel has a handler for each armed vector and no other. */
static bool handlers_agree(const SELF *self)
{
	const struct irq_model *model = &self->model;
	u32 requested = 0, expected = 0, armed = 0;
	char line[1024], bdf[32];
	FILE *file = fopen("/proc/interrupts", "r");

	VFIO_ASSERT_NOT_NULL(file);
	snprintf(bdf, sizeof(bdf), "(%s)", self->device->bdf);
	while (fgets(line, sizeof(line), file))
		requested += strstr(line, bdf) != NULL;
	fclose(file);

	/* INTx keeps its handler when it has no eventfd. */
	for (u32 i = 0; i < IRQ_MODEL_VECTORS; i++)
		armed += model->armed[i];
	if (model->type == VFIO_PCI_INTX_IRQ_INDEX)
		armed = 1;
	for (u32 index = 0; index <= VFIO_PCI_MSIX_IRQ_INDEX; index++) {
		struct proc_interrupt found;

		/* INTx has one line, whatever vector is asked for. */
		for (u32 i = 0; index == model->type && i < (index ? IRQ_MODEL_VECTORS : 1); i++)
			expected += !vfio_pci_host_irq(self->device->bdf, index, i, &found);
	}

	return requested == armed && expected == armed;
}

/* One call, compared with the model. Complains and returns false if they differ. */
static bool try_set(SELF *self, struct vfio_irq_set *set, enum irq_set_data data)
{
	struct irq_model_signals signals;
	u32 type = self->model.type;
	int expected, ret;

	fill_data(self, set, data);
	expected = irq_model_set(&self->model, set, data, &signals);
	ret = set_irqs(self->device, set);
	self->answered++;
	if (ret == expected && signals_agree(self, &signals))
		return true;

	test_report("type %u: flags %#x index %u start %u count %u argsz %u data %d: %d, not %d",
		    type, set->flags, set->index, set->start, set->count, set->argsz, data, ret,
		    expected);
	return false;
}

/* Everything off, then the variant's type with a gap in its vectors, and one single index. */
static void enter_state(SELF *self, u32 enabled)
{
	struct {
		struct vfio_irq_set set;
		s32 fds[IRQ_MODEL_VECTORS];
	} call = { .set = { .argsz = sizeof(call.set) } };
	struct irq_model_signals signals;

	call.set.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	for (u32 index = 0; index < VFIO_PCI_NUM_IRQS; index++) {
		call.set.index = index;
		VFIO_ASSERT_EQ(set_irqs(self->device, &call.set),
			       irq_model_set(&self->model, &call.set, IRQ_DATA_SET, &signals));
	}
	if (enabled == IRQ_MODEL_NONE)
		return;

	call.set.argsz = sizeof(call);
	call.set.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	call.set.index = VFIO_PCI_REQ_IRQ_INDEX;
	call.set.count = 1;
	VFIO_ASSERT_TRUE(try_set(self, &call.set, IRQ_DATA_SET));
	call.set.index = enabled;
	call.set.count = min(self->model.num[enabled], (u32)IRQ_MODEL_VECTORS / 2);
	VFIO_ASSERT_TRUE(try_set(self, &call.set, IRQ_DATA_SET));
	if (call.set.count > 2) {
		call.set.start = 1;
		call.set.count = 1;
		VFIO_ASSERT_TRUE(try_set(self, &call.set, IRQ_DATA_CLEAR));
	}
}

static bool same_state(const struct irq_model *a, const struct irq_model *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static bool well_formed(u32 flags)
{
	return __builtin_popcount(flags & VFIO_IRQ_SET_DATA_TYPE_MASK) == 1 &&
	       __builtin_popcount(flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) == 1 &&
	       flags < UNKNOWN_FLAG;
}

/* Each kind of data and each argsz of one combination that names vectors. */
static bool sweep_data(SELF *self, u32 enabled, const struct vfio_irq_set *which)
{
	u32 kinds = well_formed(which->flags) && !(which->flags & VFIO_IRQ_SET_DATA_NONE) ?
		    NR_IRQ_SET_DATA : 1;
	u32 item = which->flags & VFIO_IRQ_SET_DATA_EVENTFD ? sizeof(s32) :
		   which->flags & VFIO_IRQ_SET_DATA_BOOL ? sizeof(u8) : 0;
	u32 size = item * min(which->count, (u32)IRQ_MODEL_VECTORS);
	const u32 argszs[] = { sizeof(*which) + size, sizeof(*which) + size - 1, sizeof(*which) };

	for (u32 kind = 0; kind < kinds; kind++) {
		for (u32 i = 0; i < (kind ? 1 : ARRAY_SIZE(argszs)); i++) {
			struct irq_model before = self->model;
			union {
				struct vfio_irq_set set;
				u8 bytes[sizeof(*which) + sizeof(s32) * IRQ_MODEL_VECTORS];
			} call = { .set = *which };

			call.set.argsz = argszs[i];
			if (!try_set(self, &call.set, kind))
				return false;
			if (well_formed(which->flags) && !device_agrees(self)) {
				test_report("flags %#x index %u start %u count %u data %u: right "
					    "answer, wrong effect", which->flags, which->index,
					    which->start, which->count, kind);
				return false;
			}
			if (!same_state(&before, &self->model))
				enter_state(self, enabled);
		}
	}

	return true;
}

/* Each start and count of one combination of flags and index. */
static bool sweep_range(SELF *self, u32 enabled, u32 flags, u32 index)
{
	u32 num = index < VFIO_PCI_NUM_IRQS ? self->model.num[index] : 1;
	u32 watched = min(num, (u32)IRQ_MODEL_VECTORS);
	const u32 starts[] = { 0, 1, 2, watched - 1, num, num + 1, UINT32_MAX };
	const u32 counts[] = { 0, 1, 2, watched, num + 1, UINT32_MAX - 1, UINT32_MAX };

	for (u32 i = 0; i < ARRAY_SIZE(starts); i++) {
		for (u32 j = 0; j < ARRAY_SIZE(counts); j++) {
			struct vfio_irq_set set = {
				.flags = flags,
				.index = index,
				.start = starts[i],
				.count = counts[j],
			};
			u64 end = (u64)set.start + set.count;

			/* Legal, and beyond what the model watches. */
			if (end <= num && end > watched)
				continue;
			if (!sweep_data(self, enabled, &set))
				return false;
		}
	}

	if (device_agrees(self) && (!well_formed(flags) || handlers_agree(self)))
		return true;
	test_report("after flags %#x index %u the device differs from the model", flags, index);
	return false;
}

/* Also one bit that means nothing, and one index behind the last. */
TEST_F_TIMEOUT(combination, every_combination_is_answered_as_the_header_says, 120)
{
	enter_state(self, variant->enabled);
	ASSERT_TRUE(device_agrees(self));
	for (u32 index = 0; index <= VFIO_PCI_NUM_IRQS; index++) {
		for (u32 flags = 0; flags < 2 * UNKNOWN_FLAG; flags++) {
			/* A bit that means nothing spoils what would be right without it. */
			if (flags & UNKNOWN_FLAG && !well_formed(flags & ~UNKNOWN_FLAG))
				continue;
			ASSERT_TRUE(sweep_range(self, variant->enabled, flags, index));
		}
	}
	enter_state(self, IRQ_MODEL_NONE);
	EXPECT_TRUE(handlers_agree(self));
	test_report("%llu calls were answered as the model says",
		    (unsigned long long)self->answered);
}

/* Information ********************************************************************************/

TEST_F(irq_uapi, irq_info_agrees_with_config_space)
{
	struct vfio_pci_device *device = self->device;
	u8 msi = vfio_pci_find_capability(device, PCI_CAP_ID_MSI);
	u8 msix = vfio_pci_find_capability(device, PCI_CAP_ID_MSIX);
	struct vfio_irq_info info = { .argsz = sizeof(info) - 1 };
	u32 expected[NR_TYPES] = {
		[VFIO_PCI_INTX_IRQ_INDEX] = !!vfio_pci_config_readb(device, PCI_INTERRUPT_PIN),
	};

	if (msi) {
		u16 flags = vfio_pci_config_readw(device, msi + PCI_MSI_FLAGS);

		expected[VFIO_PCI_MSI_IRQ_INDEX] = 1 << ((flags & PCI_MSI_FLAGS_QMASK) >> 1);
	}
	if (msix) {
		u16 flags = vfio_pci_config_readw(device, msix + PCI_MSIX_FLAGS);

		expected[VFIO_PCI_MSIX_IRQ_INDEX] = (flags & PCI_MSIX_FLAGS_QSIZE) + 1;
	}
	for (u32 index = 0; index < NR_TYPES; index++) {
		u32 flags = device->irq_info[index].flags & ~VFIO_IRQ_INFO_NORESIZE;

		EXPECT_EQ(expected[index], device->irq_info[index].count);
		EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | (index ? 0 : VFIO_IRQ_INFO_MASKABLE |
						   VFIO_IRQ_INFO_AUTOMASKED), flags);
	}

	EXPECT_EQ(-1, ioctl(device->fd, VFIO_DEVICE_GET_IRQ_INFO, &info));
	EXPECT_EQ(EINVAL, errno);
	info = (struct vfio_irq_info){ .argsz = sizeof(info), .index = VFIO_PCI_NUM_IRQS };
	EXPECT_EQ(-1, ioctl(device->fd, VFIO_DEVICE_GET_IRQ_INFO, &info));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(device->fd, VFIO_DEVICE_GET_IRQ_INFO, NULL));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(irq_uapi, data_that_cannot_be_read_is_refused)
{
	long page = sysconf(_SC_PAGESIZE);
	void *end = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + page;
	struct vfio_irq_set *set = end - sizeof(*set);
	u32 tried = 0;

	ASSERT_EQ(0, mprotect(end, page, PROT_NONE));
	EXPECT_EQ(-EFAULT, set_irqs(self->device, NULL));
	for (u32 index = 0; index < NR_TYPES; index++) {
		if (!self->device->irq_info[index].count)
			continue;
		*set = (struct vfio_irq_set){
			.argsz = sizeof(*set) + sizeof(s32),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = index,
			.count = 1,
		};
		EXPECT_EQ(-EFAULT, set_irqs(self->device, set));
		tried++;
	}
	if (!tried)
		SKIP(return, "the device has no interrupt");
}

TEST_PROGRAM(NEEDS_DEVICE, "VFIO_DEVICE_SET_IRQS does what its header says, and no more")
