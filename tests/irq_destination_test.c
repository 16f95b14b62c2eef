// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each interrupt reaches the vCPUs that its message names, each of them once, and no other.
 *
 * A message names vCPUs by physical id, by logical id in three formats, or all of them; it may ask
 * for any one of a set, or for something else than a vector; and the guest may rewrite what it is
 * compared with, or hold it back by priority. Catches ids that are cut or aliased, multicasts that
 * miss a member or reach it twice, NMIs and the like that are posted as vectors, interrupts of low
 * priority that nobody delivers later, and what is not posted though it could (docs/bugs.md).
 *
 * Needs /dev/kvm and a device bound to vfio-pci that a driver of ours can make send MSIs.
 */
#include <string.h>

#include <linux/kernel.h>
#include <linux/sizes.h>

#include <apic.h>
#include <host/kvm_compat.h>
#include <libvfio/deadline.h>
#include <tests/harness.h>
#include <tests/irq_device.h>
#include <tests/irq_phase.h>

#define NR_MSIS 3
#define VECTOR 0x61

/* In xAPIC mode (SDM 3A, 11.6.2.2); the id and the LDR are in bits 31:24. */
#define XAPIC_LDR 0xd0
#define XAPIC_DFR 0xe0
#define XAPIC_DFR_FLAT 0xffffffff
#define XAPIC_DFR_CLUSTER 0x0fffffff
#define XAPIC_BROADCAST 0xff
#define X2APIC_BROADCAST 0xffffffff

FIXTURE(destination) {
	struct irq_device device;
	struct device_irqs irqs;
};

FIXTURE_VARIANT(destination) {
	enum irq_trigger trigger;
};

/* VFIO's loopback signals the same eventfd. */
FIXTURE_VARIANT_ADD(destination, device) { .trigger = IRQ_TRIGGER_DEVICE };
FIXTURE_VARIANT_ADD(destination, eventfd) { .trigger = IRQ_TRIGGER_EVENTFD };

FIXTURE_SETUP(destination)
{
	self->irqs.trigger = variant->trigger;
	if (variant->trigger != IRQ_TRIGGER_EVENTFD)
		SKIP_IF_MISSING(irq_device_open(&self->device, test_iommu_mode()));
	self->irqs.device = self->device.device;
}

/* Undoes what a case that failed has left: a vCPU is only stopped by an interrupt it takes. */
static void reset_apics(struct irq_vm *vm)
{
	for (u32 i = 0; i < vm->config.nr_vcpus; i++) {
		irq_vm_hold(vm, i, 0);
		irq_vm_write_cr8(vm, i, 0);
		if (!vm->config.xapic)
			continue;
		irq_vm_set_x2apic(vm, i, false);
		irq_vm_write_apic(vm, i, APIC_ID, irq_vm_apic_id(vm, i) << 24);
	}
}

FIXTURE_TEARDOWN(destination)
{
	if (self->irqs.vm)
		reset_apics(self->irqs.vm);
	device_irqs_disconnect(&self->irqs);
	irq_device_close(&self->device);
}

static void connect(struct device_irqs *irqs, struct irq_vm_config config)
{
	device_irqs_connect(irqs, &config, 1, GSI_ROUTING_FIRST_MSI);
}

/* Runs a check with vCPUs that spin, and again when they halt. Return: mistakes seen. */
static u32 spinning_and_halted(struct device_irqs *irqs, u32 (*check)(struct device_irqs *irqs))
{
	u32 mistakes = check(irqs);

	if (mistakes)
		return mistakes;

	irq_vm_halt(irqs->vm);
	return check(irqs);
}

/* Signals on the route in force, which leads to each vCPU of a set. Return: mistakes seen. */
static u32 raise_to(struct device_irqs *irqs, const struct irq_phase *phase, u32 members)
{
	struct irq_line *line = &irqs->irqs[0].line;
	u32 mistakes = 0;

	line->vcpu = ffs(members) - 1;
	device_irqs_begin(irqs);
	for (u32 i = 0; i < NR_MSIS && !mistakes; i++) {
		irq_phase_wait_idle(irqs);
		device_irqs_mark(irqs);
		for (u32 vcpu = 0; vcpu < irqs->vm->config.nr_vcpus; vcpu++)
			irqs->expectation.irqs[vcpu][line->vector] += members >> vcpu & 1;
		device_irqs_raise(irqs, &irqs->irqs[0]);
		mistakes = irq_phase_wait_counted(irqs, phase);
	}

	return mistakes ?: irq_phase_conclude(irqs, phase);
}

