// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is pending in a vCPU's APIC is part of its state: it moves with that, and goes with that.
 *
 * Interrupts come to vCPUs that do not run, where KVM, or the IOMMU by posting, leaves them in the
 * APIC. A VMM then saves the vCPUs and loads them into a new VM, where each is counted once; or it
 * resets them, and none is. And a VMM that migrates watches for dirty pages while interrupts and
 * DMA go on. Catches interrupts that are in none of the places KVM looks at when it is asked for
 * the APIC, those that stay there when it is told a new state, vCPUs that run or sleep when
 * they should not, and writes that the dirty log misses (docs/bugs.md).
 *
 * Needs /dev/kvm and, but for the variants of eventfds, a device bound to vfio-pci that a driver of
 * ours can make send MSIs.
 */
#include <string.h>

#include <linux/kernel.h>
#include <linux/sizes.h>

#include <apic.h>
#include <host/irq_vm_state.h>
#include <host/kvm_compat.h>
#include <host/passthrough.h>
#include <libvfio/deadline.h>
#include <tests/harness.h>
#include <tests/irq_device.h>
#include <tests/irq_phase.h>

#define NR_VCPUS 2
#define NR_PENDING 6
#define NR_ROUNDS 2
#define NR_SIGNALS 3
#define NR_LOGS 5
#define FIRST_GSI (GSI_ROUTING_FIRST_MSI + 8)
/* Memory of kvm_util's VMs, all of it. */
#define MEMORY_SLOT 0
/* The in-service register (SDM 3A, table 11-1), which kvm_util does not name. */
#define ISR_OFFSET 0x100

FIXTURE(state) {
	struct irq_device device;
	struct device_irqs irqs;
	struct irq_line *line;
};

FIXTURE_VARIANT(state) {
	enum irq_trigger trigger;
	enum irq_counter_wait wait;
};

#define VARIANT(_name, _trigger, _wait)							\
FIXTURE_VARIANT_ADD(state, _name) { .trigger = (_trigger), .wait = (_wait) }

VARIANT(device_and_spinning_vcpus, IRQ_TRIGGER_DEVICE, IRQ_COUNTER_SPIN);
VARIANT(device_and_halted_vcpus, IRQ_TRIGGER_DEVICE, IRQ_COUNTER_HALT);
VARIANT(loopback_and_halted_vcpus, IRQ_TRIGGER_LOOPBACK, IRQ_COUNTER_HALT);
VARIANT(eventfd_and_spinning_vcpus, IRQ_TRIGGER_EVENTFD, IRQ_COUNTER_SPIN);
VARIANT(eventfd_and_halted_vcpus, IRQ_TRIGGER_EVENTFD, IRQ_COUNTER_HALT);

FIXTURE_SETUP(state)
{
	struct irq_vm_config config = { .nr_vcpus = NR_VCPUS, .wait = variant->wait };

	self->irqs.trigger = variant->trigger;
	if (variant->trigger != IRQ_TRIGGER_EVENTFD)
		SKIP_IF_MISSING(irq_device_open(&self->device, test_iommu_mode()));

	self->irqs.device = self->device.device;
	device_irqs_connect(&self->irqs, &config, 1, FIRST_GSI);
	self->line = &self->irqs.irqs[0].line;
}

FIXTURE_TEARDOWN(state)
{
	device_irqs_disconnect(&self->irqs);
	irq_device_close(&self->device);
}

static const struct irq_phase fixed = { .name = "fixed, to one vCPU" };
static const struct irq_phase stopped = { .name = "to stopped vCPUs" };

/* Routes the line to one vCPU again, and sees that its interrupts come as ever. */
static u32 send_fixed(struct device_irqs *irqs, u32 vcpu, u8 vector)
{
	irq_line_route(&irqs->irqs[0].line, vcpu, vector);
	return irq_phase_send_some(irqs, &fixed, NR_SIGNALS);
}

static void pause_all(struct irq_vm *vm)
{
	for (u32 i = 0; i < NR_VCPUS; i++)
		irq_vm_pause(vm, i);
}

static void resume_all(struct irq_vm *vm)
{
	for (u32 i = 0; i < NR_VCPUS; i++)
		irq_vm_resume(vm, i);
}

