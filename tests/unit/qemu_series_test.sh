#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# lab/qemu/series.sh: what is exported from commits comes back as the same tree and as the same
# commits; what does not fit exactly is refused. And the series itself, put into its release, is
# what QEMU's own checkpatch accepts. Bug class: patches that say something else than the commits
# they came from, or that land a few lines off.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/qemu-series.XXXXXX")
trap 'rm -rf "$work"' EXIT
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME='A. Uthor' GIT_AUTHOR_EMAIL=author@example.org
export GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@example.org
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"

series()
{
	SERIES=$work/series "$top/lab/qemu/series.sh" "$@" >"$work/out" 2>&1
}

# A release, and three commits on it: a hook with a new file, a new file alone, changes to both.
make_repository()
{
	mkdir -p "$work/repo/target/i386" "$work/series"
	cd "$work/repo"
	git init -q
	echo 10.0.13 >VERSION
	seq 40 >target/i386/cpu.c
	git add -A && git commit -qm release && git tag base
	sed -i 's/^20$/twenty/' target/i386/cpu.c
	printf 'int one;\n' >target/i386/new.c
	git add -A && git commit -qm 'target/i386: one' -m 'With a body.' -m 'diff of words'
	mkdir hw && printf 'int two;\n' >hw/two.c
	git add -A && git commit -qm 'hw: two'
	sed -i 's/^30$/thirty/' target/i386/cpu.c
	printf 'int three;\n' >>target/i386/new.c
	git add -A && git commit -qm 'target/i386: three'
	cd "$top"
}

# release DIR: the release as a plain tree.
release()
{
	rm -rf "$1"
	mkdir "$1"
	git -C "$work/repo" archive base | tar -x -C "$1"
}

# same NAME COMMAND...: the tree in $work/tree is then that of the last commit.
same()
{
	local name=$1 why=''

	shift
	release "$work/tree"
	"$@" || why="exit status $?"
	diff -r -x .git "$work/repo" "$work/tree" >>"$work/out" || why="the trees differ"
	tap_result "$name" "$why" "$(<"$work/out")"
}

# refused NAME SENTENCE COMMAND...
refused()
{
	local name=$1 sentence=$2 status=0 why=''

	shift 2
	"$@" || status=$?
	((status == 2)) || why="exit status $status"
	grep -qe "$sentence" "$work/out" || why="it does not say: $sentence"
	tap_result "$name" "$why" "$(<"$work/out")"
}

commits()
{
	git -C "$1" log --reverse --format='%an %ae %ad%n%B' -p "$2.."
}

test_round_trip()
{
	local why=''

	series export "$work/repo" base..HEAD || why="exit status $?"
	[[ $(cat "$work"/series/files/target/i386/new.c) == $'int one;\nint three;' ]] ||
		why="the new file is not in its final state"
	tap_result commits_are_exported "$why" "$(<"$work/out")"
	same apply_gives_the_last_commit series apply "$work/tree"
	same git_gives_the_last_commit series git "$work/tree"
	tap_result git_gives_the_same_commits \
		"$(diff <(commits "$work/repo" base) <(commits "$work/tree" release))"
}

test_refusals()
{
	release "$work/tree"
	sed -i 's/^19$/nineteen/' "$work/tree/target/i386/cpu.c"
	refused a_hook_that_fits_with_fuzz_only_is_refused '0001-.* does not apply to QEMU 10' \
		series apply "$work/tree"
	release "$work/tree"
	mkdir "$work/tree/hw" && : >"$work/tree/hw/two.c"
	refused a_new_file_that_is_there_is_refused 'has a hw/two.c already' \
		series apply "$work/tree"
	refused a_tree_of_something_else_is_told 'not a source tree of QEMU' series apply "$work"
	refused an_empty_range_is_told 'no commits' series export "$work/repo" base..base
}

# The files of the release that the series touches, and checkpatch.
unpack_touched()
{
	local tarball=$1 paths=()

	mapfile -t paths < <(sed -n 's|^diff --git a/\([^ ]*\) .*|*/\1|p' \
		"$top"/lab/qemu/patches/*.patch | sort -u)
	mkdir -p "$work/qemu/target/i386"
	# A file that is new in the series is in no tarball.
	tar -xf "$tarball" -C "$work/qemu" --strip-components=1 --wildcards \
		--no-wildcards-match-slash "${paths[@]}" '*/VERSION' '*/MAINTAINERS' \
		'*/scripts/checkpatch.pl' 2>/dev/null || true
}

test_checkpatch()
{
	local name=qemu_checkpatch_accepts_each_patch tarball findings

	if ! compgen -G "$top/lab/qemu/patches/*.patch" >/dev/null; then
		tap_skip "$name" "there is no patch"
	elif ! tarball=$("$top/lab/qemu/build.sh" --source); then
		tap_skip "$name" "the source of QEMU is not in the cache, lab/qemu/build.sh gets it"
	elif unpack_touched "$tarball" && ! "$top/lab/qemu/series.sh" git "$work/qemu"; then
		tap_result "$name" "the series does not apply"
	else
		cd "$work/qemu"
		findings=$(perl scripts/checkpatch.pl --no-tree --terse --branch release.. |
			grep -E 'ERROR|WARNING' || true)
		cd "$top"
		tap_result "$name" "${findings:+it finds fault}" "$findings"
	fi
}

if ! type -P git patch >/dev/null; then
	printf 'TAP version 13\n1..0 # SKIP there is no git or no patch here\n'
	exit 4
fi
make_repository
tap_begin
tap_plan 9
test_round_trip
test_refusals
test_checkpatch
tap_end
