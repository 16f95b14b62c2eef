#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# lab/classify-console.sh tells a kernel's last words apart. A log it takes for clean by mistake
# would let a test pass on a broken kernel; a stall it takes for the kernel's fault, or the other
# way round, would blame the wrong one. Needs nothing but bash and awk.

set -euo pipefail

top=$(realpath "$(dirname "$0")/../..")
readonly classify=$top/lab/classify-console.sh
log=$(mktemp)
readonly log
trap 'rm -f "$log"' EXIT

cases=0
failures=0

result() {
	cases=$((cases + 1))
	if (($1)); then
		failures=$((failures + 1))
		printf 'not '
	fi
	printf 'ok %d %s\n' "$cases" "$2"
}

# expect KIND NAME: the log on stdin is of that kind.
expect() {
	local kind=$1 name=$2 said

	cat >"$log"
	said=$("$classify" "$log")
	if [[ ${said%% *} == "$kind" ]]; then
		result 0 "$name"
	else
		result 1 "$name"
		printf '# expected %s, got: %s\n' "$kind" "$said"
	fi
}

# excerpt_has NAME TEXT: the excerpt of the log on stdin contains the text.
excerpt_has() {
	cat >"$log"
	if "$classify" --excerpt "$log" | grep -qF -e "$2"; then
		result 0 "$1"
	else
		result 1 "$1"
	fi
}

quiet_boot() {
	cat <<-'END'
	[    0.000000] Linux version 6.12.117 (root@builder) (gcc) #1 SMP
	[    0.942429] **  IOMMU DebugFS SUPPORT HAS BEEN ENABLED IN THIS KERNEL  **
	[    1.473294] kvm_intel: VMX not supported by CPU 1
	[    1.500000] pci 0000:00:1f.2: BUG suspected in the firmware's table, ignored
	[    1.510000] ACPI: BIOS warning: this is not a WARNING: of ours
	END
}

echo 'TAP version 13'

expect clean an_empty_log_is_clean </dev/null

# Not through a pipe: what expect counts would be lost with its subshell.
expect clean a_quiet_boot_is_clean < <(quiet_boot)

expect clean a_quoted_word_is_no_warning <<'END'
[    2.000000] nvme nvme0: controller said WARNING: too warm
[    2.100000] foo: Kernel panic - not syncing is not at the start of this line
END

# Tests make devices do DMA to where nothing is mapped.
expect clean a_refused_dma_is_the_iommu_at_work <<'END'
[    6.000000] DMAR: DRHD: handling fault status reg 2
[    6.000100] DMAR: [DMA Write NO_PASID] Request device [01:00.0] fault addr 0x40000
[    6.000200] AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:00:08.0 address=0x40000]
END

expect warning a_warn_is_a_warning <<'END'
[    4.100000] ------------[ cut here ]------------
[    4.100100] WARNING: CPU: 2 PID: 77 at drivers/vfio/pci/vfio_pci_intrs.c:10 some_function+0x1/0x2
[    4.100200] Call Trace:
END

expect clean a_cpu_that_stopped_for_the_restart_is_no_warning <<'END'
[   11.510000] reboot: Restarting system
[   11.518921] ------------[ cut here ]------------
[   11.520447] sched: Unexpected reschedule of offline CPU#3!
[   11.520910] WARNING: CPU: 2 PID: 0 at x86/kernel/apic/ipi.c:70 native_smp_send_reschedule+0x1/0x2
END

expect clean nor_is_it_in_later_kernels <<'END'
[   11.510000] reboot: Restarting system
[   11.520910] WARNING: x86/kernel/apic/ipi.c:70 at native_smp_send_reschedule+0x1/0x2, CPU#2
END

expect warning before_the_restart_it_is_a_warning <<'END'
[   11.520910] WARNING: CPU: 2 PID: 0 at x86/kernel/apic/ipi.c:70 native_smp_send_reschedule+0x1/0x2
[   11.530000] reboot: Restarting system
END

expect warning another_one_at_the_restart_is_a_warning <<'END'
[   11.510000] reboot: Restarting system
[   11.520910] WARNING: CPU: 2 PID: 1 at kernel/irq/manage.c:10 some_function+0x1/0x2
END

expect warning a_refcount_underflow_is_a_warning <<'END'
[    4.100000] refcount_t: underflow; use-after-free.
END

