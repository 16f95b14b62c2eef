#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: dmatest.sh NAME=BDF...
#
# In the lab: has Linux's own driver of each DMA engine bind to it, copy with the kernel's dmatest
# and let go of it again. NAME is that of the model, ioat, dsa or ptdma. Prints a line for each
# judgement, `NAME SENTENCE: OBJECTION`, of which the objection is empty if the sentence is true.

set -uo pipefail

iterations=100 threads=2 seconds=60
parameters=/sys/module/dmatest/parameters

declare -A driver_of=([ioat]=ioatdma [dsa]=idxd [ptdma]=ptdma)

# judge SENTENCE OBJECTION
judge()
{
	printf '%s %s: %s\n' "$name" "$1" "$2"
}

# within SECONDS COMMAND...: waits until the command succeeds.
within()
{
	local end=$((SECONDS + $1))

	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done
}

is_bound()
{
	[[ $(readlink "$device/driver") == */"${driver_of[$name]}" ]]
}

# channels: those that the driver has registered for the device.
channels()
{
	local channel

	for channel in /sys/class/dma/*; do
		[[ $(realpath "$channel/device") != "$(realpath "$device")" ]] ||
			printf '%s\n' "${channel##*/}"
	done
}

# configure_dsa: two work queues for the kernel, each with an engine of its own.
configure_dsa()
{
	local dsa=/sys/bus/dsa instance queue n

	instance=$(basename "$device"/dsa*)
	for n in 0 1; do
		queue=$dsa/devices/wq${instance#dsa}.$n
		echo "$n" >"$dsa/devices/engine${instance#dsa}.$n/group_id" &&
			echo "$n" >"$queue/group_id" && echo dedicated >"$queue/mode" &&
			echo 16 >"$queue/size" && echo 10 >"$queue/priority" &&
			echo kernel >"$queue/type" && echo "dmatest$n" >"$queue/name" &&
			echo dmaengine >"$queue/driver_name" || return
	done
	echo "$instance" >$dsa/drivers/idxd/bind || return
	for n in 0 1; do
		echo "wq${instance#dsa}.$n" >$dsa/drivers/dmaengine/bind || return
	done
}

# release_dsa: as its users should before the device goes. idxd looks after queues that it has freed
# if it goes while enabled, see docs/device-models.md.
release_dsa()
{
	local dsa=/sys/bus/dsa instance n

	instance=$(basename "$device"/dsa*)
	for n in 0 1; do
		echo "wq${instance#dsa}.$n" >$dsa/drivers/dmaengine/unbind || return
	done
	echo "$instance" >$dsa/drivers/idxd/unbind
}

# interrupts: how many the device has raised on all CPUs.
interrupts()
{
	(cd "$device/msi_irqs" && echo *) | tr ' ' '\n' | awk '
	NR == FNR { mine[$1 ":"] = 1; next }
	$1 in mine { for (i = 2; $i ~ /^[0-9]+$/; i++) sum += $i }
	END { print sum + 0 }' - /proc/interrupts
}

# summaries [SENTENCE]: how many threads of dmatest are over, and say so.
summaries()
{
	dmesg | grep -c "dmatest: .*summary $iterations tests, ${1:-}"
}

# has_ended THREADS: the parameter `run` reads N as well while they have not begun.
has_ended()
{
	(($(summaries) == $1))
}

# dmatest lets go of its channels when it is asked whether it runs, and does not.
lets_go()
{
	[[ $(<"$parameters/run") == N ]]
}

# run_dmatest CHANNEL...: says what objection there is.
run_dmatest()
{
	local channel passed wanted=$(($# * threads))

	dmesg -c >/dev/null
	for channel; do
		echo "$channel" >"$parameters/channel" || return
	done
	echo 1 >"$parameters/run"
	within "$seconds" has_ended "$wanted" || echo "dmatest is not over after $seconds s"
	within 5 lets_go || echo "dmatest holds its channels"
	dmesg | grep dmatest: >&2
	passed=$(summaries '0 failures')
	((passed == wanted)) || echo "$passed of $wanted threads of dmatest passed"
}

judge_device()
{
	local before objection='' found threads=$threads least=1

	if ! within 5 is_bound; then
		judge linux_binds_to_it "${driver_of[$name]} did not"
		return
	fi
	[[ $name != dsa ]] || objection=$(configure_dsa 2>&1 || echo failed)
	# Two threads at once are more than Linux's driver can take, see docs/device-models.md. A
	# single one waits for an interrupt each time, and does not fail for want of it.
	[[ $name != ptdma ]] || { threads=1 && least=$iterations; }
	echo "$threads" >"$parameters/threads_per_chan"
	mapfile -t found < <(channels)
	((${#found[@]})) || objection+=" it has no channel"
	judge linux_binds_to_it "$objection"
	before=$(interrupts)
	judge dmatest_copies_what_it_should "$(run_dmatest "${found[@]}" 2>"/tmp/$name.dmatest")"
	sed "s/^/# /" "/tmp/$name.dmatest"
	before=$(($(interrupts) - before))
	judge it_interrupts "$( ((before >= least)) || echo "$before interrupts during dmatest")"
	echo "# $name: ${#found[@]} channels, $before interrupts for $((${#found[@]} * threads *
		iterations)) copies"
	objection=''
	[[ $name != dsa ]] || objection=$(release_dsa 2>&1 || echo failed)
	judge linux_lets_go_and_binds_again "$objection$(
		(echo "$bdf" >"$device/driver/unbind" &&
			echo "$bdf" >"/sys/bus/pci/drivers/${driver_of[$name]}/bind") 2>&1
		is_bound || echo "not bound")"
}

echo "$iterations" >"$parameters/iterations"
for argument; do
	name=${argument%%=*} bdf=${argument#*=}
	device=/sys/bus/pci/devices/$bdf
	judge_device
done
