#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/judge over a made-up lab: what fails with AVIC only is a failure, what fails everywhere
# is none, what is said to fail and passes is one, and what a lab dies with has failed. Bug class:
# a judge that finds an excuse for everything.

set -euo pipefail
unset O QEMU KERNEL KVM_UNIT_TESTS STOCK_QEMU TCG_THREADS

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/judge-test.XXXXXX")
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"
trap 'rm -rf "$work"' EXIT

# The lab: what an item does stands in its name, by the lab it runs in.
make_lab() {
	cat >"$work/lab/boot.sh" <<-'END'
	#!/bin/bash
	lab= qemu= payload= log=
	while [[ $1 != -- ]]; do
		case $1 in
		*kvm_amd.avic=1) lab=avic ;;
		*kvm_amd.avic=0) lab=off ;;
		--qemu) qemu=$2 ;;
		--payload) payload=$2 ;;
		--log-dir) log=$2 ;;
		esac
		shift
	done
	shift 2
	[[ $qemu != *stock ]] || lab=stock
	mkdir -p "$log"
	for number; do
		name=$(sed -n "$((number + 1))s/\t.*//p" "$payload/items")
		echo "begin $number"
		status=0
		case $lab-$name in
		*-*/fails_* | avic-*/avic_fails_*) status=254 ;;
		off-*/stock_passes_*) status=254 ;;
		avic-*/stock_passes_*) status=254 ;;
		avic-*/skips_*) echo ": 1..0 # SKIP - Requirement not met: no such CPU"; status=4 ;;
		avic-*/dies_*) echo "it panicked" >"$log/lab.problem"; exit 1 ;;
		avic-*/stalls_*) [[ -e $0.stalled ]] || { touch "$0.stalled"; exit 99; } ;;
		esac
		echo ": $name spoke"
		echo "end $number $status 1"
	done
	END
	printf '#!/bin/sh\necho %s\n' "$work/kernel" >"$work/lab/kernel.sh"
	printf '#!/bin/sh\ncase $* in *help) echo kvm; echo %s ;; esac\n' "$work/data" >"$work/qemu"
	chmod +x "$work"/lab/*.sh "$work/qemu"
	touch "$work"/data/{bios-256k,linuxboot_dma,multiboot_dma,kvmvapic}.bin "$work/kernel"
}

# run NAME...: the judge with these as KVM selftests.
run() {
	local name

	rm -rf "$work/build"
	mkdir -p "$work/build/judge/kvm"
	printf '%s 5\n' "$@" >"$work/judge/kvm-selftests"
	for name; do
		cp "$(type -P true)" "$work/build/judge/kvm/$name"
	done
	status=0
	out=$(QEMU=$work/qemu STOCK_QEMU=$work/stock JUDGE_VMM=$work/qemu KSRC=$work \
		"$work/scripts/judge" kvm-selftests 2>"$work/err") || status=$?
}

# expect NAME STATUS PATTERN...: each pattern is to match a line of the last run's stdout.
expect() {
	local name=$1 want=$2 pattern why=''

	shift 2
	((status == want)) || why="status $status, not $want"
	for pattern; do
		grep -qE -e "$pattern" <<<"$out" || why+=" no line matches $pattern"
	done
	tap_result "$name" "$why" "$out"$'\n'"$(<"$work/err")"
}

mkdir -p "$work"/{lab,data}
cp -r "$top/scripts" "$top/judge" "$work"
make_lab
echo 'kvm-selftests/fails_known_test: it always did
kvm-selftests/passes_known_test: it once did' >"$work/judge/known-failures"

tap_begin
run passes_test skips_test
expect a_pass_passes_and_a_skip_skips 0 '^ok 1 kvm-selftests/passes_test$' \
	'^ok 2 kvm-selftests/skips_test # SKIP no such CPU' '^ok 3 the_lab_kernel'
run passes_test avic_fails_test
expect what_fails_with_avic_only_is_a_failure 1 '^ok 1 ' \
	'^not ok 2 .*avic_fails_test # exit status 254; without AVIC: pass; stock QEMU: pass'
run stock_passes_test
expect what_fails_on_our_qemu_only_is_a_failure 1 '^not ok 1 .*stock QEMU: pass'
run passes_test fails_test fails_known_test
expect what_fails_everywhere_is_no_matter_of_avic 0 '^ok 2 .*# SKIP .*not yet explained' \
	'^ok 3 .*# SKIP .*it always did'
run passes_known_test
expect a_known_failure_that_passes_is_a_failure 1 '^not ok 1 .*known-failures says: it once did'
run passes_test dies_test passes_too_test
expect the_item_a_lab_dies_with_fails_and_no_other 1 '^ok 1 ' \
	'^not ok 2 .*dies_test # it panicked' '^ok 3 ' '^not ok 4 the_lab_kernel.*it panicked'
run stalls_test
expect a_stall_is_repeated 0 '^ok 1 kvm-selftests/stalls_test$' '^ok 2 the_lab_kernel'
tap_end
