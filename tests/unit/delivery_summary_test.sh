#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/delivery-summary: that each interrupt is counted on the path its line names, and that a
# lab which posted nothing is said to have posted nothing.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"

# sums NAME EXPECTED LINE...
sums()
{
	local name=$1 expected=$2 out why=''

	shift 2
	out=$(printf '%s\n' "$@" | "$top/scripts/delivery-summary")
	[[ $out == "$expected" ]] || why="'$out', not '$expected'"
	tap_result "$name" "$why"
}

a='    # 0000:01:00.0 MSI-X[0..7], 4 vCPUs spin:'
b='# 0000:03:00.0 MSI[0], 1 xAPIC vCPU halted:'

tap_begin
tap_plan 5
sums each_path_has_its_count 'delivered: 24 posted, 3 remapped, 8 by eventfd' \
	"$a 16 sent and counted, posted (host irqs +0)" \
	"$b 8 sent and counted, posted (host irqs +0)" \
	"$b 3 sent and counted, remapped (host irqs +3; although this host can post)" \
	"$a 8 triggered and counted, eventfd"
sums of_a_mixed_path_the_host_took_some 'delivered: 5 posted, 3 remapped, 0 by eventfd' \
	"$a 8 sent and counted, mixed (host irqs +3)"
sums nothing_posted_is_said 'delivered: none posted, 8 remapped, 4 by eventfd' \
	"$a 8 sent and counted, remapped (host irqs +8; the IOMMU cannot post (VT-d CAP.PI))" \
	"$b 4 signalled and counted, eventfd"
sums what_was_not_counted_is_left_out 'delivered: 8 posted, 0 remapped, 0 by eventfd' \
	"$a 8 sent and counted, posted (host irqs +0)" \
	"$a, without a route: 8 sent, remapped (host irqs +8), none counted" \
	"$a 8 sent and counted, impossible (host irqs +9)"
sums no_interrupt_no_line '' 'KTAP version 1' '1..1' 'ok 1 8 sent and counted, posted'
tap_end
