#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/ktap-summary counts the results at the leaves, and what is missing as failed;
# with --failures it names those that failed.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"

# counts NAME PASSED FAILED SKIPPED DOCUMENT
counts()
{
	local found

	found=$(printf '%s\n' "$5" | "$top/scripts/ktap-summary")
	[[ $found == "$2 passed, $3 failed, $4 skipped" ]] || found="not $2, $3, $4 but: $found"
	[[ $found != not* ]] || { tap_result "$1" "$found" "$5" && return; }
	tap_result "$1" ""
}

# names NAME LINES DOCUMENT
names()
{
	local found

	found=$(printf '%s\n' "$3" | "$top/scripts/ktap-summary" --failures)
	tap_result "$1" "$([[ $found == "$2" ]] || printf 'not: %s\nbut: %s' "$2" "$found")"
}

tap_begin
tap_plan 14
counts results_are_counted_by_kind 1 1 1 '1..3
ok 1 a
not ok 2 b
ok 3 c # SKIP no c'
counts a_parent_is_not_counted_beside_its_leaves 2 0 1 '1..2
    KTAP version 1
    1..2
    ok 1 a
    ok 2 b # skip no b
ok 1 parent
ok 2 leaf'
counts a_failure_below_is_counted_once 1 1 0 '1..1
    1..2
    ok 1 a
    not ok 2 b
not ok 1 parent'
counts a_parent_that_fails_alone_counts 1 1 0 '1..1
    1..2
    ok 1 a
not ok 1 parent # killed by SIGSEGV'
counts leaves_lie_at_any_depth 2 1 0 '1..1
    1..2
        1..2
        ok 1 a
        not ok 2 b
    not ok 1 inner
    ok 2 c
not ok 1 outer'
counts missing_results_failed 1 2 0 '1..3
ok 1 a'
counts a_plan_of_less_than_there_is_failed 2 1 0 '1..1
ok 1 a
ok 2 b'
counts an_empty_document_failed 0 1 0 ''
names what_passed_is_not_named '' '1..1
ok 1 a'
names a_failure_is_named_by_its_path_and_cause \
	'failed: suite: program 0000:01:00.0: case: x.c:7: assertion failed: no end' '1..1
    1..1
        1..3
        # w.c:9:case:Expected 1 (1) == 2 (2)
        ok 1 before # XFAIL known
        # 1 counted, eventfd
        # x.c:7: assertion failed: no end
        # x.c:8:case:Expected 1 (1) == 2 (2)
        not ok 2 case
        ok 3 behind
    not ok 1 program 0000:01:00.0
not ok 1 suite'
names a_parent_that_fails_alone_is_named 'failed: parent: killed by SIGSEGV' '1..1
    1..2
    ok 1 a
not ok 1 parent # killed by SIGSEGV'
names each_is_named_once 'failed: one: a
failed: two: a
failed: two: b' '1..2
    not ok 1 a
not ok 1 one
    not ok 1 a
    not ok 2 b
not ok 2 two'
names missing_results_are_named 'failed: 2 of the announced results are missing' '1..3
ok 1 a'
names results_behind_the_plan_are_named 'failed: 1 results more than announced' '1..1
ok 1 a
ok 2 b'
tap_end
