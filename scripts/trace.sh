# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced: --trace, the kernel's tracepoints of KVM and of interrupts during a case that failed.
#
# They go to an instance of our own in tracefs, which nobody else's tracing disturbs. Where a result
# was read is marked in it. Nothing is forgotten after a good one: it may be read when the next case
# is over already. After a bad one the buffer is stopped, written out and emptied: in the lab to a
# port that ends in trace.log outside, elsewhere to a file beside the test's other log.
# Works with bash and busybox.

# shellcheck source=scripts/pci-device.sh
. "${BASH_SOURCE[0]%/*}/pci-device.sh"

trace_wanted=
trace_instance=
trace_out=
trace_label=
trace_dumps=0
# A line is some 100 bytes; the last ones are the interesting ones.
trace_lines=4000
trace_port=/dev/virtio-ports/lab.trace

trace_dir()
{
	local dir

	for dir in "$pci_root"/sys/kernel/tracing "$pci_root"/sys/kernel/debug/tracing; do
		[[ ! -d $dir/instances ]] || { printf '%s' "$dir" && return; }
	done
	return 1
}

# What --trace needs, before anything is changed.
trace_check()
{
	local dir

	[[ -n $trace_wanted ]] || return 0
	dir=$(trace_dir) ||
		die "--trace: no tracefs: mount -t tracefs tracefs /sys/kernel/tracing, as root;" \
			"the kernel needs CONFIG_FTRACE and CONFIG_ENABLE_DEFAULT_TRACERS"
	[[ -w $dir/instances ]] || die "--trace takes root: run this with sudo"
}

# trace_begin LABEL FILE: before a program.
trace_begin()
{
	local event

	[[ -n $trace_wanted ]] || return 0
	trace_label=$1
	trace_out=$2
	[[ ! -w $trace_port ]] || trace_out=$trace_port
	if [[ -z $trace_instance ]]; then
		trace_instance=$(trace_dir)/instances/kvm-vfio-tests.$$
		mkdir -p "$trace_instance"
		printf '256\n' >"$trace_instance/buffer_size_kb"
		for event in kvm irq/irq_handler_entry irq/irq_handler_exit; do
			[[ ! -w $trace_instance/events/$event/enable ]] ||
				printf '1\n' >"$trace_instance/events/$event/enable"
		done
	fi
	: >"$trace_instance/trace"
	printf '1\n' >"$trace_instance/tracing_on"
	trace_dumps=0
}

trace_dump()
{
	trace_dumps=$((trace_dumps + 1))
	{
		printf '=== %s: %s\n' "$trace_label" "$1"
		tail -n "$trace_lines" "$trace_instance/trace"
	} >>"$trace_out"
	note "trace: ${1%% #*}: $([[ $trace_out == "$trace_port" ]] &&
		printf 'trace.log, beside the lab'\''s console.log' || printf '%s' "$trace_out")"
}

# trace_result LINE: after a line of the program that may be a result.
trace_result()
{
	[[ -n $trace_instance && $1 =~ ^(not\ )?ok\ [0-9] ]] || return 0
	if [[ $1 == ok* ]]; then
		printf '%s\n' "$1" >"$trace_instance/trace_marker"
		return
	fi
	printf '0\n' >"$trace_instance/tracing_on"
	trace_dump "$1"
	: >"$trace_instance/trace"
	printf '1\n' >"$trace_instance/tracing_on"
}

# trace_end FAILED: after a program. One that crashed or hung has no bad result to say so.
trace_end()
{
	[[ -n $trace_instance ]] || return 0
	printf '0\n' >"$trace_instance/tracing_on"
	((!$1 || trace_dumps)) || trace_dump "after its last result"
}

trace_cleanup()
{
	[[ -n $trace_instance ]] || return 0
	rmdir "$trace_instance" 2>/dev/null || true
	trace_instance=
}

# run.sh --restore: what runs that no longer exist left behind.
trace_restore()
{
	local instance

	for instance in "$(trace_dir || true)"/instances/kvm-vfio-tests.*; do
		[[ ! -d $instance || -e /proc/${instance##*.} ]] || rmdir "$instance" || true
	done
}
