// SPDX-License-Identifier: GPL-2.0-only
#include <apic.h>
#include <host/delivery_path.h>
#include <host/irq_vm.h>
#include <host/kvm_compat.h>
#include <libvfio/assert.h>
#include <libvfio/deadline.h>

#include "vcpu_thread.h"

/* Generous: an emulated machine takes its time to run a vCPU for the first time. */
#define START_MS 10000
#define STOP_MS 10000

/* How long a surplus interrupt may take to show up after the last expected one. */
#define STRAGGLER_MS 10

static void share_counters(struct irq_vm *vm)
{
	u32 nr_vcpus = vm->config.nr_vcpus;
	size_t size = sizeof(struct irq_counter) + nr_vcpus * sizeof(struct irq_counter_vcpu);
	gva_t gva = vm_alloc(vm->kvm, size, KVM_UTIL_MIN_VADDR);

	/* One allocation is contiguous in guest physical memory, and so is its host mapping. */
	vm->counter = addr_gva2hva(vm->kvm, gva);
	memset(vm->counter, 0, size);
	vm->counter->x2apic = !vm->config.xapic;
	vm->counter->wait = vm->config.wait;
	vm->counter->nr_vcpus = nr_vcpus;

	for (u32 i = 0; i < nr_vcpus; i++)
		vcpu_args_set(vm->vcpus[i], 2, gva, (u64)i);
}

static void install_handlers(struct irq_vm *vm)
{
	/* Every vector has a handler, so that a stray is counted rather than fatal. */
	for (int vector = IRQ_COUNTER_WAKE_VECTOR; vector < IRQ_COUNTER_NR_VECTORS; vector++)
		vm_install_exception_handler(vm->kvm, vector, guest_irq_counter_handler);
	vm_install_exception_handler(vm->kvm, IRQ_COUNTER_NMI_VECTOR,
				     guest_irq_counter_nmi_handler);

	if (vm->config.xapic)
		virt_pg_map(vm->kvm, APIC_DEFAULT_GPA, APIC_DEFAULT_GPA);
}

/* What the payload does first, done for it: until then KVM drops fixed interrupts. */
static void enable_apics(struct irq_vm *vm)
{
	for (u32 i = 0; i < vm->config.nr_vcpus; i++) {
		struct kvm_lapic_state apic;
		u32 spiv;

		vcpu_ioctl(vm->vcpus[i], KVM_GET_LAPIC, &apic);
		memcpy(&spiv, &apic.regs[APIC_SPIV], sizeof(spiv));
		spiv |= APIC_SPIV_APIC_ENABLED;
		memcpy(&apic.regs[APIC_SPIV], &spiv, sizeof(spiv));
		vcpu_ioctl(vm->vcpus[i], KVM_SET_LAPIC, &apic);
	}
}

static void wait_all_blocked(struct irq_vm *vm)
{
	for (u32 i = 0; i < vm->config.nr_vcpus; i++)
		VFIO_ASSERT_TRUE(irq_vm_wait_blocked(vm, i, START_MS), "vCPU %u did not halt", i);
}

void irq_vm_start(struct irq_vm *vm)
{
	vm->config.held = false;
	for (u32 i = 0; i < vm->config.nr_vcpus; i++)
		vcpu_thread_start(&vm->threads[i], vm->vcpus[i]);

	for (u32 i = 0; i < vm->config.nr_vcpus; i++)
		VFIO_ASSERT_TRUE(wait_for(READ_ONCE(vm->counter->vcpus[i].ready), START_MS),
				 "vCPU %u did not start", i);
	if (vm->config.wait != IRQ_COUNTER_SPIN)
		wait_all_blocked(vm);
}

static void set_wait(struct irq_vm *vm, enum irq_counter_wait wait)
{
	vm->config.wait = wait;
	WRITE_ONCE(vm->counter->wait, wait);
}

void irq_vm_halt(struct irq_vm *vm)
{
	set_wait(vm, IRQ_COUNTER_HALT);
	wait_all_blocked(vm);
}

