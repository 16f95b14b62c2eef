/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * MMIO accessors by the kernel's names. Linux 6.12 has no tools/include/asm/io.h, so the few
 * that drivers need stand here. PCI is little endian and so is every host KVM/x86 runs on.
 */
#ifndef LIBVFIO_IO_H
#define LIBVFIO_IO_H

#include <linux/types.h>

#define LIBVFIO_MMIO(_suffix, _type)							\
static inline _type read##_suffix(const volatile void *addr)				\
{											\
	_type value = *(const volatile _type *)addr;					\
											\
	__asm__ __volatile__("" ::: "memory");						\
	return value;									\
}											\
											\
static inline void write##_suffix(_type value, volatile void *addr)			\
{											\
	__asm__ __volatile__("" ::: "memory");						\
	*(volatile _type *)addr = value;						\
}

/* x86 keeps uncached accesses in order; only the compiler has to be told. */
LIBVFIO_MMIO(b, u8)
LIBVFIO_MMIO(w, u16)
LIBVFIO_MMIO(l, u32)
LIBVFIO_MMIO(q, u64)

#endif /* LIBVFIO_IO_H */
