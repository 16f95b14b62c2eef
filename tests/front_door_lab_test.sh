#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# run.sh on real devices of a real kernel: a device it took is back with its former driver after a
# pass, a failure, a signal and, with --restore, after SIGKILL, and so are huge pages and the number
# of virtual functions; what was noted before a reboot is forgotten; a device in use is left alone;
# --devices knows them; --trace writes down a case that failed.
# Bug class: a runner that keeps what it borrowed.
#
# Needs the lab's machine, which is thrown away: an NVMe controller that the kernel drives, an edu
# device that nobody does, and for virtual functions an igb. The programs that run.sh is given here
# are made up.

set -euo pipefail
unset O KVM_VFIO_TESTS_OUTER

case ${1:-} in
--describe)
	printf 'front_door_lab_test\tlab\trun.sh gives a device back, whatever happens\n'
	exit 0
	;;
esac

top=$PWD
pci=/sys/bus/pci/devices
work=$(mktemp -d)
tree=$work/tree
runner=
status=0
out=
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"

# program NAME BODY [NEEDS]
program()
{
	{
		printf '#!/bin/sh\n'
		# shellcheck disable=SC2016 # for the program to expand
		printf '[ "$1" != --describe ] || exec printf "%s\\t%s\\tmade up\\n"\n' "$1" \
			"${3:-device}"
		printf '%s\n' "$2"
	} >"$tree/build/tests/$1"
	chmod +x "$tree/build/tests/$1"
}

make_tree()
{
	mkdir -p "$tree/build/tests"
	cp -r "$top/run.sh" "$top/scripts" "$tree"
	program pass_test 'echo 1..1; echo "ok 1 one"'
	program fail_test 'echo 1..1; echo "not ok 1 one"; exit 1'
	program hang_test 'echo $$ >'"$work"'/program; echo 1..1; exec sleep 1000' device,hugepages
	program trace_test 'echo 1..2; echo "ok 1 one"; dd if='"$disk"' bs=4k count=9 2>/dev/null |
		wc -c; echo "not ok 2 two"; exit 1'
	chmod -R a+rX "$work"
}

