// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <linux/vfio.h>

#include <libvfio/proc_interrupts.h>

/* The first line names the online CPUs, one column each: "CPU0 CPU1 ...". */
static int count_cpu_columns(char *header)
{
	int cpus = 0;
	char *save;

	for (char *word = strtok_r(header, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		if (strncmp(word, "CPU", 3))
			return 0;
		cpus++;
	}

	return cpus;
}

/* Several actions can share a line, separated by ", ". The action is the last thing on it. */
static bool line_has_action(const char *line, const char *action)
{
	size_t length = strlen(action);
	const char *at = line;

	while ((at = strstr(at, action))) {
		bool starts = at == line || at[-1] == ' ';
		bool ends = at[length] == '\0' || at[length] == '\n' || at[length] == ',';

		if (starts && ends)
			return true;
		at += length;
	}

	return false;
}

/* The counts of a line, from behind the colon of its label. Return: 0 or -EINVAL. */
static int sum_columns(const char *counts, int cpus, u64 *sum)
{
	char *end;

	*sum = 0;
	for (int cpu = 0; cpu < cpus; cpu++) {
		*sum += strtoull(counts, &end, 10);
		if (end == counts)
			return -EINVAL;
		counts = end;
	}

	return 0;
}

static int parse_line(const char *line, int cpus, struct proc_interrupt *found)
{
	char *end;

	found->irq = strtoul(line, &end, 10);
	if (end == line || *end != ':')
		return -EINVAL;

	return sum_columns(end + 1, cpus, &found->count);
}

int proc_interrupts_find(FILE *stream, const char *action, struct proc_interrupt *found)
{
	char *line = NULL;
	size_t size = 0;
	int cpus = 0, ret;

	if (getline(&line, &size, stream) > 0)
		cpus = count_cpu_columns(line);

	ret = cpus ? -ENOENT : -EINVAL;
	while (ret == -ENOENT && getline(&line, &size, stream) > 0) {
		if (line_has_action(line, action))
			ret = parse_line(line, cpus, found);
	}

	free(line);
	return ret;
}

/* Whether the label, ended by the colon at @colon, or the last word of a line fits. */
static bool line_matches(char *line, char *colon, const char *pattern)
{
	char *last;
	bool fits;

	*colon = '\0';
	fits = !fnmatch(pattern, line + strspn(line, " "), 0);
	*colon = ':';
	line[strcspn(line, "\n")] = '\0';
	last = strrchr(line, ' ');
	return fits || (last && !fnmatch(pattern, last + 1, 0));
}

int proc_interrupts_sum(FILE *stream, const char *pattern, u64 *sum)
{
	char *line = NULL;
	size_t size = 0;
	int cpus = 0, ret;
	u64 count;

	*sum = 0;
	if (getline(&line, &size, stream) > 0)
		cpus = count_cpu_columns(line);

	ret = cpus ? -ENOENT : -EINVAL;
	while (cpus && getline(&line, &size, stream) > 0) {
		char *colon = strchr(line, ':');

		if (!colon || !line_matches(line, colon, pattern))
			continue;
		ret = sum_columns(colon + 1, cpus, &count);
		if (ret)
			break;
		*sum += count;
	}

	free(line);
	return ret;
}

int irq_count(unsigned int irq, u64 *count)
{
	char path[64], *line = NULL;
	size_t size = 0;
	FILE *stream;
	int ret = -EINVAL;

	snprintf(path, sizeof(path), "/sys/kernel/irq/%u/per_cpu_count", irq);
	stream = fopen(path, "r");
	if (!stream)
		return -errno;

	*count = 0;
	if (getline(&line, &size, stream) > 0) {
		ret = 0;
		for (char *save, *word = strtok_r(line, ",", &save); word;
		     word = strtok_r(NULL, ",", &save))
			*count += strtoull(word, NULL, 10);
	}

	free(line);
	fclose(stream);
	return ret;
}

int vfio_pci_host_irq(const char *bdf, u32 index, u32 vector, struct proc_interrupt *found)
{
	char action[64];
	FILE *stream;
	int ret;

	if (index == VFIO_PCI_INTX_IRQ_INDEX)
		snprintf(action, sizeof(action), "vfio-intx(%s)", bdf);
	else
		snprintf(action, sizeof(action), "vfio-%s[%u](%s)",
			 index == VFIO_PCI_MSIX_IRQ_INDEX ? "msix" : "msi", vector, bdf);

	stream = fopen("/proc/interrupts", "r");
	if (!stream)
		return -errno;

	ret = proc_interrupts_find(stream, action, found);
	fclose(stream);
	return ret;
}