/* Raises what a paused vCPU finds in its APIC. Return: 1 if it does not get there. */
static u32 leave_pending(struct device_irqs *irqs, u32 vcpu, u8 vector)
{
	irq_line_route(&irqs->irqs[0].line, vcpu, vector);
	device_irqs_raise(irqs, &irqs->irqs[0]);
	/* Who looks makes KVM collect what was posted: only where it could still be on its way. */
	if (irqs->trigger != IRQ_TRIGGER_DEVICE ||
	    wait_for(irq_vm_irr(irqs->vm, vcpu, vector), IRQ_MS))
		return 0;

	test_report("vCPU %u, vector %#x: not in the IRR of a vCPU that is stopped", vcpu, vector);
	return 1;
}

/* The vectors, NR_PENDING of them, are of different priorities and none the highest or lowest. */
static u8 pending_vector(u32 i)
{
	return 0x38 + 0x18 * i;
}

static u32 leave_some_pending(struct device_irqs *irqs)
{
	u32 mistakes = 0;

	for (u32 i = 0; i < NR_PENDING; i++)
		mistakes += leave_pending(irqs, i % NR_VCPUS, pending_vector(i));
	return mistakes;
}

static void expect_pending(struct device_irqs *irqs)
{
	for (u32 i = 0; i < NR_PENDING; i++)
		irqs->expectation.irqs[i % NR_VCPUS][pending_vector(i)]++;
}

/* Moves all that the VM is to a new one, whose vCPUs are still paused, and the line with it. */
static void migrate(struct device_irqs *irqs)
{
	struct irq_line *line = &irqs->irqs[0].line;
	struct irq_vm *old = irqs->vm;

	irqs->vm = irq_vm_migrate(old);
	irqs->expectation.vm = irqs->vm;
	irq_line_disconnect(line);
	line->vm = irqs->vm;
	irqfd_assign(line->vm->kvm, line->gsi, line->eventfd);
	irq_line_route(line, line->vcpu, line->vector);
	irq_vm_destroy(old);
}

TEST_F(state, what_is_pending_at_stopped_vcpus_is_counted_once_in_the_next_vm)
{
	struct device_irqs *irqs = &self->irqs;

	for (u32 round = 0; round < NR_ROUNDS; round++) {
		ASSERT_EQ(0, send_fixed(irqs, round, 0xe1));
		pause_all(irqs->vm);
		device_irqs_begin(irqs);
		ASSERT_EQ(0, leave_some_pending(irqs));
		/* Of none has been heard yet. */
		ASSERT_EQ(0, irq_expectation_settle(&irqs->expectation));
		expect_pending(irqs);
		migrate(irqs);
		resume_all(irqs->vm);
		ASSERT_EQ(0, irq_expectation_wait(&irqs->expectation, IRQ_MS));
		ASSERT_EQ(0, irq_phase_conclude(irqs, &stopped));
	}
	ASSERT_EQ(0, send_fixed(irqs, 0, 0xe1));
}

/* Whether an NMI is pending; asked for its events, KVM collects those that have come. */
static bool nmi_pending(struct irq_vm *vm, u32 vcpu)
{
	struct kvm_vcpu_events events;

	vcpu_events_get(vm->vcpus[vcpu], &events);
	return events.nmi.pending;
}

TEST_F(state, a_pending_nmi_is_counted_once_in_the_next_vm)
{
	struct device_irqs *irqs = &self->irqs;

	pause_all(irqs->vm);
	irq_line_route(self->line, 1, IRQ_COUNTER_NMI_VECTOR);
	device_irqs_send(irqs, &irqs->irqs[0]);
	ASSERT_TRUE(wait_for(nmi_pending(irqs->vm, 1), IRQ_MS));
	migrate(irqs);
	resume_all(irqs->vm);
	ASSERT_EQ(0, irq_expectation_wait(&irqs->expectation, IRQ_MS));
	ASSERT_EQ(0, irq_expectation_settle(&irqs->expectation));
	ASSERT_EQ(0, send_fixed(irqs, 1, 0xe1));
}

