// SPDX-License-Identifier: GPL-2.0-only
/*
 * irq-testdev, a device of the lab's own QEMU. It copies in one request, sends a vector by one
 * register write, sends on a schedule, and counts what it sent (docs/device-models.md).
 *
 * The device takes no access that is not exactly right, so each operation ends by asking it whether
 * it found fault.
 */
#include <errno.h>

#include <linux/bits.h>
#include <linux/kernel.h>

#include <hw/misc/irq-testdev-regs.h>
#include <libvfio/deadline.h>
#include <libvfio/vfio_pci_device.h>

/* Behind the time that the bytes take. */
#define COPY_TIMEOUT_MS 2000
#define INTX_TIMEOUT_MS 1000

/* It has 2048, the CPUs of a lab some 200 each; as many as leave room for others. */
#define MAX_VECTORS 32U

static u32 testdev_read(struct vfio_pci_device *device, u32 reg)
{
	return vfio_pci_bar_readl(device, IRQ_TESTDEV_BAR, reg);
}

static void testdev_write(struct vfio_pci_device *device, u32 reg, u32 value)
{
	vfio_pci_bar_writel(device, IRQ_TESTDEV_BAR, reg, value);
}

/* Return: 0, or -EIO if the device found fault since the last time; it can go on then. */
static int testdev_fault(struct vfio_pci_device *device)
{
	u32 error = testdev_read(device, IRQ_TESTDEV_ERROR);

	if (!error)
		return 0;
	testdev_write(device, IRQ_TESTDEV_ERROR, error);
	return -EIO;
}

/* All stops at once: nothing is in flight when the write is over. */
static void testdev_stop(struct vfio_pci_device *device)
{
	testdev_write(device, IRQ_TESTDEV_CONTROL, IRQ_TESTDEV_CONTROL_RESET);
}

static int irq_testdev_probe(struct vfio_pci_device *device)
{
	if (!vfio_pci_device_match(device, IRQ_TESTDEV_VENDOR_ID, IRQ_TESTDEV_DEVICE_ID))
		return -ENODEV;

	vfio_pci_driver_use_irqs(device, BIT(VFIO_PCI_INTX_IRQ_INDEX) |
					 BIT(VFIO_PCI_MSI_IRQ_INDEX) |
					 BIT(VFIO_PCI_MSIX_IRQ_INDEX));
	device->driver.dma_mask = UINT64_MAX;

	return 0;
}

static int irq_testdev_init(struct vfio_pci_device *device)
{
	struct vfio_pci_driver *driver = &device->driver;
	u32 vectors = min(device->irq_info[driver->irq_index].count, MAX_VECTORS);
	int ret;

	if (testdev_read(device, IRQ_TESTDEV_ID) != IRQ_TESTDEV_ID_VALUE)
		return -EIO;
	testdev_stop(device);
	ret = __vfio_pci_irq_enable(device, driver->irq_index, 0, vectors);
	if (ret)
		return ret;
	if (testdev_read(device, IRQ_TESTDEV_VECTORS) < vectors) {
		vfio_pci_irq_disable(device, driver->irq_index);
		return -EIO;
	}

	driver->max_memcpy_size = IRQ_TESTDEV_MAX_COPY_SIZE;
	driver->max_memcpy_count = IRQ_TESTDEV_MAX_COPY_COUNT;
	driver->memcpy_align = 1;
	driver->no_memcpy = NULL;
	driver->msi = 0;
	driver->nr_msi = vectors;
	driver->constant = (struct vfio_pci_registers){
		IRQ_TESTDEV_BAR, IRQ_TESTDEV_ID, sizeof(u32),
	};
	driver->scratch = (struct vfio_pci_registers){
		IRQ_TESTDEV_BAR, IRQ_TESTDEV_SCRATCH, sizeof(u32),
	};

	vfio_pci_cmd_set(device, PCI_COMMAND_MASTER);
	return 0;
}

static void irq_testdev_remove(struct vfio_pci_device *device)
{
	testdev_stop(device);
	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
	vfio_pci_irq_disable(device, device->driver.irq_index);
}

/* All of a copy but the command. Return: 0, or -EIO if the device does not take it. */
static int copy_describe(struct vfio_pci_device *device, iova_t src, iova_t dst, u64 size,
			 u64 count)
{
	testdev_write(device, IRQ_TESTDEV_COPY_SRC_LOW, src);
	testdev_write(device, IRQ_TESTDEV_COPY_SRC_HIGH, src >> 32);
	testdev_write(device, IRQ_TESTDEV_COPY_DST_LOW, dst);
	testdev_write(device, IRQ_TESTDEV_COPY_DST_HIGH, dst >> 32);
	testdev_write(device, IRQ_TESTDEV_COPY_SIZE, size);
	testdev_write(device, IRQ_TESTDEV_COPY_COUNT, count);
	return testdev_fault(device);
}

static int irq_testdev_memcpy_start(struct vfio_pci_device *device,
				    iova_t src, iova_t dst, u64 size, u64 count)
{
	int ret = copy_describe(device, src, dst, size, count);

	if (ret)
		return ret;
	testdev_write(device, IRQ_TESTDEV_COPY_COMMAND, IRQ_TESTDEV_COPY_START);
	/* Whether it found fault, with the command or on the way, is for the wait to tell. */
	return 0;
}

