/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HOST_VCPU_THREAD_H
#define HOST_VCPU_THREAD_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

#include <linux/types.h>

#include "vcpu_stat.h"

struct kvm_vcpu;

/*
 * The thread that runs a vCPU. KVM lets nobody else at a vCPU while it is in KVM_RUN, so the
 * thread can be asked to come out of it for a while.
 */
struct vcpu_thread {
	struct kvm_vcpu *vcpu;
	pthread_t thread;
	u32 pause;	/* wanted by the host */
	u32 paused;	/* granted by the thread */
	sem_t resume;
	int stats_fd;
	struct vcpu_stat blocking;
	struct vcpu_stat exits;
};

void vcpu_thread_start(struct vcpu_thread *thread, struct kvm_vcpu *vcpu);

/* Waits until the guest is done; it has been asked to finish. Return: false if it is not. */
bool vcpu_thread_join(struct vcpu_thread *thread, u64 ms);
void vcpu_thread_cleanup(struct vcpu_thread *thread);

/* Return: false if the thread did not come out of KVM_RUN in @ms. */
bool vcpu_thread_pause(struct vcpu_thread *thread, u64 ms);
void vcpu_thread_resume(struct vcpu_thread *thread);

#endif /* HOST_VCPU_THREAD_H */