/* Of lower priority, or the same again: the EOI in the new VM has to find them (PPR, ISR). */
TEST_F(state, what_waits_behind_an_interrupt_in_service_comes_after_its_eoi_in_the_next_vm)
{
	struct device_irqs *irqs = &self->irqs;

	irq_vm_hold(irqs->vm, 0, 0x91);
	irq_line_route(self->line, 0, 0x91);
	device_irqs_send(irqs, &irqs->irqs[0]);
	ASSERT_EQ(0, irq_expectation_wait(&irqs->expectation, IRQ_MS));

	pause_all(irqs->vm);
	ASSERT_EQ(0, leave_pending(irqs, 0, 0x51));
	ASSERT_EQ(0, leave_pending(irqs, 0, 0x91));
	migrate(irqs);
	resume_all(irqs->vm);
	/* Not before. */
	ASSERT_EQ(0, irq_expectation_settle(&irqs->expectation));
	irq_vm_hold(irqs->vm, 0, 0);
	irqs->expectation.irqs[0][0x51]++;
	irqs->expectation.irqs[0][0x91]++;
	ASSERT_EQ(0, irq_expectation_wait(&irqs->expectation, IRQ_MS));
	ASSERT_EQ(0, irq_expectation_settle(&irqs->expectation));
	ASSERT_EQ(0, send_fixed(irqs, 0, 0x91));
}

static u32 mp_state(struct irq_vm *vm, u32 vcpu)
{
	struct kvm_mp_state state;

	vcpu_mp_state_get(vm->vcpus[vcpu], &state);
	return state.mp_state;
}

TEST_F(state, a_halted_vcpu_sleeps_on_in_the_next_vm_until_an_interrupt_comes)
{
	struct device_irqs *irqs = &self->irqs;

	irq_vm_halt(irqs->vm);
	for (u32 round = 0; round < NR_ROUNDS; round++) {
		u64 halts[NR_VCPUS];

		pause_all(irqs->vm);
		for (u32 i = 0; i < NR_VCPUS; i++)
			ASSERT_EQ(KVM_MP_STATE_HALTED, mp_state(irqs->vm, i));
		migrate(irqs);
		for (u32 i = 0; i < NR_VCPUS; i++)
			halts[i] = irq_vm_stat(irqs->vm, i, "halt_exits");
		resume_all(irqs->vm);
		irq_phase_wait_idle(irqs);
		deadline_settle_ms(10);
		/* One that ran would halt again at once. */
		for (u32 i = 0; i < NR_VCPUS; i++) {
			ASSERT_TRUE(irq_vm_is_blocked(irqs->vm, i));
			ASSERT_EQ(halts[i], irq_vm_stat(irqs->vm, i, "halt_exits"));
		}
		ASSERT_EQ(0, send_fixed(irqs, round, 0x71));
	}
}

/* As a VMM does to reset a vCPU. */
TEST_F(state, loading_an_apic_in_which_nothing_is_pending_drops_what_was)
{
	struct device_irqs *irqs = &self->irqs;

	for (u32 round = 0; round < NR_ROUNDS; round++) {
		struct kvm_lapic_state clean[NR_VCPUS];

		pause_all(irqs->vm);
		for (u32 i = 0; i < NR_VCPUS; i++)
			vcpu_ioctl(irqs->vm->vcpus[i], KVM_GET_LAPIC, &clean[i]);
		ASSERT_EQ(0, leave_some_pending(irqs));
		for (u32 i = 0; i < NR_VCPUS; i++)
			vcpu_ioctl(irqs->vm->vcpus[i], KVM_SET_LAPIC, &clean[i]);
		resume_all(irqs->vm);
		ASSERT_EQ(0, irq_expectation_settle(&irqs->expectation));
		ASSERT_EQ(0, send_fixed(irqs, round, pending_vector(round)));
	}
}

/* Words of the IRR and the ISR that are not 0. */
static u32 apic_in_use(struct irq_vm *vm, u32 vcpu)
{
	struct kvm_lapic_state apic;
	u32 used = 0, word;

	vcpu_ioctl(vm->vcpus[vcpu], KVM_GET_LAPIC, &apic);
	for (u32 i = 0; i < 8; i++) {
		memcpy(&word, &apic.regs[APIC_IRR + i * 16], sizeof(word));
		used += !!word;
		memcpy(&word, &apic.regs[ISR_OFFSET + i * 16], sizeof(word));
		used += !!word;
	}
	return used;
}

