#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# lab/qemu/build.sh with a made-up QEMU, ninja and apt-get: what it builds once it does not build
# twice, what changed it builds again, and what is in the way it says in one sentence. Bug class: a
# cache that hands out something stale or half made. Needs no network, and compiles nothing.

set -euo pipefail
unset QEMU_SRC

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/qemu-build.XXXXXX")
trap 'rm -rf "$work"' EXIT
export KVM_VFIO_TESTS_CACHE=$work/cache PATH=$work/bin:$PATH
status=0
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"

# The made-up world --------------------------------------------------------------------------------

script()
{
	printf '#!/bin/bash\n%s\n' "$2" >"$1"
	chmod +x "$1"
}

# A tree of a QEMU whose amd-iommu has the property once the series is applied.
make_source()
{
	rm -rf "$work/source"
	mkdir -p "$work/source"/{hw/i386,target/i386,pc-bios,roms,.git,python/wheels}
	mkdir -p "$work/source/configs/devices/x86_64-softmmu"
	: >"$work/source/python/wheels/meson-1.5.0-py3-none-any.whl"
	echo 10.0.13 >"$work/source/VERSION"
	echo stock >"$work/source/hw/i386/amd_iommu.c"
	# shellcheck disable=SC2016 # for the program to expand
	script "$work/source/configure" 'echo "${0%/*}" >tree'
}

make_series()
{
	mkdir -p "$work/lab/qemu"/{patches,files/target/i386}
	cp "$top"/lab/qemu/{build.sh,series.sh,devices.mak} "$work/lab/qemu/"
	cp "$top/lab/progress.bash" "$work/lab/"
	echo one >"$work/lab/qemu/files/target/i386/avic.c"
	cat >"$work/lab/qemu/patches/0001-post.patch" <<-'END'
	Subject: [PATCH] post
	---
	New-file: target/i386/avic.c

	diff --git a/hw/i386/amd_iommu.c b/hw/i386/amd_iommu.c
	--- a/hw/i386/amd_iommu.c
	+++ b/hw/i386/amd_iommu.c
	@@ -1 +1 @@
	-stock
	+gamsup
	END
}

# A ninja that makes a QEMU of what is in the tree, and counts.
make_tools()
{
	mkdir -p "$work/bin"
	# shellcheck disable=SC2016 # for the program to expand
	script "$work/bin/ninja" '
echo ninja >>'"$work"'/builds
echo "[1/2] CC"
[[ ! -e '"$work"'/slow ]] || sleep 2
[[ ! -e '"$work"'/broken ]] || { echo "a.c:1: error: no moon"; exit 1; }
cd "$2"
tree=$(<tree)
{ echo "#!/bin/bash"
  echo "[[ \$1 == --version ]] || echo \"  $(<"$tree/hw/i386/amd_iommu.c")=<bool>\""
} >qemu-system-x86_64
chmod +x qemu-system-x86_64'
	script "$work/bin/apt-get" "echo \"\$@\" >>$work/asked; exit 100"
}

builds()
{
	{ cat "$work/builds" 2>/dev/null || true; } | wc -l
}

ask()
{
	status=0
	"$work/lab/qemu/build.sh" "$@" >"$work/out" 2>"$work/err" || status=$?
}

# built NAME BUILDS ARGUMENT...: an executable comes out, after so many builds in all.
built()
{
	local name=$1 expected=$2 why=''

	shift 2
	ask "$@"
	((status == 0)) || why="exit status $status"
	[[ -x $(<"$work/out") ]] || why="it prints '$(<"$work/out")'"
	(($(builds) == expected)) || why="$(builds) builds, not $expected"
	[[ ! -e $work/cache/qemu/work ]] || why="its working directory is left"
	tap_result "$name" "$why" "$(<"$work/err")"
}

# refused NAME SENTENCE out|err ARGUMENT...: status 2, and the sentence is the last line there.
refused()
{
	local name=$1 sentence=$2 place=$3 why=''

	shift 3
	ask "$@"
	((status == 2)) || why="exit status $status"
	tail -n 1 "$work/$place" | grep -qe "$sentence" || why="std$place lacks: $sentence"
	[[ $place == out || ! -s $work/out ]] || why="something is on stdout"
	tap_result "$name" "$why" "$(cat "$work/out" "$work/err")"
}