# The address of the first device with this in one of its attributes.
find_device()
{
	local file

	for file in "$pci"/*/"$1"; do
		[[ $(<"$file") != "$2"* ]] || { basename "$(dirname "$file")" && return; }
	done
}

driver_of()
{
	basename "$(readlink "$pci/$1/driver" || echo none)"
}

# state BDF: what has to be the same before and after.
state()
{
	printf '%s, override %s, functions %s, huge pages %s, notes %s' "$(driver_of "$1")" \
		"$(<"$pci/$1/driver_override")" \
		"$(cat "$pci/$1/sriov_numvfs" 2>/dev/null || true)" \
		"$(</proc/sys/vm/nr_hugepages)" \
		"$(find /run/kvm-vfio-tests -mindepth 1 2>/dev/null | wc -l)"
}

# await SENTENCE COMMAND...: bounded.
await()
{
	local tries=200 sentence=$1

	shift
	until "$@"; do
		((tries-- > 0)) || { echo "# waited in vain until $sentence" && return 1; }
		sleep 0.1
	done
}

# shellcheck disable=SC2317 # called by await
is_lent()
{
	[[ $(driver_of "$1") == vfio-pci && -s $work/program ]] &&
		(($(</proc/sys/vm/nr_hugepages) > 0))
}

# shellcheck disable=SC2317 # called by await
is_gone()
{
	! kill -0 "$1" 2>/dev/null
}

run()
{
	status=0
	out=$("$tree/run.sh" "$@" 2>&1) || status=$?
}

# start_hanging WORD [BDF]: a run that hangs in its program, in a process group that SIGINT can
# reach.
start_hanging()
{
	rm -f "$work/program"
	set -m
	"$tree/run.sh" -d "$1" --log-dir "$work/hang" hang_test >"$work/log" 2>&1 &
	runner=$!
	set +m
	await "the program hangs" is_lent "${2:-$1}" || true
}

# given_back NAME BDF STATUS TEST: a whole run.
given_back()
{
	local before why=''

	before=$(state "$2")
	run -d "$2" "$4"
	((status == $3)) || why="exit status $status, not $3"
	[[ $(state "$2") == "$before" ]] || why="before: $before; after: $(state "$2")"
	tap_result "$1" "$why" "$out"
}

# given_back_after_signal NAME BDF SIGNAL STATUS
given_back_after_signal()
{
	local before why=''

	before=$(state "$2")
	start_hanging "$2"
	kill "-$3" "$runner" || true
	status=0
	wait "$runner" || status=$?
	((status == $4)) || why="exit status $status, not $4"
	is_gone "$(<"$work/program")" || why="the program runs on"
	[[ $(state "$2") == "$before" ]] || why="before: $before; after: $(state "$2")"
	tap_result "$1" "$why" "$(<"$work/log")"
}

test_after_sigkill()
{
	local before why='' program

	before=$(state "$nvme")
	start_hanging "$nvme"
	run -d "$nvme" pass_test
	[[ $status == 2 && $out == *"process $runner, is testing it"* ]] || why="status $status"
	tap_result a_device_of_another_run_is_refused "$why" "$out"

	program=$(<"$work/program")
	kill -KILL "$runner" || true
	wait "$runner" 2>/dev/null || true
	run -d "$nvme" pass_test
	why=
	[[ $status == 2 && $out == *--restore* ]] || why="status $status"
	tap_result a_device_of_a_killed_run_is_refused "$why" "$out"

	run --restore
	why=
	((status == 0)) || why="exit status $status"
	await "the program is ended" is_gone "$program" || why="the program runs on"
	[[ $(state "$nvme") == "$before" ]] || why="before: $before; after: $(state "$nvme")"
	tap_result restore_repairs_after_sigkill "$why" "$out"
	given_back a_repaired_device_can_be_tested "$nvme" 0 pass_test
}

# As if the machine had been booted since: the notes are from before, and the device is as the boot
# left it, which here is vfio-pci.
test_after_reboot()
{
	local before why='' program notes=/run/kvm-vfio-tests

	start_hanging "$nvme"
	program=$(<"$work/program")
	kill -KILL "$runner" "$program" || true
	wait "$runner" 2>/dev/null || true
	find "$notes" -type f ! -name driver ! -name override \
		-exec sed -i '1s/[^ ]*$/another-boot/' {} +
	before=$(state "$nvme")
	run --restore
	((status == 0)) || why="exit status $status"
	[[ $(state "$nvme") == "${before%notes*}notes 0" ]] ||
		why="before: $before; after: $(state "$nvme")"
	tap_result after_a_reboot_restore_touches_no_device "$why" "$out"
	printf '0\n' >/proc/sys/vm/nr_hugepages
	printf '%s\n' "$nvme" >"$pci/$nvme/driver/unbind"
	printf '\n' >"$pci/$nvme/driver_override"
	printf '%s\n' "$nvme" >/sys/bus/pci/drivers_probe
}

# Virtual functions of an igb whose driver makes them; here that is vfio-pci itself.
test_virtual_functions()
{
	local allow=/sys/module/vfio_pci/parameters/enable_sriov why="" before vf
	local names=(a_virtual_function_is_made_and_removed it_is_removed_after_sigint
		restore_removes_it_after_sigkill)

	if [[ -z $igb || ! -w $allow ]]; then
		for vf in "${names[@]}"; do
			tap_skip "$vf" "there is no igb, or its vfio-pci makes no virtual functions"
		done
		return
	fi
	printf 'Y\n' >"$allow"
	printf 'vfio-pci\n' >"$pci/$igb/driver_override"
	printf '%s\n' "$igb" >/sys/bus/pci/drivers_probe
	before=$(state "$igb")
	run -d "$igb/vf1" pass_test
	vf=$(sed -n 's/^ok 1 pass_test //p' <<<"$out")
	[[ $status == 0 && -n $vf && $vf != "$igb" ]] || why="exit status $status"
	[[ ! -e $pci/$vf ]] || why="$vf is still there"
	[[ $(state "$igb") == "$before" ]] || why="before: $before; after: $(state "$igb")"
	tap_result "${names[0]}" "$why" "$out"

	start_hanging "$igb/vf1" "$vf"
	kill -INT "$runner" || true
	wait "$runner" || true
	why=
	[[ $(state "$igb") == "$before" ]] || why="before: $before; after: $(state "$igb")"
	tap_result "${names[1]}" "$why" "$(<"$work/log")"

	start_hanging "$igb/vf1" "$vf"
	kill -KILL "$runner" || true
	wait "$runner" 2>/dev/null || true
	why=
	[[ $(<"$pci/$igb/sriov_numvfs") == 2 ]] || why="it was not there"
	run --restore
	[[ $(state "$igb") == "$before" ]] || why="before: $before; after: $(state "$igb")"
	tap_result "${names[2]}" "$why" "$out"
	printf '%s\n' "$igb" >"$pci/$igb/driver/unbind"
	printf '\n' >"$pci/$igb/driver_override"
	printf 'N\n' >"$allow"
}

# The made-up program reads a disk in the case that fails, so the kernel has interrupts to tell of.
test_trace()
{
	local file=$work/trace/trace_test.$edu.trace why=''

	run --trace --log-dir "$work/trace" -d "$edu" trace_test
	((status == 1)) || why="exit status $status"
	grep -qs "^=== trace_test $edu: not ok 2 two" "$file" || why="the case has no trace"
	grep -qs 'irq_handler_entry: .*name=nvme' "$file" || why="the trace has no interrupt"
	(($(grep -c '^===' "$file") == 1)) || why="the case that passed has one"
	! compgen -G '/sys/kernel/debug/tracing/instances/kvm-*' || why="its buffer is left"
	tap_result the_trace_of_a_case_that_fails_is_kept "$why" "$out"$'\n'"$(head -n 20 "$file")"
}

# listed NAME BDF LINE...: run.sh --devices says all this of the device, each an extended regular
# expression for a line, and changes nothing.
listed()
{
	local name=$1 bdf=$2 before line why=''

	shift 2
	before="$(state "$nvme"), $(state "$edu")"
	run --devices
	((status == 0)) || why="exit status $status"
	for line; do
		# Not grep -q: it would leave awk to a SIGPIPE, which counts.
		awk -v bdf="$bdf" '/^[^ ]/ { on = $1 == bdf } on' <<<"$out" |
			grep -xE -e "$line" >/dev/null || why="no line is: $line"
	done
	[[ "$(state "$nvme"), $(state "$edu")" == "$before" ]] || why="a device was changed"
	tap_result "$name" "$why" "$out"
}

test_devices()
{
	local disk

	cp "$top/build/tests/vfio_pci_driver_test" "$tree/build/tests"
	listed an_idle_device_is_listed_with_its_command "$edu" ' +our driver +edu' \
		' +bound to +no driver' ' +IOMMU group +[0-9]+' " +use +\./run\.sh -d $edu"
	disk=$(basename "$(echo "$pci/$nvme"/nvme/nvme*/nvme*n*)")
	exec 9<"/dev/$disk"
	listed a_device_in_use_is_listed_with_the_reason "$nvme" ' +our driver +nvme' \
		' +bound to +nvme' " +in the way +/dev/$disk is open in process .*" \
		" +then use +\./run\.sh -d $nvme"
	exec 9<&-
}