static void route(struct device_irqs *irqs, struct msi_message message)
{
	irqs->irqs[0].line.vector = message.data;
	irq_line_route_message(&irqs->irqs[0].line, message);
}

static u32 send_to(struct device_irqs *irqs, const char *name, struct msi_message message,
		   u32 members)
{
	struct irq_phase phase = { .name = name };

	if (members & (members - 1))
		phase.unpostable = "a multicast cannot be posted";
	route(irqs, message);
	return raise_to(irqs, &phase, members);
}

static u64 count_members(const struct irq_vm *vm, u32 members, u8 vector)
{
	u64 sum = 0;

	for (u32 vcpu = 0; vcpu < vm->config.nr_vcpus; vcpu++)
		sum += members >> vcpu & 1 ? irq_vm_count(vm, vcpu, vector) : 0;
	return sum;
}

/* Signals on the route in force, which leads to any one vCPU of a set. Return: mistakes seen. */
static u32 raise_to_one_of(struct device_irqs *irqs, const char *name, u32 members)
{
	struct irq_phase phase = { .name = name };
	u8 vector = irqs->irqs[0].line.vector;
	struct irq_vm *vm = irqs->vm;
	u64 before = count_members(vm, members, vector), counted;

	device_irqs_begin(irqs);
	for (u32 i = 1; i <= NR_MSIS; i++) {
		irq_phase_wait_idle(irqs);
		device_irqs_raise(irqs, &irqs->irqs[0]);
		if (!wait_for(count_members(vm, members, vector) - before >= i, IRQ_MS))
			break;
	}

	deadline_settle_ms(10);
	counted = count_members(vm, members, vector) - before;
	if (counted != NR_MSIS)
		test_report("%s: %llu counted by the set together, not %u", name,
			    (unsigned long long)counted, NR_MSIS);
	for (u32 vcpu = 0; vcpu < vm->config.nr_vcpus; vcpu++) {
		if (members >> vcpu & 1)
			irqs->expectation.irqs[vcpu][vector] = irq_vm_count(vm, vcpu, vector);
	}
	return (counted != NR_MSIS) + irq_phase_conclude(irqs, &phase);
}

/* Signals that the host takes, one after the other, and that no vCPU counts. */
static u32 raise_to_nobody(struct device_irqs *irqs, const char *name)
{
	struct device_irq *irq = &irqs->irqs[0];

	device_irqs_begin(irqs);
	for (u64 i = 1; i <= NR_MSIS; i++) {
		device_irqs_raise(irqs, irq);
		if (irqs->trigger == IRQ_TRIGGER_DEVICE &&
		    !device_irqs_host_took(irq, i, IRQ_MS)) {
			test_report("%s: the host took %llu of %llu", name,
				    (unsigned long long)delivery_probe_host_irqs(&irq->probe),
				    (unsigned long long)i);
			return 1;
		}
	}
	return irq_expectation_settle(&irqs->expectation);
}

static u32 send_to_nobody(struct device_irqs *irqs, const char *name, struct msi_message message)
{
	route(irqs, message);
	return raise_to_nobody(irqs, name);
}

/* Fixed, physical, to each vCPU by itself. */
static u32 send_to_each(struct device_irqs *irqs)
{
	u32 mistakes = 0;

	for (u32 vcpu = 0; vcpu < irqs->vm->config.nr_vcpus && !mistakes; vcpu++)
		mistakes = send_to(irqs, "fixed, physical",
				   msi_message_fixed(irq_vm_apic_id(irqs->vm, vcpu), VECTOR),
				   1U << vcpu);
	return mistakes;
}

/* Some that differ in what 8 bits do not hold, and the largest that fit into 8 or 9. */
static const u32 sparse_ids[] = { 1, 254, 255, 256, 257, 511 };

