#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/new-driver.sh: what it makes compiles, links from outside of the tree and passes the
# checks that a driver in the tree has to; what it is asked in error leaves nothing behind.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/new-driver.XXXXXX")
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"
# shellcheck source=scripts/check-sources.sh
. "$top/scripts/check-sources.sh"
trap 'rm -rf "$work"' EXIT

# shellcheck disable=SC2317 # called by the checks, instead of the one that names our own files
source_files()
{
	find "$work/out/toy" -type f
}

test_style()
{
	local check found=''

	for check in check_checkpatch check_line_length check_function_length check_licence \
		check_relative_includes; do
		found+=$("$check")
	done
	tap_result the_template_passes_the_checks_of_a_driver "$found"
}

# Beside the build at hand, which must not be linked again for this.
test_build()
{
	local build=$work/build log=$work/log objection=''

	mkdir "$build"
	cp -p "$O/settings" "$build"
	ln -s "$(realpath "$O")/uapi" "$build/uapi"
	make -C "$top" O="$build" DRIVERS="$work/out" "$build/out-of-tree/toy/toy.o" >"$log" 2>&1 ||
		objection='it does not compile'
	! grep -q warning: "$log" || objection='there are warnings'
	tap_result the_template_builds_without_a_warning "$objection" "$(<"$log")"
}

# refused NAME SENTENCE ARGUMENT...
test_refused()
{
	local name=$1 sentence=$2 status=0 objection=''

	shift 2
	"$top/scripts/new-driver.sh" "$@" >"$work/stdout" 2>"$work/stderr" || status=$?
	((status == 2)) || objection="status $status"
	[[ $(<"$work/stderr") == *"$sentence"* ]] || objection+=" it says: $(<"$work/stderr")"
	[[ ! -e $work/not ]] || objection+=" something was made"
	tap_result "$name" "$objection"
}

main()
{
	local objection=''

	export O=${O:-$top/build}
	tap_begin
	[[ -d $O/uapi ]] || { echo 'Bail out! run make first' && exit 1; }
	[[ -n ${KSRC:-} ]] || KSRC=$("$top/scripts/kernel-tree")
	export KSRC
	"$top/scripts/new-driver.sh" toy "$work/out" >"$work/made" 2>/dev/null
	[[ $(<"$work/made") == "$work/out/toy/toy.c"$'\n'"$work/out/toy/regs.h" ]] ||
		objection="it says it made: $(<"$work/made")"
	! grep -rqi foo "$work/out" || objection+=' there is foo left'
	tap_result it_names_the_files_it_makes "$objection"
	test_style
	test_build
	test_refused a_name_that_c_does_not_take_is_refused 'no name for C' 8139 "$work/not"
	test_refused a_name_of_this_tree_is_refused 'there is a driver' edu "$work/not"
	test_refused no_file_is_overwritten exists toy "$work/out"
	test_refused a_missing_name_is_refused 'takes a name'
	tap_end
}

main
