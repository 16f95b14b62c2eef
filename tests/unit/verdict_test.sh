#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Each verdict leads to the exit status that the README promises, and stdout is KTAP whatever a
# case prints. Runs build/tests/unit/verdict_samples.

# The functions below are called by way of result().
# shellcheck disable=SC2317

set -uo pipefail

samples=${O:-build}/tests/unit/verdict_samples
nr=0 failed=0

# result WORD NAME: print a line of TAP for the last command's outcome.
result() {
	nr=$((nr + 1))
	if "${@:2}"; then
		echo "ok $nr $1"
	else
		echo "not ok $nr $1"
		failed=1
	fi
}

# exits STATUS ARGS...: whether the samples exit so.
exits() {
	local expected=$1 status=0

	"$samples" "${@:2}" >"$out" 2>"$err" || status=$?
	((status == expected)) && return
	echo "# exit $status instead of $expected: $*"
	return 1
}

only_ktap() {
	exits 0 -t prints_on_stdout && ! grep -vE '^(TAP version|#|1\.\.1$|ok 1 )' "$out"
}

not_ok() {
	exits 1 -t "$1" && grep -q '^not ok 1 ' "$out"
}

# Why it failed belongs into the report.
tells_its_assertion() {
	not_ok fails_an_assertion_of_ours &&
		grep -qE '^# tests/.*:[0-9]+: assertion failed: a sample$' "$out" &&
		grep -qx '#   observed: 0x1 == 0x2' "$out"
}

# The line before the result says how long the case took, also of one that was killed.
tells_its_duration() {
	exits 1 -t is_killed && grep -B 1 '^not ok 1 ' "$out" | grep -qE '^# duration_ms: [0-9]+$'
}

deciles() {
	exits 0 -t reports_latencies && grep -qx "# latency_us: a sample, 21 samples: 0.0 2.0 4.0 \
6.0 8.0 10.0 12.0 14.0 16.0 18.0 20.0" "$out"
}

one_sentence() {
	exits 2 "$@" && [[ $(wc -l <"$err") -eq 1 && ! -s $out ]]
}

out=$(mktemp) err=$(mktemp)
trap 'rm -f "$out" "$err"' EXIT

echo "TAP version 13"
echo "1..17"
result a_pass_exits_0 exits 0 -t passes
result a_failure_exits_1 not_ok fails
result a_failure_beside_a_pass_exits_1 exits 1 -t passes -t fails
result a_skip_beside_a_pass_exits_0 exits 0 -t passes -t skips
result only_skips_exit_4 exits 4 -t skips
result nothing_selected_exits_4 exits 4 -t there_is_no_such_case
result an_assertion_of_ours_fails_and_says_why tells_its_assertion
result an_assertion_of_kvm_util_never_skips not_ok fails_an_assertion_of_kvm_util_with_eacces
result a_skip_without_a_reason_fails not_ok requires_something_missing
result a_killed_case_fails not_ok is_killed
result stdout_is_ktap_only only_ktap
result a_case_tells_its_duration tells_its_duration
result latencies_are_reported_by_their_deciles deciles
result a_wrong_option_is_one_sentence one_sentence --no-such-option
result a_wrong_argument_is_one_sentence one_sentence --timeout never
result a_missing_argument_is_one_sentence one_sentence -t
result a_listing_exits_0 exits 0 -l
exit $failed
