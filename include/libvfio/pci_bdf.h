/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LIBVFIO_PCI_BDF_H
#define LIBVFIO_PCI_BDF_H

/* "ssss:bb:dd.f" and the terminating NUL; a segment may have up to eight digits. */
#define PCI_BDF_SIZE 17

/**
 * pci_bdf_parse() - Check a PCI address and bring it into the form that sysfs uses.
 * @text: [segment:]bus:device.function, hexadecimal, in either case
 * @bdf: receives segment:bus:device.function
 *
 * Return: 0, or -EINVAL if @text is no PCI address.
 */
int pci_bdf_parse(const char *text, char bdf[PCI_BDF_SIZE]);

#endif /* LIBVFIO_PCI_BDF_H */