# refused NAME SENTENCE COMMAND...
refused()
{
	local name=$1 sentence=$2 before why=''

	shift 2
	before=$(state "$nvme")
	status=0
	out=$("$@" 2>&1) || status=$?
	((status == 2)) || why="exit status $status"
	[[ $out == *"$sentence"* ]] || why="it does not say: $sentence"
	[[ $(state "$nvme") == "$before" ]] || why="before: $before; after: $(state "$nvme")"
	tap_result "$name" "$why" "$out"
}

test_refusals()
{
	local disk node

	disk=$(basename "$(echo "$pci/$nvme"/nvme/nvme*/nvme*n*)")
	exec 9<"/dev/$disk"
	refused an_open_disk_is_in_use "/dev/$disk is open in process" "$tree/run.sh" -d "$nvme"
	exec 9<&-
	printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >/etc/passwd
	refused somebody_else_is_told_to_be_root "takes root" \
		su -s /bin/sh nobody -c "$tree/run.sh -d $nvme"

	printf 'vfio-pci\n' >"$pci/$edu/driver_override"
	printf '%s\n' "$edu" >/sys/bus/pci/drivers_probe
	node=/dev/vfio/devices/$(basename "$(echo "$pci/$edu"/vfio-dev/vfio*)")
	# Not every kernel has VFIO's character devices.
	[[ -e $node ]] || node=/dev/vfio/$(basename "$(realpath "$pci/$edu/iommu_group")")
	exec 9<"$node"
	refused an_open_vfio_device_is_in_use "$node is open in process" \
		"$tree/run.sh" -d "$edu"
	exec 9<&-
	given_back what_was_bound_to_vfio_pci_stays_so "$edu" 0 pass_test
	printf '%s\n' "$edu" >"$pci/$edu/driver/unbind"
	printf '\n' >"$pci/$edu/driver_override"
}

if [[ -z ${KVM_VFIO_TESTS_LAB:-} ]]; then
	printf 'TAP version 13\n1..0 # SKIP it plays with devices of the lab, run it there\n'
	exit 4
fi
nvme=$(find_device class 0x0108)
edu=$(find_device device 0x11e8)
igb=$(find_device device 0x10c9)
if [[ -z $nvme || -z $edu || $(driver_of "$nvme") != nvme ]]; then
	printf 'TAP version 13\n1..0 # SKIP the lab lacks the NVMe driver, nvme or edu\n'
	exit 4
fi

tap_begin
tap_plan 21
disk=/dev/$(basename "$(echo "$pci/$nvme"/nvme/nvme*/nvme*n*)")
make_tree
given_back a_device_is_given_back_after_a_pass "$nvme" 0 pass_test
given_back a_device_is_given_back_after_a_failure "$nvme" 1 fail_test
given_back a_device_without_a_driver_is_left_without_one "$edu" 0 pass_test
printf 'nvme\n' >"$pci/$nvme/driver_override"
given_back the_former_driver_override_is_restored "$nvme" 0 pass_test
printf '\n' >"$pci/$nvme/driver_override"
given_back_after_signal a_device_is_given_back_after_sigterm "$nvme" TERM 143
given_back_after_signal a_device_is_given_back_after_sigint "$nvme" INT 130
test_after_sigkill
test_after_reboot
test_virtual_functions
test_trace
test_refusals
test_devices
rm -rf "$work"
tap_end
