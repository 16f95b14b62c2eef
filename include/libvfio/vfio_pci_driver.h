/* SPDX-License-Identifier: GPL-2.0-only */
/* The driver framework: what a test may ask of a device, whatever the device is. */
#ifndef LIBVFIO_VFIO_PCI_DRIVER_H
#define LIBVFIO_VFIO_PCI_DRIVER_H

#include <stdbool.h>

#include <linux/types.h>

#include <libvfio/iommu.h>

struct vfio_pci_device;

/**
 * struct vfio_pci_doorbell - The register write that starts what a driver has prepared.
 * @bar: 0 to 5
 * @offset: within the BAR
 * @value: 32 bits, to be written at once
 */
struct vfio_pci_doorbell {
	int bar;
	u64 offset;
	u32 value;
};

/**
 * struct vfio_pci_msi_schedule - Interrupts that the device sends by itself, each at its time.
 * @count: how many
 * @delay_ns: from the start to the first one, in nanoseconds of the device's clock
 * @spacing_ns: from each to the next
 * @vector: of the first one
 * @nr_vectors: they go on the vectors from @vector on in turn, so many of them
 */
struct vfio_pci_msi_schedule {
	u32 count;
	u32 delay_ns;
	u32 spacing_ns;
	u32 vector;
	u32 nr_vectors;
};

/**
 * struct vfio_pci_driver_ops - What a driver provides. All waits inside are bounded.
 */
struct vfio_pci_driver_ops {
	/** @name: the directory below drivers/ */
	const char *name;

	/**
	 * @probe: Whether the driver supports @device.
	 *
	 * Reads the header of config space only, and copes with device->irq_info that is all
	 * zeros: run.sh --devices asks about devices that are not opened.
	 *
	 * Return: 0 if it does, -ENODEV if it does not.
	 */
	int (*probe)(struct vfio_pci_device *device);

	/**
	 * @init: Bring the device up, from whatever state it is in.
	 *
	 * Finds device->driver.region mapped and device->driver.irq_index chosen. Sets every
	 * field of struct vfio_pci_driver marked "set by init". Enables the interrupts it uses
	 * with vfio_pci_irq_enable(), so that the eventfds exist afterwards.
	 *
	 * Return: 0 or -errno; after a failure the device needs no remove().
	 */
	int (*init)(struct vfio_pci_device *device);

	/**
	 * @remove: Stop DMA and interrupts, disable what init() enabled, bus mastering included.
	 * Works on a device that hangs, too.
	 */
	void (*remove)(struct vfio_pci_device *device);

	/**
	 * @memcpy_start: Begin to copy @size bytes from @src to @dst, @count times over.
	 *
	 * The device reads [src, src + size) and writes [dst, dst + size) by DMA and raises no
	 * interrupt. Does not wait for the copies. NULL if the device cannot copy, then
	 * device->driver.no_memcpy says why.
	 *
	 * Return: 0 or -errno.
	 */
	int (*memcpy_start)(struct vfio_pci_device *device,
			    iova_t src, iova_t dst, u64 size, u64 count);

	/**
	 * @memcpy_wait: Wait until what memcpy_start() began is over.
	 *
	 * No DMA of it is in flight any more when this returns, also after an error, and the
	 * device is able to copy again.
	 *
	 * Return: 0, -ETIMEDOUT, or -EIO if the device reported an error.
	 */
	int (*memcpy_wait)(struct vfio_pci_device *device);

	/**
	 * @memcpy_prepare: Prepare to copy @size bytes from @src to @dst, so that writing
	 * @doorbell starts the copy and the interrupt @vector, raised once, ends it. Optional.
	 *
	 * For a guest that is given the device: it rings, and finds the bytes at @dst when its
	 * interrupt comes, without this driver. Before, the device may read @src but neither
	 * writes to @dst nor interrupts. memcpy_wait() follows as after memcpy_start().
	 *
	 * Return: 0 or -errno; -EOPNOTSUPP if the device cannot with driver.irq_index.
	 */
	int (*memcpy_prepare)(struct vfio_pci_device *device, iova_t src, iova_t dst, u64 size,
			      u32 vector, struct vfio_pci_doorbell *doorbell);

