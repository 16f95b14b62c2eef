#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# ./run.sh --matrix with a made-up run.sh for its cells: which cells there are, how many run at
# once, what becomes of one that fails, skips, dies or lacks something, and that an interrupted
# matrix ends all of its labs and goes on with what has no verdict. Boots no lab.

set -euo pipefail
unset O KSRC QEMU VFIO_SELFTESTS_BDF KVM_VFIO_TESTS_LAB KVM_VFIO_TESTS_OUTER

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/matrix.XXXXXX")
tree=$work/tree
machine=$work/machine
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"

# shellcheck disable=SC2317 # called by the trap
on_exit()
{
	local file

	for file in "$work"/running/*; do
		[[ ! -e $file ]] || kill -KILL "${file##*/}" 2>/dev/null || true
	done
	rm -rf "$work"
}

# The made-up world --------------------------------------------------------------------------------

# script FILE BODY
script()
{
	printf '#!/usr/bin/env bash\n%s\n' "$2" >"$1"
	chmod +x "$1"
}

# A cell says what becomes of it in a file named as the device and the mode, by default it passes.
# $running holds a file for each that runs, $peak the most there were at once.
fake_run()
{
	cat <<-END
	set -u
	work=$work
	END
	cat <<-'END'
	case " $* " in
	*" --timeout x "*) echo "run.sh: --timeout: 'x' is no number" >&2 && exit 2 ;;
	*" --dry-run "*) exit 0 ;;
	esac
	while (($#)); do
		case $1 in
		--iommu | --iommu-mode | --lab-device) name=${name:-}${name:+.}$2 ;;
		--log-dir) log_dir=$2 ;;
		esac
		shift
	done
	trap 'rm -f $work/running/$$; echo "$name" >>$work/ended; exit 143' TERM
	touch $work/running/$$
	echo "$name" >>$work/began
	set -- $work/running/*
	echo $# >>$work/peak
	sleep ${PACE:-0.05}
	what=$(cat "$work/fate/$name" 2>/dev/null || echo passes)
	printf 'KTAP version 1\n# a comment\n1..2\n    KTAP version 1\n    1..2\n    ok 1 a\n'
	case $what in
	hangs)
		while [[ -e $work/hang ]]; do sleep 0.1; done
		what=passes
		;;
	deaf) trap '' TERM && while [[ -e $work/hang ]]; do sleep 0.1; done ;;
	esac
	case $what in
	passes) printf '    ok 2 b\nok 1 a_test 0000:01:00.0\nok 2 lab\n' ;;
	fails) printf '    not ok 2 b\nnot ok 1 a_test 0000:01:00.0\nok 2 lab\n' && status=1 ;;
	skips) printf 'ok 1 a_test # SKIP no moon\nok 2 lab # SKIP no test ran\n' && status=4 ;;
	lacks) echo "run.sh: there is no moon" >&2 && status=2 ;;
	lies) printf '    ok 2 b\nok 1 a_test\nok 2 lab\n' && status=1 ;;
	stops) printf 'ok 1 a_test\n' ;;
	dies) kill -SEGV $$ ;;
	leaves) sleep 1000 & echo $! >$work/litter
		printf '    ok 2 b\nok 1 a_test\nok 2 lab\n' ;;
	esac
	rm -f $work/running/$$
	exit ${status:-0}
	END
}

# shellcheck disable=SC2016 # for the scripts to expand
make_tree()
{
	mkdir -p "$tree"/{tests,lab/qemu,build} "$machine/proc"
	cp -r "$top/scripts" "$tree"
	sed -i 's/sleep 0.2/sleep 0.02/' "$tree/scripts/child.sh"
	sed -i 's/^matrix_grace_tenths=.*/matrix_grace_tenths=10/
		s/^matrix_pace=.*/matrix_pace=0.05/' "$tree/scripts/matrix-cells.sh"
	printf 'all:\n' >"$tree/Makefile"
	printf 'printf "a_test\\tdevice\\ta made-up test\\n"\n' >"$tree/tests/a_test.sh"
	printf 'printf "two_test\\tdevices\\ta made-up test\\n"\n' >"$tree/tests/two_test.sh"
	printf 'printf "bare_test\\t-\\ta made-up test\\n"\n' >"$tree/tests/bare_test.sh"
	script "$tree/scripts/install-deps" :
	script "$tree/scripts/kernel-tree" 'echo /no/tree'
	script "$tree/lab/boot.sh" 'exit 1'
	script "$tree/lab/kernel.sh" "[[ \$1 == --user ]] && echo \$2 || echo $work/bzImage"
	script "$tree/lab/qemu/build.sh" "echo $work/qemu"
	script "$tree/lab/devices.sh" 'case "$*" in
