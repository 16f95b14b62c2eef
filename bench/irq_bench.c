// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts through the guest as fast as they are counted, one after the other: what
 * scripts/bench times beside upstream's irq_test, which takes the same options; and with -p, what
 * each path of delivery costs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/kernel.h>

#include <host/delivery_path.h>
#include <host/irq_line.h>
#include <host/kvm_compat.h>
#include <libvfio/assert.h>
#include <libvfio/deadline.h>
#include <libvfio/dma_region.h>

#define IRQ_MS 2000
#define VECTOR 0x77
#define WARM_UP 10
#define MAX_BATCH (IRQ_COUNTER_NR_VECTORS - IRQ_COUNTER_FIRST_VECTOR)

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

static void fire_msi(const struct source *source)
{
	vfio_pci_driver_send_msi(source->device);
}

static void write_eventfd(const struct source *source)
{
	VFIO_ASSERT_EQ(eventfd_write(source->eventfd, 1), 0);
}

/* One interrupt after the other, each fired once the one before is counted. */
static void fire_and_count(struct irq_vm *vm, const struct source *source,
			   void (*fire)(const struct source *source), unsigned long count,
			   struct irq_line *reroute)
{
	u64 before = irq_vm_count(vm, 0, VECTOR);

	for (unsigned long i = 1; i <= count; i++) {
		if (reroute)
			irq_line_route(reroute, 0, VECTOR);
		fire(source);
		VFIO_ASSERT_TRUE(wait_for(irq_vm_count(vm, 0, VECTOR) - before >= i, IRQ_MS),
				 "interrupt %lu of %lu did not arrive", i, count);
	}
	VFIO_ASSERT_EQ(irq_vm_count(vm, 0, VECTOR) - before, count);
}

static void run(const struct source *source, unsigned long count, bool reroute)
{
	struct irq_vm *vm = irq_vm_create(&(struct irq_vm_config){ .nr_vcpus = 1 });
	struct irq_line line;

	irq_line_connect(&line, vm, source->eventfd, GSI_ROUTING_FIRST_MSI);
	irq_line_route(&line, 0, VECTOR);
	fire_and_count(vm, source, source->device ? fire_msi : write_eventfd, count,
		       reroute ? &line : NULL);
	irq_line_disconnect(&line);
	irq_vm_destroy(vm);
}

/*
 * As many as @size at once, each by an eventfd, a GSI and a vector of its own; then all of them
 * must have been counted once, and nothing else, before the next ones are fired.
 */
static void run_batches(unsigned long count, unsigned long size)
{
	struct irq_vm *vm = irq_vm_create(&(struct irq_vm_config){ .nr_vcpus = 1 });
	struct irq_expectation expectation = irq_expectation_init(vm);
	struct irq_line lines[MAX_BATCH];

	for (u32 i = 0; i < size; i++) {
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		VFIO_ASSERT_GE(fd, 0);
		irq_line_connect(&lines[i], vm, fd, GSI_ROUTING_FIRST_MSI + i);
		irq_line_route(&lines[i], 0, IRQ_COUNTER_FIRST_VECTOR + i);
	}

	for (unsigned long left = count; left; left -= min(left, size)) {
		for (u32 i = 0; i < min(left, size); i++) {
			irq_line_expect(&lines[i], &expectation);
			VFIO_ASSERT_EQ(eventfd_write(lines[i].eventfd, 1), 0);
		}
		VFIO_ASSERT_EQ(irq_expectation_wait(&expectation, IRQ_MS), 0U);
	}
	VFIO_ASSERT_EQ(irq_expectation_settle(&expectation), 0U);

	for (u32 i = 0; i < size; i++) {
		irq_line_disconnect(&lines[i]);
		close(lines[i].eventfd);
	}
	irq_expectation_cleanup(&expectation);
	irq_vm_destroy(vm);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Prints what @count interrupts cost: name, interrupts per second, exits for each. */
static void measure(struct irq_vm *vm, const struct source *source, const char *name,
		    void (*fire)(const struct source *source), unsigned long count)
{
	struct vfio_pci_driver *driver = &source->device->driver;
	struct delivery_probe probe;
	u64 exits, host_irqs;
	double begin, took;

	/* Also lets the vCPU notice that APICv was inhibited or released. */
	fire_and_count(vm, source, fire, WARM_UP, NULL);
	probe = delivery_probe_begin(source->device->bdf, driver->irq_index, driver->msi);
	exits = irq_vm_exits(vm, 0);
	begin = seconds();
	fire_and_count(vm, source, fire, count, NULL);
	took = seconds() - begin;
	exits = irq_vm_exits(vm, 0) - exits;

	host_irqs = delivery_probe_host_irqs(&probe);
	if (!name)
		name = delivery_path_name(delivery_classify(count, host_irqs,
							    !delivery_posting_missing()));
	printf("%s %.0f %.3f\n", name, count / took, (double)exits / count);
}

/*
 * The same vCPU, vector and device by each path there is. vCPU 1 stays outside of KVM_RUN, so
 * that it costs nothing; but a message to both of them is none that could be posted, and so makes
 * KVM take the other path in the same VM with AVIC or APICv on.
 */
static void run_by_path(const struct source *source, unsigned long count)
{
	struct irq_vm *vm = irq_vm_create(&(struct irq_vm_config){ .nr_vcpus = 2 });
	struct irq_line line;

	irq_vm_pause(vm, 1);
	irq_line_connect(&line, vm, source->eventfd, GSI_ROUTING_FIRST_MSI);
	irq_line_route_message(&line, msi_message_logical(1, VECTOR));
	measure(vm, source, NULL, fire_msi, count);
	measure(vm, source, "eventfd", write_eventfd, count);
	if (!delivery_posting_missing()) {
		irq_line_route_message(&line, msi_message_logical(3, VECTOR));
		measure(vm, source, NULL, fire_msi, count);
	}

	irq_line_disconnect(&line);
	irq_vm_resume(vm, 1);
	irq_vm_destroy(vm);
}

static int print_help(void)
{
	fprintf(stderr, "usage: irq_bench [-d BDF [-p]] [-i INTERRUPTS] [-r]\n"
		"       irq_bench -b BATCH [-i INTERRUPTS]\n"
		"  -b  by eventfd, so many at once, each with a vector of its own; %u at most\n"
		"  -p  by each path of delivery: PATH, INTERRUPTS PER SECOND, EXITS FOR EACH\n"
		"  -r  write the route before each, as upstream's irq_test does\n", MAX_BATCH);
	return 2;
}

int main(int argc, char **argv)
{
	bool reroute = false, by_path = false;
	unsigned long count = 1000, batch = 0;
	struct source source = {};
	const char *bdf = NULL;
	int option;

	while ((option = getopt(argc, argv, "b:d:i:pr")) != -1) {
		switch (option) {
		case 'b':
			batch = strtoul(optarg, NULL, 10);
			break;
		case 'd':
			bdf = optarg;
			break;
		case 'i':
			count = strtoul(optarg, NULL, 10);
			break;
		case 'p':
			by_path = true;
			break;
		case 'r':
			reroute = true;
			break;
		default:
			return print_help();
		}
	}

	if (!count || batch > MAX_BATCH || (by_path && !bdf))
		return print_help();
	if (batch) {
		run_batches(count, batch);
		return 0;
	}

	open_source(&source, bdf);
	if (by_path)
		run_by_path(&source, count);
	else
		run(&source, count, reroute);
	close_source(&source);
	return 0;
}
