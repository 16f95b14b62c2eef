// SPDX-License-Identifier: GPL-2.0-only
/* VFIO_DEVICE_SET_IRQS for INTx, MSI and MSI-X; its rules stand in linux/vfio.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <libvfio/deadline.h>
#include <libvfio/vfio_pci_device.h>

#define MAX_VECTORS (VFIO_PCI_MAX_MSI + 1U)

static int *index_eventfds(struct vfio_pci_device *device, u32 index)
{
	VFIO_ASSERT_LE(index, (u32)VFIO_PCI_MSIX_IRQ_INDEX);
	return device->irq_eventfds[index];
}

static int set_irqs(struct vfio_pci_device *device, u32 index, u32 flags,
		    u32 vector, u32 count, const int *eventfds)
{
	size_t data = eventfds ? count * sizeof(*eventfds) : 0;
	struct vfio_irq_set *set = calloc(1, sizeof(*set) + data);
	int ret;

	VFIO_ASSERT_NOT_NULL(set);
	set->argsz = sizeof(*set) + data;
	set->flags = flags | (eventfds ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
	set->index = index;
	set->start = vector;
	set->count = count;
	if (data)
		memcpy(set->data, eventfds, data);

	/* A positive answer is the number of vectors that there were to be had. */
	ret = ioctl(device->fd, VFIO_DEVICE_SET_IRQS, set);
	ret = ret < 0 ? -errno : ret > 0 ? -ENOSPC : 0;
	free(set);
	return ret;
}

int __vfio_pci_irq_set_eventfds(struct vfio_pci_device *device, u32 index, u32 vector, u32 count,
				u32 action, const int *eventfds)
{
	return set_irqs(device, index, action, vector, count, eventfds);
}

int __vfio_pci_irq_set_eventfd(struct vfio_pci_device *device, u32 index, u32 vector, u32 action,
			       int eventfd)
{
	return set_irqs(device, index, action, vector, 1, &eventfd);
}

/* A device may have more vectors than the usual soft limit of open files. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void close_eventfds(int *eventfds, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		if (eventfds[i] >= 0)
			close(eventfds[i]);
		eventfds[i] = -1;
	}
}

int __vfio_pci_irq_enable(struct vfio_pci_device *device, u32 index, u32 vector, u32 count)
{
	int *eventfds = index_eventfds(device, index) + vector;
	int ret;

	if (!count || vector >= MAX_VECTORS || count > MAX_VECTORS - vector)
		return -EINVAL;

	for (u32 i = 0; i < count; i++) {
		if (eventfds[i] >= 0)
			return -EEXIST;
	}

	raise_file_limit();
	for (u32 i = 0; i < count; i++) {
		eventfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		VFIO_ASSERT_GE(eventfds[i], 0);
	}

	ret = set_irqs(device, index, VFIO_IRQ_SET_ACTION_TRIGGER, vector, count, eventfds);
	if (ret)
		close_eventfds(eventfds, count);

	return ret;
}

void vfio_pci_irq_enable(struct vfio_pci_device *device, u32 index, u32 vector, u32 count)
{
	int ret = __vfio_pci_irq_enable(device, index, vector, count);

	VFIO_ASSERT_EQ(ret, 0, "%s: cannot enable %s[%u..%u]: %s", device->bdf,
		       vfio_pci_irq_index_name(index), vector, vector + count - 1, strerror(-ret));
}

int __vfio_pci_irq_disable(struct vfio_pci_device *device, u32 index)
{
	int ret = set_irqs(device, index, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, NULL);

	close_eventfds(index_eventfds(device, index), MAX_VECTORS);
	return ret;
}

void vfio_pci_irq_disable(struct vfio_pci_device *device, u32 index)
{
	int ret = __vfio_pci_irq_disable(device, index);

	VFIO_ASSERT_EQ(ret, 0, "%s: cannot disable %s: %s", device->bdf,
		       vfio_pci_irq_index_name(index), strerror(-ret));
}

int __vfio_pci_irq_trigger(struct vfio_pci_device *device, u32 index, u32 vector)
{
	return set_irqs(device, index, VFIO_IRQ_SET_ACTION_TRIGGER, vector, 1, NULL);
}

void vfio_pci_irq_trigger(struct vfio_pci_device *device, u32 index, u32 vector)
{
	int ret = __vfio_pci_irq_trigger(device, index, vector);

	VFIO_ASSERT_EQ(ret, 0, "%s: cannot trigger %s[%u]: %s", device->bdf,
		       vfio_pci_irq_index_name(index), vector, strerror(-ret));
}

int __vfio_pci_irq_mask(struct vfio_pci_device *device, u32 index, u32 vector)
{
	return set_irqs(device, index, VFIO_IRQ_SET_ACTION_MASK, vector, 1, NULL);
}

int __vfio_pci_irq_unmask(struct vfio_pci_device *device, u32 index, u32 vector)
{
	return set_irqs(device, index, VFIO_IRQ_SET_ACTION_UNMASK, vector, 1, NULL);
}

bool vfio_pci_intx_masked(struct vfio_pci_device *device)
{
	char path[64];
	u16 command;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", device->bdf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	VFIO_ASSERT_GE(fd, 0);
	VFIO_ASSERT_EQ(pread(fd, &command, sizeof(command), PCI_COMMAND), (ssize_t)sizeof(command));
	close(fd);

	return command & PCI_COMMAND_INTX_DISABLE;
}

int vfio_pci_irq_eventfd(struct vfio_pci_device *device, u32 index, u32 vector)
{
	int fd;

	VFIO_ASSERT_LT(vector, MAX_VECTORS);
	fd = index_eventfds(device, index)[vector];
	VFIO_ASSERT_GE(fd, 0, "%s: %s[%u] is not enabled", device->bdf,
		       vfio_pci_irq_index_name(index), vector);
	return fd;
}

u64 vfio_pci_irq_take(struct vfio_pci_device *device, u32 index, u32 vector, u64 ms)
{
	struct pollfd poll_fd = {
		.fd = vfio_pci_irq_eventfd(device, index, vector),
		.events = POLLIN,
	};
	u64 count = 0;

	if (poll(&poll_fd, 1, deadline_scale_ms(ms)) == 1)
		VFIO_ASSERT_EQ(read(poll_fd.fd, &count, sizeof(count)), (ssize_t)sizeof(count));

	return count;
}

const char *vfio_pci_irq_index_name(u32 index)
{
	static const char *const names[] = {
		[VFIO_PCI_INTX_IRQ_INDEX] = "intx",
		[VFIO_PCI_MSI_IRQ_INDEX] = "msi",
		[VFIO_PCI_MSIX_IRQ_INDEX] = "msix",
	};

	return index <= VFIO_PCI_MSIX_IRQ_INDEX ? names[index] : "unknown";
}
