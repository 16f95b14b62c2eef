#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The lab's kernel. Prints the path of a bzImage on stdout and says on stderr what it does.
#
#   lab/kernel.sh TREE          builds the kernel of a source tree with lab/kernel.config
#   lab/kernel.sh --debug TREE  the same with the debugging of lab/kernel.debug.config on top
#   lab/kernel.sh --user PATH   takes a kernel of the user's: a bzImage, or a tree it was built in
#   lab/kernel.sh --build TREE  the same, but makes it first, with the .config that is there; a tree
#                               without one gets the lab's kernel
#   lab/kernel.sh --modules PATH
#                               prints where the modules of such a kernel are, if it has any that
#                               the lab needs
#
# A build is kept in the cache, under a name made of the tree and the compiler. Later calls build
# only what changed in the tree or in the configuration. A bzImage gets its final name when it
# is whole, with the time at which its build began: what changed in the tree meanwhile is newer.
# The debug kernel has a directory of its own, so that neither kernel ever rebuilds the other.
#
# A kernel of the user's is held against lab/kernel.required where its configuration can be
# found: beside it, as /boot has it, or within it.
#
# Exit codes: 0; 2 usage, environment, or a kernel that cannot serve.

set -euo pipefail

here=$(dirname "$(realpath "$0")")
readonly here
# shellcheck source=lab/progress.bash
source "$here/progress.bash"
# shellcheck source=lab/modules.bash
source "$here/modules.bash"
readonly cache=${KVM_VFIO_TESTS_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/kvm-vfio-tests}
# Not CC: that is for the programs, and two names of one compiler would make two kernels.
readonly compiler=gcc
# Lines a whole build prints, more or less; what the last one printed is remembered.
readonly usual_steps=1600

make_pid=''
debug=''

usage() {
	sed -n '/^# The lab/,/^$/s/^# \{0,1\}//p' "$0"
}

say() {
	printf 'kernel: %s\n' "$*" >&2
}

die() {
	say "$*"
	exit 2
}

release_of() {
	awk -F ' *= *' '
	/^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *=/ { part[$1] = $2 }
	/^NAME/ { exit }
	END {
		printf "%s.%s.%s%s\n", part["VERSION"], part["PATCHLEVEL"], part["SUBLEVEL"],
		       part["EXTRAVERSION"]
	}' "$1/Makefile"
}

# build_dir TREE: where the tree's kernel is built. The inode tells a tree from another one that
# was unpacked in its place, whose files may all be older than what was built from the first.
build_dir() {
	local key

	key=$({
		realpath "$1"
		stat -c %i "$1"
		"$compiler" --version | head -n 1
	} | sha256sum | cut -c 1-12)
	printf '%s/kernels/%s-%s%s\n' "$cache" "$(release_of "$1")" "$key" "${debug:+-debug}"
}

# options: the configuration without what builds the same kernel anyway.
options() {
	grep ^CONFIG_ "$here/kernel.config"
	[[ -z $debug ]] || grep ^CONFIG_ "$here/kernel.debug.config"
}

# up_to_date DIR TREE: whether DIR/bzImage is what a build would make now.
up_to_date() {
	[[ -f $1/bzImage && -f $1/options ]] &&
		options | cmp -s - "$1/options" && ! changed_since "$1/bzImage" "$2"
}

# changed_since FILE TREE: whether anything in the tree that could go into the kernel changed
# since. By ctime, which no unpacking and no copying sets back.
changed_since() {
	local found

	found=$(cd "$2" && find . \
		\( -path ./.git -o -path ./Documentation -o -path ./tools -o -path ./samples \
			-o -path ./sound -o -path ./drivers/gpu -o -path ./drivers/net \
			-o -path ./drivers/media -o -path ./drivers/staging \
			-o \( -path './arch/*' -a ! -path './arch/x86*' -a -type d \) \) -prune \
		-o -type f -cnewer "$1" -print -quit)
	[[ -n $found ]]
}

# shellcheck disable=SC2317 # called by follow
# percent LOG STEPS: how much of a build is done, by the lines it printed.
percent() {
	local percent

	percent=$(($(wc -l <"$1") * 100 / $2))
	echo $((percent < 99 ? percent : 99))
}

# run_make DIR LOG STEPS ARGUMENT...: make in the build directory, with progress.
run_make() {
	local dir=$1 log=$2 steps=$3 status=0

	shift 3
	# Whoever ends this program ends make as well, which then removes what it has half made.
	setpriv --pdeathsig TERM make -C "$dir" "$@" >>"$log" 2>&1 &
	make_pid=$!
	follow "$make_pid" kernel percent "$log" "$steps"
	wait "$make_pid" || status=$?
	make_pid=''
	return "$status"
}

