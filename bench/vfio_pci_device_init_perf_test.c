// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long it takes to open and to close devices, one alone and all of them at once, in each
 * IOMMU mode. Opening resets the device, which is most of the time; what devices wait for each
 * other for shows when all of them are opened in parallel. A device that does not answer while it
 * is open ends the program with an error.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <linux/kernel.h>

#include <libvfio/vfio_pci_device.h>

#include "options.h"
#include "samples.h"

#define MAX_DEVICES 64
#define MAX_ROUNDS 1000

struct opener {
	pthread_t thread;
	pthread_barrier_t *barrier;
	const char *bdf;
	struct iommu *iommu;
	struct vfio_pci_device *device;
	u64 init_ns;
	u64 cleanup_ns;
};

/* The barriers keep the openings of all devices apart from their closings. */
static void *open_and_close(void *arg)
{
	struct opener *opener = arg;
	u64 start;

	pthread_barrier_wait(opener->barrier);
	start = now_ns();
	opener->device = vfio_pci_device_init(opener->bdf, opener->iommu);
	opener->init_ns = now_ns() - start;
	VFIO_ASSERT_NE(vfio_pci_config_readw(opener->device, PCI_VENDOR_ID), 0xffff,
		       "%s does not answer", opener->bdf);

	pthread_barrier_wait(opener->barrier);
	start = now_ns();
	vfio_pci_device_cleanup(opener->device);
	opener->cleanup_ns = now_ns() - start;
	return NULL;
}

/* Devices have an address space each: one of several devices is opened one after the other. */
static void round_of(const char *mode, char **bdfs, int count, struct samples *init,
		     struct samples *cleanup)
{
	struct opener openers[MAX_DEVICES];
	pthread_barrier_t barrier;

	pthread_barrier_init(&barrier, NULL, count);
	for (int i = 0; i < count; i++) {
		openers[i] = (struct opener){
			.barrier = &barrier,
			.bdf = bdfs[i],
			.iommu = iommu_init(mode),
		};
		VFIO_ASSERT_EQ(pthread_create(&openers[i].thread, NULL, open_and_close,
					      &openers[i]), 0);
	}
	for (int i = 0; i < count; i++) {
		pthread_join(openers[i].thread, NULL);
		iommu_cleanup(openers[i].iommu);
		samples_add(init, openers[i].init_ns);
		samples_add(cleanup, openers[i].cleanup_ns);
	}
	pthread_barrier_destroy(&barrier);
}

static void measure(FILE *csv, const char *mode, char **bdfs, int count, const char *which,
		    int rounds)
{
	static struct samples init, cleanup;
	char label[128];

	for (int i = 0; i < rounds; i++)
		round_of(mode, bdfs, count, &init, &cleanup);
	snprintf(label, sizeof(label), "%s %s %d init", mode, which, count);
	samples_report(stdout, csv, label, &init);
	snprintf(label, sizeof(label), "%s %s %d cleanup", mode, which, count);
	samples_report(stdout, csv, label, &cleanup);
}

static int explain(void)
{
	fprintf(stderr, "usage: vfio_pci_device_init_perf_test [-n ROUNDS] [-c CSV] BDF...\n"
		"  -n  how often each device is opened, 5 by default\n"
		"  -c  also write the figures there, comma separated\n"
		"The devices, %d at most, are bound to vfio-pci.\n", MAX_DEVICES);
	return 2;
}

int main(int argc, char **argv)
{
#define MODE(_mode) #_mode,
	const char *const modes[] = { FOR_EACH_IOMMU_MODE(MODE) };
	int option, rounds = 5, count;
	FILE *csv = NULL;

	while ((option = getopt(argc, argv, "n:c:")) != -1) {
		if (option == 'n')
			rounds = option_number(option, optarg, MAX_ROUNDS);
		else if (option == 'c')
			csv = option_csv(optarg);
		else
			return explain();
	}
	count = argc - optind;
	if (count < 1 || count > MAX_DEVICES)
		return explain();

	printf("microseconds to open and to close devices\n%-52s %6s %12s %12s %12s\n",
	       "mode devices count operation", "n", "min", "median", "p99");
	if (csv)
		fprintf(csv, "mode,devices,count,operation,n,min_us,median_us,p99_us\n");
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		const char *missing = iommu_mode_missing(iommu_mode_lookup(modes[i]));

		if (missing) {
			printf("%s: %s\n", modes[i], missing);
			continue;
		}
		for (int j = 0; j < count; j++)
			measure(csv, modes[i], argv + optind + j, 1, argv[optind + j], rounds);
		if (count > 1)
			measure(csv, modes[i], argv + optind, count, "parallel", rounds);
	}
	return csv && fclose(csv) ? 2 : 0;
}
