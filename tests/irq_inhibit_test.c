// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts pass from one way of injecting them to the other when APICv or AVIC is inhibited or
 * released, whatever is in flight, in service, held back or bound at that moment.
 *
 * Four causes inhibit it for a whole VM, alone and overlapping; each comes and goes while vCPUs
 * take interrupts. No interrupt is lost or doubled, one that waits for an EOI or a lower TPR waits
 * on, and AMD-Vi remaps for as long as any cause lasts and posts again afterwards. KVM itself is a
 * cause while a vCPU has to take an ExtINT. Catches interrupts that arrive as AVIC goes, entries
 * that stay remapped for ever, an ISR or TPR that is stale after the change (docs/bugs.md).
 *
 * Needs /dev/kvm and a device bound to vfio-pci that a driver of ours can make send MSIs. A host
 * without APICv or AVIC goes through the same motions and counts the same; its report says so.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/kernel.h>

#include <apic.h>
#include <host/apicv_inhibit.h>
#include <libvfio/deadline.h>
#include <tests/harness.h>
#include <tests/irq_device.h>
#include <tests/irq_phase.h>

/* The last one is where the causes act. */
#define NR_VCPUS 3
#define NR_TARGETS (NR_VCPUS - 1)
#define NR_MSIS 3
#define NR_STORM 40
#define NR_EXTINT_ROUNDS 4
#define VECTOR 0x61
/* SDM 3A, table 11-1; kvm_util does not have them yet. */
#define XAPIC_ISR 0x100
#define XAPIC_LVT0 0x350
#define FIRST_GSI GSI_ROUTING_FIRST_MSI
/* Of the lines that this process signals. */
#define BESIDE_GSI (FIRST_GSI + DEVICE_IRQS_MAX)
#define PIC_GSI (BESIDE_GSI + 2)
#define PIC_PIN 3
/* The vectors of the PIC's pins begin at a multiple of eight. */
#define PIC_FIRST_VECTOR 0xa0
#define PIC_VECTOR (PIC_FIRST_VECTOR + PIC_PIN)
#define PIC_SPURIOUS_VECTOR (PIC_FIRST_VECTOR + 7)
/* 8259A datasheet, the initialization command words; AEOI ends each interrupt as it is taken. */
#define PIC_COMMAND 0x20
#define PIC_DATA 0x21
#define PIC_ICW1_INIT_WITH_ICW4 0x11
#define PIC_ICW3_SLAVE_ON_2 0x04
#define PIC_ICW4_8086_AEOI 0x03

FIXTURE(inhibit) {
	struct irq_device device;
	struct device_irqs irqs;
};

FIXTURE_VARIANT(inhibit) {
	enum irq_trigger trigger;
	bool xapic;
};

FIXTURE_VARIANT_ADD(inhibit, device_to_x2apic) { .trigger = IRQ_TRIGGER_DEVICE };
FIXTURE_VARIANT_ADD(inhibit, device_to_xapic) { .trigger = IRQ_TRIGGER_DEVICE, .xapic = true };
FIXTURE_VARIANT_ADD(inhibit, loopback_to_xapic) { .trigger = IRQ_TRIGGER_LOOPBACK, .xapic = true };
FIXTURE_VARIANT_ADD(inhibit, eventfd_to_x2apic) { .trigger = IRQ_TRIGGER_EVENTFD };

FIXTURE_SETUP(inhibit)
{
	struct irq_vm_config config = { .nr_vcpus = NR_VCPUS, .xapic = variant->xapic };

	self->irqs.trigger = variant->trigger;
	if (variant->trigger != IRQ_TRIGGER_EVENTFD)
		SKIP_IF_MISSING(irq_device_open(&self->device, test_iommu_mode()));

	self->irqs.device = self->device.device;
	device_irqs_connect(&self->irqs, &config, NR_TARGETS, FIRST_GSI);
	for (u32 i = 0; i < self->irqs.nr_irqs; i++)
		irq_line_route(&self->irqs.irqs[i].line, i, VECTOR);
	if (variant->trigger == IRQ_TRIGGER_DEVICE && delivery_posting_missing())
		test_report("only the counts are judged, no path: %s", delivery_posting_missing());
}

