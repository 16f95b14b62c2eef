// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <host/cpu_hotplug.h>
#include <libvfio/assert.h>

static int open_online(u32 cpu)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", cpu);
	return open(path, O_RDWR | O_CLOEXEC);
}

static bool is_online(u32 cpu)
{
	int fd = open_online(cpu);
	char state = '0';

	if (fd < 0)
		return false;
	if (read(fd, &state, 1) != 1)
		state = '0';
	close(fd);
	return state == '1';
}

/* Return: 0 or -errno. */
static int set_online(u32 cpu, bool online)
{
	int fd = open_online(cpu), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, online ? "1" : "0", 1) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* One without a file, as CPU 0 of x86, cannot go. */
static void find_cpus(cpu_set_t *cpus)
{
	cpu_set_t allowed;

	CPU_ZERO(cpus);
	VFIO_ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	for (u32 cpu = 1; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &allowed) && is_online(cpu))
			CPU_SET(cpu, cpus);
	}
}

/*
 * In a session of its own, so that what ends the test does not end it; and with no descriptor of
 * the test's, which would keep a device open.
 */
static void __attribute__((noreturn)) guard(const cpu_set_t *cpus, int alive)
{
	char byte;

	setsid();
	dup2(alive, STDIN_FILENO);
	close_range(STDIN_FILENO + 1, ~0U, 0);
	while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
		;
	for (u32 cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, cpus) && !is_online(cpu))
			set_online(cpu, true);
	}
	_exit(0);
}

const char *cpu_hotplug_begin(struct cpu_hotplug *hotplug)
{
	const char *allowed = getenv("CPU_HOTPLUG");
	int ends[2];

	if (!getenv("KVM_VFIO_TESTS_LAB") && !(allowed && !strcmp(allowed, "1")))
		return "the whole machine feels it if CPUs go offline: CPU_HOTPLUG=1 allows it";
	find_cpus(&hotplug->cpus);
	if (!CPU_COUNT(&hotplug->cpus))
		return "no CPU can be taken offline (root, CONFIG_HOTPLUG_CPU, 2 CPUs)";

	VFIO_ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
	hotplug->guardian = fork();
	VFIO_ASSERT_LE(0, hotplug->guardian);
	if (!hotplug->guardian)
		guard(&hotplug->cpus, ends[0]);

	close(ends[0]);
	hotplug->alive = ends[1];
	return NULL;
}

void cpu_hotplug_set(u32 cpu, bool online)
{
	int ret = set_online(cpu, online);

	VFIO_ASSERT_EQ(ret, 0, "CPU %u does not go %s: %s", cpu, online ? "online" : "offline",
		       strerror(-ret));
}

void cpu_hotplug_end(struct cpu_hotplug *hotplug)
{
	if (!hotplug->guardian)
		return;

	close(hotplug->alive);
	waitpid(hotplug->guardian, NULL, 0);
	hotplug->guardian = 0;
}
