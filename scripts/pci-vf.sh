# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced: virtual functions named as PF/vfN, which are made for a run and removed after it.
#
# Their addresses follow from the physical function's SR-IOV capability, so they are known before
# they exist. What is about to be changed is noted below $pci_state first, as for devices. A
# virtual function that exists already is a device like any other, and stays.

# shellcheck source=scripts/pci-device.sh
. "${BASH_SOURCE[0]%/*}/pci-device.sh"

# By address: `PF N`.
declare -A pci_vfs=()

# pci_address WORD: the address of what the user names, a device or PF/vfN.
pci_address()
{
	local pf number

	if [[ $1 != */* ]]; then
		pci_bdf "$1"
		return
	fi
	pf=$(pci_bdf "${1%%/*}")
	number=${1#*/vf}
	[[ $1 == */vf* && $number =~ ^[0-9]{1,4}$ ]] ||
		die "'$1' is no virtual function, which reads PF/vfN: 0000:01:00.0/vf0"
	pci_vf_address "$pf" "$((10#$number))"
}

# pci_vf_address PF N: where it is, or will be.
pci_vf_address()
{
	local pf=$1 number=$2 total offset stride id bus

	pci_check_present "$pf"
	total=$(pci_attribute "$pf" sriov_totalvfs)
	((${total:-0})) || die "$pf has no SR-IOV, so no virtual functions"
	((number < total)) || die "$pf can have $total virtual functions, vf0 to vf$((total - 1))"
	if [[ -e $pci_bus/devices/$pf/virtfn$number ]]; then
		pci_link "$pf" "virtfn$number"
		return
	fi
	offset=$(pci_attribute "$pf" sriov_offset)
	stride=$(pci_attribute "$pf" sriov_stride)
	bus=${pf%:*}
	id=${pf##*:}
	id=$((16#${bus##*:} << 8 | 16#${id%.*} << 3 | ${id#*.}))
	id=$((id + ${offset:-0} + ${stride:-0} * number))
	printf '%s:%02x:%02x.%d' "${bus%:*}" $((id >> 8)) $((id >> 3 & 31)) $((id & 7))
}

# pci_vf_remember ADDRESS WORD: that a device is a virtual function which may have to be made.
pci_vf_remember()
{
	[[ $2 == */vf* && ! -d $pci_bus/devices/$1 ]] || return 0
	pci_vfs[$1]="$(pci_bdf "${2%%/*}") $((10#${2#*/vf}))"
}

# pci_vf_check ADDRESS ALL...: what can be said of a function that does not exist yet.
pci_vf_check()
{
	local pf number present check

	read -r pf number <<<"${pci_vfs[$1]}"
	shift
	[[ " $* " != *" $pf "* ]] || die "$pf is to make vf$number, so it cannot be lent itself"
	for check in pci_check_iommu pci_check_interrupt_remapping pci_check_vfio_pci \
		pci_check_free; do
		"$check" "$pf"
	done
	[[ -n $(pci_driver "$pf") ]] ||
		die "$pf has no driver that makes virtual functions: bind it to its own, or to" \
			"pci-pf-stub"
	present=$(pci_attribute "$pf" sriov_numvfs)
	((${present:-0} == 0)) ||
		die "$pf has $present virtual functions, and for vf$number they would have to go:" \
			"echo 0 >/sys/bus/pci/devices/$pf/sriov_numvfs"
}

# pci_vf_note PF: one line of who, one of how it was.
pci_vf_note()
{
	local note=$pci_state/sriov.$1

	mkdir -p "$pci_state"
	{
		process_identity $$
		printf '%s %s\n' "$(pci_attribute "$1" sriov_numvfs)" \
			"$(pci_attribute "$1" sriov_drivers_autoprobe)"
	} >"$note.$$"
	ln "$note.$$" "$note" 2>/dev/null || { rm -f "$note.$$" &&
		die "the virtual functions of $1 are in use by another run, or left by one: see" \
			"./run.sh --restore"; }
	rm -f "$note.$$"
}

# pci_vf_make_all: as many on each physical function as the highest number asks for. No driver of
# this machine's takes them meanwhile.
pci_vf_make_all()
{
	local vf pf number device
	local -A highest=()

	for vf in "${!pci_vfs[@]}"; do
		read -r pf number <<<"${pci_vfs[$vf]}"
		((number < ${highest[$pf]:-0})) || highest[$pf]=$((number + 1))
	done
	for pf in "${!highest[@]}"; do
		device=$pci_bus/devices/$pf
		note "$pf: making ${highest[$pf]} virtual functions"
		pci_vf_note "$pf"
		[[ ! -w $device/sriov_drivers_autoprobe ]] ||
			printf '0\n' >"$device/sriov_drivers_autoprobe"
		{ printf '%s\n' "${highest[$pf]}" >"$device/sriov_numvfs"; } 2>/dev/null ||
			die "$(pci_driver "$pf"), the driver of $pf, makes no virtual functions;" \
				"dmesg | tail may say why"
	done
	for vf in "${!pci_vfs[@]}"; do
		[[ -d $pci_bus/devices/$vf ]] ||
			die "${pci_vfs[$vf]/ //vf} did not appear as $vf"
	done
}

# pci_vf_remove NOTE: undoes what a note says.
pci_vf_remove()
{
	local pf=${1##*/sriov.} number autoprobe device

	device=$pci_bus/devices/$pf
	{ read -r _ && read -r number autoprobe; } <"$1" || { rm -f "$1" && return; }
	if [[ -d $device ]]; then
		{ [[ $(pci_attribute "$pf" sriov_numvfs) == "$number" ]] ||
			printf '%s\n' "$number" >"$device/sriov_numvfs"; } 2>/dev/null || {
			note "$pf: its virtual functions cannot be removed, dmesg | tail says" \
				"why; try again with ./run.sh --restore"
			return 1
		}
		[[ -z $autoprobe ]] || printf '%s\n' "$autoprobe" >"$device/sriov_drivers_autoprobe"
		note "$pf: its virtual functions are removed"
	fi
	rm -f "$1"
}

# All that this run made.
pci_vf_remove_all()
{
	local note status=0

	for note in "$pci_state"/sriov.*; do
		[[ -e $note && $(process_noted "$note") == "$$" ]] || continue
		pci_vf_remove "$note" || status=1
	done
	return "$status"
}

# run.sh --restore: what runs that no longer exist left behind.
pci_vf_restore()
{
	local note status=0

	for note in "$pci_state"/sriov.*; do
		[[ -e $note ]] || continue
		! process_noted "$note" >/dev/null || continue
		pci_vf_remove "$note" || status=1
	done
	return "$status"
}