static void set(struct device_irqs *irqs, enum apicv_inhibit cause, bool inhibit)
{
	if (!apicv_inhibit_missing(irqs->vm, cause))
		apicv_inhibit_set(irqs->vm, cause, inhibit);
}

FIXTURE_TEARDOWN(inhibit)
{
	struct irq_vm *vm = self->irqs.vm;

	if (vm) {
		irq_vm_hold(vm, 0, 0);
		irq_vm_write_cr8(vm, 0, 0);
		for (u32 cause = 0; cause < NR_APICV_INHIBITS; cause++)
			set(&self->irqs, cause, false);
	}
	device_irqs_disconnect(&self->irqs);
	irq_device_close(&self->device);
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

/* Sends while nothing changes, so that all must come by the path of that state. */
static u32 send_some(struct device_irqs *irqs, bool inhibited)
{
	static const struct irq_phase active = { .name = "APICv not inhibited" },
				      still = { .name = "APICv inhibited" },
				      remapped = { "APICv inhibited", "AVIC is inhibited" };

	irq_vm_sync(irqs->vm);
	if (!inhibited)
		return irq_phase_send_some(irqs, &active, NR_MSIS);
	return irq_phase_send_some(irqs, delivery_expected_inhibited() == DELIVERY_POSTED ?
					 &still : &remapped, NR_MSIS);
}

/* A PIT does nothing to Intel's, but must do no harm either. */
static u32 check_each_cause(struct device_irqs *irqs)
{
	u32 mistakes = send_some(irqs, false);

	for (u32 cause = 0; cause < NR_APICV_INHIBITS && !mistakes; cause++) {
		if (apicv_inhibit_missing(irqs->vm, cause))
			continue;
		set(irqs, cause, true);
		mistakes = send_some(irqs, true);
		set(irqs, cause, false);
		mistakes = mistakes ?: send_some(irqs, false);
		if (mistakes)
			test_report("this was by %s", apicv_inhibit_name(cause));
	}
	return mistakes;
}

TEST_F(inhibit, each_cause_inhibits_apicv_and_its_end_releases_it)
{
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_each_cause));
}

static void shuffle(u32 *order, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		u32 other = test_random(0, i);

		order[i] = order[other];
		order[other] = i;
	}
}

/* All that this VM can have, in any order, each ended in another order. */
static u32 check_overlap(struct device_irqs *irqs)
{
	u32 order[NR_APICV_INHIBITS], mistakes = 0;

	shuffle(order, NR_APICV_INHIBITS);
	for (u32 i = 0; i < NR_APICV_INHIBITS; i++)
		set(irqs, order[i], true);

	shuffle(order, NR_APICV_INHIBITS);
	for (u32 i = 0; i < NR_APICV_INHIBITS && !mistakes; i++) {
		if (apicv_inhibit_missing(irqs->vm, order[i]))
			continue;
		mistakes = send_some(irqs, true);
		set(irqs, order[i], false);
	}
	return mistakes ?: send_some(irqs, false);
}

TEST_F(inhibit, apicv_is_released_by_the_end_of_the_last_cause)
{
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_overlap));
}

/* Someone who begins and ends causes without a pause, while interrupts arrive. */
struct toggler {
	struct device_irqs *irqs;
	pthread_t thread;
	atomic_bool stop;
	unsigned int seed;
	u64 changes;
};