/* Why vCPUs cannot have these ids here: AVIC has tables of a fixed size. */
static const char *sparse_ids_missing(void)
{
	int kvm = open_kvm_dev_path_or_exit(), fd, vcpu;

	fd = ioctl(kvm, KVM_CREATE_VM, 0);
	close(kvm);
	VFIO_ASSERT_LE(0, fd, "KVM_CREATE_VM: %s", strerror(errno));
	VFIO_ASSERT_EQ(ioctl(fd, KVM_CREATE_IRQCHIP, 0), 0);
	vcpu = ioctl(fd, KVM_CREATE_VCPU, sparse_ids[ARRAY_SIZE(sparse_ids) - 1]);
	if (vcpu >= 0)
		close(vcpu);
	close(fd);
	return vcpu < 0 ? "KVM does not give vCPUs the id 511 here" : NULL;
}

static u32 check_sparse_ids(struct device_irqs *irqs)
{
	/* What they would be, cut to 8 or 9 bits. */
	static const u32 nobody[] = { 0, 2, 253, 258, 510, 513, 767, 0x10001, 0x1000001 };
	u32 mistakes = send_to_each(irqs);

	for (u32 i = 0; i < ARRAY_SIZE(sparse_ids) && !mistakes; i++) {
		u32 logical = sparse_ids[i] / 16 << 16 | 1 << sparse_ids[i] % 16;

		mistakes = send_to(irqs, "fixed, logical", msi_message_logical(logical, VECTOR + 1),
				   1U << i);
	}
	for (u32 i = 0; i < ARRAY_SIZE(nobody) && !mistakes; i++)
		mistakes = send_to_nobody(irqs, "to an id of no vCPU",
					  msi_message_fixed(nobody[i], VECTOR + 2));
	return mistakes;
}

TEST_F(destination, an_id_of_any_size_is_of_one_vcpu)
{
	SKIP_IF_MISSING(sparse_ids_missing());
	connect(&self->irqs, (struct irq_vm_config){ .nr_vcpus = ARRAY_SIZE(sparse_ids),
						     .apic_ids = sparse_ids });
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_sparse_ids));
}

struct logical_case {
	u32 destinations;
	u32 members;
};

/* Each to all of its members, by fixed delivery. */
static u32 send_logical(struct device_irqs *irqs, const struct logical_case *cases, u32 nr)
{
	u32 mistakes = 0;

	for (u32 i = 0; i < nr && !mistakes; i++) {
		struct msi_message message = msi_message_logical(cases[i].destinations, VECTOR + i);

		if (cases[i].members)
			mistakes = send_to(irqs, "fixed, logical", message, cases[i].members);
		else
			mistakes = send_to_nobody(irqs, "to a logical id of no vCPU", message);
	}
	return mistakes;
}

static u32 check_x2apic_clusters(struct device_irqs *irqs)
{
	static const struct logical_case cases[] = {
		{ 0x00001, 0x01 }, { 0x08000, 0x04 }, { 0x08003, 0x07 }, { 0x0ffff, 0x07 },
		{ 0x10003, 0x18 }, { 0x10006, 0x10 }, { 0x20101, 0x20 }, { 0x10004, 0x00 },
		{ 0x30001, 0x00 }, { X2APIC_BROADCAST, 0x3f },
	};

	return send_logical(irqs, cases, ARRAY_SIZE(cases));
}

/* A logical x2APIC id is derived from the id: 16 of them are a cluster. */
TEST_F(destination, a_logical_x2apic_message_reaches_each_member_of_its_cluster_once)
{
	static const u32 ids[] = { 0, 1, 15, 16, 17, 40 };

	connect(&self->irqs, (struct irq_vm_config){ .nr_vcpus = ARRAY_SIZE(ids),
						     .apic_ids = ids });
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_x2apic_clusters));
}

/* Has the guest set up logical ids, one for each vCPU. */
static void write_logical_ids(struct irq_vm *vm, u32 dfr, const u8 *ids)
{
	for (u32 i = 0; i < vm->config.nr_vcpus; i++) {
		irq_vm_write_apic(vm, i, XAPIC_DFR, dfr);
		irq_vm_write_apic(vm, i, XAPIC_LDR, ids[i] << 24);
	}
	/* While they do not agree on the format, APICv is inhibited. */
	irq_vm_sync(vm);
}

static const u8 flat_ids[] = { 0x01, 0x02, 0x04, 0x80 };

