// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts survive whatever comes and goes on their way, and reach nobody who has gone.
 *
 * An irqfd, a vector, a device and a VM are each taken away and brought back while interrupts
 * arrive. What is signalled meanwhile ends in the guest or in the eventfd, once, and never in the
 * guest after the call that took it off has returned; and what is left works on as if nothing had
 * been. Catches vectors that stay in IRQ bypass without an irqfd or a VM, interrupts lost or
 * doubled as one is assigned, two owners of one eventfd, and what is used after it was freed
 * (docs/bugs.md).
 *
 * Needs /dev/kvm and a device bound to vfio-pci that a driver of ours can make send MSIs.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/kernel.h>

#include <host/kvm_compat.h>
#include <libvfio/deadline.h>
#include <libvfio/iova_allocator.h>
#include <tests/harness.h>
#include <tests/irq_device.h>
#include <tests/irq_phase.h>

#define NR_VCPUS 2
#define NR_SIGNALS 4
#define NR_ROUNDS 3
/* How often something is taken away and brought back while interrupts arrive. */
#define NR_TOGGLES 32
/* Between two signals of a shooter that waits for none of them, in microseconds. */
#define SHOT_US 100
/* As long as nothing new has to come for a storm to be over. */
#define QUIET_MS 150
#define FIRST_GSI (GSI_ROUTING_FIRST_MSI + 8)

static const struct irq_phase fixed = { .name = "fixed, to one vCPU" };

FIXTURE(lifetime) {
	struct irq_device device;
	struct device_irqs irqs;
	struct irq_vm_config config;
	struct device_irq *irq;
	struct irq_line *line;
};

FIXTURE_VARIANT(lifetime) {
	enum irq_trigger trigger;
	enum irq_counter_wait wait;
};

#define LIFETIME_VARIANT(_name, _trigger, _wait)					\
FIXTURE_VARIANT_ADD(lifetime, _name) { .trigger = (_trigger), .wait = (_wait) }

LIFETIME_VARIANT(device_to_spinning_vcpus, IRQ_TRIGGER_DEVICE, IRQ_COUNTER_SPIN);
LIFETIME_VARIANT(device_to_halted_vcpus, IRQ_TRIGGER_DEVICE, IRQ_COUNTER_HALT);
LIFETIME_VARIANT(loopback_to_halted_vcpus, IRQ_TRIGGER_LOOPBACK, IRQ_COUNTER_HALT);
LIFETIME_VARIANT(eventfd_to_spinning_vcpus, IRQ_TRIGGER_EVENTFD, IRQ_COUNTER_SPIN);

/* Return: NULL, or why the case has to be skipped. */
static const char *set_up(FIXTURE_DATA(lifetime) *self, enum irq_trigger trigger,
			  enum irq_counter_wait wait)
{
	const char *missing = NULL;

	self->config = (struct irq_vm_config){ .nr_vcpus = NR_VCPUS, .wait = wait };
	self->irqs.trigger = trigger;
	if (trigger != IRQ_TRIGGER_EVENTFD)
		missing = irq_device_open(&self->device, test_iommu_mode());
	if (missing)
		return missing;

	self->irqs.device = self->device.device;
	device_irqs_connect(&self->irqs, &self->config, 1, FIRST_GSI);
	self->irq = &self->irqs.irqs[0];
	self->line = &self->irq->line;
	return NULL;
}

static void tear_down(FIXTURE_DATA(lifetime) *self)
{
	device_irqs_disconnect(&self->irqs);
	irq_device_close(&self->device);
}

FIXTURE_SETUP(lifetime)
{
	SKIP_IF_MISSING(set_up(self, variant->trigger, variant->wait));
}

FIXTURE_TEARDOWN(lifetime)
{
	tear_down(self);
}

/* Routes the line to one vCPU, and sees that its interrupts come as ever. Return: mistakes. */
static u32 send_fixed(struct device_irqs *irqs, u32 vcpu, u8 vector)
{
	irq_line_route(&irqs->irqs[0].line, vcpu, vector);
	return irq_phase_send_some(irqs, &fixed, NR_SIGNALS);
}

/* What an eventfd that nobody else consumes has counted, and from now on counts anew. */
static u64 take(int fd, u64 ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	eventfd_t count = 0;

	if (poll(&poll_fd, 1, deadline_scale_ms(ms)) == 1)
		VFIO_ASSERT_EQ(eventfd_read(fd, &count), 0);
	return count;
}

