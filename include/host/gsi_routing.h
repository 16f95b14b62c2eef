/* SPDX-License-Identifier: GPL-2.0-only */
/* The owner of a VM's GSI routing table, which KVM can only be given as a whole. */
#ifndef HOST_GSI_ROUTING_H
#define HOST_GSI_ROUTING_H

#include <linux/types.h>

#include <host/msi_message.h>

struct kvm_vm;
struct kvm_irq_routing;

/* GSIs below belong to the PIC and the IOAPIC of KVM's in-kernel irqchip. */
#define GSI_ROUTING_FIRST_MSI 24U

/**
 * struct gsi_routing - The routing table of a VM.
 * @vm: whose it is
 * @table: as KVM_SET_GSI_ROUTING takes it
 * @capacity: entries there is room for
 */
struct gsi_routing {
	struct kvm_vm *vm;
	struct kvm_irq_routing *table;
	u32 capacity;
};

/**
 * gsi_routing_init() - Start with an empty table.
 * @routing: to be initialized
 * @vm: with an in-kernel irqchip
 *
 * KVM's own table routes the PIC and the IOAPIC; the first commit replaces it.
 */
void gsi_routing_init(struct gsi_routing *routing, struct kvm_vm *vm);
void gsi_routing_cleanup(struct gsi_routing *routing);

/**
 * gsi_routing_set_msi() - Route @gsi to @message, replacing its former route.
 * @routing: the table; KVM does not know of the change before gsi_routing_commit()
 * @gsi: GSI_ROUTING_FIRST_MSI or above
 * @message: what to deliver
 */
void gsi_routing_set_msi(struct gsi_routing *routing, u32 gsi, struct msi_message message);

/**
 * gsi_routing_set_ioapic() - Route @gsi to a pin of KVM's IOAPIC, replacing its former route.
 * @routing: the table; KVM does not know of the change before gsi_routing_commit()
 * @gsi: GSI_ROUTING_FIRST_MSI or above
 * @pin: masked until the guest, or KVM_SET_IRQCHIP, writes its redirection entry
 */
void gsi_routing_set_ioapic(struct gsi_routing *routing, u32 gsi, u32 pin);

/** gsi_routing_set_pic() - The same to a pin of the master of KVM's PICs, the 8259. */
void gsi_routing_set_pic(struct gsi_routing *routing, u32 gsi, u32 pin);

/** gsi_routing_clear() - Remove the route of @gsi, if there is one. */
void gsi_routing_clear(struct gsi_routing *routing, u32 gsi);

/**
 * __gsi_routing_commit() - KVM_SET_GSI_ROUTING.
 *
 * Return: 0 or -errno.
 */
int __gsi_routing_commit(struct gsi_routing *routing);
void gsi_routing_commit(struct gsi_routing *routing);

/**
 * __irqfd_assign() - KVM_IRQFD: every signal of @eventfd raises @gsi.
 * @vm: the VM
 * @gsi: the interrupt
 * @eventfd: e.g. of a VFIO vector, which lets KVM and VFIO set up IRQ bypass
 *
 * Return: 0 or -errno, -EBUSY if @eventfd already has an irqfd.
 */
int __irqfd_assign(struct kvm_vm *vm, u32 gsi, int eventfd);
void irqfd_assign(struct kvm_vm *vm, u32 gsi, int eventfd);

/**
 * irqfd_assign_resample() - KVM_IRQFD with KVM_IRQFD_FLAG_RESAMPLE, for a level-triggered GSI.
 * @vm: the VM
 * @gsi: routed to a pin of the IOAPIC; a signal of @eventfd raises its line
 * @eventfd: as for __irqfd_assign(); irqfd_deassign() undoes this, too
 * @resamplefd: signalled when the guest's EOI has lowered the line, or when the guest unmasks the
 *	pin of a line that was raised meanwhile: who still needs it has to raise it again
 */
void irqfd_assign_resample(struct kvm_vm *vm, u32 gsi, int eventfd, int resamplefd);

/** __irqfd_deassign() - Undo __irqfd_assign(); the eventfd counts for itself again. */
int __irqfd_deassign(struct kvm_vm *vm, u32 gsi, int eventfd);
void irqfd_deassign(struct kvm_vm *vm, u32 gsi, int eventfd);

#endif /* HOST_GSI_ROUTING_H */
