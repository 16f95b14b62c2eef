# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Completion for run.sh in bash: `. completions/run.sh`, or a copy of it, under this name, in
# ~/.local/share/bash-completion/completions.

# What is told by the word before. False if that takes no value.
_kvm_vfio_tests_value()
{
	case $1 in
	-d)
		mapfile -t COMPREPLY < <(compgen -W "$(cd /sys/bus/pci/devices 2>/dev/null &&
			printf '%s ' *)" -- "$2")
		;;
	--iommu) mapfile -t COMPREPLY < <(compgen -W 'intel amd' -- "$2") ;;
	--iommu-mode)
		mapfile -t COMPREPLY < <(compgen -W 'iommufd iommufd_compat_type1
			iommufd_compat_type1v2 vfio_type1_iommu vfio_type1v2_iommu' -- "$2")
		;;
	--lab-device) mapfile -t COMPREPLY < <(compgen -W 'nvme edu igb group all' -- "$2") ;;
	--accel) mapfile -t COMPREPLY < <(compgen -W 'auto tcg kvm' -- "$2") ;;
	--tcg-threads) mapfile -t COMPREPLY < <(compgen -W 'auto single multi' -- "$2") ;;
	--html | --json | --junit) mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
	--log-dir | --resume) mapfile -t COMPREPLY < <(compgen -d -- "$2") ;;
	--kernel) mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
	--append | --jobs | --repeat | --seed | --timeout) ;;
	*) return 1 ;;
	esac
}

# The tests of the tree that the command is in.
_kvm_vfio_tests_names()
{
	local file

	for file in "$1"/tests/*_test.c "$1"/tests/*_test.sh "$1"/build/tests/*_test; do
		[[ -e $file ]] || continue
		file=${file##*/}
		printf '%s\n' "${file%.*}"
	done | sort -u
}

_kvm_vfio_tests()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} said
	local options='--accel --append --debug --dry-run --help --iommu --iommu-mode --kernel
		--lab-device --log-dir --matrix --no-install --no-posting --posting --repeat --seed
		--tcg-threads --timeout'
	local alone='-d --bisect --devices --force --gdb --host --html --json --junit --list
		--restore --shell --trace' matrix='--jobs --resume'

	COMPREPLY=()
	# What follows -- is for the tests.
	said=" ${COMP_WORDS[*]:0:COMP_CWORD} "
	[[ $said != *" -- "* ]] || return 0
	! _kvm_vfio_tests_value "$before" "$word" || return 0
	if [[ $word != -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"$(_kvm_vfio_tests_names "$(dirname "${COMP_WORDS[0]}")")" -- "$word")
		return
	fi
	if [[ $said == *" --matrix "* ]]; then
		options+=" $matrix"
	else
		options+=" $alone"
	fi
	mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}

complete -o filenames -F _kvm_vfio_tests run.sh ./run.sh
