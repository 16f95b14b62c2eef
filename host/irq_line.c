// SPDX-License-Identifier: GPL-2.0-only
#include <host/irq_line.h>

void irq_line_connect(struct irq_line *line, struct irq_vm *vm, int eventfd, u32 gsi)
{
	*line = (struct irq_line){ .vm = vm, .eventfd = eventfd, .gsi = gsi };
	irqfd_assign(vm->kvm, gsi, eventfd);
}

void irq_line_disconnect(struct irq_line *line)
{
	irqfd_deassign(line->vm->kvm, line->gsi, line->eventfd);
	irq_line_unroute(line);
}

void irq_line_route(struct irq_line *line, u32 vcpu, u8 vector)
{
	u32 apic_id = irq_vm_apic_id(line->vm, vcpu);

	line->vcpu = vcpu;
	line->vector = vector;
	irq_line_route_message(line, vector == IRQ_COUNTER_NMI_VECTOR ?
					     msi_message_nmi(apic_id) :
					     msi_message_fixed(apic_id, vector));
}

void irq_line_route_message(struct irq_line *line, struct msi_message message)
{
	gsi_routing_set_msi(&line->vm->routing, line->gsi, message);
	gsi_routing_commit(&line->vm->routing);
}

void irq_line_unroute(struct irq_line *line)
{
	gsi_routing_clear(&line->vm->routing, line->gsi);
	gsi_routing_commit(&line->vm->routing);
}

void irq_line_expect(const struct irq_line *line, struct irq_expectation *expectation)
{
	expectation->irqs[line->vcpu][line->vector]++;
}
