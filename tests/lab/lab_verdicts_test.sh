#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: lab_verdicts_test.sh [OPTION OF run.sh]...
#
# The lab seen from outside, with made-up programs in it: a panic, a kernel warning and the death
# of QEMU are failures, a stall is repeated, what the lab's machine lacks is told, and nothing
# runs on after a signal. Bug class: a runner that is green because nobody was left to say no.
# --kernel saves building one. It is the stock lab: here nothing is to be posted.

set -euo pipefail
unset O VFIO_SELFTESTS_BDF

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/lab-verdicts.XXXXXX")
options=(--no-posting "$@")
tree=$work/tree
status=0
out=
err=
runner=
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"

# shellcheck disable=SC2317 # called by the trap
cleanup()
{
	if [[ -n $runner ]]; then
		kill "$runner" 2>/dev/null || true
		wait "$runner" 2>/dev/null || true
	fi
	rm -rf "$work"
}
trap cleanup EXIT

# A tree with the front door and the lab as they are, and other tests.
make_tree()
{
	mkdir -p "$tree/build/tests" "$tree/tests"
	cp -r "$top/run.sh" "$top/scripts" "$top/lab" "$tree"
	printf 'all:\n' >"$tree/Makefile"
	program a_pass_test 'echo 1..1; echo "ok 1 one"'
	program b_panic_test 'echo 1..2; echo "ok 1 one"; sleep 1; echo c >/proc/sysrq-trigger'
	program b_hang_test 'echo 1..2; echo "ok 1 one"; sleep 1000'
	program b_warn_test 'echo 1..1; echo "ok 1 one"
		echo "<4>WARNING: CPU: 0 PID: 1 at made/up.c:1 it+0x1/0x2" >/dev/kmsg'
	program b_slow_test 'echo 1..2; echo "ok 1 one"; sleep 5; echo "ok 2 two"'
	program c_pass_test 'echo 1..1; echo "ok 1 one"'
}

program()
{
	{
		printf '#!/bin/sh\n'
		# shellcheck disable=SC2016 # for the program to expand
		printf '[ "$1" != --describe ] || exec printf "%s\\t-\\tmade up\\n"\n' "$1"
		printf '%s\n' "$2"
	} >"$tree/build/tests/$1"
	chmod +x "$tree/build/tests/$1"
	cp "$tree/build/tests/$1" "$tree/tests/$1.sh"
}

start()
{
	rm -rf "$work/log"
	"$tree/run.sh" "${options[@]}" --log-dir "$work/log" "$@" >"$work/out" 2>"$work/err" &
	runner=$!
}

finish()
{
	status=0
	wait "$runner" || status=$?
	runner=
	out=$(<"$work/out")
	err=$(<"$work/err")
}

# The processes that have to do with this very lab.
leftovers()
{
	local file

	for file in /proc/[0-9]*/cmdline; do
		# It may be gone by now.
		{ tr '\0' ' ' <"$file" | grep -qF -e "$work/log"; } 2>/dev/null || continue
		file=${file%/cmdline}
		printf '%s\n' "${file##*/}"
	done
}

qemu()
{
	local pid

	for pid in $(leftovers); do
		[[ $(cat "/proc/$pid/comm" 2>/dev/null) != qemu* ]] || printf '%s\n' "$pid"
	done
}

# Waits, bounded, until the lab has printed this.
await_output()
{
	local tries=1200

	until grep -qs -e "$1" "$work/log/stdout.log"; do
		((tries-- > 0)) || { echo "# waited in vain for '$1'" && return 1; }
		sleep 0.1
	done
}

# result NAME STATUS PATTERN...: each pattern is to match a line of stdout.
result()
{
	local name=$1 expected=$2 pattern why=''

	shift 2
	((status == expected)) || why="exit status $status, not $expected"
	for pattern; do
		grep -qE -e "$pattern" <<<"$out" || why="no line of stdout matches $pattern"
	done
	[[ -z $(leftovers) ]] || why="processes are left: $(leftovers | tr '\n' ' ')"
	tap_result "$name" "$why" "$out"$'\n'"$err"
}

# refused NAME SENTENCE ARGUMENT...
refused()
{
	local name=$1 sentence=$2

	shift 2
	start "$@"
	finish
	if [[ $err != *"$sentence"* || -n $out ]]; then
		err+=$'\n'"it exits with $status, but does not say: $sentence"
		status=255
	fi
	result "$name" 2
}

test_refusals()
{
	refused a_lab_without_interrupt_remapping_is_told "no interrupt remapping" \
		--append intremap=off a_pass_test
	refused a_lab_without_an_iommu_is_told "the firmware has VT-d on, so boot with" \
		--append intel_iommu=off a_pass_test
	refused an_unknown_lab_device_is_told "no device 'gpu'" --lab-device gpu a_pass_test
	QEMU=/no/qemu refused a_missing_qemu_is_told "qemu" --no-install a_pass_test
}

test_deaths()
{
	start a_pass_test b_panic_test c_pass_test
	finish
	result a_panic_fails_the_test_it_hits_and_no_other 1 '^ok 1 a_pass_test$' \
		'^not ok 2 b_panic_test # .*panic' '^ok 3 c_pass_test$' '^not ok 4 the_lab_kernel'

	start a_pass_test b_hang_test
	if await_output "ok 1 a_pass_test"; then
		kill -KILL "$(qemu)"
	fi
	finish
	result the_death_of_qemu_is_a_failure 1 '^ok 1 a_pass_test$' \
		'^not ok 2 b_hang_test # QEMU was killed' '^not ok 3 the_lab_kernel'

	start b_warn_test
	finish
	result a_kernel_warning_is_a_failure_though_tests_pass 1 '^ok 1 b_warn_test$' \
		'^not ok 2 the_lab_kernel_reported_no_problem # .*WARNING'
}

test_stall()
{
	start a_pass_test b_slow_test
	if await_output "ok 1 a_pass_test"; then
		kill -STOP "$(qemu)"
	fi
	finish
	result a_stall_is_repeated_once_and_told 0 '^ok 1 a_pass_test$' \
		'^# lab: the emulation stalled' '^ok 2 b_slow_test$'
	[[ $(grep -c 'Subtest: b_slow_test' <<<"$out") == 1 ]] || status="the run begins twice"
	result a_stalled_run_appears_once 0
}

test_signals()
{
	start b_hang_test
	if await_output "ok 1 one"; then
		kill -TERM "$runner"
	fi
	finish
	result nothing_runs_on_after_sigterm 143

	start b_hang_test
	if await_output "ok 1 one"; then
		kill -KILL "$runner"
	fi
	finish 2>/dev/null
	sleep 2
	result nothing_runs_on_after_sigkill 137
}

make_tree
tap_begin
tap_plan 11
test_refusals
test_deaths
test_signals
test_stall
tap_end
