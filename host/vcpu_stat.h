/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HOST_VCPU_STAT_H
#define HOST_VCPU_STAT_H

#include <sys/types.h>

#include <linux/types.h>

/*
 * One counter of a vCPU, from KVM's binary statistics. kvm_util reads those of a VM only before
 * Linux 6.14, and looks the name up at each reading.
 */
struct vcpu_stat {
	int fd;
	off_t offset;
};

struct vcpu_stat vcpu_stat_find(int stats_fd, const char *name);
u64 vcpu_stat_read(const struct vcpu_stat *stat);

#endif /* HOST_VCPU_STAT_H */
