#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/ktap-summary counts the results at the leaves, and what is missing as failed.

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

tap_begin
tap_plan 7
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
counts an_empty_document_failed 0 1 0 ''
tap_end