static void *toggle(void *arg)
{
	struct toggler *toggler = arg;
	bool inhibit[NR_APICV_INHIBITS] = {};

	for (; !atomic_load(&toggler->stop); toggler->changes++) {
		u32 cause = rand_r(&toggler->seed) % NR_APICV_INHIBITS;

		inhibit[cause] = !inhibit[cause];
		set(toggler->irqs, cause, inhibit[cause]);
	}
	for (u32 cause = 0; cause < NR_APICV_INHIBITS; cause++)
		set(toggler->irqs, cause, false);
	return NULL;
}

static u32 check_storm(struct device_irqs *irqs)
{
	static const struct irq_phase storm = { .name = "causes begin and end at random" };
	struct toggler toggler = { .irqs = irqs, .seed = test_random(0, INT32_MAX) };
	u32 mistakes = 0;

	VFIO_ASSERT_EQ(pthread_create(&toggler.thread, NULL, toggle, &toggler), 0);
	device_irqs_begin(irqs);
	for (u32 i = 0; i < NR_STORM && !mistakes; i++) {
		device_irqs_mark(irqs);
		for (u32 line = 0; line < irqs->nr_irqs; line++)
			device_irqs_send(irqs, &irqs->irqs[line]);
		mistakes = irq_phase_wait_counted(irqs, &storm);
	}
	atomic_store(&toggler.stop, true);
	VFIO_ASSERT_EQ(pthread_join(toggler.thread, NULL), 0);
	test_report("%u sent on each of %u lines while causes changed %llu times", NR_STORM,
		    irqs->nr_irqs, (unsigned long long)toggler.changes);
	return mistakes ?: send_some(irqs, false);
}

TEST_F(inhibit, every_interrupt_is_counted_once_while_apicv_comes_and_goes)
{
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_storm));
}

/* Whether KVM posts, but does not yet learn of routes made while AVIC is inhibited, before 6.16. */
static bool forgets_routes(const struct device_irqs *irqs)
{
	return irqs->trigger == IRQ_TRIGGER_DEVICE && !delivery_kernel_says() &&
	       delivery_expected() == DELIVERY_POSTED;
}

/* Of a producer bound in the meantime the release must know, too (6df262f915ab). */
TEST_F(inhibit, a_line_bound_while_apicv_is_inhibited_is_as_any_other_later)
{
	struct device_irqs *irqs = &self->irqs;
	struct irq_line *line = &irqs->irqs[0].line;

	set(irqs, APICV_INHIBIT_BLOCKIRQ, true);
	irq_vm_sync(irqs->vm);
	irq_line_disconnect(line);
	irq_line_connect(line, irqs->vm, line->eventfd, line->gsi);
	irq_line_route(line, 0, VECTOR + 1);
	ASSERT_EQ(0, send_some(irqs, true));
	set(irqs, APICV_INHIBIT_BLOCKIRQ, false);

	irq_vm_sync(irqs->vm);
	if (forgets_routes(irqs)) {
		static const struct irq_phase released = { .name = "bound before the release" };

		device_irqs_begin(irqs);
		ASSERT_EQ(0, irq_phase_send(irqs, &released));
		if (delivery_probe_host_irqs(&irqs->irqs[0].probe))
			XFAIL(return, "before Linux 6.16 an MSI bound while AVIC is inhibited stays remapped");
	}
	ASSERT_EQ(0, send_some(irqs, false));
}

/* A line that this process signals, to say how the vCPU stands without the device. */
static struct irq_line connect_beside(struct irq_vm *vm, u32 nth, u8 vector)
{
	struct irq_line line;

	irq_line_connect(&line, vm, eventfd(0, EFD_CLOEXEC), BESIDE_GSI + nth);
	irq_line_route(&line, 0, vector);
	return line;
}

static void disconnect_beside(struct irq_line *line)
{
	irq_line_disconnect(line);
	close(line->eventfd);
}

static u32 send_beside(struct device_irqs *irqs, const struct irq_line *line)
{
	irq_line_expect(line, &irqs->expectation);
	VFIO_ASSERT_EQ(eventfd_write(line->eventfd, 1), 0);
	return irq_expectation_wait(&irqs->expectation, IRQ_MS);
}

