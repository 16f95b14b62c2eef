#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: live_update_lab_test.sh [--kernel BZIMAGE] [OPTION OF lab/boot.sh]...
#
# A lab with two lives. In the first one vfio_live_update_test lets a device write to memory by
# DMA, has it preserved and starts the same kernel again by kexec; in the second one it looks
# whether the memory is there. Bug class: memory lost, or given to somebody else, across a live
# update. What is refused, and takes no kexec to see, is in vfio_live_update_test itself.
#
# Without --kernel the lab's kernel of KSRC or of scripts/kernel-tree is used. One without
# CONFIG_LIVEUPDATE, as before Linux 7.0, makes this test skip.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/live-update.XXXXXX")
build=${O:-$top/build}
readonly program=vfio_live_update_test
readonly preserve=dma_memory_is_preserved_for_the_next_life
readonly retrieve=preserved_dma_memory_is_there_in_the_next_life
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"
trap 'rm -rf "$work"' EXIT

# fill DIR: what both lives have in their working directory.
fill() {
	mkdir -p "$1/build/tests"
	cp -r "$top/run.sh" "$top/scripts" "$1"
	cp "$build/tests/$program" "$1/build/tests"
}

# device_of IOMMU: the address of the lab's nvme.
device_of() {
	"$top/lab/devices.sh" --iommu "$1" --qemu "${QEMU:-qemu-system-x86_64}" |
		sed -n 's/^nvme //p'
}

# judge STATUS: why the memory did not arrive, or nothing.
judge() {
	if ! grep -q '# preserved .* bytes written by DMA' "$work/stdout"; then
		echo "the first life did not preserve what the device wrote"
	elif ! grep -Eq "^ *ok [0-9]+ kexec\.$retrieve\$" "$work/stdout"; then
		echo "the second life did not find it"
	elif (($1)); then
		echo "the lab ended with status $1"
	fi
}

test_two_lives() {
	local bdf status=0 objection

	bdf=$(device_of "$iommu")
	fill "$work/second"
	fill "$work/first"
	# QEMU's devices and the files of the first life are gone in the second.
	"$top/lab/initramfs.sh" --out "$work/first/initrd" --build "$build" \
		--payload "$work/second" -- ./run.sh -d "$bdf" "$program" -- -t "$retrieve"
	cp "$kernel" "$work/first/kernel"
	# The second life says nothing until it is up, for as long as any lab may take to boot.
	LAB_MAX_LAG=60 "$top/lab/boot.sh" --kernel "$kernel" --build "$build" \
		--payload "$work/first" --log-dir "$work/log" --timeout 240 "${options[@]}" -- \
		env KVM_VFIO_TESTS_LIFE=1 ./run.sh -d "$bdf" "$program" -- -t "$preserve" \
		>"$work/stdout" 2>"$work/stderr" || status=$?
	if ((status == 4)); then
		tap_skip dma_memory_survives_a_kexec "$(sed -n 's/.*# SKIP //p' "$work/stdout" |
			head -n 1)"
		return
	fi
	objection=$(judge "$status")
	tap_result dma_memory_survives_a_kexec "$objection" "$(cat "$work/stdout" "$work/stderr")"
}

iommu=intel kernel='' options=()
while [[ $# -gt 1 ]]; do
	case $1 in
	--kernel) kernel=$2 ;;
	--iommu) iommu=$2 ;;&
	*) options+=("$1" "$2") ;;
	esac
	shift 2
done
[[ -n $kernel ]] ||
	kernel=$("$top/lab/kernel.sh" "${KSRC:-$("$top/scripts/kernel-tree")}") || exit 2
tap_begin
test_two_lives
tap_end