/* Signals that belong to the eventfd, for it has no irqfd. Return: mistakes seen. */
static u32 send_away(struct device_irqs *irqs)
{
	struct device_irq *irq = &irqs->irqs[0];
	u64 taken = 0;

	for (u32 i = 0; i < NR_SIGNALS; i++) {
		device_irqs_raise(irqs, irq);
		taken += take(irq->line.eventfd, IRQ_MS);
	}
	if (taken != NR_SIGNALS)
		test_report("the eventfd counted %llu of %u signals that no irqfd takes",
			    (unsigned long long)taken, NR_SIGNALS);
	return (taken != NR_SIGNALS) + (irqs->vm ? irq_expectation_settle(&irqs->expectation) : 0);
}

/*
 * Someone who signals the first line without a pause. If it is paced, every signal is waited for,
 * at the vCPU or, by whoever reads that, at the eventfd: none may merge with the one before.
 */
struct shooter {
	struct device_irqs *irqs;
	struct device_irq irq;
	u64 counted_before;
	atomic_ullong taken;
	atomic_ullong sent;
	bool paced;
	atomic_bool lost;
	atomic_bool stop;
	pthread_t thread;
};

static u64 shooter_counted(const struct shooter *shooter)
{
	const struct irq_line *line = &shooter->irq.line;

	return irq_vm_count(line->vm, line->vcpu, line->vector) - shooter->counted_before;
}

static void *shoot(void *arg)
{
	const struct timespec pause = { .tv_nsec = SHOT_US * 1000 };
	struct shooter *shooter = arg;

	while (!atomic_load(&shooter->stop) && !atomic_load(&shooter->lost)) {
		u64 sent = atomic_fetch_add(&shooter->sent, 1) + 1;

		/* A vector that is off and a device in reset take none. */
		__device_irqs_raise(shooter->irqs, &shooter->irq);
		if (shooter->paced)
			shooter->lost = !wait_for(shooter_counted(shooter) + shooter->taken >= sent,
						  IRQ_MS);
		else
			nanosleep(&pause, NULL);
	}
	return NULL;
}

static void shooter_start(struct shooter *shooter, struct device_irqs *irqs, bool paced)
{
	*shooter = (struct shooter){ .irqs = irqs, .irq = irqs->irqs[0], .paced = paced };
	if (irqs->vm)
		shooter->counted_before = irq_vm_count(irqs->vm, shooter->irq.line.vcpu,
						       shooter->irq.line.vector);
	VFIO_ASSERT_EQ(pthread_create(&shooter->thread, NULL, shoot, shooter), 0);
}

static void shooter_stop(struct shooter *shooter)
{
	atomic_store(&shooter->stop, true);
	VFIO_ASSERT_EQ(pthread_join(shooter->thread, NULL), 0);
}

/*
 * What a line has brought while nobody could say how many had to come, but no more than were sent.
 * Return: mistakes seen.
 */
static u32 settle_storm(struct device_irqs *irqs, u64 before, u64 sent)
{
	const struct irq_line *line = &irqs->irqs[0].line;
	u64 counted = 0, earlier;

	/*
	 * What is on its way takes its time on a slow machine, and may be on its way to a vCPU
	 * whose thread does not run. One that sleeps is left alone: nothing but its interrupt may
	 * wake it, or a wake-up that was lost would go unnoticed.
	 */
	do {
		earlier = counted;
		deadline_settle_ms(QUIET_MS);
		if (irqs->vm->config.wait == IRQ_COUNTER_SPIN)
			irq_vm_sync(irqs->vm);
		counted = irq_vm_count(irqs->vm, line->vcpu, line->vector) - before;
	} while (counted != earlier);
	irqs->expectation.irqs[line->vcpu][line->vector] = before + counted;
	if (counted > sent)
		test_report("%llu counted of %llu sent", (unsigned long long)counted,
			    (unsigned long long)sent);
	return (counted > sent) + irq_expectation_settle(&irqs->expectation);
}

static u32 stop_storm(struct shooter *shooter)
{
	shooter_stop(shooter);
	return settle_storm(shooter->irqs, shooter->counted_before, shooter->sent);
}

/* Takes the irqfd away for a while. Return: signals that the eventfd counted in the meantime. */
static void away(struct shooter *shooter, u32 round)
{
	struct irq_line *line = &shooter->irqs->irqs[0].line;
	u64 counted;

	irqfd_deassign(line->vm->kvm, line->gsi, line->eventfd);
	/* Now and then it comes back at once. */
	if (round % 4)
		shooter->taken += take(line->eventfd, IRQ_MS);
	irqfd_assign(line->vm->kvm, line->gsi, line->eventfd);

	counted = shooter_counted(shooter);
	if (round % 3)
		wait_for(shooter_counted(shooter) > counted, IRQ_MS);
}

