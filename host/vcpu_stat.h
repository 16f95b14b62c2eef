/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HOST_VCPU_STAT_H
#define HOST_VCPU_STAT_H

#include <linux/types.h>

/*
 * One counter of a vCPU, from KVM's binary statistics. kvm_util reads those of a VM only before
 * Linux 6.14.
 */
u64 vcpu_stat(int stats_fd, const char *name);

#endif /* HOST_VCPU_STAT_H */
