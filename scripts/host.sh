# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by run.sh: the tests on this very machine, on the devices named with -d. The lab's
# machine is no exception, run.sh runs there too.

# shellcheck source=scripts/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"
# shellcheck source=scripts/hugepages.sh
. "${BASH_SOURCE[0]%/*}/hugepages.sh"
# shellcheck source=scripts/pci-device.sh
. "${BASH_SOURCE[0]%/*}/pci-device.sh"
# shellcheck source=scripts/test-list.sh
. "${BASH_SOURCE[0]%/*}/test-list.sh"

# host_check FORCE DRY_RUN DEVICE...: all that can be known before anything is changed.
host_check()
{
	local force=$1 dry_run=$2 bdf check

	shift 2
	for bdf; do
		pci_check_present "$bdf"
	done
	[[ -n $dry_run ]] || pci_check_root
	for bdf; do
		for check in "${pci_checks[@]}"; do
			"$check" "$bdf" "$@"
		done
		[[ -n $force ]] || pci_check_idle "$bdf"
	done
}

host_machine()
{
	local model

	model=$(cat /sys/class/dmi/id/product_name 2>/dev/null || true)
	[[ -z ${KVM_VFIO_TESTS_LAB:-} ]] || model="the lab, emulated by QEMU"
	printf '%s, %s CPUs, %s' "${model:-unknown}" "$(nproc)" \
		"$(awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo)"
}

host_iommu()
{
	local unit

	for unit in "$pci_root"/sys/class/iommu/*; do
		case ${unit##*/} in
		dmar*) printf 'VT-d' && return ;;
		ivhd*) printf 'AMD-Vi' && return ;;
		esac
	done
	printf 'none'
}

# The module, and the parameters on which posting depends; the second is new in Linux 6.16.
host_kvm()
{
	local module=kvm_intel parameter=enable_apicv file

	if grep -qw svm /proc/cpuinfo; then
		module=kvm_amd
		parameter=avic
	fi
	[[ -e /sys/module/$module ]] || { printf 'none' && return; }
	printf '%s' "$module"
	for parameter in "$parameter" enable_device_posted_irqs; do
		file=/sys/module/$module/parameters/$parameter
		[[ ! -r $file ]] || printf ', %s=%s' "$parameter" "$(<"$file")"
	done
}

# What a reader needs to know about where the results come from, one fact a line.
host_facts()
{
	local bdf

	printf 'machine: %s\n' "$(host_machine)"
	printf 'kernel: %s\n' "$(uname -r)"
	printf 'IOMMU: %s\n' "$(host_iommu)"
	printf 'KVM: %s\n' "$(host_kvm)"
	for bdf; do
		printf 'device: %s\n' "$(pci_describe "$bdf")"
	done
}

# host_run_one INDEX LOG_DIR ARGS...: one program, on the device that goes with it, or the two.
host_run_one()
{
	local name=${run_names[$1]} needs=${run_needs[$1]} label=${run_labels[$1]} log_dir=$2
	local seed=${run_seeds[$1]} bdfs

	read -ra bdfs <<<"${run_bdfs[$1]}"
	shift 2
	# A program would take the variable for its device, also if it needs none.
	unset VFIO_SELFTESTS_BDF
	child_notes=("${bdfs[@]/%//program}")
	child_notes=("${child_notes[@]/#/$pci_state/}")
	[[ $needs != *,hugepages,* ]] || hugepages_reserve
	ktap_program "$label" "$program_seconds" "$log_dir/${label// /.}.stderr" \
		"$test_dir/$name" --seed "$seed" "$@" "${bdfs[@]}"
	hugepages_give_back_all
}

# The devices are bound before the first program that needs one.
host_take_all()
{
	local bdf

	pci_load_vfio_pci
	for bdf; do
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
		host_facts $devices
	)
	ktap_begin $((${#run_names[@]} - first)) "${facts[@]}"
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
	child_cleanup
	hugepages_give_back_all
	if [[ -n $child_stuck ]]; then
		note "the devices are not given back: when that process is gone, ./run.sh --restore"
		return 1
	fi
	pci_give_back_all
}
