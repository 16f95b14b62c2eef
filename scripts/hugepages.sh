# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced: huge pages for the tests that map them for DMA, reserved while such a test runs.
#
# What was added to nr_hugepages is noted below $pci_state before and after the fact, and taken
# away again; only that, for others may change the number meanwhile. After SIGKILL,
# `run.sh --restore` finds the notes. A machine that has no room for them is no error: the test
# says what it lacks.

# shellcheck source=scripts/pci-device.sh
. "${BASH_SOURCE[0]%/*}/pci-device.sh"

hugepages_dir=$pci_root/sys/kernel/mm/hugepages
# Size in KiB and how many of them a test takes.
hugepages_wanted=('2048 4' '1048576 1')

# hugepages_value KIB NAME
hugepages_value()
{
	local value=0

	{ read -r value <"$hugepages_dir/hugepages-$1kB/$2"; } 2>/dev/null || true
	printf '%s' "${value:-0}"
}

# hugepages_note FILE KIB WORD: FILE says who reserves pages of that size, and WORD how many:
# `from N` if it is not known yet, or `added N`.
hugepages_note()
{
	{ process_identity $$ && printf '%s %s\n' "$2" "$3"; } >"$1.new"
	mv "$1.new" "$1"
}

# Sees to it that so many pages are there for the taking.
hugepages_reserve_size()
{
	local kib=$1 wanted=$2 number=$hugepages_dir/hugepages-$1kB/nr_hugepages
	local note=$pci_state/hugepages.$1.$$ before missing

	missing=$((wanted - $(hugepages_value "$kib" free_hugepages) +
		$(hugepages_value "$kib" resv_hugepages)))
	[[ -w $number ]] && ((missing > 0)) || return 0
	before=$(hugepages_value "$kib" nr_hugepages)
	mkdir -p "$pci_state"
	hugepages_note "$note" "$kib" "from $before"
	{ printf '%s\n' $((before + missing)) >"$number"; } 2>/dev/null || true
	hugepages_note "$note" "$kib" "added $(($(hugepages_value "$kib" nr_hugepages) - before))"
}

hugepages_reserve()
{
	local entry

	for entry in "${hugepages_wanted[@]}"; do
		# shellcheck disable=SC2086 # two words
		hugepages_reserve_size $entry
	done
}

# hugepages_give_back FILE: undoes what a note says.
hugepages_give_back()
{
	local kib word number now added

	{ read -r _ && read -r kib word number; } <"$1" || { rm -f "$1" && return; }
	now=$(hugepages_value "$kib" nr_hugepages)
	added=$number
	[[ $word == added ]] || added=$((now - number))
	((added <= 0)) || { printf '%s\n' $((now > added ? now - added : 0)) \
		>"$hugepages_dir/hugepages-${kib}kB/nr_hugepages"; } 2>/dev/null || true
	rm -f "$1"
}

# All that this run reserved.
hugepages_give_back_all()
{
	local note

	for note in "$pci_state"/hugepages.*."$$"; do
		[[ ! -e $note ]] || hugepages_give_back "$note"
	done
}

# run.sh --restore: what runs that no longer exist left behind.
hugepages_restore()
{
	local note

	for note in "$pci_state"/hugepages.*; do
		[[ -e $note ]] || continue
		process_noted "$note" >/dev/null && continue
		if process_noted_before_boot "$note"; then
			rm -f "$note"
			continue
		fi
		note "giving back the huge pages of a run that was killed"
		hugepages_give_back "$note"
	done
}
