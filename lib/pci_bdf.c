// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <libvfio/pci_bdf.h>

int pci_bdf_parse(const char *text, char bdf[PCI_BDF_SIZE])
{
	unsigned int segment = 0, bus, device, function;
	int end = 0;

	/* Field widths keep sscanf() within the digits that an address can have. */
	if (sscanf(text, "%8x:%2x:%2x.%1x%n", &segment, &bus, &device, &function, &end) != 4) {
		segment = 0;
		end = 0;
		if (sscanf(text, "%2x:%2x.%1x%n", &bus, &device, &function, &end) != 3)
			return -EINVAL;
	}

	/* sscanf() also takes signs, blanks and a leading 0x. */
	if (strspn(text, "0123456789abcdefABCDEF:.") != strlen(text) || (size_t)end != strlen(text))
		return -EINVAL;

	if (device > 0x1f || function > 7)
		return -EINVAL;

	snprintf(bdf, PCI_BDF_SIZE, "%04x:%02x:%02x.%x", segment, bus, device, function);
	return 0;
}
