/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPUs of the host that go offline and come back. Everything on the machine feels it, so it is
 * done in the lab, and elsewhere only where CPU_HOTPLUG=1 allows it.
 */
#ifndef HOST_CPU_HOTPLUG_H
#define HOST_CPU_HOTPLUG_H

#include <sched.h>
#include <stdbool.h>

#include <linux/types.h>

/**
 * struct cpu_hotplug - CPUs that may be taken offline, and who brings them back.
 * @cpus: which; all were online
 * @guardian: a process that brings them online when this one is gone, in whatever way
 * @alive: what it waits for to be closed
 */
struct cpu_hotplug {
	cpu_set_t cpus;
	pid_t guardian;
	int alive;
};

/**
 * cpu_hotplug_begin() - Look which CPUs may be taken offline, and have them guarded.
 * @hotplug: to be initialized; before there are other threads, or devices to be closed
 *
 * Return: NULL, or a sentence why none may.
 */
const char *cpu_hotplug_begin(struct cpu_hotplug *hotplug);

/** cpu_hotplug_set() - Take @cpu, one of cpu_hotplug.cpus, offline or online. */
void cpu_hotplug_set(u32 cpu, bool online);

/** cpu_hotplug_end() - Bring all CPUs online; may be called without a successful begin. */
void cpu_hotplug_end(struct cpu_hotplug *hotplug);

#endif /* HOST_CPU_HOTPLUG_H */