/*
 * Each finds the irqfd or does not; what waits as it is assigned becomes an interrupt, too. What
 * comes at that very moment may become two: KVM listens to the eventfd before it looks whether
 * anything waits there.
 */
TEST_F(lifetime, each_signal_ends_once_in_guest_or_eventfd_while_the_irqfd_comes_and_goes)
{
	struct device_irqs *irqs = &self->irqs;
	struct shooter shooter;
	u64 counted, twice;

	ASSERT_EQ(0, send_fixed(irqs, 0, 0x51));
	shooter_start(&shooter, irqs, true);
	for (u32 round = 0; round < NR_TOGGLES && !atomic_load(&shooter.lost); round++)
		away(&shooter, round);
	shooter_stop(&shooter);

	deadline_settle_ms(50);
	counted = shooter_counted(&shooter);
	test_report("%llu sent while the irqfd came and went: %llu counted, %llu in the eventfd",
		    (unsigned long long)shooter.sent, (unsigned long long)counted,
		    (unsigned long long)shooter.taken);
	EXPECT_FALSE(shooter.lost);
	EXPECT_LT(0, shooter.taken);
	twice = counted + shooter.taken - shooter.sent;
	EXPECT_GE(NR_TOGGLES, twice);
	irqs->expectation.irqs[0][0x51] += counted;
	ASSERT_EQ(0, irq_expectation_settle(&irqs->expectation));
	ASSERT_EQ(0, send_fixed(irqs, 0, 0x51));
}

/* KVM must not update what it no longer owns (CVE-2026-23198). */
TEST_F(lifetime, without_its_irqfd_no_route_brings_a_signal_into_the_guest)
{
	struct device_irqs *irqs = &self->irqs;
	struct irq_line *line = self->line;

	for (u32 round = 0; round < NR_ROUNDS; round++) {
		ASSERT_EQ(0, send_fixed(irqs, 0, 0x61));
		irqfd_deassign(irqs->vm->kvm, line->gsi, line->eventfd);
		EXPECT_EQ(0, send_away(irqs));
		irq_line_route(line, 1, 0x62);
		EXPECT_EQ(0, send_away(irqs));
		irq_line_unroute(line);
		EXPECT_EQ(0, send_away(irqs));
		for (u32 vcpu = 0; vcpu < NR_VCPUS && variant->wait == IRQ_COUNTER_HALT; vcpu++)
			EXPECT_TRUE(irq_vm_is_blocked(irqs->vm, vcpu));
		irq_line_route(line, 1, 0x63);
		irqfd_assign(irqs->vm->kvm, line->gsi, line->eventfd);
		ASSERT_EQ(0, irq_phase_send_some(irqs, &fixed, NR_SIGNALS));
	}
}

TEST_F(lifetime, what_came_before_the_deassign_is_counted_though_its_vcpu_was_in_user_space)
{
	struct device_irqs *irqs = &self->irqs;
	struct irq_vm *vm = irqs->vm;

	ASSERT_EQ(0, send_fixed(irqs, 0, 0x71));
	irq_vm_pause(vm, 0);
	device_irqs_send(irqs, self->irq);
	ASSERT_TRUE(wait_for(irq_vm_irr(vm, 0, 0x71), IRQ_MS));
	irqfd_deassign(vm->kvm, self->line->gsi, self->line->eventfd);
	device_irqs_raise(irqs, self->irq);
	EXPECT_EQ(1, take(self->line->eventfd, IRQ_MS));
	EXPECT_EQ(irqs->expectation.irqs[0][0x71], irq_vm_count(vm, 0, 0x71) + 1);

	irq_vm_resume(vm, 0);
	EXPECT_EQ(0, irq_expectation_wait(&irqs->expectation, IRQ_MS));
	EXPECT_EQ(0, irq_expectation_settle(&irqs->expectation));
	irqfd_assign(vm->kvm, self->line->gsi, self->line->eventfd);
	ASSERT_EQ(0, send_fixed(irqs, 0, 0x71));
}

/* The VM goes as that of a process that dies: irqfds, routes and all. */
static void bury(struct device_irqs *irqs)
{
	irq_expectation_cleanup(&irqs->expectation);
	irq_vm_destroy(irqs->vm);
	irqs->vm = NULL;
}

static void raise_again(struct device_irqs *irqs, const struct irq_vm_config *config)
{
	struct irq_line *line = &irqs->irqs[0].line;

	irqs->vm = irq_vm_create(config);
	irqs->expectation = irq_expectation_init(irqs->vm);
	irq_line_connect(line, irqs->vm, line->eventfd, line->gsi);
}

