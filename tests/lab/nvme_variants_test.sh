#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: nvme_variants_test.sh [--kernel BZIMAGE]
#
# The conformance suite on controllers that differ in what the nvme driver has to find out by
# itself: one with a single I/O queue, one with a controller memory buffer and blocks of 4096 bytes,
# and one with more queues than the driver has memory for. Their media are made for this, and what
# the user has not given up of them is looked at afterwards: nothing may have been written to it.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
size=$((64 << 20))
work=$(mktemp -d "${TMPDIR:-/tmp}/nvme-variants.XXXXXX")
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"
trap 'rm -rf "$work"' EXIT

# controller NAME SLOT OPTIONS: adds one to what QEMU is given.
controller()
{
	truncate -s "$size" "$work/$1.img"
	QEMU_EXTRA+=" -drive if=none,id=$1,format=raw,file=$work/$1.img"
	QEMU_EXTRA+=" -device nvme,drive=$1,serial=$1,bus=pcie.0,addr=$2.0,$3"
}

# said NAME PATTERN: what the driver stated, and that it is a result.
said()
{
	local objection=''

	grep -qE -e "$2" "$work/stdout" || objection="nothing like: $2"
	tap_result "$1" "$objection" "$(grep '# driver' "$work/stdout" || true)"
}

# kept NAME FIRST END: whether the medium is blank but for bytes [FIRST, END), and is not there. For
# one that nothing may have been written to, END is 0.
kept()
{
	local image=$work/$1.img

	cmp -s -n "$2" "$image" /dev/zero || printf '%s was written to before byte %s\n' "$1" "$2"
	tail -c "+$(($3 + 1))" "$image" | cmp -s - <(head -c "$((size - $3))" /dev/zero) ||
		printf '%s was written to from byte %s on\n' "$1" "$3"
	(($3 == 0)) || ! head -c "$3" "$image" | cmp -s - <(head -c "$3" /dev/zero) ||
		printf '%s was not written to at all\n' "$1"
}

main()
{
	local status=0 objection='' first=1024 end=$((1024 + 8192)) run

	tap_begin
	tap_plan 6
	cd "$top"
	if [[ ${1:-} != --kernel ]]; then
		[[ -n ${KSRC:-} ]] || KSRC=$(scripts/kernel-tree)
		set -- --kernel "$(lab/kernel.sh "$KSRC")"
	fi
	export QEMU_EXTRA=${QEMU_EXTRA:-}
	controller one 1a max_ioqpairs=1,msix_qsize=2
	controller big 1b cmb_size_mb=16,logical_block_size=4096,physical_block_size=4096
	controller many 1c max_ioqpairs=300,msix_qsize=301
	controller spare 1d max_ioqpairs=4,msix_qsize=5
	run='./run.sh --iommu-mode iommufd vfio_pci_driver_test -d 0000:00'
	lab/boot.sh "$@" ${O:+--build "$O"} --log-dir "$work/log" -- bash -c "set -e
		export NVME_SCRATCH_LBA=$first+$((end - first))
		$run:1a.0 -d 0000:00:1b.0 -d 0000:00:1c.0
		unset NVME_SCRATCH_LBA
		$run:1d.0" >"$work/stdout" 2>"$work/stderr" || status=$?

	((status == 0)) || objection="status $status: $(tail -n 1 "$work/stderr")"
	tap_result the_suite_is_content_with_all_of_them "$objection" \
		"$(grep -B 5 'not ok' "$work/stdout" || true)"
	said a_single_queue_is_left_to_interrupts \
		'driver nvme: 1 vectors of msix from 1 on, the controller grants a single I/O queue'
	said a_block_of_4096_bytes_is_the_unit_of_copies \
		'driver nvme: [0-9]+ vectors of msix from 1 on, copies in units of 4096'
	said there_are_as_many_vectors_as_there_is_memory_for \
		'driver nvme: 2[0-9][0-9] vectors of msix from 1 on, copies in units of 512'
	tap_result nothing_is_written_outside_of_the_blocks_that_were_given_up \
		"$(kept one 0 0; kept big $((first * 4096)) $((end * 4096))
		kept many $((first * 512)) $((end * 512)))"
	tap_result nothing_is_written_where_no_block_was_given_up "$(kept spare 0 0)"
	tap_end
}

main "$@"
