#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# run.sh on a made-up machine that is changed for the run and given back: modules of vfio-pci are
# loaded and unloaded, those that were there stay; what a run noted before the machine was booted is
# forgotten and no device touched; tests without a device take none. On real devices:
# front_door_lab_test. Bug class: a runner that leaves the machine otherwise than it found it.

set -euo pipefail
unset O KSRC VFIO_SELFTESTS_BDF KVM_VFIO_TESTS_LAB KVM_VFIO_TESTS_OUTER

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/host-run.XXXXXX")
trap 'rm -rf "$work"' EXIT

tree=$work/tree
machine=$work/machine
bdf=0000:01:00.0
pf=$machine/sys/bus/pci/devices/$bdf
state=$machine/run/kvm-vfio-tests

# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"
# shellcheck source=tests/unit/machine.bash
. "$top/tests/unit/machine.bash"

# A modprobe for the made-up machine. Loading vfio-pci binds the device, as with the ids= of a real
# one.
make_modprobe()
{
	mkdir "$work/bin"
	cat >"$work/bin/modprobe" <<-END
	#!/bin/bash
	echo "\$*" >>$work/modprobe
	case "\$*" in
	"-q -D vfio-pci") exit 0 ;;
	vfio-pci*)
		mkdir -p $machine/sys/module/{vfio_pci,vfio_pci_core,vfio} \\
			$machine/sys/bus/pci/drivers/vfio-pci
		ln -sfn ../../drivers/vfio-pci $pf/driver ;;
	"-q vfio_iommu_type1") mkdir -p $machine/sys/module/vfio_iommu_type1 ;;
	"-q iommufd") exit 1 ;;
	"-q -r vfio_pci")
		rm $pf/driver
		rmdir $machine/sys/module/vfio_pci $machine/sys/bus/pci/drivers/vfio-pci ;;
	"-q -r "*) rmdir $machine/sys/module/\${*: -1} ;;
	esac
	END
	chmod +x "$work/bin/modprobe"
	export PATH=$work/bin:$PATH
}

# The device without a driver, vfio-pci not loaded, but irqbypass is, for KVM.
without_vfio_pci()
{
	make_machine
	rm "$pf/driver"
	rmdir "$machine/sys/bus/pci/drivers/vfio-pci"
	mkdir -p "$machine/sys/module/irqbypass" "$state"
	: >"$work/modprobe"
}

test_modules()
{
	local before why=''

	without_vfio_pci
	before=$(state)
	ask -d "$bdf" good_test
	((status == 0)) || why="exit status $status"
	grep -qx vfio-pci "$work/modprobe" || why="vfio-pci was not loaded"
	result vfio_pci_is_loaded_on_demand "$why"
	result modules_are_as_before "$([[ $before == "$(state)" ]] ||
		diff <(echo "$before") <(state))"

	without_vfio_pci
	printf '0x8086\n' >"$pf/vendor"
	printf '0x37c8\n' >"$pf/device"
	ask -d "$bdf" good_test
	result a_denylisted_device_gets_the_parameter \
		"$(grep -x 'vfio-pci disable_denylist=1' "$work/modprobe" >/dev/null || echo no)"

	make_machine
	mkdir -p "$machine/sys/module/vfio_pci"
	: >"$work/modprobe"
	ask -d "$bdf" good_test
	result a_loaded_vfio_pci_stays "$(cat "$work/modprobe")"

	without_vfio_pci
	mkdir -p "$machine/sys/module/vfio_pci"
	printf '99999999 1\n vfio_pci\n' >"$state/loaded-vfio-pci"
	mkdir "$machine/sys/bus/pci/drivers/vfio-pci"
	ln -s ../../drivers/vfio-pci "$pf/driver"
	ask --restore
	result modules_of_a_killed_run_are_unloaded \
		"$([[ ! -d $machine/sys/module/vfio_pci ]] || echo they are not)"
}

# Notes of another boot, on a machine that must not be changed by them.
notes_of_another_boot()
{
	make_machine
	mkdir -p "$state/$bdf" "$machine/sys/kernel/mm/hugepages/hugepages-2048kB"
	printf '7\n' >"$machine/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
	printf '2\n' >"$pf/sriov_numvfs"
	printf 'nvme\n' >"$state/$bdf/driver"
	printf 'nvme\n' >"$state/$bdf/override"
	printf '1 1 another-boot\n' | tee "$state/$bdf/owner" "$state/hugepages.2048.1" \
		"$state/sriov.$bdf" "$state/loaded-vfio-pci" >/dev/null
	printf '2048 added 4\n' >>"$state/hugepages.2048.1"
	printf '0 1\n' >>"$state/sriov.$bdf"
	printf ' vfio_pci\n' >>"$state/loaded-vfio-pci"
}

# forgotten NAME STATUS ARGUMENT...: the notes are gone, and nothing else changed.
forgotten()
{
	local name=$1 expected=$2 before why=''

	shift 2
	notes_of_another_boot
	[[ $1 == --restore ]] || printf '0\n' >"$pf/sriov_numvfs"
	: >"$work/modprobe"
	before=$(state | grep -v /run/)
	ask "$@"
	((status == expected)) || why="exit status $status"
	[[ -z $(ls -A "$state") ]] || why="left: $(ls -A "$state")"
	[[ $(state | grep -v /run/) == "$before" ]] || why="the machine was changed"
	[[ ! -s $work/modprobe ]] || why="modules were touched"
	result "$name" "$why"
}

test_reboot()
{
	forgotten restore_after_a_reboot_touches_nothing 0 --restore
	forgotten a_run_after_a_reboot_minds_no_old_notes 0 -d "$bdf" good_test
}

test_virtual_functions()
{
	local why=''

	make_machine
	printf '8\n' >"$pf/sriov_totalvfs"
	printf '0\n' >"$pf/sriov_numvfs"
	printf '1\n' >"$pf/sriov_drivers_autoprobe"
	printf '384\n' >"$pf/sriov_offset"
	printf '2\n' >"$pf/sriov_stride"
	ask -d "$bdf/vf1" --dry-run good_test
	result the_address_of_a_virtual_function_is_known \
		"$(grep -q 'good_test.* 0000:02:10.2$' <<<"$err" || echo it is not)"
	ask -d "$bdf/vf1" good_test
	[[ $status == 2 && $err == *"$bdf/vf1 did not appear as 0000:02:10.2"* ]] || why="$status"
	[[ $(<"$pf/sriov_numvfs") == 0 && $(<"$pf/sriov_drivers_autoprobe") == 1 ]] ||
		why="sriov_numvfs is $(<"$pf/sriov_numvfs")"
	[[ -z $(ls -A "$state") ]] || why="left: $(ls -A "$state")"
	result a_virtual_function_that_does_not_come_is_told "$why"

	printf '2\n' >"$pf/sriov_numvfs"
	printf '99999999 1\n0 1\n' >"$state/sriov.$bdf"
	ask --restore
	result virtual_functions_of_a_killed_run_are_removed \
		"$([[ $(<"$pf/sriov_numvfs") == 0 && -z $(ls -A "$state") ]] || echo they are not)"
}

test_no_device()
{
	local why=''

	make_machine
	ask --host
	[[ $status == 0 && $out == *"ok 1 plain_test"* && $out != *good_test* ]] || why="$status"
	result without_a_device_tests_of_none_are_run "$why"
}

make_tree
make_modprobe
tap_begin
tap_plan 11
test_modules
test_reboot
test_virtual_functions
test_no_device
tap_end
