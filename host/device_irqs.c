// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/kernel.h>

#include <host/device_irqs.h>
#include <host/irq_diagnosis.h>
#include <host/kvm_compat.h>
#include <libvfio/deadline.h>

static void connect_line(struct device_irqs *irqs, struct device_irq *irq, u32 gsi)
{
	int fd;

	if (irqs->trigger == IRQ_TRIGGER_EVENTFD)
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	else
		fd = vfio_pci_irq_eventfd(irqs->device, irqs->device->driver.irq_index,
					  irq->device_vector);
	VFIO_ASSERT_LE(0, fd);
	irq_line_connect(&irq->line, irqs->vm, fd, gsi);
}

void device_irqs_connect(struct device_irqs *irqs, const struct irq_vm_config *config,
			 u32 max_irqs, u32 first_gsi)
{
	u32 first_vector = 0;

	irqs->vm = irq_vm_create(config);
	irqs->expectation = irq_expectation_init(irqs->vm);
	irqs->nr_irqs = max_irqs;
	if (irqs->trigger != IRQ_TRIGGER_EVENTFD) {
		first_vector = irqs->device->driver.msi;
		irqs->nr_irqs = min(max_irqs, irqs->device->driver.nr_msi);
	}
	for (u32 i = 0; i < irqs->nr_irqs; i++) {
		irqs->irqs[i].device_vector = first_vector + i;
		connect_line(irqs, &irqs->irqs[i], first_gsi + i);
	}

	device_irqs_begin(irqs);
}

void device_irqs_disconnect(struct device_irqs *irqs)
{
	for (u32 i = 0; i < irqs->nr_irqs; i++) {
		irq_line_disconnect(&irqs->irqs[i].line);
		if (irqs->trigger == IRQ_TRIGGER_EVENTFD)
			close(irqs->irqs[i].line.eventfd);
	}
	irqs->nr_irqs = 0;

	if (irqs->vm) {
		irq_expectation_cleanup(&irqs->expectation);
		irq_vm_destroy(irqs->vm);
	}
	irqs->vm = NULL;
}

void device_irqs_begin(struct device_irqs *irqs)
{
	for (u32 i = 0; i < irqs->nr_irqs; i++) {
		struct device_irq *irq = &irqs->irqs[i];

		irq->sent = 0;
		if (irqs->trigger != IRQ_TRIGGER_EVENTFD)
			irq->probe = delivery_probe_begin(irqs->device->bdf,
							  irqs->device->driver.irq_index,
							  irq->device_vector);
	}
	irqs->wakeups_at_begin = delivery_wakeups();
	device_irqs_mark(irqs);
}

void device_irqs_mark(struct device_irqs *irqs)
{
	for (u32 i = 0; i < irqs->nr_irqs; i++)
		irqs->irqs[i].sent_before = irqs->irqs[i].sent;
	/* It takes a moment, and vCPUs that spin are not woken. */
	if (irqs->vm->config.wait == IRQ_COUNTER_HALT)
		irqs->wakeups_before = delivery_wakeups();
}

int __device_irqs_raise(struct device_irqs *irqs, struct device_irq *irq)
{
	irq->sent++;
	switch (irqs->trigger) {
	case IRQ_TRIGGER_DEVICE:
		return __vfio_pci_driver_send_msi_vector(irqs->device, irq->device_vector);
	case IRQ_TRIGGER_LOOPBACK:
		return __vfio_pci_irq_trigger(irqs->device, irq->probe.index, irq->device_vector);
	default:
		return eventfd_write(irq->line.eventfd, 1) ? -errno : 0;
	}
}

void device_irqs_raise(struct device_irqs *irqs, struct device_irq *irq)
{
	int ret = __device_irqs_raise(irqs, irq);

	VFIO_ASSERT_EQ(ret, 0, "cannot signal vector %u: %s", irq->device_vector, strerror(-ret));
}

void device_irqs_send(struct device_irqs *irqs, struct device_irq *irq)
{
	irq_line_expect(&irq->line, &irqs->expectation);
	device_irqs_raise(irqs, irq);
}

