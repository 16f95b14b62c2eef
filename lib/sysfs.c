// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libvfio/sysfs.h>

#define SYSFS_PCI_DEVICES "/sys/bus/pci/devices"

/* The last component of what a symbolic link of the device points to; "" if it has no such link. */
static int sysfs_link_name(const char *bdf, const char *link, char *name, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t length;

	snprintf(path, sizeof(path), SYSFS_PCI_DEVICES "/%s", bdf);
	if (access(path, F_OK))
		return -ENOENT;

	snprintf(path, sizeof(path), SYSFS_PCI_DEVICES "/%s/%s", bdf, link);
	length = readlink(path, target, sizeof(target) - 1);
	target[length > 0 ? length : 0] = '\0';
	snprintf(name, size, "%s", length > 0 ? basename(target) : "");
	return 0;
}

int sysfs_iommu_group(const char *bdf)
{
	char name[NAME_MAX];
	int ret;

	ret = sysfs_link_name(bdf, "iommu_group", name, sizeof(name));
	if (ret)
		return ret;

	return *name ? atoi(name) : -ENODEV;
}

int sysfs_driver(const char *bdf, char *name, size_t size)
{
	return sysfs_link_name(bdf, "driver", name, size);
}

static bool driver_is_harmless(const char *driver)
{
	return !*driver || !strcmp(driver, "pcieport") || !strcmp(driver, "pci-stub") ||
	       strstr(driver, "vfio");
}

int sysfs_group_intruder(const char *bdf, char sibling[PCI_BDF_SIZE], char *driver, size_t size)
{
	char pattern[PATH_MAX];
	glob_t found = {};
	int ret = -ENOENT;

	snprintf(pattern, sizeof(pattern), SYSFS_PCI_DEVICES "/%s/iommu_group/devices/*", bdf);
	if (glob(pattern, 0, NULL, &found))
		return ret;

	for (size_t i = 0; i < found.gl_pathc && ret; i++) {
		const char *name = basename(found.gl_pathv[i]);

		if (sysfs_driver(name, driver, size) || driver_is_harmless(driver))
			continue;
		snprintf(sibling, PCI_BDF_SIZE, "%s", name);
		ret = 0;
	}

	globfree(&found);
	return ret;
}

int sysfs_vfio_cdev(const char *bdf, char *path, size_t size)
{
	char pattern[PATH_MAX];
	glob_t found;
	int ret;

	snprintf(pattern, sizeof(pattern), SYSFS_PCI_DEVICES "/%s/vfio-dev/vfio*", bdf);
	ret = glob(pattern, 0, NULL, &found);
	if (!ret)
		snprintf(path, size, "/dev/vfio/devices/%s", basename(found.gl_pathv[0]));
	globfree(&found);

	/* The directory entry exists without CONFIG_VFIO_DEVICE_CDEV, too. */
	return ret || access(path, F_OK) ? -ENOENT : 0;
}
