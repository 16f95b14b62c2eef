# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced: one KTAP document on stdout over the runs of several
# programs, the output of each nested in it as it comes, and a verdict on each.
#
# A program is believed only if its plan, its results and its exit status agree. Everything else,
# a crash, a hang, an unfinished plan, a green exit status with a failed result, is `not ok`.

# shellcheck source=scripts/child.sh
. "${BASH_SOURCE[0]%/*}/child.sh"

ktap_log=/dev/null
ktap_planned=0
ktap_done=0
ktap_passed=0
ktap_failed=0
ktap_skipped=0
ktap_environment=0
# Repeats the program at hand, up to what follows `--`, and what does; empty if nobody says how.
ktap_repeat=
ktap_repeat_arguments=

ktap_emit()
{
	printf '%s\n' "$1"
	printf '%s\n' "$1" >>"$ktap_log"
}

# ktap_begin TOTAL COMMENT...: the head of the document.
ktap_begin()
{
	local comment

	ktap_planned=$1
	shift
	ktap_emit "KTAP version 1"
	for comment; do
		ktap_emit "# $comment"
	done
	ktap_emit "1..$ktap_planned"
}

# ktap_result passed|failed|skipped|environment LABEL [REASON]
ktap_result()
{
	local verdict=$1 label=$2 reason=${3:-}

	ktap_done=$((ktap_done + 1))
	case $verdict in
	passed)
		ktap_passed=$((ktap_passed + 1))
		ktap_emit "ok $ktap_done $label${reason:+ # $reason}"
		;;
	skipped)
		ktap_skipped=$((ktap_skipped + 1))
		ktap_emit "ok $ktap_done $label # SKIP $reason"
		;;
	environment)
		ktap_environment=$((ktap_environment + 1))
		ktap_emit "not ok $ktap_done $label # environment: $reason"
		;;
	*)
		ktap_failed=$((ktap_failed + 1))
		ktap_emit "not ok $ktap_done $label${reason:+ # $reason}"
		;;
	esac
}

# The exit status that goes with the results; a document with a result missing is a failure.
ktap_status()
{
	if ((ktap_failed || ktap_done != ktap_planned)); then
		printf 1
	elif ((ktap_environment)); then
		printf 2
	elif ((ktap_passed == 0)); then
		printf 4
	else
		printf 0
	fi
}

# What the program at hand said.
program_reset()
{
	program_plan=
	program_results=0
	program_passed=0
	program_failed=0
	program_skipped=0
	program_disorder=
	program_skip_reason=
	program_case=
	program_began=$(uptime_ms)
}

