# shellcheck shell=bash disable=SC2154,SC2034 # boot.sh sets what is used here and uses what is set
# SPDX-License-Identifier: GPL-2.0-only
#
# Watches a running lab until it is over; boot.sh sources this file. The lab's control channel
# says how far it is, the console what the kernel thinks of it, and the monitor of QEMU what its
# CPUs are doing when they no longer tell themselves.
#
# watch() leaves its findings in these variables:
#
#   verdict   ended     the command reported its exit status, which is in status
#             died      QEMU ended before that
#             late      a time limit passed
#             hung      the kernel no longer runs on some CPU, and it is the kernel's doing
#             stalled   some CPU no longer gets its timer interrupt: the emulation's doing
#   detail    what was seen, as the end of a sentence
#   booted    the lab's uptime when the command started, in seconds, or nothing

# Ticks come once a second from every CPU. A CPU this many behind the others has stopped. The
# lab's tests of itself have no patience for as many.
readonly max_lag=${LAB_MAX_LAG:-15}
# With no message from any CPU for this many seconds the whole lab has stopped.
readonly max_silence=$((max_lag * 2))
# A kernel that has not started the command after this many seconds will not.
readonly max_boot=120

# pump: forwards what has arrived of the command's output since the last call. QEMU writes files
# because a pipe that is full would stop the lab in mid-write.
pump() {
	cat <&"$out_fd"
	cat <&"$err_fd" >&2
}

# hear LINE: takes in a message from the lab.
hear() {
	local word a b cpu

	read -r word a b _ <<<"$1"
	silence=0
	case $word in
	boot)
		# Also after a kexec, when the CPUs count from 0 again.
		phase=booted
		phase_time=0
		for ((cpu = 0; cpu < smp; cpu++)); do
			ticks[cpu]=0
		done
		[[ -z $hold_open ]] || exec {hold_open}>&-
		hold_open='' ;;
	run)
		phase=running
		booted=$a
		phase_time=0 ;;
	shell) phase=shell ;;
	tick) ticks[a]=$b ;;
	exit)
		phase=ended
		status=$a
		phase_time=0 ;;
	esac
}

# registers FILE: asks QEMU's monitor for the registers of all CPUs. It answers in plain lines
# with no mark at their end, so the number of CPUs tells when all has been said.
registers() {
	local line left=$smp

	echo 'info registers -a' >&"$monitor_in"
	: >"$1"
	while ((left)) && read -r -t 5 -u "$monitor_out" line; do
		printf '%s\n' "${line%$'\r'}" >>"$1"
		[[ $line != *HLT=* ]] || left=$((left - 1))
	done
	((left == 0))
}

# in_kernel_loop FILE CPU: whether the CPU is executing the lab kernel's own code, or was halted
# with interrupts off. Halted with interrupts on, in user space or in the nested guest it could
# take a timer interrupt if one came.
in_kernel_loop() {
	awk -v cpu="CPU#$2" '
	/^CPU#/ { mine = $1 == cpu }
	mine && /RIP=/ {
		match($0, /RIP=[0-9a-f]+/); rip = substr($0, RSTART + 4, RLENGTH - 4)
		match($0, /RFL=[0-9a-f]+/); flags = substr($0, RSTART + 4, RLENGTH - 4)
		halted = /HLT=1/
		# Bit 9 of RFLAGS is the second bit of its third digit from the right.
		on = index("2367abef", substr(flags, length(flags) - 2, 1)) > 0
		looping = halted ? !on : rip ~ /^ffffffff/
	}
	END { exit !looping }' "$1"
}

# rip_of FILE CPU: where the CPU is.
rip_of() {
	awk -v cpu="CPU#$2" '
	/^CPU#/ { mine = $1 == cpu }
	mine && sub(/^RIP=/, "") { print $1 }' "$1"
}

# lagging LAG: the CPUs that are so many ticks behind the foremost one.
lagging() {
	local cpu foremost=0

	for ((cpu = 0; cpu < smp; cpu++)); do
		((ticks[cpu] <= foremost)) || foremost=${ticks[cpu]}
	done
	for ((cpu = 0; cpu < smp; cpu++)); do
		((foremost - ticks[cpu] < $1)) || printf '%s ' "$cpu"
	done
}