/* Signals what vCPU 0 must not take yet. Return: mistakes seen. */
static u32 raise_in_vain(struct device_irqs *irqs)
{
	device_irqs_raise(irqs, &irqs->irqs[0]);
	if (!wait_for(irq_vm_irr(irqs->vm, 0, VECTOR), IRQ_MS)) {
		test_report("vector %#x does not wait in the IRR", VECTOR);
		return 1;
	}
	return irq_expectation_settle(&irqs->expectation);
}

/* A register of the local APIC that has a bit for each vector. */
static bool has_vector(struct irq_vm *vm, u32 reg)
{
	return irq_vm_read_apic(vm, 0, reg + VECTOR / 32 * 16) >> VECTOR % 32 & 1;
}

static u32 wait_for_the_late_one(struct device_irqs *irqs)
{
	struct irq_vm *vm = irqs->vm;

	irqs->expectation.irqs[0][VECTOR]++;
	if (!irq_expectation_wait(&irqs->expectation, IRQ_MS))
		return irq_expectation_settle(&irqs->expectation);

	test_report("late: in the IRR %d, in the ISR %d, TPR %#x, PPR %#x, vCPU %s",
		    has_vector(vm, APIC_IRR), has_vector(vm, XAPIC_ISR),
		    irq_vm_read_apic(vm, 0, APIC_TASKPRI), irq_vm_read_apic(vm, 0, APIC_PROCPRI),
		    irq_vm_is_blocked(vm, 0) ? "sleeps" : "runs");
	return 1;
}

/* Begins or ends to inhibit APICv, and sees that vCPU 0 has noticed, also in a handler. */
static void switch_apicv(struct device_irqs *irqs, enum apicv_inhibit cause, bool inhibit)
{
	set(irqs, cause, inhibit);
	irq_vm_pause(irqs->vm, 0);
	irq_vm_resume(irqs->vm, 0);
}

/* Raises one that must wait for the EOI of a handler, before or after APICv is switched in it. */
static u32 switch_in_handler(struct device_irqs *irqs, enum apicv_inhibit cause, bool inhibit,
			     bool raise_before, const struct irq_line *held,
			     const struct irq_line *higher)
{
	u32 mistakes;

	irq_vm_hold(irqs->vm, 0, held->vector);
	mistakes = send_beside(irqs, held);
	if (raise_before)
		mistakes = mistakes ?: raise_in_vain(irqs);
	switch_apicv(irqs, cause, inhibit);
	if (!raise_before)
		mistakes = mistakes ?: raise_in_vain(irqs);
	mistakes = mistakes ?: irq_expectation_settle(&irqs->expectation) ?:
		   send_beside(irqs, higher);
	irq_vm_hold(irqs->vm, 0, 0);
	return mistakes ?: wait_for_the_late_one(irqs);
}

static u32 check_handler(struct device_irqs *irqs)
{
	struct irq_line held = connect_beside(irqs->vm, 0, 0x75);
	struct irq_line higher = connect_beside(irqs->vm, 1, 0x91);
	u32 mistakes = 0;

	for (u32 i = 0; i < 2 * NR_APICV_INHIBITS && !mistakes; i++) {
		enum apicv_inhibit cause = i / 2;

		mistakes = switch_in_handler(irqs, cause, true, i % 2, &held, &higher) ?:
			   switch_in_handler(irqs, cause, false, i % 2, &held, &higher);
		if (mistakes)
			test_report("this was by %s", apicv_inhibit_name(cause));
	}
	disconnect_beside(&higher);
	disconnect_beside(&held);
	return mistakes ?: send_some(irqs, false);
}

/* The EOI must find what is in service, however it got there (b2849bec936b). */
TEST_F(inhibit, an_interrupt_waits_for_an_eoi_also_if_apicv_is_switched_in_the_handler)
{
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_handler));
}

