/* SPDX-License-Identifier: GPL-2.0-only */
/* The CPUs of the host: which a test may use, and what goes where. */
#ifndef TESTS_HOST_CPUS_H
#define TESTS_HOST_CPUS_H

#include <linux/types.h>

/** host_cpus_random() - Any of the CPUs that this process may run on. */
u32 host_cpus_random(void);

/** host_cpus_nth() - The @nth of them, counted in a circle. */
u32 host_cpus_nth(u32 nth);

/** host_cpus_steer_irq() - Send interrupt @irq of the host to @cpu (smp_affinity_list in /proc). */
void host_cpus_steer_irq(unsigned int irq, u32 cpu);

#endif /* TESTS_HOST_CPUS_H */
