/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the IOMMU's own page tables say of a device: the witness for how a mapping was made. Only
 * VT-d shows them, in debugfs; AMD-Vi's part of it ends at the device table.
 */
#ifndef LIBVFIO_IOMMU_PAGE_TABLE_H
#define LIBVFIO_IOMMU_PAGE_TABLE_H

#include <stdbool.h>

#include <libvfio/iommu.h>

/**
 * struct iommu_page_counts - Pages that a part of the page tables maps, by their size.
 * @nr_4k: leaves of level 1
 * @nr_2m: leaves of level 2
 * @nr_1g: leaves of level 3
 */
struct iommu_page_counts {
	u64 nr_4k;
	u64 nr_2m;
	u64 nr_1g;
};

/**
 * iommu_page_table_missing() - Why the page tables of a device cannot be read.
 * @bdf: segment:bus:device.function
 *
 * Return: NULL if they can, otherwise a sentence for a SKIP.
 */
const char *iommu_page_table_missing(const char *bdf);

/**
 * iommu_page_table_takes() - Whether a device's IOMMU can map pages of some size.
 * @bdf: of a device whose page tables can be read
 * @page_size: 4 KiB, 2 MiB or 1 GiB
 *
 * VT-d specification, 11.4.2 Capability Register: SLLPS and FS1GP.
 */
bool iommu_page_table_takes(const char *bdf, u64 page_size);

/**
 * iommu_page_table_count() - Count the pages that are mapped in a range.
 * @bdf: of a device whose page tables can be read
 * @iova: start of the range
 * @size: its bytes
 */
struct iommu_page_counts iommu_page_table_count(const char *bdf, iova_t iova, u64 size);

/**
 * iommu_page_table_parse() - As iommu_page_table_count(), of text in the form of VT-d's debugfs.
 * @stream: the text
 * @iova: start of the range
 * @size: its bytes
 */
struct iommu_page_counts iommu_page_table_parse(FILE *stream, iova_t iova, u64 size);

/** iommu_page_counts_bytes() - What these pages amount to. */
u64 iommu_page_counts_bytes(struct iommu_page_counts counts);

#endif /* LIBVFIO_IOMMU_PAGE_TABLE_H */