static u32 check_flat(struct device_irqs *irqs)
{
	static const struct logical_case cases[] = {
		{ 0x01, 0x1 }, { 0x80, 0x8 }, { 0x42, 0x2 }, { 0x05, 0x5 }, { 0x86, 0xe },
		{ 0x08, 0x0 }, { XAPIC_BROADCAST, 0xf },
	};

	write_logical_ids(irqs->vm, XAPIC_DFR_FLAT, flat_ids);
	return send_logical(irqs, cases, ARRAY_SIZE(cases));
}

static u32 check_xapic_clusters(struct device_irqs *irqs)
{
	static const u8 ids[] = { 0x11, 0x12, 0x28, 0xe1 };
	static const struct logical_case cases[] = {
		{ 0x11, 0x1 }, { 0x1e, 0x2 }, { 0x13, 0x3 }, { 0x2f, 0x4 }, { 0xe1, 0x8 },
		{ 0x21, 0x0 }, { 0x31, 0x0 }, { XAPIC_BROADCAST, 0xf },
	};

	write_logical_ids(irqs->vm, XAPIC_DFR_CLUSTER, ids);
	return send_logical(irqs, cases, ARRAY_SIZE(cases));
}

TEST_F(destination, a_logical_xapic_message_reaches_each_member_of_its_set_once)
{
	connect(&self->irqs, (struct irq_vm_config){ .nr_vcpus = 4, .xapic = true });
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_flat));
	EXPECT_EQ(0, check_xapic_clusters(&self->irqs));
}

static u32 check_x2apic_broadcast(struct device_irqs *irqs)
{
	return send_to(irqs, "broadcast, x2APIC",
		       msi_message_fixed(X2APIC_BROADCAST, VECTOR), 0x7) ?:
	       send_to(irqs, "to the id 0xff", msi_message_fixed(0xff, VECTOR + 1), 0x4);
}

static u32 check_xapic_broadcast(struct device_irqs *irqs)
{
	return send_to(irqs, "broadcast to 0xff", msi_message_fixed(0xff, VECTOR), 0x7);
}

/* 0xff is all of xAPIC and one of x2APIC, unless the VMM cannot say which it means. */
TEST_F(destination, a_broadcast_reaches_all_and_0xff_is_one_only_for_x2apic)
{
	static const u32 with_255[] = { 0, 1, 255 };

	SKIP_IF_MISSING(sparse_ids_missing());
	connect(&self->irqs, (struct irq_vm_config){ .nr_vcpus = 3, .apic_ids = with_255 });
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_x2apic_broadcast));
	device_irqs_disconnect(&self->irqs);

	connect(&self->irqs, (struct irq_vm_config){ .nr_vcpus = 3, .apic_ids = with_255,
						     .broadcast_quirk = true });
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_xapic_broadcast));
	device_irqs_disconnect(&self->irqs);

	connect(&self->irqs, (struct irq_vm_config){ .nr_vcpus = 3, .xapic = true });
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_xapic_broadcast));
}

/* By lowest priority and by redirection hint, with vectors that a hash tells apart. */
static u32 send_to_any(struct device_irqs *irqs, u32 destinations, u32 members)
{
	u32 mistakes = 0;

	for (u32 i = 0; i < 2 && !mistakes; i++) {
		route(irqs, msi_message_lowest_priority(destinations, VECTOR + i));
		mistakes = raise_to_one_of(irqs, "lowest priority", members);
		route(irqs, msi_message_with_hint(msi_message_logical(destinations, VECTOR + i)));
		mistakes += raise_to_one_of(irqs, "with redirection hint", members);
	}
	return mistakes;
}

static u32 check_lowest_priority(struct device_irqs *irqs)
{
	return send_to_any(irqs, 0x4, 0x4) ?: send_to_any(irqs, 0xb, 0xb) ?:
	       send_to(irqs, "physical with redirection hint",
		       msi_message_with_hint(msi_message_fixed(2, VECTOR)), 0x4);
}