/* An entry that stays posted would go on writing into memory that is somebody else's by then. */
TEST_F(lifetime, after_a_vm_died_under_fire_its_vector_is_free_for_the_next_one)
{
	struct device_irqs *irqs = &self->irqs;
	struct shooter shooter;

	for (u32 round = 0; round < NR_ROUNDS; round++) {
		ASSERT_EQ(0, send_fixed(irqs, round % NR_VCPUS, 0x81 + round));
		shooter_start(&shooter, irqs, false);
		EXPECT_TRUE(wait_for(shooter_counted(&shooter), IRQ_MS));
		bury(irqs);
		EXPECT_LT(0, take(self->line->eventfd, IRQ_MS));
		shooter_stop(&shooter);
		deadline_settle_ms(20);
		take(self->line->eventfd, 0);
		EXPECT_EQ(0, send_away(irqs));

		shooter_start(&shooter, irqs, false);
		raise_again(irqs, &self->config);
		irq_line_route(self->line, 0, 0x88);
		EXPECT_TRUE(wait_for(irq_vm_count(irqs->vm, 0, 0x88), IRQ_MS));
		ASSERT_EQ(0, stop_storm(&shooter));
	}
	ASSERT_EQ(0, send_fixed(irqs, 0, 0x81));
}

static bool kernel_is_before(unsigned int major, unsigned int minor)
{
	unsigned long our_major, our_minor;
	struct utsname name;
	char *end;

	VFIO_ASSERT_EQ(uname(&name), 0);
	our_major = strtoul(name.release, &end, 10);
	our_minor = strtoul(end + 1, NULL, 10);
	return our_major < major || (our_major == major && our_minor < minor);
}

TEST_F(lifetime, an_eventfd_that_has_an_irqfd_gets_no_second_one)
{
	struct device_irqs *irqs = &self->irqs;
	int fd = self->line->eventfd;
	struct irq_vm *other;
	int ret;

	ASSERT_EQ(0, send_fixed(irqs, 0, 0x91));
	EXPECT_EQ(-EBUSY, __irqfd_assign(irqs->vm->kvm, self->line->gsi, fd));
	EXPECT_EQ(-EBUSY, __irqfd_assign(irqs->vm->kvm, self->line->gsi + 1, fd));
	ASSERT_EQ(0, send_fixed(irqs, 1, 0x92));

	other = irq_vm_create(&(struct irq_vm_config){ .nr_vcpus = 1 });
	ret = __irqfd_assign(other->kvm, self->line->gsi, fd);
	irq_vm_destroy(other);
	ASSERT_EQ(0, send_fixed(irqs, 0, 0x93));
	if (!ret && kernel_is_before(6, 17))
		XFAIL(return, "before Linux 6.17 an eventfd could have an irqfd in each of two VMs");
	ASSERT_EQ(-EBUSY, ret);
}

/* What takes a vector of VFIO's. */
FIXTURE(vector) {
	FIXTURE_DATA(lifetime) lifetime;
	struct device_irqs *irqs;
	struct vfio_pci_device *device;
	u32 index;
};

FIXTURE_VARIANT(vector) {
	enum irq_trigger trigger;
	enum irq_counter_wait wait;
};

#define VECTOR_VARIANT(_name, _trigger, _wait)						\
FIXTURE_VARIANT_ADD(vector, _name) { .trigger = (_trigger), .wait = (_wait) }

VECTOR_VARIANT(device_to_spinning_vcpus, IRQ_TRIGGER_DEVICE, IRQ_COUNTER_SPIN);
VECTOR_VARIANT(device_to_halted_vcpus, IRQ_TRIGGER_DEVICE, IRQ_COUNTER_HALT);
VECTOR_VARIANT(loopback_to_halted_vcpus, IRQ_TRIGGER_LOOPBACK, IRQ_COUNTER_HALT);

FIXTURE_SETUP(vector)
{
	SKIP_IF_MISSING(set_up(&self->lifetime, variant->trigger, variant->wait));
	self->irqs = &self->lifetime.irqs;
	self->device = self->irqs->device;
	self->index = self->device->driver.irq_index;
}

FIXTURE_TEARDOWN(vector)
{
	tear_down(&self->lifetime);
}

/* Gives a vector an eventfd, or none by -1; what the library knows of it stays. */
static void set_eventfd(FIXTURE_DATA(vector) *self, u32 vector, int eventfd)
{
	VFIO_ASSERT_EQ(__vfio_pci_irq_set_eventfd(self->device, self->index, vector,
						  VFIO_IRQ_SET_ACTION_TRIGGER, eventfd), 0);
}

