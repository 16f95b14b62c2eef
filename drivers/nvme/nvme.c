// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvme, any NVM Express controller. An I/O queue pair per vector, and an interrupt by a command
 * on the queue pair of that vector.
 *
 * The command is a Flush (6.8). All controllers know it, it moves no data, and with no volatile
 * write cache, or with that disabled, it has no effect and succeeds; so init() disables the
 * cache. Commands that fail would do, too, but drives keep a log of them. Everything that
 * init() sets is forgotten at the controller reset in remove() (7.3.2, 5.21).
 *
 * The admin completion queue interrupts by vector 0 and cannot be told not to. Its completions
 * are polled, and vector 0 is left to it without an eventfd, so vectors start at 1. INTx and
 * a single MSI serve both queues: there, the controller's own interrupt mask hides the admin
 * completions, which all come before it is lifted. MSI-X has no such mask (3.1.3), so MSI-X
 * is offered from two vectors on only.
 */
#include <errno.h>
#include <stdlib.h>

#include <linux/kernel.h>

#include <libvfio/deadline.h>

#include "nvme.h"

/* More than 2 MiB hold, two pages of 4 KiB each; then it is the memory that sets the limit. */
#define MAX_IO_QUEUES 256

#define INTX_TIMEOUT_MS 1000

static int nvme_probe(struct vfio_pci_device *device)
{
	const u32 usable[] = {
		VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX,
	};
	struct vfio_pci_driver *driver = &device->driver;

	if (vfio_pci_config_readl(device, PCI_CLASS_REVISION) >> 8 != NVME_PCI_CLASS)
		return -ENODEV;

	for (u32 i = 0; i < ARRAY_SIZE(usable); i++) {
		if (device->irq_info[usable[i]].count <= (usable[i] == VFIO_PCI_MSIX_IRQ_INDEX))
			continue;
		driver->irq_indexes |= 1U << usable[i];
		driver->irq_index = usable[i];
	}
	driver->dma_mask = UINT64_MAX;

	return 0;
}

/* Controller ********************************************************************************/

static bool status_any(struct vfio_pci_device *device, u32 bits)
{
	return nvme_read(device, NVME_CSTS) & bits;
}

/* 3.1.5, CC.EN: not to be cleared before the controller is ready or has failed. */
static int controller_stop(struct vfio_pci_device *device)
{
	u64 ms = to_nvme(device)->ready_ms;
	u32 cc = nvme_read(device, NVME_CC);

	if (cc & NVME_CC_EN)
		wait_for(status_any(device, NVME_CSTS_RDY | NVME_CSTS_CFS), ms);

	nvme_write(device, NVME_CC, cc & ~NVME_CC_EN);
	return wait_for(!status_any(device, NVME_CSTS_RDY), ms) ? 0 : -ETIMEDOUT;
}

static void interrupts_mask(struct vfio_pci_device *device, bool mask)
{
	if (device->driver.irq_index != VFIO_PCI_MSIX_IRQ_INDEX)
		nvme_write(device, mask ? NVME_INTMS : NVME_INTMC, UINT32_MAX);
}

/* 7.6.1: from a controller that is stopped to one that takes admin commands. */
static int controller_start(struct vfio_pci_device *device)
{
	struct nvme *nvme = to_nvme(device);
	struct nvme_queue *admin = &nvme->admin;

	nvme_queue_rewind(admin);
	interrupts_mask(device, true);

	/* Registers of 64 bits may be written by halves, and some controllers insist. */
	nvme_write(device, NVME_AQA, NVME_AQA_SIZES(admin->depth, admin->depth));
	nvme_write(device, NVME_ASQ, admin->sq_iova);
	nvme_write(device, NVME_ASQ + 4, admin->sq_iova >> 32);
	nvme_write(device, NVME_ACQ, admin->cq_iova);
	nvme_write(device, NVME_ACQ + 4, admin->cq_iova >> 32);
	nvme_write(device, NVME_CC, NVME_CC_EN | NVME_CC_MPS(nvme->mps) |
		   NVME_CC_IOSQES(NVME_SQE_LOG2) | NVME_CC_IOCQES(NVME_CQE_LOG2));

	if (!wait_for(status_any(device, NVME_CSTS_RDY | NVME_CSTS_CFS), nvme->ready_ms))
		return -ETIMEDOUT;
	return status_any(device, NVME_CSTS_CFS) ? -EIO : 0;
}

