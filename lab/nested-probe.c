// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether this machine can run a virtual machine: makes one with a single CPU, lets it execute
 * one instruction and looks at how it came back. Run in a lab that is itself accelerated by KVM
 * this answers whether nested virtualisation works, which neither the CPU's flags nor a
 * /dev/kvm that opens can tell.
 *
 * Exit status: 0 it can, 1 it cannot, with one line on stderr that says what failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define GUEST_PAGE 0x1000UL

static const uint8_t guest_code[] = { 0xf4 };	/* hlt, in real mode */

static int failed(const char *what)
{
	fprintf(stderr, "nested-probe: %s: %s\n", what, strerror(errno));
	return 1;
}

/* A VM with one page of memory, which holds the code. Returns its fd or -1. */
static int make_vm(int kvm)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = GUEST_PAGE,
		.memory_size = GUEST_PAGE,
	};
	void *page;
	int vm;

	page = mmap(NULL, GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return -1;
	memcpy(page, guest_code, sizeof(guest_code));
	region.userspace_addr = (uintptr_t)page;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		return -1;
	return vm;
}

/* Starts the vCPU at the code, in real mode with flat segments. */
static int aim_vcpu(int vcpu)
{
	struct kvm_regs regs = { .rip = GUEST_PAGE, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(vcpu, KVM_GET_SREGS, &sregs))
		return -1;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs))
		return -1;
	return ioctl(vcpu, KVM_SET_REGS, &regs);
}

int main(void)
{
	int kvm, vm, vcpu, run_size;
	struct kvm_run *run;

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		return failed("/dev/kvm");
	vm = make_vm(kvm);
	if (vm < 0)
		return failed("cannot make a VM");
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vcpu < 0 || run_size < 0)
		return failed("cannot make a vCPU");
	run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED || aim_vcpu(vcpu))
		return failed("cannot set the vCPU up");
	if (ioctl(vcpu, KVM_RUN, 0))
		return failed("KVM_RUN");
	if (run->exit_reason != KVM_EXIT_HLT) {
		fprintf(stderr, "nested-probe: exit reason %u instead of HLT\n", run->exit_reason);
		return 1;
	}
	return 0;
}
