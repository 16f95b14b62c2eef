// SPDX-License-Identifier: GPL-2.0-only
#include <sched.h>
#include <stdio.h>

#include <libvfio/assert.h>
#include <tests/host_cpus.h>
#include <tests/test_program.h>

u32 host_cpus_nth(u32 nth)
{
	cpu_set_t cpus;
	u32 cpu = 0;

	VFIO_ASSERT_EQ(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	nth %= CPU_COUNT(&cpus);
	while (!CPU_ISSET(cpu, &cpus) || nth--)
		cpu++;
	return cpu;
}

u32 host_cpus_random(void)
{
	return host_cpus_nth(test_random(0, UINT16_MAX));
}

void host_cpus_steer_irq(unsigned int irq, u32 cpu)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", irq);
	file = fopen(path, "w");
	VFIO_ASSERT_NOT_NULL(file);
	fprintf(file, "%u", cpu);
	VFIO_ASSERT_EQ(fclose(file), 0, "irq %u cannot go to CPU %u", irq, cpu);
}