TEST_F(destination, a_message_to_any_one_of_a_set_reaches_exactly_one)
{
	static const u8 ids[] = { 0x01, 0x02, 0x04, 0x08 };

	connect(&self->irqs, (struct irq_vm_config){ .nr_vcpus = 4 });
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_lowest_priority));
	device_irqs_disconnect(&self->irqs);

	connect(&self->irqs, (struct irq_vm_config){ .nr_vcpus = 4, .xapic = true });
	write_logical_ids(self->irqs.vm, XAPIC_DFR_FLAT, ids);
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_lowest_priority));
}

static u32 check_nmi_and_extint(struct device_irqs *irqs)
{
	static const struct irq_phase nmi = { "as NMI", "an NMI cannot be posted" };
	u32 mistakes = send_to_each(irqs);

	for (u32 vcpu = 0; vcpu < irqs->vm->config.nr_vcpus && !mistakes; vcpu++) {
		irq_line_route(&irqs->irqs[0].line, vcpu, IRQ_COUNTER_NMI_VECTOR);
		mistakes = raise_to(irqs, &nmi, 1U << vcpu);
	}
	/* KVM takes an ExtINT from its PIC only. */
	return mistakes ?: send_to_nobody(irqs, "as ExtINT", msi_message_of_mode(0, APIC_DM_EXTINT)) ?:
	       send_to_each(irqs);
}

TEST_F(destination, an_nmi_is_an_nmi_and_an_extint_is_nothing)
{
	connect(&self->irqs, (struct irq_vm_config){ .nr_vcpus = 2 });
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_nmi_and_extint));
}

#define SMRAM_GPA SZ_16M
#define SMRAM_SIZE SZ_64K
/* In the address space that KVM has for SMM. */
#define SMRAM_SLOT (1 << 16 | 1)
/* Where SMM begins, and where our handler counts; of SMBASE. */
#define SMM_ENTRY 0x8000
#define SMM_COUNTER 0x100

static u32 *smm_counter(struct irq_vm *vm, u32 vcpu)
{
	return addr_gpa2hva(vm->kvm, SMRAM_GPA + vcpu * SMRAM_SIZE + SMM_COUNTER);
}

/* Gives each vCPU SMRAM with a handler that counts; SMM is much as real mode (SDM 3C, 32.5). */
static void install_smm_handlers(struct irq_vm *vm)
{
	u32 nr = vm->config.nr_vcpus;

	vm_userspace_mem_region_add(vm->kvm, VM_MEM_SRC_ANONYMOUS, SMRAM_GPA, SMRAM_SLOT,
				    nr * SMRAM_SIZE / SZ_4K, 0);
	for (u32 i = 0; i < nr; i++) {
		u32 smbase = SMRAM_GPA + i * SMRAM_SIZE, counter = smbase + SMM_COUNTER;
		/* incl counter, with a 32-bit address and operand; rsm */
		u8 code[] = { 0x66, 0x67, 0xff, 0x05, counter, counter >> 8, counter >> 16,
			      counter >> 24, 0x0f, 0xaa };

		memcpy(addr_gpa2hva(vm->kvm, smbase + SMM_ENTRY), code, sizeof(code));
		irq_vm_pause(vm, i);
		vcpu_set_msr(vm->vcpus[i], MSR_IA32_SMBASE, smbase);
		irq_vm_resume(vm, i);
	}
}

static u32 send_smis(struct device_irqs *irqs, u32 vcpu)
{
	static const struct irq_phase smi = { "as SMI", "an SMI cannot be posted" };
	u32 before[] = { *smm_counter(irqs->vm, 0), *smm_counter(irqs->vm, 1) };

	route(irqs, msi_message_of_mode(vcpu, APIC_DM_SMI));
	device_irqs_begin(irqs);
	for (u32 i = 1; i <= NR_MSIS; i++) {
		irq_phase_wait_idle(irqs);
		device_irqs_raise(irqs, &irqs->irqs[0]);
		before[vcpu]++;
		if (!wait_for(READ_ONCE(*smm_counter(irqs->vm, vcpu)) == before[vcpu], IRQ_MS))
			break;
	}
	for (u32 i = 0; i < 2; i++) {
		u32 counted = READ_ONCE(*smm_counter(irqs->vm, i));

		if (counted == before[i])
			continue;
		test_report("vCPU %u has counted %u SMIs, not %u", i, counted, before[i]);
		return 1;
	}
	return irq_phase_conclude(irqs, &smi);
}

