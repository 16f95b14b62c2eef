#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A kernel of the user's: what it lacks is named, what it has as a module is brought along with what
# that stands on, scripts/kernel-config adds the rest; and --bisect ends with the exit status that
# git wants. Made-up trees, and the configuration of the real one in KSRC. Bug class: a bisection
# led astray by a commit that gave no answer.

set -euo pipefail
unset O VFIO_SELFTESTS_BDF KVM_VFIO_TESTS_LAB KVM_VFIO_TESTS_OUTER

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/kernel-choice.XXXXXX")
trap 'rm -rf "$work"' EXIT
built=$work/built
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"

# A tree that a kernel was built in, with everything.
make_built()
{
	rm -rf "$built"
	mkdir -p "$built"/{arch/x86/boot,include/config,drivers/{a,b}}
	sed -n 's/^\([A-Z0-9_]*\)[|?]*.*[[:space:]].*/CONFIG_\1=y/p' "$top/lab/kernel.required" \
		>"$built/.config"
	: >"$built/arch/x86/boot/bzImage"
	echo 6.12.0-mine >"$built/include/config/kernel.release"
}

# option NAME VALUE: n removes it.
option()
{
	sed -i "/^CONFIG_$1=/d" "$built/.config"
	[[ $2 == n ]] || echo "CONFIG_$1=$2" >>"$built/.config"
}

# module PATH DEPENDS
module()
{
	printf 'depends=%s\0license=GPL\0' "$2" >"$built/drivers/$1.ko"
}

# says NAME STATUS WORDS COMMAND...: WORDS are somewhere in what it says, all of it if it is stdout.
says()
{
	local name=$1 wanted=$2 words=$3 status=0 why='' out

	shift 3
	out=$("$@" 2>&1) || status=$?
	((status == wanted)) || why="exit status $status, not $wanted"
	[[ $out == *"$words"* ]] || why="it does not say: $words"
	[[ -n $words || -z $out ]] || why="it says something"
	tap_result "$name" "$why" "$out"
}

test_required()
{
	local kernel=$top/lab/kernel.sh image=$built/arch/x86/boot/bzImage

	make_built
	says a_tree_with_everything_will_do 0 "$image" "$kernel" --user "$built"
	says without_modules_none_are_looked_for 0 '' "$kernel" --modules "$built"
	option VIRTIO_CONSOLE n
	option IRQ_REMAP n
	says each_missing_option_is_named 2 'it lacks CONFIG_VIRTIO_CONSOLE=y (the channel of the' \
		"$kernel" --user "$built"
	says and_the_next_one_too 2 'CONFIG_IRQ_REMAP=y (interrupt remapping); scripts/' \
		"$kernel" --user "$built"
	make_built
	option BINFMT_SCRIPT m
	says what_is_needed_too_early_cannot_be_a_module 2 'lacks CONFIG_BINFMT_SCRIPT=y' \
		"$kernel" --user "$built"
	make_built
	option KVM_AMD m
	option VFIO_PCI m
	says a_module_will_do 0 "$image" "$kernel" --user "$built"
	says a_module_that_is_not_built_is_told 2 'kvm_amd yet: build it with make modules' \
		"$kernel" --modules "$built"
	module a/kvm-amd kvm,ccp
	module b/ccp ''
	module b/kvm irqbypass
	module b/irqbypass ''
	module a/vfio-pci ''
	module a/unrelated ''
	says a_tree_with_modules_is_where_they_are 0 "$built" "$kernel" --modules "$built"
}

# What goes into the initramfs, as a list of the archive.
test_initramfs()
{
	local dep=$work/root/lib/modules/6.12.0-mine/modules.dep

	(
		here=$top/lab
		die() { echo "$*" && exit 2; }
		# shellcheck source=lab/modules.bash
		. "$top/lab/modules.bash"
		strip() { :; }
		fill_modules "$work/root" "$built"
	)
	says what_a_module_stands_on_comes_along 0 'kvm_amd.ko: kvm.ko ccp.ko irqbypass.ko' \
		cat "$dep"
	says what_the_lab_does_not_need_stays_behind 1 '' grep unrelated "$dep"
	says what_is_for_the_boot_is_listed_in_order 0 $'kvm\nkvm_amd' cat "$work/root/lab/modules"
	says what_is_for_later_is_not 1 '' grep vfio "$work/root/lab/modules"
}

test_kernel_config()
{
	local config=$top/scripts/kernel-config tree=$work/config

	says a_place_without_a_kernel_is_told 2 'neither a kernel' "$config" "$work"
	mkdir "$tree"
	if ! make -s -C "$KSRC" O="$tree" tinyconfig >/dev/null 2>&1; then
		tap_skip kernel_config_adds_what_is_missing "KSRC cannot be configured elsewhere"
		return
	fi
	says what_is_missing_is_told 1 CONFIG_VFIO_PCI=y "$config" --check "$tree"
	says what_is_missing_is_added 0 'now build it' "$config" "$tree"
	says then_nothing_is_missing 0 '' "$config" --check "$tree"
	mkdir -p "$tree/arch/x86/boot"
	: >"$tree/arch/x86/boot/bzImage"
	says and_the_lab_takes_it 0 "$tree/arch/x86/boot/bzImage" "$top/lab/kernel.sh" \
		--user "$tree"
}