static u64 host_irqs(const struct device_irqs *irqs, const struct device_irq *irq)
{
	return irqs->trigger == IRQ_TRIGGER_EVENTFD ? 0 : delivery_probe_host_irqs(&irq->probe);
}

static const struct device_irq *find_missing(const struct device_irqs *irqs)
{
	for (u32 i = 0; i < irqs->nr_irqs; i++) {
		const struct irq_line *line = &irqs->irqs[i].line;

		if (irq_vm_count(irqs->vm, line->vcpu, line->vector) <
		    irqs->expectation.irqs[line->vcpu][line->vector])
			return &irqs->irqs[i];
	}

	return NULL;
}

bool device_irqs_diagnose(struct device_irqs *irqs, enum delivery_path path, char *text,
			  size_t size)
{
	const struct device_irq *irq = find_missing(irqs);
	struct irq_witness witness = { .posted = path == DELIVERY_POSTED };

	if (!irq)
		return false;

	witness.host_irqs = host_irqs(irqs, irq);
	/* Of those before, each was counted, by the path it should have come. */
	if (irqs->trigger != IRQ_TRIGGER_DEVICE)
		witness.host_irqs = irq->sent - irq->sent_before;
	else if (!witness.posted)
		witness.host_irqs -= irq->sent_before;
	witness.wakeups = delivery_wakeups() - irqs->wakeups_before;
	/* Before the vCPU is woken to be paused. */
	witness.blocked = irq_vm_is_blocked(irqs->vm, irq->line.vcpu);
	witness.pending = irq_vm_irr(irqs->vm, irq->line.vcpu, irq->line.vector);
	snprintf(text, size, "vCPU %u, vector %#x: %s", irq->line.vcpu, irq->line.vector,
		 irq_diagnose(&witness));
	return true;
}

/* A signal of VFIO or of this process leaves the host's interrupt alone. */
static enum delivery_path path_of(const struct device_irqs *irqs, u64 sent, u64 taken)
{
	if (irqs->trigger == IRQ_TRIGGER_DEVICE)
		return delivery_classify(sent, taken, delivery_expected() == DELIVERY_POSTED);
	return taken ? DELIVERY_IMPOSSIBLE : DELIVERY_EVENTFD;
}

struct device_irqs_account device_irqs_account(const struct device_irqs *irqs)
{
	struct device_irqs_account account = { .path = DELIVERY_IMPOSSIBLE };

	for (u32 i = 0; i < irqs->nr_irqs; i++) {
		const struct device_irq *irq = &irqs->irqs[i];
		u64 taken = host_irqs(irqs, irq);
		enum delivery_path path = path_of(irqs, irq->sent, taken);

		if (!irq->sent)
			continue;

		account.path = account.vectors ? delivery_combine(account.path, path) : path;
		account.vectors++;
		account.sent += irq->sent;
		account.host_irqs += taken;
	}

	account.wakeups = delivery_wakeups() - irqs->wakeups_at_begin;
	return account;
}

bool device_irqs_host_took(const struct device_irq *irq, u64 nr, u64 ms)
{
	if (wait_for(delivery_probe_host_irqs(&irq->probe) == nr, ms))
		return true;

	return delivery_classify(nr, delivery_probe_host_irqs(&irq->probe),
				 delivery_expected() == DELIVERY_POSTED) == DELIVERY_REMAPPED;
}

u64 device_irqs_witness(const struct device_irqs *irqs)
{
	struct vfio_pci_device *device = irqs->device;
	u64 sent = 0;

	for (u32 i = 0; i < irqs->nr_irqs; i++)
		sent += device->driver.ops->msis_sent(device, irqs->irqs[i].device_vector);
	return sent;
}

enum delivery_path device_irqs_path(const struct device_irqs *irqs)
{
	return irqs->trigger == IRQ_TRIGGER_DEVICE ? delivery_expected() : DELIVERY_EVENTFD;
}