*--can-post*) exit 0 ;;
*"--iommu intel"*) printf "nvme 1\nigb 2\n" ;;
*) printf "nvme 1\nedu 2\ngroup 3\n" ;;
esac'
	script "$tree/run.sh" "$(fake_run)"
	bzimage "$work/bzImage" 6.12.99
	bzimage "$work/other" 7.3.4
	memory 64
	script "$work/nproc" 'echo "${CPUS:-64}"'
}

# bzimage FILE RELEASE: as much of one as says its release.
bzimage()
{
	truncate -s 2048 "$1"
	printf 'HdrS' | dd of="$1" bs=1 seek=514 conv=notrunc status=none
	printf '\000\002' | dd of="$1" bs=1 seek=526 conv=notrunc status=none
	printf '%s (me) #1 SMP\000' "$2" | dd of="$1" bs=1 seek=1024 conv=notrunc status=none
}

# memory GIGABYTES
memory()
{
	printf 'MemTotal: 1 kB\nMemAvailable: %d kB\n' $(($1 * 1048576)) >"$machine/proc/meminfo"
}

# fate CELL WHAT
fate()
{
	printf '%s\n' "$2" >"$work/fate/$1"
}

# A new beginning.
afresh()
{
	rm -rf "$work"/{fate,running,began,ended,peak,log,hang}
	mkdir "$work"/{fate,running}
	: >"$work/began" && : >"$work/ended" && : >"$work/peak"
}

# Asking -------------------------------------------------------------------------------------------

# begin ARGUMENT...: a matrix in the background, as a terminal would have it.
begin()
{
	set -m
	KVM_VFIO_TESTS_ROOT=$machine PATH=$work:$PATH env --default-signal=INT \
		"$tree/scripts/matrix" --matrix "$@" >"$work/out" 2>"$work/err" &
	matrix=$!
	set +m
}

# finish: leaves $status, $out and $err.
finish()
{
	status=0
	wait "$matrix" 2>/dev/null || status=$?
	out=$(<"$work/out")
	err=$(<"$work/err")
}

ask()
{
	begin --log-dir "$work/log" "$@"
	finish
}

# result NAME OBJECTION
result()
{
	tap_result "$1" "$2" "exit status $status"$'\n'"$out"$'\n'"$err"
}

# said NAME STATUS TEXT PATTERN...: the exit status, and lines of TEXT that match.
said()
{
	local name=$1 expected=$2 text=$3 pattern why=''

	shift 3
	((status == expected)) || why="exit status $status, not $expected"
	for pattern; do
		grep -qE -e "$pattern" <<<"$text" || why="no line matches $pattern"
	done
	result "$name" "$why"
}

# refused NAME SENTENCE ARGUMENT...
refused()
{
	local name=$1 sentence=$2 why=''

	shift 2
	ask "$@"
	((status == 2)) || why="exit status $status"
	[[ -z $out ]] || why="stdout is not empty"
	[[ $err == *"$sentence"* && $err != *$'\n'* ]] || why="it does not say just: $sentence"
	[[ ! -e $work/log ]] || why="there is a log directory"
	result "$name" "$why"
}

# until_true COMMAND...: within a minute.
until_true()
{
	local tries

	for ((tries = 600; tries > 0; tries--)); do
		! "$@" || return 0
		sleep 0.1
	done
	return 1
}

# shellcheck disable=SC2317 # called by until_true
that_many_run()
{
	(($(find "$work/running" -type f | wc -l) == $1))
}

# Tests --------------------------------------------------------------------------------------------

test_usage()
{
	afresh
	refused an_unknown_mode_is_named "'type1' is unknown" --iommu-mode type1
	refused an_unknown_iommu_is_named "'arm' is unknown" --iommu arm
	refused an_unknown_device_is_named "no device 'floppy'" --lab-device floppy --iommu amd
	refused a_missing_kernel_is_named "there is no /no/kernel" --kernel /no/kernel
	refused no_labs_at_once_are_refused "'0' is no number" --jobs 0
	refused a_device_of_this_machine_does_not_go_with_it "-d does not go with" -d 01:00.0
	refused an_unknown_test_is_named "no test 'no_test'" no_test
	refused options_of_run_sh_are_judged_by_it "'x' is no number" --timeout x
	refused posting_is_for_amd "only the AMD-Vi" --posting --iommu intel
	refused a_directory_without_a_matrix_is_told "no matrix" --resume "$work"
}