static void add_vcpus(struct irq_vm *vm)
{
	const u32 *ids = vm->config.apic_ids;

	vm->kvm = vm_create(vm->config.nr_vcpus);
	/* The id of a vCPU is that of its APIC. */
	for (u32 i = 0; i < vm->config.nr_vcpus; i++)
		vm->vcpus[i] = vm_vcpu_add(vm->kvm, ids ? ids[i] : i,
					   vm->config.payload ?: guest_irq_counter);
}

struct irq_vm *irq_vm_create(const struct irq_vm_config *config)
{
	u64 quirk = config->broadcast_quirk ? 0 : KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;
	struct irq_vm *vm = calloc(1, sizeof(*vm));

	VFIO_ASSERT_NOT_NULL(vm);
	vm->config = *config;
	vm->vcpus = calloc(config->nr_vcpus, sizeof(vm->vcpus[0]));
	vm->threads = calloc(config->nr_vcpus, sizeof(vm->threads[0]));
	VFIO_ASSERT_TRUE(vm->vcpus && vm->threads);

	add_vcpus(vm);
	vm_enable_cap(vm->kvm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS | quirk);
	gsi_routing_init(&vm->routing, vm->kvm);
	install_handlers(vm);
	share_counters(vm);
	if (config->held)
		enable_apics(vm);
	else
		irq_vm_start(vm);

	return vm;
}

static void signal_msi(struct irq_vm *vm, struct msi_message message)
{
	struct kvm_msi msi = {
		.address_lo = (u32)message.address,
		.address_hi = message.address >> 32,
		.data = message.data,
	};

	__vm_ioctl(vm->kvm, KVM_SIGNAL_MSI, &msi);
}

void irq_vm_unmask(struct irq_vm *vm)
{
	/* An NMI just before the HLT would not end it. */
	wait_all_blocked(vm);
	set_wait(vm, IRQ_COUNTER_HALT);
	for (u32 i = 0; i < vm->config.nr_vcpus; i++)
		signal_msi(vm, msi_message_nmi(irq_vm_apic_id(vm, i)));
}

/* Brings the vCPUs, whatever they were doing, where all of them can be stopped in one way. */
static void prepare_stop(struct irq_vm *vm)
{
	if (vm->config.held)
		irq_vm_start(vm);
	for (u32 i = 0; i < vm->config.nr_vcpus; i++) {
		irq_vm_hold(vm, i, 0);
		if (vm->threads[i].pause)
			irq_vm_resume(vm, i);
	}
	if (vm->config.wait == IRQ_COUNTER_HALT_MASKED)
		irq_vm_unmask(vm);
}

void irq_vm_destroy(struct irq_vm *vm)
{
	prepare_stop(vm);
	if (irq_vm_while_masked(vm))
		fprintf(stderr, "interrupts that QEMU delivered twice, recognised by IF=0: %llu\n",
			(unsigned long long)irq_vm_while_masked(vm));

	WRITE_ONCE(vm->counter->stop, 1);
	/* A halted vCPU looks at the stop flag only when something wakes it. */
	for (u32 i = 0; i < vm->config.nr_vcpus; i++)
		signal_msi(vm, msi_message_fixed(irq_vm_apic_id(vm, i), IRQ_COUNTER_WAKE_VECTOR));
	for (u32 i = 0; i < vm->config.nr_vcpus; i++) {
		VFIO_ASSERT_TRUE(vcpu_thread_join(&vm->threads[i], STOP_MS),
				 "vCPU %u does not stop", i);
		vcpu_thread_cleanup(&vm->threads[i]);
	}

	gsi_routing_cleanup(&vm->routing);
	kvm_vm_free(vm->kvm);
	free(vm->threads);
	free(vm->vcpus);
	free(vm);
}

u32 irq_vm_apic_id(const struct irq_vm *vm, u32 vcpu)
{
	return vm->vcpus[vcpu]->id;
}

u64 irq_vm_count(const struct irq_vm *vm, u32 vcpu, u8 vector)
{
	return READ_ONCE(vm->counter->vcpus[vcpu].irqs[vector]);
}

void irq_vm_hold(struct irq_vm *vm, u32 vcpu, u8 vector)
{
	WRITE_ONCE(vm->counter->vcpus[vcpu].hold, vector);
}

