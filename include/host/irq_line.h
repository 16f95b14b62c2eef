/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HOST_IRQ_LINE_H
#define HOST_IRQ_LINE_H

#include <host/irq_vm.h>

/**
 * struct irq_line - One way into the guest: an eventfd, its irqfd, a GSI and its route.
 * @vm: the VM it leads to
 * @eventfd: what is signalled; belongs to whoever made it
 * @gsi: the GSI
 * @vcpu: the vCPU it is routed to
 * @vector: the vector it is routed to
 */
struct irq_line {
	struct irq_vm *vm;
	int eventfd;
	u32 gsi;
	u32 vcpu;
	u8 vector;
};

/**
 * irq_line_connect() - Assign an irqfd; the line has no route yet.
 * @line: to be initialized
 * @vm: the VM
 * @eventfd: not connected to any other line
 * @gsi: GSI_ROUTING_FIRST_MSI or above, of no other line
 */
void irq_line_connect(struct irq_line *line, struct irq_vm *vm, int eventfd, u32 gsi);

/** irq_line_disconnect() - Deassign the irqfd and remove the route. */
void irq_line_disconnect(struct irq_line *line);

/** irq_line_route() - Route the line to @vector of @vcpu, or to its NMI for vector 2. */
void irq_line_route(struct irq_line *line, u32 vcpu, u8 vector);

/**
 * irq_line_route_message() - Route the line to any message.
 *
 * What @message reaches is the caller's to know: irq_line_expect() goes on about the last
 * irq_line_route().
 */
void irq_line_route_message(struct irq_line *line, struct msi_message message);

/** irq_line_unroute() - Remove the route: KVM drops what the irqfd is signalled. */
void irq_line_unroute(struct irq_line *line);

/** irq_line_expect() - One more interrupt of this line must be counted. */
void irq_line_expect(const struct irq_line *line, struct irq_expectation *expectation);

#endif /* HOST_IRQ_LINE_H */