test_plan()
{
	afresh
	ask --kernel "$work/bzImage" --kernel "$work/other" --iommu-mode iommufd \
		--iommu-mode vfio_type1_iommu --jobs 32
	said all_combinations_are_run 0 "$out" '^1\.\.20$' \
		'^ok 1 intel/6.12.99/iommufd/nvme$' '^ok 20 amd/7.3.4/vfio_type1_iommu/group$'
	result each_of_them_once "$(sort "$work/began" | uniq -c | awk '$1 != 2')"
	said kernels_are_rows_and_iommus_columns 0 "$err" \
		'^kernel   mode              VT-d        AMD-Vi$' \
		'^                           nvme  igb   nvme    edu   group$' \
		'^7\.3\.4    iommufd           ok 3  ok 3  ok 3    ok 3  ok 3$'
	said a_cell_is_nested_whole 0 "$out" '^    # Subtest: amd/7.3.4/iommufd/edu$' \
		'^        ok 2 b$' '^    ok 1 a_test 0000:01:00.0$'
	said the_last_line_counts_the_leaves 0 "${err##*$'\n'}" \
		"^PASS: 60 passed, 0 failed, 0 skipped in [0-9]+ s; log: $work/log$"
	afresh
	ask --iommu amd --lab-device nvme --iommu-mode iommufd
	said without_a_pair_tests_of_two_are_told_so 0 \
		"$(tr '\t' ' ' <"$work/log/cells.list")" ' nvme a_test two_test$'
}

# room_for NAME LABS: five labs hang until so many of them run.
room_for()
{
	local mode

	afresh
	: >"$work/hang"
	for mode in iommufd{,_compat_type1,_compat_type1v2} vfio_type1{,v2}_iommu; do
		fate "amd.$mode.nvme" hangs
	done
	begin --log-dir "$work/log" --iommu amd --lab-device nvme
	until_true that_many_run "$2" || true
	rm "$work/hang"
	finish
	said "$1" 0 "$(sort -n "$work/peak" | tail -n 1)" "^$2\$"
}

test_room()
{
	memory 10
	room_for memory_bounds_the_labs_at_once 2
	memory 64
	CPUS=6 room_for cpus_bound_the_labs_at_once 3
	afresh
	CPUS=1 ask --iommu amd --lab-device nvme --iommu-mode iommufd
	said there_is_always_room_for_one 0 "$out" '^# matrix: 1 labs, 1 at once$'
}

test_verdicts()
{
	local what

	afresh
	for what in lacks skips dies lies stops leaves; do
		fate "intel.$what.nvme" "$what"
	done
	fate intel.iommufd.nvme fails
	fate intel.iommufd_compat_type1.nvme lacks
	fate intel.iommufd_compat_type1v2.nvme dies
	fate intel.vfio_type1_iommu.nvme skips
	fate intel.vfio_type1v2_iommu.nvme stops
	fate intel.iommufd.igb lies
	fate intel.iommufd_compat_type1.igb leaves
	ask --iommu intel --jobs 8
	said a_failed_cell_is_a_failure 1 "$out" '^not ok [0-9]+ intel/6.12.99/iommufd/nvme$'
	said a_cell_that_lacks_something_is_no_verdict 1 "$out" \
		'compat_type1/nvme # environment: there is no moon$'
	said a_cell_that_dies_is_a_failure 1 "$out" 'type1v2/nvme # killed by SIGSEGV$'
	said a_cell_that_skips_is_no_pass 1 "$out" '^ok .*type1_iommu/nvme # SKIP no'
	said a_cell_that_stops_short_is_a_failure 1 "$out" 'v2_iommu/nvme # 1 of 2 results'
	said a_cell_that_contradicts_itself_is_a_failure 1 "$out" '^not ok .*iommufd/igb # exit'
	result what_a_cell_leaves_is_ended "$(grep -s '^State:[[:space:]]*[^ZX[:space:]]' \
		"/proc/$(<"$work/litter")/status" || true)"
	said the_table_has_all_verdicts 1 "$(<"$work/log/matrix.txt")" \
		'^iommufd +FAIL 1/3 +DIED$' '^iommufd_compat_type1 +ERROR +ok 3$' \
		'^vfio_type1_iommu +skip [0-9] +ok 3$' '^  a_test 0000:01:00.0$' \
		'^  again: ./run.sh --iommu intel --iommu-mode iommufd --lab-device nvme --seed'
	afresh
	fate intel.iommufd.nvme skips
	ask --iommu intel --iommu-mode iommufd --lab-device nvme
	said nothing_but_skips_is_not_green 4 "$out" '^ok 1 .* # SKIP'
	fate intel.iommufd.nvme lacks
	rm -rf "$work/log"
	ask --iommu intel --iommu-mode iommufd --lab-device nvme
	said nothing_but_what_it_lacks_is_an_error 2 "$err" '^ERROR: '
	rm "$work/fate/intel.iommufd.nvme"
	begin --resume "$work/log"
	finish
	said what_it_lacked_may_have_come_since 0 "$out" '^ok 1 intel/6.12.99/iommufd/nvme$'
}

