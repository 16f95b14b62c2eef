# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by tests written in shell: the lines of a TAP document.

tap_count=0
tap_failures=0
tap_planned=

tap_begin()
{
	printf 'TAP version 13\n'
}

# tap_plan RESULTS: KTAP wants it before the first one. Without it the plan comes last, as in TAP.
tap_plan()
{
	tap_planned=$1
	printf '1..%d\n' "$tap_planned"
}

# tap_result NAME OBJECTION [LOG]: NAME is a sentence that is true if OBJECTION is empty. LOG, a
# text, is what the reader of a failure wants to see.
tap_result()
{
	local name=$1 objection=$2 log=${3:-}

	tap_count=$((tap_count + 1))
	if [[ -z $objection ]]; then
		printf 'ok %d %s\n' "$tap_count" "$name"
		return
	fi
	tap_failures=$((tap_failures + 1))
	printf '# %s\n' "$objection"
	[[ -z $log ]] || printf '%s\n' "$log" | sed 's/^/#   /'
	printf 'not ok %d %s\n' "$tap_count" "$name"
}

# tap_skip NAME REASON
tap_skip()
{
	tap_count=$((tap_count + 1))
	printf 'ok %d %s # SKIP %s\n' "$tap_count" "$1" "$2"
}

# Ends the program with the exit status that goes with the results.
tap_end()
{
	[[ -n $tap_planned ]] || printf '1..%d\n' "$tap_count"
	exit $((tap_failures > 0))
}
