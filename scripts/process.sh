# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced: processes by more than their id, which the kernel may use again.

# Of this boot of the machine; without a process of its own.
process_boot()
{
	local boot=''

	{ read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null || true
	printf '%s' "${boot:-unknown}"
}

# Prints "PID START BOOT" of a process; false if there is none.
process_identity()
{
	local stat

	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	# The name in parentheses may hold anything; the start time is the 20th field behind it.
	read -ra stat <<<"${stat##*) }"
	printf '%s %s %s\n' "$1" "${stat[19]}" "$(process_boot)"
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

# Was this noted before the machine was booted? Then nothing of what it says holds any more.
process_noted_before_boot()
{
	local boot=''

	{ read -r _ _ boot <"$1"; } 2>/dev/null || true
	[[ -n $boot && $boot != "$(process_boot)" ]]
}
