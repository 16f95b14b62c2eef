/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LIBVFIO_VFIO_PCI_DEVICE_H
#define LIBVFIO_VFIO_PCI_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/pci_regs.h>
#include <linux/types.h>
#include <linux/vfio.h>

#include <libvfio/assert.h>
#include <libvfio/iommu.h>
#include <libvfio/pci_bdf.h>
#include <libvfio/vf_token.h>
#include <libvfio/vfio_pci_driver.h>

struct vfio_group;	/* the library's own */

/* The largest MSI-X table the specification allows (PCIe 6.0, 7.7.2.2). */
#define VFIO_PCI_MAX_MSI (PCI_MSIX_FLAGS_QSIZE + 1)

/**
 * struct vfio_pci_bar - A BAR.
 * @info: as reported by VFIO_DEVICE_GET_REGION_INFO; size 0 if not implemented
 * @vaddr: its mapping, NULL if it cannot be mapped whole: use vfio_pci_bar_read*()
 */
struct vfio_pci_bar {
	struct vfio_region_info info;
	void *vaddr;
};

/**
 * struct vfio_pci_device - A PCI device handed out by vfio-pci.
 * @bdf: segment:bus:device.function
 * @fd: the device
 * @group: its group, shared with others of it; NULL if opened through its character device
 * @iommu: the address space it is attached to
 * @info: VFIO_DEVICE_GET_INFO
 * @config_space: VFIO_DEVICE_GET_REGION_INFO of the config space
 * @bars: the BARs
 * @irq_info: VFIO_DEVICE_GET_IRQ_INFO by index, INTx, MSI and MSI-X
 * @irq_eventfds: by index and vector, the eventfd of each enabled vector, else -1; one more than
 *	there can be, so that the kernel is who refuses a vector too many
 * @vf_token: what it is opened with, NULL for none
 * @driver: what drives it
 */
struct vfio_pci_device {
	char bdf[PCI_BDF_SIZE];
	int fd;
	struct vfio_group *group;
	struct iommu *iommu;
	struct vfio_device_info info;
	struct vfio_region_info config_space;
	struct vfio_pci_bar bars[PCI_STD_NUM_BARS];
	struct vfio_irq_info irq_info[VFIO_PCI_MSIX_IRQ_INDEX + 1];
	int irq_eventfds[VFIO_PCI_MSIX_IRQ_INDEX + 1][VFIO_PCI_MAX_MSI + 1];
	const struct vf_token *vf_token;
	struct vfio_pci_driver driver;
};

/**
 * __vfio_pci_device_init() - Open a device, attach it to @iommu, map its BARs, find its driver.
 * @bdf: segment:bus:device.function of a device bound to vfio-pci
 * @iommu: the address space
 * @device: receives the new object
 *
 * A device without a driver of ours is no error: device->driver.ops is NULL then.
 *
 * Several devices may share @iommu, whether they are of one IOMMU group or not. A group cannot
 * be divided: its second device in another address space is refused.
 *
 * Return: 0 or -errno of the step that failed; -EPERM if the IOMMU group is not viable.
 */
int __vfio_pci_device_init(const char *bdf, struct iommu *iommu, struct vfio_pci_device **device);
struct vfio_pci_device *vfio_pci_device_init(const char *bdf, struct iommu *iommu);

/**
 * __vfio_pci_device_init_token() - Open a function of an SR-IOV device.
 * @bdf: as for __vfio_pci_device_init()
 * @iommu: the address space
 * @token: NULL for none
 * @device: receives the new object
 *
 * Return: as __vfio_pci_device_init(); also -EACCES for a token that is missing or wrong, -EINVAL
 * for one that the device has no use for.
 */
int __vfio_pci_device_init_token(const char *bdf, struct iommu *iommu,
				 const struct vf_token *token, struct vfio_pci_device **device);

/** vfio_pci_device_cleanup() - Undo vfio_pci_device_init(); removes the driver if needed. */
void vfio_pci_device_cleanup(struct vfio_pci_device *device);

/**
 * __vfio_pci_device_reset() - VFIO_DEVICE_RESET.
 *
 * Return: 0 or -errno; -EAGAIN while the device is held by someone else, e.g. sysfs.
 */
int __vfio_pci_device_reset(struct vfio_pci_device *device);
/** vfio_pci_device_reset() - Reset, trying again for a bounded time while it says -EAGAIN. */
void vfio_pci_device_reset(struct vfio_pci_device *device);

