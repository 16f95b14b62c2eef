#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The lab gives the right verdict on itself: what a command says and how it ends arrives
# unchanged, and a lab that dies, complains, hangs or stalls is recognised as what it is, within
# seconds and with nothing left behind. Each of these is done to it on purpose.
#
# Needs QEMU, and the lab's kernel: LAB_KERNEL, or that of KSRC or scripts/kernel-tree.

set -euo pipefail

top=$(realpath "$(dirname "$0")/../..")
readonly top
work=$(mktemp -d)
readonly work logs=$work/logs
# A CPU's silence is taken seriously sooner than usual.
export LAB_MAX_LAG=4

boot_pid=''
cases=0
failures=0

# shellcheck disable=SC2317 # called by the trap
clean_up() {
	[[ -z $boot_pid ]] || kill -KILL "$boot_pid" 2>/dev/null || true
	rm -rf "$work"
}

result() {
	cases=$((cases + 1))
	if (($1)); then
		failures=$((failures + 1))
		printf 'not '
	fi
	printf 'ok %d %s\n' "$cases" "$2"
}

lab() {
	"$top/lab/boot.sh" --kernel "$kernel" --accel tcg --payload "$work/empty" \
		--log-dir "$logs" --timeout 60 "$@"
}

# expect NAME STATUS PROBLEM ARGUMENT...: the lab run with the arguments ends with the status, and
# its lab.problem contains PROBLEM, or does not exist if PROBLEM is empty.
expect() {
	local name=$1 want=$2 problem=$3 status=0 said='' bad=0

	shift 3
	lab "$@" >"$work/stdout" 2>"$work/stderr" || status=$?
	if [[ -e $logs/lab.problem ]]; then
		said=$(<"$logs/lab.problem")
	fi
	if ((status != want)); then
		printf '# status %d, not %d\n' "$status" "$want"
		bad=1
	fi
	if [[ $said != *"$problem"* ]] || [[ -z $problem && -n $said ]]; then
		printf '# its problem: "%s", not "%s"\n' "$said" "$problem"
		bad=1
	fi
	((!bad)) || sed 's/^/# /' "$work/stderr"
	result "$bad" "$name"
}

# started: waits until the command in the lab has spoken; 60 seconds at most.
started() {
	local tries=0

	until grep -q started "$logs/stdout.log" 2>/dev/null; do
		((++tries < 300)) || return 1
		sleep 0.2
	done
}

# gone PID: waits for a process to be gone; 5 seconds at most.
gone() {
	local tries=0

	while kill -0 "$1" 2>/dev/null; do
		((++tries < 50)) || return 1
		sleep 0.1
	done
}

# strike SIGNAL VICTIM: boots a lab, sends the signal to boot.sh or qemu while the command runs,
# and waits for both to be gone. Leaves the status of boot.sh in struck.
strike() {
	local signal=$1 victim=$2 qemu_pid bad=0

	rm -rf "$logs"
	lab -- sh -c 'echo started; sleep 50' >/dev/null 2>&1 &
	boot_pid=$!
	started || bad=1
	qemu_pid=$(<"$logs/qemu.pid")
	if [[ $victim == qemu ]]; then
		kill -"$signal" "$qemu_pid"
	else
		kill -"$signal" "$boot_pid"
	fi
	struck=0
	wait "$boot_pid" 2>/dev/null || struck=$?
	boot_pid=''
	gone "$qemu_pid" || bad=1
	return "$bad"
}

test_channels() {
	local bad=0

	expect the_exit_status_arrives 7 '' -- sh -c 'echo out; echo err >&2; seq 20000; exit 7'
	{ echo out; seq 20000; } | cmp -s - "$work/stdout" || bad=1
	[[ $(<"$logs/stderr.log") == err ]] || bad=1
	result "$bad" stdout_and_stderr_arrive_whole_and_apart
}

test_deaths() {
	local bad=0

	expect a_panic_is_a_failure 1 'Kernel panic' -- sh -c 'echo c >/proc/sysrq-trigger'
	expect a_warning_is_a_failure 1 complained -- \
		sh -c 'echo "<4>WARNING: CPU: 0 PID: 1 at nowhere.c:1" >/dev/kmsg'
	expect a_lab_that_goes_down_is_a_failure 1 'went down' -- poweroff -f
	expect a_command_that_does_not_end_is_ended 1 'still running' --timeout 2 -- sleep 50
	strike KILL qemu || bad=1
	((struck == 1)) && grep -q 'signal 9' "$logs/lab.problem" || bad=1
	result "$bad" a_killed_qemu_is_a_failure
}

# The timer of CPU 2 is masked in its APIC, as if QEMU had lost it; the registers are in memory
# only without x2APIC. The hang is made by putting "disable interrupts, jump to yourself" where
# a system call starts.
test_hangs() {
	expect a_lost_timer_is_a_stall 99 'CPU 2' --append nox2apic -- \
		sh -c 'taskset 4 devmem 0xfee00320 32 0x10000; sleep 50'
	# shellcheck disable=SC2016 # for the shell in the lab
	expect a_kernel_that_hangs_is_a_failure 1 'never leaves the kernel' -- sh -c '
		low=$(grep -w __x64_sys_sethostname /proc/kallsyms | cut -c 9-16)
		devmem $((0x$low - 0x80000000)) 32 0x00feebfa
		hostname lab
		sleep 50'
}

test_signals() {
	local signal bad

	for signal in TERM KILL; do
		bad=0
		strike "$signal" boot.sh || bad=1
		result "$bad" "no_qemu_is_left_after_SIG$signal"
	done
}

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$work/empty"
kernel=${LAB_KERNEL:-}
if [[ -z $kernel ]]; then
	kernel=$("$top/lab/kernel.sh" "${KSRC:-$("$top/scripts/kernel-tree")}") || exit 2
fi

echo 'TAP version 13'
test_channels
test_deaths
test_hangs
test_signals
printf '1..%d\n' "$cases"
((failures == 0))
