#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in the lab: the VFIO benchmarks, one after the other. Their tables go to stdout, and behind
# them their CSV, each line after "csv:NAME:".
#
# usage: vfio-in-lab.sh ROUNDS MEGABYTES BDF...

set -euo pipefail

here=$(dirname "$0")
rounds=$1 megabytes=$2
shift 2

bind() {
	local device=/sys/bus/pci/devices/$1

	[[ ! -e $device/driver ]] || echo "$1" >"$device/driver/unbind"
	echo vfio-pci >"$device/driver_override"
	echo "$1" >/sys/bus/pci/drivers_probe
}

# run NAME ARGUMENT...
run() {
	local name=$1

	shift
	echo "bench: $name" >&2
	"$here/$name" -c "$here/$name.csv" "$@"
	sed "s/^/csv:$name:/" "$here/$name.csv"
}

for bdf in "$@"; do
	bind "$bdf"
done
# As many as there are to be had; what is missing is told by the benchmark.
echo $((megabytes / 2)) >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages || true

run vfio_pci_device_init_perf_test -n "$rounds" "$@"
run vfio_dma_mapping_perf_test -n $((rounds * 10)) -m "$megabytes" "$1"
