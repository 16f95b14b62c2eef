// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts through the guest as fast as they are counted, one after the other: what
 * scripts/bench times beside upstream's irq_test, which takes the same options.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <host/irq_line.h>
#include <host/kvm_compat.h>
#include <libvfio/assert.h>
#include <libvfio/deadline.h>
#include <libvfio/dma_region.h>

#define IRQ_MS 2000
#define VECTOR 0x77

struct source {
	struct vfio_pci_device *device;
	struct iommu *iommu;
	struct iova_allocator *allocator;
	int eventfd;
};

static void open_source(struct source *source, const char *bdf)
{
	if (!bdf) {
		source->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		VFIO_ASSERT_GE(source->eventfd, 0);
		return;
	}

	source->iommu = iommu_init(NULL);
	source->device = vfio_pci_device_init(bdf, source->iommu);
	source->allocator = iova_allocator_init(source->iommu, source->device->driver.dma_mask);
	vfio_pci_driver_start(source->device, source->allocator);
	source->eventfd = vfio_pci_irq_eventfd(source->device, source->device->driver.irq_index,
					       source->device->driver.msi);
}

static void close_source(struct source *source)
{
	if (!source->device) {
		close(source->eventfd);
		return;
	}

	vfio_pci_driver_stop(source->device);
	iova_allocator_cleanup(source->allocator);
	vfio_pci_device_cleanup(source->device);
	iommu_cleanup(source->iommu);
}

static void fire(const struct source *source)
{
	if (source->device)
		vfio_pci_driver_send_msi(source->device);
	else
		VFIO_ASSERT_EQ(eventfd_write(source->eventfd, 1), 0);
}

static void run(const struct source *source, unsigned long count, bool reroute)
{
	struct irq_vm *vm = irq_vm_create(&(struct irq_vm_config){ .nr_vcpus = 1 });
	struct irq_line line;

	irq_line_connect(&line, vm, source->eventfd, GSI_ROUTING_FIRST_MSI);
	irq_line_route(&line, 0, VECTOR);
	for (unsigned long i = 1; i <= count; i++) {
		if (reroute)
			irq_line_route(&line, 0, VECTOR);
		fire(source);
		VFIO_ASSERT_TRUE(wait_for(irq_vm_count(vm, 0, VECTOR) >= i, IRQ_MS),
				 "interrupt %lu of %lu did not arrive", i, count);
	}
	VFIO_ASSERT_EQ(irq_vm_count(vm, 0, VECTOR), count);

	irq_line_disconnect(&line);
	irq_vm_destroy(vm);
}

int main(int argc, char **argv)
{
	unsigned long count = 1000;
	struct source source = {};
	const char *bdf = NULL;
	bool reroute = false;
	int option;

	while ((option = getopt(argc, argv, "d:i:r")) != -1) {
		switch (option) {
		case 'd':
			bdf = optarg;
			break;
		case 'i':
			count = strtoul(optarg, NULL, 10);
			break;
		case 'r':
			reroute = true;
			break;
		default:
			fprintf(stderr, "usage: irq_bench [-d BDF] [-i INTERRUPTS] [-r]\n"
				"  -r  write the route before each, as upstream's irq_test does\n");
			return 2;
		}
	}

	if (!count) {
		fprintf(stderr, "irq_bench: -i takes a number of interrupts\n");
		return 2;
	}

	open_source(&source, bdf);
	run(&source, count, reroute);
	close_source(&source);
	return 0;
}
