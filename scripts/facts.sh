# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced: what the reader of a report has to know of a run, one `key: value` a line. Those of the
# machine are gathered where the tests run, so with bash and busybox, and with few processes.
# KVM_VFIO_TESTS_ROOT is put in front of /sys and /proc.

# shellcheck source=scripts/test-list.sh
. "${BASH_SOURCE[0]%/*}/test-list.sh"

facts_root=${KVM_VFIO_TESTS_ROOT:-}

# Those of facts_begin().
# shellcheck disable=SC2034 # for who sources this
facts_run=()

# The options of a kernel on which it depends what is tested, and how.
facts_options='KVM KVM_INTEL KVM_AMD INTEL_IOMMU AMD_IOMMU IRQ_REMAP X86_X2APIC VFIO VFIO_GROUP
	VFIO_CONTAINER VFIO_DEVICE_CDEV VFIO_PCI IOMMUFD IOMMUFD_VFIO_CONTAINER IOMMUFD_TEST PCI_IOV
	PREEMPT_NONE PREEMPT_VOLUNTARY PREEMPT PREEMPT_LAZY PREEMPT_RT PREEMPT_DYNAMIC NO_HZ_FULL
	HZ PROVE_LOCKING KASAN KCSAN UBSAN FAULT_INJECTION CC_OPTIMIZE_FOR_SIZE'

# The first line of a file, nothing if it cannot be read.
facts_read()
{
	local line=''

	[[ ! -r $1 ]] || read -r line <"$1" || true
	printf '%s' "$line"
}

# facts_config FILE: of a kernel's configuration what matters, options that are off as `n`.
facts_config()
{
	local reader=cat

	[[ $1 != *.gz ]] || reader='gzip -dc'
	$reader "$1" 2>/dev/null | awk -v wanted="$facts_options" '
		match($0, /^CONFIG_[A-Z0-9_]+=/) {
			value[substr($0, 8, RLENGTH - 8)] = substr($0, RLENGTH + 1)
			any = 1
		}
		END {
			nr = split(wanted, name)
			for (i = 1; any && i <= nr; i++)
				printf "%s%s=%s", (i > 1 ? " " : "config: "), name[i],
					(value[name[i]] == "" ? "n" : value[name[i]])
			if (any)
				printf "\n"
		}'
}

# facts_config_of BZIMAGE: from where it was built.
facts_config_of()
{
	local directory=${1%/*} file

	for file in "$directory/build/.config" "${directory%/arch/x86/boot}/.config" \
		"$directory/config-${1##*/vmlinuz-}"; do
		[[ ! -r $file ]] || { facts_config "$file" && return; }
	done
	printf 'config: unknown'
}

# The configuration of the kernel that runs, where it or the distribution left it.
facts_running_config()
{
	local file

	for file in "$facts_root"/{proc/config.gz,boot/config-"$(uname -r)"}; do
		[[ ! -r $file ]] || { facts_config "$file" && return; }
	done
}

facts_machine()
{
	local dmi=$facts_root/sys/class/dmi/id model bios

	model="$(facts_read "$dmi/sys_vendor") $(facts_read "$dmi/product_name")"
	bios=$(facts_read "$dmi/bios_version")
	[[ -z ${KVM_VFIO_TESTS_LAB:-} ]] || model="the lab, emulated by QEMU"
	[[ $model == *[![:space:]]* ]] || model=unknown
	printf 'machine: %s%s\n' "$model" "${bios:+, firmware $bios}"
}

