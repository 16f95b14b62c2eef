// SPDX-License-Identifier: GPL-2.0-only
#include <unistd.h>

#include <libvfio/vfio_pci_device.h>

/* Capabilities live in the 192 bytes behind the header, 4 bytes at least each (PCI 3.0, 6.7). */
#define MAX_CAPABILITIES 48

void vfio_pci_config_access(struct vfio_pci_device *device, bool write,
			    size_t offset, size_t size, void *data)
{
	off_t position = device->config_space.offset + offset;
	ssize_t done;

	done = write ? pwrite(device->fd, data, size, position) :
		       pread(device->fd, data, size, position);
	VFIO_ASSERT_EQ(done, (ssize_t)size, "%s: cannot %s config space at %#zx", device->bdf,
		       write ? "write" : "read", offset);
}

void vfio_pci_cmd_set(struct vfio_pci_device *device, u16 bits)
{
	u16 command = vfio_pci_config_readw(device, PCI_COMMAND);

	vfio_pci_config_writew(device, PCI_COMMAND, command | bits);
}

void vfio_pci_cmd_clear(struct vfio_pci_device *device, u16 bits)
{
	u16 command = vfio_pci_config_readw(device, PCI_COMMAND);

	vfio_pci_config_writew(device, PCI_COMMAND, command & ~bits);
}

bool vfio_pci_device_match(struct vfio_pci_device *device, u16 vendor_id, u16 device_id)
{
	return vfio_pci_config_readw(device, PCI_VENDOR_ID) == vendor_id &&
	       vfio_pci_config_readw(device, PCI_DEVICE_ID) == device_id;
}

u8 vfio_pci_find_capability(struct vfio_pci_device *device, u8 id)
{
	u8 offset;

	if (!(vfio_pci_config_readw(device, PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return 0;

	offset = vfio_pci_config_readb(device, PCI_CAPABILITY_LIST) & ~3;
	for (int i = 0; i < MAX_CAPABILITIES && offset; i++) {
		if (vfio_pci_config_readb(device, offset + PCI_CAP_LIST_ID) == id)
			return offset;
		offset = vfio_pci_config_readb(device, offset + PCI_CAP_LIST_NEXT) & ~3;
	}

	return 0;
}