/* Config space ******************************************************************************/

/**
 * vfio_pci_config_access() - Read or write config space through VFIO, which virtualizes parts.
 * @device: the device
 * @write: direction
 * @offset: within config space
 * @size: bytes
 * @data: little endian
 */
void vfio_pci_config_access(struct vfio_pci_device *device, bool write,
			    size_t offset, size_t size, void *data);

#define vfio_pci_config_read(_device, _offset, _type) ({				\
	_type __data;									\
	vfio_pci_config_access((_device), false, (_offset), sizeof(__data), &__data);	\
	__data;										\
})
#define vfio_pci_config_readb(_d, _o) vfio_pci_config_read(_d, _o, u8)
#define vfio_pci_config_readw(_d, _o) vfio_pci_config_read(_d, _o, u16)
#define vfio_pci_config_readl(_d, _o) vfio_pci_config_read(_d, _o, u32)

#define vfio_pci_config_write(_device, _offset, _value, _type) do {			\
	_type __data = (_value);							\
	vfio_pci_config_access((_device), true, (_offset), sizeof(__data), &__data);	\
} while (0)
#define vfio_pci_config_writeb(_d, _o, _v) vfio_pci_config_write(_d, _o, _v, u8)
#define vfio_pci_config_writew(_d, _o, _v) vfio_pci_config_write(_d, _o, _v, u16)
#define vfio_pci_config_writel(_d, _o, _v) vfio_pci_config_write(_d, _o, _v, u32)

/** vfio_pci_cmd_set() - Set bits of PCI_COMMAND, e.g. PCI_COMMAND_MASTER. */
void vfio_pci_cmd_set(struct vfio_pci_device *device, u16 bits);
/** vfio_pci_cmd_clear() - Clear bits of PCI_COMMAND. */
void vfio_pci_cmd_clear(struct vfio_pci_device *device, u16 bits);

/** vfio_pci_device_match() - Whether the device has these ids: for a driver's probe(). */
bool vfio_pci_device_match(struct vfio_pci_device *device, u16 vendor_id, u16 device_id);

/**
 * vfio_pci_find_capability() - Offset of a capability in config space.
 * @device: the device
 * @id: PCI_CAP_ID_*
 *
 * Return: the offset, 0 if the device has no such capability.
 */
u8 vfio_pci_find_capability(struct vfio_pci_device *device, u8 id);

/* BARs **************************************************************************************/

/**
 * vfio_pci_bar_access() - Read or write a register, through the mapping or else by a syscall.
 * @device: the device
 * @bar: 0 to 5
 * @write: direction
 * @offset: within the BAR, aligned to @size; out of range is an assertion
 * @size: 1, 2, 4 or 8 bytes
 * @data: little endian
 */
void vfio_pci_bar_access(struct vfio_pci_device *device, int bar, bool write,
			 u64 offset, size_t size, void *data);

/**
 * vfio_pci_bar_dma_buf() - A dma-buf of a part of a BAR, e.g. for __iommu_map_file().
 * @device: the device, with PCI_COMMAND_MEMORY set
 * @bar: 0 to 5
 * @offset: within the BAR, a multiple of the page size
 * @size: bytes, likewise
 *
 * Return: a descriptor to close, or -errno of VFIO_DEVICE_FEATURE_DMA_BUF; -ENOTTY if the kernel
 * makes none, for which it takes Linux 6.19 and CONFIG_PCI_P2PDMA, -EOPNOTSUPP of this device.
 */
int vfio_pci_bar_dma_buf(struct vfio_pci_device *device, int bar, u64 offset, u64 size);

/* vfio_pci_bar_access() for one register: @offset within BAR @bar. */
u32 vfio_pci_bar_readl(struct vfio_pci_device *device, int bar, u64 offset);
u64 vfio_pci_bar_readq(struct vfio_pci_device *device, int bar, u64 offset);
void vfio_pci_bar_writel(struct vfio_pci_device *device, int bar, u64 offset, u32 value);
void vfio_pci_bar_writeq(struct vfio_pci_device *device, int bar, u64 offset, u64 value);

/* Interrupts ********************************************************************************/

/**
 * __vfio_pci_irq_enable() - Give vectors [vector, vector + count) of @index an eventfd each.
 * @device: the device
 * @index: VFIO_PCI_{INTX,MSI,MSIX}_IRQ_INDEX
 * @vector: first vector
 * @count: number of vectors
 *
 * Return: 0 or -errno: -EINVAL out of range or another index is enabled, -EEXIST if one of the
 * vectors is.
 */
