# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by run.sh: the devices of this machine that a driver of ours supports, and what speaks
# against lending each of them. Looks only, and needs no root to.

# shellcheck source=scripts/pci-device.sh
. "${BASH_SOURCE[0]%/*}/pci-device.sh"
# shellcheck source=scripts/test-list.sh
. "${BASH_SOURCE[0]%/*}/test-list.sh"

# Lines of BDF<TAB>DRIVER. Which devices a driver supports, it knows itself.
device_drivers()
{
	local program=$test_dir/vfio_pci_driver_test

	[[ -x $program ]] || die "$program is missing, which knows the drivers"
	"$program" --drivers "$pci_bus"/devices/*
}

# What a person calls the device, by lspci where that is installed.
device_name()
{
	local name='' class

	name=$(lspci -O sysfs.path="$pci_bus" -nn -s "$1" 2>/dev/null) || true
	if [[ $name == *' '* ]]; then
		printf '%s' "${name#* }"
		return
	fi
	class=$(pci_attribute "$1" class)
	printf 'class %s [%s:%s]' "${class:2:4}" "$(pci_attribute "$1" vendor)" \
		"$(pci_attribute "$1" device)" | sed 's/0x//g'
}

# device_siblings BDF [KIND]: who else is in its IOMMU group; KIND busy: whose own driver does DMA,
# so that nobody may take the one without the other. A bridge cannot be taken at all.
device_siblings()
{
	local sibling driver

	for sibling in "$pci_bus/devices/$1/iommu_group/devices"/*; do
		sibling=${sibling##*/}
		[[ $sibling != "$1" && $sibling != '*' ]] || continue
		driver=$(pci_driver "$sibling")
		if [[ -z ${2:-} ]]; then
			printf '%s (%s)\n' "$sibling" "${driver:-no driver}"
		elif [[ $(pci_attribute "$sibling" class) != 0x06* ]] &&
			! pci_driver_is_harmless "$driver"; then
			printf '%s\n' "$sibling"
		fi
	done
}

# device_objections BDF...: what run.sh would have against testing these together, one sentence a
# line. Sentences about a sibling that is to come along name it themselves.
device_objections()
{
	local bdf check sentence

	for bdf; do
		for check in "${pci_checks[@]}"; do
			sentence=$("$check" "$bdf" "$@" 2>&1) || printf '%s\n' "${sentence#*: }"
		done
		pci_uses "$bdf" | sed "s/^/$bdf: /"
	done | awk '!seen[$0]++' | sed "s/^$1: //"
}

device_field()
{
	printf '    %-12s %s\n' "$1" "$2"
}

# device_show BDF DRIVER: one of ours.
device_show()
{
	local bdf=$1 driver siblings group together objections line use=use

	driver=$(pci_driver "$bdf")
	group=$(pci_group "$bdf")
	mapfile -t siblings < <(device_siblings "$bdf")
	mapfile -t together < <(printf '%s\n' "$bdf" && device_siblings "$bdf" busy)
	mapfile -t objections < <(device_objections "${together[@]}")

	printf '%s  %s\n' "$bdf" "$(device_name "$bdf")"
	device_field 'our driver' "$2"
	device_field 'bound to' "${driver:-no driver}"
	line=$(printf ', %s' "${siblings[@]}")
	device_field 'IOMMU group' "${group:-none}${siblings[0]:+, with ${line#, }}"
	for line in "${objections[@]}"; do
		device_field 'in the way' "$line"
		use='then use'
	done
	line=$(printf ' -d %s' "${together[@]}")
	device_field "$use" "$( ((EUID == 0)) || printf 'sudo ')./run.sh$line"
}

# run.sh --devices
device_list()
{
	local drivers bdf driver found=0 all=("$pci_bus"/devices/*)

	drivers=$(device_drivers) || exit 2
	while IFS=$'\t' read -r bdf driver; do
		[[ -n $bdf ]] || continue
		found=$((found + 1))
		device_show "$bdf" "$driver"
	done <<<"$drivers"
	[[ -e ${all[0]} ]] || all=()
	if ((found == 0)); then
		printf 'No driver of ours supports any of the %d PCI devices of this machine.\n' \
			"${#all[@]}"
		return
	fi
	printf '%d of %d PCI devices of this machine. Nothing was changed.\n' "$found" "${#all[@]}"
	((EUID == 0)) || printf 'Which of them other users have open, only root can see.\n'
}
