#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in the lab: times irq_bench and upstream's irq_test in turn and prints a line per figure,
# as "NAME <interrupts per second>". A whole process is timed with few and with many interrupts;
# the difference is that of the interrupts alone, whatever a program does around them. Lines of
# "path:DEVICE:PATH" also carry the VM exits per interrupt; irq_bench counts and times them itself.
#
# usage: in-lab.sh ROUNDS FEW MANY [BDF...]

set -euo pipefail

here=$(dirname "$0")
rounds=$1 few=$2 many=$3
shift 3
readonly max_tries=20 batch=100

# microseconds COMMAND...: how long it takes. Upstream's irq_test fails when QEMU delivers an
# interrupt twice (see host/irq_vm.h), which is not its fault, so it may try again.
microseconds() {
	local begin status tries=0

	while ((tries++ < max_tries)); do
		begin=${EPOCHREALTIME/./} status=0
		"$@" >/dev/null 2>"$here/stderr" || status=$?
		if ((status == 0)); then
			echo $((${EPOCHREALTIME/./} - begin))
			return
		fi
		[[ $1 == */irq_test ]] || break
	done

	echo "bench: '$*' ended with $status" >&2
	cat "$here/stderr" >&2
	exit 1
}

# rate NAME COMMAND...: one figure.
rate() {
	local name=$1 short long

	shift
	short=$(microseconds "$@" -i "$few")
	long=$(microseconds "$@" -i "$many")
	((long > short)) || return 0
	echo "$name $(((many - few) * 1000000 / (long - short)))"
}

# by_path NAME BDF: a line for each path by which the device's interrupts came.
by_path() {
	local path figures

	"$here/irq_bench" -p -d "$2" -i "$many" 2>"$here/stderr" >"$here/paths" || {
		echo "bench: irq_bench -p ended with $?" >&2
		cat "$here/stderr" >&2
		exit 1
	}
	while read -r path figures; do
		echo "path:$1:$path $figures"
	done <"$here/paths"
}

bind() {
	local device=/sys/bus/pci/devices/$1

	[[ ! -e $device/driver ]] || echo "$1" >"$device/driver/unbind"
	echo vfio-pci >"$device/driver_override"
	echo "$1" >/sys/bus/pci/drivers_probe
}

for pair in "$@"; do
	bind "${pair#*=}"
done

for ((round = 1; round <= rounds; round++)); do
	echo "bench: round $round of $rounds" >&2
	rate ours:eventfd "$here/irq_bench"
	rate ours-rerouting:eventfd "$here/irq_bench" -r
	# Ten times as many, or their time would drown in that of the process.
	few=$((few * 10)) many=$((many * 10)) rate ours-batch:eventfd "$here/irq_bench" -b "$batch"
	[[ ! -x $here/irq_test ]] || rate upstream:eventfd "$here/irq_test"
	for pair in "$@"; do
		rate "ours:${pair%=*}" "$here/irq_bench" -d "${pair#*=}"
		rate "ours-rerouting:${pair%=*}" "$here/irq_bench" -r -d "${pair#*=}"
		# The only device of QEMU's that upstream has a driver for.
		[[ ! -x $here/irq_test || ${pair%=*} != igb ]] ||
			rate "upstream:${pair%=*}" "$here/irq_test" -d "${pair#*=}"
		by_path "${pair%=*}" "${pair#*=}"
	done
done