static int read_capabilities(struct vfio_pci_device *device)
{
	u32 low = nvme_read(device, NVME_CAP_LO);
	u32 high = nvme_read(device, NVME_CAP_HI);
	struct nvme *nvme = to_nvme(device);

	if (low == UINT32_MAX && high == UINT32_MAX)
		return -ENODEV;
	if (!(high & NVME_CAP_HI_CSS_NVM))
		return -EOPNOTSUPP;

	nvme->mps = NVME_CAP_HI_MPSMIN(high);
	nvme->page_size = 4096ULL << nvme->mps;
	nvme->max_depth = NVME_CAP_LO_MQES(low) + 1;
	nvme->stride = 4U << NVME_CAP_HI_DSTRD(high);
	nvme->ready_ms = (NVME_CAP_LO_TO(low) + 1) * NVME_CAP_TO_UNIT_MS;
	return 0;
}

int nvme_identify(struct vfio_pci_device *device, u32 cns, u32 nsid)
{
	struct nvme_command command = {
		.opcode = NVME_ADMIN_IDENTIFY,
		.nsid = nsid,
		.prp1 = to_nvme(device)->data_iova,
		.cdw10 = cns,
	};

	return nvme_admin(device, &command, NULL);
}

static int identify(struct vfio_pci_device *device)
{
	struct nvme *nvme = to_nvme(device);
	int ret;

	ret = nvme_identify(device, NVME_CNS_CONTROLLER, 0);
	if (ret)
		return ret;

	nvme->write_cache = nvme->data[NVME_ID_CTRL_VWC] & NVME_ID_CTRL_VWC_PRESENT;
	nvme->mdts = UINT64_MAX;
	if (nvme->data[NVME_ID_CTRL_MDTS])
		nvme->mdts = nvme->page_size << nvme->data[NVME_ID_CTRL_MDTS];

	/*
	 * A controller of before 1.1 knows no such list; there, namespaces count from 1. One
	 * without a namespace lets the Flush fail, which interrupts as well.
	 */
	nvme->nsid = 1;
	if (!nvme_identify(device, NVME_CNS_ACTIVE_NAMESPACES, 0) && *(u32 *)nvme->data)
		nvme->nsid = *(u32 *)nvme->data;
	return 0;
}

/* Features **********************************************************************************/

static int feature_get(struct vfio_pci_device *device, u32 feature, u32 *value)
{
	struct nvme_command command = { .opcode = NVME_ADMIN_GET_FEATURES, .cdw10 = feature };

	return nvme_admin(device, &command, value);
}

static int feature_set(struct vfio_pci_device *device, u32 feature, u32 value, u32 *result)
{
	struct nvme_command command = {
		.opcode = NVME_ADMIN_SET_FEATURES,
		.cdw10 = feature,
		.cdw11 = value,
	};

	return nvme_admin(device, &command, result);
}

/*
 * Not every controller lets itself be changed, and none is asked to where there is nothing to
 * change. If it refuses, interrupts come late, or a Flush takes long.
 */
static void feature_clear(struct vfio_pci_device *device, u32 feature)
{
	u32 value;

	if (!feature_get(device, feature, &value) && value)
		feature_set(device, feature, 0, NULL);
}

static int features_setup(struct vfio_pci_device *device, u32 wanted, u32 *granted)
{
	u32 value;
	int ret;

	feature_clear(device, NVME_FEAT_INTERRUPT_COALESCING);
	if (to_nvme(device)->write_cache)
		feature_clear(device, NVME_FEAT_VOLATILE_WRITE_CACHE);

	ret = feature_set(device, NVME_FEAT_NUMBER_OF_QUEUES, NVME_QUEUES(wanted), &value);
	if (ret)
		return ret;

	*granted = min_t(u32, wanted, min_t(u32, NVME_QUEUES_SQ(value), NVME_QUEUES_CQ(value)));
	return 0;
}

/* I/O queues ********************************************************************************/

