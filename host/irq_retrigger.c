// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <unistd.h>

#include <host/irq_retrigger.h>
#include <libvfio/assert.h>

#define PATH_SIZE 64

static void debugfs_path(char *path, unsigned int irq)
{
	snprintf(path, PATH_SIZE, "/sys/kernel/debug/irq/irqs/%u", irq);
}

const char *irq_retrigger_missing(unsigned int irq)
{
	char path[PATH_SIZE];

	debugfs_path(path, irq);
	return access(path, W_OK) ?
	       "no /sys/kernel/debug/irq (CONFIG_GENERIC_IRQ_DEBUGFS, and debugfs mounted)" : NULL;
}

void irq_retrigger(unsigned int irq)
{
	char path[PATH_SIZE];
	FILE *file;

	debugfs_path(path, irq);
	file = fopen(path, "w");
	VFIO_ASSERT_NOT_NULL(file);
	fputs("trigger", file);
	VFIO_ASSERT_EQ(fclose(file), 0, "irq %u is not retriggered", irq);
}