static bool copy_is_over(struct vfio_pci_device *device)
{
	return !(testdev_read(device, IRQ_TESTDEV_COPY_STATUS) & IRQ_TESTDEV_COPY_BUSY);
}

static int irq_testdev_memcpy_wait(struct vfio_pci_device *device)
{
	u64 bytes = (u64)testdev_read(device, IRQ_TESTDEV_COPY_SIZE) *
		    testdev_read(device, IRQ_TESTDEV_COPY_LEFT);
	int ret;

	/* A nanosecond each; the device's clock may be late on a busy machine. */
	if (!wait_for(copy_is_over(device), COPY_TIMEOUT_MS + bytes / 100000)) {
		testdev_stop(device);
		return -ETIMEDOUT;
	}
	ret = testdev_fault(device);
	/* After a reset neither bit is set. */
	if (testdev_read(device, IRQ_TESTDEV_COPY_STATUS) != IRQ_TESTDEV_COPY_DONE)
		ret = -EIO;
	return ret;
}

static int irq_testdev_memcpy_prepare(struct vfio_pci_device *device, iova_t src, iova_t dst,
				      u64 size, u32 vector, struct vfio_pci_doorbell *doorbell)
{
	/* Somebody would have to lower it. */
	if (device->driver.irq_index == VFIO_PCI_INTX_IRQ_INDEX)
		return -EOPNOTSUPP;

	testdev_write(device, IRQ_TESTDEV_COPY_VECTOR, vector);
	doorbell->bar = IRQ_TESTDEV_BAR;
	doorbell->offset = IRQ_TESTDEV_COPY_COMMAND;
	doorbell->value = IRQ_TESTDEV_COPY_START | IRQ_TESTDEV_COPY_IRQ;
	return copy_describe(device, src, dst, size, 1);
}

/* INTx stays up until the kernel has seen whose it is and masked it. */
static int send_intx(struct vfio_pci_device *device)
{
	bool taken;

	if (vfio_pci_intx_masked(device))
		return -EBUSY;

	testdev_write(device, IRQ_TESTDEV_IRQ_SEND, 0);
	taken = wait_for(vfio_pci_intx_masked(device), INTX_TIMEOUT_MS);
	testdev_write(device, IRQ_TESTDEV_INTX, IRQ_TESTDEV_INTX_RAISED);

	return testdev_fault(device) ?: taken ? 0 : -ETIMEDOUT;
}

static int irq_testdev_send_msi(struct vfio_pci_device *device, u32 vector)
{
	if (device->driver.irq_index == VFIO_PCI_INTX_IRQ_INDEX)
		return send_intx(device);

	testdev_write(device, IRQ_TESTDEV_IRQ_SEND, vector);
	return testdev_fault(device);
}

static int irq_testdev_schedule_msis(struct vfio_pci_device *device,
				     const struct vfio_pci_msi_schedule *schedule)
{
	if (device->driver.irq_index == VFIO_PCI_INTX_IRQ_INDEX)
		return -EOPNOTSUPP;
	if (testdev_read(device, IRQ_TESTDEV_SCHED_LEFT))
		return -EBUSY;

	testdev_write(device, IRQ_TESTDEV_SCHED_COUNT, schedule->count);
	testdev_write(device, IRQ_TESTDEV_SCHED_DELAY, schedule->delay_ns);
	testdev_write(device, IRQ_TESTDEV_SCHED_SPACING, schedule->spacing_ns);
	testdev_write(device, IRQ_TESTDEV_SCHED_FIRST_VECTOR, schedule->vector);
	testdev_write(device, IRQ_TESTDEV_SCHED_NR_VECTORS, schedule->nr_vectors);
	testdev_write(device, IRQ_TESTDEV_SCHED_PATTERN, IRQ_TESTDEV_SCHED_UPWARD);
	testdev_write(device, IRQ_TESTDEV_SCHED_COMMAND, IRQ_TESTDEV_SCHED_START);
	return testdev_fault(device);
}

static u32 irq_testdev_msis_sent(struct vfio_pci_device *device, u32 vector)
{
	testdev_write(device, IRQ_TESTDEV_SENT_SELECT, vector);
	return testdev_read(device, IRQ_TESTDEV_SENT_ON_VECTOR);
}

static const struct vfio_pci_driver_ops irq_testdev_ops = {
	.name = "irq_testdev",
	.probe = irq_testdev_probe,
	.init = irq_testdev_init,
	.remove = irq_testdev_remove,
	.memcpy_start = irq_testdev_memcpy_start,
	.memcpy_wait = irq_testdev_memcpy_wait,
	.memcpy_prepare = irq_testdev_memcpy_prepare,
	.send_msi = irq_testdev_send_msi,
	.schedule_msis = irq_testdev_schedule_msis,
	.msis_sent = irq_testdev_msis_sent,
};

VFIO_PCI_DRIVER(irq_testdev_ops);
