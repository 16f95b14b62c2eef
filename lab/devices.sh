#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The lab's IOMMU and PCI devices: which ones this QEMU offers, where they appear in the lab,
# and the QEMU arguments that make them. One place knows all three, so they cannot disagree.
#
#   lab/devices.sh [OPTION]...               lines of: NAME BDF
#   lab/devices.sh [OPTION]... --args DIR    QEMU arguments, one a line
#   lab/devices.sh [OPTION]... --parameters  kernel parameters
#   lab/devices.sh [OPTION]... --can-post    status 0 if it is a QEMU with the series of lab/qemu/,
#                                            otherwise 1
#
#   --iommu intel|amd, --qemu BIN
#   --no-posting    the AMD-Vi model posts no interrupt, though it could
#
# DIR is where the NVMe devices' media are made. Exit codes: 0, 1 see above, 2 usage or environment.

set -euo pipefail

readonly cache=${KVM_VFIO_TESTS_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/kvm-vfio-tests}/lab

# Every device the lab knows, in the order of their places. `group` is two in one IOMMU group, an
# nvme and an edu as functions of one slot; without ACS they could reach each other past the IOMMU.
# Those from irq-testdev on are of lab/qemu/, no released QEMU has them.
readonly known=(nvme edu igb group irq-testdev ioat dsa ptdma)

usage() {
	sed -n '/^# The lab/,/^$/s/^# \{0,1\}//p' "$0"
}

die() {
	printf 'devices: %s\n' "$*" >&2
	exit 2
}

# has_device NAME, iommu_takes PROPERTY: what the QEMU at hand has, by the file with its answers.
# Every QEMU has the two of the group.
has_device() {
	[[ $1 == group ]] || grep -qx "device $1" "$answers"
}

iommu_takes() {
	grep -q "^  *$1=" "$answers"
}

# takes_eim QEMU: whether VT-d can remap x2APIC destinations without KVM, as from QEMU 9.0 on. It
# has always been a property, so it takes a machine to know.
takes_eim() {
	echo quit | timeout 10 "$1" -machine q35,kernel-irqchip=off -accel tcg -cpu max \
		-nodefaults -display none -S -monitor stdio \
		-device intel-iommu,intremap=on,eim=on >/dev/null 2>&1
}

# can_post: whether it is a QEMU with the series of lab/qemu/, which brings the property gamsup. It
# then has the series' repairs too, for both IOMMUs.
can_post() {
	grep -qx 'can post' "$answers"
}

# ask QEMU IOMMU: sets answers to a file that says which of our devices the QEMU has, with the
# properties of its IOMMU device. Starting QEMU this often takes a while, so the file is kept.
# Asked for one device at a time, because the list of all of them loads every module.
ask() {
	local qemu=$1 model=$2 key device

	key=$({ stat -L -c '%n %s %Y' "$qemu" "$0" && echo "$model"; } |
		sha256sum | cut -c 1-16)
	answers=$cache/qemu-$key
	if [[ -s $answers ]]; then
		touch -c "$answers"
		return
	fi
	mkdir -p "$cache"
	# Those of checkouts and QEMUs that nobody uses any more.
	find "$cache" -ignore_readdir_race -name 'qemu-*' -mtime +7 -delete
	if ! "$qemu" -device "$model,help" >"$answers.$$" 2>/dev/null; then
		rm -f "$answers.$$"
		die "$qemu has no device $model, or does not run."
	fi
	for device in "${known[@]}"; do
		# Whether it knows the device or not, it says so with status 0.
		if "$qemu" -device "$device,help" 2>/dev/null | grep -q "^$device options"; then
			echo "device $device" >>"$answers.$$"
		fi
	done
	if "$qemu" -device amd-iommu,help 2>/dev/null | grep -q '^ *gamsup='; then
		echo "can post" >>"$answers.$$"
	fi
	if "$qemu" -device nvme,help 2>/dev/null | grep -q '^ *x-pcie-imm-ready='; then
		echo "imm ready" >>"$answers.$$"
	fi
	if [[ $model == intel-iommu ]] && takes_eim "$qemu"; then
		echo "eim with TCG" >>"$answers.$$"
	fi
	mv "$answers.$$" "$answers"
}

# place_of DEVICE: its index among the known devices, which fixes its address.
place_of() {
	local i

	for i in "${!known[@]}"; do
		if [[ ${known[i]} == "$1" ]]; then
			echo "$i"
		fi
	done
}

# Each device sits behind a root port of its own, which gives it a bus to reset. The firmware
# numbers the buses in the order of the ports. The AMD-Vi model of a stock QEMU translates the DMA
# of a device behind a root port by the wrong entry of its device table, so there they sit on the
# root bus.
behind_ports() {
	[[ $iommu == intel ]] || can_post
}

bdf_of() {
	local place slot

	place=$(place_of "$1")
	if behind_ports; then
		printf -v slot '0000:%02x:00' "$((place + 1))"
	else
		printf -v slot '0000:00:%02x' "$((place + 8))"
	fi
	if [[ $1 == group ]]; then
		echo "$slot.0+$slot.1"
	else
		echo "$slot.0"
	fi
}