# What a CPU says that it can do about interrupts of guests.
facts_cpu()
{
	local wanted='hypervisor svm vmx avic x2avic apicv posted_intr ipi_virt x2apic'

	awk -v cpus="$(nproc)" -v wanted="$wanted" '
		{ key = $0; sub(/[ \t]*:.*/, "", key); value = $0; sub(/^[^:]*: */, "", value) }
		/^$/ { exit }
		{ said[key] = value }
		END {
			if (said["model name"] == "")
				exit
			microcode = said["microcode"] ? said["microcode"] : "unknown"
			printf "CPU: %s, %d CPUs, family %s, model %s, stepping %s, microcode %s\n",
				said["model name"], cpus, said["cpu family"], said["model"],
				said["stepping"], microcode
			flags = " " said["flags"] " " said["vmx flags"] " "
			nr = split(wanted, name)
			printf "CPU features:"
			for (i = 1; i <= nr; i++)
				printf "%s", (index(flags, " " name[i] " ") ? " " name[i] : "")
			printf "\n"
		}' "$facts_root/proc/cpuinfo"
}

# The kind of IOMMU, how many, and the registers in which they say what they can do.
facts_iommu()
{
	local unit kind=none units=0 says said=''

	for unit in "$facts_root"/sys/class/iommu/*; do
		case ${unit##*/} in
		dmar*)
			kind=VT-d
			says="cap $(facts_read "$unit/intel-iommu/cap")"
			says+=" ecap $(facts_read "$unit/intel-iommu/ecap")"
			;;
		ivhd*)
			kind=AMD-Vi
			says="features $(facts_read "$unit/amd-iommu/features")"
			;;
		*) continue ;;
		esac
		units=$((units + 1))
		[[ "$said," == *", $says,"* ]] || said+=", $says"
	done
	((units < 2)) || kind+=", $units units"
	printf 'IOMMU: %s%s\n' "$kind" "$said"
}

# Whether interrupts can be posted: the programs know, and one of them is asked.
facts_posting()
{
	local name magic=''

	for name in "${run_names[@]}"; do
		read -r -n 4 magic 2>/dev/null <"$test_dir/$name" || true
		[[ $magic == $'\x7fELF' ]] || continue
		"$test_dir/$name" --facts 2>/dev/null || true
		return
	done
}

# The module, and the parameters on which posting depends; the second is new in Linux 6.16.
facts_kvm()
{
	local module parameter value said=''

	for module in kvm_intel kvm_amd; do
		[[ -e $facts_root/sys/module/$module/parameters ]] || continue
		said+="${said:+; }$module"
		for parameter in enable_apicv enable_ipiv avic force_avic \
			enable_device_posted_irqs nested; do
			value=$(facts_read "$facts_root/sys/module/$module/parameters/$parameter")
			[[ -z $value ]] || said+=", $parameter=$value"
		done
	done
	printf 'KVM: %s\n' "${said:-none}"
}

facts_kernel()
{
	local tainted word

	printf 'kernel: %s\n' "$(uname -r)"
	printf 'kernel build: %s\n' "$(uname -v)"
	tainted=$(facts_read "$facts_root/proc/sys/kernel/tainted")
	[[ ${tainted:-0} == 0 ]] || printf 'tainted: %s\n' "$tainted"
	facts_running_config
	word=$(facts_read "$facts_root/proc/cmdline")
	printf 'parameters: %s\n' "$word"
	[[ " $word" != *" lab.accel="* ]] || { word=${word##*lab.accel=} &&
		printf 'accelerator: %s\n' "${word%% *}"; }
}

# facts_of_machine DEVICE...: what a reader needs to know about where the results come from.
facts_of_machine()
{
	local bdf

	facts_machine
	facts_kernel
	facts_cpu
	facts_iommu
	facts_kvm
	facts_posting
	for bdf; do
		printf 'device: %s\n' "$(pci_describe "$bdf")"
	done
}

# facts_begin REVISION SEED REPEAT: what was asked for, unless an outer run.sh has said so.
facts_begin()
{
	[[ -z ${KVM_VFIO_TESTS_OUTER:-} ]] || return 0
	# shellcheck disable=SC2034 # for who sources this
	facts_run=("date: $(date -u +%Y-%m-%dT%H:%M:%SZ)" "revision: $1" "seed: $2" "repeat: $3")
}
