#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: lab_boot_test.sh [--kernel BZIMAGE]
#
# lab/boot.sh by itself: what a command says and how it ends arrives unchanged, and a command or
# a CPU that stops is recognised as what it is: a hang of the kernel, which is the kernel's
# fault, or a stall, which is the emulation's. Bug class: a lab whose own trouble reads as a
# verdict on the kernel, or the other way round. What run.sh makes of it: lab_verdicts_test.
#
# Without --kernel the lab's kernel of KSRC or of scripts/kernel-tree is used.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/lab-boot.XXXXXX")
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"
trap 'rm -rf "$work"' EXIT

# A CPU's silence is taken seriously sooner than usual.
export LAB_MAX_LAG=5

# expect NAME STATUS PROBLEM ARGUMENT...: the lab run with the arguments ends with the status, and
# its lab.problem contains PROBLEM, or does not exist if PROBLEM is empty.
expect() {
	local name=$1 want=$2 problem=$3 status=0 said='' objection=''

	shift 3
	"$top/lab/boot.sh" --kernel "$kernel" --accel tcg --payload "$work/empty" \
		--log-dir "$work/log" --timeout 120 "$@" \
		>"$work/stdout" 2>"$work/stderr" || status=$?
	if ((status == 77)); then
		tap_skip "$name" "the kernel has no /dev/mem (CONFIG_DEVMEM) to break it by"
		return
	fi
	if [[ -e $work/log/lab.problem ]]; then
		said=$(<"$work/log/lab.problem")
	fi
	((status == want)) || objection="status $status, not $want"
	if [[ $said != *"$problem"* ]] || [[ -z $problem && -n $said ]]; then
		objection+=" its problem is '$said', not '$problem'"
	fi
	tap_result "$name" "$objection" "$(<"$work/stderr")"
}

test_channels() {
	local objection=''

	expect the_exit_status_arrives 7 '' -- sh -c 'echo out; echo err >&2; seq 20000; exit 7'
	{ echo out; seq 20000; } | cmp -s - "$work/stdout" || objection="stdout differs"
	[[ $(<"$work/log/stderr.log") == err ]] || objection+=" stderr differs"
	tap_result stdout_and_stderr_arrive_whole_and_apart "$objection"
	expect words_of_the_command_survive 0 '' -- printf '%s|' "it's" '' 'a  b' "\$x"
	[[ $(<"$work/stdout") == "it's||a  b|\$x|" ]] || objection="got $(<"$work/stdout")"
	tap_result words_arrive_as_they_were_given "$objection"
}

test_ends() {
	expect a_lab_that_goes_down_is_a_failure 1 'went down' -- poweroff -f
	expect a_command_that_does_not_end_is_ended 1 'still running' --timeout 2 -- sleep 50
}

# The timer of CPU 2 is masked in its APIC, as if QEMU had lost it; the registers are in memory
# only without x2APIC. The hang is made by putting "disable interrupts, jump to yourself" where
# a system call starts.
test_hangs() {
	expect a_lost_timer_is_a_stall 99 'CPU 2' --append nox2apic -- \
		sh -c '[ -c /dev/mem ] || exit 77; taskset 4 devmem 0xfee00320 32 0x10000; sleep 50'
	# shellcheck disable=SC2016 # for the shell in the lab
	expect a_kernel_that_hangs_is_a_failure 1 'never leaves the kernel' -- sh -c '
		[ -c /dev/mem ] || exit 77
		low=$(grep -w __x64_sys_sethostname /proc/kallsyms | cut -c 9-16)
		devmem $((0x$low - 0x80000000)) 32 0x00feebfa
		hostname lab
		sleep 50'
}

# shellcheck disable=SC2016 # for perl
# ask_gdb SOCKET: why the machine stands still, in the words of gdb's protocol, and lets it go on.
ask_gdb() {
	perl -e 'use IO::Socket::UNIX;
		my $qemu = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "no socket\n";
		my ($answer, $more) = ("", "");
		alarm 20;
		syswrite $qemu, "\$?#3f";
		while ($answer !~ /#..$/ && sysread $qemu, $more, 1) {
			$answer .= $more;
		}
		syswrite $qemu, "+\$D#44";
		sysread $qemu, $more, 99;
		print $answer' "$1"
}

# shellcheck disable=SC2016 # dollars of gdb's protocol
# Whoever debugs gets a machine that has done nothing yet, and all the time that they want.
test_gdb() {
	local pid tries=100 status=0 objection='' socket answer

	"$top/lab/boot.sh" --kernel "$kernel" --accel tcg --payload "$work/empty" \
		--log-dir "$work/log" --gdb -- true >"$work/stdout" 2>"$work/stderr" &
	pid=$!
	until grep -q 'QEMU waits for: gdb ' "$work/stderr" || ((tries-- <= 0)); do
		sleep 0.1
	done
	socket=$(sed -n "s/.*target remote \([^']*\)'.*/\1/p" "$work/stderr")
	sleep 2
	[[ ! -s $work/log/console.log ]] || objection="the kernel has begun"
	answer=$(ask_gdb "$socket" 2>&1) || true
	[[ $answer == *'$T05'* || $answer == *'$S05'* ]] || objection+=" gdb hears '$answer'"
	[[ $answer == *'$'[TS]05* ]] || kill "$pid" 2>/dev/null || true
	wait "$pid" || status=$?
	((status == 0)) || objection+=" status $status"
	[[ ! -e $socket ]] || objection+=" the socket is left"
	tap_result gdb_finds_the_machine_before_its_first_instruction "$objection" \
		"$(<"$work/stderr")"
}

mkdir "$work/empty"
if [[ ${1:-} == --kernel ]]; then
	kernel=$2
else
	kernel=$("$top/lab/kernel.sh" "${KSRC:-$("$top/scripts/kernel-tree")}") || exit 2
fi
tap_begin
test_channels
test_ends
test_hangs
test_gdb
tap_end