# configure TREE DIR: our options and nothing else.
configure() {
	options >"$2.options"
	make -s -C "$1" O="$2" ARCH=x86_64 CC="$compiler" \
		KCONFIG_ALLCONFIG="$2.options" allnoconfig
}

check_buildable() {
	local tree=$1 tool

	[[ -f $tree/Makefile && -f $tree/Kbuild && -d $tree/arch/x86 ]] ||
		die "$tree is not a Linux kernel source tree."
	if [[ -e $tree/.config || -d $tree/include/config ]]; then
		die "$tree was built in place, so it cannot be built elsewhere:" \
			"use that kernel with --kernel $tree, or make mrproper there."
	fi
	for tool in make "$compiler" flex bison bc; do
		type -P "$tool" >/dev/null || die "building a kernel needs $tool: install it."
	done
}

# build TREE DIR: makes DIR/bzImage of the tree.
build() {
	local tree=$1 dir=$2 out=$2/build log=$2/build.log steps=$usual_steps

	if [[ -s $cache/kernels/steps ]]; then
		steps=$(<"$cache/kernels/steps")
	fi
	if [[ -f $dir/bzImage ]]; then
		say "the tree or its configuration changed, building again; log: $log"
	else
		say "building Linux $(release_of "$tree")${debug:+ with debugging} for the lab," \
			"once; log: $log"
	fi
	mkdir -p "$out"
	: >"$dir/began"
	: >"$log"
	if ! configure "$tree" "$out" >>"$log" 2>&1 ||
		! run_make "$out" "$log" "$steps" "-j$(nproc)" CC="$compiler" bzImage; then
		tail -n 15 "$log" | sed 's/^/    /' >&2
		die "the kernel does not build; the whole log is $log"
	fi
	if [[ ! -f $dir/bzImage ]]; then
		wc -l <"$log" >"$cache/kernels/steps"
	fi
	cp "$out/arch/x86/boot/bzImage" "$dir/bzImage.new"
	touch -r "$dir/began" "$dir/bzImage.new"
	mv "$dir/bzImage.new" "$dir/bzImage"
	options >"$dir/options"
	say "built in $(took)"
}

# of_tree TREE: the lab's kernel of the tree, built if need be.
of_tree() {
	local tree=$1 dir

	check_buildable "$tree"
	tree=$(realpath "$tree")
	dir=$(build_dir "$tree")
	mkdir -p "$dir"
	exec 9>"$dir/.lock"
	if ! flock -n 9; then
		say "another run is building this kernel, waiting for it"
		flock 9
	fi
	if ! up_to_date "$dir" "$tree"; then
		build "$tree" "$dir"
	fi
	printf '%s\n' "$dir/bzImage"
}

# setting CONFIG OPTION: what a configuration says of the option: y, m or nothing.
setting() {
	sed -n "s/^CONFIG_$2=\([ym]\)$/\1/p" "$1"
}

# missing_from CONFIG OPTIONS: whether none of the options, between bars, is built in or a module
# that the lab brings along. An option with a question mark counts only if the release has it, that
# is if CONFIG mentions it.
missing_from() {
	local config=$1 option

	for option in ${2//|/ }; do
		if [[ $option == *'?' ]]; then
			option=${option%'?'}
			grep -q "CONFIG_${option}[= ]" "$config" || return 1
		fi
		case $(setting "$config" "$option") in
		y) return 1 ;;
		m) ! may_be_module "$option" || return 1 ;;
		esac
	done
}

