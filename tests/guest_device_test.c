// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest uses a device that is given to it as if it were its own.
 *
 * The device's BARs are memory of the guest's, and the guest's memory is mapped for DMA at its own
 * addresses. The guest reads and writes registers, rings the doorbell of a copy that our driver has
 * prepared, takes the interrupt, and finds in its memory what the device wrote there. So what other
 * tests prove apart holds together: the DMA comes before the MSI, on whichever vCPU that arrives;
 * and the host has no part in it but for what the path of the interrupt costs. Catches BARs that
 * are emulated or stay mapped when VFIO has taken them away, DMA that goes elsewhere, and MSIs
 * that overtake it (docs/bugs.md).
 *
 * Needs /dev/kvm and a device bound to vfio-pci; to copy, one whose driver of ours can say which
 * register write starts what it has prepared.
 */
#include <linux/kernel.h>
#include <linux/sizes.h>

#include <host/device_user.h>
#include <host/kvm_compat.h>
#include <host/passthrough.h>
#include <libvfio/deadline.h>
#include <tests/harness.h>
#include <tests/irq_device.h>
#include <tests/irq_phase.h>

#define NR_VCPUS 2
#define NR_ROUNDS 5
/* A busy host may give every one of a few rounds an exit that has nothing to do with it. */
#define MAX_ROUNDS 50
#define NR_READS 100
#define VECTOR 0x61

FIXTURE(guest) {
	struct irq_device device;
	struct device_irqs irqs;
	struct dma_region *memory;
	u64 bars[PCI_STD_NUM_BARS];
	u64 src, dst;
	u64 size;
};

FIXTURE_VARIANT(guest) {
	bool halt;
};

FIXTURE_VARIANT_ADD(guest, that_spins) { .halt = false };
FIXTURE_VARIANT_ADD(guest, that_halts) { .halt = true };

/* Memory of the guest's for both ends of a copy. */
static void allocate_buffers(FIXTURE_DATA(guest) *self)
{
	struct vfio_pci_driver *driver = &self->device.device->driver;

	self->src = vm_alloc(self->irqs.vm->kvm, VFIO_PCI_MAX_PREPARED_SIZE, KVM_UTIL_MIN_VADDR);
	self->dst = vm_alloc(self->irqs.vm->kvm, VFIO_PCI_MAX_PREPARED_SIZE, KVM_UTIL_MIN_VADDR);
	self->size = min(driver->max_memcpy_size, (u64)VFIO_PCI_MAX_PREPARED_SIZE);
}

