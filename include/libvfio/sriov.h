/* SPDX-License-Identifier: GPL-2.0-only */
/* Virtual functions of a device that is bound to vfio-pci. */
#ifndef LIBVFIO_SRIOV_H
#define LIBVFIO_SRIOV_H

#include <sys/types.h>

#include <linux/types.h>

#include <libvfio/pci_bdf.h>

/**
 * struct sriov - Virtual functions that this process has made.
 * @pf: the physical function
 * @nr_vfs: how many there are
 * @guard: the process that removes them
 * @leash: what it waits for the end of
 */
struct sriov {
	char pf[PCI_BDF_SIZE];
	u32 nr_vfs;
	pid_t guard;
	int leash;
};

/**
 * sriov_missing() - Why virtual functions of a device cannot be had.
 * @pf: bound to vfio-pci
 *
 * Return: NULL if they can, otherwise a sentence for a SKIP.
 */
const char *sriov_missing(const char *pf);

/**
 * __sriov_set_allowed() - vfio-pci's parameter enable_sriov.
 * @allowed: whether functions bound to vfio-pci may have virtual functions
 *
 * Return: the former value, or -errno.
 */
int __sriov_set_allowed(int allowed);

/** sriov_total_vfs() - How many virtual functions @pf can have, 0 if it has no SR-IOV. */
u32 sriov_total_vfs(const char *pf);

/**
 * __sriov_set_vfs() - Write sriov_numvfs, by hand.
 *
 * Return: 0 or -errno.
 */
int __sriov_set_vfs(const char *pf, u32 count);

/**
 * sriov_enable() - Allow virtual functions and make some, which vfio-pci binds.
 * @sriov: to be described
 * @pf: bound to vfio-pci; may be open
 * @count: how many
 *
 * They and the parameter enable_sriov are as before once sriov_disable() was called or this
 * process is gone, whatever ended it.
 */
void sriov_enable(struct sriov *sriov, const char *pf, u32 count);

/** sriov_disable() - Remove them again. None may be open. */
void sriov_disable(struct sriov *sriov);

/**
 * sriov_vf() - The address of a virtual function.
 * @pf: the physical function
 * @number: 0 for the first
 * @bdf: receives its address
 *
 * Return: 0, or -ENOENT.
 */
int sriov_vf(const char *pf, u32 number, char bdf[PCI_BDF_SIZE]);

#endif /* LIBVFIO_SRIOV_H */
