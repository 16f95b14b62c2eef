# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced: may this PCI device be tested, and lending it to vfio-pci.
#
# pci_check_*() change nothing and give up with one sentence. pci_take() notes what it is about to
# change below $pci_state first, so that pci_give_back() can undo it in another process too: after
# SIGKILL, `run.sh --restore` finds the notes.
# Works with bash and busybox. KVM_VFIO_TESTS_ROOT is put in front of /sys, /proc and /run.

# shellcheck source=scripts/message.sh
. "${BASH_SOURCE[0]%/*}/message.sh"
# shellcheck source=scripts/process.sh
. "${BASH_SOURCE[0]%/*}/process.sh"

# What must hold of a device before it is taken, besides being idle, which the user can overrule.
# Each gets the device and all that are taken with it.
# shellcheck disable=SC2034 # for who sources this
pci_checks=(pci_check_iommu pci_check_interrupt_remapping pci_check_vfio_pci pci_check_denylist
	pci_check_group pci_check_free)

pci_root=${KVM_VFIO_TESTS_ROOT:-}
pci_bus=$pci_root/sys/bus/pci
pci_state=$pci_root/run/kvm-vfio-tests
pci_taken=()
# All that may be loaded on behalf of vfio-pci; each before those that it stands on.
pci_vfio_modules='vfio_pci vfio_pci_core vfio_iommu_type1 vfio iommufd irqbypass'
# vfio-pci's list of devices with errata that only a trusted user may be given: Intel's QAT
# (DH895xCC, C3xxx, C62x, with their virtual functions), DSA and IAX.
pci_denylist='8086:0435 8086:0443 8086:19e2 8086:19e3 8086:37c8 8086:37c9 8086:0b25 8086:0cfe'