# A root port per known device, present or not: a bus number must not depend on what the QEMU
# at hand offers. At 5 GT/s, for after a reset of a faster bus Linux waits a second for a link of
# which QEMU never says that it is up.
port_args() {
	local device place port

	for device in "${known[@]}"; do
		place=$(place_of "$device")
		# Slot 14, as QEMU counts, is where Linux looks for the SMBus, see iommu_args.
		port=id=port$place,chassis=$((place + 1)),addr=$((place + 10 + (place >= 4))).0
		printf '%s\n' -device "pcie-root-port,$port,x-speed=5"
	done
}

# nvme_args ID FILE OPTIONS: the medium may be overwritten, it is made anew for each lab.
nvme_args() {
	truncate -s 64M "$2"
	printf '%s\n' -drive "if=none,id=$1,format=raw,file=${2//,/,,}" -device \
		"nvme,$3,drive=$1,serial=$1,max_ioqpairs=16"
}

# device_args DEVICE DIR
device_args() {
	local device=$1 dir=$2 place at ready=''

	place=$(place_of "$device")
	if behind_ports; then
		at=bus=port$place,addr=0
	else
		at=bus=pcie.0,addr=$(printf '%x' "$((place + 8))")
	fi
	# A VFIO device is reset whenever it is opened or closed. It saves Linux the wait after.
	if grep -qx 'imm ready' "$answers"; then
		ready=,x-pcie-imm-ready=on
	fi
	case $device in
	nvme)
		# 16 I/O queues, and more interrupts than the lab's CPUs have vectors for.
		nvme_args lab "$dir/nvme.img" "$at$ready,msix_qsize=2048" ;;
	edu)
		printf '%s\n' -device "edu,$at$ready" ;;
	irq-testdev | ioat | dsa | ptdma)
		printf '%s\n' -device "$device,$at$ready" ;;
	igb)
		printf '%s\n' -netdev hubport,id=net,hubid=0 -device "igb,$at$ready,netdev=net" ;;
	group)
		# With memory of its own, for the other one to write to.
		nvme_args group "$dir/nvme-group.img" "$at.0$ready,multifunction=on,cmb_size_mb=1"
		printf '%s\n' -device "edu,$at.1$ready" ;;
	esac
}

# kernel_parameters:
#   intel_iommu     for a kernel whose default is off
#   kvm_amd.avic    for a kernel whose default is off: without AVIC nothing is posted
#   lab.no_intx     early releases of QEMU whose AMD-Vi has xtsup set the IOAPIC up too early, and
#                   its interrupts go nowhere
kernel_parameters() {
	if [[ $iommu == intel ]]; then
		echo intel_iommu=on
	elif can_post; then
		((!posting)) || echo kvm_amd.avic=1
	elif iommu_takes xtsup; then
		echo lab.no_intx=1
	fi
}

iommu_args() {
	local options=intremap=on

	if [[ $iommu == intel ]]; then
		! grep -qx 'eim with TCG' "$answers" || options+=,eim=on
		printf '%s\n' -device "intel-iommu,$options,device-iotlb=on"
		return
	fi
	# Left at its default of pt=on the model translates no DMA at all.
	options+=,pt=off
	if iommu_takes xtsup; then
		options+=,xtsup=on
	fi
	if can_post && ((posting)); then
		options+=,gamsup=on
	fi
	printf '%s\n' -device "amd-iommu,$options"
	# Linux trusts AMD's interrupt remapping only if the IOAPIC's source id is the address of
	# an SMBus or ISA bridge. QEMU says 00:14.0 and has nothing there, so this poses as one.
	printf '%s\n' -blockdev null-co,node-name=smbus,size=1048576 \
		-device virtio-blk-pci,class=0x0c05,addr=14.0,drive=smbus
}

main() {
	local qemu=${QEMU:-qemu-system-x86_64} dir='' device path wanted=''
	iommu=intel
	posting=1

	while [[ $# -gt 0 ]]; do
		case $1 in
		--help) usage; exit 0 ;;
		--no-posting) posting=0; shift; continue ;;
		--parameters | --can-post) wanted=$1; shift; continue ;;
		--iommu | --qemu | --args)
			[[ $# -ge 2 ]] || die "$1 needs a value." ;;
		*) die "unknown argument '$1'." ;;
		esac
		case $1 in
		--iommu) iommu=$2 ;;
		--qemu) qemu=$2 ;;
		--args) dir=$2 ;;
		esac
		shift 2
	done
	[[ $iommu == intel || $iommu == amd ]] || die "--iommu is intel or amd, not '$iommu'."
	path=$(type -P "$qemu") || die "there is no $qemu: install the package qemu-system-x86."

	ask "$path" "$iommu-iommu"
	case $wanted in
	--parameters)
		kernel_parameters
		return ;;
	--can-post)
		can_post || exit 1
		return ;;
	esac
	if [[ -z $dir ]]; then
		for device in "${known[@]}"; do
			! has_device "$device" || echo "$device $(bdf_of "$device")"
		done
		return
	fi
	iommu_args
	! behind_ports || port_args
	for device in "${known[@]}"; do
		! has_device "$device" || device_args "$device" "$dir"
	done
}

main "$@"