# check_required CONFIG NAME: ends the program if a configuration lacks what the lab needs.
check_required() {
	local config=$1 name=$2 options purpose option missing=''

	while read -r options purpose; do
		[[ -n $options && $options != \#* ]] || continue
		missing_from "$config" "$options" || continue
		option=${options%'?'}
		missing+="${missing:+, }CONFIG_${option//|/ or CONFIG_}=y ($purpose)"
	done <"$here/kernel.required"
	[[ -z $missing ]] || die "$name cannot serve in the lab: it lacks $missing;" \
		"scripts/kernel-config TREE adds what is missing."
}

# config_of FILE OUT: writes the configuration of a bzImage to OUT, if it can be found.
config_of() {
	local file=$1 out=$2 dir name=${1##*/}

	dir=$(dirname "$(realpath "$file")")
	if [[ $dir == */arch/x86/boot && -f ${dir%/arch/x86/boot}/.config ]]; then
		cat "${dir%/arch/x86/boot}/.config" >"$out"
	elif [[ $name == vmlinuz-* && -r $dir/config-${name#vmlinuz-} ]]; then
		cat "$dir/config-${name#vmlinuz-}" >"$out"
	elif [[ -x ${KSRC:-}/scripts/extract-ikconfig ]]; then
		"$KSRC/scripts/extract-ikconfig" "$file" >"$out" 2>/dev/null
	else
		return 1
	fi
}

# of_user PATH: the bzImage of a kernel of the user's.
of_user() {
	local path=$1 config

	if [[ -d $path ]]; then
		[[ -f $path/.config ]] ||
			die "--kernel $path is neither a bzImage nor a tree a kernel was" \
				"built in; KSRC=DIR names a source tree for the lab to build."
		check_required "$path/.config" "the kernel in $path"
		path=$path/arch/x86/boot/bzImage
		[[ -f $path ]] || die "there is no $path: build it with make bzImage."
	elif [[ ! -r $path ]]; then
		die "--kernel $path does not exist or is not readable."
	elif [[ $(od -An -c -j 514 -N 4 "$path" | tr -d ' ') != HdrS ]]; then
		die "--kernel $path is not a bzImage."
	else
		config=$(mktemp)
		# shellcheck disable=SC2064 # the name is known now, and local
		trap "rm -f '$config'" EXIT
		if config_of "$path" "$config"; then
			check_required "$config" "$path"
		fi
	fi
	realpath "$path"
}

# make_user TREE ARGUMENT...: make in a tree of the user's, as they would.
make_user() {
	local tree=$1

	shift
	setpriv --pdeathsig TERM make -s -C "$tree" ${llvm:+LLVM="$llvm"} "$@" >&2 </dev/null &
	make_pid=$!
	wait "$make_pid" || die "$tree does not build."
	make_pid=''
}

# of_build TREE: builds what is checked out in it now.
of_build() {
	local tree=$1 goals=(bzImage)

	[[ -d $tree ]] || die "--kernel $tree is not a tree to build a kernel in."
	if [[ ! -f $tree/.config ]]; then
		of_tree "$tree"
		return
	fi
	make_user "$tree" olddefconfig
	check_required "$tree/.config" "the kernel in $tree"
	[[ -z $(modular "$tree/.config") ]] || goals+=(modules)
	make_user "$tree" "-j$(nproc)" "${goals[@]}"
	of_user "$tree"
}

# modular CONFIG: which of lab/kernel.modules a kernel has as modules.
modular() {
	local name

	for name in $(lab_modules boot demand); do
		[[ $(setting "$1" "$(option_of "$name")") != m ]] || printf '%s\n' "$name"
	done
}

# of_modules PATH: where the modules of a kernel of the user's are.
of_modules() {
	local path=$1 dir name

	path=$(realpath "$path")
	dir=${path%/arch/x86/boot/bzImage}
	if [[ -f $dir/.config ]]; then
		[[ -n $(modular "$dir/.config") ]] || return 0
		find_modules "$dir"
		for name in $(modular "$dir/.config"); do
			[[ -n ${module_file[$name]:-} ]] ||
				die "$dir has no module $name yet: build it with make modules."
		done
		printf '%s\n' "$dir"
	elif [[ ${path##*/} == vmlinuz-* ]]; then
		dir=${path%/*}
		dir=${dir%/boot}/lib/modules/${path##*/vmlinuz-}
		[[ ! -d $dir ]] || printf '%s\n' "$dir"
	fi
}

main() {
	local llvm=${LLVM:-}

	# Whoever calls this from a Makefile does not mean their variables for the kernel's.
	unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL KBUILD_OUTPUT KCONFIG_CONFIG
	unset ARCH CROSS_COMPILE LLVM O V W
	trap '[[ -z $make_pid ]] || kill "$make_pid" 2>/dev/null || true' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	if [[ ${1:-} == --debug ]]; then
		debug=1
		shift
	fi
	case ${1:-} in
	--help) usage ;;
	--user)
		[[ $# -eq 2 && -z $debug ]] || die "--user takes one PATH, and no --debug."
		of_user "$2" ;;
	--build)
		[[ $# -eq 2 && -z $debug ]] || die "--build takes one TREE, and no --debug."
		of_build "$2" ;;
	--modules)
		[[ $# -eq 2 && -z $debug ]] || die "--modules takes one PATH, and no --debug."
		of_modules "$2" ;;
	-* | '') die "one argument, a kernel tree; --help says more." ;;
	*)
		[[ $# -eq 1 ]] || die "one argument, a kernel tree; --help says more."
		of_tree "$1" ;;
	esac
}

# bash reads a script as it goes. Read as one, this line still ends the program if a build took
# so long that the file was changed meanwhile.
{ main "$@"; exit; }
