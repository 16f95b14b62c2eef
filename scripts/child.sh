# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced: one child process at a time, read line by line, with a bound on its time.
#
# The child leads a process group of its own, so that it can be ended with all it started and
# Ctrl-C reaches it only through us, after which there is still time to clean up.
# Works with bash and busybox.

# shellcheck source=scripts/message.sh
. "${BASH_SOURCE[0]%/*}/message.sh"
# shellcheck source=scripts/process.sh
. "${BASH_SOURCE[0]%/*}/process.sh"

child_scratch=
child_pid=
child_status=0
child_timed_out=
child_line=
child_deadline=0
child_out=
child_tee=
# Not even SIGKILL ended it.
child_stuck=
# The files in which to note who the child is, for another process to find.
child_notes=()

# Seconds since boot: unlike $SECONDS it does not jump when the clock is set.
uptime_seconds()
{
	local up

	read -r up _ </proc/uptime
	printf '%s' "${up%.*}"
}

uptime_ms()
{
	local up

	read -r up _ </proc/uptime
	printf '%s' "$((10#${up/./} * 10))"
}

# child_start SECONDS STDERR_LOG COMMAND...: its stdout is read with child_read. Its stderr is ours,
# and goes to STDERR_LOG too unless that is `-`.
child_start()
{
	local seconds=$1 stderr_log=$2 err note

	shift 2
	[[ -n $child_scratch ]] ||
		child_scratch=$(mktemp -d "${TMPDIR:-/tmp}/kvm-vfio-tests.XXXXXX")
	rm -f "$child_scratch"/{out,err}
	mkfifo "$child_scratch"/{out,err}
	child_tee=
	if [[ $stderr_log == - ]]; then
		exec {err}>&2
	else
		tee -a "$stderr_log" <"$child_scratch/err" >&2 &
		child_tee=$!
		exec {err}>"$child_scratch/err"
	fi
	child_status=0
	child_timed_out=
	child_deadline=$(($(uptime_seconds) + seconds))
	set -m
	"$@" >"$child_scratch/out" 2>&"$err" {err}>&- </dev/null &
	child_pid=$!
	set +m
	exec {err}>&-
	for note in "${child_notes[@]}"; do
		process_identity "$child_pid" >"$note" || true
	done
	exec {child_out}<"$child_scratch/out"
}

# The next line of its stdout into $child_line; false at its end, or when the time is up.
# A read that times out in the very moment in which it has taken the newline does not tell so, and
# two lines would be one. So it is asked first whether there is anything to be read, and the time
# that read then has is for a line that never ends.
child_read()
{
	local now

	child_line=
	# Not uptime_seconds, for each line would start a process.
	while read -r now _ </proc/uptime && now=${now%.*} && ((now < child_deadline)); do
		if read -r -t 0 -u "$child_out"; then
			# Into REPLY, which keeps spaces as they are. `IFS= read` would too, but
			# a signal's trap is run within the read, and so all of the cleanup would
			# be with that IFS.
			if read -r -t $((child_deadline - now)) -u "$child_out"; then
				child_line=$REPLY
				return 0
			elif (($? <= 128)); then
				# Its end. A last line needs no newline.
				child_line=$REPLY
				[[ -n $child_line ]]
				return
			fi
		elif ! child_alive && ! read -r -t 0 -u "$child_out"; then
			# Something that it started holds the pipe.
			return 1
		else
			sleep 0.2
		fi
	done
	child_timed_out=1
	return 1
}

child_alive()
{
	[[ -n $child_pid ]] && kill -0 "$child_pid" 2>/dev/null
}

# child_await_exit TENTHS: false if it is still there after that.
child_await_exit()
{
	local tenths=$1

	while child_alive; do
		((tenths-- > 0)) || return 1
		sleep 0.1
	done
}

# Ends the child: asks, then insists. False if not even SIGKILL ended it: it hangs in the kernel.
child_end()
{
	child_alive || return 0
	kill -TERM -- "-$child_pid" 2>/dev/null || true
	child_await_exit 50 && return 0
	kill -KILL -- "-$child_pid" 2>/dev/null || true
	child_await_exit 50
}

# Collects the child into $child_status and ends whatever it left behind.
child_finish()
{
	while child_alive && [[ -z $child_timed_out ]]; do
		(($(uptime_seconds) < child_deadline)) || child_timed_out=1
		sleep 0.05
	done
	child_end || child_stuck=1
	exec {child_out}<&-
	if [[ -n $child_stuck ]]; then
		[[ -z $child_tee ]] || kill "$child_tee" 2>/dev/null || true
		note "process $child_pid does not end, not even by SIGKILL: it hangs in the kernel"
		return
	fi
	# shellcheck disable=SC2034 # for who sources this
	wait "$child_pid" 2>/dev/null || child_status=$?
	kill -KILL -- "-$child_pid" 2>/dev/null || true
	[[ -z $child_tee ]] || wait "$child_tee" 2>/dev/null || true
	child_pid=
}

# Last call, from an EXIT trap: nothing of ours remains.
child_cleanup()
{
	# A trap leaves child_read with the alarm of its read still set. If it goes off in another
	# read of this shell, bash jumps to where there is nothing any more, and aborts; one with a
	# limit of its own cancels it.
	read -r -t 9 </proc/uptime || true
	child_end || child_stuck=1
	[[ -z $child_scratch ]] || rm -rf "$child_scratch"
}
