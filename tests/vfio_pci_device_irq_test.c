// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts that a passed-through device raises are counted in the guest, each exactly once.
 *
 * The whole path: the device writes its MSI, the IOMMU remaps or posts it, vfio-pci's eventfd
 * and KVM's irqfd (or IRQ bypass, without either) bring it to one vector of one vCPU. After each
 * step the count of every vCPU and vector is compared, so that a lost, doubled or misdelivered
 * interrupt shows; and /proc/interrupts says by which path they came, which the report states:
 * a count alone would not notice that posting silently stopped.
 *
 * Needs /dev/kvm and a device bound to vfio-pci that a driver of ours can make send MSIs.
 */
#include <string.h>
#include <unistd.h>

#include <linux/kernel.h>
#include <linux/sizes.h>

#include <host/delivery_path.h>
#include <host/irq_line.h>
#include <host/kvm_compat.h>
#include <host/passthrough.h>
#include <libvfio/deadline.h>
#include <libvfio/dma_region.h>
#include <tests/harness.h>

#define IRQ_MS 2000
#define NR_MSIS 40
#define MAX_LINES 8

/* One vector of the device, and what it leads to. */
struct device_line {
	struct irq_line line;
	u32 device_vector;
	u64 sent;
	struct delivery_probe probe;
};

FIXTURE(irq) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct iova_allocator *allocator;
	struct irq_vm *vm;
	struct irq_expectation expectation;
	struct device_line lines[MAX_LINES];
	u32 nr_lines;
};

FIXTURE_VARIANT_IOMMU_MODE(irq);

