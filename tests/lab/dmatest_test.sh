#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: dmatest_test.sh [--kernel BZIMAGE]
#
# Linux judges the models of DMA engines in lab/qemu/: on VT-d and on AMD-Vi its own drivers bind to
# them and the kernel's dmatest copies with them. Without this a test of ours that passes on a model
# would only say that two programs of ours agree.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/dmatest.XXXXXX")
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"
trap 'rm -rf "$work"' EXIT

engines=(ioat dsa ptdma)
judgements=(linux_binds_to_it dmatest_copies_what_it_should it_interrupts
	linux_lets_go_and_binds_again)

# engines_of IOMMU: NAME=BDF of those this QEMU has.
engines_of()
{
	lab/devices.sh --iommu "$1" --qemu "$qemu" |
		awk -v engines=" ${engines[*]} " 'index(engines, " " $1 " ") { print $1 "=" $2 }'
}

# report IOMMU ENGINE: the results for one of them.
report()
{
	local judgement line objection

	for judgement in "${judgements[@]}"; do
		line=$(grep "^$2 $judgement: " "$work/stdout") || line=': there is no judgement'
		objection=${line#*: }
		tap_result "$1.$2.$judgement" "$objection" "$(cat "$work/stdout" "$work/stderr")"
	done
}

judge_on()
{
	local iommu=$1 found engine judgement status=0

	mapfile -t found < <(engines_of "$iommu")
	if ((${#found[@]})); then
		lab/boot.sh --iommu "$iommu" --qemu "$qemu" --kernel "$kernel" --payload judge \
			--timeout 240 --log-dir "$work/$iommu" -- ./dmatest.sh "${found[@]}" \
			>"$work/stdout" 2>"$work/stderr" || status=$?
		((status == 0)) || tap_result "$iommu.the_lab_is_well" "status $status" \
			"$(cat "$work/stderr")"
		grep '^#' "$work/stdout" || true
	fi
	for engine in "${engines[@]}"; do
		if [[ " ${found[*]}" == *" $engine="* ]]; then
			report "$iommu" "$engine"
		else
			for judgement in "${judgements[@]}"; do
				tap_skip "$iommu.$engine.$judgement" "this QEMU has no $engine"
			done
		fi
	done
}

main()
{
	local qemu kernel

	cd "$top"
	if [[ ${1:-} == --kernel ]]; then
		kernel=$2
	else
		kernel=$(lab/kernel.sh "${KSRC:-$(scripts/kernel-tree)}") || exit 2
	fi
	qemu=${QEMU:-$(lab/qemu/build.sh --built || echo qemu-system-x86_64)}
	tap_begin
	judge_on intel
	judge_on amd
	tap_end
}

main "$@"