FIXTURE_SETUP(guest)
{
	struct irq_vm_config config = { .nr_vcpus = NR_VCPUS, .payload = guest_device_user };

	SKIP_IF_MISSING(irq_device_open(&self->device, test_iommu_mode()));
	self->irqs.device = self->device.device;
	device_irqs_connect(&self->irqs, &config, 1, GSI_ROUTING_FIRST_MSI);
	self->memory = passthrough_map_guest_memory(self->irqs.vm->kvm, self->device.iommu);
	for (int bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		self->bars[bar] = passthrough_map_bar(self->irqs.vm->kvm, self->device.device, bar);
	allocate_buffers(self);
}

FIXTURE_TEARDOWN(guest)
{
	for (int bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		if (self->bars[bar])
			passthrough_unmap_bar(self->irqs.vm->kvm, bar);
	}
	if (self->memory)
		passthrough_unmap_guest_memory(self->device.iommu, self->memory);
	device_irqs_disconnect(&self->irqs);
	irq_device_close(&self->device);
}

/* What the exits of a vCPU were for. */
struct exits {
	u64 all;
	u64 mmio;	/* a register was emulated */
	u64 explained;	/* interrupts of the host, those it injected, and halts */
};

static struct exits exits_of(const struct irq_vm *vm, u32 vcpu)
{
	return (struct exits){
		.all = irq_vm_exits(vm, vcpu),
		.mmio = irq_vm_stat(vm, vcpu, "mmio_exits"),
		.explained = irq_vm_stat(vm, vcpu, "irq_exits") +
			     irq_vm_stat(vm, vcpu, "irq_window_exits") +
			     irq_vm_stat(vm, vcpu, "halt_exits"),
	};
}

static struct exits exits_since(const struct irq_vm *vm, u32 vcpu, struct exits before)
{
	struct exits now = exits_of(vm, vcpu);

	return (struct exits){
		.all = now.all - before.all,
		.mmio = now.mmio - before.mmio,
		.explained = now.explained - before.explained,
	};
}

/* The EOI of an interrupt that KVM injected without APICv or AVIC exits, too. */
static u64 exits_of_an_eoi(void)
{
	return delivery_expected() == DELIVERY_POSTED ? 0 : 1;
}

/*
 * Whether the vCPU had no more exits since @before than the path of @nr_irqs explains. Each is
 * counted after what it is for, so it may be explained too little at the moment, not too much.
 */
static bool exits_explained(const struct exits *exits, u32 nr_irqs)
{
	return exits->all <= exits->explained + nr_irqs * exits_of_an_eoi();
}

/* A job on vCPU 0 from beginning to end. Return: whether it ended. */
static bool do_job(FIXTURE_DATA(guest) *self, struct device_user_job *job, struct exits *exits)
{
	struct exits before = exits_of(self->irqs.vm, 0);
	bool done;

	device_user_begin(self->irqs.vm, 0, job);
	done = device_user_wait(self->irqs.vm, 0, job, IRQ_MS);
	*exits = exits_since(self->irqs.vm, 0, before);
	return done;
}

static struct device_user_job access_job(const FIXTURE_DATA(guest) *self,
					 const struct vfio_pci_registers *registers, bool write)
{
	struct device_user_job job = { .nr_accesses = registers->size / sizeof(u32), .repeat = 1 };

	for (u32 i = 0; i < job.nr_accesses; i++) {
		job.accesses[i].address = self->bars[registers->bar] + registers->offset +
					  i * sizeof(u32);
		job.accesses[i].write = write;
	}
	return job;
}

TEST_F(guest, reads_what_the_host_reads_without_an_exit)
{
	struct vfio_pci_device *device = self->device.device;
	const struct vfio_pci_registers *constant = &device->driver.constant;
	struct device_user_job job = access_job(self, constant, false);
	struct exits exits;
	u32 rounds = 0;

	if (!constant->size || !self->bars[constant->bar])
		SKIP(return, "the driver names no register that is always the same");

	job.repeat = NR_READS;
	do {
		ASSERT_TRUE(do_job(self, &job, &exits));
		ASSERT_EQ(0, exits.mmio);
		for (u32 i = 0; i < job.nr_accesses; i++) {
			ASSERT_EQ(vfio_pci_bar_readl(device, constant->bar,
						     constant->offset + i * sizeof(u32)),
				  job.accesses[i].value);
		}
		/* The first one makes KVM map the page. */
	} while ((++rounds == 1 || !exits_explained(&exits, 0)) && rounds < MAX_ROUNDS);
	test_report("%u reads: %llu exits, of which %llu for interrupts of the host", NR_READS,
		    (unsigned long long)exits.all, (unsigned long long)exits.explained);
	ASSERT_TRUE(exits_explained(&exits, 0));
	ASSERT_EQ(0, irq_expectation_settle(&self->irqs.expectation));
}

TEST_F(guest, writes_what_the_host_reads)
{
	struct vfio_pci_device *device = self->device.device;
	const struct vfio_pci_registers *scratch = &device->driver.scratch;
	struct device_user_job job = access_job(self, scratch, true);
	struct exits exits;

	if (!scratch->size || !self->bars[scratch->bar])
		SKIP(return, "the driver names no register that keeps what is written to it");

	/* A register of 64 bits may take what is written to its lower half for all of it. */
	job.nr_accesses = 1;
	for (u32 i = 0; i < NR_ROUNDS; i++) {
		job.accesses[0].value = test_random(1, 0xfffffff);
		ASSERT_TRUE(do_job(self, &job, &exits));
		ASSERT_EQ(0, exits.mmio);
		ASSERT_EQ(job.accesses[0].value,
			  vfio_pci_bar_readl(device, scratch->bar, scratch->offset));
	}
	ASSERT_EQ(0, irq_expectation_settle(&self->irqs.expectation));
}

/* Why the guest cannot start a copy, NULL if it can. */
static const char *copy_missing(const FIXTURE_DATA(guest) *self)
{
	const struct vfio_pci_driver *driver = &self->device.device->driver;

	if (driver->no_memcpy)
		return driver->no_memcpy;
	return driver->ops->memcpy_prepare ? NULL :
	       "the driver cannot say which register write starts a copy";
}

/* Prepares a copy of new bytes. Return: the job that rings the doorbell, and does nothing else. */
static struct device_user_job prepare_copy(FIXTURE_DATA(guest) *self, u32 seed)
{
	struct vfio_pci_device *device = self->device.device;
	struct kvm_vm *kvm = self->irqs.vm->kvm;
	u8 *src = addr_gva2hva(kvm, self->src);
	struct vfio_pci_doorbell doorbell;
	int ret;

	for (u64 i = 0; i < self->size; i++)
		src[i] = device_user_byte(seed, i);
	memset(addr_gva2hva(kvm, self->dst), ~device_user_byte(seed, 0), self->size);
	/* What the guest has as physical address is what the device is given. */
	ret = __vfio_pci_driver_memcpy_prepare(device, addr_gva2gpa(kvm, self->src),
					       addr_gva2gpa(kvm, self->dst), self->size,
					       self->irqs.irqs[0].device_vector, &doorbell);
	VFIO_ASSERT_EQ(ret, 0, "the driver cannot prepare a copy: %s", strerror(-ret));
	VFIO_ASSERT_TRUE(self->bars[doorbell.bar]);

	return (struct device_user_job){
		.accesses[0] = { self->bars[doorbell.bar] + doorbell.offset, 1, doorbell.value },
		.nr_accesses = 1,
		.repeat = 1,
	};
}

/* The vCPU that takes the interrupt looks at the data, and does so with that. */
static void add_interrupt(const FIXTURE_DATA(guest) *self, struct device_user_job *job, u32 seed,
			  bool halt)
{
	job->vector = VECTOR;
	job->halt = halt;
	job->data = self->dst;
	job->size = self->size;
	job->seed = seed;
}

/* The device is about to be told to send an MSI by somebody else. */
static void expect_msi(struct device_irqs *irqs)
{
	irq_line_expect(&irqs->irqs[0].line, &irqs->expectation);
	irqs->irqs[0].sent++;
}

static const struct irq_phase rung = { .name = "rung by the guest" };

/* One copy, rung and waited for by vCPU 0. Return: mistakes seen. */
static u32 copy_once(FIXTURE_DATA(guest) *self, bool halt, struct exits *exits)
{
	u32 seed = test_random(0, 255), wrong;
	struct device_user_job job = prepare_copy(self, seed);

	add_interrupt(self, &job, seed, halt);
	device_irqs_mark(&self->irqs);
	expect_msi(&self->irqs);
	if (!do_job(self, &job, exits)) {
		irq_phase_wait_counted(&self->irqs, &rung);
		return 1;
	}
	wrong = irq_phase_wait_counted(&self->irqs, &rung);
	if (job.wrong || exits->mmio)
		test_report("%llu of %llu bytes are wrong, %llu accesses were emulated",
			    (unsigned long long)job.wrong, (unsigned long long)self->size,
			    (unsigned long long)exits->mmio);
	wrong += !!job.wrong + !!exits->mmio;
	return wrong + !!vfio_pci_driver_memcpy_wait(self->device.device);
}

TEST_F(guest, rings_a_doorbell_and_gets_its_msi_and_the_data_without_the_host)
{
	struct exits exits, least = { .all = UINT64_MAX };
	bool explained = false;
	u32 rounds = 0;

	SKIP_IF_MISSING(copy_missing(self));
	irq_line_route(&self->irqs.irqs[0].line, 0, VECTOR);
	device_irqs_begin(&self->irqs);
	while (rounds < NR_ROUNDS || (!explained && rounds < MAX_ROUNDS)) {
		ASSERT_EQ(0, copy_once(self, variant->halt, &exits));
		if (exits_explained(&exits, 1) && exits.all < least.all)
			least = exits;
		explained = least.all != UINT64_MAX;
		rounds++;
	}
	ASSERT_TRUE(explained)
		TH_LOG("of %u copies each had exits that no interrupt explains", rounds);
	test_report("a copy from doorbell to data: %llu exits, of which %llu for interrupts of the "
		    "host and halts", (unsigned long long)least.all,
		    (unsigned long long)least.explained);
	ASSERT_EQ(0, irq_phase_conclude(&self->irqs, &rung));
}

TEST_F(guest, finds_the_data_also_on_a_vcpu_that_did_not_ring)
{
	struct device_user_job waits = {}, rings;

	SKIP_IF_MISSING(copy_missing(self));
	irq_line_route(&self->irqs.irqs[0].line, 1, VECTOR);
	device_irqs_begin(&self->irqs);
	for (u32 i = 0; i < NR_ROUNDS; i++) {
		u32 seed = test_random(0, 255);

		rings = prepare_copy(self, seed);
		add_interrupt(self, &waits, seed, variant->halt);
		device_irqs_mark(&self->irqs);
		expect_msi(&self->irqs);
		device_user_begin(self->irqs.vm, 1, &waits);
		ASSERT_TRUE(device_user_wait_begun(self->irqs.vm, 1, IRQ_MS));
		device_user_begin(self->irqs.vm, 0, &rings);
		ASSERT_TRUE(device_user_wait(self->irqs.vm, 0, NULL, IRQ_MS));
		ASSERT_EQ(0, irq_phase_wait_counted(&self->irqs, &rung));
		ASSERT_TRUE(device_user_wait(self->irqs.vm, 1, &waits, IRQ_MS));
		ASSERT_EQ(0, waits.wrong);
		ASSERT_EQ(0, vfio_pci_driver_memcpy_wait(self->device.device));
	}
	ASSERT_EQ(0, irq_phase_conclude(&self->irqs, &rung));
}

/* VFIO revokes all mappings of the BARs with PCI_COMMAND_MEMORY, KVM's included. */
TEST_F(guest, finds_the_device_again_after_its_memory_space_was_off)
{
	struct vfio_pci_device *device = self->device.device;
	struct exits exits;

	SKIP_IF_MISSING(copy_missing(self));
	irq_line_route(&self->irqs.irqs[0].line, 0, VECTOR);
	device_irqs_begin(&self->irqs);
	ASSERT_EQ(0, copy_once(self, variant->halt, &exits));
	for (u32 i = 0; i < NR_ROUNDS; i++) {
		u64 faults;

		vfio_pci_cmd_clear(device, PCI_COMMAND_MEMORY);
		vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);
		faults = irq_vm_stat(self->irqs.vm, 0, "pf_taken");
		ASSERT_EQ(0, copy_once(self, variant->halt, &exits));
		/* Otherwise KVM had not noticed. */
		ASSERT_LT(faults, irq_vm_stat(self->irqs.vm, 0, "pf_taken"));
	}
	ASSERT_EQ(0, irq_phase_conclude(&self->irqs, &rung));
}

TEST_PROGRAM(NEEDS_KVM | NEEDS_DEVICE,
	     "a guest that was given a device rings it, gets its MSI and finds its data")