static void send_init(struct irq_vm *vm, u32 vcpu)
{
	struct msi_message message = msi_message_fixed(vcpu, 0);
	struct kvm_msi msi = {
		.address_lo = (u32)message.address,
		.address_hi = message.address >> 32,
		.data = APIC_DM_INIT,
	};

	VFIO_ASSERT_LT(0, __vm_ioctl(vm->kvm, KVM_SIGNAL_MSI, &msi));
}

/* INIT leaves nothing pending (SDM 3A, 11.4.7.3), and the vCPU waits for a SIPI. */
TEST_F(state, an_init_drops_what_is_pending_and_stops_the_vcpu)
{
	struct device_irqs *irqs = &self->irqs;
	struct irq_vm_vcpu_state clean;

	for (u32 round = 0; round < NR_ROUNDS; round++) {
		irq_vm_pause(irqs->vm, 1);
		clean = irq_vm_save_vcpu(irqs->vm, 1);
		for (u32 i = 0; i < NR_PENDING; i++)
			ASSERT_EQ(0, leave_pending(irqs, 1, pending_vector(i)));
		send_init(irqs->vm, 1);
		ASSERT_EQ(KVM_MP_STATE_INIT_RECEIVED, mp_state(irqs->vm, 1));
		EXPECT_EQ(0, apic_in_use(irqs->vm, 1));
		irq_vm_resume(irqs->vm, 1);
		ASSERT_TRUE(irq_vm_wait_blocked(irqs->vm, 1, IRQ_MS));
		ASSERT_EQ(0, irq_expectation_settle(&irqs->expectation));

		/* Back to where it was, as after a snapshot. */
		irq_vm_pause(irqs->vm, 1);
		irq_vm_load_vcpu(irqs->vm, 1, &clean);
		irq_vm_free_vcpu_state(&clean);
		irq_vm_resume(irqs->vm, 1);
		ASSERT_EQ(0, irq_expectation_settle(&irqs->expectation));
		ASSERT_EQ(0, send_fixed(irqs, 1, pending_vector(round)));
	}
}

/* Dirty pages ********************************************************************************/

/**
 * struct dirty - What is written while KVM keeps a log of it.
 * @kvm: the VM
 * @log: of MEMORY_SLOT, a bit for each page
 * @quiet: a page of the guest's that nobody writes to
 * @src: where the device copies from, a page
 * @dst: where to, the next one
 */
struct dirty {
	struct kvm_vm *kvm;
	unsigned long *log;
	u8 *quiet;
	u8 *src;
	u8 *dst;
};

static struct userspace_mem_region *memory_of(const struct dirty *dirty)
{
	return memslot2region(dirty->kvm, MEMORY_SLOT);
}

static struct dirty dirty_init(struct kvm_vm *kvm)
{
	struct dirty dirty = { .kvm = kvm };
	u64 pages = memory_of(&dirty)->region.memory_size / SZ_4K;

	dirty.log = calloc(pages / 64 + 1, sizeof(u64));
	VFIO_ASSERT_NOT_NULL(dirty.log);
	dirty.quiet = addr_gva2hva(kvm, vm_alloc(kvm, SZ_4K, KVM_UTIL_MIN_VADDR));
	dirty.src = addr_gva2hva(kvm, vm_alloc(kvm, 2 * SZ_4K, KVM_UTIL_MIN_VADDR));
	dirty.dst = dirty.src + SZ_4K;
	return dirty;
}

/* Whether the page at @hva was written since the log before the last. */
static bool is_dirty(const struct dirty *dirty, const void *hva)
{
	u64 page = ((const u8 *)hva - (const u8 *)memory_of(dirty)->host_mem) / SZ_4K;

	return dirty->log[page / 64] >> page % 64 & 1;
}

static void set_logging(const struct dirty *dirty, bool on)
{
	vm_mem_region_set_flags(dirty->kvm, MEMORY_SLOT, on ? KVM_MEM_LOG_DIRTY_PAGES : 0);
}