/* Frees all vectors of the index, as a guest does that disables MSI-X. */
static void disable_index(FIXTURE_DATA(vector) *self)
{
	VFIO_ASSERT_EQ(__vfio_pci_irq_set_eventfds(self->device, self->index, 0, 0,
						   VFIO_IRQ_SET_ACTION_TRIGGER, NULL), 0);
}

static void toggle_vector(FIXTURE_DATA(vector) *self, bool whole_index)
{
	u32 vector = self->lifetime.irq->device_vector;

	if (whole_index)
		disable_index(self);
	else
		set_eventfd(self, vector, -1);
	usleep(test_random(0, 2 * SHOT_US));
	set_eventfd(self, vector, self->lifetime.line->eventfd);
}

/* VFIO is done with IRQ bypass before it frees the interrupt, and with that before all else. */
TEST_F(vector, a_vector_disabled_and_enabled_under_fire_gives_no_more_than_was_sent)
{
	struct shooter shooter;

	for (u32 whole_index = 0; whole_index < 2; whole_index++) {
		ASSERT_EQ(0, send_fixed(self->irqs, whole_index, 0xa1));
		shooter_start(&shooter, self->irqs, false);
		for (u32 round = 0; round < NR_TOGGLES; round++) {
			u64 counted = shooter_counted(&shooter);

			toggle_vector(self, whole_index);
			if (round % 4) {
				EXPECT_TRUE(wait_for(shooter_counted(&shooter) > counted, IRQ_MS));
			}
		}
		ASSERT_EQ(0, stop_storm(&shooter));
		test_report("%llu sent while %s was disabled %u times, %llu counted",
			    (unsigned long long)shooter.sent,
			    whole_index ? "the index" : "the vector", NR_TOGGLES,
			    (unsigned long long)shooter_counted(&shooter));
		ASSERT_EQ(0, send_fixed(self->irqs, whole_index, 0xa1));
	}
}

/* The device forgets all, VFIO nothing; and its driver can start it again. */
TEST_F(vector, a_reset_under_fire_keeps_the_vector_and_lets_the_device_start_again)
{
	struct irq_line *line = self->lifetime.line;
	struct irq_vm *vm = self->irqs->vm;
	struct shooter shooter;

	if (!(self->device->info.flags & VFIO_DEVICE_FLAGS_RESET))
		SKIP(return, "the device cannot be reset");

	ASSERT_EQ(0, send_fixed(self->irqs, 0, 0xb1));
	shooter_start(&shooter, self->irqs, false);
	EXPECT_TRUE(wait_for(shooter_counted(&shooter), IRQ_MS));
	vfio_pci_device_reset(self->device);
	ASSERT_EQ(0, stop_storm(&shooter));

	for (u32 i = 0; i < NR_SIGNALS; i++) {
		irq_line_expect(line, &self->irqs->expectation);
		vfio_pci_irq_trigger(self->device, self->index, self->lifetime.irq->device_vector);
		ASSERT_EQ(0, irq_expectation_wait(&self->irqs->expectation, IRQ_MS));
	}

	irqfd_deassign(vm->kvm, line->gsi, line->eventfd);
	vfio_pci_driver_remove(self->device);
	vfio_pci_driver_init(self->device);
	irq_line_connect(line, vm, vfio_pci_irq_eventfd(self->device, self->index,
							self->lifetime.irq->device_vector),
			 line->gsi);
	ASSERT_EQ(0, send_fixed(self->irqs, 1, 0xb2));
}

/* Signals by a vector of the device that leads to the first line, too. Return: mistakes seen. */
static u32 send_by(FIXTURE_DATA(vector) *self, u32 vector)
{
	struct device_irq irq = *self->lifetime.irq;

	irq.device_vector = vector;
	for (u32 i = 0; i < NR_SIGNALS; i++) {
		irq_phase_wait_idle(self->irqs);
		device_irqs_send(self->irqs, &irq);
		if (irq_expectation_wait(&self->irqs->expectation, IRQ_MS))
			return 1;
	}
	return irq_expectation_settle(&self->irqs->expectation);
}

