// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <libvfio/io.h>
#include <libvfio/uapi_compat.h>
#include <libvfio/vfio_pci_device.h>

#include "vfio_pci_bar.h"

static void bar_map(struct vfio_pci_device *device, struct vfio_pci_bar *bar)
{
	int prot = 0;
	void *vaddr;

	if (!(bar->info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return;

	if (bar->info.flags & VFIO_REGION_INFO_FLAG_READ)
		prot |= PROT_READ;
	if (bar->info.flags & VFIO_REGION_INFO_FLAG_WRITE)
		prot |= PROT_WRITE;

	/* A sparse BAR refuses to be mapped whole and is reached through read() and write(). */
	vaddr = mmap(NULL, bar->info.size, prot, MAP_SHARED, device->fd, bar->info.offset);
	if (vaddr != MAP_FAILED)
		bar->vaddr = vaddr;
}

int vfio_pci_bars_map(struct vfio_pci_device *device)
{
	for (u32 i = 0; i < PCI_STD_NUM_BARS; i++) {
		struct vfio_pci_bar *bar = &device->bars[i];

		bar->info.argsz = sizeof(bar->info);
		bar->info.index = i;
		if (ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, &bar->info))
			return -errno;

		bar_map(device, bar);
	}

	return 0;
}

void vfio_pci_bars_unmap(struct vfio_pci_device *device)
{
	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		struct vfio_pci_bar *bar = &device->bars[i];

		if (bar->vaddr)
			VFIO_ASSERT_EQ(munmap(bar->vaddr, bar->info.size), 0);
		bar->vaddr = NULL;
	}
}

static void mmio_access(void *address, bool write, size_t size, void *data)
{
	switch (size) {
	case 1:
		write ? writeb(*(u8 *)data, address) : (void)(*(u8 *)data = readb(address));
		break;
	case 2:
		write ? writew(*(u16 *)data, address) : (void)(*(u16 *)data = readw(address));
		break;
	case 4:
		write ? writel(*(u32 *)data, address) : (void)(*(u32 *)data = readl(address));
		break;
	case 8:
		write ? writeq(*(u64 *)data, address) : (void)(*(u64 *)data = readq(address));
		break;
	default:
		VFIO_FAIL("no MMIO access of %zu bytes", size);
	}
}

void vfio_pci_bar_access(struct vfio_pci_device *device, int index, bool write,
			 u64 offset, size_t size, void *data)
{
	const struct vfio_pci_bar *bar = &device->bars[index];
	ssize_t done;

	VFIO_ASSERT_TRUE(offset % size == 0 && offset + size <= bar->info.size,
			 "%s: BAR%d has %#llx bytes, no register at %#llx", device->bdf, index,
			 (unsigned long long)bar->info.size, (unsigned long long)offset);

	if (bar->vaddr) {
		mmio_access(bar->vaddr + offset, write, size, data);
		return;
	}

	done = write ? pwrite(device->fd, data, size, bar->info.offset + offset) :
		       pread(device->fd, data, size, bar->info.offset + offset);
	VFIO_ASSERT_EQ(done, (ssize_t)size, "%s: cannot %s BAR%d at %#llx", device->bdf,
		       write ? "write" : "read", index, (unsigned long long)offset);
}

u32 vfio_pci_bar_readl(struct vfio_pci_device *device, int bar, u64 offset)
{
	u32 value;

	vfio_pci_bar_access(device, bar, false, offset, sizeof(value), &value);
	return value;
}

u64 vfio_pci_bar_readq(struct vfio_pci_device *device, int bar, u64 offset)
{
	u64 value;

	vfio_pci_bar_access(device, bar, false, offset, sizeof(value), &value);
	return value;
}

void vfio_pci_bar_writel(struct vfio_pci_device *device, int bar, u64 offset, u32 value)
{
	vfio_pci_bar_access(device, bar, true, offset, sizeof(value), &value);
}

void vfio_pci_bar_writeq(struct vfio_pci_device *device, int bar, u64 offset, u64 value)
{
	vfio_pci_bar_access(device, bar, true, offset, sizeof(value), &value);
}

int vfio_pci_bar_dma_buf(struct vfio_pci_device *device, int bar, u64 offset, u64 size)
{
	union {
		struct vfio_device_feature feature;
		u8 bytes[sizeof(struct vfio_device_feature) +
			 sizeof(struct vfio_device_feature_dma_buf) +
			 sizeof(struct vfio_region_dma_range)];
	} request = {
		.feature.argsz = sizeof(request),
		.feature.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
	};
	struct vfio_device_feature_dma_buf *dma_buf = (void *)request.feature.data;
	int fd;

	dma_buf->region_index = bar;
	dma_buf->open_flags = O_RDWR | O_CLOEXEC;
	dma_buf->nr_ranges = 1;
	dma_buf->dma_ranges[0].offset = offset;
	dma_buf->dma_ranges[0].length = size;

	fd = ioctl(device->fd, VFIO_DEVICE_FEATURE, &request);
	return fd < 0 ? -errno : fd;
}
