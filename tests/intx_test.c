// SPDX-License-Identifier: GPL-2.0-only
/*
 * A level-triggered INTx is counted once for each time that it is raised, and each EOI asks its
 * devices whether they still need it.
 *
 * The way is that of a VMM: VFIO masks INTx and signals an eventfd, a resampling irqfd raises the
 * line of a pin of KVM's IOAPIC, the guest's EOI lowers it and signals the other eventfd, and VFIO
 * unmasks. Proves, with exact counts of interrupts and of such questions, that nothing gets lost
 * or doubled if the guest masks the pin, moves it to another vCPU before the EOI, or does so
 * all the time; if the irqfd goes or is shared; if DisINTx is set; if the device is switched
 * between INTx, MSI and MSI-X. Catches EOIs that are not intercepted, pending interrupts that are
 * delivered though the device has lowered its line, and masks that stay (docs/bugs.md).
 *
 * Needs /dev/kvm, and for all but the variant of eventfds a device bound to vfio-pci that a driver
 * of ours can make raise INTx.
 */
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/kernel.h>

#include <host/device_user.h>
#include <host/kvm_compat.h>
#include <libvfio/deadline.h>
#include <libvfio/dma_region.h>
#include <tests/harness.h>
#include <tests/host_cpus.h>
#include <tests/irq_device.h>
#include <tests/irq_phase.h>

#define NR_VCPUS 2
#define NR_ROUNDS 10
#define NR_RACES 20
#define NR_TOGGLES 400
/* Of a line that no device of KVM's own has. */
#define PIN 10
#define GSI (GSI_ROUTING_FIRST_MSI + 8)
/* The second is of a pin that stays masked. */
#define MSI_GSI (GSI + 1)
#define MASKED_GSI (GSI + 2)
#define MASKED_PIN 11
#define VECTOR 0x61

/* 82093AA datasheet, 3.0 and 3.2.4: the registers, by index and window, and a pin's entry. */
#define IOAPIC_GPA 0xfec00000ULL
#define IOREGSEL 0x00
#define IOWIN 0x10
#define IOREDTBL(pin) (0x10 + 2 * (pin))
#define IOREDTBL_LEVEL (1U << 15)
#define IOREDTBL_MASKED (1U << 16)
#define IOREDTBL_DESTINATION(id) ((u32)(id) << 24)

/**
 * struct intx - A level-triggered line into a VM.
 * @trigger: who raises it
 * @device: unless that is an eventfd of ours
 * @vm: the VM
 * @expectation: what its guest must have counted
 * @eventfd: raises the line
 * @resamplefd: asks who needs it still
 * @vcpu: where the pin leads to
 * @raised: how often the line was raised
 * @counted: how often it was to be counted
 */
struct intx {
	enum irq_trigger trigger;
	struct irq_device device;
	struct irq_vm *vm;
	struct irq_expectation expectation;
	int eventfd;
	int resamplefd;
	u32 vcpu;
	u64 raised;
	u64 counted;
};

/* The pin's entry; the half with the mask comes last. */
static struct device_user_job pin_job(u32 vcpu, u32 low)
{
	return (struct device_user_job){
		.accesses = {
			{ IOAPIC_GPA + IOREGSEL, 1, IOREDTBL(PIN) + 1 },
			{ IOAPIC_GPA + IOWIN, 1, IOREDTBL_DESTINATION(vcpu) },
			{ IOAPIC_GPA + IOREGSEL, 1, IOREDTBL(PIN) },
			{ IOAPIC_GPA + IOWIN, 1, low },
		},
		.nr_accesses = 4,
		.repeat = 1,
	};
}

/* Has vCPU @by lead the pin to @vcpu. */
static void set_pin(struct intx *intx, u32 by, u32 vcpu, u32 flags)
{
	struct device_user_job job = pin_job(vcpu, VECTOR | IOREDTBL_LEVEL | flags);

	device_user_begin(intx->vm, by, &job);
	VFIO_ASSERT_TRUE(device_user_wait(intx->vm, by, NULL, IRQ_MS));
	intx->vcpu = vcpu;
}

