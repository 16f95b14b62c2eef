/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LIB_VFIO_PCI_BAR_H
#define LIB_VFIO_PCI_BAR_H

struct vfio_pci_device;

/* Query all BARs and map those that can be mapped whole. Return: 0 or -errno. */
int vfio_pci_bars_map(struct vfio_pci_device *device);
void vfio_pci_bars_unmap(struct vfio_pci_device *device);

#endif /* LIB_VFIO_PCI_BAR_H */
