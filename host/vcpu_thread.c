// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>

#include <host/kvm_compat.h>
#include <libvfio/assert.h>
#include <libvfio/deadline.h>
#include <ucall_common.h>

#include "vcpu_thread.h"

/* Any signal with a handler takes a thread out of KVM_RUN. */
#define KICK_SIGNAL SIGUSR1

static void ignore_kick(int signal)
{
}

static void wait_for_resume(struct vcpu_thread *thread)
{
	WRITE_ONCE(thread->paused, 1);
	while (sem_wait(&thread->resume) && errno == EINTR)
		;
	WRITE_ONCE(thread->paused, 0);
}

static void *run(void *arg)
{
	struct vcpu_thread *thread = arg;
	struct kvm_vcpu *vcpu = thread->vcpu;
	struct ucall uc;

	while (__vcpu_run(vcpu)) {
		VFIO_ASSERT_EQ(errno, EINTR, "KVM_RUN: %s", strerror(errno));
		if (READ_ONCE(thread->pause))
			wait_for_resume(thread);
	}

	switch (get_ucall(vcpu, &uc)) {
	case UCALL_DONE:
		return NULL;
	case UCALL_ABORT:
		REPORT_GUEST_ASSERT(uc);
	default:
		VFIO_FAIL("vCPU %u left the guest: exit reason %u", vcpu->id,
			  vcpu->run->exit_reason);
	}
}

void vcpu_thread_start(struct vcpu_thread *thread, struct kvm_vcpu *vcpu)
{
	struct sigaction action = { .sa_handler = ignore_kick };
	int ret;

	thread->vcpu = vcpu;
	/* Later would be too late: a vCPU's ioctls wait for it to leave KVM_RUN. */
	thread->stats_fd = vcpu_get_stats_fd(vcpu);
	thread->blocking = vcpu_stat_find(thread->stats_fd, "blocking");
	thread->exits = vcpu_stat_find(thread->stats_fd, "exits");

	VFIO_ASSERT_EQ(sem_init(&thread->resume, 0, 0), 0);
	VFIO_ASSERT_EQ(sigaction(KICK_SIGNAL, &action, NULL), 0);
	ret = pthread_create(&thread->thread, NULL, run, thread);
	VFIO_ASSERT_EQ(ret, 0);
}

bool vcpu_thread_join(struct vcpu_thread *thread, u64 ms)
{
	return wait_for(!pthread_tryjoin_np(thread->thread, NULL), ms);
}

void vcpu_thread_cleanup(struct vcpu_thread *thread)
{
	close(thread->stats_fd);
	sem_destroy(&thread->resume);
}

bool vcpu_thread_pause(struct vcpu_thread *thread, u64 ms)
{
	WRITE_ONCE(thread->pause, 1);
	/* For a signal that comes between two KVM_RUNs. */
	WRITE_ONCE(thread->vcpu->run->immediate_exit, 1);
	pthread_kill(thread->thread, KICK_SIGNAL);
	return wait_for(READ_ONCE(thread->paused), ms);
}

void vcpu_thread_resume(struct vcpu_thread *thread)
{
	WRITE_ONCE(thread->vcpu->run->immediate_exit, 0);
	WRITE_ONCE(thread->pause, 0);
	sem_post(&thread->resume);
	/* A pause that follows at once must not take this one's for its own. */
	VFIO_ASSERT_TRUE(wait_for(!READ_ONCE(thread->paused), 10000));
}
