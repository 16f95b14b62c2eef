#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# run.sh with made-up test programs on a made-up machine: that bad input gets one sentence and exit
# status 2 and changes nothing, and that no program can end green without having earned it.
# Needs no root, no device, no lab.

set -euo pipefail
build=$(realpath "${O:-build}")
unset O KSRC VFIO_SELFTESTS_BDF KVM_VFIO_TESTS_LAB KVM_VFIO_TESTS_OUTER

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/front-door.XXXXXX")
trap 'rm -rf "$work"' EXIT

tree=$work/tree
machine=$work/machine
bdf=0000:01:00.0

# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"

# shellcheck source=tests/unit/machine.bash
. "$top/tests/unit/machine.bash"

make_misbehaving_programs()
{
	program bad_test - 'echo 1..2; echo "ok 1 one"; echo "not ok 2 two"; exit 1'
	program skip_test - 'echo 1..1; echo "ok 1 one # SKIP no moon"; exit 4'
	program crash_test - 'echo 1..2; echo "ok 1 one"; kill -SEGV $$'
	program hang_test - 'echo 1..2; echo "ok 1 one"; printf half; sleep 100'
	program deaf_test - 'trap "" TERM; echo 1..1; echo "ok 1 one"; exec >&-
		while :; do sleep 1; done'
	program short_test - 'echo 1..2; echo "ok 1 one"'
	program mute_test - 'exit 0'
	program empty_test - 'echo 1..0'
	program liar_test - 'echo 1..1; echo "not ok 1 one"'
	program sulk_test - 'echo 1..1; echo "ok 1 one"; exit 1'
	program twice_test - 'echo 1..2; echo "ok 1 one"; echo "ok 1 one"'
	program lost_test - 'echo "lost_test: there is no moon" >&2; exit 2'
	program litter_test - 'echo 1..1; sleep 1000 & echo $! >'"$work"'/litter; echo "ok 1 one"'
}

# verdict NAME STATUS PATTERN ARGUMENT...: the exit status, and an extended regular expression
# that some line of stdout matches.
verdict()
{
	local name=$1 expected=$2 pattern=$3 why=''

	shift 3
	ask "$@"
	((status == expected)) || why="exit status $status, not $expected"
	grep -qE -e "$pattern" <<<"$out" || why="no line matches $pattern"
	result "$name" "$why"
}

# Tests --------------------------------------------------------------------------------------------

test_usage()
{
	make_machine
	refused an_unknown_test_is_named "no test 'no_such_test'" no_such_test
	refused an_unknown_option_is_named "unknown option --frobnicate" --frobnicate
	refused an_unknown_iommu_mode_is_named "'type1' is unknown" -d "$bdf" --iommu-mode type1
	refused an_unknown_iommu_is_named "'arm' is unknown" --iommu arm
	refused a_missing_value_is_told "--seed needs a value" --seed
	refused a_seed_is_a_number "'x' is no number" --seed x
	refused nothing_is_repeated_no_times "'0' is no number from 1" --repeat 0
	refused a_timeout_is_not_zero "'0' is no number from 1" --timeout=0
	refused a_missing_kernel_is_named "there is no /no/kernel" --kernel /no/kernel
	refused a_malformed_bdf_is_told "'1:0.0' is no PCI address" -d 1:0.0
	refused a_bdf_with_slot_32_is_malformed "is no PCI address" -d 01:20.0
	refused a_missing_bdf_is_told "-d needs a value" -d
	refused an_empty_bdf_is_malformed "'' is no PCI address" -d ""
	refused half_a_pair_is_malformed "'' is no PCI address" -d 01:00.0+
	refused three_devices_are_no_pair "a pair of them" -d 01:00.0+02:00.0+03:00.0
	refused a_lab_option_with_a_device_is_told "--iommu is for the lab" --iommu amd -d "$bdf"
	refused posting_under_vtd_is_told "only the AMD-Vi model can" --posting --iommu intel
	refused posting_under_kvm_is_told "takes emulation" --accel kvm --posting
	refused posting_with_a_device_is_told "--posting is for the lab" --posting -d "$bdf"
	refused a_tree_without_a_lab_asks_for_a_device "name a device with -d" plain_test
	ask --help
	result help_fits_one_screen "$(awk 'length > 80 { print "wide: " $0 }
		END { if (NR > 24 || NR < 10) print NR " lines" }' <<<"$out")"
	verdict every_test_is_listed 0 '^good_test +device +a made-up test$' --list
}

