/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The oracle for how a device's interrupt came into the guest. Its witness is the host's own
 * count in /proc/interrupts: a posted interrupt never raises the host's vector, a remapped one
 * raises it once and KVM injects it.
 */
#ifndef HOST_DELIVERY_PATH_H
#define HOST_DELIVERY_PATH_H

#include <stdbool.h>

#include <linux/types.h>

/* How interrupts that the guest has counted came into it. */
enum delivery_path {
	DELIVERY_EVENTFD,	/* no device involved: written to, or VFIO's loopback */
	DELIVERY_REMAPPED,	/* the host took each one and injected it through the irqfd */
	DELIVERY_POSTED,	/* the IOMMU wrote each one into the vCPU's APIC */
	DELIVERY_MIXED,		/* some posted, some remapped */
	DELIVERY_IMPOSSIBLE,	/* the host's count contradicts the guest's or its own abilities */
};

/** delivery_path_name() - "posted", "remapped", ... */
const char *delivery_path_name(enum delivery_path path);

/**
 * delivery_posting_missing() - Why this host cannot post interrupts.
 *
 * Looks at the parameters of kvm_intel or kvm_amd, whichever this CPU is for, and at the
 * capabilities of every IOMMU.
 *
 * Return: NULL if it can, otherwise the reason.
 */
const char *delivery_posting_missing(void);

/**
 * delivery_posting_forbidden() - Why these kernel parameters rule posting out.
 * @parameters: as in /proc/cmdline
 *
 * Return: NULL if they do not, otherwise the reason.
 */
const char *delivery_posting_forbidden(const char *parameters);

/**
 * delivery_kernel_says() - Whether KVM itself tells if it posts: enable_device_posted_irqs.
 *
 * New in 6.16. Older kernels are known to do some of it wrong.
 */
bool delivery_kernel_says(void);

/** delivery_expected() - How a device's MSI to one vCPU has to come on this host. */
enum delivery_path delivery_expected(void);

/**
 * delivery_expected_inhibited() - The same while APICv or AVIC is inhibited.
 *
 * AMD-Vi's entry is switched to remapping then (avic_refresh_apicv_exec_ctrl()). VT-d's goes on
 * pointing to the descriptor, which KVM reads.
 */
enum delivery_path delivery_expected_inhibited(void);

/**
 * delivery_wakeups() - Host interrupts so far by which IOMMUs told that a vCPU which does not run
 * has an interrupt posted: AMD-Vi's GA log, or the wakeup vector (PIW) of VT-d.
 *
 * Of all VMs of the host. An AMD-Vi without XTSup counts them on one line with its other events.
 */
u64 delivery_wakeups(void);

/** delivery_wakeup_name() - "GA log" or "PIW". */
const char *delivery_wakeup_name(void);

/**
 * struct delivery_probe - The host's count of one vector before something is sent.
 * @bdf: the device
 * @index: VFIO_PCI_{INTX,MSI,MSIX}_IRQ_INDEX
 * @vector: vector of @index
 * @host_irq: the Linux irq number
 * @before: its count at delivery_probe_begin()
 */
struct delivery_probe {
	const char *bdf;
	u32 index;
	u32 vector;
	unsigned int host_irq;
	u64 before;
};

/**
 * delivery_probe_begin() - Note the host's count of an enabled vector.
 * @bdf: segment:bus:device.function, must outlive the probe
 * @index: VFIO_PCI_{INTX,MSI,MSIX}_IRQ_INDEX
 * @vector: vector of @index
 */
struct delivery_probe delivery_probe_begin(const char *bdf, u32 index, u32 vector);

/**
 * delivery_probe_host_irqs() - Interrupts the host has taken on the vector since the beginning.
 */
u64 delivery_probe_host_irqs(const struct delivery_probe *probe);

/**
 * delivery_classify() - Decide how interrupts of a device came.
 * @sent: interrupts the device raised, all of them counted by the guest
 * @host_irqs: interrupts the host took on the vector meanwhile
 * @posting_possible: whether the host is able to post at all
 *
 * A host that cannot post may have taken fewer than were sent: what comes to another CPU while the
 * handler of the one before still runs is handled by that handler, and not counted
 * (handle_edge_irq() of kernel/irq/chip.c).
 *
 * Return: posted only for 0 of @sent on a host that can post, remapped there only for all of them,
 * impossible also for nothing sent.
 */
enum delivery_path delivery_classify(u64 sent, u64 host_irqs, bool posting_possible);

/**
 * delivery_combine() - What to call two vectors together: their path if they share one, else mixed.
 * @a: path of one vector
 * @b: path of another; an impossible one makes both impossible
 */
enum delivery_path delivery_combine(enum delivery_path a, enum delivery_path b);

#endif /* HOST_DELIVERY_PATH_H */
