#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The archive of `make dist`: that it is the same each time, runs where nothing is built, and is
# what the kernel's run_kselftest.sh, LAVA and tmt take it for. run_kselftest.sh comes from KSRC,
# and LAVA's own schema from the package lava-common. Boots nothing.

set -euo pipefail
build=$(realpath "${O:-build}")
unset VFIO_SELFTESTS_BDF KVM_VFIO_TESTS_LAB KVM_VFIO_TESTS_OUTER

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/dist-test.XXXXXX")
KSRC=${KSRC:-$("$top/scripts/kernel-tree")}
trap 'rm -rf "$work"' EXIT
tree=$work/kvm-vfio-tests
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"

# same NAME EXPECTED FOUND
same()
{
	local why=''

	[[ $2 == "$3" ]] || why="not what was expected:"
	tap_result "$1" "$why" "$(diff <(printf '%s\n' "$2") <(printf '%s\n' "$3"))"
}

# holds NAME TEXT PATTERN...: lines of TEXT match.
holds()
{
	local name=$1 text=$2 pattern why=''

	shift 2
	for pattern; do
		grep -qE -e "$pattern" <<<"$text" || why="no line matches $pattern"
	done
	tap_result "$name" "$why" "$text"
}

# program NAME BODY: in place of one of the archive.
program()
{
	printf '#!/bin/sh\n%s\n' "$2" >"$tree/build/tests/$1"
	chmod +x "$tree/build/tests/$1"
}

pack()
{
	(cd "$top" && O=$build SOURCE_DATE_EPOCH=1700000000 scripts/dist "$1" 2>&1)
}

test_archive()
{
	local said

	said=$(pack "$work/one.tar")
	holds it_says_what_it_packed "$said" "one.tar: [0-9]+ KiB, [0-9]+ tests"
	(umask 077 && TZ=Asia/Tokyo pack "$work/two.tar" >"$work/said")
	tap_result it_is_the_same_each_time "$(cmp "$work/one.tar" "$work/two.tar" 2>&1 || true)"
	tar -C "$work" -xf "$work/one.tar"
	tap_result where_it_was_built_does_not_show \
		"$(grep -rlF -e "$top/" -e "$build/" "$tree" || true)"
	tap_result it_has_no_more_than_it_needs "$(cd "$tree" && find . -name '*.[cho]' \
		-o -name 'check*' -o -name '*lab_test')"
}

test_run_sh()
{
	local said

	same its_help_is_that_of_the_tree "$("$top/run.sh" --help)" "$("$tree/run.sh" --help)"
	said=$(cd / && "$tree/run.sh" --list)
	holds it_lists_its_tests "$said" '^irq_soak_test +kvm,device ' '^vfio_pci_devices_test '
	same what_it_lists_is_in_the_list_of_kselftest \
		"$(cut -d: -f 2 "$tree/kselftest-list.txt")" \
		"$(awk 'NR > 1 { print $1 }' <<<"$said")"
	said=$("$tree/run.sh" 2>&1 || echo "status $?")
	holds without_a_device_it_says_so "$said" 'name a device with -d' '^status 2$'
	said=$("$tree/run.sh" --devices 2>&1 || echo "status $?")
	holds it_lists_devices_of_the_machine "$said" 'PCI device'
}

# shellcheck disable=SC2016 # for the programs to expand
# The kernel's own runner, beside the archive as after the kernel's own `make install`.
test_kselftest()
{
	local selftests=$KSRC/tools/testing/selftests said

	cp -r "$selftests/run_kselftest.sh" "$selftests/kselftest" "$tree"
	same kselftest_lists_them "$(<"$tree/kselftest-list.txt")" "$("$tree/run_kselftest.sh" -l)"
	program vfio_pci_device_test 'echo "args: $VFIO_SELFTESTS_BDF $*"; echo 1..1; echo ok 1 one'
	program vfio_pci_driver_test 'echo "1..0 # SKIP no moon"; exit 4'
	program vfio_dma_fault_test 'echo "not ok 1 one"; exit 1'
	program irqfd_guest_test 'echo "irqfd_guest_test: there is no moon" >&2; exit 2'
	export VFIO_SELFTESTS_BDF=0000:01:00.0
	said=$(export KSELFTEST_VFIO_PCI_DEVICE_TEST_ARGS='-t one'
		cd / && "$tree/run_kselftest.sh" -t kvm-vfio-tests:vfio_pci_device_test \
		-t kvm-vfio-tests:vfio_pci_driver_test -t kvm-vfio-tests:vfio_dma_fault_test \
		-t kvm-vfio-tests:irqfd_guest_test 2>&1) || true
	unset VFIO_SELFTESTS_BDF
	holds kselftest_runs_one_with_its_arguments "$said" '^# args: 0000:01:00.0 -t one$' \
		'^ok [0-9] selftests: kvm-vfio-tests: vfio_pci_device_test$'
	holds kselftest_gives_it_enough_time "$said" '^# timeout set to 300$'
	holds kselftest_sees_a_skip "$said" '^ok .*vfio_pci_driver_test # SKIP'
	holds kselftest_sees_a_failure "$said" '^not ok .*vfio_dma_fault_test # exit=1'
	holds kselftest_takes_what_is_missing_for_no_pass "$said" \
		'^# irqfd_guest_test: there is no moon$' '^not ok .*irqfd_guest_test # exit=1'
}