/* IRQ bypass connects but one of them; neither may take the other's place when it goes. */
TEST_F(vector, two_vectors_on_one_eventfd_raise_its_irqfd_each_whichever_goes_first)
{
	u32 first = self->lifetime.irq->device_vector, second = first + 1;
	int fd = self->lifetime.line->eventfd;

	if (self->device->driver.nr_msi < 2)
		SKIP(return, "the device has no second vector");

	ASSERT_EQ(0, send_fixed(self->irqs, 0, 0xc1));
	set_eventfd(self, second, fd);
	EXPECT_EQ(0, send_by(self, second));
	EXPECT_EQ(0, send_by(self, first));
	set_eventfd(self, first, -1);
	EXPECT_EQ(0, send_by(self, second));
	set_eventfd(self, first, fd);
	EXPECT_EQ(0, send_by(self, second));
	EXPECT_EQ(0, send_by(self, first));
	set_eventfd(self, second, -1);
	ASSERT_EQ(0, send_fixed(self->irqs, 1, 0xc2));
	set_eventfd(self, second, vfio_pci_irq_eventfd(self->device, self->index, second));
}

/*
 * The descriptors of device, IOMMU and VM are closed as by a process that dies: no driver's
 * farewell, no irqfd deassigned.
 */
FIXTURE(closing) {
	FIXTURE_DATA(lifetime) lifetime;
	struct device_irqs *irqs;
};

FIXTURE_VARIANT(closing) {
	const char *order;
};

FIXTURE_VARIANT_ADD(closing, device_iommu_vm) { .order = "div" };
FIXTURE_VARIANT_ADD(closing, device_vm_iommu) { .order = "dvi" };
FIXTURE_VARIANT_ADD(closing, iommu_device_vm) { .order = "idv" };
FIXTURE_VARIANT_ADD(closing, iommu_vm_device) { .order = "ivd" };
FIXTURE_VARIANT_ADD(closing, vm_device_iommu) { .order = "vdi" };
FIXTURE_VARIANT_ADD(closing, vm_iommu_device) { .order = "vid" };

FIXTURE_SETUP(closing)
{
	SKIP_IF_MISSING(set_up(&self->lifetime, IRQ_TRIGGER_DEVICE, IRQ_COUNTER_HALT));
	self->irqs = &self->lifetime.irqs;
}

/* What a case that failed has left open is closed as the process ends. */
FIXTURE_TEARDOWN(closing)
{
}

/* With an MSI in flight. The eventfd stays, to signal the irqfd without a device. */
static void close_device(FIXTURE_DATA(closing) *self)
{
	struct vfio_pci_device *device = self->irqs->device;
	struct irq_line *line = self->lifetime.line;
	int kept = dup(line->eventfd);

	VFIO_ASSERT_GE(kept, 0);
	device_irqs_raise(self->irqs, self->lifetime.irq);
	device->driver.initialized = false;
	device->driver.region.vaddr = NULL;
	vfio_pci_device_cleanup(device);

	self->irqs->device = NULL;
	self->irqs->trigger = IRQ_TRIGGER_EVENTFD;
	line->eventfd = kept;
}

/* Whoever is attached keeps it alive, and its mappings. */
static void close_iommu(FIXTURE_DATA(closing) *self)
{
	struct iommu *iommu = self->lifetime.device.iommu;
	int *fd = iommu->iommufd >= 0 ? &iommu->iommufd : &iommu->container_fd;

	VFIO_ASSERT_EQ(close(*fd), 0);
	*fd = -1;
}

static void close_one(FIXTURE_DATA(closing) *self, char what)
{
	switch (what) {
	case 'd':
		close_device(self);
		break;
	case 'i':
		close_iommu(self);
		break;
	case 'v':
		bury(self->irqs);
		break;
	}
}

/* Closes one while the device, as long as there is one, fires. Return: mistakes seen. */
static u32 close_under_fire(FIXTURE_DATA(closing) *self, char what)
{
	const struct irq_line *line = self->lifetime.line;
	u64 before = self->irqs->vm ? irq_vm_count(self->irqs->vm, line->vcpu, line->vector) : 0;
	struct shooter shooter = { .sent = 1 };
	bool fire = what != 'd' && self->irqs->device;

	if (fire) {
		shooter_start(&shooter, self->irqs, false);
		usleep(10 * SHOT_US);
	}
	close_one(self, what);
	if (fire)
		shooter_stop(&shooter);
	if (self->irqs->vm)
		return settle_storm(self->irqs, before, shooter.sent);

	deadline_settle_ms(20);
	take(line->eventfd, 0);
	return 0;
}

static u32 use_what_is_left(struct device_irqs *irqs)
{
	return irqs->vm ? irq_phase_send_some(irqs, &fixed, NR_SIGNALS) : send_away(irqs);
}