# Two cells have ended, three hang.
interrupted()
{
	afresh
	: >"$work/hang"
	fate amd.iommufd_compat_type1v2.nvme hangs
	fate amd.vfio_type1_iommu.nvme deaf
	fate amd.vfio_type1v2_iommu.nvme hangs
	fate amd.iommufd_compat_type1.nvme fails
	begin --log-dir "$work/log" --iommu amd --lab-device nvme --jobs 5 --seed 7
	until_true test -e "$work/log/cells/amd+6.12.99+iommufd+nvme/status" || true
	until_true test -e "$work/log/cells/amd+6.12.99+iommufd_compat_type1+nvme/status" || true
	until_true that_many_run 3 || true
}

test_interruption()
{
	local signal

	for signal in INT TERM; do
		interrupted
		kill "-$signal" "$matrix"
		finish
		said "sig${signal,,}_is_told_with_how_to_go_on" $((128 + $(kill -l "$signal"))) \
			"$err" "2 of 5 labs done" "--matrix --resume $work/log$"
		result "after_sig${signal,,}_no_lab_runs_on" "$(
			kill -0 "$matrix" 2>/dev/null && echo 'it is still there'
			for file in "$work"/running/*; do
				grep -s '^State:[[:space:]]*[^ZX[:space:]]' \
					"/proc/${file##*/}/status"
			done
		)"
	done
	result a_lab_may_tidy_up_first "$(grep -c . "$work/ended" | grep -vx 2 || true)"
	refused_resume
	: >"$work/began"
	rm "$work/hang"
	begin --resume "$work/log"
	finish
	said it_goes_on_with_what_has_no_verdict 1 "$(sort "$work/began" | xargs)" \
		'^amd.iommufd_compat_type1v2.nvme amd.vfio_type1_iommu.nvme amd.vfio_type1v2_iomm'
	said the_document_has_all_of_it 1 "$out" '^1\.\.5$' '^ok 1 .*/iommufd/nvme$' \
		'^not ok 2 .*_type1/nvme$' '^ok 3 ' '^ok 5 '
	said it_keeps_its_options 1 "$out" '^# options: --seed 7'
}

# What must not be mixed.
refused_resume()
{
	local log=$work/log

	begin --resume "$log" --iommu intel
	finish
	said a_resumed_matrix_takes_no_new_options 2 "$err" 'no --iommu$'
	bzimage "$work/bzImage" 6.12.100
	begin --resume "$log"
	finish
	said a_kernel_that_changed_is_told 2 "$err" 'Linux-6.12.* begin anew'
	bzimage "$work/bzImage" 6.12.99
	touch -d @1000000000 "$work/bzImage"
	sed -i 's/^Linux-.*/Linux-6.12.99 2048 1000000000/' "$log/identity"
	ask --iommu amd
	said a_log_directory_is_not_used_twice 2 "$err" 'has a matrix already'
}

# After SIGKILL nobody is left to end the labs but themselves.
test_sigkill()
{
	interrupted
	fate amd.vfio_type1_iommu.nvme hangs
	kill -KILL "$matrix"
	finish
	result after_sigkill_labs_end_by_themselves "$(
		rm -f "$work/hang"
		until_true grep -q compat_type1v2 "$work/ended" || echo 'they do not'
	)"
	: >"$work/began"
	begin --resume "$work/log"
	finish
	said after_sigkill_it_goes_on_too 1 "$out" '^not ok 2 ' '^ok 5 '
	result and_repeats_nothing "$(grep -xE '.*iommufd(_compat_type1)?\.nvme' \
		"$work/began" || true)"
	: >"$work/began"
	begin --resume "$work/log" --jobs 1
	finish
	said one_that_is_done_runs_nothing 1 "$(wc -l <"$work/began")" '^0$'
}

trap on_exit EXIT
make_tree
tap_begin
tap_plan 45
test_usage
test_plan
test_room
test_verdicts
test_interruption
test_sigkill
tap_end
