/* SPDX-License-Identifier: GPL-2.0-only */
/* What VFIO_DEVICE_SET_IRQS of vfio-pci is to answer and to do, after linux/vfio.h. */
#ifndef TESTS_IRQ_SET_MODEL_H
#define TESTS_IRQ_SET_MODEL_H

#include <stdbool.h>

#include <linux/types.h>
#include <linux/vfio.h>

/* No more vectors of a device are modelled, and none behind them may be used. */
#define IRQ_MODEL_VECTORS 8
/* The type of a device on which none is enabled. */
#define IRQ_MODEL_NONE VFIO_PCI_NUM_IRQS

/**
 * enum irq_set_data - What a test puts into the data of a call, where that takes any.
 * @IRQ_DATA_SET: an eventfd for each vector; true
 * @IRQ_DATA_CLEAR: -1; false
 * @IRQ_DATA_CLOSED: descriptors that are not open; false
 * @IRQ_DATA_NO_EVENTFD: descriptors of something else; false
 * @IRQ_DATA_LAST_CLOSED: an eventfd for all vectors but the last one, which gets a descriptor
 *	that is not open; true but for the last one
 */
enum irq_set_data {
	IRQ_DATA_SET,
	IRQ_DATA_CLEAR,
	IRQ_DATA_CLOSED,
	IRQ_DATA_NO_EVENTFD,
	IRQ_DATA_LAST_CLOSED,
	NR_IRQ_SET_DATA,
};

/**
 * struct irq_model - A device's interrupts.
 * @num: vectors of each index, from VFIO_DEVICE_GET_IRQ_INFO; 0 for an index it refuses
 * @noresize: of each index, VFIO_IRQ_INFO_NORESIZE
 * @type: the index of INTx, MSI and MSI-X that is enabled, or IRQ_MODEL_NONE
 * @allocated: how many vectors @type was enabled with
 * @armed: which of them have an eventfd
 * @masked: INTx is
 * @unmask: INTx has an eventfd that unmasks it
 * @single: the indexes behind MSI-X, of one vector each, that have an eventfd
 */
struct irq_model {
	u32 num[VFIO_PCI_NUM_IRQS];
	bool noresize[VFIO_PCI_NUM_IRQS];
	u32 type;
	u32 allocated;
	bool armed[IRQ_MODEL_VECTORS];
	bool masked;
	bool unmask;
	bool single[VFIO_PCI_NUM_IRQS];
};

/**
 * struct irq_model_signals - What a call adds to each eventfd.
 * @vector: those of the enabled type
 * @single: those of the indexes behind MSI-X
 */
struct irq_model_signals {
	u64 vector[IRQ_MODEL_VECTORS];
	u64 single[VFIO_PCI_NUM_IRQS];
};

/**
 * irq_model_set() - Do what VFIO_DEVICE_SET_IRQS does.
 * @model: changed as the device is to change
 * @set: the call; its data is that of @data
 * @data: what it is given
 * @signals: receives what it adds to the eventfds
 *
 * Return: 0 or -errno.
 */
int irq_model_set(struct irq_model *model, const struct vfio_irq_set *set, enum irq_set_data data,
		  struct irq_model_signals *signals);

#endif /* TESTS_IRQ_SET_MODEL_H */
