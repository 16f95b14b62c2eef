#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The lab's own QEMU, which posts interrupts. Prints the path of its executable on stdout and
# says on stderr what it does.
#
#   lab/qemu/build.sh           builds it unless that was done
#   lab/qemu/build.sh --auto    the same, but what is in the way is one sentence on stdout, and
#                               what was in the way within the last day is not tried again
#   lab/qemu/build.sh --built   prints the path if it is built; otherwise status 1, and what was
#                               in the way within the last day
#   lab/qemu/build.sh --source  prints the path of the release's tarball in the cache, or status 1
#
# It is one release of QEMU with the series in patches/ and files/ (see series.sh), built for
# x86_64 with no more than the lab needs. The source is Debian's source package, got and verified
# by apt with lists of its own, so that the machine's are left alone; or QEMU_SRC, a tree or a
# tarball, which is copied before anything is done to it. A tree that has the series already is
# taken as it is.
#
# What was built is kept in the cache under a name made of all that went into it, and removed
# when nobody used it for a month.
#
# Exit codes: 0; 1 (--built, --source) it is not there; 2 it cannot be had.

set -euo pipefail

here=$(dirname "$(realpath "$0")")
readonly here
# shellcheck source=lab/progress.bash
source "$here/../progress.bash"
readonly cache=${KVM_VFIO_TESTS_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/kvm-vfio-tests}/qemu
readonly work=$cache/work python=$cache/python apt=$cache/apt
readonly log=$work/build.log

# The release the series is for, and Debian's package of it. A later stable release is tried when
# the archive no longer has this one.
readonly release=10.0.13 debian_version=1:10.0.13+ds-0+deb13u1 suite=trixie
# What served as the source of that release.
readonly source=$cache/source-$release
readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# No blobs: the firmware is that of the packages seabios and qemu-system-data, where their
# distribution puts it. The prefix has to be elsewhere, or QEMU would look for the firmware
# beside its executable.
readonly options=(--target-list=x86_64-softmmu --cc=gcc --prefix=/nonexistent
	--firmwarepath=/usr/share/qemu:/usr/share/seabios
	--without-default-features --without-default-devices --with-devices-x86_64=lab
	--enable-system --enable-tcg --enable-kvm --disable-pixman --disable-fdt
	--disable-debug-info --disable-install-blobs --disable-docs --disable-download)

auto='' step_pid='' apt_is_ready='' made=''

usage() {
	sed -n "/^# The lab's/,/^\$/s/^# \{0,1\}//p" "$0"
}

say() {
	printf 'qemu: %s\n' "$*" >&2
}

die() {
	if [[ -n $auto ]]; then
		printf '%s\n' "$*"
	else
		say "$*"
	fi
	exit 2
}

# fail SENTENCE: a build that came to nothing; --auto will not repeat it today.
fail() {
	printf '%s\n' "$*" >"$made.failed"
	die "$*"
}

# Its key -----------------------------------------------------------------------------------------

# given_source: what tells one state of QEMU_SRC from another.
given_source() {
	[[ -n ${QEMU_SRC:-} ]] || return 0
	stat -L -c '%n %i %s %Y' "$(realpath "$QEMU_SRC")"
	[[ ! -d $QEMU_SRC ]] || (cd "$QEMU_SRC" && find . \
		\( -name .git -o -path './build*' -o -path ./roms \) -prune -o -type f \
		-printf '%C@ %p\n' | sort -n | tail -n 1)
}

key() {
	{
		printf '%s\n' "$release" "${options[@]}"
		gcc --version 2>/dev/null | head -n 1
		cd "$here" && find . -type f \( -path './patches/*' -o -path './files/*' \
			-o -name devices.mak \) -print0 | sort -z | xargs -0 sha256sum
		given_source
	} | sha256sum | cut -c 1-16
}

# is_built: whether the executable is there and runs: a library it needs may have gone.
is_built() {
	[[ -x $made/qemu-system-x86_64 ]] &&
		"$made/qemu-system-x86_64" --version >/dev/null 2>&1
}

# Its source --------------------------------------------------------------------------------------

# mirror: the Debian mirror this machine uses, if it uses one.
mirror() {
	local uri

	# shellcheck disable=SC2016 # for apt-get to expand
	uri=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 2>/dev/null |
		awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
	printf '%s\n' "${uri:-http://deb.debian.org/debian}"
}

# with_apt PROGRAM ARGUMENT...: apt-get or apt-cache with our list only, and our places for all it
# writes. As root it would have another user write to our directory.
with_apt() {
	local program=$1

	shift
	timeout 900 "$program" -q -o Dir::Etc::SourceList="$apt/sources.list" \
		-o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::Preferences=/dev/null \
		-o Dir::Etc::PreferencesParts=/dev/null -o APT::Default-Release= \
		-o APT::Sandbox::User=root -o Dir::State::Lists="$apt/lists" \
		-o Dir::Cache="$apt/cache" -o Acquire::http::Timeout=60 -o Acquire::Retries=2 "$@"
}

