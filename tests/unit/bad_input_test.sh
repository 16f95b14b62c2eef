#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The table of docs/bad-input.md is true: for each of its rows there is a case here, in which run.sh
# says that sentence and nothing else, ends with 2 and leaves the made-up machine as it was; and no
# case here is without a row. Bug class: a document of what a program once said.

set -euo pipefail
unset O KSRC VFIO_SELFTESTS_BDF KVM_VFIO_TESTS_LAB KVM_VFIO_TESTS_OUTER

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/bad-input.XXXXXX")
trap 'rm -rf "$work"' EXIT

tree=$work/tree
machine=$work/machine
bdf=0000:01:00.0
pf=$machine/sys/bus/pci/devices/$bdf

# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"
# shellcheck source=tests/unit/machine.bash
. "$top/tests/unit/machine.bash"

# By what is wrong, as the table has it: what makes it so, and after an @ the arguments.
# shellcheck disable=SC2016 # for eval, and the table's backticks
declare -A cases=(
	['a test that is not there: `no_such_test`']='@no_such_test'
	['an option that is not there: `--frobnicate`']='@--frobnicate'
	['an option without its value: `--seed`']='@--seed'
	['`--seed x`']='@--seed x'
	['`--timeout 0`']='@--timeout 0'
	['`--repeat 0`']='@--repeat 0'
	['`--iommu-mode type1`']='@--iommu-mode type1'
	['`--iommu arm`']='@--iommu arm'
	['`--kernel /no/kernel`']='@--kernel /no/kernel'
	['an option of the lab with a device: `--iommu amd -d 01:00.0`']='@--iommu amd -d 01:00.0'
	['an option of the lab with `--host`: `--host --shell`']='@--host --shell'
	['posting under VT-d: `--posting --iommu intel`']='@--posting --iommu intel'
	['posting under KVM: `--posting --accel kvm`']='@--posting --accel kvm'
	['a test of devices on this machine without one: `--host good_test`']='@--host good_test'
	['neither a device nor a lab']='@plain_test'
	['a log directory that cannot be: `--log-dir /proc/1/l`']='@--log-dir=/proc/1/l -d 01:00.0'
	['`-d 1:0.0`']='@-d 1:0.0'
	['`-d ""`']='@-d ""'
	['three devices as a pair']='@-d 01:00.0+02:00.0+03:00.0'
	['a device that is not there']='@-d 09:00.0'
	['a bridge']='device 0000:00:01.0 pcieport 7 0x060400@-d 00:01.0'
	['not being root']='somebody_else@-d 01:00.0'
	['`/sys` mounted read-only']='read_only@-d 01:00.0'
	['no IOMMU, of an Intel CPU, off in the firmware']='no_iommu GenuineIntel@-d 01:00.0'
	['no IOMMU, of an Intel CPU, on in the firmware']='no_iommu GenuineIntel DMAR@-d 01:00.0'
	['no IOMMU, of an AMD CPU, off in the firmware']='no_iommu AuthenticAMD@-d 01:00.0'
	['no IOMMU, of an AMD CPU, on in the firmware']='no_iommu AuthenticAMD IVRS@-d 01:00.0'
	['a group of vfio-noiommu']='noiommu@-d 01:00.0'
	['no interrupt remapping']='rm $machine/sys/kernel/irq/9/chip_name@-d 01:00.0'
	['a kernel without vfio-pci']='no_vfio_pci@-d 01:00.0'
	["a device on vfio-pci's denylist (QAT, DSA, IAX), vfio-pci loaded"]='denied@-d 01:00.0'
	['half an IOMMU group']='device 0000:01:00.1 snd_hda 7@-d 01:00.0'
	['a mounted disk']='mounted@-d 01:00.0'
	['swap space']='swapped@-d 01:00.0'
	['a network interface that is up']='interface@-d 01:00.0'
	['a disk that a process has open']='opened@-d 01:00.0'
	['virtual functions']='functions 1@-d 01:00.0'
	['a device that another run tests']='taken $$@-d 01:00.0'
	['a device that a killed run left behind']='taken 99999999@-d 01:00.0'
	['`-d 01:00.0/vf`']='@-d 01:00.0/vf'
	['a virtual function of a device without SR-IOV']='@-d 01:00.0/vf0'
	['a number that is too high: `-d 01:00.0/vf2`']='functions 0@-d 01:00.0/vf2'
	['a physical function and its virtual one']='functions 0@-d 01:00.0/vf0 -d 01:00.0'
	['a physical function without a driver']='functions 0; rm $pf/driver@-d 01:00.0/vf0'
	['a virtual function where fewer exist']='functions 1@-d 01:00.0/vf1'
	['`--trace` without tracefs']='@--trace -d 01:00.0'
)

# What the cases do to the machine -----------------------------------------------------------------

# shellcheck disable=SC2317 # called by way of the table
somebody_else()
{
	runner=()
	((EUID)) || runner=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	chmod a-w "$machine/sys/bus/pci/drivers_probe"
}

