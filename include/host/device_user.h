/* SPDX-License-Identifier: GPL-2.0-only */
/* Jobs for vCPUs that run the payload device_user. */
#ifndef HOST_DEVICE_USER_H
#define HOST_DEVICE_USER_H

#include <guest/device_user.h>
#include <host/irq_vm.h>

/** device_user_begin() - Hand a job to vCPU @vcpu, whose last one is done. */
void device_user_begin(struct irq_vm *vm, u32 vcpu, const struct device_user_job *job);

/**
 * device_user_wait_begun() - Wait until the vCPU has begun with its job.
 *
 * Return: false if it did not in @ms.
 */
bool device_user_wait_begun(struct irq_vm *vm, u32 vcpu, u64 ms);

/**
 * device_user_wait() - Wait for the end of the job.
 * @vm: the VM
 * @vcpu: the vCPU
 * @job: receives it with its results, may be NULL
 * @ms: bound, unscaled
 *
 * Return: false if it is not done.
 */
bool device_user_wait(struct irq_vm *vm, u32 vcpu, struct device_user_job *job, u64 ms);

#endif /* HOST_DEVICE_USER_H */