/* The guest's counts, where an interrupt has to leave its trace. */
static const u64 *count_of(const struct irq_vm *vm, const struct irq_line *line)
{
	return &vm->counter->vcpus[line->vcpu].irqs[line->vector];
}

/* An interrupt makes dirty what its handler writes to, and no other. Return: mistakes seen. */
static u32 send_and_look(struct device_irqs *irqs, const struct dirty *dirty)
{
	const struct irq_line *line = &irqs->irqs[0].line;
	u32 mistakes;

	kvm_vm_get_dirty_log(dirty->kvm, MEMORY_SLOT, dirty->log);
	mistakes = irq_phase_send(irqs, &fixed);
	kvm_vm_get_dirty_log(dirty->kvm, MEMORY_SLOT, dirty->log);
	if (!is_dirty(dirty, count_of(irqs->vm, line)))
		test_report("the page of a count that rose is not in the dirty log");
	mistakes += !is_dirty(dirty, count_of(irqs->vm, line));
	return mistakes + is_dirty(dirty, dirty->quiet);
}

/* An interrupt is on its way while logging goes on or off. Return: mistakes seen. */
static u32 send_and_switch(struct device_irqs *irqs, const struct dirty *dirty, bool on)
{
	irq_phase_wait_idle(irqs);
	device_irqs_mark(irqs);
	device_irqs_send(irqs, &irqs->irqs[0]);
	set_logging(dirty, on);
	return irq_phase_wait_counted(irqs, &fixed);
}

TEST_F(state, interrupts_are_counted_and_logged_while_dirty_logging_goes_on_and_off)
{
	struct device_irqs *irqs = &self->irqs;
	struct dirty dirty = dirty_init(irqs->vm->kvm);

	device_irqs_begin(irqs);
	for (u32 i = 0; i < NR_LOGS; i++) {
		irq_line_route(self->line, i % NR_VCPUS, 0x41 + i);
		ASSERT_EQ(0, send_and_switch(irqs, &dirty, true));
		for (u32 signal = 0; signal < NR_SIGNALS; signal++)
			ASSERT_EQ(0, send_and_look(irqs, &dirty));
		ASSERT_EQ(0, send_and_switch(irqs, &dirty, false));
	}
	ASSERT_EQ(0, irq_phase_conclude(irqs, &fixed));
	free(dirty.log);
}

/* The device's copies find the same pages, whatever KVM does to its mappings of them. */
TEST_F(state, dma_into_guest_memory_goes_on_while_dirty_logging_goes_on_and_off)
{
	struct device_irqs *irqs = &self->irqs;
	struct vfio_pci_device *device = irqs->device;
	struct dma_region *memory;
	struct dirty dirty;

	if (variant->trigger != IRQ_TRIGGER_DEVICE)
		SKIP(return, "no device is involved");
	SKIP_IF_MISSING(device->driver.no_memcpy);
	dirty = dirty_init(irqs->vm->kvm);
	memory = passthrough_map_guest_memory(irqs->vm->kvm, self->device.iommu);
	irq_line_route(self->line, 1, 0x51);
	device_irqs_begin(irqs);
	for (u32 i = 0; i < NR_LOGS; i++) {
		u64 size = roundup(SZ_1K, device->driver.memcpy_align);

		memset(dirty.src, 0x10 + i, size);
		memset(dirty.dst, 0, size);
		vfio_pci_driver_memcpy_start(device, to_iova(device, dirty.src),
					     to_iova(device, dirty.dst), size, 1);
		set_logging(&dirty, true);
		EXPECT_EQ(0, vfio_pci_driver_memcpy_wait(device));
		EXPECT_EQ(0, memcmp(dirty.src, dirty.dst, size));
		EXPECT_EQ(0, send_and_look(irqs, &dirty));
		set_logging(&dirty, false);
	}
	EXPECT_EQ(0, irq_phase_conclude(irqs, &fixed));
	passthrough_unmap_guest_memory(self->device.iommu, memory);
	free(dirty.log);
}

TEST_PROGRAM(NEEDS_KVM | NEEDS_DEVICE,
	     "what is pending in a vCPU moves to another VM with it, and goes at a reset")