# judge_silence: QEMU's monitor says nothing. It may be about to leave, as the lab went down; then
# the end of the control channel is the verdict.
judge_silence() {
	local tries

	for ((tries = 0; tries < 30; tries++)); do
		if qemu_is_gone; then
			verdict=''
			return
		fi
		sleep 0.1
	done
	detail="QEMU itself no longer answers"
}

# judge_cpus CPU...: decides between hung and stalled. A CPU that is in the kernel's code each
# time one looks is not coming out.
judge_cpus() {
	local file=$log_dir/cpus.log cpu look looping

	verdict=stalled
	for cpu in "$@"; do
		looping=1
		for ((look = 0; look < 4; look++)); do
			if ! registers "$file"; then
				judge_silence
				return
			fi
			in_kernel_loop "$file" "$cpu" || looping=0
			sleep 0.3
		done
		if ((looping)); then
			verdict=hung
			detail="CPU $cpu never leaves the kernel, at $(rip_of "$file" "$cpu")"
			return
		fi
	done
	detail="CPU $* no longer gets timer interrupts"
}

all_cpus() {
	seq -s ' ' 0 $((smp - 1))
}

# check_console: true if the kernel has said that it misses a CPU or a timer. Only a log that
# has grown is read again.
check_console() {
	local size

	size=$(stat -c %s "$log_dir/console.log" 2>/dev/null || echo 0)
	[[ $size != "$console_size" ]] || return 1
	console_size=$size
	[[ $("$here/classify-console.sh" "$log_dir/console.log") == stall* ]]
}

# inspect: what is to be looked at once a second. Sets verdict if the lab is over.
inspect() {
	local late

	# Whoever has stopped the machine by gdb knows why it is silent.
	((!gdb)) || return 0
	silence=$((silence + 1))
	phase_time=$((phase_time + 1))
	late=$(lagging "$max_lag")
	if [[ $phase == ended ]]; then
		# The machine resets at once, or never.
		((phase_time < 10)) || verdict=ended
	elif [[ $phase == boot* ]] && ((phase_time >= max_boot)); then
		# shellcheck disable=SC2046 # CPU numbers
		judge_cpus $(all_cpus)
		detail="the kernel did not start the command in $max_boot s: $detail"
	elif [[ $phase == running ]] && ((timeout && phase_time >= timeout)); then
		verdict=late
		detail="the command was still running after $timeout s"
	elif [[ $phase == running ]] && ((silence >= max_silence)); then
		# shellcheck disable=SC2046 # CPU numbers
		judge_cpus $(all_cpus)
	elif [[ $phase == running && -n $late ]]; then
		# shellcheck disable=SC2086 # CPU numbers
		judge_cpus $late
	elif check_console; then
		late=$(lagging 3)
		# shellcheck disable=SC2086 # CPU numbers
		judge_cpus $late
		[[ -n $late ]] || detail="the kernel misses a timer or a CPU, see the console log"
	fi
}

# qemu_is_gone: asked only until the lab speaks, afterwards the end of the control channel says it.
qemu_is_gone() {
	! kill -0 "$qemu_pid" 2>/dev/null
}

watch() {
	local line rc cpu
	local phase=booting phase_time=0 silence=0 console_size=0 now=$SECONDS
	local -a ticks=()

	verdict=''
	detail=''
	status=''
	booted=''
	for ((cpu = 0; cpu < smp; cpu++)); do
		ticks[cpu]=0
	done
	while [[ -z $verdict ]]; do
		# A read that times out as it takes the newline does not tell, so it is given so
		# much time that only half a message can use it up.
		rc=255
		if read -r -t 0 -u "$control"; then
			rc=0
			read -r -t "$max_lag" -u "$control" line || rc=$?
		fi
		if ((rc == 0)); then
			hear "$line"
			continue
		fi
		read -r -t 0.2 -u "$never" || true
		pump
		# More than 128 is read's time limit; anything else is the end of the file.
		if ((rc <= 128)) || { [[ $phase == booting ]] && qemu_is_gone; }; then
			verdict=died
		elif ((SECONDS != now)); then
			now=$SECONDS
			inspect
		fi
	done
	if [[ $verdict == died && $phase == ended ]]; then
		verdict=ended
	fi
}
