// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include <host/gsi_routing.h>
#include <host/kvm_compat.h>
#include <libvfio/assert.h>

void gsi_routing_init(struct gsi_routing *routing, struct kvm_vm *vm)
{
	routing->vm = vm;
	routing->capacity = kvm_check_cap(KVM_CAP_IRQ_ROUTING);
	routing->table = calloc(1, sizeof(*routing->table) +
				   routing->capacity * sizeof(routing->table->entries[0]));
	VFIO_ASSERT_NOT_NULL(routing->table);
}

void gsi_routing_cleanup(struct gsi_routing *routing)
{
	free(routing->table);
	routing->table = NULL;
}

static struct kvm_irq_routing_entry *find_route(struct gsi_routing *routing, u32 gsi)
{
	for (u32 i = 0; i < routing->table->nr; i++) {
		if (routing->table->entries[i].gsi == gsi)
			return &routing->table->entries[i];
	}

	return NULL;
}

/* The route of @gsi, or room for it. */
static struct kvm_irq_routing_entry *need_route(struct gsi_routing *routing, u32 gsi)
{
	struct kvm_irq_routing_entry *entry = find_route(routing, gsi);

	VFIO_ASSERT_GE(gsi, GSI_ROUTING_FIRST_MSI);
	if (entry)
		return entry;

	VFIO_ASSERT_LT(routing->table->nr, routing->capacity);
	return &routing->table->entries[routing->table->nr++];
}

void gsi_routing_set_msi(struct gsi_routing *routing, u32 gsi, struct msi_message message)
{
	*need_route(routing, gsi) = (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi.address_lo = (u32)message.address,
		.u.msi.address_hi = message.address >> 32,
		.u.msi.data = message.data,
	};
}

static void set_irqchip(struct gsi_routing *routing, u32 gsi, u32 chip, u32 pin)
{
	*need_route(routing, gsi) = (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip.irqchip = chip,
		.u.irqchip.pin = pin,
	};
}

void gsi_routing_set_ioapic(struct gsi_routing *routing, u32 gsi, u32 pin)
{
	set_irqchip(routing, gsi, KVM_IRQCHIP_IOAPIC, pin);
}

void gsi_routing_set_pic(struct gsi_routing *routing, u32 gsi, u32 pin)
{
	set_irqchip(routing, gsi, KVM_IRQCHIP_PIC_MASTER, pin);
}

void gsi_routing_clear(struct gsi_routing *routing, u32 gsi)
{
	struct kvm_irq_routing_entry *entry = find_route(routing, gsi);

	if (entry)
		*entry = routing->table->entries[--routing->table->nr];
}

int __gsi_routing_commit(struct gsi_routing *routing)
{
	return __vm_ioctl(routing->vm, KVM_SET_GSI_ROUTING, routing->table) ? -errno : 0;
}

void gsi_routing_commit(struct gsi_routing *routing)
{
	int ret = __gsi_routing_commit(routing);

	VFIO_ASSERT_EQ(ret, 0, "KVM refuses %u routes: %s", routing->table->nr, strerror(-ret));
}

static int irqfd(struct kvm_vm *vm, u32 gsi, int eventfd, u32 flags)
{
	struct kvm_irqfd irqfd = { .fd = eventfd, .gsi = gsi, .flags = flags };

	return __vm_ioctl(vm, KVM_IRQFD, &irqfd) ? -errno : 0;
}

int __irqfd_assign(struct kvm_vm *vm, u32 gsi, int eventfd)
{
	return irqfd(vm, gsi, eventfd, 0);
}

void irqfd_assign(struct kvm_vm *vm, u32 gsi, int eventfd)
{
	int ret = __irqfd_assign(vm, gsi, eventfd);

	VFIO_ASSERT_EQ(ret, 0, "cannot assign an irqfd to GSI %u: %s", gsi, strerror(-ret));
}

void irqfd_assign_resample(struct kvm_vm *vm, u32 gsi, int eventfd, int resamplefd)
{
	struct kvm_irqfd irqfd = {
		.fd = eventfd,
		.gsi = gsi,
		.flags = KVM_IRQFD_FLAG_RESAMPLE,
		.resamplefd = resamplefd,
	};

	VFIO_ASSERT_EQ(__vm_ioctl(vm, KVM_IRQFD, &irqfd), 0,
		       "cannot assign a resampling irqfd to GSI %u: %s", gsi, strerror(errno));
}

int __irqfd_deassign(struct kvm_vm *vm, u32 gsi, int eventfd)
{
	return irqfd(vm, gsi, eventfd, KVM_IRQFD_FLAG_DEASSIGN);
}

void irqfd_deassign(struct kvm_vm *vm, u32 gsi, int eventfd)
{
	int ret = __irqfd_deassign(vm, gsi, eventfd);

	VFIO_ASSERT_EQ(ret, 0, "cannot deassign the irqfd of GSI %u: %s", gsi, strerror(-ret));
}
