#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Our changes to QEMU. patches/ has one file per commit, with its message and its changes to
# files that QEMU has; files/ has the files that are new, under their paths in QEMU, so that they
# can be read and reviewed as what they are. A line "New-file: PATH" in a patch, between its
# message and its diff, says which commit brings which of them.
#
#   lab/qemu/series.sh apply SRC          puts the series into a source tree of the release
#   lab/qemu/series.sh git SRC            ... and makes it a git repository, a commit per patch
#   lab/qemu/series.sh export REPO RANGE  writes patches/ and files/ anew, from these commits
#
# export | git is what one does after working on it: change commits in such a repository, with
# git's own tools, and export the branch. `git -C SRC format-patch release..` is the series as it
# would be mailed. A new file is exported as the last commit leaves it, with the commit that adds
# it: a commit that changes it later says so here, and is better merged into that one.
#
# SERIES=DIR in the environment is where patches/ and files/ are, by default beside this program.
#
# Exit codes: 0; 2 usage, environment, or a series that does not fit.

set -euo pipefail

series=${SERIES:-$(dirname "$(realpath "$0")")}

usage() {
	sed -n '/^# Our changes/,/^$/s/^# \{0,1\}//p' "$0"
}

say() {
	printf 'series: %s\n' "$*" >&2
}

die() {
	say "$*"
	exit 2
}

patches() {
	find "$series/patches" -name '[0-9]*.patch' | sort
}

# new_files PATCH: what of files/ comes with it.
new_files() {
	sed -n '/^diff /q;s/^New-file: //p' "$1"
}

# copy_files PATCH SRC
copy_files() {
	local path

	for path in $(new_files "$1"); do
		[[ -f $series/files/$path ]] || die "${1##*/} names a file that is not there: $path"
		[[ ! -e $2/$path ]] || die "the tree has a $path already, so it is not the release."
		install -D -m 644 "$series/files/$path" "$2/$path"
	done
}

# apply_patch PATCH SRC: no fuzz: a hook in the wrong place may well compile.
apply_patch() {
	local said

	copy_files "$1" "$2"
	grep -q '^diff ' "$1" || return 0
	said=$(patch -d "$2" -p1 -N -F0 -f -r - --no-backup-if-mismatch <"$1" 2>&1) ||
		die "${1##*/} does not apply to QEMU $(cat "$2/VERSION" 2>/dev/null || true):" \
			"$(grep -m 1 -iE 'fail|find|reject|malformed|garbage' <<<"$said")"
}

check_tree() {
	[[ -f $1/VERSION && -d $1/target/i386 ]] || die "$1 is not a source tree of QEMU."
	[[ -n $(patches) ]] || die "there are no patches in $series/patches."
}

apply() {
	local patch

	check_tree "$1"
	for patch in $(patches); do
		apply_patch "$patch" "$1"
	done
}

# commit SRC ARGUMENT...
commit() {
	git -C "$1" -c user.name=series -c user.email=series@localhost -c commit.gpgsign=false \
		commit -q --no-verify "${@:2}"
}

# commit_patch PATCH SRC: the patch as a commit of its author's.
commit_patch() {
	local patch=$1 src=$2 message author date subject

	message=$(mktemp)
	{ git mailinfo "$message" /dev/null <"$patch" || true; } >"$message.info"
	author="$(sed -n 's/^Author: //p' "$message.info") <$(sed -n 's/^Email: //p' "$message.info")>"
	date=$(sed -n 's/^Date: //p' "$message.info")
	subject=$(sed -n 's/^Subject: //p' "$message.info")
	{ printf '%s\n\n' "$subject" && cat "$message"; } >"$message.info"
	apply_patch "$patch" "$src"
	git -C "$src" add -A .
	commit "$src" --author "$author" --date "$date" -F "$message.info"
	rm -f "$message" "$message.info"
}

make_git() {
	local src=$1 patch

	check_tree "$src"
	[[ ! -e $src/.git ]] || die "$src is a git repository already."
	git -C "$src" init -q
	# Some of what a release holds its own .gitignore ignores.
	git -C "$src" add -A -f .
	commit "$src" -m "QEMU $(<"$src/VERSION")"
	git -C "$src" tag release
	for patch in $(patches); do
		commit_patch "$patch" "$src"
	done
}

# added REPO RANGE: the files that the commits add.
added() {
	git -C "$1" diff --no-renames --diff-filter=A --name-only "${2%..*}" "${2#*..}" | sort
}

# export_commit REPO COMMIT ADDED: the commit as a patch on stdout.
export_commit() {
	local repo=$1 commit=$2 path exclude=() files=()

	for path in $3; do
		exclude+=(":(exclude)$path")
		git -C "$repo" diff-tree --quiet "$commit^" "$commit" -- "$path" || files+=("$path")
	done
	printf 'From %040d Mon Sep 17 00:00:00 2001\n%s\n---\n' 0 "$(git -C "$repo" show -s \
		--format='From: %an <%ae>%nDate: %aD%nSubject: [PATCH] %s%n%n%b' "$commit")"
	for path in "${files[@]}"; do
		if git -C "$repo" cat-file -e "$commit^:$path" 2>/dev/null; then
			say "$path is new in the series, and $(git -C "$repo" show -s --format=%s \
				"$commit") changes it: merged into the commit that adds it"
		else
			echo "New-file: $path"
		fi
	done
	echo
	git -C "$repo" diff-tree -p --no-renames --no-ext-diff --abbrev=10 "$commit^" "$commit" \
		-- . "${exclude[@]}"
}

# file_name REPO COMMIT NUMBER: as git format-patch would call it.
file_name() {
	printf '%04d-%s.patch' "$3" "$(git -C "$1" show -s --format=%f "$2" | cut -c 1-52)"
}

export_series() {
	local repo=$1 range=$2 last=${2#*..} path number=0 commit new
	local work=$series/.export.$$

	[[ $range == *..* ]] || die "RANGE is BASE..BRANCH, not '$range'."
	last=${last:-HEAD}
	new=$(added "$repo" "${range%..*}..$last") || die "$repo has no commits $range."
	rm -rf "$work"
	mkdir -p "$work/patches" "$work/files"
	for path in $new; do
		mkdir -p "$work/files/$(dirname "$path")"
		git -C "$repo" show "$last:$path" >"$work/files/$path"
	done
	for commit in $(git -C "$repo" rev-list --reverse --no-merges "${range%..*}..$last"); do
		number=$((number + 1))
		export_commit "$repo" "$commit" "$new" \
			>"$work/patches/$(file_name "$repo" "$commit" "$number")"
	done
	((number)) || { rm -rf "$work"; die "there are no commits in $range."; }
	rm -rf "$series/patches" "$series/files"
	mv "$work"/{patches,files} "$series/"
	rmdir "$work"
	say "$number patches and $(wc -w <<<"$new") new files in $series"
}

case ${1:-} in
--help) usage ;;
apply | git)
	[[ $# -eq 2 && -d $2 ]] || die "$1 takes a directory, see --help."
	if [[ $1 == git ]]; then
		make_git "$2"
	else
		apply "$2"
	fi
	;;
export)
	[[ $# -eq 3 && -d $2 ]] || die "export takes a repository and a range, see --help."
	export_series "$2" "$3"
	;;
*) die "apply, git or export; --help says more." ;;
esac