# bisects NAME EXPECTED STATUS KERNEL SPOKE STALLED
bisects()
{
	local seen

	seen=$(
		# shellcheck source=scripts/bisect.sh
		. "$top/scripts/bisect.sh"
		# shellcheck disable=SC2034 # for bisect_status
		bisect_kernel=$4
		bisect_status "$3" "$5" "$6"
	)
	tap_result "$1" "$([[ $seen == "$2" ]] || echo "it is $seen, not $2")"
}

test_bisect()
{
	bisects a_pass_is_good 0 0 1 1 ''
	bisects a_failure_is_bad 1 1 1 1 ''
	bisects a_kernel_that_does_not_boot_is_skipped 125 1 1 '' ''
	bisects a_kernel_that_does_not_build_is_skipped 125 2 1 '' ''
	bisects nothing_but_skips_is_skipped 125 4 1 1 ''
	bisects an_environment_error_in_the_lab_is_skipped 125 2 1 1 ''
	bisects a_stall_is_skipped 125 1 1 1 1
	bisects a_missing_tool_ends_it 128 2 '' '' ''
	bisects a_signal_ends_it 130 130 1 1 ''
	says a_wrong_command_ends_it 128 'no test' "$top/run.sh" --kernel "$KSRC" --bisect \
		no_such_test
	says a_bisection_takes_a_tree 128 'takes --kernel TREE' "$top/run.sh" --bisect \
		irqfd_guest_test
}

# A front door whose lab, instead of booting a kernel, does what is written in it.
make_front_door()
{
	local door=$work/door

	mkdir -p "$door"/{lab,tests,build/tests}
	cp -r "$top/run.sh" "$top/scripts" "$door"
	cp "$top"/lab/{kernel.sh,kernel.required,kernel.modules,kernel.config,*.bash} "$door/lab"
	printf '#!/bin/sh\n' >"$door/scripts/install-deps"
	printf '#!/bin/sh\necho /no/tree\n' >"$door/scripts/kernel-tree"
	printf 'all:\n' >"$door/Makefile"
	printf 'printf "some_test\\t-\\tmade up\\n"\n' >"$door/tests/some_test.sh"
	printf '#!/bin/sh\necho nvme 0000:01:00.0\n' >"$door/lab/devices.sh"
	cat >"$door/lab/boot.sh" <<-'END'
	#!/bin/bash
	while [[ $1 != --kernel ]]; do shift; done
	kind=$(<"$2")
	[[ $kind != dead ]] || exit 1
	printf 'KTAP version 1\n1..1\n'
	case $kind in
	good) echo "ok 1 some_test" && exit 0 ;;
	bad) echo "not ok 1 some_test" && exit 1 ;;
	skip) echo "ok 1 some_test # SKIP no moon" && exit 4 ;;
	esac
	END
	chmod +x "$door"/lab/*.sh "$door/scripts"/*
}

# make_history KIND...: a repository with a commit for each, which builds into such a kernel.
make_history()
{
	local kind git=(git -c user.name=me -c user.email=me@here -c init.defaultBranch=main)

	mkdir "$work/history"
	cd "$work/history"
	make_built
	cp "$built/.config" .
	printf '/.config\n/arch\n' >.gitignore
	: >Kconfig
	printf 'olddefconfig:\nbzImage:\n\tgrep -vx broken kind\n' >Makefile
	printf '\tmkdir -p arch/x86/boot\n' >>Makefile
	printf '\tcp kind arch/x86/boot/bzImage\n' >>Makefile
	"${git[@]}" init -q
	for kind; do
		printf '%s\n' "$kind" >kind
		"${git[@]}" add -A
		"${git[@]}" commit -q --allow-empty -m "$kind"
		"${git[@]}" tag "c$("${git[@]}" rev-list --count HEAD)"
	done
}

test_git_bisect()
{
	if ! type -P git >/dev/null; then
		tap_skip git_finds_the_commit "there is no git"
		return
	fi
	make_front_door
	(make_history good good broken dead good bad skip bad)
	cd "$work/history"
	git bisect start c8 c1 >/dev/null 2>&1
	says git_finds_the_commit 0 "$(git rev-parse c6) is the first bad commit" git bisect run \
		"$work/door/run.sh" --no-posting --no-install --kernel . --bisect some_test
	git bisect reset >/dev/null 2>&1
	git bisect start c4 c1 >/dev/null 2>&1
	says git_is_told_where_there_is_no_answer 2 "only 'skip'ped commits left" git bisect run \
		"$work/door/run.sh" --no-posting --no-install --kernel . --bisect some_test
	cd "$top"
}

[[ -n ${KSRC:-} ]] || KSRC=$("$top/scripts/kernel-tree")
tap_begin
test_required
test_initramfs
test_kernel_config
test_bisect
test_git_bisect
tap_end