/* Raises one below the TPR, switches APICv, and lowers the TPR. */
static u32 switch_under_tpr(struct device_irqs *irqs, enum apicv_inhibit cause, bool inhibit,
			    const struct irq_line *higher)
{
	u32 mistakes;

	irq_vm_write_cr8(irqs->vm, 0, 8);
	mistakes = raise_in_vain(irqs);
	switch_apicv(irqs, cause, inhibit);
	mistakes = mistakes ?: irq_expectation_settle(&irqs->expectation) ?:
		   send_beside(irqs, higher);
	irq_vm_write_cr8(irqs->vm, 0, 5);
	return mistakes ?: wait_for_the_late_one(irqs);
}

/* The same with a TPR that is raised again after the switch: it must be the new one that counts. */
static u32 raise_tpr_after(struct device_irqs *irqs, const struct irq_line *higher)
{
	u32 mistakes;

	irq_vm_write_cr8(irqs->vm, 0, 6);
	mistakes = raise_in_vain(irqs) ?: send_beside(irqs, higher);
	irq_vm_write_cr8(irqs->vm, 0, 0);
	return mistakes ?: wait_for_the_late_one(irqs);
}

static u32 check_tpr(struct device_irqs *irqs)
{
	struct irq_line higher = connect_beside(irqs->vm, 0, 0x91);
	u32 mistakes = 0;

	for (u32 cause = 0; cause < NR_APICV_INHIBITS && !mistakes; cause++) {
		mistakes = switch_under_tpr(irqs, cause, true, &higher) ?:
			   raise_tpr_after(irqs, &higher) ?:
			   switch_under_tpr(irqs, cause, false, &higher) ?:
			   raise_tpr_after(irqs, &higher);
		if (mistakes)
			test_report("this was by %s", apicv_inhibit_name(cause));
	}
	disconnect_beside(&higher);
	return mistakes ?: send_some(irqs, false);
}

/* KVM and the CPU each have a TPR, which must not drift apart (87d0f901a9bd). */
TEST_F(inhibit, the_tpr_holds_back_the_same_before_and_after_apicv_is_switched)
{
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_tpr));
}

/* vCPU 0 programs the PIC, which knows but one pin then; no vCPU listens to it yet. */
static void start_pic(struct irq_vm *vm)
{
	static const struct {
		u32 port;
		u8 value;
	} writes[] = {
		{ PIC_COMMAND, PIC_ICW1_INIT_WITH_ICW4 },
		{ PIC_DATA, PIC_FIRST_VECTOR },
		{ PIC_DATA, PIC_ICW3_SLAVE_ON_2 },
		{ PIC_DATA, PIC_ICW4_8086_AEOI },
		{ PIC_DATA, (u8)~(1U << PIC_PIN) },
	};

	for (u32 i = 0; i < vm->config.nr_vcpus; i++)
		WRITE_ONCE(vm->counter->vcpus[i].pic_vectors, PIC_FIRST_VECTOR);
	gsi_routing_set_pic(&vm->routing, PIC_GSI, PIC_PIN);
	gsi_routing_commit(&vm->routing);
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
		irq_vm_write_port(vm, 0, writes[i].port, writes[i].value);
}

static void set_pic_line(struct irq_vm *vm, bool up)
{
	struct kvm_irq_level level = { .irq = PIC_GSI, .level = up };

	vm_ioctl(vm->kvm, KVM_IRQ_LINE, &level);
}

/* Whether the PIC asks a vCPU for its attention, or would if one listened. */
static bool pic_pending(struct irq_vm *vm)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_PIC_MASTER };

	vm_ioctl(vm->kvm, KVM_GET_IRQCHIP, &chip);
	return chip.chip.pic.irr >> PIC_PIN & 1;
}

