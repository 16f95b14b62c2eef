# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by run.sh: the command that repeats a run, or one case of it. The run.sh inside the lab
# gets from the one outside, in KVM_VFIO_TESTS_REPEAT, what that was asked for.

# Of the environment, what changes a run.
repeat_variables='KSRC QEMU QEMU_SRC QEMU_EXTRA O VFIO_SELFTESTS_BDF NVME_SCRATCH_LBA CPU_HOTPLUG'
repeat_environment=
# Options with a value that say nothing of a single case, or that it gets anew.
repeat_dropped=' -d --seed --repeat --log-dir --junit --json --html '
repeat_options=

# Called before anything is set that the user did not.
repeat_begin()
{
	local name

	for name in $repeat_variables; do
		[[ -z ${!name:-} ]] || repeat_environment+=$(printf '%s=%q ' "$name" "${!name}")
	done
}

# repeat_take WORD...: the options of a run, those with a value as two words.
repeat_take()
{
	if [[ -n ${KVM_VFIO_TESTS_OUTER:-} ]]; then
		repeat_options=${KVM_VFIO_TESTS_REPEAT:-}
		return
	fi
	repeat_options=$repeat_environment./run.sh
	while (($#)); do
		if [[ $repeat_dropped == *" $1 "* ]]; then
			shift
		else
			repeat_options+=$(printf ' %q' "$1")
		fi
		shift
	done
}

# repeat_arguments WORD...: of what goes to the programs all but the filters of kselftest, for one
# case is chosen by one of its own.
repeat_arguments()
{
	ktap_repeat_arguments=
	while (($#)); do
		case $1 in
		-[fFvVtTr]) (($# == 1)) || shift ;;
		*) ktap_repeat_arguments+=$(printf ' %q' "$1") ;;
		esac
		shift
	done
}

# repeat_case TEST SEED DEVICES: for the program that runs next. The lab's devices are not the
# user's to name.
repeat_case()
{
	local device

	ktap_repeat=$repeat_options
	if [[ -z ${KVM_VFIO_TESTS_OUTER:-} ]]; then
		for device in $3; do
			ktap_repeat+=" -d $device"
		done
	fi
	ktap_repeat+=" --seed $2 $1"
}
