// SPDX-License-Identifier: GPL-2.0-only
#include <apic.h>
#include <host/apicv_inhibit.h>
#include <host/kvm_compat.h>
#include <hyperv.h>
#include <libvfio/assert.h>

/* Hyper-V TLFS, 11.8.4: bits 7:0 vector, 16 masked, 17 AutoEOI. Nobody sends this vector. */
#define SINT_VECTOR 0xf3
#define SINT_MASKED (1 << 16)
#define SINT_AUTO_EOI (1 << 17)

/* Flipped in the id of the last vCPU; no VM of ours has so many. */
#define APIC_ID_FLIP 0x40

const char *apicv_inhibit_name(enum apicv_inhibit cause)
{
	static const char *const names[] = {
		[APICV_INHIBIT_BLOCKIRQ] = "KVM_GUESTDBG_BLOCKIRQ",
		[APICV_INHIBIT_PIT] = "a PIT that reinjects",
		[APICV_INHIBIT_AUTO_EOI] = "AutoEOI",
		[APICV_INHIBIT_APIC_ID] = "another xAPIC id",
	};

	return names[cause];
}

const char *apicv_inhibit_missing(const struct irq_vm *vm, enum apicv_inhibit cause)
{
	switch (cause) {
	case APICV_INHIBIT_BLOCKIRQ:
		return kvm_check_cap(KVM_CAP_SET_GUEST_DEBUG2) & KVM_GUESTDBG_BLOCKIRQ ? NULL :
		       "KVM has no KVM_GUESTDBG_BLOCKIRQ";
	case APICV_INHIBIT_PIT:
		return kvm_has_cap(KVM_CAP_REINJECT_CONTROL) ? NULL : "KVM has no PIT";
	case APICV_INHIBIT_AUTO_EOI:
		return kvm_has_cap(KVM_CAP_HYPERV_SYNIC) ? NULL :
		       "KVM has no SynIC (CONFIG_KVM_HYPERV)";
	default:
		return vm->config.xapic ? NULL : "an x2APIC id cannot be written";
	}
}

static void set_pit(struct irq_vm *vm, bool inhibit)
{
	struct kvm_reinject_control control = { .pit_reinject = inhibit };
	struct kvm_pit_config config = {};

	/* Nobody has programmed it, so it raises nothing. */
	if (__vm_ioctl(vm->kvm, KVM_CREATE_PIT2, &config))
		VFIO_ASSERT_EQ(errno, EEXIST, "KVM_CREATE_PIT2: %s", strerror(errno));
	vm_ioctl(vm->kvm, KVM_REINJECT_CONTROL, &control);
}

static void set_auto_eoi(struct irq_vm *vm, u32 vcpu, bool inhibit)
{
	irq_vm_pause(vm, vcpu);
	vcpu_enable_cap(vm->vcpus[vcpu], KVM_CAP_HYPERV_SYNIC, 0);
	vcpu_set_msr(vm->vcpus[vcpu], HV_X64_MSR_SINT0,
		     inhibit ? SINT_VECTOR | SINT_AUTO_EOI : SINT_VECTOR | SINT_MASKED);
	irq_vm_resume(vm, vcpu);
}

void apicv_inhibit_set(struct irq_vm *vm, enum apicv_inhibit cause, bool inhibit)
{
	u32 last = vm->config.nr_vcpus - 1, id = irq_vm_apic_id(vm, last);

	switch (cause) {
	case APICV_INHIBIT_BLOCKIRQ:
		irq_vm_block_irqs(vm, last, inhibit);
		break;
	case APICV_INHIBIT_PIT:
		set_pit(vm, inhibit);
		break;
	case APICV_INHIBIT_AUTO_EOI:
		set_auto_eoi(vm, last, inhibit);
		break;
	default:
		irq_vm_write_apic(vm, last, APIC_ID, (inhibit ? id ^ APIC_ID_FLIP : id) << 24);
	}
}
