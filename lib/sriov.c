// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libvfio/assert.h>
#include <libvfio/deadline.h>
#include <libvfio/sriov.h>
#include <libvfio/sysfs.h>

#define PARAMETER "/sys/module/vfio_pci/parameters/enable_sriov"

/* What a process before this one left is removed by its guard, which waits for a reset or two. */
#define GUARD_MS 5000

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static int read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return -errno;
	length = read(fd, text, size - 1);
	text[length > 0 ? length : 0] = '\0';
	close(fd);
	return 0;
}

static u32 read_count(const char *pf, const char *name)
{
	char path[PATH_MAX], text[16] = "";

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", pf, name);
	read_text(path, text, sizeof(text));
	return strtoul(text, NULL, 10);
}

u32 sriov_total_vfs(const char *pf)
{
	return read_count(pf, "sriov_totalvfs");
}

const char *sriov_missing(const char *pf)
{
	if (!sriov_total_vfs(pf))
		return "the device has no SR-IOV capability, or the kernel lacks CONFIG_PCI_IOV";
	if (access(PARAMETER, W_OK))
		return "vfio-pci has no parameter enable_sriov: the kernel lacks CONFIG_PCI_IOV";
	return NULL;
}

int __sriov_set_allowed(int allowed)
{
	char text[8];
	int ret;

	ret = read_text(PARAMETER, text, sizeof(text));
	if (!ret)
		ret = write_text(PARAMETER, allowed ? "1" : "0");
	return ret ?: *text == 'Y';
}

int __sriov_set_vfs(const char *pf, u32 count)
{
	char path[PATH_MAX], text[16];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs", pf);
	snprintf(text, sizeof(text), "%u", count);
	return write_text(path, text);
}

/*
 * A test may be killed, and its virtual functions would keep the device from being given back.
 * This process lives as long as somebody has the other end of the leash.
 */
static void __attribute__((noreturn)) guard(int leash, const char *pf, int allowed)
{
	char byte;

	/* Away from the group that a test is killed with, and from all of its open files. */
	setsid();
	dup2(leash, STDERR_FILENO + 1);
	leash = STDERR_FILENO + 1;
	closefrom(leash + 1);
	while (read(leash, &byte, 1) < 0 && errno == EINTR)
		;

	_exit(__sriov_set_vfs(pf, 0) || __sriov_set_allowed(allowed) < 0);
}

void sriov_enable(struct sriov *sriov, const char *pf, u32 count)
{
	int leash[2], allowed, ret;

	VFIO_ASSERT_TRUE(wait_for(!read_count(pf, "sriov_numvfs"), GUARD_MS),
			 "%s has virtual functions already", pf);
	*sriov = (struct sriov){ .nr_vfs = count };
	snprintf(sriov->pf, sizeof(sriov->pf), "%s", pf);

	allowed = __sriov_set_allowed(1);
	VFIO_ASSERT_GE(allowed, 0);
	VFIO_ASSERT_EQ(pipe2(leash, O_CLOEXEC), 0);
	sriov->leash = leash[1];
	sriov->guard = fork();
	VFIO_ASSERT_GE(sriov->guard, 0);
	if (!sriov->guard)
		guard(leash[0], pf, allowed);
	close(leash[0]);

	ret = __sriov_set_vfs(pf, count);
	VFIO_ASSERT_EQ(ret, 0, "%s: cannot make %u virtual functions: %s", pf, count,
		       strerror(-ret));
}

void sriov_disable(struct sriov *sriov)
{
	int status = -1;

	close(sriov->leash);
	VFIO_ASSERT_EQ(waitpid(sriov->guard, &status, 0), sriov->guard);
	VFIO_ASSERT_EQ(status, 0, "%s: its virtual functions cannot be removed", sriov->pf);
	*sriov = (struct sriov){};
}

int sriov_vf(const char *pf, u32 number, char bdf[PCI_BDF_SIZE])
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t length;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/virtfn%u", pf, number);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return -ENOENT;

	target[length] = '\0';
	snprintf(bdf, PCI_BDF_SIZE, "%s", basename(target));
	return 0;
}