	/**
	 * @send_msi: Make the device raise the interrupt @vector exactly once, by itself.
	 *
	 * @vector lies in [msi, msi + nr_msi). The interrupt may still be on its way when this
	 * returns; nothing else that the device does is. NULL if the device cannot.
	 *
	 * Return: 0 or -errno.
	 */
	int (*send_msi)(struct vfio_pci_device *device, u32 vector);

	/**
	 * @schedule_msis: Start a schedule of interrupts. Optional, few devices can.
	 *
	 * They come while nobody calls the driver: what is late is sent at once, none is left out.
	 *
	 * Return: 0 or -errno; -EBUSY if a schedule is still running, -EOPNOTSUPP if the device
	 * cannot with driver.irq_index.
	 */
	int (*schedule_msis)(struct vfio_pci_device *device,
			     const struct vfio_pci_msi_schedule *schedule);

	/**
	 * @msis_sent: How many messages the device says that it has sent on @vector, ever.
	 * Optional, with schedule_msis: a witness of "sent" that is neither driver nor kernel.
	 */
	u32 (*msis_sent)(struct vfio_pci_device *device, u32 vector);
};

/**
 * struct vfio_pci_registers - A register, or a piece of the device's memory.
 * @bar: 0 to 5
 * @offset: within the BAR
 * @size: bytes, 4 or 8; 0 if the device has none of the kind
 */
struct vfio_pci_registers {
	int bar;
	u64 offset;
	u32 size;
};

/**
 * struct vfio_pci_driver - A driver bound to a device.
 * @ops: the driver, NULL if none supports the device
 * @initialized: between init and remove
 * @memcpy_in_progress: between memcpy_start and memcpy_wait
 * @region: memory for descriptors; described and mapped by the test before init, 2 MiB is
 *	enough for every driver
 * @irq_index: VFIO_PCI_{MSIX,MSI,INTX}_IRQ_INDEX to use; probe() sets the best one of those in
 *	@irq_indexes, a test may choose another before init
 * @irq_indexes: bit mask of the indexes that the driver can use with this device, set by probe
 * @missing: what the driver needs and this machine has not, a sentence for a SKIP, set by probe,
 *	which leaves @irq_indexes 0 then; NULL if all is there
 * @dma_mask: the highest IOVA the device can reach, set by probe
 * @max_memcpy_size: largest size of a memcpy, set by init
 * @max_memcpy_count: largest count of a memcpy, set by init
 * @memcpy_align: alignment of source, destination and size in bytes, 1 for none, set by init
 * @no_memcpy: why memcpy is absent, a sentence for a SKIP; NULL if it is present, set by init
 * @msi: first vector of @irq_index that send_msi can raise, set by init
 * @nr_msi: number of such vectors; 0 if none, set by init
 * @constant: what is the same at any time and not 0, for other devices to read by DMA; may be
 *	set by init
 * @scratch: what keeps the value that is written to it, and has no effect until the next
 *	operation of the driver, for other devices to write by DMA; may be set by init
 * @priv: the driver's own state, allocated by init, freed by remove
 */
struct vfio_pci_driver {
	const struct vfio_pci_driver_ops *ops;
	bool initialized;
	bool memcpy_in_progress;
	struct dma_region region;
	u32 irq_index;
	u32 irq_indexes;
	const char *missing;
	u64 dma_mask;
	u64 max_memcpy_size;
	u64 max_memcpy_count;
	u64 memcpy_align;
	const char *no_memcpy;
	u32 msi;
	u32 nr_msi;
	struct vfio_pci_registers constant;
	struct vfio_pci_registers scratch;
	void *priv;
};

/**
 * VFIO_PCI_DRIVER() - Register a driver. One line at the end of its file, no list to edit.
 * @_ops: a struct vfio_pci_driver_ops
 *
 * The Makefile says which drivers come from outside of this tree.
 */
#define VFIO_PCI_DRIVER(_ops)								\
static const struct vfio_pci_driver_ops *const __vfio_pci_driver_##_ops			\
	__attribute__((used, section(VFIO_PCI_DRIVER_SECTION))) = &(_ops)

#ifdef VFIO_PCI_DRIVER_OUT_OF_TREE
#define VFIO_PCI_DRIVER_SECTION "vfio_pci_drivers_out_of_tree"
#else
#define VFIO_PCI_DRIVER_SECTION "vfio_pci_drivers"
#endif

