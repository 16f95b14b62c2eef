#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/install-deps on a made-up PATH: it names what is missing, installs only where it may, and
# touches nothing but stderr. The apt-get here only notes what it was asked for.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/install-deps.XXXXXX")
trap 'rm -rf "$work"' EXIT
bash=$BASH
status=0
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"

# ask PATH ARGUMENT...
ask()
{
	local path=$1

	shift
	rm -f "$work/asked"
	status=0
	PATH=$path QEMU='' "$bash" "$top/scripts/install-deps" "$@" >"$work/out" 2>"$work/err" ||
		status=$?
}

# result NAME STATUS PATTERN [ASKED]: PATTERN is on stderr, ASKED was asked of apt-get.
result()
{
	local name=$1 expected=$2 pattern=$3 asked=${4:-} why=''

	[[ $status == "$expected" ]] || why="exit status $status, not $expected"
	grep -qE -e "$pattern" "$work/err" || [[ -z $pattern ]] || why="stderr lacks: $pattern"
	[[ ! -s $work/out ]] || why="stdout is not empty"
	if [[ -n $asked ]]; then
		grep -qs -e "$asked" "$work/asked" || why="apt-get was not asked for: $asked"
	elif [[ -e $work/asked ]]; then
		why="apt-get was called"
	fi
	tap_result "$name" "$why" "$(cat "$work/err")"
}

mkdir "$work/apt" "$work/none" "$work/all"
printf '#!%s\necho "$@" >>%s/asked\n' "$bash" "$work" >"$work/apt/apt-get"
for command in gcc make ld flex bison bc xz perl qemu-system-x86_64 busybox cpio; do
	printf '#!/bin/sh\n' >"$work/all/$command"
done
cp "$work/apt/apt-get" "$work/all"
chmod +x "$work"/{apt,all}/*

tap_begin
tap_plan 6
ask "$work/all" lab
[[ ! -s $work/err ]] || status="$status with words"
result nothing_is_said_when_all_is_there 0 ''
ask "$work/apt" --no-install lab
result what_is_missing_is_named_with_the_command 2 \
	'missing: qemu-system-x86_64 busybox cpio; as root, run: apt-get install .*busybox-static'
ask "$work/none" lab
result without_apt_get_the_packages_are_named 2 'in the packages: qemu-system-x86 busybox-static'
ask "$work/apt" --no-install games
result an_unknown_profile_is_told 2 "'games' is no profile"
ask "$work/apt" lab
if ((EUID == 0)); then
	result root_has_it_installed_and_is_told 2 'installing with apt-get: qemu-system-x86' \
		'install -y --no-install-recommends qemu-system-x86 busybox-static cpio'
	result what_is_still_missing_afterwards_is_told 2 'still missing after the installation' \
		'install'
else
	result somebody_else_is_told_the_command 2 'as root, run: apt-get install'
	result apt_get_is_left_alone 2 ''
fi
tap_end
