#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in the lab: times memcpy_bench, and the one with upstream's library, in turn, and prints a
# line per figure, "SOURCE WHAT <bytes per second>".
#
# usage: memcpy-in-lab.sh ROUNDS NAME=BDF...

set -euo pipefail

here=$(dirname "$0")
rounds=$1
shift

# rate SOURCE WHAT PROGRAM ARGUMENT...
rate()
{
	local source=$1 what=$2 figure status=0

	shift 2
	figure=$("$@" 2>"$here/stderr") || status=$?
	if ((status == 0)); then
		echo "$source $what $figure"
	elif ((status != 4)); then
		echo "bench: '$*' ended with $status" >&2
		cat "$here/stderr" >&2
		exit 1
	fi
}

# A megabyte as one buffer; as many copies of 1 KiB as one request takes; and of igb, four megabytes
# by one request, in copies as large as the driver takes, which for upstream's is 1 KiB. edu needs
# 0.2 s for a copy of any size, so it gets fewer.
time_device()
{
	local name=$1 bdf=$2 buffer=1048576 copies=4095 ours=$here/memcpy_bench
	local upstream=$here/memcpy_bench_upstream

	case $name in
	edu) buffer=4096 copies=4 ;;
	nvme) copies=16 ;;
	esac
	rate ours "$name:buffer" "$ours" -d "$bdf" -s "$buffer"
	rate ours "$name:copies" "$ours" -d "$bdf" -s 1024 -c "$copies"
	# The only device of QEMU's that upstream has a driver for.
	if [[ $name == igb && -x $upstream ]]; then
		rate ours "$name:request" "$ours" -d "$bdf" -s "$buffer" -c 4
		rate upstream "$name:request" "$upstream" -d "$bdf" -s 1024 -c "$copies"
		rate upstream "$name:buffer" "$upstream" -d "$bdf" -s "$buffer"
		rate upstream "$name:copies" "$upstream" -d "$bdf" -s 1024 -c "$copies"
	fi
}

for pair in "$@"; do
	device=/sys/bus/pci/devices/${pair#*=}
	[[ ! -e $device/driver ]] || echo "${pair#*=}" >"$device/driver/unbind"
	echo vfio-pci >"$device/driver_override"
	echo "${pair#*=}" >/sys/bus/pci/drivers_probe
done

for ((round = 1; round <= rounds; round++)); do
	echo "bench: memcpy, round $round of $rounds" >&2
	for pair in "$@"; do
		time_device "${pair%=*}" "${pair#*=}"
	done
done