int __vfio_pci_irq_enable(struct vfio_pci_device *device, u32 index, u32 vector, u32 count);
void vfio_pci_irq_enable(struct vfio_pci_device *device, u32 index, u32 vector, u32 count);

/**
 * __vfio_pci_irq_disable() - Disable every vector of @index and close its eventfds.
 *
 * Return: 0, or -EINVAL if none of them is enabled.
 */
int __vfio_pci_irq_disable(struct vfio_pci_device *device, u32 index);
void vfio_pci_irq_disable(struct vfio_pci_device *device, u32 index);

/**
 * __vfio_pci_irq_set_eventfds() - VFIO_DEVICE_SET_IRQS with eventfds of the caller's.
 * @device: the device
 * @index: any VFIO_PCI_*_IRQ_INDEX
 * @vector: first vector
 * @count: number of vectors
 * @action: VFIO_IRQ_SET_ACTION_TRIGGER or _UNMASK
 * @eventfds: one for each, -1 for none
 *
 * What vfio_pci_irq_take() and the like know of the vectors is not changed.
 *
 * Return: 0 or -errno.
 */
int __vfio_pci_irq_set_eventfds(struct vfio_pci_device *device, u32 index, u32 vector, u32 count,
				u32 action, const int *eventfds);
/** __vfio_pci_irq_set_eventfd() - The same for one vector. */
int __vfio_pci_irq_set_eventfd(struct vfio_pci_device *device, u32 index, u32 vector, u32 action,
			       int eventfd);

/**
 * __vfio_pci_irq_trigger() - VFIO's loopback: signal the eventfd of @vector, no device involved.
 *
 * Return: 0 or -errno, -EINVAL if @index is not enabled.
 */
int __vfio_pci_irq_trigger(struct vfio_pci_device *device, u32 index, u32 vector);
void vfio_pci_irq_trigger(struct vfio_pci_device *device, u32 index, u32 vector);

/**
 * __vfio_pci_irq_mask() - Mask or unmask; the kernel offers it for INTx only.
 *
 * Return: 0 or -errno; -ENOTTY or -EINVAL for MSI and MSI-X.
 */
int __vfio_pci_irq_mask(struct vfio_pci_device *device, u32 index, u32 vector);
int __vfio_pci_irq_unmask(struct vfio_pci_device *device, u32 index, u32 vector);

/**
 * vfio_pci_intx_masked() - Whether the host has masked INTx since the last unmask.
 * @device: the device
 *
 * The kernel masks INTx in its handler, where it can by DisINTx, and does not take an interrupt
 * whose line has fallen again by then: a driver that raises INTx holds the line until this is
 * true. VFIO's config space shows a virtual DisINTx; this asks the device, through sysfs.
 */
bool vfio_pci_intx_masked(struct vfio_pci_device *device);

/** vfio_pci_irq_eventfd() - The eventfd of an enabled vector; asserts that there is one. */
int vfio_pci_irq_eventfd(struct vfio_pci_device *device, u32 index, u32 vector);

/**
 * vfio_pci_irq_take() - Take the interrupts that have arrived at an enabled vector's eventfd.
 * @device: the device
 * @index: VFIO_PCI_{INTX,MSI,MSIX}_IRQ_INDEX
 * @vector: an enabled vector
 * @ms: how long to wait for the first one, unscaled; 0 to look only
 *
 * Once KVM has an irqfd on the eventfd there is nothing to see here any more.
 *
 * Return: interrupts since the last call, 0 if none came in time.
 */
u64 vfio_pci_irq_take(struct vfio_pci_device *device, u32 index, u32 vector, u64 ms);

/** vfio_pci_irq_index_name() - "msix", "msi" or "intx". */
const char *vfio_pci_irq_index_name(u32 index);

/* DMA ***************************************************************************************/

static inline int __to_iova(struct vfio_pci_device *device, const void *vaddr, iova_t *iova)
{
	return __iommu_hva2iova(device->iommu, vaddr, iova);
}

static inline iova_t to_iova(struct vfio_pci_device *device, const void *vaddr)
{
	return iommu_hva2iova(device->iommu, vaddr);
}

#endif /* LIBVFIO_VFIO_PCI_DEVICE_H */