test_device_checks()
{
	make_machine
	refused an_unknown_device_is_named "no PCI device 0000:02:00.0" -d 02:00.0
	device 0000:00:01.0 pcieport 7 0x060400
	refused a_bridge_is_refused "0000:00:01.0 is a bridge" -d 0000:00:01.0
	device 0000:01:00.1 snd_hda 7
	refused a_sibling_in_the_group_is_named "0000:01:00.1 is bound to snd_hda" -d "$bdf"
	device 0000:01:00.1 vfio-pci 7
	verdict a_bridge_and_a_lent_sibling_do_no_harm 0 '^ok 1 good_test' -d "$bdf" good_test
	rm "$machine/sys/kernel/irq/9/chip_name"
	printf '  9: 0 IR-IO-APIC 9-fasteoi acpi\n' >"$machine/proc/interrupts"
	verdict proc_interrupts_tells_of_remapping_too 0 '^ok 1' -d "$bdf" good_test
	printf '  9: 0 IO-APIC 9-fasteoi acpi\n' >"$machine/proc/interrupts"
	refused missing_interrupt_remapping_is_told "no interrupt remapping" -d "$bdf"
	printf 'vfio-noiommu\n' >"$machine/sys/kernel/iommu_groups/7/name"
	refused a_noiommu_group_is_no_iommu "no IOMMU" -d "$bdf"
	rm "$machine/sys/bus/pci/devices/$bdf/iommu_group"
	refused a_missing_iommu_is_told "no IOMMU" -d "$bdf"
	rm "$machine/sys/bus/pci/drivers_probe"
	refused an_unwritable_sysfs_is_told "$( ((EUID)) && echo sudo || echo cannot)" -d "$bdf"
}

test_device_in_use()
{
	local node=/dev/nvme0n1

	make_machine
	device "$bdf" nvme 7
	block nvme0n1 259:0
	printf '1 2 259:0 / /srv rw shared:1 - ext4 /dev/root rw\n' >"$machine/proc/self/mountinfo"
	refused a_mounted_disk_is_in_use "/dev/nvme0n1 is mounted on /srv" -d "$bdf"
	printf '1 2 0:40 / /srv rw - btrfs %s rw\n' "$node" >"$machine/proc/self/mountinfo"
	refused a_mounted_disk_without_its_number_is_in_use "is mounted on /srv" -d "$bdf"
	: >"$machine/proc/self/mountinfo"
	printf '%s partition 1 0 -2\n' "$node" >"$machine/proc/swaps"
	refused swap_space_is_in_use "is swap space" -d "$bdf"
	: >"$machine/proc/swaps"
	mkdir "$machine/sys/class/block/nvme0n1/holders/dm-0"
	refused a_disk_below_another_is_in_use "is used by dm-0" -d "$bdf"
	rmdir "$machine/sys/class/block/nvme0n1/holders/dm-0"
	ln -s "$node" "$machine/proc/4711/fd/3"
	refused an_open_disk_is_in_use "open in process 4711 (monitor)" -d "$bdf"
	ln -sfn /dev/vfio/7 "$machine/proc/4711/fd/3"
	refused an_open_vfio_group_is_in_use "/dev/vfio/7 is open in process 4711" -d "$bdf"
	rm "$machine/proc/4711/fd/3"
	mkdir -p "$machine/sys/bus/pci/devices/$bdf/net/eth9"
	printf '0x1003\n' >"$machine/sys/bus/pci/devices/$bdf/net/eth9/flags"
	refused an_interface_that_is_up_is_in_use "network interface eth9 is up" -d "$bdf"
	printf '0x1002\n' >"$machine/sys/bus/pci/devices/$bdf/net/eth9/flags"
	verdict an_idle_device_is_not_in_use 0 '' --dry-run -d "$bdf"
	printf '2\n' >"$machine/sys/bus/pci/devices/$bdf/sriov_numvfs"
	refused virtual_functions_are_in_use "virtual functions" -d "$bdf"
	verdict force_takes_what_is_in_use 0 '' --force --dry-run -d "$bdf"
	mkdir -p "$machine/run/kvm-vfio-tests/$bdf"
	printf '1 1\n' >"$machine/run/kvm-vfio-tests/$bdf/owner"
	refused what_a_killed_run_left_is_told "--restore" -d "$bdf"
}