# The full form of an address: 0000:01:00.0 for 01:00.0.
pci_bdf()
{
	local bdf=${1,,}

	[[ $bdf =~ ^[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$ ]] && bdf=0000:$bdf
	[[ $bdf =~ ^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$ ]] ||
		die "'$1' is no PCI address, which reads segment:bus:device.function: 0000:01:00.0"
	printf '%s' "$bdf"
}

# Without a process of its own, of which an emulated machine starts some thirty in a second.
pci_attribute()
{
	local value='' file=$pci_bus/devices/$1/$2

	[[ ! -r $file ]] || read -r value <"$file" || true
	printf '%s' "$value"
}

# The last part of where a link in a device's directory leads, nothing if there is none.
pci_link()
{
	(cd -P "$pci_bus/devices/$1/$2" 2>/dev/null && printf '%s' "${PWD##*/}") || true
}

# The driver a device is bound to, nothing if there is none.
pci_driver()
{
	pci_link "$1" driver
}

pci_group()
{
	pci_link "$1" iommu_group
}

pci_describe()
{
	local vendor device driver

	vendor=$(pci_attribute "$1" vendor)
	device=$(pci_attribute "$1" device)
	driver=$(pci_driver "$1")
	printf '%s, %s:%s, class %s, IOMMU group %s, driver %s' "$1" "${vendor#0x}" "${device#0x}" \
		"$(pci_attribute "$1" class)" "$(pci_group "$1")" "${driver:-none}"
}

# Checks -------------------------------------------------------------------------------------------

pci_check_present()
{
	[[ -d $pci_bus/devices/$1 ]] || die "there is no PCI device $1, see lspci -D"
	[[ $(pci_attribute "$1" class) != 0x06* ]] ||
		die "$1 is a bridge: vfio-pci can only drive endpoints"
}

pci_check_root()
{
	[[ -w $pci_bus/drivers_probe ]] && return
	((EUID == 0)) && die "/sys cannot be written here (a container?), so no device can be bound"
	die "binding a device to vfio-pci takes root: run this with sudo"
}

# How this machine gets an IOMMU: by the vendor of its CPU, and by what its firmware offers.
pci_iommu_advice()
{
	local tables=$pci_root/sys/firmware/acpi/tables
	local name=VT-d table=DMAR also='"VT for directed I/O"'

	# The firmware's table decides, where it has one: the lab has VT-d beside a CPU of AMD's.
	if [[ -e $tables/IVRS ]] || { [[ ! -e $tables/DMAR ]] &&
		grep -qsE 'AuthenticAMD|HygonGenuine' "$pci_root/proc/cpuinfo"; }; then
		name=AMD-Vi
		table=IVRS
		also='"IOMMU"'
	fi
	if ! grep -qs '^vendor_id' "$pci_root/proc/cpuinfo"; then
		printf 'enable VT-d or AMD-Vi in the firmware and boot with intel_iommu=on or '
		printf 'amd_iommu=on'
		return
	fi
	if [[ -e $tables/$table ]]; then
		printf 'the firmware has %s on, so ' "$name"
	else
		printf 'enable %s in the firmware (often called %s) and ' "$name" "$also"
	fi
	if [[ $name == VT-d ]]; then
		printf 'boot with intel_iommu=on and a kernel that has CONFIG_INTEL_IOMMU'
	else
		printf 'boot with amd_iommu=on, without amd_iommu=off or iommu=off, and a kernel '
		printf 'that has CONFIG_AMD_IOMMU'
	fi
}

pci_check_iommu()
{
	local group

	group=$(pci_group "$1")
	[[ -n $group ]] || die "no IOMMU: $1 is in no IOMMU group; $(pci_iommu_advice)"
	[[ $(cat "$pci_root/sys/kernel/iommu_groups/$group/name" 2>/dev/null) != vfio-noiommu ]] ||
		die "no IOMMU: $1 is in a vfio-noiommu group; $(pci_iommu_advice)"
}

# With interrupt remapping on, x86 puts every IO-APIC and PCI interrupt behind a chip named IR-*.
# What the IOMMU could do (its ecap) does not tell, and the kernel log may be gone or unreadable.
pci_check_interrupt_remapping()
{
	grep -qs '^IR-' "$pci_root"/sys/kernel/irq/*/chip_name && return
	grep -qs ' IR-' "$pci_root/proc/interrupts" && return
	die "no interrupt remapping: a device's MSIs could not be isolated; enable it in the" \
		"firmware and boot without intremap=off or nointremap"
}

# Who may share a group with a device in use: drivers that do no DMA of their own.
pci_driver_is_harmless()
{
	[[ -z $1 || $1 == pcieport || $1 == pci-stub || $1 == *vfio* ]]
}

# pci_check_group BDF ALL...: ALL are the devices that will be bound to vfio-pci.
pci_check_group()
{
	local bdf=$1 sibling driver found=

	shift
	for sibling in "$pci_bus/devices/$bdf/iommu_group/devices"/*; do
		sibling=${sibling##*/}
		[[ " $* " == *" $sibling "* ]] && continue
		driver=$(pci_driver "$sibling")
		pci_driver_is_harmless "$driver" ||
			found+="${found:+, }$sibling is bound to $driver"
	done
	[[ -z $found ]] ||
		die "IOMMU group $(pci_group "$bdf") of $bdf is not viable: $found;" \
			"unbind it, or name it with another -d"
}

pci_check_vfio_pci()
{
	# Of busybox's modprobe and the usual one, both know -D.
	[[ -d $pci_bus/drivers/vfio-pci ]] || modprobe -q -D vfio-pci >/dev/null 2>&1 ||
		die "this kernel has no vfio-pci: it needs CONFIG_VFIO_PCI, built in or installed" \
			"as a module"
}

pci_is_denylisted()
{
	local vendor device

	vendor=$(pci_attribute "$1" vendor)
	device=$(pci_attribute "$1" device)
	[[ " $pci_denylist " == *" ${vendor#0x}:${device#0x} "* ]]
}

