/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kvm_util by the names of its newest version. The only place that knows how the kernel trees
 * differ, from 6.12 on; the Makefile looks into the tree and defines KVM_UTIL_*.
 */
#ifndef HOST_KVM_COMPAT_H
#define HOST_KVM_COMPAT_H

#include <kvm_util.h>
#include <processor.h>

#ifdef KVM_UTIL_HAS_VM_VADDR_ALLOC
typedef vm_vaddr_t gva_t;
#define vm_alloc(_vm, _size, _min) vm_vaddr_alloc((_vm), (_size), (_min))
#endif

#endif /* HOST_KVM_COMPAT_H */