# listed NAME DEVICE LINE...: --devices says all this of a device, each an extended regular
# expression for a line, and changes nothing. DEVICE is the first word of a block of lines.
listed()
{
	local name=$1 device=$2 before why='' line

	shift 2
	before=$(state)
	ask --devices
	((status == 0)) || why="exit status $status"
	for line; do
		awk -v device="$device" '/^[^ ]/ { on = $1 == device } on' <<<"$out" |
			grep -qxE -e "$line" || why="no line is: $line"
	done
	[[ $before == "$(state)" ]] || why="the machine was changed"
	result "$name" "$why"
}

# The drivers that are asked are those of the tree.
test_device_list()
{
	local use='use +(sudo )?\./run\.sh' net=$machine/sys/bus/pci/devices/0000:02:00.1/net/eth9

	make_machine
	ask --devices
	result without_the_drivers_no_list "$( ((status == 2)) || echo "exit status $status")"
	cp "$build/tests/vfio_pci_driver_test" "$tree/build/tests"
	config "$bdf" '\x34\x12\x42\x42'
	listed a_machine_without_such_devices_is_told No 'No .* supports any of the 1 PCI .*'
	config "$bdf" '\x34\x12\xe8\x11'
	listed an_idle_device_has_a_command "$bdf" '.*1234:11e8.*' ' +our driver +edu' \
		' +bound to +vfio-pci' ' +IOMMU group +7' " +$use -d $bdf"
	device "$bdf" nvme 7
	config "$bdf" '\x4d\x14\x0a\xa8\x00\x00\x00\x00\x00\x02\x08\x01'
	block nvme0n1 259:0
	printf '1 2 259:0 / /srv rw - ext4 /dev/root rw\n' >"$machine/proc/self/mountinfo"
	listed a_mounted_disk_is_in_the_way "$bdf" ' +our driver +nvme' ' +bound to +nvme' \
		' +in the way +/dev/nvme0n1 is mounted on /srv' " +then $use -d $bdf"

	device 0000:02:00.0 igb 8 0x020000
	device 0000:02:00.1 igb 8 0x020000
	device 0000:02:00.2 pcieport 8 0x060400
	config 0000:02:00.0 '\x86\x80\xc9\x10'
	config 0000:02:00.1 '\x86\x80\xc9\x10'
	listed a_busy_sibling_comes_along 0000:02:00.0 \
		' +IOMMU group +8, with 0000:02:00.1 \(igb\), 0000:02:00.2 \(pcieport\)' \
		" +$use -d 0000:02:00.0 -d 0000:02:00.1"
	mkdir -p "$net" "$machine/proc/net"
	printf '0x1003\n' >"$net/flags"
	printf 'eth9\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n' \
		>"$machine/proc/net/route"
	listed the_use_of_a_sibling_is_in_the_way 0000:02:00.0 " +then $use .*" \
		' +in the way +0000:02:00.1: network interface eth9 is up, and the default .*'
	rm "$machine/sys/kernel/irq/9/chip_name" \
		"$machine/sys/bus/pci/devices/0000:02:00.0/iommu_group"
	listed a_missing_iommu_is_in_the_way 0000:02:00.0 ' +IOMMU group +none' \
		' +in the way +no IOMMU: 0000:02:00.0 .*' \
		' +in the way +no interrupt remapping: .*' " +then $use -d 0000:02:00.0"
	listed the_last_line_counts_them 3 '3 of 4 PCI devices .*'
}

# build_says WORDS STATUS: what lab/qemu/build.sh of the made-up tree has to say, --built apart.
build_says()
{
	cat >"$tree/lab/qemu/build.sh" <<-END
	#!/bin/sh
	echo "\$1" >>$work/asked
	[ "\$1" != --built ] || exit 1
	echo "$1" | tee /dev/stderr
	exit $2
	END
	chmod +x "$tree/lab/qemu/build.sh"
}

