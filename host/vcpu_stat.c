// SPDX-License-Identifier: GPL-2.0-only
#include <host/kvm_compat.h>
#include <libvfio/assert.h>

#include "vcpu_stat.h"

u64 vcpu_stat(int stats_fd, const char *name)
{
	struct kvm_stats_header header;
	struct kvm_stats_desc *descriptors;
	u64 value = 0;
	u32 i;

	read_stats_header(stats_fd, &header);
	descriptors = read_stats_descriptors(stats_fd, &header);
	for (i = 0; i < header.num_desc; i++) {
		struct kvm_stats_desc *desc = get_stats_descriptor(descriptors, i, &header);

		if (!strcmp(desc->name, name)) {
			read_stat_data(stats_fd, &header, desc, &value, 1);
			break;
		}
	}

	VFIO_ASSERT_LT(i, header.num_desc, "KVM has no vCPU statistic called %s", name);
	free(descriptors);
	return value;
}