bool irq_vm_is_blocked(const struct irq_vm *vm, u32 vcpu)
{
	return vcpu_stat_read(&vm->threads[vcpu].blocking) == 1;
}

bool irq_vm_wait_blocked(const struct irq_vm *vm, u32 vcpu, u64 ms)
{
	return wait_for(irq_vm_is_blocked(vm, vcpu), ms);
}

u64 irq_vm_exits(const struct irq_vm *vm, u32 vcpu)
{
	return vcpu_stat_read(&vm->threads[vcpu].exits);
}

u64 irq_vm_stat(const struct irq_vm *vm, u32 vcpu, const char *name)
{
	struct vcpu_stat stat = vcpu_stat_find(vm->threads[vcpu].stats_fd, name);

	return vcpu_stat_read(&stat);
}

void irq_vm_pause(struct irq_vm *vm, u32 vcpu)
{
	VFIO_ASSERT_TRUE(vcpu_thread_pause(&vm->threads[vcpu], STOP_MS),
			 "vCPU %u does not leave the guest", vcpu);
}

void irq_vm_resume(struct irq_vm *vm, u32 vcpu)
{
	vcpu_thread_resume(&vm->threads[vcpu]);
}

void irq_vm_run_on(struct irq_vm *vm, u32 vcpu, u32 cpu)
{
	cpu_set_t cpus;
	int ret;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	ret = pthread_setaffinity_np(vm->threads[vcpu].thread, sizeof(cpus), &cpus);
	VFIO_ASSERT_EQ(ret, 0, "vCPU %u cannot run on CPU %u: %s", vcpu, cpu, strerror(ret));
}

void irq_vm_block_irqs(struct irq_vm *vm, u32 vcpu, bool block)
{
	struct kvm_guest_debug debug = {
		.control = block ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_BLOCKIRQ : 0,
	};

	irq_vm_pause(vm, vcpu);
	vcpu_guest_debug_set(vm->vcpus[vcpu], &debug);
	irq_vm_resume(vm, vcpu);
}

/* A vCPU that sleeps goes on behind its HLT; it may have looked for orders just before. */
static bool obeyed(struct irq_vm *vm, u32 vcpu)
{
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };

	if (READ_ONCE(vm->counter->vcpus[vcpu].order) && irq_vm_is_blocked(vm, vcpu)) {
		irq_vm_pause(vm, vcpu);
		vcpu_mp_state_set(vm->vcpus[vcpu], &runnable);
		irq_vm_resume(vm, vcpu);
	}
	return !READ_ONCE(vm->counter->vcpus[vcpu].order);
}

static void order(struct irq_vm *vm, u32 vcpu, enum irq_counter_order order, u32 reg, u32 value)
{
	struct irq_counter_vcpu *guest = &vm->counter->vcpus[vcpu];

	WRITE_ONCE(guest->order_register, reg);
	WRITE_ONCE(guest->order_value, value);
	WRITE_ONCE(guest->order, order);
	VFIO_ASSERT_TRUE(wait_for(obeyed(vm, vcpu), STOP_MS), "vCPU %u does not obey", vcpu);
}

void irq_vm_write_apic(struct irq_vm *vm, u32 vcpu, u32 reg, u32 value)
{
	order(vm, vcpu, IRQ_COUNTER_WRITE_APIC, reg, value);
}

void irq_vm_write_cr8(struct irq_vm *vm, u32 vcpu, u32 priority)
{
	order(vm, vcpu, IRQ_COUNTER_WRITE_CR8, 0, priority);
}

void irq_vm_set_x2apic(struct irq_vm *vm, u32 vcpu, bool x2apic)
{
	order(vm, vcpu, IRQ_COUNTER_SET_X2APIC, 0, x2apic);
}

void irq_vm_write_port(struct irq_vm *vm, u32 vcpu, u32 port, u8 value)
{
	order(vm, vcpu, IRQ_COUNTER_WRITE_PORT, port, value);
}

void irq_vm_sync(struct irq_vm *vm)
{
	for (u32 i = 0; i < vm->config.nr_vcpus; i++)
		order(vm, i, IRQ_COUNTER_NOTHING, 0, 0);
}