prepare_apt() {
	local mirror

	[[ -z $apt_is_ready ]] || return 0
	type -P apt-get >/dev/null ||
		fail "there is no source of QEMU $release: no apt-get, and QEMU_SRC names none."
	[[ -r $keyring ]] || fail "apt cannot verify Debian's source of QEMU without $keyring:" \
		"install the package debian-archive-keyring."
	mirror=$(mirror)
	rm -rf "$apt"
	mkdir -p "$apt"/{lists,cache/archives}/partial
	printf "%s [signed-by=$keyring %s] $mirror $suite main\n" deb-src target=Sources \
		deb 'arch=amd64 target=Packages lang=none' >"$apt/sources.list"
	say "asking $mirror for QEMU of Debian $suite"
	run with_apt apt-get update || fail "apt cannot read the lists of $mirror; is the network" \
		"up? QEMU_SRC names a tree or a tarball by hand."
	apt_is_ready=1
}

# archived_version: the version of the package to take, nothing if there is none that serves.
archived_version() {
	with_apt apt-cache showsrc qemu 2>/dev/null | sed -n 's/^Version: //p' | sort -V |
		awk -v wanted="$debian_version" -v series="1:${release%.*}." '
			$1 == wanted || index($1, series) == 1 && found != wanted { found = $1 }
			END { print found }'
}

cached_tarball() {
	compgen -G "$source/qemu_*.orig.tar.*"
}

# fetch_source: the release's tarball into the cache; it appears there when it is whole. What
# its maintainer changes is for Debian's packages, and is left out.
fetch_source() {
	local version

	prepare_apt
	version=$(archived_version)
	[[ -n $version ]] || fail "the archive has no QEMU ${release%.*} any more, which the" \
		"series is for; QEMU_SRC names a tree or a tarball of it."
	[[ $version == "$debian_version" ]] ||
		say "the archive no longer has QEMU $debian_version, trying the series on $version"
	rm -rf "$source.new"
	mkdir -p "$source.new"
	say "downloading the source of QEMU $version, 40 MB"
	(cd "$source.new" && run with_apt apt-get source --download-only "qemu=$version") ||
		fail "cannot download the source of QEMU; is the network up?"
	mkdir -p "$source"
	mv "$source.new"/*.orig.tar.* "$source"
	rm -rf "$source.new"
}

# copy_source TREE: unpacks or copies it. The firmware's sources are two thirds of it.
copy_source() {
	local tree=$1 from=${QEMU_SRC:-}

	mkdir -p "$tree"
	if [[ -d $from ]]; then
		tar -C "$from" --exclude=./.git --exclude=./roms --exclude='./build*' -cf - . |
			tar -C "$tree" -xf - || fail "cannot copy $from; is the disk full?"
		return
	fi
	if [[ -z $from ]]; then
		[[ -n $(cached_tarball) ]] || fetch_source
		from=$(cached_tarball)
	fi
	say "unpacking ${from##*/}"
	tar -xf "$from" -C "$tree" --strip-components=1 --exclude='*/roms' ||
		fail "cannot unpack $from; is the disk full?"
}

# prepare_tree TREE: the source with the series in it, and what the build wants on top.
prepare_tree() {
	local tree=$1 said blob

	copy_source "$tree"
	[[ -f $tree/VERSION && -f $tree/hw/i386/amd_iommu.c ]] ||
		fail "QEMU_SRC=${QEMU_SRC:-} is not a source tree or a tarball of QEMU."
	if grep -q '"gamsup"' "$tree/hw/i386/amd_iommu.c"; then
		say "this tree of QEMU $(<"$tree/VERSION") has the series already"
	else
		said=$("$here/series.sh" apply "$tree" 2>&1) || fail "${said#series: }"
	fi
	cp "$here/devices.mak" "$tree/configs/devices/x86_64-softmmu/lab.mak"
	# Debian leaves these out, and the build insists on them, though not on what is in them.
	for blob in {aarch64,arm,riscv,loongarch64,i386,x86_64}-{code,secure-code,vars}; do
		[[ -e $tree/pc-bios/edk2-$blob.fd.bz2 ]] || : >"$tree/pc-bios/edk2-$blob.fd.bz2"
	done
}

# has_meson: whether Python finds the versions that QEMU's build asks for.
has_meson() {
	python3 - <<-'END' 2>/dev/null
	from importlib.metadata import version
	at_least = lambda name, *parts: tuple(map(int, version(name).split(".")[:2])) >= parts
	raise SystemExit(not (at_least("meson", 1, 5) and at_least("pycotap", 1, 1)))
	END
}