# A run of run.sh with every kind of result.
fake_run()
{
	cat <<-'END'
	#!/bin/sh
	case " $* " in
	*" -d none "*) echo "run.sh: no device" >&2 && exit 2 ;;
	esac
	cat <<'KTAP'
	KTAP version 1
	# machine: made up
	1..5
	    KTAP version 1
	    # Subtest: a_test 0000:01:00.0
	    1..3
	    ok 1 iommufd.it_works
	    ok 2 iommufd.it_skips # SKIP the moon's down
	    not ok 3 iommufd.it_fails
	not ok 1 a_test 0000:01:00.0
	    KTAP version 1
	    # Subtest: b_test
	    1..2
	    ok 1 one
	not ok 2 b_test # killed by SIGSEGV
	ok 3 c_test # SKIP no moon
	not ok 4 d_test # environment: no huge pages
	ok 5 the_lab_kernel_reported_no_problem
	KTAP
	exit ${STATUS:-1}
	END
}

# shellcheck disable=SC2016 # for the made-up tools to expand
test_engines()
{
	local said tool

	export WORK=$work
	mkdir -p "$work/data" "$work/bin"
	fake_run >"$tree/run.sh"
	same cases_are_told_one_a_line "pass a_test 0000:01:00.0|iommufd.it_works|
skip a_test 0000:01:00.0|iommufd.it_skips|the moon's down
fail a_test 0000:01:00.0|iommufd.it_fails|
pass b_test|one|
fail b_test||killed by SIGSEGV
skip c_test||no moon
error d_test||no huge pages
pass the_lab_kernel_reported_no_problem||" \
		"$("$tree/run.sh" | "$tree/scripts/ktap-cases" | sed 's/\t/ /; s/\t/|/g')"
	holds a_result_that_is_missing_failed "$(printf '1..2\nok 1 a\n' |
		"$tree/scripts/ktap-cases" | tr '\t' ' ')" '^fail run 2 '
	for tool in lava-test-set lava-test-case lava-test-raise; do
		printf '#!/bin/sh\necho "%s $*" >>"$WORK/lava"\n' "$tool" >"$work/bin/$tool"
		chmod +x "$work/bin/$tool"
	done
	PATH=$work/bin:$PATH "$tree/fleet/lava-run" >/dev/null || true
	same lava_is_told_of_each_case "lava-test-set start a_test_0000_01_00.0
lava-test-case iommufd.it_works --result pass
lava-test-case iommufd.it_skips --result skip
lava-test-case iommufd.it_fails --result fail
lava-test-set stop a_test_0000_01_00.0
lava-test-set start b_test
lava-test-case one --result pass
lava-test-case run --result fail
lava-test-set stop b_test" "$(head -n 9 "$work/lava")"
	(cd / && TMT_TEST_DATA=$work/data "$tree/fleet/tmt-run" >/dev/null) || true
	same tmt_finds_a_result_for_each_test "- name: '/a_test_0000_01_00.0'
  result: fail
  subresult:
  - name: '/iommufd.it_works'
    result: pass
  - name: '/iommufd.it_skips'
    result: skip
    note:
    - 'the moon''s down'
  - name: '/iommufd.it_fails'
    result: fail" "$(head -n 11 "$work/data/results.yaml")"
	(cd / && TMT_TEST_DATA=$work/data "$tree/fleet/tmt-run" -d none >/dev/null 2>&1) || true
	same tmt_is_told_what_is_missing "- name: /
  result: error
  note:
  - 'run.sh: no device'" "$(<"$work/data/results.yaml")"
}

# What LAVA does with the definition: parameters are variables, and the steps a script that runs
# where the archive was unpacked.
test_definitions()
{
	local said

	said=$(BDF='0000:01:00.0 0000:02:00.0' OPTIONS=--force TESTS=a_test \
		sh -euc "$(sed -n 's/^    - fleet\/lava-run/echo/p' "$tree/fleet/lava.yaml")")
	same the_steps_of_lava_name_devices_and_tests \
		'-d 0000:01:00.0 -d 0000:02:00.0 --force a_test' "$said"
	holds the_plan_of_tmt_runs_what_is_in_the_archive \
		"$(sed -n 's/^ *test: \([^ ]*\).*/\1/p' "$tree/fleet/plan.fmf" |
			(cd "$tree" && xargs ls -l))" '^-rwxr-xr-x .* fleet/tmt-run$'
	if ! /usr/bin/python3 -c 'import lava_common.schemas' 2>/dev/null; then
		tap_skip lava_accepts_the_definition "no package lava-common"
		return
	fi
	said=$(/usr/bin/python3 -c 'import sys, yaml
from lava_common.schemas.test.testdef import validate
validate(yaml.safe_load(open(sys.argv[1])))' "$tree/fleet/lava.yaml" 2>&1 | tail -n 1 || true)
	tap_result lava_accepts_the_definition "$said"
}

tap_begin
tap_plan 23
test_archive
test_run_sh
test_kselftest
test_engines
test_definitions
tap_end