u32 irq_vm_read_apic(struct irq_vm *vm, u32 vcpu, u32 reg)
{
	bool runs = !vm->config.held && !vm->threads[vcpu].pause;
	struct kvm_lapic_state apic;
	u32 value;

	if (runs)
		irq_vm_pause(vm, vcpu);
	vcpu_ioctl(vm->vcpus[vcpu], KVM_GET_LAPIC, &apic);
	if (runs)
		irq_vm_resume(vm, vcpu);

	memcpy(&value, &apic.regs[reg], sizeof(value));
	return value;
}

bool irq_vm_irr(struct irq_vm *vm, u32 vcpu, u8 vector)
{
	/* Eight words of 32 vectors, 16 bytes apart (SDM 3A, 11.8.4). */
	return irq_vm_read_apic(vm, vcpu, APIC_IRR + vector / 32 * 16) >> vector % 32 & 1;
}

u64 irq_vm_masked_halts(const struct irq_vm *vm, u32 vcpu)
{
	return READ_ONCE(vm->counter->vcpus[vcpu].masked_halts);
}

u64 irq_vm_while_masked(const struct irq_vm *vm)
{
	u64 sum = 0;

	for (u32 i = 0; i < vm->config.nr_vcpus; i++)
		sum += READ_ONCE(vm->counter->vcpus[i].while_masked);

	return sum;
}

/*
 * Under QEMU's TCG the hypervisor leaf of CPUID carries its name. Only releases of QEMU deliver
 * twice; the one that posts is mended.
 */
static bool cpu_delivers_twice(void)
{
	char signature[13] = "";
	u32 eax, ebx, ecx, edx;

	if (!this_cpu_has(X86_FEATURE_HYPERVISOR) || !delivery_posting_missing())
		return false;

	__cpuid(0x40000000, 0, &eax, &ebx, &ecx, &edx);
	memcpy(signature, (u32[]){ ebx, ecx, edx }, 12);
	return !strcmp(signature, "TCGTCGTCGTCG");
}

struct irq_expectation irq_expectation_init(const struct irq_vm *vm)
{
	struct irq_expectation expectation = { .vm = vm };

	expectation.irqs = calloc(vm->config.nr_vcpus, sizeof(expectation.irqs[0]));
	VFIO_ASSERT_NOT_NULL(expectation.irqs);
	return expectation;
}

void irq_expectation_cleanup(struct irq_expectation *expectation)
{
	free(expectation->irqs);
}

static bool something_is_missing(const struct irq_expectation *expectation)
{
	for (u32 vcpu = 0; vcpu < expectation->vm->config.nr_vcpus; vcpu++) {
		for (u32 vector = 0; vector < IRQ_COUNTER_NR_VECTORS; vector++) {
			if (irq_vm_count(expectation->vm, vcpu, vector) <
			    expectation->irqs[vcpu][vector])
				return true;
		}
	}

	return false;
}

static u32 count_differences(const struct irq_expectation *expectation)
{
	u32 differences = 0;

	for (u32 vcpu = 0; vcpu < expectation->vm->config.nr_vcpus; vcpu++) {
		for (u32 vector = 0; vector < IRQ_COUNTER_NR_VECTORS; vector++) {
			u64 counted = irq_vm_count(expectation->vm, vcpu, vector);
			u64 expected = expectation->irqs[vcpu][vector];

			if (counted == expected)
				continue;

			fprintf(stderr, "vCPU %u vector %#x: %llu interrupts expected, %llu counted\n",
				vcpu, vector, (unsigned long long)expected,
				(unsigned long long)counted);
			differences++;
		}
	}

	if (!cpu_delivers_twice() && irq_vm_while_masked(expectation->vm)) {
		fprintf(stderr, "%llu interrupts were taken with IF=0\n",
			(unsigned long long)irq_vm_while_masked(expectation->vm));
		differences++;
	}

	return differences;
}

u32 irq_expectation_wait(const struct irq_expectation *expectation, u64 ms)
{
	wait_for(!something_is_missing(expectation), ms);
	return count_differences(expectation);
}

u32 irq_expectation_settle(const struct irq_expectation *expectation)
{
	deadline_settle_ms(STRAGGLER_MS);
	return count_differences(expectation);
}
