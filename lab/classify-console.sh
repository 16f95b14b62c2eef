#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Says what a kernel's log shows: prints one word, and behind it the line that decided it.
#
#   panic     the kernel gave up
#   oops      it hit a BUG, an exception, a sanitizer's report or a lockup
#   lockdep   the lock validator objects
#   warning   a WARN
#   hung      a task is blocked for good
#   stall     RCU misses a CPU or a timer: the emulation's fault unless the CPUs say otherwise
#   clean     none of them
#
# The worst counts, not the first: an oops may be followed by the stall it causes.
#
#   lab/classify-console.sh FILE
#   lab/classify-console.sh --excerpt FILE    the lines around the decision, at most 40
#
# Exit codes: 0, 2 usage or environment.

set -euo pipefail

# Times and the carriage returns of a serial line are in the way of patterns that start a line.
classify() {
	awk '
	function found(rank, word) {
		if (rank > best) {
			best = rank
			kind = word
			line = $0
			at = NR
		}
	}
	{
		sub(/\r$/, "")
		sub(/^(<[0-9]+>)?\[ *[0-9]+\.[0-9]+\](\[[ TC0-9]+\])? */, "")
	}
	/^Kernel panic - not syncing/ { found(7, "panic") }
	/^(BUG: |Oops: |Oops\[|general protection fault|kernel BUG at )/ { found(6, "oops") }
	/^(divide error|invalid opcode|double fault|stack segment|int3): [0-9]/ { found(6, "oops") }
	/^(traps: PANIC|PANIC: double fault|UBSAN: |kasan: GPF|Kernel stack overflow)/ {
		found(6, "oops")
	}
	/^(watchdog: BUG: |NMI watchdog: |watchdog: CPU[0-9]+: Watchdog detected hard LOCKUP)/ {
		found(6, "oops")
	}
	/^WARNING: (possible|inconsistent|bad unlock|suspicious|Nested lock|held lock)/ {
		found(5, "lockdep")
	}
	/^(WARNING: lock held|INFO: trying to register non-static key|DEBUG_LOCKS_WARN_ON)/ {
		found(5, "lockdep")
	}
	/^(WARNING: .*-safe -> .*-unsafe lock order|WARNING: .* still has locks held!)/ {
		found(5, "lockdep")
	}
	# An invalid wait context; and what lab/init says when the validator has given up.
	/^(\[ BUG: |WARNING: chain_key collision|lab: lockdep has turned itself off)/ {
		found(5, "lockdep")
	}
	# As the lab ends: CPUs that have stopped are offline, others may still balance load.
	/^reboot: Restarting system/ { restarting = 1 }
	restarting && /^WARNING: .* native_smp_send_reschedule\+/ { next }
	/^WARNING: / { found(4, "warning") }
	/^refcount_t: / { found(4, "warning") }
	/^INFO: task .* blocked (for more than|in I\/O wait)/ { found(3, "hung") }
	/^rcu: INFO: .*(detected|self-detected).*stall/ { found(2, "stall") }
	/^rcu: .*Possible timer handling issue/ { found(2, "stall") }
	/^rcu: .*kthread (timer wakeup|starved)/ { found(2, "stall") }
	END {
		if (kind == "")
			print "clean"
		else
			print kind, line
		print at + 0
	}' "$1"
}

excerpt() {
	local at=$1 file=$2

	if ((at)); then
		sed -n "$((at > 2 ? at - 2 : 1)),$((at + 37))p" "$file"
	else
		# Not the box in which the kernel warns of IOMMU_DEBUGFS.
		grep -v '\*\*' "$file" | tail -n 20 || true
	fi | tr -d '\r'
}

main() {
	local want=kind answer

	if [[ ${1:-} == --excerpt ]]; then
		want=excerpt
		shift
	fi
	if [[ $# -ne 1 || ! -r $1 ]]; then
		echo 'usage: lab/classify-console.sh [--excerpt] FILE' >&2
		exit 2
	fi
	answer=$(classify "$1")
	if [[ $want == kind ]]; then
		head -n 1 <<<"$answer"
	else
		excerpt "$(tail -n 1 <<<"$answer")" "$1"
	fi
}

main "$@"