static void listen_to_pic(struct irq_vm *vm, u32 vcpu, bool listen)
{
	irq_vm_write_apic(vm, vcpu, XAPIC_LVT0, APIC_DM_EXTINT | (listen ? 0 : APIC_LVT_MASKED));
}

/* One ExtINT for a vCPU, the only one that listens, and none once it does not. */
static u32 send_extint(struct device_irqs *irqs, u32 vcpu)
{
	struct irq_vm *vm = irqs->vm;
	u32 mistakes;

	listen_to_pic(vm, vcpu, true);
	set_pic_line(vm, true);
	irqs->expectation.irqs[vcpu][PIC_VECTOR]++;
	mistakes = irq_expectation_wait(&irqs->expectation, IRQ_MS) + pic_pending(vm);
	set_pic_line(vm, false);
	listen_to_pic(vm, vcpu, false);
	return mistakes;
}

/* How many of @vector the listeners have counted since all were expected, which they are now. */
static u64 expect_counted(struct device_irqs *irqs, u8 vector)
{
	u64 nr = 0;

	for (u32 vcpu = 0; vcpu < NR_TARGETS; vcpu++) {
		u64 *expected = &irqs->expectation.irqs[vcpu][vector];
		u64 counted = irq_vm_count(irqs->vm, vcpu, vector);

		nr += counted - *expected;
		*expected = counted;
	}
	return nr;
}

/*
 * One ExtINT for any of the vCPUs, which may wait for their windows at once. A PIC that is asked
 * for what another has taken answers with its last pin (8259A datasheet, "interrupt sequence").
 */
static u32 send_extint_to_any(struct device_irqs *irqs)
{
	struct irq_vm *vm = irqs->vm;
	u64 counted = 0, spurious;

	for (u32 vcpu = 0; vcpu < NR_TARGETS; vcpu++)
		listen_to_pic(vm, vcpu, true);
	set_pic_line(vm, true);
	wait_for((counted += expect_counted(irqs, PIC_VECTOR)), IRQ_MS);
	irq_vm_sync(vm);
	set_pic_line(vm, false);
	for (u32 vcpu = 0; vcpu < NR_TARGETS; vcpu++)
		listen_to_pic(vm, vcpu, false);

	counted += expect_counted(irqs, PIC_VECTOR);
	spurious = expect_counted(irqs, PIC_SPURIOUS_VECTOR);
	if (counted != 1 || spurious)
		test_report("an ExtINT for any vCPU was counted %llu times, and %llu spurious ones",
			    (unsigned long long)counted, (unsigned long long)spurious);
	return (counted != 1) + (spurious >= NR_TARGETS) + pic_pending(vm) +
	       irq_expectation_settle(&irqs->expectation);
}

/*
 * To take one, AVIC is inhibited until the vCPU has its IF set. A vCPU that waited for it and found
 * that another had taken the ExtINT keeps AVIC inhibited until it is given its next interrupt, also
 * with 6563ddadd169; so each gets one of its own before anything has to be posted.
 */
static u32 check_extint(struct device_irqs *irqs)
{
	u32 mistakes = send_some(irqs, false);

	for (u32 i = 0; i < NR_EXTINT_ROUNDS && !mistakes; i++) {
		mistakes = send_extint_to_any(irqs);
		for (u32 vcpu = 0; vcpu < NR_TARGETS && !mistakes; vcpu++)
			mistakes = send_extint(irqs, vcpu);
		irq_vm_sync(irqs->vm);
		mistakes = mistakes ?: send_some(irqs, false);
	}
	return mistakes;
}

TEST_F(inhibit, vcpus_take_extints_in_turn_and_apicv_is_active_again_afterwards)
{
	start_pic(self->irqs.vm);
	EXPECT_EQ(0, spinning_and_halted(&self->irqs, check_extint));
}

TEST_PROGRAM(NEEDS_KVM | NEEDS_DEVICE,
	     "interrupts pass from one way to the other as APICv or AVIC is inhibited and released")