#define IRQ_VARIANT(_mode)								\
FIXTURE_VARIANT_ADD(irq, _mode) { .iommu_mode = #_mode };
FOR_EACH_IOMMU_MODE(IRQ_VARIANT)

FIXTURE_SETUP(irq)
{
	SKIP_IF_MISSING(test_iommu_mode_missing(variant->iommu_mode));

	self->iommu = iommu_init(variant->iommu_mode);
	self->device = vfio_pci_device_init(test_options.bdf, self->iommu);
	if (!self->device->driver.ops)
		SKIP(return, "no driver of ours supports the device");
	if (!self->device->driver.ops->send_msi)
		SKIP(return, "the driver cannot make this device send MSIs");

	self->allocator = iova_allocator_init(self->iommu, self->device->driver.dma_mask);
}

FIXTURE_TEARDOWN(irq)
{
	for (u32 i = 0; i < self->nr_lines; i++)
		irq_line_disconnect(&self->lines[i].line);
	if (self->vm) {
		irq_expectation_cleanup(&self->expectation);
		irq_vm_destroy(self->vm);
	}
	if (self->device->driver.initialized)
		vfio_pci_driver_stop(self->device);
	iova_allocator_cleanup(self->allocator);
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

/* Makes the VM and connects up to @max_lines vectors of the device to it. */
static void connect_device(FIXTURE_DATA(irq) *self, struct irq_vm_config config, u32 max_lines)
{
	struct vfio_pci_driver *driver = &self->device->driver;

	self->vm = irq_vm_create(&config);
	self->expectation = irq_expectation_init(self->vm);
	vfio_pci_driver_start(self->device, self->allocator);

	self->nr_lines = min(max_lines, driver->nr_msi);
	for (u32 i = 0; i < self->nr_lines; i++) {
		struct device_line *line = &self->lines[i];

		line->device_vector = driver->msi + i;
		irq_line_connect(&line->line, self->vm,
				 vfio_pci_irq_eventfd(self->device, driver->irq_index,
						      line->device_vector),
				 GSI_ROUTING_FIRST_MSI + test_random(0, 100) * MAX_LINES + i);
		line->probe = delivery_probe_begin(self->device->bdf, driver->irq_index,
						   line->device_vector);
	}
}

static void route_at_random(struct irq_line *line)
{
	irq_line_route(line, test_random(0, line->vm->config.nr_vcpus - 1),
		       test_random(IRQ_COUNTER_FIRST_VECTOR, IRQ_COUNTER_NR_VECTORS - 1));
}

/* Makes the device raise one interrupt; a vCPU that halts is asleep in KVM at that moment. */
static void send(FIXTURE_DATA(irq) *self, struct device_line *line)
{
	if (self->vm->config.wait == IRQ_COUNTER_HALT)
		VFIO_ASSERT_TRUE(irq_vm_wait_blocked(self->vm, line->line.vcpu, IRQ_MS));

	irq_line_expect(&line->line, &self->expectation);
	line->sent++;
	vfio_pci_driver_send_msi_vector(self->device, line->device_vector);
}

/*
 * Says by which path the interrupts of a line came.
 * Return: 0, or 1 if the host's count cannot be: it took more than were sent, or fewer on a
 * host that is unable to post.
 */
static u32 report_path(const struct device_line *line)
{
	const char *missing = delivery_posting_missing();
	u64 host_irqs = delivery_probe_host_irqs(&line->probe);
	enum delivery_path path = delivery_classify(line->sent, host_irqs, !missing);

	test_report("%s %s[%u]: %llu sent, %llu counted, %s (host irq %u: +%llu%s%s)",
		    line->probe.bdf, vfio_pci_irq_index_name(line->probe.index),
		    line->device_vector, (unsigned long long)line->sent,
		    (unsigned long long)line->sent, delivery_path_name(path),
		    line->probe.host_irq, (unsigned long long)host_irqs,
		    missing ? "; cannot post: " : "", missing ?: "");
	return path == DELIVERY_IMPOSSIBLE;
}

static u32 report_paths(FIXTURE_DATA(irq) *self)
{
	u32 impossible = 0;

	for (u32 i = 0; i < self->nr_lines; i++) {
		if (self->lines[i].sent)
			impossible += report_path(&self->lines[i]);
	}

	return impossible;
}

/* Sends on one vector, routed anew to any vCPU and vector before each. */
static u32 send_one_by_one(FIXTURE_DATA(irq) *self)
{
	u32 differences = 0;

	for (u32 i = 0; i < NR_MSIS && !differences; i++) {
		route_at_random(&self->lines[0].line);
		send(self, &self->lines[0]);
		differences = irq_expectation_wait(&self->expectation, IRQ_MS);
	}

	return differences;
}

#define TEST_ONE_BY_ONE(_name, ...)							\
TEST_F(irq, _name)									\
{											\
	connect_device(self, (struct irq_vm_config){ __VA_ARGS__ }, 1);			\
	ASSERT_EQ(0, send_one_by_one(self));						\
	EXPECT_EQ(0, report_paths(self));						\
}

TEST_ONE_BY_ONE(every_msi_is_counted_once, .nr_vcpus = 1)
TEST_ONE_BY_ONE(every_msi_reaches_its_vcpu_and_vector, .nr_vcpus = 4)
TEST_ONE_BY_ONE(every_msi_wakes_its_halted_vcpu, .nr_vcpus = 4, .wait = IRQ_COUNTER_HALT)
TEST_ONE_BY_ONE(every_msi_reaches_its_xapic_vcpu, .nr_vcpus = 4, .xapic = true)
TEST_ONE_BY_ONE(every_msi_wakes_its_halted_xapic_vcpu, .nr_vcpus = 4, .xapic = true,
		.wait = IRQ_COUNTER_HALT)

TEST_F(irq, msis_of_several_vectors_are_counted_apart)
{
	connect_device(self, (struct irq_vm_config){ .nr_vcpus = 4 }, MAX_LINES);
	if (self->nr_lines < 2)
		SKIP(return, "the device has a single vector");

	for (u32 i = 0; i < self->nr_lines; i++)
		irq_line_route(&self->lines[i].line, i % 4, IRQ_COUNTER_FIRST_VECTOR + i * 16);

	for (u32 round = 0; round < NR_MSIS / self->nr_lines; round++) {
		for (u32 i = 0; i < self->nr_lines; i++)
			send(self, &self->lines[i]);
		ASSERT_EQ(0, irq_expectation_wait(&self->expectation, IRQ_MS));
	}
	EXPECT_EQ(0, report_paths(self));
}

/* NMIs cannot be posted (VT-d 5.2.2, AMD IOMMU 2.2.5.2), so the host takes each of them. */
TEST_F(irq, every_msi_routed_as_nmi_is_counted_as_nmi)
{
	connect_device(self, (struct irq_vm_config){ .nr_vcpus = 4 }, 1);
	for (u32 i = 0; i < NR_MSIS / 2; i++) {
		irq_line_route(&self->lines[0].line, i % 4, IRQ_COUNTER_NMI_VECTOR);
		send(self, &self->lines[0]);
		ASSERT_EQ(0, irq_expectation_wait(&self->expectation, IRQ_MS));
	}
	EXPECT_EQ(self->lines[0].sent, delivery_probe_host_irqs(&self->lines[0].probe));
	EXPECT_EQ(0, report_paths(self));
}

/* VFIO signals the eventfd itself: never posted, and no interrupt of the host either. */
TEST_F(irq, every_loopback_trigger_is_counted_once)
{
	struct device_line *line = &self->lines[0];

	connect_device(self, (struct irq_vm_config){ .nr_vcpus = 4 }, 1);
	for (u32 i = 0; i < NR_MSIS; i++) {
		route_at_random(&line->line);
		irq_line_expect(&line->line, &self->expectation);
		vfio_pci_irq_trigger(self->device, line->probe.index, line->device_vector);
		ASSERT_EQ(0, irq_expectation_wait(&self->expectation, IRQ_MS));
	}
	EXPECT_EQ(0, delivery_probe_host_irqs(&line->probe));
	test_report("%s %s[%u]: %u triggered, %u counted, %s", self->device->bdf,
		    vfio_pci_irq_index_name(line->probe.index), line->device_vector, NR_MSIS,
		    NR_MSIS, delivery_path_name(DELIVERY_EVENTFD));
}

/* Once the irqfd is gone the device's interrupts belong to user space again, all of them. */
TEST_F(irq, a_deassigned_irqfd_leaves_the_guest_alone)
{
	struct device_line *line = &self->lines[0];
	u64 taken = 0;

	connect_device(self, (struct irq_vm_config){ .nr_vcpus = 1 }, 1);
	irq_line_route(&line->line, 0, IRQ_COUNTER_FIRST_VECTOR);
	send(self, line);
	ASSERT_EQ(0, irq_expectation_wait(&self->expectation, IRQ_MS));

	irqfd_deassign(self->vm->kvm, line->line.gsi, line->line.eventfd);
	for (u32 i = 0; i < NR_MSIS / 4; i++) {
		vfio_pci_driver_send_msi_vector(self->device, line->device_vector);
		taken += vfio_pci_irq_take(self->device, line->probe.index, line->device_vector,
					   IRQ_MS);
	}
	EXPECT_EQ(NR_MSIS / 4, taken);
	EXPECT_EQ(0, irq_expectation_wait(&self->expectation, IRQ_MS));

	irqfd_assign(self->vm->kvm, line->line.gsi, line->line.eventfd);
	send(self, line);
	EXPECT_EQ(0, irq_expectation_wait(&self->expectation, IRQ_MS));
}

/* The device of a VM sees the guest's memory at its guest physical addresses. */
TEST_F(irq, the_device_copies_within_guest_memory)
{
	static const char text[] = "written by the host, moved by the device, read by the guest";
	struct vfio_pci_driver *driver = &self->device->driver;
	struct dma_region *guest;
	u64 size;
	u8 *src;

	self->vm = irq_vm_create(&(struct irq_vm_config){ .nr_vcpus = 1 });
	self->expectation = irq_expectation_init(self->vm);
	guest = passthrough_map_guest_memory(self->vm->kvm, self->iommu);
	iova_allocator_skip_below(self->allocator, SZ_64M);
	vfio_pci_driver_start(self->device, self->allocator);

	if (!driver->no_memcpy) {
		size = roundup(sizeof(text), driver->memcpy_align);
		src = addr_gva2hva(self->vm->kvm, vm_alloc(self->vm->kvm, 2 * SZ_4K,
							   KVM_UTIL_MIN_VADDR));
		memcpy(src, text, sizeof(text));
		EXPECT_EQ(0, vfio_pci_driver_memcpy(self->device, to_iova(self->device, src),
						    to_iova(self->device, src + SZ_4K), size));
		EXPECT_EQ(0, memcmp(src + SZ_4K, text, sizeof(text)));
	}

	passthrough_unmap_guest_memory(self->iommu, guest);
	SKIP_IF_MISSING(driver->no_memcpy);
}

TEST_PROGRAM(NEEDS_KVM | NEEDS_DEVICE,
	     "MSIs of a passed-through device are counted in the guest, each exactly once")
