#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: posting_lab_test.sh [OPTION OF run.sh]...
#
# vfio_pci_device_irq_test is a test: in a lab that posts it says so; booted so that it must not
# post, that everything was remapped; and when the emulation skips a step, it fails and names the
# step. What hardware does once in a million, it survives. Bug class: an oracle that believes.
# --kernel saves building one.

set -euo pipefail
unset O VFIO_SELFTESTS_BDF

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/posting-lab.XXXXXX")
options=("$@")
extra=${QEMU_EXTRA:-}
runner=
status=0
out=
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"

# shellcheck disable=SC2317 # called by the trap
cleanup()
{
	if [[ -n $runner ]]; then
		kill "$runner" 2>/dev/null || true
		wait "$runner" 2>/dev/null || true
	fi
	rm -rf "$work"
}
trap cleanup EXIT

# lab QEMU_ARGUMENTS [OPTION OF run.sh]...: the test in a posting lab; sets out and status.
lab()
{
	local arguments=$1

	shift
	rm -rf "$work/log"
	status=0
	QEMU_EXTRA="$extra $arguments" "$top/run.sh" --posting "${options[@]}" \
		--log-dir "$work/log" "$@" vfio_pci_device_irq_test >"$work/out" 2>"$work/err" &
	runner=$!
	wait "$runner" || status=$?
	runner=
	out=$(<"$work/out")
}

# one_mode QEMU_ARGUMENTS [OPTION OF run.sh]...: as lab, sooner; no fault depends on the mode.
one_mode()
{
	lab "$@" --iommu-mode iommufd
}

# result NAME STATUS PATTERN...: each pattern is to match a line, one with ! in front none.
result()
{
	local name=$1 expected=$2 pattern why=''

	shift 2
	((status == expected)) || why="exit status $status, not $expected"
	for pattern; do
		if [[ $pattern == !* ]]; then
			! grep -qE -e "${pattern#!}" <<<"$out" || why="a line matches ${pattern#!}"
		else
			grep -qE -e "$pattern" <<<"$out" || why="no line matches $pattern"
		fi
	done
	tap_result "$name" "$why" "$out"$'\n'"$(<"$work/err")"
}

# fault NAME PROPERTIES STATUS PATTERN...: with properties of this lab's amd-iommu.
fault()
{
	local name=$1 properties=$2 property arguments=''

	shift 2
	for property in $properties; do
		arguments+=" -global amd-iommu.$property"
	done
	one_mode "$arguments"
	result "$name" "$@"
}

tap_begin
lab ''
if ((status == 2)); then
	printf '1..0 # SKIP %s\n' "$(tail -n 1 "$work/err")"
	exit 4
fi
tap_plan 10

result the_test_passes_and_proves_that_msis_are_posted 0 \
	', posted \(host irqs \+0, GA log \+[1-9]' \
	'as NMI: .* remapped \(host irqs \+[1-9]' 'APICv inhibited: .* remapped' \
	'APICv released: .* posted' '!but posted was expected'
one_mode '' --append kvm_amd.avic=0
result nothing_is_posted_without_avic 0 '!, posted \(' \
	', remapped \(host irqs \+[1-9]; kvm_amd.avic=N'
one_mode '' --append amd_iommu_intr=legacy
result nothing_is_posted_when_the_iommu_was_told_not_to 0 '!, posted \(' \
	', remapped \(host irqs \+[1-9]; '
# Linux before 6.16 does not know the parameter, and posts.
one_mode '' --append kvm_amd.enable_device_posted_irqs=0
if grep -q 'before Linux 6.16' <<<"$out"; then
	tap_skip nothing_is_posted_when_kvm_was_told_not_to "the kernel has no such parameter"
else
	result nothing_is_posted_when_kvm_was_told_not_to 0 '!, posted \(' \
		', remapped \(host irqs \+[1-9]; kvm_amd.enable_device_posted_irqs=N'
fi

fault an_irr_bit_that_was_not_written_is_named x-drop-irr=3 1 \
	'not in the IRR: the IOMMU wrote nothing'
# By chance an MSI comes just as the vCPU enters the guest anyway, and needs no doorbell.
for ((tries = 0; tries < 4; tries++)); do
	one_mode ' -global amd-iommu.x-drop-doorbell=1'
	((status != 1)) || break
done
result a_doorbell_that_did_not_ring_is_named 1 'vCPU runs: no doorbell'
fault a_ga_log_entry_that_was_not_written_is_named x-drop-galog=3 1 \
	'in the IRR, vCPU blocked, GA log or PIW \+0: nobody was told'
fault an_isrun_bit_that_was_read_too_late_is_named x-stale-isrun=100000 1 \
	'in the IRR, vCPU blocked, GA log or PIW \+0: nobody was told'
fault a_late_ga_log_interrupt_loses_nothing x-galog-intr-delay=2000 0 ', posted \(host irqs \+0'
fault a_late_doorbell_loses_nothing x-doorbell-delay=20 0 ', posted \(host irqs \+0'
tap_end
