/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupts led into a VM, and the account of how they came: MSIs of a device, or what signals
 * their eventfds without one.
 */
#ifndef HOST_DEVICE_IRQS_H
#define HOST_DEVICE_IRQS_H

#include <host/delivery_path.h>
#include <host/irq_line.h>
#include <libvfio/vfio_pci_device.h>

#define DEVICE_IRQS_MAX 32

/* Who signals. */
enum irq_trigger {
	IRQ_TRIGGER_DEVICE,	/* the device sends an MSI */
	IRQ_TRIGGER_LOOPBACK,	/* VFIO does as if (VFIO_IRQ_SET_ACTION_TRIGGER) */
	IRQ_TRIGGER_EVENTFD,	/* this process, and no device is involved */
};

/**
 * struct device_irq - One vector of the device, and what it leads to.
 * @line: into the VM
 * @device_vector: vector of the driver's irq index
 * @sent: MSIs since device_irqs_begin()
 * @sent_before: of these, before device_irqs_mark()
 * @probe: the host's count since device_irqs_begin()
 */
struct device_irq {
	struct irq_line line;
	u32 device_vector;
	u64 sent;
	u64 sent_before;
	struct delivery_probe probe;
};

/**
 * struct device_irqs - A device whose vectors lead into a VM.
 * @trigger: who signals
 * @device: started by its driver; NULL with IRQ_TRIGGER_EVENTFD
 * @vm: made by device_irqs_connect()
 * @expectation: what its guest must have counted
 * @irqs: the vectors
 * @nr_irqs: how many of them
 * @wakeups_at_begin: delivery_wakeups() at device_irqs_begin()
 * @wakeups_before: delivery_wakeups() at device_irqs_mark()
 */
struct device_irqs {
	enum irq_trigger trigger;
	struct vfio_pci_device *device;
	struct irq_vm *vm;
	struct irq_expectation expectation;
	struct device_irq irqs[DEVICE_IRQS_MAX];
	u32 nr_irqs;
	u64 wakeups_at_begin;
	u64 wakeups_before;
};

/**
 * device_irqs_connect() - Make a VM and assign an irqfd to vectors of the device; none has a route.
 * @irqs: with its trigger and its device
 * @config: what kind of VM
 * @max_irqs: vectors wanted, up to DEVICE_IRQS_MAX; the device may have fewer
 * @first_gsi: GSI_ROUTING_FIRST_MSI or above, of the first vector; the next follow
 */
void device_irqs_connect(struct device_irqs *irqs, const struct irq_vm_config *config,
			 u32 max_irqs, u32 first_gsi);

/** device_irqs_disconnect() - Undo device_irqs_connect(); may be called without one. */
void device_irqs_disconnect(struct device_irqs *irqs);

/** device_irqs_begin() - Start the account anew. */
void device_irqs_begin(struct device_irqs *irqs);

/** device_irqs_send() - Signal once; the interrupt goes where its line was routed last. */
void device_irqs_send(struct device_irqs *irqs, struct device_irq *irq);

/**
 * __device_irqs_raise() - Signal once; what to expect of it is the caller's.
 *
 * Return: 0 or -errno, of a device that was reset or a vector that is disabled, e.g.
 */
int __device_irqs_raise(struct device_irqs *irqs, struct device_irq *irq);
void device_irqs_raise(struct device_irqs *irqs, struct device_irq *irq);

/** device_irqs_mark() - Note what device_irqs_diagnose() compares with; all sent are counted. */
void device_irqs_mark(struct device_irqs *irqs);

/**
 * device_irqs_diagnose() - Why the guest has counted less than it should since device_irqs_mark().
 * @irqs: whose last interrupts are missing
 * @path: how they should have come
 * @text: receives a sentence on the first vector of which any is missing
 * @size: of @text
 *
 * Looks into the APIC of the vCPU, which is stopped for a moment.
 *
 * Return: false if each vCPU has counted as many as its line was expected to bring.
 */
bool device_irqs_diagnose(struct device_irqs *irqs, enum delivery_path path, char *text,
			  size_t size);

/**
 * struct device_irqs_account - How the MSIs since device_irqs_begin() came.
 * @path: of all of them
 * @vectors: how many vectors sent any
 * @sent: MSIs
 * @host_irqs: interrupts the host took on these vectors
 * @wakeups: delivery_wakeups()
 */
struct device_irqs_account {
	enum delivery_path path;
	u32 vectors;
	u64 sent;
	u64 host_irqs;
	u64 wakeups;
};

struct device_irqs_account device_irqs_account(const struct device_irqs *irqs);

/**
 * device_irqs_host_took() - Wait until the host has taken what reaches no vCPU.
 * @irq: one of the vectors
 * @nr: MSIs sent on it since device_irqs_begin(), each after this said yes of those before
 * @ms: bound, unscaled
 *
 * Return: whether it took them, as far as its count can tell: see delivery_classify().
 */
bool device_irqs_host_took(const struct device_irq *irq, u64 nr, u64 ms);

/**
 * device_irqs_witness() - How many MSIs the device itself says that it has sent, ever.
 * @irqs: whose device's driver has msis_sent()
 *
 * Return: the sum over @irqs->irqs.
 */
u64 device_irqs_witness(const struct device_irqs *irqs);

/** device_irqs_path() - How interrupts to one vCPU have to come, from this trigger on this host. */
enum delivery_path device_irqs_path(const struct device_irqs *irqs);

#endif /* HOST_DEVICE_IRQS_H */