# prepare_meson TREE: Debian 12's meson is too old. The suite's own runs there as well, unpacked
# into the cache.
prepare_meson() {
	if has_meson || compgen -G "$1/python/wheels/meson-*.whl" >/dev/null; then
		return
	fi
	export PYTHONPATH=$python/usr/lib/python3/dist-packages
	! has_meson || return 0
	prepare_apt
	rm -rf "$python" "$python.new"
	mkdir -p "$python.new"
	(cd "$python.new" && run with_apt apt-get download meson python3-pycotap) ||
		fail "cannot download meson; is the network up?"
	for package in "$python.new"/*.deb; do
		dpkg-deb -x "$package" "$python.new" || fail "cannot unpack ${package##*/}."
	done
	rm -f "$python.new"/*.deb
	mv -T "$python.new" "$python"
	has_meson || fail "the meson of Debian $suite does not run with this machine's Python."
}

# Its build ---------------------------------------------------------------------------------------

# run COMMAND...: bounded by whoever calls, with all it says in the log.
run() {
	"$@" >>"$log" 2>&1
}

# shellcheck disable=SC2317 # called by follow
# percent: how much is done, as ninja counts: [done/all] in front of each step.
percent() {
	tail -n 40 "$log" | awk -F '[][/]' '
		/^\[[0-9]+\/[0-9]+\]/ { percent = int($2 * 100 / $3) }
		END { print percent + 0 }'
}

# step COMMAND...: ends with this program, and within an hour.
step() {
	local status=0

	setpriv --pdeathsig TERM timeout 3600 "$@" >>"$log" 2>&1 &
	step_pid=$!
	follow "$step_pid" qemu percent
	wait "$step_pid" || status=$?
	step_pid=''
	return "$status"
}

# fail_by_log SENTENCE
fail_by_log() {
	mv "$log" "$made.log"
	tail -n 15 "$made.log" | sed 's/^/    /' >&2
	fail "$1; the whole log is $made.log"
}

# configure: leaves $work/key when all is ready for ninja, so that an interrupted build goes on.
configure() {
	[[ ! -f $work/key || $(<"$work/key") != "${made##*/}" ]] || return 0
	rm -rf "$work"
	mkdir -p "$work/build"
	: >"$log"
	prepare_tree "$work/tree"
	prepare_meson "$work/tree"
	rm -rf "$apt"
	say "building QEMU $(<"$work/tree/VERSION") for the lab, once; log: $log"
	(cd "$work/build" && step "$work/tree/configure" "--python=$(type -P python3)" \
		"${options[@]}") || fail_by_log "QEMU cannot be configured"
	printf '%s\n' "${made##*/}" >"$work/key"
}

build() {
	rm -f "$made.failed"
	configure
	# Ninja may find that it has to configure again.
	export PYTHONPATH=$python/usr/lib/python3/dist-packages
	step ninja -C "$work/build" qemu-system-x86_64 || fail_by_log "QEMU does not build"
	"$work/build/qemu-system-x86_64" -device amd-iommu,help 2>&1 | grep -q gamsup= ||
		fail_by_log "the QEMU that was built cannot post interrupts"
	mkdir -p "$made"
	cp "$work/tree/VERSION" "$log" "$made"
	cp "$work/build/qemu-system-x86_64" "$made/new"
	mv "$made/new" "$made/qemu-system-x86_64"
	rm -rf "$work"
	say "built in $(took)"
}

# prune: what nobody asked for in a month, and what failed long ago.
prune() {
	find "$cache" -mindepth 1 -maxdepth 1 -name '????????????????*' -mtime +30 \
		-exec rm -rf {} +
}

# failed_today: whether there is a reason not to try again by oneself.
failed_today() {
	[[ -n $(find "$made.failed" -mmin -1440 2>/dev/null) ]]
}

provide() {
	if ! is_built; then
		[[ -z ${QEMU_SRC:-} || -e $QEMU_SRC ]] || die "QEMU_SRC: there is no $QEMU_SRC."
		mkdir -p "$cache"
		[[ -z $auto ]] || ! failed_today || die "$(<"$made.failed")"
		exec 9>"$cache/.lock"
		if ! flock -n 9; then
			say "another run is building QEMU, waiting for it"
			flock 9
		fi
		is_built || build
		prune
		exec 9>&-
	fi
	touch "$made"
	printf '%s\n' "$made/qemu-system-x86_64"
}

main() {
	# What is meant for the tests or the kernel is not meant for QEMU.
	unset CC CXX CFLAGS CXXFLAGS LDFLAGS MAKEFLAGS MFLAGS O V W PYTHONPATH
	trap '[[ -z $step_pid ]] || kill "$step_pid" 2>/dev/null || true' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	[[ $# -le 1 ]] || die "one argument at most, see --help."
	made=$cache/$(key)
	case ${1:-} in
	--help) usage ;;
	--auto) auto=1 && provide ;;
	--built)
		if ! is_built; then
			! failed_today || cat "$made.failed"
			exit 1
		fi
		printf '%s\n' "$made/qemu-system-x86_64" ;;
	--source) cached_tarball ;;
	'') provide ;;
	*) die "unknown argument '$1', see --help." ;;
	esac
}

# Read as one, it is still what was started if this file changes during a build.
{ main "$@"; exit; }