program_take_result()
{
	local verdict=$1 number=$2 rest=$3

	program_results=$((program_results + 1))
	((10#$number == program_results)) ||
		program_disorder="result $number where $program_results was due"
	if [[ $verdict == "not ok" ]]; then
		program_failed=$((program_failed + 1))
	elif [[ $rest =~ \#\ *[Ss][Kk][Ii][Pp]\ *(.*)$ ]]; then
		program_skipped=$((program_skipped + 1))
		program_skip_reason=${BASH_REMATCH[1]}
	else
		program_passed=$((program_passed + 1))
	fi
}

# program_say_repeat CASE: how to see that again, before the result that it belongs to; for a
# program that died after all of them, with the case it was in, if any.
program_say_repeat()
{
	local arguments="${1:+ -r $1}$ktap_repeat_arguments"

	[[ -z $ktap_repeat ]] ||
		ktap_emit "    # repeat: $ktap_repeat${arguments:+ --$arguments}"
}

# Judges one line of a program and passes it on, nested; what is no KTAP becomes a comment.
program_take_line()
{
	local line=${1%$'\r'}

	if [[ $line =~ ^(TAP|KTAP)\ version\ [0-9]+$ ]]; then
		return
	elif [[ $line =~ ^(ok|not\ ok)\ ([0-9]+)(.*)$ ]]; then
		program_take_result "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}"
		[[ $line != "not ok"* || ! $line =~ ^not\ ok\ [0-9]+\ ([A-Za-z0-9_.]+) ]] ||
			program_say_repeat "${BASH_REMATCH[1]}"
		program_case=
	elif [[ $line =~ ^\#\ \ RUN\ +([A-Za-z0-9_.]+) ]]; then
		program_case=${BASH_REMATCH[1]}
	elif [[ $line =~ ^1\.\.([0-9]+)(\ *\#\ *SKIP\ *(.*))?$ ]]; then
		[[ -z $program_plan ]] || program_disorder="two plans"
		program_plan=${BASH_REMATCH[1]}
		program_skip_reason=${BASH_REMATCH[3]:-}
	elif ! [[ $line =~ ^(\ \ )*(#|(not\ )?ok\ |1\.\.[0-9]|KTAP\ version) ]]; then
		line="# $line"
	fi
	ktap_emit "    $line"
	[[ -z ${trace_instance:-} ]] || trace_result "$line"
}

# Why what the program said cannot stand as it is; nothing if it can.
program_objection()
{
	local status=$1 seconds=$2

	if [[ -n $child_timed_out ]]; then
		printf 'no end within %s s' "$seconds"
	elif ((status == 126 || status == 127)); then
		printf 'cannot be run'
	elif ((status > 128)); then
		printf 'killed by SIG%s' "$(kill -l $((status - 128)))"
	elif [[ -z $program_plan ]]; then
		printf 'exit status %s without a plan' "$status"
	elif ((program_results != program_plan)); then
		printf '%s of %s results, exit status %s' \
			"$program_results" "$program_plan" "$status"
	elif [[ -n $program_disorder ]]; then
		printf '%s' "$program_disorder"
	elif ((status == 1 && program_failed == 0)); then
		printf 'exit status 1 without a failed result'
	elif ((status == 4 && program_passed > 0)); then
		printf 'exit status 4, only skips, with a result that passed'
	elif ((status != 1 && program_failed > 0)); then
		printf 'exit status %s with a failed result' "$status"
	elif ((status != 0 && status != 1 && status != 2 && status != 4)); then
		printf 'exit status %s' "$status"
	elif ((program_results == 0)) && ((status == 0)); then
		printf 'no test in it'
	fi
}

# The last sentence a program said on stderr, without its name in front.
program_last_words()
{
	awk -v name="$2: " 'NF { last = $0 }
		END { sub(/\r$/, "", last)
		      if (index(last, name) == 1) last = substr(last, length(name) + 1)
		      print last == "" ? "exit status 2 without a reason" : last }' "$1"
}

program_judge()
{
	local label=$1 seconds=$2 stderr_log=$3 command=$4 objection

	ktap_emit "    # duration_ms: $(($(uptime_ms) - program_began))"

	if ((child_status == 2 && program_failed == 0)) && [[ -z $child_timed_out ]]; then
		ktap_result environment "$label" "$(program_last_words "$stderr_log" "$command")"
		return
	fi
	objection=$(program_objection "$child_status" "$seconds")
	if [[ -n $objection ]] || ((program_failed)); then
		[[ -z $objection ]] || program_say_repeat "$program_case"
		ktap_result failed "$label" "$objection"
	elif ((program_passed == 0)); then
		ktap_result skipped "$label" "$program_skip_reason"
	else
		ktap_result passed "$label"
	fi
}

# ktap_program LABEL SECONDS STDERR_LOG COMMAND...: runs a test program, bounded, and reports it.
ktap_program()
{
	local label=$1 seconds=$2 stderr_log=$3

	shift 3
	program_reset
	ktap_emit "    KTAP version 1"
	ktap_emit "    # Subtest: $label"
	child_start "$seconds" "$stderr_log" "$@"
	while child_read; do
		program_take_line "$child_line"
	done
	child_finish
	program_judge "$label" "$seconds" "$stderr_log" "${1##*/}"
}