/**
 * __vfio_pci_driver_probe() - Find the driver of a device.
 * @device: opened
 *
 * Drivers from outside of this tree come first, so that one of them can replace ours.
 *
 * Return: 0, -ENODEV if no driver wants the device, -EEXIST if more than one does.
 */
int __vfio_pci_driver_probe(struct vfio_pci_device *device);

/**
 * vfio_pci_driver_of_sysfs() - Which driver supports a device, without opening that.
 * @directory: the device's in sysfs, whose file config any user may read
 *
 * Return: the driver's name, NULL if none supports the device or it cannot be told.
 */
const char *vfio_pci_driver_of_sysfs(const char *directory);

/**
 * vfio_pci_driver_use_irqs() - Set irq_indexes and the best irq_index: for a driver's probe().
 * @device: whose driver it is
 * @indexes: bit mask of what the driver can use; of these the device may have some
 */
void vfio_pci_driver_use_irqs(struct vfio_pci_device *device, u32 indexes);

/**
 * vfio_pci_driver_missing() - Why no driver can be started on a device.
 * @device: opened
 *
 * Return: a sentence for a SKIP, NULL if a driver can.
 */
const char *vfio_pci_driver_missing(const struct vfio_pci_device *device);

/**
 * __vfio_pci_driver_init() - Initialize the driver of @device, see ops->init.
 * @device: with a driver, and driver.region mapped
 */
int __vfio_pci_driver_init(struct vfio_pci_device *device);
void vfio_pci_driver_init(struct vfio_pci_device *device);

void vfio_pci_driver_remove(struct vfio_pci_device *device);

/**
 * __vfio_pci_driver_memcpy_start() - See ops->memcpy_start.
 *
 * Return: also -EOPNOTSUPP without memcpy, -EBUSY during another, -EINVAL for @size, @count or
 * an alignment the device cannot do or for overlapping ranges.
 */
int __vfio_pci_driver_memcpy_start(struct vfio_pci_device *device,
				   iova_t src, iova_t dst, u64 size, u64 count);
void vfio_pci_driver_memcpy_start(struct vfio_pci_device *device,
				  iova_t src, iova_t dst, u64 size, u64 count);
int vfio_pci_driver_memcpy_wait(struct vfio_pci_device *device);

/* The largest copy that can be prepared, unless max_memcpy_size is less. */
#define VFIO_PCI_MAX_PREPARED_SIZE 4096U

/**
 * __vfio_pci_driver_memcpy_prepare() - See ops->memcpy_prepare.
 *
 * Return: as __vfio_pci_driver_memcpy_start(), also -EINVAL for a vector out of range.
 */
int __vfio_pci_driver_memcpy_prepare(struct vfio_pci_device *device, iova_t src, iova_t dst,
				     u64 size, u32 vector, struct vfio_pci_doorbell *doorbell);

/**
 * vfio_pci_driver_memcpy() - Copy once, in as many pieces as needed, and wait.
 *
 * Return: 0 or the first error.
 */
int vfio_pci_driver_memcpy(struct vfio_pci_device *device, iova_t src, iova_t dst, u64 size);

/**
 * __vfio_pci_driver_send_msi_vector() - See ops->send_msi.
 *
 * Return: also -EOPNOTSUPP without send_msi, -EINVAL for a vector out of range, -EBUSY during
 * a memcpy.
 */
int __vfio_pci_driver_send_msi_vector(struct vfio_pci_device *device, u32 vector);
void vfio_pci_driver_send_msi_vector(struct vfio_pci_device *device, u32 vector);

/**
 * vfio_pci_driver_schedule_msis() - See ops->schedule_msis, which the driver has.
 * @device: no memcpy is in progress
 * @schedule: of vectors within the driver's, and of at least one interrupt
 */
void vfio_pci_driver_schedule_msis(struct vfio_pci_device *device,
				   const struct vfio_pci_msi_schedule *schedule);

/** vfio_pci_driver_send_msi() - Raise the first vector, device->driver.msi. */
void vfio_pci_driver_send_msi(struct vfio_pci_device *device);

#endif /* LIBVFIO_VFIO_PCI_DRIVER_H */