expect oops a_null_dereference_is_an_oops <<'END'
[    5.000000] BUG: kernel NULL pointer dereference, address: 0000000000000008
[    5.000100] #PF: supervisor read access in kernel mode
[    5.000200] Oops: Oops: 0000 [#1] SMP
END

expect oops a_bug_is_an_oops <<'END'
[    5.000000] kernel BUG at virt/kvm/kvm_main.c:1!
[    5.000100] Oops: invalid opcode: 0000 [#1] SMP
END

expect oops a_sanitizer_report_is_an_oops <<'END'
[    5.000000] ==================================================================
[    5.000100] BUG: KASAN: slab-use-after-free in some_function+0x10/0x20
END

expect oops a_soft_lockup_is_an_oops <<'END'
[   60.000000] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [vcpu:99]
END

expect oops a_general_protection_fault_is_an_oops <<'END'
[    5.000000] general protection fault, probably for non-canonical address 0xdead000000000100
END

expect panic a_panic_beats_the_oops_before_it <<'END'
[    5.000000] BUG: unable to handle page fault for address: ffffc90000000000
[    5.000200] Oops: Oops: 0002 [#1] SMP
[    5.000300] Kernel panic - not syncing: Fatal exception
END

expect panic a_panic_without_times_is_a_panic <<'END'
sysrq: Trigger a crash
Kernel panic - not syncing: sysrq triggered crash
END

expect panic a_serial_line_may_end_in_a_carriage_return \
	< <(printf '[    9.000000] Kernel panic - not syncing: Attempted to kill init!\r\n')

expect panic a_line_may_name_its_caller <<'END'
[    9.000000][   T42] Kernel panic - not syncing: hung_task: blocked tasks
END

expect lockdep a_circular_dependency_is_of_lockdep <<'END'
[    3.000000] ======================================================
[    3.000100] WARNING: possible circular locking dependency detected
[    3.000200] 6.12.117 #1 Not tainted
END

expect lockdep a_recursion_is_of_lockdep <<'END'
[    3.000100] WARNING: possible recursive locking detected
END

expect lockdep an_inconsistent_lock_state_is_of_lockdep <<'END'
[    3.000100] WARNING: inconsistent lock state
END

expect lockdep suspicious_rcu_usage_is_of_lockdep <<'END'
[    3.000100] WARNING: suspicious RCU usage
END

expect lockdep an_interrupt_unsafe_order_is_of_lockdep <<'END'
[    3.000100] WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected
END

expect lockdep an_invalid_wait_context_is_of_lockdep <<'END'
[    3.000100] [ BUG: Invalid wait context ]
END

expect lockdep a_lock_still_held_is_of_lockdep <<'END'
[    3.000100] WARNING: vfio_pci_device/88 still has locks held!
END

expect lockdep a_validator_that_gave_up_is_of_lockdep <<'END'
[   13.000100] lab: lockdep has turned itself off
END

expect oops a_sleep_in_atomic_context_is_an_oops <<'END'
[    3.000100] BUG: sleeping function called from invalid context at mm/slub.c:1
END

expect oops a_sanitizer_beats_the_warning_before_it <<'END'
[    5.000000] WARNING: CPU: 2 PID: 77 at lib/debugobjects.c:1 debug_print_object+0x1/0x2
[    5.000100] BUG: KASAN: vmalloc-out-of-bounds in some_function+0x10/0x20
END

expect hung a_blocked_task_is_hung <<'END'
[  120.000000] INFO: task vfio_pci_device:88 blocked for more than 120 seconds.
END

expect stall an_rcu_stall_is_a_stall <<'END'
[   30.000000] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:
[   30.000100] rcu: 	2-...!: (1 GPs behind) idle=1234/0/0x0 softirq=10/10 fqs=0
END

expect stall a_self_detected_rcu_stall_is_a_stall <<'END'
[   30.000000] rcu: INFO: rcu_preempt self-detected stall on CPU
END

expect stall a_lost_timer_is_a_stall <<'END'
[   30.000300] rcu: rcu_sched kthread timer wakeup didn't happen for 5250 jiffies! g100 f0x0
[   30.000400] rcu: 	Possible timer handling issue on cpu=2 timer-softirq=10
END

expect oops an_oops_beats_the_stall_it_causes <<'END'
[    5.000000] BUG: kernel NULL pointer dereference, address: 0000000000000008
[   30.000000] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:
END

dying_kernel() {
	quiet_boot
	echo '[    6.000000] Kernel panic - not syncing: sysrq triggered crash'
	echo '[    6.000100] CPU: 1 UID: 0 PID: 1 Comm: init'
}

excerpt_has an_excerpt_shows_what_follows 'Comm: init' < <(dying_kernel)

excerpt_has an_excerpt_of_a_clean_log_is_its_end 'this is not a WARNING' < <(quiet_boot)

printf '1..%d\n' "$cases"
((failures == 0))
