# shellcheck shell=bash disable=SC2034,SC2154 # who sources this sets work, tree, machine and bdf
# SPDX-License-Identifier: GPL-2.0-only
#
# Sourced by the unit tests of run.sh: a tree with made-up test programs, a made-up machine, and
# questions to run.sh on it.

# program NAME NEEDS BODY
program()
{
	{
		printf '#!/bin/sh\n'
		# shellcheck disable=SC2016 # for the program to expand
		printf '[ "$1" != --describe ] || exec printf "%s\\t%s\\ta made-up test\\n"\n' \
			"$1" "$2"
		printf '%s\n' "$3"
	} >"$tree/build/tests/$1"
	chmod +x "$tree/build/tests/$1"
}

make_tree()
{
	mkdir -p "$tree/build/tests"
	cp -r "$top/run.sh" "$top/scripts" "$tree"
	program good_test device 'echo 1..2; echo "ok 1 one"; echo "ok 2 two # SKIP no two"
		echo "args: $*"; echo "  strange"; echo "a word" >&2'
	program plain_test - 'echo 1..1; echo "ok 1 one"'
}

# device BDF DRIVER GROUP [CLASS]
device()
{
	local directory=$machine/sys/bus/pci/devices/$1 group=$machine/sys/kernel/iommu_groups/$3

	mkdir -p "$directory" "$group/devices" "$machine/sys/bus/pci/drivers/vfio-pci"
	printf '%s\n' "${4:-0x010802}" >"$directory/class"
	printf '0x1234\n' >"$directory/vendor"
	printf '0x11e8\n' >"$directory/device"
	printf '(null)\n' >"$directory/driver_override"
	ln -sfn "../../../../kernel/iommu_groups/$3" "$directory/iommu_group"
	ln -sfn "../../../../bus/pci/devices/$1" "$group/devices/$1"
	[[ -z $2 ]] || mkdir -p "$machine/sys/bus/pci/drivers/$2"
	[[ -z $2 ]] || ln -sfn "../../drivers/$2" "$directory/driver"
}

# An idle device, bound to vfio-pci, on a machine with everything on.
make_machine()
{
	rm -rf "$machine"
	mkdir -p "$machine/sys/kernel/irq/9" "$machine/proc/self" "$machine"/proc/{1,4711}/fd
	printf 'IR-IO-APIC\n' >"$machine/sys/kernel/irq/9/chip_name"
	printf 'monitor\n' >"$machine/proc/4711/comm"
	: >"$machine/proc/self/mountinfo"
	: >"$machine/proc/swaps"
	device "$bdf" vfio-pci 7
	: >"$machine/sys/bus/pci/drivers_probe"
}

# config BDF BYTES: the first of its config space, as printf knows them.
config()
{
	local file=$machine/sys/bus/pci/devices/$1/config

	printf '%b' "$2" >"$file"
	truncate -s 256 "$file"
}

# block NAME NUMBER: a disk below the device.
block()
{
	local directory=$machine/sys/bus/pci/devices/$bdf/nvme/nvme0/$1

	mkdir -p "$directory/holders" "$machine/sys/class/block"
	printf 'MAJOR=%s\nMINOR=%s\nDEVNAME=%s\n' "${2%:*}" "${2#*:}" "$1" >"$directory/uevent"
	printf '%s\n' "$2" >"$directory/dev"
	ln -sfn "$directory" "$machine/sys/class/block/$1"
}

# Asking -------------------------------------------------------------------------------------------

state()
{
	find "$machine" | sort
	find "$machine" -type f -exec sha256sum {} + | sort
}

# ask ARGUMENT...: leaves $status, $out and $err.
ask()
{
	status=0
	KVM_VFIO_TESTS_ROOT=$machine "$tree/run.sh" "$@" >"$work/out" 2>"$work/err" || status=$?
	out=$(<"$work/out")
	err=$(<"$work/err")
}

# The state of a process, nothing if it is gone or only waits to be collected.
running()
{
	grep -s '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status" || true
}

# result NAME OBJECTION
result()
{
	tap_result "$1" "$2" "exit status $status"$'\n'"$out"$'\n'"$err"
}

# refused NAME SENTENCE ARGUMENT...: exit status 2, this on stderr in one line, nothing changed.
refused()
{
	local name=$1 sentence=$2 before why=''

	shift 2
	before=$(state)
	ask "$@"
	((status == 2)) || why="exit status $status"
	[[ -z $out ]] || why="stdout is not empty"
	[[ $err == *"$sentence"* ]] || why="the sentence lacks: $sentence"
	[[ $err != *$'\n'* ]] || why="more than one line"
	[[ $before == "$(state)" ]] || why="the machine was changed"
	result "$name" "$why"
}
