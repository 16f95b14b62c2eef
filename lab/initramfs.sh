#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Packs the lab's initramfs: an uncompressed cpio archive, because unpacking costs more on an
# emulated CPU than reading. It has three parts, one behind the other as the kernel allows:
#
#   base      busybox, bash and its libraries, lab/init and its helpers; kept in the cache
#   payload   what becomes /kvm-vfio-tests: run.sh, scripts/ and the test programs, stripped
#   command   /lab/command, the command the lab runs, and a mark if a shell is wanted; the
#             kernel's modules, if it has any that the lab needs
#
# Exit codes: 0, 2 usage or environment.

set -euo pipefail

here=$(dirname "$(realpath "$0")")
root=$(dirname "$here")
readonly here root
# shellcheck source=lab/helper.bash
source "$here/helper.bash"
# shellcheck source=lab/modules.bash
source "$here/modules.bash"
readonly cache=${KVM_VFIO_TESTS_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/kvm-vfio-tests}/lab

usage() {
	cat <<-END
	usage: lab/initramfs.sh --out FILE [--build DIR] [--payload DIR] [--shell] [-- COMMAND...]

	  --out FILE      the archive to write
	  --build DIR     where make puts its output (default: build beside run.sh)
	  --tests NAMES   only these of the tests, between blanks
	  --modules DIR   a tree that a kernel was built in, or /lib/modules/RELEASE
	  --payload DIR   what becomes /kvm-vfio-tests, instead of run.sh, scripts/ and the tests
	  --shell         a shell on the lab's console, after COMMAND if there is one
	END
}

die() {
	printf 'initramfs: %s\n' "$*" >&2
	exit 2
}

# pack DIR: the tree as an archive on stdout. Everything belongs to root inside.
pack() {
	(cd "$1" && find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0)
}

# libraries_of PROGRAM: the files of its shared libraries and its interpreter. A static program
# has none, and ldd fails.
libraries_of() {
	{ ldd "$1" 2>/dev/null || true; } |
		awk '$2 == "=>" && $3 ~ /^\// { print $3; next } $1 ~ /^\// { print $1 }'
}

# fill_base DIR BUSYBOX BASH HELPER...
fill_base() {
	local dir=$1 busybox=$2 bash=$3 name file

	shift 3

	mkdir -p "$dir"/{bin,dev,etc,lab,proc,root,sys,tmp,usr}
	ln -s bin "$dir/sbin"
	ln -s ../bin "$dir/usr/bin"
	ln -s ../bin "$dir/usr/sbin"
	cp "$busybox" "$dir/bin/busybox"
	cp "$bash" "$dir/bin/bash"
	cp "$@" "$dir/lab/"
	cp "$here/init" "$dir/init"
	chmod 755 "$dir/init"
	"$busybox" --list | while read -r name; do
		[[ -e $dir/bin/$name ]] || ln -s busybox "$dir/bin/$name"
	done
	{ libraries_of "$bash" && libraries_of "$busybox"; } | sort -u | while read -r file; do
		mkdir -p "$dir${file%/*}"
		cp -L "$file" "$dir$file"
	done
	echo 'root::0:0:root:/root:/bin/bash' >"$dir/etc/passwd"
	echo 'root::0:' >"$dir/etc/group"
}

# base BUILD: the archive of the base part, from the cache unless something in it changed.
base() {
	local busybox bash heartbeat probe key file work

	busybox=$(type -P busybox) || die "no busybox: install the package busybox-static."
	busybox=$(realpath "$busybox")
	bash=$(realpath "$(type -P bash)")
	heartbeat=$(helper "$1" heartbeat)
	probe=$(helper "$1" nested-probe)
	key=$(stat -L -c '%n %s %Y' "$busybox" "$bash" "$heartbeat" "$probe" "$here/init" "$0" |
		sha256sum | cut -c 1-16)
	file=$cache/base-$key.cpio
	if [[ ! -f $file ]]; then
		work=$cache/.base.$$
		rm -rf "$work"
		# Not what another lab that begins just now is about to read.
		find "$cache" -name 'base-*.cpio' -mmin +60 -delete
		fill_base "$work" "$busybox" "$bash" "$heartbeat" "$probe"
		pack "$work" >"$file.$$"
		rm -rf "$work"
		mv "$file.$$" "$file"
	fi
	touch "$file"
	printf '%s\n' "$file"
}

# fill_payload DIR BUILD PAYLOAD TESTS
fill_payload() {
	local dir=$1/kvm-vfio-tests build=$2 payload=$3 tests=$4 program

	mkdir -p "$dir"
	if [[ -n $payload ]]; then
		cp -a "$payload/." "$dir/"
		return
	fi
	mkdir -p "$dir/build/tests"
	if [[ -f $root/run.sh ]]; then
		cp -a "$root/run.sh" "$root/scripts" "$dir/"
	fi
	for program in "$build"/tests/*; do
		[[ -f $program && -x $program ]] || continue
		[[ -z $tests || " $tests " == *" ${program##*/} "* ]] || continue
		# What is not an ELF file is a script.
		strip -o "$dir/build/tests/${program##*/}" "$program" 2>/dev/null ||
			cp "$program" "$dir/build/tests/"
	done
}

# quoted ARGUMENT...: the arguments as words of any shell.
quoted() {
	local word

	for word in "$@"; do
		printf "'%s' " "${word//\'/\'\\\'\'}"
	done
}

# fill_command DIR SHELL COMMAND...
fill_command() {
	local dir=$1/lab shell=$2

	shift 2
	mkdir -p "$dir"
	if ((shell)); then
		: >"$dir/shell"
	fi
	[[ $# -gt 0 ]] || return 0
	printf '#!/bin/sh\nexec %s\n' "$(quoted "$@")" >"$dir/command"
	chmod 755 "$dir/command"
}

main() {
	local out='' build=$root/build payload='' tests='' modules='' shell=0 work base_file

	while [[ $# -gt 0 ]]; do
		case $1 in
		--out | --build | --payload | --tests | --modules)
			[[ $# -ge 2 ]] || die "$1 needs a value."
			printf -v "${1#--}" '%s' "$2"
			shift 2 ;;
		--shell) shell=1; shift ;;
		--help) usage; exit 0 ;;
		--) shift; break ;;
		*) die "unknown argument '$1'; --help lists them." ;;
		esac
	done
	[[ -n $out ]] || die "--out FILE is missing."
	[[ -z $payload || -d $payload ]] || die "--payload $payload is not a directory."
	type -P cpio >/dev/null || die "no cpio: install the package cpio."
	mkdir -p "$cache"

	base_file=$(base "$build")
	work=$(mktemp -d "$out.XXXXXX")
	# shellcheck disable=SC2064 # the name is known now, and local
	trap "rm -rf '$work'" EXIT
	fill_payload "$work" "$build" "$payload" "$tests"
	fill_command "$work" "$shell" "$@"
	[[ -z $modules ]] || fill_modules "$work" "$modules"
	{ cat "$base_file" && pack "$work"; } >"$out"
}

main "$@"