# Where vfio-pci is not loaded yet, pci_load_vfio_pci() sees to it.
pci_check_denylist()
{
	local parameter=$pci_root/sys/module/vfio_pci/parameters/disable_denylist value=N

	[[ -d $pci_bus/drivers/vfio-pci && $(pci_driver "$1") != vfio-pci ]] || return 0
	pci_is_denylisted "$1" || return 0
	{ read -r value <"$parameter"; } 2>/dev/null || true
	[[ $value == N ]] || return 0
	die "vfio-pci refuses $1, which is on its denylist: boot with" \
		"vfio_pci.disable_denylist=1, or modprobe -r vfio-pci and run this again, which" \
		"loads it so"
}

# The names below /dev that belong to a device and to what hangs on it.
pci_device_nodes()
{
	local controller head

	find "$pci_bus/devices/$1/" -name uevent -exec \
		awk -F= '$1 == "DEVNAME" { print $2 }' {} +
	# The disks of an NVMe controller hang on its subsystem if the kernel does multipath.
	for controller in "$pci_bus/devices/$1"/nvme/nvme*; do
		for head in "$pci_root"/sys/class/nvme-subsystem/*/"${controller##*/}"; do
			[[ ! -e $head ]] || find "${head%/*}" -maxdepth 1 -name 'nvme*n*'
		done | sed 's,.*/,,'
	done
	printf 'vfio/%s\n' "$(pci_group "$1")"
}

# Which of these block devices are mounted, swapped to or part of another one?
pci_block_uses()
{
	local name number use

	for name; do
		[[ -e $pci_root/sys/class/block/$name ]] || continue
		read -r number <"$pci_root/sys/class/block/$name/dev" || continue
		use=$(awk -v number="$number" -v source="/dev/$name" '
			{ for (i = 7; i <= NF; i++) if ($i == "-") from = $(i + 2) }
			$3 == number || from == source { print $5; exit }' \
			"$pci_root/proc/self/mountinfo" 2>/dev/null || true)
		[[ -z $use ]] || printf '/dev/%s is mounted on %s\n' "$name" "$use"
		! grep -qs "^/dev/${name}[[:space:]]" "$pci_root/proc/swaps" ||
			printf '/dev/%s is swap space\n' "$name"
		for use in "$pci_root/sys/class/block/$name"/holders/* \
			"$pci_root/sys/class/block/$name/$name"*/holders/*; do
			[[ ! -e $use ]] || printf '/dev/%s is used by %s\n' "$name" "${use##*/}"
		done
	done
}

