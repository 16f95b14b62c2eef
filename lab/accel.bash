# shellcheck shell=bash disable=SC2154,SC2034 # boot.sh sets what is used here and uses what is set
# SPDX-License-Identifier: GPL-2.0-only
#
# Chooses between KVM and TCG for the lab; boot.sh sources this file. TCG always works. KVM is
# faster, and of use only where the lab's own KVM then runs a guest. Posting is emulated, by TCG.

# ruled_out: whether nested virtualisation is impossible by what can be read about it; the reason
# is left in why_not.
ruled_out() {
	local nested

	nested=$(grep -l '^[Y1]' /sys/module/kvm_{amd,intel}/parameters/nested 2>/dev/null || true)
	if [[ ! -r /dev/kvm || ! -w /dev/kvm ]]; then
		why_not="/dev/kvm is not there or not accessible"
	elif ! grep -qwE 'svm|vmx' /proc/cpuinfo; then
		why_not="the CPU has neither SVM nor VMX"
	elif [[ -z $nested ]]; then
		why_not="nested virtualisation is off in kvm_amd or kvm_intel"
	else
		return 1
	fi
}

# try_nested: runs a guest of one instruction in a lab under KVM.
try_nested() {
	local trial=$log_dir/.trial status=0

	say "trying whether nested virtualisation works here, once"
	rm -rf "$trial"
	mkdir -p "$trial/payload"
	"$0" --accel trial --iommu "$iommu" --qemu "$qemu" --kernel "$kernel" --timeout 20 \
		${modules:+--modules "$modules"} \
		--log-dir "$trial" --payload "$trial/payload" -- /lab/nested-probe \
		>/dev/null 2>"$log_dir/kvm-trial.log" || status=$?
	rm -rf "$trial"
	return "$status"
}

# nested_works: whether KVM can run the lab, and the lab's KVM a guest. It is tried once for each
# combination of kernels and QEMU, and remembered.
nested_works() {
	local cache=${KVM_VFIO_TESTS_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/kvm-vfio-tests}
	local key answer

	! ruled_out || return 1
	key=$({
		uname -rv
		stat -L -c '%n %s %Y' "$qemu" "$kernel"
		echo "$iommu ${QEMU_EXTRA:-}"
	} | sha256sum | cut -c 1-16)
	answer=$cache/lab/nested-$key
	if [[ ! -s $answer ]]; then
		mkdir -p "$cache/lab"
		if try_nested; then
			echo yes >"$answer"
		else
			echo no >"$answer"
		fi
	fi
	why_not="a guest does not run in a lab under KVM here"
	[[ $(<"$answer") == yes ]]
}

# posts: whether the lab is to post interrupts.
posts() {
	((!no_posting)) && [[ $iommu == amd ]] && devices --can-post
}

# choose_accel: turns accel into tcg or kvm.
choose_accel() {
	local why_not=''

	case $accel in
	trial) accel=kvm ;;
	auto)
		accel=tcg
		posts || ! nested_works || accel=kvm ;;
	kvm) nested_works || die "--accel kvm is not possible: $why_not." ;;
	esac
	[[ $accel == tcg ]] || no_posting=1
}