static u32 check_smi(struct device_irqs *irqs)
{
	return send_to_each(irqs) ?: send_smis(irqs, 0) ?: send_smis(irqs, 1) ?: send_to_each(irqs);
}

TEST_F(destination, an_smi_brings_its_vcpu_into_smm_and_back)
{
	if (!kvm_has_cap(KVM_CAP_X86_SMM))
		SKIP(return, "this KVM has no SMM (CONFIG_KVM_SMM)");

	connect(&self->irqs, (struct irq_vm_config){ .nr_vcpus = 2 });
	install_smm_handlers(self->irqs.vm);
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_smi));
}

/* What an INIT resets (SDM 3A, table 10-1) and the payload needs. */
struct saved_vcpu {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_lapic_state lapic;
};

static void save_vcpu(struct irq_vm *vm, u32 vcpu, struct saved_vcpu *saved)
{
	irq_vm_pause(vm, vcpu);
	vcpu_regs_get(vm->vcpus[vcpu], &saved->regs);
	vcpu_sregs_get(vm->vcpus[vcpu], &saved->sregs);
	vcpu_ioctl(vm->vcpus[vcpu], KVM_GET_LAPIC, &saved->lapic);
	irq_vm_resume(vm, vcpu);
}

static void restore_vcpu(struct irq_vm *vm, u32 vcpu, struct saved_vcpu *saved)
{
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };

	irq_vm_pause(vm, vcpu);
	vcpu_sregs_set(vm->vcpus[vcpu], &saved->sregs);
	vcpu_regs_set(vm->vcpus[vcpu], &saved->regs);
	vcpu_ioctl(vm->vcpus[vcpu], KVM_SET_LAPIC, &saved->lapic);
	vcpu_mp_state_set(vm->vcpus[vcpu], &runnable);
	irq_vm_resume(vm, vcpu);
}

static u32 mp_state(struct irq_vm *vm, u32 vcpu)
{
	struct kvm_mp_state state;

	irq_vm_pause(vm, vcpu);
	vcpu_mp_state_get(vm->vcpus[vcpu], &state);
	irq_vm_resume(vm, vcpu);
	return state.mp_state;
}

static u32 check_init(struct device_irqs *irqs)
{
	struct saved_vcpu saved;
	u32 mistakes = send_to_each(irqs);

	if (mistakes)
		return mistakes;

	save_vcpu(irqs->vm, 1, &saved);
	route(irqs, msi_message_of_mode(1, APIC_DM_INIT));
	device_irqs_raise(irqs, &irqs->irqs[0]);
	if (!wait_for(mp_state(irqs->vm, 1) == KVM_MP_STATE_INIT_RECEIVED, IRQ_MS)) {
		test_report("no INIT has reached vCPU 1, its MP state is %u", mp_state(irqs->vm, 1));
		mistakes = 1;
	}
	mistakes += send_to(irqs, "beside a vCPU after INIT", msi_message_fixed(0, VECTOR), 0x1);
	restore_vcpu(irqs->vm, 1, &saved);
	return mistakes ?: send_to_each(irqs);
}

TEST_F(destination, an_init_makes_its_vcpu_wait_for_a_sipi_and_no_other)
{
	connect(&self->irqs, (struct irq_vm_config){ .nr_vcpus = 2 });
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_init));
}

/* With vCPUs in different modes KVM may inhibit APICv, so that the path is open. */
static u32 send_to_each_in_any_way(struct device_irqs *irqs)
{
	static const struct irq_phase mixed = { .name = "xAPIC and x2APIC" };
	u32 mistakes = 0;

	for (u32 vcpu = 0; vcpu < irqs->vm->config.nr_vcpus && !mistakes; vcpu++) {
		irq_line_route(&irqs->irqs[0].line, vcpu, VECTOR);
		mistakes = irq_phase_send(irqs, &mixed);
	}
	return mistakes ?: irq_expectation_settle(&irqs->expectation);
}

static bool is_x2apic(struct irq_vm *vm, u32 vcpu)
{
	struct kvm_sregs sregs;

	irq_vm_pause(vm, vcpu);
	vcpu_sregs_get(vm->vcpus[vcpu], &sregs);
	irq_vm_resume(vm, vcpu);
	return sregs.apic_base & MSR_IA32_APICBASE_EXTD;
}