# The processes that have one of these files below /dev open.
pci_openers()
{
	local found pid file

	# Some processes are gone by the time they are looked at.
	# shellcheck disable=SC2012 # find -lname is unknown to busybox
	found=$({ ls -l "$pci_root"/proc/[0-9]*/fd 2>/dev/null || true; } | awk -v names="$*" '
		BEGIN { split(names, list); for (i in list) wanted["/dev/" list[i]] }
		/\/fd:$/ { pid = $1; sub(/\/fd:$/, "", pid); sub(/.*\//, "", pid) }
		NF > 1 && $(NF - 1) == "->" && $NF in wanted { print pid, $NF }' | sort -u)
	while read -r pid file; do
		[[ -z $pid ]] || printf '%s is open in process %s (%s)\n' "$file" "$pid" \
			"$(cat "$pci_root/proc/$pid/comm" 2>/dev/null || true)"
	done <<<"$found"
}

# pci_net_uses INTERFACE: that it is up, and whether the rest of the world is behind it.
pci_net_uses()
{
	local net=$pci_root/proc/net

	printf 'network interface %s is up' "$1"
	cat "$net/route" "$net/ipv6_route" 2>/dev/null | awk -v name="$1" '
		$1 == name && $2 == "00000000" && $8 == "00000000" ||
		$NF == name && $1 == "00000000000000000000000000000000" && $2 == "00" { found = 1 }
		END { if (found) printf ", and the default route leads over it" }'
	printf '\n'
}

# What someone is doing with a device, one sentence a line; nothing if it is idle.
pci_uses()
{
	local bdf=$1 net flags nodes

	for net in "$pci_bus/devices/$bdf"/net/* "$pci_bus/devices/$bdf"/*/net/*; do
		flags=$(cat "$net/flags" 2>/dev/null) || continue
		! ((flags & 1)) || pci_net_uses "${net##*/}"
	done
	[[ $(pci_attribute "$bdf" sriov_numvfs) =~ ^0?$ ]] || printf 'it has virtual functions\n'
	[[ $(pci_attribute "$bdf" boot_vga) != 1 ]] || [[ -z $(pci_driver "$bdf") ]] ||
		printf 'it is the display of the console\n'
	mapfile -t nodes < <(pci_device_nodes "$bdf")
	pci_block_uses "${nodes[@]}"
	pci_openers "${nodes[@]}"
}

pci_check_idle()
{
	local uses

	uses=$(pci_uses "$1")
	[[ -z $uses ]] || die "$1 is in use: ${uses//$'\n'/; }; --force takes it all the same"
}

# Taking and giving back ---------------------------------------------------------------------------

# Does another run have it, or did one leave it?
pci_check_free()
{
	local owner

	[[ -d $pci_state/$1 ]] || return 0
	! process_noted_before_boot "$pci_state/$1/owner" || return 0
	owner=$(process_noted "$pci_state/$1/owner") &&
		die "$1 is in use: another run, process $owner, is testing it"
	die "$1 was left behind by a run that was killed: repair that first with ./run.sh --restore"
}

# pci_load_vfio_pci DEVICE...: for these.
pci_load_vfio_pci()
{
	local name absent='' bdf denylist=''

	[[ ! -d $pci_bus/drivers/vfio-pci ]] || return 0
	for name in $pci_vfio_modules; do
		[[ -d $pci_root/sys/module/$name ]] || absent+=" $name"
	done
	for bdf; do
		! pci_is_denylisted "$bdf" || denylist=disable_denylist=1
	done
	mkdir -p "$pci_state"
	{ process_identity $$ && printf '%s\n' "$absent"; } >"$pci_state/loaded-vfio-pci"
	note "loading vfio-pci${denylist:+ with $denylist}"
	modprobe vfio-pci $denylist || die "vfio-pci cannot be loaded: modprobe vfio-pci failed"
	# It does not stand on these, but its users do, and either may be built in or left out.
	modprobe -q vfio_iommu_type1 2>/dev/null || true
	modprobe -q iommufd 2>/dev/null || true
}

# Once nobody is lent anything, the modules that were not there before go; whoever uses one
# meanwhile keeps it.
pci_unload_vfio_pci()
{
	local device name names owner

	[[ -e $pci_state/loaded-vfio-pci ]] || return 0
	owner=$(process_noted "$pci_state/loaded-vfio-pci") && [[ $owner != "$$" ]] && return 0
	for device in "$pci_state"/*/; do
		[[ ! -d $device ]] || return 0
	done
	{ read -r _ && read -r names; } <"$pci_state/loaded-vfio-pci" || names=
	rm -f "$pci_state/loaded-vfio-pci"
	for name in $names; do
		[[ ! -d $pci_root/sys/module/$name ]] || modprobe -q -r "$name" 2>/dev/null || true
	done
}

# What runs noted before the machine was booted. Drivers, huge pages and modules are as the boot
# left them, so the notes are all that is to be removed.
pci_forget_other_boots()
{
	local notes

	for notes in "$pci_state"/*; do
		if [[ -d $notes ]] && process_noted_before_boot "$notes/owner"; then
			note "${notes##*/}: lent before the last boot, nothing to give back"
		elif [[ ! -f $notes ]] || ! process_noted_before_boot "$notes"; then
			continue
		fi
		rm -rf "$notes"
	done
}

# Binds a device to vfio-pci, or takes it as it is if it is bound to it already.
pci_take()
{
	local bdf=$1 device=$pci_bus/devices/$1 override driver

	override=$(pci_attribute "$bdf" driver_override)
	driver=$(pci_driver "$bdf")
	mkdir -p "$pci_state/.new.$$"
	process_identity $$ >"$pci_state/.new.$$/owner"
	printf '%s\n' "${override/#(null)/}" >"$pci_state/.new.$$/override"
	printf '%s\n' "$driver" >"$pci_state/.new.$$/driver"
	pci_taken+=("$bdf")
	# One step from no notes to complete notes. It fails if another run was faster.
	if ! mv -T "$pci_state/.new.$$" "$pci_state/$bdf" 2>/dev/null; then
		rm -rf "$pci_state/.new.$$"
		pci_check_free "$bdf"
		die "cannot write to $pci_state"
	fi
	[[ $driver != vfio-pci ]] || return 0

	note "$bdf: from ${driver:-no driver} to vfio-pci"
	printf 'vfio-pci\n' >"$device/driver_override"
	[[ -z $driver ]] || printf '%s\n' "$bdf" >"$device/driver/unbind"
	printf '%s\n' "$bdf" >"$pci_bus/drivers_probe"
	[[ $(pci_driver "$bdf") == vfio-pci ]] ||
		die "$bdf cannot be bound to vfio-pci, the kernel log says why: dmesg | tail"
}

# Undoes what the notes on a device say. False, and the notes stay, if that does not work.
pci_give_back()
{
	local bdf=$1 device=$pci_bus/devices/$1 notes=$pci_state/$1 driver now

	if [[ ! -d $device ]]; then
		note "$bdf: it is gone"
		rm -rf "$notes"
		return 0
	fi
	driver=$(cat "$notes/driver")
	now=$(pci_driver "$bdf")
	if [[ $driver != vfio-pci ]]; then
		[[ $now != vfio-pci ]] || printf '%s\n' "$bdf" >"$device/driver/unbind"
		cat "$notes/override" >"$device/driver_override"
	fi
	if [[ -n $driver && $(pci_driver "$bdf") != "$driver" ]]; then
		printf '%s\n' "$bdf" 2>/dev/null >"$pci_bus/drivers/$driver/bind" || true
	fi
	if [[ $(pci_driver "$bdf") != "$driver" ]]; then
		note "$bdf: cannot be given back to ${driver:-no driver}, dmesg | tail says why;" \
			"try again with ./run.sh --restore"
		return 1
	fi
	[[ $driver == vfio-pci ]] || note "$bdf: back from vfio-pci to ${driver:-no driver}"
	rm -rf "$notes"
}

# Everything this run took, the last first.
pci_give_back_all()
{
	local i status=0

	for ((i = ${#pci_taken[@]} - 1; i >= 0; i--)); do
		[[ $(process_noted "$pci_state/${pci_taken[i]}/owner") == "$$" ]] || continue
		pci_give_back "${pci_taken[i]}" || status=1
	done
	pci_taken=()
	pci_unload_vfio_pci
	return "$status"
}

# run.sh --restore: what runs that no longer exist left behind.
pci_restore()
{
	local notes owner program status=0

	for notes in "$pci_state"/*/; do
		[[ -d $notes ]] || continue
		notes=${notes%/}
		if owner=$(process_noted "$notes/owner"); then
			note "${notes##*/}: process $owner is testing it, left alone"
			status=1
			continue
		fi
		if program=$(process_noted "$notes/program"); then
			note "${notes##*/}: ending the test program $program that was left running"
			kill -KILL "$program"
			sleep 1
		fi
		pci_give_back "${notes##*/}" || status=1
	done
	for notes in "$pci_state"/.new.*; do
		[[ -e /proc/${notes##*.} ]] || rm -rf "$notes"
	done
	pci_unload_vfio_pci
	return "$status"
}