static void make_vm(struct intx *intx)
{
	struct irq_vm_config config = { .nr_vcpus = NR_VCPUS, .payload = guest_device_user };

	intx->vm = irq_vm_create(&config);
	intx->expectation = irq_expectation_init(intx->vm);
	virt_pg_map(intx->vm->kvm, IOAPIC_GPA, IOAPIC_GPA);
	gsi_routing_set_ioapic(&intx->vm->routing, GSI, PIN);
	gsi_routing_set_ioapic(&intx->vm->routing, MASKED_GSI, MASKED_PIN);
	gsi_routing_commit(&intx->vm->routing);
	set_pin(intx, 0, 0, 0);
}

static void connect_irqfd(struct intx *intx)
{
	irqfd_assign_resample(intx->vm->kvm, GSI, intx->eventfd, intx->resamplefd);
}

/* What this thread signals is queued on one CPU from now on, see wait_raised(). */
static void stay_on_this_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(host_cpus_random(), &cpus);
	VFIO_ASSERT_EQ(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
}

/* @intx: with its trigger. Return: NULL, or why it has to be skipped. */
static const char *intx_open(struct intx *intx)
{
	const char *missing = NULL;

	if (intx->trigger == IRQ_TRIGGER_EVENTFD) {
		intx->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	} else {
		if (intx->trigger == IRQ_TRIGGER_DEVICE)
			missing = test_intx_missing();
		missing = missing ?: irq_device_open_intx(&intx->device, test_iommu_mode());
		if (missing)
			return missing;
		intx->eventfd = vfio_pci_irq_eventfd(intx->device.device,
						     VFIO_PCI_INTX_IRQ_INDEX, 0);
	}

	intx->resamplefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	VFIO_ASSERT_TRUE(intx->eventfd >= 0 && intx->resamplefd >= 0);
	make_vm(intx);
	connect_irqfd(intx);
	/* The threads of the vCPUs go on where they like. */
	stay_on_this_cpu();
	return NULL;
}

static void intx_close(struct intx *intx)
{
	bool device = intx->trigger == IRQ_TRIGGER_DEVICE;

	if (intx->vm) {
		test_report("intx[0], %s: %llu sent and counted, %s; raised %llu times",
			    device ? "by the device" : "no device involved",
			    (unsigned long long)intx->counted,
			    delivery_path_name(device ? DELIVERY_REMAPPED : DELIVERY_EVENTFD),
			    (unsigned long long)intx->raised);
		__irqfd_deassign(intx->vm->kvm, GSI, intx->eventfd);
		irq_expectation_cleanup(&intx->expectation);
		irq_vm_destroy(intx->vm);
		close(intx->resamplefd);
		if (intx->trigger == IRQ_TRIGGER_EVENTFD)
			close(intx->eventfd);
	}
	irq_device_close(&intx->device);
}

