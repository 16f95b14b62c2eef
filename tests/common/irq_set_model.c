// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order of the checks is part of the interface, for it decides about the errno: first the
 * structure (EINVAL), then whether the index has such an action at all (ENOTTY), then whether the
 * state of the device allows it (EINVAL), at last the descriptors (EBADF; EINVAL for a file that
 * is no eventfd).
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <tests/irq_set_model.h>

#define FLAGS (VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK)

static bool is_loopback(const struct vfio_irq_set *set)
{
	return !(set->flags & VFIO_IRQ_SET_DATA_EVENTFD);
}

static bool is_disable(const struct vfio_irq_set *set)
{
	return set->flags & VFIO_IRQ_SET_DATA_NONE && !set->count;
}

/* Whether a call without eventfds means the i-th of its vectors. */
static bool is_meant(const struct vfio_irq_set *set, enum irq_set_data data, u32 i)
{
	if (set->flags & VFIO_IRQ_SET_DATA_NONE)
		return true;

	return data == IRQ_DATA_SET || (data == IRQ_DATA_LAST_CLOSED && i + 1 < set->count);
}

/* 1 if the i-th descriptor is an eventfd, 0 if it is -1, -errno if it is something else. */
static int descriptor(const struct vfio_irq_set *set, enum irq_set_data data, u32 i)
{
	switch (data) {
	case IRQ_DATA_SET:
		return 1;
	case IRQ_DATA_CLEAR:
		return 0;
	case IRQ_DATA_NO_EVENTFD:
		return -EINVAL;
	case IRQ_DATA_LAST_CLOSED:
		return i + 1 < set->count ? 1 : -EBADF;
	default:
		return -EBADF;
	}
}

static int check_structure(const struct irq_model *model, const struct vfio_irq_set *set)
{
	u64 size = 0, end = (u64)set->start + set->count;

	if (set->argsz < sizeof(*set) || set->flags & ~FLAGS || set->index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	if (set->start >= model->num[set->index] || end > model->num[set->index])
		return -EINVAL;

	switch (set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		break;
	case VFIO_IRQ_SET_DATA_BOOL:
		size = sizeof(u8);
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		size = sizeof(s32);
		break;
	default:
		return -EINVAL;
	}

	return set->argsz - sizeof(*set) < set->count * size ? -EINVAL : 0;
}

/* Only INTx can be masked, and only by hand: a masking eventfd is in the header alone. */
static int intx_mask(struct irq_model *model, const struct vfio_irq_set *set,
		     enum irq_set_data data)
{
	bool mask = set->flags & VFIO_IRQ_SET_ACTION_MASK;
	int fd = descriptor(set, data, 0);

	if (model->type != VFIO_PCI_INTX_IRQ_INDEX || set->count != 1)
		return -EINVAL;

	if (is_loopback(set)) {
		if (is_meant(set, data, 0))
			model->masked = mask;
		return 0;
	}

	if (mask)
		return -ENOTTY;
	if (fd == 1 && model->unmask)
		return -EBUSY;
	if (fd >= 0)
		model->unmask = fd;
	return fd < 0 ? fd : 0;
}

static int disable(struct irq_model *model)
{
	model->type = IRQ_MODEL_NONE;
	model->allocated = 0;
	memset(model->armed, 0, sizeof(model->armed));
	model->masked = false;
	model->unmask = false;
	return 0;
}

static int intx_trigger(struct irq_model *model, const struct vfio_irq_set *set,
			enum irq_set_data data, struct irq_model_signals *signals)
{
	bool enabled = model->type == VFIO_PCI_INTX_IRQ_INDEX;
	int fd = descriptor(set, data, 0);

	if (enabled && is_disable(set))
		return disable(model);
	if (set->count != 1 || !(enabled || model->type == IRQ_MODEL_NONE))
		return -EINVAL;

	if (is_loopback(set)) {
		if (!enabled)
			return -EINVAL;
		signals->vector[0] += model->armed[0] && is_meant(set, data, 0);
		return 0;
	}

	if (fd < 0)
		return fd;
	model->type = VFIO_PCI_INTX_IRQ_INDEX;
	model->allocated = 1;
	model->armed[0] = fd;
	return 0;
}

/*
 * A block that fails is taken apart up to the vector it failed at, also where there was
 * something before; the rest of the block stays as it was.
 */
static int msi_arm(struct irq_model *model, const struct vfio_irq_set *set, enum irq_set_data data)
{
	for (u32 i = 0; i < set->count; i++) {
		int fd = descriptor(set, data, i);

		if (fd && model->noresize[set->index] && set->start + i >= model->allocated)
			fd = -EINVAL;
		if (fd < 0) {
			memset(model->armed + set->start, 0, (i + 1) * sizeof(*model->armed));
			return fd;
		}
		model->armed[set->start + i] = fd;
	}

	return 0;
}

static int msi_trigger(struct irq_model *model, const struct vfio_irq_set *set,
		       enum irq_set_data data, struct irq_model_signals *signals)
{
	bool enabled = model->type == set->index;
	int ret;

	if (enabled && is_disable(set))
		return disable(model);
	if (!enabled && (model->type != IRQ_MODEL_NONE || is_loopback(set)))
		return -EINVAL;

	if (is_loopback(set)) {
		for (u32 i = 0; i < set->count; i++) {
			u32 vector = set->start + i;

			signals->vector[vector] += model->armed[vector] && is_meant(set, data, i);
		}
		return 0;
	}

	if (enabled)
		return msi_arm(model, set, data);

	/* pci_alloc_irq_vectors() of none at all. */
	if (!(set->start + set->count))
		return -ERANGE;

	model->type = set->index;
	model->allocated = set->start + set->count;
	ret = msi_arm(model, set, data);
	if (ret)
		disable(model);
	return ret;
}

/* Errors of the device and requests to release it. */
static int single_trigger(struct irq_model *model, const struct vfio_irq_set *set,
			  enum irq_set_data data, struct irq_model_signals *signals)
{
	bool *armed = &model->single[set->index];
	int fd = descriptor(set, data, 0);

	if (is_disable(set)) {
		if (!*armed)
			return -EINVAL;
		*armed = false;
		return 0;
	}
	if (!set->count)
		return -EINVAL;

	if (!is_loopback(set)) {
		if (fd >= 0)
			*armed = fd;
		return fd < 0 ? fd : 0;
	}

	signals->single[set->index] += *armed && is_meant(set, data, 0);
	return set->flags & VFIO_IRQ_SET_DATA_NONE && !*armed ? -EINVAL : 0;
}

int irq_model_set(struct irq_model *model, const struct vfio_irq_set *set, enum irq_set_data data,
		  struct irq_model_signals *signals)
{
	u32 action = set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	int ret = check_structure(model, set);

	memset(signals, 0, sizeof(*signals));
	if (ret)
		return ret;

	if (set->index == VFIO_PCI_INTX_IRQ_INDEX &&
	    (action == VFIO_IRQ_SET_ACTION_MASK || action == VFIO_IRQ_SET_ACTION_UNMASK))
		return intx_mask(model, set, data);
	if (action != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -ENOTTY;

	switch (set->index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return intx_trigger(model, set, data, signals);
	case VFIO_PCI_MSI_IRQ_INDEX:
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return msi_trigger(model, set, data, signals);
	default:
		return single_trigger(model, set, data, signals);
	}
}
