#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Huge pages are reserved for a test if they are missing, and exactly those are given back: by the
# run itself, or after SIGKILL by a later one. A made-up machine; needs nothing but bash.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/hugepages.XXXXXX")
trap 'rm -rf "$work"' EXIT
export KVM_VFIO_TESTS_ROOT=$work
# shellcheck source=scripts/hugepages.sh
. "$top/scripts/hugepages.sh"
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"

# machine KIB NUMBER FREE RESERVED
machine()
{
	local directory=$hugepages_dir/hugepages-$1kB

	mkdir -p "$directory"
	printf '%s\n' "$2" >"$directory/nr_hugepages"
	printf '%s\n' "$3" >"$directory/free_hugepages"
	printf '%s\n' "$4" >"$directory/resv_hugepages"
}

number()
{
	cat "$hugepages_dir/hugepages-$1kB/nr_hugepages"
}

# expect NAME SEEN EXPECTED
expect()
{
	local why=''

	[[ $2 == "$3" ]] || why="seen: $2; expected: $3"
	tap_result "$1" "$why"
}

notes()
{
	find "$pci_state" -name 'hugepages.*' 2>/dev/null | wc -l
}

tap_begin
machine 2048 0 0 0
machine 1048576 2 1 1
hugepages_reserve
expect missing_pages_are_added "$(number 2048) $(number 1048576)" "4 3"
expect what_was_added_is_noted "$(notes)" 2
hugepages_give_back_all
expect added_pages_are_given_back "$(number 2048) $(number 1048576), $(notes)" "0 2, 0"

machine 2048 8 6 2
machine 1048576 1 1 0
hugepages_reserve
expect enough_free_pages_are_left_alone "$(number 2048) $(number 1048576), $(notes)" "8 1, 0"

machine 2048 3 0 0
hugepages_reserve
machine 2048 9 2 0
hugepages_give_back_all
expect pages_that_others_added_meanwhile_stay "$(number 2048)" 5

machine 2048 3 0 0
hugepages_reserve
hugepages_restore
expect a_run_that_lives_keeps_its_pages "$(number 2048)" 7
sed -i '1s/.*/99999999 0/' "$pci_state"/hugepages.*
hugepages_restore 2>/dev/null
expect pages_of_a_killed_run_are_given_back "$(number 2048), $(notes)" "3, 0"

machine 2048 7 4 0
printf '99999999 0\n2048 from 3\n' >"$pci_state/hugepages.2048.1"
hugepages_restore 2>/dev/null
expect a_run_killed_in_between_is_repaired_too "$(number 2048), $(notes)" "3, 0"

rm -rf "$hugepages_dir"
hugepages_reserve
expect a_kernel_without_huge_pages_is_no_error "$(notes)" 0
tap_end