static u32 check_modes(struct device_irqs *irqs)
{
	static const struct { u32 vcpu; bool x2apic; } switches[] = {
		{ 1, true }, { 0, true }, { 1, false }, { 0, false },
	};
	u32 mistakes = send_to_each(irqs);

	for (u32 i = 0; i < ARRAY_SIZE(switches) && !mistakes; i++) {
		irq_vm_set_x2apic(irqs->vm, switches[i].vcpu, switches[i].x2apic);
		irq_vm_sync(irqs->vm);
		if (is_x2apic(irqs->vm, switches[i].vcpu) != switches[i].x2apic) {
			test_report("vCPU %u has not switched", switches[i].vcpu);
			return 1;
		}
		mistakes = i % 2 ? send_to_each(irqs) : send_to_each_in_any_way(irqs);
	}
	return mistakes;
}

TEST_F(destination, a_vcpu_that_switches_between_xapic_and_x2apic_is_reached_in_each)
{
	connect(&self->irqs, (struct irq_vm_config){ .nr_vcpus = 2, .xapic = true });
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_modes));
}

/* KVM posts to the vCPU that a route led to when it was set, whatever the guest does later. */
static u32 check_moved_ldr(struct device_irqs *irqs)
{
	static const struct irq_phase followed = { .name = "after the LDRs were rewritten" };
	struct irq_vm *vm = irqs->vm;
	u32 mistakes;

	write_logical_ids(vm, XAPIC_DFR_FLAT, flat_ids);
	mistakes = send_to(irqs, "before the LDRs are rewritten", msi_message_logical(0x2, VECTOR),
			   0x2);
	irq_vm_write_apic(vm, 1, XAPIC_LDR, 0x08 << 24);
	irq_vm_write_apic(vm, 2, XAPIC_LDR, 0x02 << 24);
	irq_vm_sync(vm);
	if (!mistakes)
		mistakes = device_irqs_path(irqs) == DELIVERY_POSTED ?
			   raise_to_one_of(irqs, "posted to the old vCPU or the new one", 0x6) :
			   raise_to(irqs, &followed, 0x4);

	return mistakes ?:
	       send_to(irqs, "the route set again", msi_message_logical(0x2, VECTOR + 1), 0x4) ?:
	       send_to(irqs, "to the new LDR", msi_message_logical(0x8, VECTOR + 1), 0x2) ?:
	       send_to_nobody(irqs, "to the old LDR", msi_message_logical(0x4, VECTOR + 1));
}

TEST_F(destination, an_ldr_that_the_guest_rewrites_takes_its_interrupts_along)
{
	connect(&self->irqs, (struct irq_vm_config){ .nr_vcpus = 3, .xapic = true });
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_moved_ldr));
}

#define NEW_ID 77

/* With an id that is not the vCPU's own, APICv is inhibited. */
static u32 check_moved_id(struct device_irqs *irqs)
{
	struct irq_phase moved = { .name = "to the new id" };
	struct irq_vm *vm = irqs->vm;
	u32 mistakes = send_to_each(irqs);

	if (mistakes)
		return mistakes;

	if (delivery_expected_inhibited() != DELIVERY_POSTED)
		moved.unpostable = "AVIC is inhibited";
	irq_vm_write_apic(vm, 1, APIC_ID, NEW_ID << 24);
	irq_vm_sync(vm);
	if (irqs->trigger != IRQ_TRIGGER_DEVICE || moved.unpostable)
		mistakes = raise_to_nobody(irqs, "to the old id");
	route(irqs, msi_message_fixed(NEW_ID, VECTOR));
	mistakes = mistakes ?: raise_to(irqs, &moved, 0x2);

	irq_vm_write_apic(vm, 1, APIC_ID, 1 << 24);
	irq_vm_sync(vm);
	/* Another vector, for KVM does not look again at a route that is written unchanged. */
	return mistakes ?: send_to_nobody(irqs, "to an id that was given back",
					  msi_message_fixed(NEW_ID, VECTOR + 1)) ?:
	       send_to_each(irqs);
}

TEST_F(destination, an_xapic_id_that_the_guest_rewrites_takes_its_interrupts_along)
{
	connect(&self->irqs, (struct irq_vm_config){ .nr_vcpus = 2, .xapic = true });
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_moved_id));
}

