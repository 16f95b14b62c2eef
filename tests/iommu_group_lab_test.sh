#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A device is refused while a host driver uses another one of its IOMMU group, with a sentence that
# names the other, by run.sh and by a test program alike; together, or beside a sibling that does
# no DMA, it is tested. Bug class: half a group handed to user space.
#
# Needs the lab's machine: a group of an NVMe controller that the kernel drives and an edu.

set -euo pipefail
unset O KVM_VFIO_TESTS_OUTER VFIO_SELFTESTS_BDF

case ${1:-} in
--describe)
	printf 'iommu_group_lab_test\tlab\thalf an IOMMU group is refused, a whole one is not\n'
	exit 0
	;;
esac

pci=/sys/bus/pci
program=build/tests/vfio_pci_device_test
# One door for groups and one for character devices. The first filter that fits a case decides.
quickly=(-V vfio_type1_iommu -V iommufd_compat_type1 -V iommufd_compat_type1v2
	-t config_space_names_the_device_that_sysfs_names)
log=$(mktemp)
nvme=
edu=
# shellcheck source=scripts/tap.sh
. scripts/tap.sh

driver_of()
{
	basename "$(readlink "$pci/devices/$1/driver" || echo none)"
}

# bind BDF DRIVER: from whatever it is bound to.
bind()
{
	printf '%s\n' "$2" >"$pci/devices/$1/driver_override"
	[[ ! -e $pci/devices/$1/driver ]] || printf '%s\n' "$1" >"$pci/devices/$1/driver/unbind"
	printf '%s\n' "$1" >"$pci/drivers_probe"
	printf '\n' >"$pci/devices/$1/driver_override"
	[[ $(driver_of "$1") == "$2" ]]
}

# The first two functions of a group of two: an nvme and an edu.
find_group()
{
	local member members

	for member in "$pci"/devices/*; do
		members=("$member"/iommu_group/devices/*)
		[[ ${#members[@]} == 2 && $(<"$member/device") == 0x11e8 ]] || continue
		edu=${member##*/}
		nvme=${members[0]##*/}
		[[ $nvme != "$edu" ]] || nvme=${members[1]##*/}
	done
	[[ -n $nvme && $(<"$pci/devices/$nvme/class") == 0x0108* ]]
}

# expect NAME STATUS SENTENCE LINES COMMAND...: LINES is how much it may say on stderr.
expect()
{
	local name=$1 wanted=$2 sentence=$3 lines=$4 status=0 why='' drivers

	shift 4
	drivers="$(driver_of "$nvme"), $(driver_of "$edu")"
	"$@" >"$log.out" 2>"$log" || status=$?
	((status == wanted)) || why="exit status $status, not $wanted"
	[[ -z $sentence ]] || grep -qF -e "$sentence" "$log" || why="it does not say: $sentence"
	(($(wc -l <"$log") <= lines)) || why="it says more than $lines lines"
	[[ "$(driver_of "$nvme"), $(driver_of "$edu")" == "$drivers" ]] || why="a driver changed"
	tap_result "$name" "$why" "$(cat "$log.out" "$log")"
}

if [[ -z ${KVM_VFIO_TESTS_LAB:-} ]]; then
	printf 'TAP version 13\n1..0 # SKIP it plays with devices of the lab, run it there\n'
	exit 4
fi
if ! find_group || [[ $(driver_of "$nvme") != nvme ]]; then
	printf 'TAP version 13\n1..0 # SKIP the lab lacks the NVMe driver or a group of two\n'
	exit 4
fi

tap_begin
tap_plan 5
viable="is not viable: $nvme is bound to nvme"
expect run_sh_refuses_half_a_group 2 "$viable" 1 ./run.sh -d "$edu" vfio_pci_device_test
expect run_sh_takes_the_whole_group 0 PASS: 99 ./run.sh -d "$edu" -d "$nvme" \
	vfio_pci_device_test -- "${quickly[@]}"

bind "$edu" vfio-pci
expect a_program_refuses_half_a_group 2 "$viable" 1 "$program" "$edu"
bind "$nvme" pci-stub
expect a_sibling_that_does_no_dma_is_no_obstacle 0 '' 99 "$program" "${quickly[@]}" "$edu"
bind "$nvme" vfio-pci
expect a_sibling_of_vfio_pci_is_no_obstacle 0 '' 99 "$program" "${quickly[@]}" "$edu"
bind "$nvme" nvme
printf '%s\n' "$edu" >"$pci/devices/$edu/driver/unbind"
rm -f "$log" "$log.out"
tap_end
