// SPDX-License-Identifier: GPL-2.0-only
#include <host/device_user.h>
#include <host/kvm_compat.h>
#include <libvfio/assert.h>
#include <libvfio/deadline.h>

static struct device_user *user_of(struct irq_vm *vm, u32 vcpu)
{
	struct device_user *users = addr_gva2hva(vm->kvm, (u64)guest_device_users);

	VFIO_ASSERT_LT(vcpu, DEVICE_USER_MAX_VCPUS);
	return &users[vcpu];
}

void device_user_begin(struct irq_vm *vm, u32 vcpu, const struct device_user_job *job)
{
	struct device_user *user = user_of(vm, vcpu);

	VFIO_ASSERT_EQ(user->wanted, READ_ONCE(user->done));
	user->job = *job;
	__atomic_store_n(&user->wanted, user->wanted + 1, __ATOMIC_RELEASE);
}

bool device_user_wait_begun(struct irq_vm *vm, u32 vcpu, u64 ms)
{
	struct device_user *user = user_of(vm, vcpu);

	return wait_for(READ_ONCE(user->waiting) == user->wanted, ms);
}

bool device_user_wait(struct irq_vm *vm, u32 vcpu, struct device_user_job *job, u64 ms)
{
	struct device_user *user = user_of(vm, vcpu);

	if (!wait_for(__atomic_load_n(&user->done, __ATOMIC_ACQUIRE) == user->wanted, ms))
		return false;
	if (job)
		*job = user->job;
	return true;
}
