#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: scripts/new-driver.sh NAME [DIR]
#
# Makes DIR/NAME/NAME.c and DIR/NAME/regs.h, a driver that builds and does nothing yet. What is
# missing in it is marked FILL IN. DIR is drivers, or any directory outside of this tree, which
# `make DRIVERS=DIR` then links in. See docs/adding-a-driver.md.
#
# Exit codes: 0, 2 usage or environment.

set -euo pipefail

readonly top=${BASH_SOURCE[0]%/*}/..

die() {
	printf 'new-driver: %s\n' "$*" >&2
	exit 2
}

usage() {
	sed -n '/^# usage/,/^$/s/^# \{0,1\}//p' "$0"
}

main() {
	local name dir file made=()

	[[ ${1:-} != --help ]] || { usage && exit 0; }
	[[ $# -eq 1 || $# -eq 2 ]] || die "it takes a name and a directory, see --help."
	name=$1
	dir=${2:-$top/drivers}
	[[ $name =~ ^[a-z][a-z0-9_]*$ ]] ||
		die "'$name' is no name for C: small letters, digits and _, a letter first."
	[[ ! -e $top/drivers/$name ]] || die "there is a driver $name in this tree."
	[[ ! -e $dir/$name ]] || die "$dir/$name exists."

	mkdir -p "$dir/$name" || die "cannot make $dir/$name."
	for file in foo.c regs.h; do
		made+=("$dir/$name/${file/foo/$name}")
		sed "s/foo/$name/g; s/FOO/${name^^}/g" "$top/scripts/driver-template/$file" \
			>"${made[-1]}"
	done
	printf '%s\n' "${made[@]}"
	printf '%d places to fill in\n' "$(cat "${made[@]}" | grep -c 'FILL IN')" >&2
}

main "$@"
