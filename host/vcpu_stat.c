// SPDX-License-Identifier: GPL-2.0-only
#include <host/kvm_compat.h>
#include <libvfio/assert.h>

#include "vcpu_stat.h"

struct vcpu_stat vcpu_stat_find(int stats_fd, const char *name)
{
	struct vcpu_stat stat = { .fd = stats_fd };
	struct kvm_stats_header header;
	struct kvm_stats_desc *descriptors;
	u32 i;

	read_stats_header(stats_fd, &header);
	descriptors = read_stats_descriptors(stats_fd, &header);
	for (i = 0; i < header.num_desc; i++) {
		struct kvm_stats_desc *desc = get_stats_descriptor(descriptors, i, &header);

		if (!strcmp(desc->name, name)) {
			stat.offset = header.data_offset + desc->offset;
			break;
		}
	}

	VFIO_ASSERT_LT(i, header.num_desc, "KVM has no vCPU statistic called %s", name);
	free(descriptors);
	return stat;
}

u64 vcpu_stat_read(const struct vcpu_stat *stat)
{
	u64 value;
	ssize_t size = pread(stat->fd, &value, sizeof(value), stat->offset);

	VFIO_ASSERT_EQ(size, (ssize_t)sizeof(value), "cannot read a vCPU's statistics");
	return value;
}