/* Signals what vCPU 0 must not take yet. Return: mistakes seen. */
static u32 raise_in_vain(struct device_irqs *irqs, u8 vector)
{
	irq_line_route(&irqs->irqs[0].line, 0, vector);
	device_irqs_raise(irqs, &irqs->irqs[0]);
	if (!wait_for(irq_vm_irr(irqs->vm, 0, vector), IRQ_MS)) {
		test_report("vector %#x does not wait in the IRR", vector);
		return 1;
	}
	return irq_expectation_settle(&irqs->expectation);
}

static u32 send_one(struct device_irqs *irqs, u8 vector)
{
	irq_line_route(&irqs->irqs[0].line, 0, vector);
	device_irqs_send(irqs, &irqs->irqs[0]);
	return irq_expectation_wait(&irqs->expectation, IRQ_MS);
}

static void write_tpr(struct device_irqs *irqs, u32 priority, bool by_cr8)
{
	if (by_cr8)
		irq_vm_write_cr8(irqs->vm, 0, priority);
	else
		irq_vm_write_apic(irqs->vm, 0, APIC_TASKPRI, priority << 4);
}

/* Vectors 16 * n to 16 * n + 15 are one class; the TPR holds back its own and those below. */
static u32 send_around_tpr(struct device_irqs *irqs, bool by_cr8)
{
	static const struct irq_phase phase = { .name = "held back by the TPR and let go" };
	u32 mistakes;

	device_irqs_begin(irqs);
	write_tpr(irqs, 8, by_cr8);
	mistakes = raise_in_vain(irqs, 0x8f) ?: raise_in_vain(irqs, 0x71) ?: send_one(irqs, 0x90);
	if (mistakes)
		return mistakes;

	irqs->expectation.irqs[0][0x8f]++;
	write_tpr(irqs, 7, by_cr8);
	mistakes = irq_expectation_wait(&irqs->expectation, IRQ_MS) ?:
		   irq_expectation_settle(&irqs->expectation);
	irqs->expectation.irqs[0][0x71]++;
	write_tpr(irqs, 0, by_cr8);
	return mistakes ?: irq_expectation_wait(&irqs->expectation, IRQ_MS) ?:
	       irq_phase_conclude(irqs, &phase);
}

static u32 check_tpr(struct device_irqs *irqs)
{
	return send_around_tpr(irqs, true) ?: send_around_tpr(irqs, false);
}

TEST_F(destination, an_interrupt_that_the_tpr_holds_back_comes_when_it_is_lowered)
{
	for (u32 xapic = 0; xapic < 2; xapic++) {
		connect(&self->irqs, (struct irq_vm_config){ .nr_vcpus = 2, .xapic = xapic });
		EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_tpr));
		device_irqs_disconnect(&self->irqs);
	}
}

/* A handler is interrupted by a higher class only; the rest wait for its EOI. */
static u32 check_nesting(struct device_irqs *irqs)
{
	static const struct irq_phase phase = { .name = "around a handler that takes its time" };
	u32 mistakes;

	device_irqs_begin(irqs);
	irq_vm_hold(irqs->vm, 0, 0x75);
	mistakes = send_one(irqs, 0x75) ?: raise_in_vain(irqs, 0x7f) ?: raise_in_vain(irqs, 0x61) ?:
		   send_one(irqs, 0x80) ?: send_one(irqs, 0xf1);
	irqs->expectation.irqs[0][0x7f]++;
	irqs->expectation.irqs[0][0x61]++;
	irq_vm_hold(irqs->vm, 0, 0);
	return mistakes ?: irq_expectation_wait(&irqs->expectation, IRQ_MS) ?:
	       irq_phase_conclude(irqs, &phase);
}

TEST_F(destination, a_handler_is_interrupted_by_a_higher_class_only)
{
	for (u32 xapic = 0; xapic < 2; xapic++) {
		connect(&self->irqs, (struct irq_vm_config){ .nr_vcpus = 2, .xapic = xapic });
		EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_nesting));
		device_irqs_disconnect(&self->irqs);
	}
}

TEST_PROGRAM(NEEDS_KVM | NEEDS_DEVICE,
	     "interrupts reach the vCPUs that their messages name, once each, and no other")
