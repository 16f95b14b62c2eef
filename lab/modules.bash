# shellcheck shell=bash disable=SC2154 # who sources this knows where it is, and how to give up
# SPDX-License-Identifier: GPL-2.0-only
#
# The modules of a kernel of the user's that go into the lab; initramfs.sh and kernel.sh source
# this file. A directory of modules is a tree that a kernel was built in, or /lib/modules/RELEASE.

declare -A module_file=() module_needs=()

# lab_modules WHEN...: the names in lab/kernel.modules that are loaded then.
lab_modules() {
	local name when _

	while read -r name when _; do
		[[ -z $name || $name == \#* || " $* " != *" $when "* ]] || printf '%s\n' "$name"
	done <"$here/kernel.modules"
}

# option_of MODULE: without the CONFIG_.
option_of() {
	[[ $1 != nvme ]] || set -- blk_dev_nvme
	printf '%s\n' "${1^^}"
}

# may_be_module OPTION
may_be_module() {
	local name

	for name in $(lab_modules boot demand); do
		[[ $(option_of "$name") != "$1" ]] || return 0
	done
	return 1
}

# modules_release DIR: the release of the kernel that they belong to.
modules_release() {
	cat "$1/include/config/kernel.release" 2>/dev/null || basename "$1"
}

# find_modules DIR: into module_file[], by the names that the kernel calls them.
find_modules() {
	local file name

	while read -r file; do
		name=${file##*/}
		name=${name%%.ko*}
		module_file[${name//-/_}]=$file
	done < <(find "$1/" -type f \( -name '*.ko' -o -name '*.ko.[gx]z' -o -name '*.ko.zst' \))
}

# unpack_module FILE: as it came from the compiler.
unpack_module() {
	case $1 in
	*.gz) gzip -dc "$1" ;;
	*.xz) xz -dc "$1" ;;
	*.zst) zstd -dc "$1" ;;
	*) cat "$1" ;;
	esac
}

# add_module NAME DIR: it and all that it needs into DIR; module_needs[NAME] lists the latter, the
# nearest first. Debug information stays behind, unless the module is signed with it.
add_module() {
	local name=$1 dir=$2 file=$2/$1.ko need further=''

	[[ -z ${module_needs[$name]+known} ]] || return 0
	[[ -n ${module_file[$name]:-} ]] || return 0
	unpack_module "${module_file[$name]}" >"$file" ||
		die "${module_file[$name]} cannot be unpacked."
	module_needs[$name]=''
	for need in $(tr '\0' '\n' <"$file" | sed -n 's/^depends=//p' | tr ',-' ' _'); do
		add_module "$need" "$dir"
		module_needs[$name]+="$need "
		further+="${module_needs[$need]:-} "
	done
	for need in $further; do
		[[ " ${module_needs[$name]}" == *" $need "* ]] || module_needs[$name]+="$need "
	done
	[[ $(tail -c 28 "$file" | tr -d '\0') == '~Module signature appended~' ]] ||
		strip --strip-debug "$file"
}

# fill_modules INTO DIR: the modules of DIR that the lab loads, in the way that modprobe looks for
# them, below INTO; and for lab/init the names of those to load at boot.
fill_modules() {
	local into=$1 release target name need line

	release=$(modules_release "$2")
	target=$into/lib/modules/$release
	mkdir -p "$target" "$into/lab"
	find_modules "$2"
	for name in $(lab_modules boot demand); do
		add_module "$name" "$target"
	done
	for name in "${!module_needs[@]}"; do
		line=$name.ko:
		for need in ${module_needs[$name]}; do
			line+=" $need.ko"
		done
		printf '%s\n' "$line"
	done >"$target/modules.dep"
	for name in $(lab_modules boot); do
		[[ -z ${module_needs[$name]+known} ]] || printf '%s\n' "$name"
	done >"$into/lab/modules"
}