TEST_F(closing, what_is_not_yet_closed_works_on)
{
	struct device_irqs *irqs = self->irqs;

	ASSERT_EQ(0, send_fixed(irqs, 0, 0xd1));
	for (const char *what = variant->order; *what; what++) {
		ASSERT_EQ(0, close_under_fire(self, *what));
		if (irqs->vm || irqs->device)
			ASSERT_EQ(0, use_what_is_left(irqs));
	}
}

/* A process with device and VM that is killed as it takes interrupts. */
FIXTURE(killed) {
	FIXTURE_DATA(lifetime) lifetime;
};

FIXTURE_VARIANT(killed) {
	bool vm_first;
};

FIXTURE_VARIANT_ADD(killed, device_goes_first) {};
FIXTURE_VARIANT_ADD(killed, vm_goes_first) { .vm_first = true };

FIXTURE_SETUP(killed)
{
}

FIXTURE_TEARDOWN(killed)
{
	tear_down(&self->lifetime);
}

/* A process that ends closes the lowest descriptor first: @low was free before all others. */
static void move_down(struct irq_vm *vm, int low)
{
	VFIO_ASSERT_EQ(dup2(vm->kvm->fd, low), low);
	VFIO_ASSERT_EQ(close(vm->kvm->fd), 0);
	vm->kvm->fd = low;
}

static void __attribute__((noreturn)) fire_until_killed(bool vm_first, int ready)
{
	FIXTURE_DATA(lifetime) self = {};
	int low = dup(ready);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (set_up(&self, IRQ_TRIGGER_DEVICE, IRQ_COUNTER_HALT))
		_exit(0);
	if (vm_first)
		move_down(self.irqs.vm, low);
	if (send_fixed(&self.irqs, 0, 0xe1) || write(ready, "", 1) != 1)
		_exit(1);
	for (;;) {
		device_irqs_raise(&self.irqs, self.irq);
		usleep(SHOT_US);
	}
}

/* Return: whether the process came as far as to fire. */
static bool kill_under_fire(bool vm_first)
{
	struct pollfd ready = { .events = POLLIN };
	int fds[2], status;
	pid_t pid;
	char c;

	VFIO_ASSERT_EQ(pipe(fds), 0);
	pid = fork();
	VFIO_ASSERT_GE(pid, 0);
	if (!pid) {
		close(fds[0]);
		fire_until_killed(vm_first, fds[1]);
	}
	close(fds[1]);
	ready.fd = fds[0];
	poll(&ready, 1, deadline_scale_ms(10000));
	usleep(20 * SHOT_US);
	kill(pid, SIGKILL);
	VFIO_ASSERT_EQ(waitpid(pid, &status, 0), pid);
	return read(fds[0], &c, 1) == 1 && WIFSIGNALED(status);
}

TEST_F(killed, a_process_killed_under_fire_leaves_a_device_that_works)
{
	bool fired = kill_under_fire(variant->vm_first);

	SKIP_IF_MISSING(set_up(&self->lifetime, IRQ_TRIGGER_DEVICE, IRQ_COUNTER_HALT));
	ASSERT_TRUE(fired);
	ASSERT_EQ(0, send_fixed(&self->lifetime.irqs, 1, 0xe2));
}

/* As many irqfds as there can be, and one of the device's. */
#define MAX_IRQFDS 4096
/* Signalled before any is waited for: each to a vCPU and vector of its own. */
#define BATCH 64

FIXTURE(crowd) {
	FIXTURE_DATA(lifetime) lifetime;
	struct irq_line *lines;
	u32 nr_lines;
};

FIXTURE_SETUP(crowd)
{
	SKIP_IF_MISSING(set_up(&self->lifetime, IRQ_TRIGGER_DEVICE, IRQ_COUNTER_SPIN));
	self->lines = calloc(MAX_IRQFDS, sizeof(self->lines[0]));
	ASSERT_NE(NULL, self->lines);
}

FIXTURE_TEARDOWN(crowd)
{
	free(self->lines);
	tear_down(&self->lifetime);
}

/* Open files that this process may have beyond those it has, up to MAX_IRQFDS. */
static u32 allow_files(void)
{
	struct rlimit limit, wanted = { 2 * MAX_IRQFDS, 2 * MAX_IRQFDS };

	VFIO_ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max > wanted.rlim_max)
		wanted.rlim_max = limit.rlim_max;
	if (!setrlimit(RLIMIT_NOFILE, &wanted))
		return MAX_IRQFDS;

	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return min_t(u64, MAX_IRQFDS, limit.rlim_cur / 2);
}

static double elapsed_us(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1e6 + (now.tv_nsec - since->tv_nsec) / 1e3;
}

