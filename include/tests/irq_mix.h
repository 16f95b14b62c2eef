/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupts in a mix of circumstances: those of irq_test of the kernel's selftests and of what it
 * grew from, by the same letters, so that a command line from a mail still works.
 */
#ifndef TESTS_IRQ_MIX_H
#define TESTS_IRQ_MIX_H

#include <host/device_irqs.h>

/**
 * struct irq_mix - What is done while interrupts are sent.
 * @nr_irqs: how many to send
 * @nr_vcpus: vCPUs of the VM
 * @xapic: xAPIC mode rather than x2APIC
 * @block: vCPUs halt between interrupts
 * @affine: the host's interrupt goes to another CPU before each
 * @migrate: its vCPU goes to another CPU before each
 * @pin: each vCPU stays on one CPU
 * @nmi: half of them are NMIs
 * @empty: the route is removed and made again before half of them
 * @unassign: the irqfd is deassigned and assigned again before half of them
 */
struct irq_mix {
	u32 nr_irqs;
	u32 nr_vcpus;
	bool xapic;
	bool block;
	bool affine;
	bool migrate;
	bool pin;
	bool nmi;
	bool empty;
	bool unassign;
};

/** irq_mix_help - The options, for --help. */
extern const char irq_mix_help[];

/**
 * irq_mix_take_option() - Take one of the options of irq_mix_help.
 * @option: an argument
 * @value: the one after it, or NULL
 *
 * Return: how many arguments it took, 0 if it is none of them.
 */
int irq_mix_take_option(const char *option, const char *value);

/** irq_mix_asked_for() - Whether there were any: nothing else is to run then. */
bool irq_mix_asked_for(void);

/** irq_mix_choose() - The mix that the options ask for, or any if there were none. */
struct irq_mix irq_mix_choose(void);

/** irq_mix_config() - The VM for it. */
struct irq_vm_config irq_mix_config(const struct irq_mix *mix);

/**
 * irq_mix_send() - Send them one by one on the first line. Return: mistakes seen.
 * @irqs: connected to a VM of irq_mix_config()
 */
u32 irq_mix_send(struct device_irqs *irqs, const struct irq_mix *mix);

#endif /* TESTS_IRQ_MIX_H */
