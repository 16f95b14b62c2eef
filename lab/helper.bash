# shellcheck shell=bash disable=SC2154 # who sources this knows where it is, and how to give up
# SPDX-License-Identifier: GPL-2.0-only
#
# Finds the lab's own programs; boot.sh and initramfs.sh source this file.

# helper BUILD NAME: a program of ours, made here if make has not made it.
helper() {
	local made=$1/lab/$2 source=$here/$2.c dir own

	dir=${KVM_VFIO_TESTS_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/kvm-vfio-tests}/lab
	own=$dir/$2

	if [[ -x $made && ! $source -nt $made ]]; then
		printf '%s\n' "$made"
		return
	fi
	if [[ ! -x $own || $source -nt $own ]]; then
		mkdir -p "$dir"
		"${CC:-cc}" -O2 -Wall -static -pthread -s "$source" -o "$own.$$" ||
			die "cannot compile $source as a static program."
		mv "$own.$$" "$own"
	fi
	printf '%s\n' "$own"
}