/*
 * Makes @nr irqfds of it, each with its eventfd, route and GSI; these are fewer and come again,
 * from the start of a batch on: within one, no vCPU has a vector twice, which could rightly be one.
 */
static void crowd_grow(FIXTURE_DATA(crowd) *self, u32 nr)
{
	struct irq_vm *vm = self->lifetime.irqs.vm;
	u32 nr_gsis = round_down(vm->routing.capacity - FIRST_GSI - 1, BATCH);
	u32 nr_vectors = IRQ_COUNTER_NR_VECTORS - IRQ_COUNTER_FIRST_VECTOR;
	u32 before = self->nr_lines;
	struct timespec since;

	for (u32 i = before; i < nr; i++) {
		self->lines[i] = (struct irq_line){
			.vm = vm,
			.eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			.gsi = FIRST_GSI + 1 + i % nr_gsis,
			.vcpu = i % nr_gsis % NR_VCPUS,
			.vector = IRQ_COUNTER_FIRST_VECTOR + i % nr_gsis / NR_VCPUS % nr_vectors,
		};
		VFIO_ASSERT_GE(self->lines[i].eventfd, 0);
		gsi_routing_set_msi(&vm->routing, self->lines[i].gsi,
				    msi_message_fixed(self->lines[i].vcpu, self->lines[i].vector));
	}
	gsi_routing_commit(&vm->routing);

	clock_gettime(CLOCK_MONOTONIC, &since);
	for (; self->nr_lines < nr; self->nr_lines++)
		irqfd_assign(vm->kvm, self->lines[self->nr_lines].gsi,
			     self->lines[self->nr_lines].eventfd);
	test_report("%u to %u irqfds: %.1f us per assign", before, nr,
		    elapsed_us(&since) / (nr - before));
}

/* Deassigns @nr of them; the rest goes with the VM. */
static void crowd_shrink(FIXTURE_DATA(crowd) *self, u32 nr)
{
	u32 left = self->nr_lines - nr;
	struct timespec since;

	clock_gettime(CLOCK_MONOTONIC, &since);
	for (u32 i = left; i < self->nr_lines; i++)
		irqfd_deassign(self->lifetime.irqs.vm->kvm, self->lines[i].gsi,
			       self->lines[i].eventfd);
	test_report("%u to %u irqfds: %.1f us per deassign", self->nr_lines, left,
		    elapsed_us(&since) / nr);
	for (u32 i = left; i < self->nr_lines; i++)
		close(self->lines[i].eventfd);
	self->nr_lines = left;
}

/* Signals each of them once. Return: mistakes seen. */
static u32 crowd_signal(FIXTURE_DATA(crowd) *self)
{
	struct irq_expectation *expectation = &self->lifetime.irqs.expectation;
	u32 differences = 0;

	for (u32 i = 0; i < self->nr_lines && !differences; i++) {
		irq_line_expect(&self->lines[i], expectation);
		VFIO_ASSERT_EQ(eventfd_write(self->lines[i].eventfd, 1), 0);
		if (i % BATCH == BATCH - 1 || i + 1 == self->nr_lines)
			differences = irq_expectation_wait(expectation, IRQ_MS);
	}
	return differences ?: irq_expectation_settle(expectation);
}

/* Time is told, not judged: it grew with the number before IRQ bypass looked them up by key. */
TEST_F(crowd, each_of_as_many_irqfds_as_there_can_be_raises_its_own_interrupt)
{
	static const u32 steps[] = { 1, 16, 256, 1024, MAX_IRQFDS };
	struct irq_line *line = self->lifetime.line;
	u32 max = allow_files();

	for (size_t i = 0; i < ARRAY_SIZE(steps) && self->nr_lines < max; i++)
		crowd_grow(self, min(steps[i], max));
	if (max < MAX_IRQFDS)
		test_report("%u irqfds are all that the limit of open files allows", max);
	ASSERT_EQ(0, crowd_signal(self));

	/* The device's own, assigned last. */
	irqfd_deassign(line->vm->kvm, line->gsi, line->eventfd);
	irqfd_assign(line->vm->kvm, line->gsi, line->eventfd);
	ASSERT_EQ(0, send_fixed(&self->lifetime.irqs, 0, 0xf1));
	crowd_shrink(self, min(BATCH, self->nr_lines));
	ASSERT_EQ(0, send_fixed(&self->lifetime.irqs, 1, 0xf2));
}

TEST_PROGRAM(NEEDS_KVM | NEEDS_DEVICE,
	     "irqfds, vectors, devices and VMs come and go under fire, and nothing is lost or doubled")
