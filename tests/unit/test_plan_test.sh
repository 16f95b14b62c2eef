#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Which test gets which device: run_plan() of scripts/test-list.sh, with made-up tests. Needs
# nothing but bash.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=scripts/test-list.sh
. "$top/scripts/test-list.sh"
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"

declare -A needs_of=(
	[one_test]=device [pair_test]="devices,hugepages" [plain_test]=- [lab_test]=lab
)

# In place of what programs say.
test_names()
{
	printf '%s\n' "${!needs_of[@]}" | sort
}

test_needs()
{
	printf ',%s,' "${needs_of[$1]}"
}

# plan NAME LAB TESTS DEVICES EXPECTED...: the labels of the runs, in their order.
plan()
{
	local name=$1 lab=$2 chosen=$3 devices=$4 seen='' expected why='' i

	shift 4
	run_names=() run_needs=() run_bdfs=() run_labels=() run_seeds=()
	run_plan "$lab" "$chosen" "$devices" 1 1
	for i in "${!run_names[@]}"; do
		seen+="${run_labels[i]};"
		[[ ${run_needs[i]} == ",${needs_of[${run_names[i]}]}," ]] || why="needs mixed up"
	done
	printf -v expected '%s;' "$@"
	[[ $seen == "${expected#;}" ]] || why="planned: $seen expected: $expected"
	tap_result "$name" "$why"
}

tap_begin
plan without_a_device_those_without_need_are_run '' '' '' plain_test
plan one_device_goes_to_both '' '' A plain_test 'one_test A' 'pair_test A'
plan two_devices_are_a_pair '' '' 'A B' plain_test 'one_test A' 'one_test B' 'pair_test A B'
plan of_three_devices_the_first_two_are_a_pair '' pair_test 'A B C' 'pair_test A B'
plan a_pair_is_for_tests_of_two_only '' '' 'A+B' plain_test 'pair_test A B'
plan pairs_come_behind_the_first_two_devices lab '' 'A C+D B' lab_test plain_test \
	'one_test A' 'one_test B' 'pair_test A B' 'pair_test C D'
plan a_single_device_beside_a_pair_stays_single '' pair_test 'A C+D' 'pair_test C D'
tap_end
