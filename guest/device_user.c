// SPDX-License-Identifier: GPL-2.0-only
/* Payload: use a device as the host asks. The interrupts are counted as irq_counter does. */
#include <processor.h>
#include <ucall_common.h>

#include <guest/device_user.h>

struct device_user guest_device_users[DEVICE_USER_MAX_VCPUS];

/*
 * A PAUSE lets QEMU's TCG run another CPU, where all share one thread. But CPUs can be made to exit
 * by many of them within some time of each other, Linux sets 128 cycles; these are farther apart.
 */
#define SPINS_PER_PAUSE 1000

static void guest_take_irqs(bool halt)
{
	if (halt) {
		asm volatile("sti; hlt; cli" ::: "memory");
		return;
	}

	for (u32 i = 0; i < SPINS_PER_PAUSE; i++)
		asm volatile("" ::: "memory");
	asm volatile("sti; pause; cli" ::: "memory");
}

static void guest_access(struct device_user_access *access)
{
	volatile u32 *reg = (volatile u32 *)access->address;

	if (access->write)
		*reg = access->value;
	else
		access->value = *reg;
}

static u64 guest_count_wrong(const struct device_user_job *job)
{
	const volatile u8 *data = (const volatile u8 *)job->data;
	u64 wrong = 0;

	for (u64 i = 0; data && i < job->size; i++)
		wrong += data[i] != device_user_byte(job->seed, i);
	return wrong;
}

static void guest_do_job(struct irq_counter *counter, struct irq_counter_vcpu *vcpu,
			 struct device_user *user)
{
	u64 before = READ_ONCE(vcpu->irqs[user->job.vector]);

	/* With IF=0 from here on, so that the interrupt finds the vCPU where it is wanted. */
	WRITE_ONCE(user->waiting, user->wanted);
	for (u32 round = 0; round < user->job.repeat; round++) {
		for (u32 i = 0; i < user->job.nr_accesses; i++)
			guest_access(&user->job.accesses[i]);
	}

	while (user->job.vector && READ_ONCE(vcpu->irqs[user->job.vector]) == before &&
	       !READ_ONCE(counter->stop))
		guest_take_irqs(user->job.halt);
	user->job.wrong = guest_count_wrong(&user->job);
}

void guest_device_user(struct irq_counter *counter, u64 index)
{
	struct irq_counter_vcpu *vcpu = guest_irq_counter_begin(counter, index);
	struct device_user *user = &guest_device_users[index];

	while (!READ_ONCE(counter->stop)) {
		/* What else there is of the job is not to be read before. */
		if (__atomic_load_n(&user->wanted, __ATOMIC_ACQUIRE) == user->done) {
			guest_take_irqs(false);
			continue;
		}
		guest_do_job(counter, vcpu, user);
		__atomic_store_n(&user->done, user->wanted, __ATOMIC_RELEASE);
	}

	GUEST_DONE();
}
