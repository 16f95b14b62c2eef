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
#define NR_MSIS 8
#define NR_ROUNDS 2
#define MAX_LINES 8
#define GUEST_MEMORY_END SZ_64M

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

static const char *open_device(FIXTURE_DATA(irq) *self, const char *iommu_mode)
{
	const char *missing = test_iommu_mode_missing(iommu_mode);

	if (missing)
		return missing;

	self->iommu = iommu_init(iommu_mode);
	self->device = vfio_pci_device_init(test_options.bdf, self->iommu);
	if (!self->device->driver.ops)
		return "no driver of ours supports the device";

	if (self->device->driver.irq_index == VFIO_PCI_INTX_IRQ_INDEX ||
	    !self->device->driver.irq_indexes)
		return "the driver can use neither MSI nor MSI-X of this device";

	self->allocator = iova_allocator_init(self->iommu, self->device->driver.dma_mask);
	/* The guest's memory goes below, at its guest physical addresses. */
	iova_allocator_skip_below(self->allocator, GUEST_MEMORY_END);
	vfio_pci_driver_start(self->device, self->allocator);
	return self->device->driver.nr_msi ? NULL : "the driver cannot make this device send MSIs";
}

static void close_device(FIXTURE_DATA(irq) *self)
{
	vfio_pci_driver_stop(self->device);
	iova_allocator_cleanup(self->allocator);
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

/* Makes a VM and connects up to @max_lines vectors of the device to it. */
static void connect_device(FIXTURE_DATA(irq) *self, struct irq_vm_config config, u32 max_lines)
{
	struct vfio_pci_driver *driver = &self->device->driver;

	self->vm = irq_vm_create(&config);
	self->expectation = irq_expectation_init(self->vm);

	self->nr_lines = min(max_lines, driver->nr_msi);
	for (u32 i = 0; i < self->nr_lines; i++) {
		struct device_line *line = &self->lines[i];

		line->device_vector = driver->msi + i;
		line->sent = 0;
		irq_line_connect(&line->line, self->vm,
				 vfio_pci_irq_eventfd(self->device, driver->irq_index,
						      line->device_vector),
				 GSI_ROUTING_FIRST_MSI + test_random(0, 100) * MAX_LINES + i);
		line->probe = delivery_probe_begin(self->device->bdf, driver->irq_index,
						   line->device_vector);
	}
}

/* Takes the device from its VM, which ends. */
static void disconnect_device(FIXTURE_DATA(irq) *self)
{
	for (u32 i = 0; i < self->nr_lines; i++)
		irq_line_disconnect(&self->lines[i].line);
	self->nr_lines = 0;

	if (self->vm) {
		irq_expectation_cleanup(&self->expectation);
		irq_vm_destroy(self->vm);
	}
	self->vm = NULL;
}

FIXTURE_SETUP(irq)
{
	SKIP_IF_MISSING(open_device(self, variant->iommu_mode));
}

FIXTURE_TEARDOWN(irq)
{
	disconnect_device(self);
	close_device(self);
}

static void route_at_random(struct irq_line *line)
{
	irq_line_route(line, test_random(0, line->vm->config.nr_vcpus - 1),
		       test_random(IRQ_COUNTER_FIRST_VECTOR, IRQ_COUNTER_NR_VECTORS - 1));
}

/* All vCPUs sleep in KVM, if they are of those that halt. */
static void wait_until_idle(FIXTURE_DATA(irq) *self)
{
	for (u32 i = 0; i < self->vm->config.nr_vcpus; i++) {
		if (self->vm->config.wait == IRQ_COUNTER_HALT)
			VFIO_ASSERT_TRUE(irq_vm_wait_blocked(self->vm, i, IRQ_MS));
	}
}

/* Makes the device raise one interrupt. */
static void send(FIXTURE_DATA(irq) *self, struct device_line *line)
{
	irq_line_expect(&line->line, &self->expectation);
	line->sent++;
	vfio_pci_driver_send_msi_vector(self->device, line->device_vector);
}

/*
 * Says by which path the interrupts of this phase came.
 * Return: 0, or 1 if the host's count cannot be: it took more than were sent, or fewer on a
 * host that is unable to post.
 */
static u32 report_path(FIXTURE_DATA(irq) *self, const char *what)
{
	const struct device_line *first = &self->lines[0];
	const char *missing = delivery_posting_missing();
	enum delivery_path path = DELIVERY_IMPOSSIBLE;
	u64 sent = 0, host_irqs = 0;
	u32 vectors = 0;
	char last[16] = "";

	for (u32 i = 0; i < self->nr_lines; i++) {
		const struct device_line *line = &self->lines[i];
		u64 taken = delivery_probe_host_irqs(&line->probe);
		enum delivery_path of_line = delivery_classify(line->sent, taken, !missing);

		if (!line->sent)
			continue;

		path = sent ? delivery_combine(path, of_line) : of_line;
		sent += line->sent;
		vectors++;
		host_irqs += taken;
	}
	if (vectors > 1)
		snprintf(last, sizeof(last), "..%u", first->device_vector + vectors - 1);

	test_report("%s %s[%u%s], %s: %llu sent and counted, %s (host irqs +%llu%s%s)",
		    first->probe.bdf, vfio_pci_irq_index_name(first->probe.index),
		    first->device_vector, last, what, (unsigned long long)sent,
		    delivery_path_name(path), (unsigned long long)host_irqs,
		    path == DELIVERY_POSTED ? "" : "; ",
		    path == DELIVERY_POSTED ? "" : missing ?: "although this host can post");
	return path == DELIVERY_IMPOSSIBLE;
}

/* Starts counting anew for the next report. */
static void begin_phase(FIXTURE_DATA(irq) *self)
{
	for (u32 i = 0; i < self->nr_lines; i++) {
		struct device_line *line = &self->lines[i];

		line->sent = 0;
		line->probe = delivery_probe_begin(self->device->bdf, line->probe.index,
						   line->device_vector);
	}
}

/* Sends on one vector, routed anew to any vCPU and vector before each. Return: mistakes seen. */
static u32 send_one_by_one(FIXTURE_DATA(irq) *self, const char *what)
{
	u32 differences = 0;

	begin_phase(self);
	for (u32 i = 0; i < NR_MSIS && !differences; i++) {
		route_at_random(&self->lines[0].line);
		wait_until_idle(self);
		send(self, &self->lines[0]);
		differences = irq_expectation_wait(&self->expectation, IRQ_MS);
	}

	return differences ?: irq_expectation_settle(&self->expectation) + report_path(self, what);
}

/* VFIO signals the eventfd itself: never posted, and no interrupt of the host either. */
static u32 trigger_loopback(FIXTURE_DATA(irq) *self)
{
	struct device_line *line = &self->lines[0];
	u32 differences = 0;

	begin_phase(self);
	for (u32 i = 0; i < NR_MSIS && !differences; i++) {
		route_at_random(&line->line);
		irq_line_expect(&line->line, &self->expectation);
		vfio_pci_irq_trigger(self->device, line->probe.index, line->device_vector);
		differences = irq_expectation_wait(&self->expectation, IRQ_MS);
	}
	if (differences || delivery_probe_host_irqs(&line->probe))
		return 1;

	test_report("%s %s[%u], VFIO's loopback: %u triggered and counted, %s", line->probe.bdf,
		    vfio_pci_irq_index_name(line->probe.index), line->device_vector, NR_MSIS,
		    delivery_path_name(DELIVERY_EVENTFD));
	return irq_expectation_settle(&self->expectation);
}

/* Sends on all vectors before waiting for any. Return: mistakes seen. */
static u32 send_at_once(FIXTURE_DATA(irq) *self, const char *what)
{
	u32 differences = 0;

	if (self->nr_lines < 2)
		return 0;

	begin_phase(self);
	for (u32 i = 0; i < self->nr_lines; i++)
		irq_line_route(&self->lines[i].line, i % self->vm->config.nr_vcpus,
			       IRQ_COUNTER_FIRST_VECTOR + i * 16);

	for (u32 round = 0; round < NR_ROUNDS && !differences; round++) {
		wait_until_idle(self);
		for (u32 i = 0; i < self->nr_lines; i++)
			send(self, &self->lines[i]);
		differences = irq_expectation_wait(&self->expectation, IRQ_MS);
	}

	return differences ?: irq_expectation_settle(&self->expectation) + report_path(self, what);
}

/*
 * The same device serves one VM after the other, of each kind, with vCPUs in each state: one MSI
 * after the other, then on several vectors at once if it has them. One case, since a device is
 * reset each time it is opened, which takes longer than all its interrupts.
 */
TEST_F(irq, every_msi_is_counted_once)
{
	static const struct {
		const char *spinning, *halted;
		struct irq_vm_config config;
	} kinds[] = {
		{ "1 xAPIC vCPU spins", "1 xAPIC vCPU halted", { .nr_vcpus = 1, .xapic = true } },
		{ "4 vCPUs spin", "4 vCPUs halted", { .nr_vcpus = 4 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		connect_device(self, kinds[i].config, kinds[i].config.nr_vcpus > 1 ? MAX_LINES : 1);
		ASSERT_EQ(0, send_one_by_one(self, kinds[i].spinning));
		ASSERT_EQ(0, send_at_once(self, kinds[i].spinning));
		irq_vm_halt(self->vm);
		ASSERT_EQ(0, send_one_by_one(self, kinds[i].halted));
		ASSERT_EQ(0, send_at_once(self, kinds[i].halted));
		/* The eventfd's way is the same whatever the vCPUs do; once will do. */
		if (i == ARRAY_SIZE(kinds) - 1) {
			ASSERT_EQ(0, trigger_loopback(self));
		}
		disconnect_device(self);
	}
}

/* What does not depend on the IOMMU mode. */
FIXTURE(one_mode) {
	FIXTURE_DATA(irq) irq;
};

FIXTURE_SETUP(one_mode)
{
	SKIP_IF_MISSING(open_device(&self->irq, test_iommu_mode()));
}

FIXTURE_TEARDOWN(one_mode)
{
	disconnect_device(&self->irq);
	close_device(&self->irq);
}

TEST_F(one_mode, every_msi_reaches_its_xapic_vcpu)
{
	connect_device(&self->irq, (struct irq_vm_config){ .nr_vcpus = 4, .xapic = true }, 1);
	ASSERT_EQ(0, send_one_by_one(&self->irq, "4 xAPIC vCPUs spin"));
	irq_vm_halt(self->irq.vm);
	ASSERT_EQ(0, send_one_by_one(&self->irq, "4 xAPIC vCPUs halted"));
}

/*
 * KVM posts fixed and lowest priority interrupts only, so the host takes each NMI; also on a
 * vector that was posted before.
 */
TEST_F(one_mode, every_msi_routed_as_nmi_is_counted_as_nmi)
{
	struct device_line *line = &self->irq.lines[0];

	connect_device(&self->irq, (struct irq_vm_config){ .nr_vcpus = 4 }, 1);
	ASSERT_EQ(0, send_one_by_one(&self->irq, "as fixed interrupt"));
	begin_phase(&self->irq);
	for (u32 i = 0; i < NR_MSIS; i++) {
		irq_line_route(&line->line, i % 4, IRQ_COUNTER_NMI_VECTOR);
		send(&self->irq, line);
		ASSERT_EQ(0, irq_expectation_wait(&self->irq.expectation, IRQ_MS));
	}
	ASSERT_EQ(0, irq_expectation_settle(&self->irq.expectation));
	EXPECT_EQ(line->sent, delivery_probe_host_irqs(&line->probe));
	EXPECT_EQ(0, report_path(&self->irq, "as NMI"));
}

/* Once the irqfd is gone the device's interrupts belong to user space again, all of them. */
TEST_F(one_mode, a_deassigned_irqfd_leaves_the_guest_alone)
{
	struct device_line *line = &self->irq.lines[0];
	u64 taken = 0;

	connect_device(&self->irq, (struct irq_vm_config){ .nr_vcpus = 1 }, 1);
	irq_line_route(&line->line, 0, IRQ_COUNTER_FIRST_VECTOR);
	send(&self->irq, line);
	ASSERT_EQ(0, irq_expectation_wait(&self->irq.expectation, IRQ_MS));

	irqfd_deassign(self->irq.vm->kvm, line->line.gsi, line->line.eventfd);
	for (u32 i = 0; i < NR_MSIS; i++) {
		vfio_pci_driver_send_msi_vector(self->irq.device, line->device_vector);
		taken += vfio_pci_irq_take(self->irq.device, line->probe.index,
					   line->device_vector, IRQ_MS);
	}
	EXPECT_EQ(NR_MSIS, taken);
	EXPECT_EQ(0, irq_expectation_settle(&self->irq.expectation));

	irqfd_assign(self->irq.vm->kvm, line->line.gsi, line->line.eventfd);
	begin_phase(&self->irq);
	send(&self->irq, line);
	EXPECT_EQ(0, irq_expectation_wait(&self->irq.expectation, IRQ_MS));
	EXPECT_EQ(0, report_path(&self->irq, "irqfd assigned again"));
}

/* The device of a VM sees the guest's memory at its guest physical addresses. */
TEST_F(one_mode, the_device_copies_within_guest_memory)
{
	static const char text[] = "written by the host, moved by the device within the guest";
	struct vfio_pci_driver *driver = &self->irq.device->driver;
	struct vfio_pci_device *device = self->irq.device;
	struct dma_region *guest;
	u8 *src;

	SKIP_IF_MISSING(driver->no_memcpy);
	connect_device(&self->irq, (struct irq_vm_config){ .nr_vcpus = 1 }, 1);
	guest = passthrough_map_guest_memory(self->irq.vm->kvm, self->irq.iommu);

	src = addr_gva2hva(self->irq.vm->kvm, vm_alloc(self->irq.vm->kvm, 2 * SZ_4K,
						       KVM_UTIL_MIN_VADDR));
	memcpy(src, text, sizeof(text));
	EXPECT_EQ(0, vfio_pci_driver_memcpy(device, to_iova(device, src),
					    to_iova(device, src + SZ_4K),
					    roundup(sizeof(text), driver->memcpy_align)));
	EXPECT_EQ(0, memcmp(src + SZ_4K, text, sizeof(text)));

	passthrough_unmap_guest_memory(self->irq.iommu, guest);
}

TEST_PROGRAM(NEEDS_KVM | NEEDS_DEVICE,
	     "MSIs of a passed-through device are counted in the guest, each exactly once")