# chosen NAME STATUS PATTERN ARGUMENT...: a line of stderr matches; the lab itself is too small to
# boot.
chosen()
{
	local name=$1 expected=$2 pattern=$3 why=''

	shift 3
	: >"$work/asked"
	ask --no-install --log-dir "$work/log" "$@" plain_test
	((status == expected)) || why="exit status $status, not $expected"
	grep -qE -e "$pattern" <<<"$err$out" || why="no line matches $pattern"
	result "$name" "$why"
}

# Which QEMU it is to be. Everything that takes time is made up: the lab says how it was called.
test_choice_of_qemu()
{
	local posting="^lab: --iommu amd .*--qemu $work/ours" none='will post no interrupt: '

	mkdir -p "$tree/lab/qemu" "$tree/tests"
	: >"$tree/tests/plain_test.sh"
	printf 'all:\n' >"$tree/Makefile"
	printf '#!/bin/sh\n' >"$tree/scripts/install-deps"
	printf '#!/bin/sh\necho /no/tree\n' >"$tree/scripts/kernel-tree"
	printf '#!/bin/sh\necho /no/kernel\n' >"$tree/lab/kernel.sh"
	printf '#!/bin/sh\necho "lab: $*" >&2\nexit 2\n' >"$tree/lab/boot.sh"
	cat >"$tree/lab/devices.sh" <<-'END'
	#!/bin/sh
	case "$*" in
	*ours*--can-post*) exit 0 ;;
	*--can-post*) exit 1 ;;
	esac
	echo nvme 0000:01:00.0
	echo group 0000:04:00.0+0000:04:00.1
	END
	chmod +x "$tree"/{scripts,lab}/*
	build_says "$work/ours" 0

	chosen a_lab_that_posts_is_the_default 2 "$posting"
	chosen no_posting_takes_the_stock_qemu 2 "$none--no-posting" --no-posting
	result no_posting_builds_none "$(grep -v built "$work/asked" || true)"
	chosen vtd_posts_none 2 "${none}only the AMD-Vi" --iommu intel
	QEMU=$work/ours chosen a_given_qemu_may_post 2 "$posting"
	QEMU=/bin/true chosen a_given_qemu_may_not_post 2 "${none}QEMU=/bin/true cannot"
	QEMU=/bin/true chosen posting_is_demanded_of_a_given_qemu 2 '/bin/true cannot' --posting
	build_says "there is no moon" 2
	chosen a_lab_that_cannot_be_had_is_told 2 "${none}there is no moon"
	chosen posting_that_cannot_be_had_ends_it 2 'there is no moon' --posting
}

test_verdicts()
{
	local d="-d $bdf"

	make_machine
	make_misbehaving_programs

	# shellcheck disable=SC2086 # two words
	{
		verdict results_are_nested 0 '^    ok 2 two # SKIP no two$' $d good_test
		verdict a_run_is_named_by_test_and_device 0 "^ok 1 good_test $bdf\$" $d good_test
		verdict a_strange_line_becomes_a_comment 0 '^    #   strange$' $d good_test
		verdict options_reach_the_program 0 \
			"args: --seed 7 --timeout 300 --iommu-mode iommufd -t x $bdf\$" $d \
			--seed 7 --timeout 300 --iommu-mode iommufd good_test -- -t x
		verdict a_repetition_has_a_name_of_its_own 0 "^ok 4 good_test $bdf round 4\$" $d \
			--repeat 4 good_test
		verdict a_repetition_has_a_seed_of_its_own 0 "args: --seed 1 $bdf\$" $d \
			--seed 4294967295 --repeat 3 good_test
		verdict a_failed_result_is_a_failure 1 '^not ok 1 bad_test$' $d bad_test
		verdict only_skips_are_not_green 4 '^ok 1 skip_test # SKIP no moon$' $d skip_test
		verdict a_crash_is_a_failure 1 'crash_test # killed by SIGSEGV$' $d crash_test
		verdict a_hang_is_a_failure 1 'hang_test # no end within . s$' $d \
			--timeout 1 hang_test
		verdict a_hang_that_ignores_sigterm_ends 1 'deaf_test # no end' $d \
			--timeout 1 deaf_test
		verdict a_missing_result_is_a_failure 1 'short_test # 1 of 2 results' $d short_test
		verdict a_missing_plan_is_a_failure 1 'mute_test # .*without a plan' $d mute_test
		verdict an_empty_plan_is_a_failure 1 'empty_test # no test in it' $d empty_test
		verdict a_green_exit_does_not_hide_a_failure 1 '^not ok 1 liar_test # ' $d liar_test
		verdict a_red_exit_needs_no_result 1 '^not ok 1 sulk_test # ' $d sulk_test
		verdict a_result_twice_is_a_failure 1 'twice_test # result 1 where 2' $d twice_test
		verdict an_environment_error_is_no_verdict 2 \
			'^not ok 1 lost_test # environment: there is no moon$' $d lost_test
		verdict a_failure_outweighs_an_environment_error 1 '' $d lost_test bad_test
		verdict a_skip_beside_a_pass_is_green 0 '' $d skip_test plain_test
		verdict what_a_program_leaves_is_ended 0 '^ok 1 litter_test' $d litter_test
	}
	result nothing_of_it_runs_on "$(running "$(<"$work/litter")")"
	ask -d "$bdf" good_test bad_test skip_test
	result the_last_line_counts_the_leaves "$(grep -qE \
		'^FAIL: 2 passed, 1 failed, 2 skipped in [0-9]+ s; log: ' <<<"$err" ||
		echo it does not)"
	result nothing_is_left_noted "$(ls -A "$machine/run/kvm-vfio-tests")"
	VFIO_SELFTESTS_BDF=$bdf ask good_test
	result upstreams_variable_names_a_device "$( ((status == 0)) || echo it does not)"
}

# What is left of a run is told by its reports; a wrong place for them before it begins.
test_reports()
{
	local again="./run.sh -d $bdf --seed 7 lost_case_test -- -r fixture.two --duration 5"

	make_machine
	refused a_report_needs_a_directory "there is no directory /no/such" -d "$bdf" \
		--json /no/such/run.json good_test
	refused a_directory_is_no_report "--html: $work is a directory" -d "$bdf" \
		--html "$work" good_test
	refused a_report_has_a_name "--junit needs a file's name" -d "$bdf" --junit= good_test
	program lost_case_test device 'echo 1..2; echo "#  RUN           fixture.one ..."
		echo "ok 1 fixture.one"; echo "# because"; echo "not ok 2 fixture.two"; exit 1'
	verdict a_failing_case_says_how_to_repeat_it 1 "^    # repeat: $again\$" -d "$bdf" \
		--seed 7 --json "$work/run.json" --junit "$work/run.xml" --html "$work/run.html" \
		lost_case_test -- --duration 5 -r fixture.two
	result all_reports_are_written "$(
		grep -qF "\"repeat\": \"$again\"" "$work/run.json" || echo "no $again"
		grep -q '"kernel": ' "$work/run.json" || echo "no facts"
		grep -q '<failure' "$work/run.xml" || echo "no failure"
		grep -q '</html>' "$work/run.html" || echo "no page")"
}

test_signals()
{
	local signal runner tries

	program stay_test device "echo 1..1; echo \$\$ >$work/stay; exec sleep 100"
	for signal in TERM INT HUP; do
		make_machine
		rm -f "$work/stay" "$work/run.json"
		set -m
		# What runs this in the background may have had it ignore SIGINT.
		KVM_VFIO_TESTS_ROOT=$machine env --default-signal="$signal" \
			"$tree/run.sh" -d "$bdf" --json "$work/run.json" stay_test \
			>"$work/out" 2>"$work/err" &
		runner=$!
		set +m
		for ((tries = 100; tries > 0; tries--)); do
			[[ ! -s $work/stay ]] || break
			sleep 0.1
		done
		kill "-$signal" "$runner"
		status=0
		wait "$runner" || status=$?
		out=$(<"$work/out")
		err=$(<"$work/err")
		result "after_sig${signal,,}_no_device_is_noted" "$(
			((status > 128)) || echo "exit status $status"
			[[ $err != *" line "* ]] || echo "a script stumbled"
			ls -A "$machine/run/kvm-vfio-tests"
		)"
		result "after_sig${signal,,}_no_program_runs_on" "$(running "$(<"$work/stay")")"
		result "after_sig${signal,,}_there_is_a_report" "$(
			grep -q '"complete": false' "$work/run.json" || echo there is not)"
	done
}

make_tree
tap_begin
tap_plan 98
test_usage
test_device_checks
test_device_in_use
test_device_list
test_verdicts
test_reports
test_signals
test_choice_of_qemu
tap_end