/* @interrupt: NVME_CQ_INTERRUPT() or 0 for none */
static int queue_create(struct vfio_pci_device *device, struct nvme_queue *queue, u32 interrupt)
{
	struct nvme_command create_cq = {
		.opcode = NVME_ADMIN_CREATE_CQ,
		.prp1 = queue->cq_iova,
		.cdw10 = NVME_QUEUE_CDW10(queue->id, queue->depth),
		.cdw11 = interrupt | NVME_QUEUE_CONTIGUOUS,
	};
	struct nvme_command create_sq = {
		.opcode = NVME_ADMIN_CREATE_SQ,
		.prp1 = queue->sq_iova,
		.cdw10 = NVME_QUEUE_CDW10(queue->id, queue->depth),
		.cdw11 = NVME_SQ_COMPLETES_TO(queue->id) | NVME_QUEUE_CONTIGUOUS,
	};
	int ret;

	nvme_queue_rewind(queue);
	ret = nvme_admin(device, &create_cq, NULL);
	return ret ? ret : nvme_admin(device, &create_sq, NULL);
}

static int queues_create(struct vfio_pci_device *device)
{
	struct nvme *nvme = to_nvme(device);
	int ret;

	for (u32 i = 0; i < nvme->nr_io; i++) {
		ret = queue_create(device, &nvme->io[i], NVME_CQ_INTERRUPT(device->driver.msi + i));
		if (ret)
			return ret;
	}

	if (!device->driver.no_memcpy) {
		ret = queue_create(device, &nvme->scratch.queue, 0);
		if (ret)
			return ret;
	}

	interrupts_mask(device, false);
	return 0;
}

static int queues_alloc(struct vfio_pci_device *device)
{
	struct nvme *nvme = to_nvme(device);
	int ret;

	nvme->io = calloc(nvme->nr_io, sizeof(*nvme->io));
	VFIO_ASSERT_NOT_NULL(nvme->io);

	for (u32 i = 0; i < nvme->nr_io; i++) {
		ret = nvme_queue_alloc(device, &nvme->io[i], i + 1);
		if (ret)
			return ret;
	}

	if (device->driver.no_memcpy)
		return 0;
	return nvme_queue_alloc(device, &nvme->scratch.queue, nvme->nr_io + 1);
}

/* As many as there are vectors, queues and memory for; the one for memcpy comes on top. */
static int queues_negotiate(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;
	u32 vectors = device->irq_info[driver->irq_index].count;
	struct nvme *nvme = to_nvme(device);
	u32 wanted, granted, reserved;
	int ret;

	driver->msi = vectors > 1 ? 1 : 0;
	reserved = driver->no_memcpy ? 0 : 1;
	wanted = min_t(u32, vectors - driver->msi, MAX_IO_QUEUES) + reserved;
	wanted = min_t(u64, wanted, (driver->region.size - nvme->region_used) /
			(2 * nvme->page_size));

	ret = wanted > reserved ? features_setup(device, wanted, &granted) : -ENOMEM;
	if (ret)
		return ret;

	if (granted <= reserved) {
		nvme_scratch_refuse(device, "the controller grants a single I/O queue, "
				    "which interrupts");
		reserved = 0;
	}
	nvme->nr_io = granted - reserved;
	return 0;
}

/*
 * The machine may have fewer vectors left than the device has, and of MSI, where they have to be
 * consecutive, perhaps a single one.
 */
static int interrupts_enable(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;
	struct nvme *nvme = to_nvme(device);
	int ret;

	for (;;) {
		ret = __vfio_pci_irq_enable(device, driver->irq_index, driver->msi, nvme->nr_io);
		if (ret != -ENOSPC || nvme->nr_io == 1)
			break;
		nvme->nr_io /= 2;
	}
	if (ret && driver->irq_index == VFIO_PCI_MSI_IRQ_INDEX && driver->msi) {
		driver->msi = 0;
		nvme->nr_io = 1;
		ret = __vfio_pci_irq_enable(device, driver->irq_index, 0, 1);
	}

	nvme->irqs_enabled = !ret;
	driver->nr_msi = nvme->nr_io;
	return ret;
}

/* The capabilities never change, and nobody keeps anything in the controller's own memory. */
static void offer_registers(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;
	u32 size, location;

	driver->constant = (struct vfio_pci_registers){ NVME_BAR, NVME_CAP_LO, sizeof(u64) };

	if (nvme_read(device, NVME_CAP_HI) & NVME_CAP_HI_CMBS)
		nvme_write(device, NVME_CMBMSC, NVME_CMBMSC_CRE);
	size = nvme_read(device, NVME_CMBSZ);
	if (!size)
		return;

	location = nvme_read(device, NVME_CMBLOC);
	driver->scratch = (struct vfio_pci_registers){
		.bar = NVME_CMBLOC_BIR(location),
		.offset = NVME_CMBLOC_OFST(location) * NVME_CMBSZ_UNIT(size),
		.size = sizeof(u64),
	};
}

