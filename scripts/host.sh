# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by run.sh: the tests on this very machine, on the devices named with -d. The lab's
# machine is no exception, run.sh runs there too.

# shellcheck source=scripts/facts.sh
. "${BASH_SOURCE[0]%/*}/facts.sh"
# shellcheck source=scripts/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"
# shellcheck source=scripts/hugepages.sh
. "${BASH_SOURCE[0]%/*}/hugepages.sh"
# shellcheck source=scripts/pci-device.sh
. "${BASH_SOURCE[0]%/*}/pci-device.sh"
# shellcheck source=scripts/pci-vf.sh
. "${BASH_SOURCE[0]%/*}/pci-vf.sh"
# shellcheck source=scripts/test-list.sh
. "${BASH_SOURCE[0]%/*}/test-list.sh"
# shellcheck source=scripts/trace.sh
. "${BASH_SOURCE[0]%/*}/trace.sh"

# host_check FORCE DRY_RUN DEVICE...: all that can be known before anything is changed.
host_check()
{
	local force=$1 dry_run=$2 bdf check

	shift 2
	for bdf; do
		[[ -n ${pci_vfs[$bdf]:-} ]] || pci_check_present "$bdf"
	done
	if [[ -z $dry_run ]]; then
		(($# == 0)) || pci_check_root
		trace_check
	fi
	for bdf; do
		if [[ -n ${pci_vfs[$bdf]:-} ]]; then
			pci_vf_check "$bdf" "$@"
			continue
		fi
		for check in "${pci_checks[@]}"; do
			"$check" "$bdf" "$@"
		done
		[[ -n $force ]] || pci_check_idle "$bdf"
	done
}

# host_check_needs TEST...: with --host and no device, that none of those asked for takes one.
host_check_needs()
{
	local name needs

	for name; do
		needs=$(test_needs "$name")
		[[ $needs != *,device,* && $needs != *,devices,* ]] ||
			die "$name takes a device: name one with -d"
	done
}

# host_run_one INDEX LOG_DIR ARGS...: one program, on the device that goes with it, or the two.
host_run_one()
{
	local name=${run_names[$1]} needs=${run_needs[$1]} label=${run_labels[$1]} log_dir=$2
	local seed=${run_seeds[$1]} bdfs failed=$ktap_failed

	read -ra bdfs <<<"${run_bdfs[$1]}"
	shift 2
	# A program would take the variable for its device, also if it needs none.
	unset VFIO_SELFTESTS_BDF
	child_notes=("${bdfs[@]/%//program}")
	child_notes=("${child_notes[@]/#/$pci_state/}")
	[[ $needs != *,hugepages,* ]] || hugepages_reserve
	repeat_case "$name" "$seed" "${bdfs[*]}"
	trace_begin "$label" "$log_dir/${label// /.}.trace"
	ktap_program "$label" "$program_seconds" "$log_dir/${label// /.}.stderr" \
		"$test_dir/$name" --seed "$seed" "$@" "${bdfs[@]}"
	trace_end $((ktap_failed > failed))
	hugepages_give_back_all
}

# The devices are bound before the first program that needs one.
host_take_all()
{
	local bdf check

	pci_forget_other_boots
	pci_load_vfio_pci "$@"
	pci_vf_make_all
	for bdf; do
		for check in ${pci_vfs[$bdf]:+pci_check_iommu pci_check_group}; do
			"$check" "$bdf" "$@"
		done
		pci_take "$bdf"
	done
}

# host_run FIRST LOG_DIR DEVICES ARGS...: the runs from index FIRST on.
host_run()
{
	local first=$1 log_dir=$2 devices=$3 taken='' facts i

	shift 3
	# For tests of several devices: all that the user gave us.
	export VFIO_SELFTESTS_BDFS=$devices
	mapfile -t facts < <(
		# shellcheck disable=SC2086 # a list of words
		facts_of_machine $devices
	)
	ktap_begin $((${#run_names[@]} - first)) "${facts_run[@]}" "${facts[@]}"
	for ((i = first; i < ${#run_names[@]}; i++)); do
		if [[ -n ${run_bdfs[i]} && -z $taken ]]; then
			# shellcheck disable=SC2086 # a list of words
			host_take_all $devices
			taken=1
		fi
		host_run_one "$i" "$log_dir" "$@"
		# It holds its device for ever, and whatever runs next would hang on it too.
		[[ -z $child_stuck ]] || break
	done
}

# Whatever happened: no program of ours runs on, and each device is back with its driver.
host_cleanup()
{
	local status=0

	child_cleanup
	trace_cleanup
	hugepages_give_back_all
	if [[ -n $child_stuck ]]; then
		note "the devices are not given back: when that process is gone, ./run.sh --restore"
		return 1
	fi
	pci_give_back_all || status=1
	pci_vf_remove_all || status=1
	return "$status"
}

# run.sh --restore
host_restore()
{
	local status=0

	pci_check_root
	[[ -n $(ls -A "$pci_state" 2>/dev/null || true) ]] || note "nothing to restore"
	pci_forget_other_boots
	trace_restore
	hugepages_restore
	pci_restore || status=1
	pci_vf_restore || status=1
	return "$status"
}
