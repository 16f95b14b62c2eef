#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Our changes to QEMU. patches/ has one file per commit, with its message and what it changes;
# files/ has the files that are new, whole, under their paths in QEMU and in their final state, so
# that they can be read and reviewed as what they are. A line "New-file: PATH" in a patch, between
# its message and its diff, says that the commit adds this file; what later commits change in it
# is in their patches.
#
#   lab/qemu/series.sh apply SRC          puts the series into a source tree of the release
#   lab/qemu/series.sh git SRC            ... and makes it a git repository, a commit per patch
#   lab/qemu/series.sh export REPO RANGE  writes patches/ and files/ anew, from these commits
#
# To work on the series, unpack the release, make it a git repository this way, change its commits
# with git's own tools, and export `release..`. There `git format-patch release..` is the series
# as it would be mailed.
#
# SERIES=DIR in the environment is where patches/ and files/ are, by default beside this program.
#
# Exit codes: 0; 2 usage, environment, or a series that does not fit.

set -euo pipefail

series=${SERIES:-$(dirname "$(realpath "$0")")}
work=$(mktemp -d "${TMPDIR:-/tmp}/series.XXXXXX")
trap 'rm -rf "$work"' EXIT

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

# new_files PATCH...: the files they add.
new_files() {
	awk 'FNR == 1 { below = 0 }
		/^---$/ { below = 1 }
		/^diff --git / { nextfile }
		below && sub(/^New-file: /, "")' "$@"
}

# changes PATCH old|new: its changes to files that the release has, or that are new.
changes() {
	# shellcheck disable=SC2046 # a list of words
	new_files $(patches) | awk -v wanted="$2" '
		FNR == NR { is_new["b/" $0] = 1; next }
		/^diff --git / { shown = ($4 in is_new ? "new" : "old") == wanted }
		shown' - "$1"
}

# patch_tree SRC PATCH [OPTION]: a patch from stdin. No fuzz: a hook in the wrong place may well
# compile. PATCH is its name, for the message.
patch_tree() {
	local said

	said=$(patch -d "$1" -p1 -N -F0 -f -r - --no-backup-if-mismatch "${@:3}" 2>&1) ||
		die "${2##*/} does not apply to QEMU $(cat "$1/VERSION" 2>/dev/null || true):" \
			"$(grep -m 1 -iE 'fail|find|reject|malformed|garbage' <<<"$said")"
}

# copy_file FROM PATH SRC
copy_file() {
	[[ -f $1/$2 ]] || die "a patch names a file that is not there: $2"
	[[ ! -e $3/$2 ]] || die "the tree has a $2 already, so it is not the release."
	install -D -m 644 "$1/$2" "$3/$2"
}

check_tree() {
	[[ -f $1/VERSION && -d $1/target/i386 ]] || die "$1 is not a source tree of QEMU."
	[[ -n $(patches 2>/dev/null) ]] || die "there are no patches in $series/patches."
}

apply() {
	local patch path

	check_tree "$1"
	for patch in $(patches); do
		for path in $(new_files "$patch"); do
			copy_file "$series/files" "$path" "$1"
		done
		changes "$patch" old >"$work/changes"
		[[ ! -s $work/changes ]] || patch_tree "$1" "$patch" <"$work/changes"
	done
}

# first_states: the new files in $work/first as they were added: their final state, and the later
# changes taken back.
first_states() {
	local patch

	cp -r "$series/files" "$work/first"
	for patch in $(patches | sort -r); do
		changes "$patch" new >"$work/changes"
		[[ ! -s $work/changes ]] || patch_tree "$work/first" "$patch" -R <"$work/changes"
	done
}

# commit SRC ARGUMENT...
commit() {
	git -C "$1" -c user.name=series -c user.email=series@localhost -c commit.gpgsign=false \
		commit -q --no-verify "${@:2}"
}

# commit_patch PATCH SRC: the patch as a commit of its author's.
commit_patch() {
	local patch=$1 src=$2 path field
	local -A info=()

	while IFS=: read -r field path; do
		info[$field]=${path# }
	done < <(git mailinfo "$work/body" "$work/diff" <"$patch" | grep .)
	for path in $(new_files "$patch"); do
		copy_file "$work/first" "$path" "$src"
	done
	sed -n '/^diff --git/,$p' "$patch" >"$work/diff"
	[[ ! -s $work/diff ]] || patch_tree "$src" "$patch" <"$work/diff"
	git -C "$src" add -A .
	{ printf '%s\n\n' "${info[Subject]}" && cat "$work/body"; } >"$work/message"
	commit "$src" --author "${info[Author]} <${info[Email]}>" --date "${info[Date]}" \
		-F "$work/message"
}

make_git() {
	local src=$1 patch

	check_tree "$src"
	[[ ! -e $src/.git ]] || die "$src is a git repository already."
	first_states
	git -C "$src" init -q
	# Some of what a release holds its own .gitignore ignores.
	git -C "$src" add -A -f .
	commit "$src" -m "QEMU $(<"$src/VERSION")"
	git -C "$src" tag release
	for patch in $(patches); do
		commit_patch "$patch" "$src"
	done
}

# export_commit REPO COMMIT: the commit as a patch on stdout.
export_commit() {
	local repo=$1 commit=$2 path exclude=()
	local difference=(git -C "$repo" diff-tree -r --no-renames --no-ext-diff --abbrev=10)

	printf 'From %040d Mon Sep 17 00:00:00 2001\n%s\n---\n' 0 "$(git -C "$repo" show -s \
		--format='From: %an <%ae>%nDate: %aD%nSubject: [PATCH] %s%n%n%b' "$commit")"
	for path in $("${difference[@]}" --diff-filter=A --name-only "$commit^" "$commit"); do
		exclude+=(":(exclude)$path")
		echo "New-file: $path"
	done
	echo
	"${difference[@]}" -p "$commit^" "$commit" -- . "${exclude[@]}"
}

# file_name REPO COMMIT NUMBER: as git format-patch would call it.
file_name() {
	printf '%04d-%s.patch' "$3" "$(git -C "$1" show -s --format=%f "$2" | cut -c 1-52)"
}

export_series() {
	local repo=$1 range=$2 last=${2#*..} path commits commit number=0

	[[ $range == *..* ]] || die "RANGE is BASE..BRANCH, not '$range'."
	commits=$(git -C "$repo" rev-list --reverse --no-merges "$range" -- || true)
	[[ -n $commits ]] || die "$repo has no commits $range."
	mkdir "$work"/{patches,files}
	for commit in $commits; do
		number=$((number + 1))
		export_commit "$repo" "$commit" \
			>"$work/patches/$(file_name "$repo" "$commit" "$number")"
	done
	for path in $(new_files "$work"/patches/*); do
		mkdir -p "$work/files/$(dirname "$path")"
		git -C "$repo" show "${last:-HEAD}:$path" >"$work/files/$path"
	done
	rm -rf "$series/patches" "$series/files"
	mv "$work"/{patches,files} "$series/"
	say "$number patches, $(find "$series/files" -type f | wc -l) new files in $series"
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