/* Operations ********************************************************************************/

static int bring_up(struct vfio_pci_device *device)
{
	struct nvme *nvme = to_nvme(device);
	int ret;

	ret = read_capabilities(device);
	if (!ret)
		ret = controller_stop(device);
	if (!ret)
		ret = nvme_queue_alloc(device, &nvme->admin, 0);
	if (ret)
		return ret;

	nvme->data = nvme_page_alloc(device, &nvme->data_iova);
	if (!nvme->data)
		return -ENOMEM;

	vfio_pci_cmd_set(device, PCI_COMMAND_MASTER);
	ret = controller_start(device);
	if (!ret)
		ret = identify(device);
	if (!ret)
		ret = nvme_scratch_setup(device);
	if (!ret)
		ret = queues_negotiate(device);
	/* Before the queues: QEMU refuses a vector that is not enabled yet. */
	if (!ret)
		ret = interrupts_enable(device);
	if (!ret)
		ret = queues_alloc(device);
	return ret ? ret : queues_create(device);
}

int nvme_restart(struct vfio_pci_device *device)
{
	struct nvme *nvme = to_nvme(device);
	u32 wanted = nvme->nr_io + (device->driver.no_memcpy ? 0 : 1);
	u32 granted = 0;
	int ret;

	ret = controller_stop(device);
	if (!ret)
		ret = controller_start(device);
	if (!ret)
		ret = features_setup(device, wanted, &granted);
	if (!ret)
		ret = granted == wanted ? queues_create(device) : -EIO;
	if (!ret)
		return 0;

	/* Where the controller cannot be stopped, it is at least cut off. */
	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	nvme->scratch.queue.stuck = true;
	for (u32 i = 0; i < nvme->nr_io; i++)
		nvme->io[i].stuck = true;
	return ret;
}

/*
 * The controller goes first: it drops what it still holds pending for vector 0, which would
 * come as soon as someone enabled that.
 */
static void nvme_remove(struct vfio_pci_device *device)
{
	struct nvme *nvme = to_nvme(device);

	controller_stop(device);
	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	if (nvme->irqs_enabled)
		vfio_pci_irq_disable(device, device->driver.irq_index);

	free(nvme->io);
	free(nvme);
	device->driver.priv = NULL;
}

static int nvme_init(struct vfio_pci_device *device)
{
	int ret;

	device->driver.priv = calloc(1, sizeof(struct nvme));
	VFIO_ASSERT_NOT_NULL(device->driver.priv);

	ret = bring_up(device);
	if (ret)
		nvme_remove(device);
	else
		offer_registers(device);
	return ret;
}

static int nvme_send_msi(struct vfio_pci_device *device, u32 vector)
{
	bool intx = device->driver.irq_index == VFIO_PCI_INTX_IRQ_INDEX;
	struct nvme *nvme = to_nvme(device);
	struct nvme_queue *queue = &nvme->io[vector - device->driver.msi];
	struct nvme_command flush = { .opcode = NVME_NVM_FLUSH, .nsid = nvme->nsid };
	bool taken = true;
	int ret;

	if (queue->stuck)
		return -EIO;
	if (intx && vfio_pci_intx_masked(device))
		return -EBUSY;

	nvme_submit(device, queue, &flush);
	ret = nvme_wait(device, queue);
	if (ret)
		return ret;

	/*
	 * INTx is up until the completion is consumed (7.5.1); it must be until the kernel has
	 * seen whose it is and masked it. An MSI follows the completion; the read, which cannot
	 * overtake it, makes sure that it has been sent before the device learns that the
	 * completion is gone. How the Flush fared does not matter to either.
	 */
	if (intx)
		taken = wait_for(vfio_pci_intx_masked(device), INTX_TIMEOUT_MS);
	else
		nvme_read(device, NVME_CSTS);
	nvme_consume(device, queue, NULL);

	return taken ? 0 : -ETIMEDOUT;
}

static const struct vfio_pci_driver_ops nvme_ops = {
	.name = "nvme",
	.probe = nvme_probe,
	.init = nvme_init,
	.remove = nvme_remove,
	.memcpy_start = nvme_memcpy_start,
	.memcpy_wait = nvme_memcpy_wait,
	.memcpy_prepare = nvme_memcpy_prepare,
	.send_msi = nvme_send_msi,
};

VFIO_PCI_DRIVER(nvme_ops);