static u64 take(int eventfd)
{
	u64 count = 0;

	return read(eventfd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* The line goes up; a device's is down again when this returns, and masked by VFIO. */
static void raise_line(struct intx *intx)
{
	intx->raised++;
	switch (intx->trigger) {
	case IRQ_TRIGGER_DEVICE:
		vfio_pci_driver_send_msi(intx->device.device);
		break;
	case IRQ_TRIGGER_LOOPBACK:
		vfio_pci_irq_trigger(intx->device.device, VFIO_PCI_INTX_IRQ_INDEX, 0);
		break;
	case IRQ_TRIGGER_EVENTFD:
		VFIO_ASSERT_EQ(eventfd_write(intx->eventfd, 1), 0);
		break;
	}
}

/*
 * Waits until KVM has raised the lines that this thread signalled, also one that is up already,
 * which no register tells. A resampling irqfd raises its line from the work queue of the CPU that
 * signalled it, which may be late by more than a vCPU takes from here to its EOI, and then the line
 * is rightly up once more. That queue takes its work in turn: an irqfd that is signalled now is
 * behind it, and cannot be deassigned before its own work is over.
 */
static void wait_raised(struct intx *intx)
{
	int last = eventfd(0, EFD_CLOEXEC);

	VFIO_ASSERT_GE(last, 0);
	irqfd_assign(intx->vm->kvm, MASKED_GSI, last);
	VFIO_ASSERT_EQ(eventfd_write(last, 1), 0);
	irqfd_deassign(intx->vm->kvm, MASKED_GSI, last);
	close(last);
}

/* Whether the IOAPIC knows of it; a resampling irqfd raises its line from a work queue. */
static bool pin_pending(struct intx *intx)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	vm_ioctl(intx->vm->kvm, KVM_GET_IRQCHIP, &chip);
	return chip.chip.ioapic.irr >> PIN & 1;
}

/* One more is counted where the pin leads to. Return: mistakes seen. */
static u32 wait_counted(struct intx *intx)
{
	intx->expectation.irqs[intx->vcpu][VECTOR]++;
	intx->counted++;
	return irq_expectation_wait(&intx->expectation, IRQ_MS);
}

/* Whether VFIO has the device's INTx masked as it should; it does not mask what it loops back. */
static bool masked_is(struct intx *intx, bool masked)
{
	return intx->trigger != IRQ_TRIGGER_DEVICE ||
	       vfio_pci_intx_masked(intx->device.device) == masked;
}

/*
 * The devices are asked exactly once, and nobody needs the line any more. Until then VFIO keeps
 * INTx masked. Return: mistakes seen.
 */
static u32 wait_asked(struct intx *intx)
{
	u64 asked = 0;
	u32 mistakes = !masked_is(intx, true);

	wait_for((asked += take(intx->resamplefd)), IRQ_MS);
	if (asked != 1)
		test_report("the devices were asked %llu times, not once", (unsigned long long)asked);
	if (intx->trigger == IRQ_TRIGGER_DEVICE)
		mistakes += !!__vfio_pci_irq_unmask(intx->device.device, VFIO_PCI_INTX_IRQ_INDEX,
						    0);
	return mistakes + (asked != 1) + !masked_is(intx, false);
}

/* Nothing comes and nobody is asked, for a moment. Return: mistakes seen. */
static u32 settle(struct intx *intx)
{
	u32 mistakes = irq_expectation_settle(&intx->expectation);
	u64 asked = take(intx->resamplefd);

	if (asked)
		test_report("the devices were asked %llu times too often", (unsigned long long)asked);
	return mistakes + !!asked;
}

/* From the line up to the answer. Return: mistakes seen. */
static u32 raise_and_finish(struct intx *intx)
{
	raise_line(intx);
	return wait_counted(intx) + wait_asked(intx);
}

FIXTURE(intx) {
	struct intx intx;
};

FIXTURE_VARIANT(intx) {
	enum irq_trigger trigger;
};

FIXTURE_VARIANT_ADD(intx, by_eventfd) { .trigger = IRQ_TRIGGER_EVENTFD };
FIXTURE_VARIANT_ADD(intx, by_loopback) { .trigger = IRQ_TRIGGER_LOOPBACK };
FIXTURE_VARIANT_ADD(intx, by_device) { .trigger = IRQ_TRIGGER_DEVICE };

FIXTURE_SETUP(intx)
{
	self->intx.trigger = variant->trigger;
	SKIP_IF_MISSING(intx_open(&self->intx));
}

FIXTURE_TEARDOWN(intx)
{
	intx_close(&self->intx);
}

TEST_F(intx, every_one_is_counted_once_and_its_eoi_asks_the_device_once)
{
	struct intx *intx = &self->intx;

	for (u32 i = 0; i < NR_ROUNDS; i++) {
		set_pin(intx, i % NR_VCPUS, i / 2 % NR_VCPUS, 0);
		ASSERT_EQ(0, raise_and_finish(intx));
	}
	ASSERT_EQ(0, settle(intx));
}

TEST_F(intx, a_halted_vcpu_wakes_for_each)
{
	struct intx *intx = &self->intx;
	struct device_user_job job = { .vector = VECTOR, .halt = true };

	for (u32 i = 0; i < NR_ROUNDS; i++) {
		device_user_begin(intx->vm, 0, &job);
		ASSERT_TRUE(irq_vm_wait_blocked(intx->vm, 0, IRQ_MS));
		ASSERT_EQ(0, raise_and_finish(intx));
		ASSERT_TRUE(device_user_wait(intx->vm, 0, NULL, IRQ_MS));
	}
	ASSERT_EQ(0, settle(intx));
}

/* Raises the line and leaves vCPU 0 in service of it, which everybody waits for. */
static u32 raise_and_hold(struct intx *intx)
{
	u32 mistakes;

	irq_vm_hold(intx->vm, 0, VECTOR);
	raise_line(intx);
	mistakes = wait_counted(intx);
	return mistakes + settle(intx) + !masked_is(intx, true);
}

/* Lets the EOI go, and waits until it has been sent: then the vCPU finds time for a job. */
static void let_go(struct intx *intx, u32 vcpu)
{
	static const struct device_user_job nothing;

	irq_vm_hold(intx->vm, vcpu, 0);
	device_user_begin(intx->vm, vcpu, &nothing);
	VFIO_ASSERT_TRUE(device_user_wait(intx->vm, vcpu, NULL, IRQ_MS));
}

TEST_F(intx, what_is_raised_before_the_eoi_is_over_with_it)
{
	struct intx *intx = &self->intx;

	for (u32 i = 0; i < NR_ROUNDS; i++) {
		ASSERT_EQ(0, raise_and_hold(intx));
		if (intx->trigger == IRQ_TRIGGER_DEVICE) {
			ASSERT_EQ(-EBUSY,
				  __vfio_pci_driver_send_msi_vector(intx->device.device, 0));
		} else {
			raise_line(intx);
			wait_raised(intx);
		}
		ASSERT_EQ(0, settle(intx));
		let_go(intx, 0);
		ASSERT_EQ(0, wait_asked(intx));
	}
	ASSERT_EQ(0, settle(intx));
	ASSERT_EQ(0, raise_and_finish(intx));
}

/* The line may be down by then, as it is of a device that a guest's thread has served. */
TEST_F(intx, unmasking_the_pin_asks_the_device_before_anything_is_delivered)
{
	struct intx *intx = &self->intx;

	for (u32 i = 0; i < NR_ROUNDS; i++) {
		set_pin(intx, 1, 0, IOREDTBL_MASKED);
		raise_line(intx);
		ASSERT_TRUE(wait_for(pin_pending(intx), IRQ_MS));
		ASSERT_EQ(0, settle(intx));
		set_pin(intx, 1, 0, 0);
		ASSERT_EQ(0, wait_asked(intx));
		ASSERT_EQ(0, settle(intx));
		ASSERT_EQ(0, raise_and_finish(intx));
	}
}

/* Each time the line is raised it is either counted, or the unmask asks and it is raised again. */
TEST_F(intx, none_is_lost_or_doubled_while_the_pin_is_masked_and_unmasked)
{
	struct intx *intx = &self->intx;
	struct device_user_job job = pin_job(0, VECTOR | IOREDTBL_LEVEL);
	u32 met_a_mask = 0, raised = 0;

	job.accesses[0] = job.accesses[2];
	job.accesses[1] = (struct device_user_access){ IOAPIC_GPA + IOWIN, 1,
						       VECTOR | IOREDTBL_LEVEL | IOREDTBL_MASKED };
	job.repeat = NR_TOGGLES;
	for (; raised < NR_RACES; raised++) {
		u64 before = irq_vm_count(intx->vm, 0, VECTOR);

		if (device_user_wait(intx->vm, 1, NULL, 0))
			device_user_begin(intx->vm, 1, &job);
		raise_line(intx);
		ASSERT_EQ(0, wait_asked(intx));
		if (irq_vm_count(intx->vm, 0, VECTOR) == before)
			met_a_mask++;
		else
			ASSERT_EQ(0, wait_counted(intx));
	}
	ASSERT_TRUE(device_user_wait(intx->vm, 1, NULL, 10 * IRQ_MS));
	test_report("%u of %u met a masked pin", met_a_mask, raised);
	ASSERT_EQ(0, settle(intx));
	ASSERT_EQ(0, raise_and_finish(intx));
}

TEST_F(intx, its_eoi_is_noticed_after_the_pin_was_led_to_another_vcpu)
{
	struct intx *intx = &self->intx;

	for (u32 i = 0; i < NR_ROUNDS; i++) {
		set_pin(intx, 1, 0, 0);
		ASSERT_EQ(0, raise_and_hold(intx));
		set_pin(intx, 1, 1, 0);
		/* The same table again, which KVM may look through or not. */
		if (i % 2)
			gsi_routing_commit(&intx->vm->routing);
		ASSERT_EQ(0, settle(intx));
		let_go(intx, 0);
		ASSERT_EQ(0, wait_asked(intx));
		ASSERT_EQ(0, raise_and_finish(intx));
	}
	ASSERT_EQ(0, settle(intx));
}

TEST_F(intx, its_eoi_is_noticed_while_the_pin_is_masked)
{
	struct intx *intx = &self->intx;

	for (u32 i = 0; i < NR_ROUNDS; i++) {
		ASSERT_EQ(0, raise_and_hold(intx));
		set_pin(intx, 1, 0, IOREDTBL_MASKED);
		let_go(intx, 0);
		ASSERT_EQ(0, wait_asked(intx));
		set_pin(intx, 1, 0, 0);
		ASSERT_EQ(0, settle(intx));
		ASSERT_EQ(0, raise_and_finish(intx));
	}
}

TEST_F(intx, every_device_of_a_shared_line_is_asked_at_its_eoi)
{
	struct intx *intx = &self->intx;
	int other = eventfd(0, EFD_CLOEXEC);
	int other_resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_TRUE(other >= 0 && other_resample >= 0);
	irqfd_assign_resample(intx->vm->kvm, GSI, other, other_resample);
	for (u32 i = 0; i < NR_ROUNDS; i++) {
		u64 asked = 0;

		/* Both up at the same time are one interrupt. */
		ASSERT_EQ(0, raise_and_hold(intx));
		ASSERT_EQ(0, eventfd_write(other, 1));
		wait_raised(intx);
		ASSERT_EQ(0, settle(intx));
		let_go(intx, 0);
		ASSERT_EQ(0, wait_asked(intx));
		ASSERT_TRUE(wait_for((asked += take(other_resample)), IRQ_MS));
		ASSERT_EQ(1, asked);
		ASSERT_EQ(0, settle(intx));
	}
	irqfd_deassign(intx->vm->kvm, GSI, other);
	ASSERT_EQ(0, raise_and_finish(intx));
	deadline_settle_ms(1);
	ASSERT_EQ(0, take(other_resample));
	close(other);
	close(other_resample);
}

TEST_F(intx, an_irqfd_that_goes_before_the_eoi_takes_its_line_along)
{
	struct intx *intx = &self->intx;

	for (u32 i = 0; i < NR_ROUNDS; i++) {
		ASSERT_EQ(0, raise_and_hold(intx));
		irqfd_deassign(intx->vm->kvm, GSI, intx->eventfd);
		let_go(intx, 0);
		ASSERT_EQ(0, settle(intx));
		connect_irqfd(intx);
		if (intx->trigger == IRQ_TRIGGER_DEVICE) {
			ASSERT_EQ(0, __vfio_pci_irq_unmask(intx->device.device,
							   VFIO_PCI_INTX_IRQ_INDEX, 0));
		}
		ASSERT_EQ(0, settle(intx));
		ASSERT_EQ(0, raise_and_finish(intx));
	}
}

/* What only a device can do ******************************************************************/

FIXTURE(device) {
	struct intx intx;
};

FIXTURE_SETUP(device)
{
	self->intx.trigger = IRQ_TRIGGER_DEVICE;
	SKIP_IF_MISSING(intx_open(&self->intx));
}

FIXTURE_TEARDOWN(device)
{
	intx_close(&self->intx);
}

static int set_unmask_eventfd(struct intx *intx, int fd)
{
	return __vfio_pci_irq_set_eventfd(intx->device.device, VFIO_PCI_INTX_IRQ_INDEX, 0,
					  VFIO_IRQ_SET_ACTION_UNMASK, fd);
}

/*
 * Raised and counted, and unmasked by the EOI without user space. The driver wants to find INTx
 * masked before it lowers the line, so the EOI has to wait for that.
 */
static u32 raise_and_unmask(struct intx *intx)
{
	u32 mistakes;

	irq_vm_hold(intx->vm, intx->vcpu, VECTOR);
	raise_line(intx);
	mistakes = wait_counted(intx);
	let_go(intx, intx->vcpu);
	return mistakes + !wait_for(masked_is(intx, false), IRQ_MS);
}

TEST_F(device, the_eoi_unmasks_intx_by_the_eventfd_of_irqfd_and_vfio)
{
	struct intx *intx = &self->intx;

	ASSERT_EQ(0, set_unmask_eventfd(intx, intx->resamplefd));
	for (u32 i = 0; i < 2 * NR_ROUNDS; i++) {
		set_pin(intx, 1, i % NR_VCPUS, 0);
		ASSERT_EQ(0, raise_and_unmask(intx));
	}
	ASSERT_EQ(0, set_unmask_eventfd(intx, -1));
	ASSERT_EQ(0, settle(intx));
}

/* The guest's driver sets it in config space, which VFIO emulates. */
TEST_F(device, disintx_keeps_it_away_also_beyond_an_eoi)
{
	struct intx *intx = &self->intx;
	struct vfio_pci_device *device = intx->device.device;

	ASSERT_EQ(0, set_unmask_eventfd(intx, intx->resamplefd));
	for (u32 i = 0; i < NR_ROUNDS; i++) {
		ASSERT_EQ(0, raise_and_hold(intx));
		vfio_pci_cmd_set(device, PCI_COMMAND_INTX_DISABLE);
		let_go(intx, 0);
		vfio_pci_irq_trigger(device, VFIO_PCI_INTX_IRQ_INDEX, 0);
		ASSERT_EQ(0, irq_expectation_settle(&intx->expectation));
		ASSERT_TRUE(masked_is(intx, true));
		vfio_pci_cmd_clear(device, PCI_COMMAND_INTX_DISABLE);
		ASSERT_TRUE(wait_for(masked_is(intx, false), IRQ_MS));
		ASSERT_EQ(0, raise_and_unmask(intx));
	}
	ASSERT_EQ(0, set_unmask_eventfd(intx, -1));
}

/* Stops the driver, starts it with another type of interrupt, and leads that into the VM. */
static void switch_type(struct intx *intx, u32 index)
{
	struct vfio_pci_device *device = intx->device.device;
	u32 gsi = index == VFIO_PCI_INTX_IRQ_INDEX ? GSI : MSI_GSI;

	vfio_pci_driver_stop(device);
	device->driver.irq_index = index;
	vfio_pci_driver_start(device, intx->device.allocator);
	intx->eventfd = vfio_pci_irq_eventfd(device, index, device->driver.msi);
	if (gsi == GSI) {
		connect_irqfd(intx);
		return;
	}
	gsi_routing_set_msi(&intx->vm->routing, gsi, msi_message_fixed(intx->vcpu, VECTOR + 1));
	gsi_routing_commit(&intx->vm->routing);
	irqfd_assign(intx->vm->kvm, gsi, intx->eventfd);
}

/* A few of the type in use, the last INTx left masked. Return: mistakes seen. */
static u32 send_some(struct intx *intx)
{
	struct vfio_pci_device *device = intx->device.device;
	u32 mistakes = 0;

	if (device->driver.irq_index == VFIO_PCI_INTX_IRQ_INDEX) {
		mistakes = raise_and_finish(intx);
		raise_line(intx);
		mistakes += wait_counted(intx) + !wait_for(take(intx->resamplefd) == 1, IRQ_MS);
		irqfd_deassign(intx->vm->kvm, GSI, intx->eventfd);
		return mistakes + settle(intx);
	}

	for (u32 i = 0; i < 3 && !mistakes; i++) {
		intx->expectation.irqs[intx->vcpu][VECTOR + 1]++;
		vfio_pci_driver_send_msi(device);
		mistakes = irq_expectation_wait(&intx->expectation, IRQ_MS);
	}
	irqfd_deassign(intx->vm->kvm, MSI_GSI, intx->eventfd);
	return mistakes + settle(intx);
}

/* Of no mask or pending interrupt of one type is anything left in the next (899649b7d4ea). */
TEST_F(device, every_type_works_after_every_other)
{
	static const u32 types[] = {
		VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX,
		VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_INTX_IRQ_INDEX,
		VFIO_PCI_MSI_IRQ_INDEX,
	};
	struct intx *intx = &self->intx;

	ASSERT_EQ(0, send_some(intx));
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (!(intx->device.device->driver.irq_indexes & 1U << types[i]))
			continue;
		set_pin(intx, 0, i % NR_VCPUS, 0);
		switch_type(intx, types[i]);
		ASSERT_EQ(0, send_some(intx))
			TH_LOG("with %s", vfio_pci_irq_index_name(types[i]));
	}
}

TEST_PROGRAM(NEEDS_KVM | NEEDS_DEVICE,
	     "a level-triggered INTx is counted once each time, and its EOI asks the device once")