state()
{
	find "$work/source" -printf '%p %i %T@ %s\n' | sort
}

# Tests --------------------------------------------------------------------------------------------

test_cache()
{
	local before first

	before=$(state)
	ask --built
	tap_result nothing_is_built_yet "$( ((status == 1)) && [[ ! -s $work/out ]] || echo it is)"
	built a_tree_is_built 1
	first=$(<"$work/out")
	tap_result the_users_tree_is_left_alone "$([[ $(state) == "$before" ]] || echo it is not)"
	built it_is_built_once 1
	built auto_takes_it 1 --auto
	built built_prints_it 1 --built
	echo two >"$work/lab/qemu/files/target/i386/avic.c"
	built a_change_of_the_series_is_built 2
	tap_result it_is_another_one "$([[ $(<"$work/out") != "$first" ]] || echo "the same")"
	echo one >"$work/lab/qemu/files/target/i386/avic.c"
	built what_was_built_before_is_still_there 2
	rm -f "$first"
	built what_is_gone_is_built 3
	printf '#!/bin/false\n' >"$first"
	built what_no_longer_runs_is_built 4
	rm -rf "$work/source/.git"
	touch "$work/source/VERSION"
	built a_change_of_the_tree_is_built 5
	# As if it had been ended on its way.
	rm -rf "$work/cache"
	mkdir -p "$work/cache/qemu/work/tree/junk" "$work/cache/qemu/source-10.0.13.new/junk"
	built what_was_left_half_made_is_no_matter 6
	tar -C "$work" -czf "$work/qemu.tar.gz" source
	QEMU_SRC=$work/qemu.tar.gz built a_tarball_is_built_too 7
}

test_two_at_once()
{
	local other why=''

	: >"$work/slow"
	echo three >"$work/lab/qemu/files/target/i386/avic.c"
	"$work/lab/qemu/build.sh" >"$work/other" 2>/dev/null &
	other=$!
	sleep 0.5
	built two_at_once_build_once 8
	wait "$other" || why="exit status $?"
	cmp -s "$work/other" "$work/out" || why="they differ"
	tap_result both_get_it "$why"
	rm "$work/slow"
}

test_failures()
{
	: >"$work/broken"
	echo four >"$work/lab/qemu/files/target/i386/avic.c"
	refused a_failed_build_names_its_log 'does not build; the whole log is .*log' err
	refused auto_says_it_on_stdout 'does not build' out --auto
	tap_result auto_does_not_try_again "$( (($(builds) == 9)) || echo "$(builds) builds")"
	ask --built
	tap_result built_says_why_not "$( ((status == 1)) && grep -q 'does not build' "$work/out" ||
		echo "status $status: $(<"$work/out")")"
	rm "$work/broken"
	built without_auto_it_is_tried_again 10
	sed -i 's/-stock/-other/' "$work/lab/qemu/patches/0001-post.patch"
	refused a_series_that_does_not_fit_is_told '0001-post.patch does not apply' err
	rm "$work/lab/qemu/patches/0001-post.patch"
	refused an_empty_series_is_told 'there are no patches' err
	make_series
	QEMU_SRC=$work/nothing refused a_missing_source_is_told 'there is no .*/nothing' err
	QEMU_SRC=$work/bin refused a_source_of_something_else_is_told 'is not a source tree' err
	unset QEMU_SRC
	refused a_silent_network_is_told 'apt cannot read the lists' err
	grep -q 'Dir::State::Lists=.*/cache/qemu/apt/lists.* update' "$work/asked" || status=3
	tap_result apt_is_asked_with_its_own_lists "$( ((status == 2)) || cat "$work/asked")"
	refused an_unknown_argument_is_told "unknown argument '--fast'" err --fast
}

make_tools
make_source
make_series
export QEMU_SRC=$work/source
tap_begin
tap_plan 28
test_cache
test_two_at_once
test_failures
tap_end