# Root may write what it may not write, but not what is not there.
# shellcheck disable=SC2317
read_only()
{
	rm "$machine/sys/bus/pci/drivers_probe"
	((EUID == 0)) || runner=(unshare -r)
}

# shellcheck disable=SC2317
no_iommu()
{
	rm "$pf/iommu_group"
	mkdir -p "$machine/sys/firmware/acpi/tables"
	printf 'vendor_id\t: %s\n' "$1" >"$machine/proc/cpuinfo"
	[[ -z ${2:-} ]] || : >"$machine/sys/firmware/acpi/tables/$2"
}

# shellcheck disable=SC2317
noiommu()
{
	printf 'vfio-noiommu\n' >"$machine/sys/kernel/iommu_groups/7/name"
}

# shellcheck disable=SC2317
no_vfio_pci()
{
	rm "$pf/driver"
	rmdir "$machine/sys/bus/pci/drivers/vfio-pci"
}

# shellcheck disable=SC2317
denied()
{
	rm "$pf/driver"
	printf '0x8086\n' >"$pf/vendor"
	printf '0x0b25\n' >"$pf/device"
	mkdir -p "$machine/sys/module/vfio_pci/parameters"
	printf 'N\n' >"$machine/sys/module/vfio_pci/parameters/disable_denylist"
}

# shellcheck disable=SC2317
mounted()
{
	block nvme0n1 259:0
	printf '1 2 259:0 / /srv rw - ext4 /dev/root rw\n' >"$machine/proc/self/mountinfo"
}

# shellcheck disable=SC2317
swapped()
{
	block nvme0n1 259:0
	printf '/dev/nvme0n1 partition 1 0 -2\n' >"$machine/proc/swaps"
}

# shellcheck disable=SC2317
opened()
{
	block nvme0n1 259:0
	ln -s /dev/nvme0n1 "$machine/proc/4711/fd/3"
}

# shellcheck disable=SC2317
interface()
{
	mkdir -p "$pf/net/eth9"
	printf '0x1003\n' >"$pf/net/eth9/flags"
}

# functions NUMBER: of two.
# shellcheck disable=SC2317
functions()
{
	printf '2\n' >"$pf/sriov_totalvfs"
	printf '%s\n' "$1" >"$pf/sriov_numvfs"
	printf '384\n' >"$pf/sriov_offset"
	printf '2\n' >"$pf/sriov_stride"
}

# taken PID: by a run of that process.
# shellcheck disable=SC2317
taken()
{
	mkdir -p "$machine/run/kvm-vfio-tests/$bdf"
	(. "$top/scripts/process.sh" && process_identity "$1" || echo "$1 1") \
		>"$machine/run/kvm-vfio-tests/$bdf/owner"
}

# The table ----------------------------------------------------------------------------------------

# rows: WRONG<TAB>SENTENCE
rows()
{
	# shellcheck disable=SC2016 # the table's backticks
	sed -n '/^## Bad input/,/^## [^B]/s/^| \(.*\) | `\(.*\)` |$/\1\t\2/p' "$top/README.md"
}

# shellcheck disable=SC2317 # called by eval
# ask_as ARGUMENT...: run.sh, by the runner of the case.
ask_as()
{
	status=0
	KVM_VFIO_TESTS_ROOT=$machine "${runner[@]}" "$tree/run.sh" "$@" \
		>"$work/out" 2>"$work/err" || status=$?
	out=$(<"$work/out")
	err=$(<"$work/err")
}

# row WRONG SENTENCE
row()
{
	local case=${cases[$1]-} before why='' name=${1//\`/}

	runner=()
	make_machine
	if [[ -z $case ]]; then
		tap_result "${name//#/}" "no case of this test makes it so"
		return
	fi
	eval "${case%@*}"
	before=$(state)
	eval "ask_as ${case##*@}"
	((status == 2)) || why="exit status $status"
	[[ -z $out ]] || why="stdout is not empty"
	[[ $err == "run.sh: "*"$2"* ]] || why="it does not say: $2"
	[[ $err != *$'\n'* ]] || why="more than one line"
	[[ $before == "$(state)" ]] || why="the machine was changed"
	tap_result "$name" "$why" "exit status $status"$'\n'"$out"$'\n'"$err"
	cases[$1]=
}

make_tree
mkdir "$work/bin"
# A kernel has the modules that modprobe finds, whatever the real one has.
printf '#!/bin/sh\nexit 1\n' >"$work/bin/modprobe"
chmod +x "$work/bin/modprobe"
chmod -R a+rX "$work"
chmod a+rx "$work"
export PATH=$work/bin:$PATH
mapfile -t table < <(rows)
tap_begin
tap_plan $((${#table[@]} + 1))
for line in "${table[@]}"; do
	row "${line%%$'\t'*}" "${line#*$'\t'}"
done
why=
for name in "${!cases[@]}"; do
	[[ -z ${cases[$name]} ]] || why+="no row of the table is: $name; "
done
((${#table[@]} > 40)) || why="the table has only ${#table[@]} rows"
tap_result every_case_here_has_a_row "$why"
tap_end
