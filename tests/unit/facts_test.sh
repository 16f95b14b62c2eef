#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/facts.sh on made-up machines: what it says of IOMMU, KVM, CPU and the kernel's options.

set -euo pipefail
build=${O:-build}

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/facts.XXXXXX")
trap 'rm -rf "$work"' EXIT
unset KVM_VFIO_TESTS_LAB
export KVM_VFIO_TESTS_ROOT=$work
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"
# shellcheck source=scripts/test-list.sh
. "$top/scripts/test-list.sh"
# shellcheck source=scripts/facts.sh
. "$top/scripts/facts.sh"

# file PATH LINE: below the made-up root.
file()
{
	mkdir -p "$work/${1%/*}"
	printf '%s\n' "$2" >"$work/$1"
}

# says NAME FUNCTION LINE: among what the function prints.
says()
{
	local out why=''

	out=$("$2")
	grep -qxF -e "$3" <<<"$out" || why="not '$3'"
	tap_result "$1" "$why" "$out"
}

parameters=sys/module/kvm_intel/parameters

tap_begin
tap_plan 12
says no_iommu_is_none facts_iommu 'IOMMU: none'
says no_kvm_is_none facts_kvm 'KVM: none'
says no_dmi_is_unknown facts_machine 'machine: unknown'
for unit in 0 1; do
	file "sys/class/iommu/dmar$unit/intel-iommu/cap" 8d2078c106f0466
	file "sys/class/iommu/dmar$unit/intel-iommu/ecap" f020df
done
says units_that_are_alike_are_told_once facts_iommu \
	'IOMMU: VT-d, 2 units, cap 8d2078c106f0466 ecap f020df'
file sys/class/iommu/dmar1/intel-iommu/ecap f0
says units_that_differ_are_told_each facts_iommu \
	'IOMMU: VT-d, 2 units, cap 8d2078c106f0466 ecap f020df, cap 8d2078c106f0466 ecap f0'
rm -r "$work/sys/class/iommu"
file sys/class/iommu/ivhd0/amd-iommu/features 25bf732fa2295afe:53f
says amds_registers_are_told facts_iommu 'IOMMU: AMD-Vi, features 25bf732fa2295afe:53f'
file $parameters/enable_apicv Y
file $parameters/enable_device_posted_irqs N
says parameters_of_kvm_are_told facts_kvm \
	'KVM: kvm_intel, enable_apicv=Y, enable_device_posted_irqs=N'
file sys/class/dmi/id/sys_vendor Moon
file sys/class/dmi/id/product_name 'Lander 1'
file sys/class/dmi/id/bios_version 7
says machine_and_firmware_are_told facts_machine 'machine: Moon Lander 1, firmware 7'
file proc/cpuinfo 'processor	: 0
cpu family	: 6
model		: 207
model name	: A CPU
stepping	: 2
flags		: fpu vmx x2apic apicvx
vmx flags	: vnmi posted_intr apicv

processor	: 1
flags		: svm'
says features_of_interrupts_are_told facts_cpu 'CPU features: vmx apicv posted_intr x2apic'
file proc/cmdline 'quiet lab.accel=kvm iommu=pt'
file proc/sys/kernel/tainted 512
says a_tainted_kernel_is_told facts_kernel 'tainted: 512'
printf '# CONFIG_KVM_AMD is not set\nCONFIG_KVM=m\nCONFIG_HZ=1000\n' | gzip >"$work/proc/config.gz"
tap_result options_are_told_with_those_that_are_off "$(
	said=$(facts_kernel)
	[[ $said == *$'\n'"config: KVM=m KVM_INTEL=n KVM_AMD=n "*" HZ=1000 "* ]] || echo "$said")"
test_dir=$build/tests
run_names=(front_door_lab_test irqfd_guest_test)
tap_result a_program_says_whether_interrupts_can_be_posted "$(
	said=$(facts_posting)
	[[ $said == "posting: by KVM and IOMMU" || $said == "posting: none, "?* ]] || echo "$said")"
tap_end
