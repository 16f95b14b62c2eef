# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced: processes by more than their id, which the kernel may use again.

# Prints "PID START" of a process; false if there is none.
process_identity()
{
	local stat

	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	# The name in parentheses may hold anything; the start time is the 20th field behind it.
	read -ra stat <<<"${stat##*) }"
	printf '%s %s\n' "$1" "${stat[19]}"
}

# Is the process whose identity stands in this file still there? Prints its id.
process_noted()
{
	local pid noted

	{ read -r noted <"$1"; } 2>/dev/null || return 1
	pid=${noted%% *}
	[[ -n $pid && $(process_identity "$pid") == "$noted" ]] || return 1
	printf '%s' "$pid"
}
