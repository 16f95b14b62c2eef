#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: nested-linux.sh CPUS x2apic|xapic posted|injected
#
# In the lab: boots the lab's own kernel once more, under a QEMU with KVM, until nested-init has
# had its say, and looks how the interrupts got to it. With AVIC (posted) KVM has next to none
# to inject by itself, without (injected) all of them. TAP on stdout; exit status 0 or 1.

set -u

cpus=$1 mode=$2 path=$3
log=/tmp/nested.log
vmm=''

# The interface of the hypervisor that would spare the guest its IPIs is off: they are what
# is to be tested. A PIT that catches up on lost ticks forbids AVIC.
start() {
	local parameters="console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check mitigations=off"

	parameters+=" random.trust_cpu=on cpus=$cpus apic_mode=$mode"
	[[ $mode == x2apic ]] || parameters+=" nox2apic"
	./qemu.sh -machine q35 -cpu \
		host,kvm-pv-ipi=off,kvm-pv-tlb-flush=off,kvm-pv-eoi=off,kvm-pv-unhalt=off \
		-global kvm-pit.lost_tick_policy=discard -smp "$cpus" -m 256 \
		-kernel nested-kernel -initrd nested.cpio -append "$parameters" \
		-serial "file:$log" >/tmp/nested.qemu 2>&1 &
	vmm=$!
}

# stat_of NAME: a counter of KVM for this VM, the only one with such a name in front.
stat_of() {
	cat "/sys/kernel/debug/kvm/$vmm-"*"/$1"
}

# The bound is that of the item: this waits for the guest or the end of QEMU.
await_end() {
	until grep -qE '^(end|stopped)' "$log" 2>/dev/null; do
		kill -0 "$vmm" 2>/dev/null || return 1
		sleep 0.2
	done
}

# judge_path NUMBER DELIVERED: the line of TAP on how the interrupts came.
judge_path() {
	local number=$1 delivered=$2 injected

	injected=$(stat_of irq_injections)
	echo "# $delivered interrupts delivered, $injected injected by KVM," \
		"$(stat_of exits) exits, $(stat_of irq_window_exits) for an interrupt window"
	if [[ $path == posted ]]; then
		# While the kernel boots with the PIC, KVM injects in any case.
		((injected * 10 < delivered)) || printf 'not '
		echo "ok $number no_interrupt_had_to_be_injected"
	else
		((injected * 2 > delivered)) || printf 'not '
		echo "ok $number interrupts_were_injected"
	fi
}

main() {
	local said results

	: >"$log"
	start
	trap 'kill -KILL "$vmm" 2>/dev/null' EXIT
	trap 'exit 1' TERM
	if ! await_end; then
		echo "# the nested Linux did not get to its end"
		cat /tmp/nested.qemu
	fi
	said=$(tr -d '\r' <"$log")
	results=$(sed -n '/^begin/,/^\(end\|stopped\)/{/^\(not \)\?ok\|^#/p}' <<<"$said")
	[[ -n $results ]] || printf '%s\n' "$said" | tail -n 20
	results+=$'\n'$(judge_path "$(($(grep -c 'ok ' <<<"$results") + 1))" \
		"$(sed -n 's/^interrupts //p' <<<"$said")")
	printf '%s\n' "$results"
	! grep -q '^not ok' <<<"$results" && grep -q '^end' <<<"$said"
}

main
