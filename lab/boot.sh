#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Boots the lab, runs one command in it and ends with the command's exit status. What the lab is
# and what its verdicts mean: usage() below and docs/lab.md.

set -euo pipefail

here=$(dirname "$(realpath "$0")")
readonly here
# shellcheck source=lab/watch.bash
source "$here/watch.bash"
# shellcheck source=lab/accel.bash
source "$here/accel.bash"
# shellcheck source=lab/helper.bash
source "$here/helper.bash"

# What the options say; the names are those of the options.
iommu=intel kernel='' accel=auto tcg_threads=auto smp=4 memory=4G append='' timeout=600
payload='' tests='' build='' modules='' log_dir='' shell=0 gdb=0 trace=0 no_posting=0
qemu=${QEMU:-qemu-system-x86_64}
command=()

qemu_pid=''
gdb_socket=''

usage() {
	cat <<-'END'
	usage: lab/boot.sh [options] --kernel FILE --log-dir DIR [--] [COMMAND...]

	Boots a QEMU machine with an emulated IOMMU and runs COMMAND in it, as root, with run.sh,
	scripts/ and the test programs in its working directory. COMMAND's output and exit status
	become those of this program.

	  --kernel FILE       the bzImage to boot (lab/kernel.sh makes one)
	  --log-dir DIR       where console.log, stdout.log, stderr.log and qemu.log go
	  --iommu intel|amd   VT-d (default) or AMD-Vi
	  --no-posting        no interrupt is posted, though QEMU could
	  --accel auto|tcg|kvm
	                      kvm needs nested virtualisation and posts nothing; auto (default)
	                      tries it where nothing is to be posted
	  --tcg-threads auto|single|multi
	                      one thread for all CPUs or one for each; auto (default): for each
	                      where QEMU does it without losing timers, that is in lab/qemu/
	  --smp N             CPUs (default 4)
	  --memory SIZE       memory (default 4G)
	  --append ARGS       more kernel parameters
	  --timeout SECONDS   bound for COMMAND (default 600, 0 for none)
	  --payload DIR       what COMMAND finds in its working directory, instead of the tests
	  --tests "NAME..."   only these of the tests (default: all)
	  --modules DIR       the kernel's modules: the tree it was built in, or
	                      /lib/modules/RELEASE
	  --build DIR         where make puts its output (default: build beside run.sh)
	  --shell             a shell in the lab, after COMMAND if there is one
	  --gdb               wait for gdb before the first instruction, without bounds on time
	  --trace             a port for run.sh --trace, which goes to trace.log
	  --qemu BIN          the QEMU to use (default: QEMU, else qemu-system-x86_64);
	                      QEMU_EXTRA in the environment is more arguments for it

	A lab that dies (panic, oops, warning, hang, QEMU gone) ends with 1 whatever COMMAND says,
	and DIR/lab.problem says in one sentence why. If the emulation stalls, which is no news
	about the kernel, the status is 99 and the run is worth repeating.

	Exit codes: that of COMMAND; 1 the lab died; 2 usage or environment; 99 it stalled.
	END
}

say() {
	printf 'lab: %s\n' "$*" >&2
}

die() {
	say "$*"
	exit 2
}

parse() {
	local name

	while [[ $# -gt 0 ]]; do
		case $1 in
		--help) usage; exit 0 ;;
		--shell) shell=1; shift; continue ;;
		--gdb) gdb=1; shift; continue ;;
		--trace) trace=1; shift; continue ;;
		--no-posting) no_posting=1; shift; continue ;;
		--) shift; break ;;
		--iommu | --kernel | --accel | --tcg-threads | --smp | --memory | --append | \
			--timeout | --payload | --tests | --modules | --build | --log-dir | \
			--qemu) ;;
		-*) die "unknown option '$1'; --help lists them." ;;
		*) break ;;
		esac
		[[ $# -ge 2 ]] || die "$1 needs a value."
		name=${1#--}
		printf -v "${name//-/_}" '%s' "$2"
		shift 2
	done
	command=("$@")
}

check_options() {
	[[ $iommu == intel || $iommu == amd ]] || die "--iommu is intel or amd, not '$iommu'."
	[[ $accel =~ ^(auto|tcg|kvm|trial)$ ]] || die "--accel is auto, tcg or kvm, not '$accel'."
	[[ $tcg_threads =~ ^(auto|single|multi)$ ]] ||
		die "--tcg-threads is auto, single or multi, not '$tcg_threads'."
	[[ $smp =~ ^[1-9][0-9]?$ ]] || die "--smp is a number of CPUs, not '$smp'."
	[[ $timeout =~ ^[0-9]+$ ]] || die "--timeout is a number of seconds, not '$timeout'."
	[[ -n $log_dir ]] || die "--log-dir DIR is missing."
	[[ -n $kernel ]] || die "--kernel FILE is missing; lab/kernel.sh makes one."
	[[ -f $kernel && -r $kernel ]] || die "--kernel $kernel is not a readable file."
	((${#command[@]} || shell)) || die "no COMMAND to run."
	type -P "$qemu" >/dev/null || die "there is no $qemu: install the package qemu-system-x86."
	qemu=$(type -P "$qemu")
	mkdir -p "$log_dir" || die "cannot make the log directory $log_dir."
	log_dir=$(realpath "$log_dir")
	exec {log_lock}<"$log_dir"
	flock -n "$log_lock" || die "another lab writes to $log_dir."
}

# devices ARGUMENT...: lab/devices.sh on the machine at hand.
devices() {
	local options=(--iommu "$iommu" --qemu "$qemu")

	((!no_posting)) || options+=(--no-posting)
	"$here/devices.sh" "${options[@]}" "$@"
}

# kernel_parameters: why each one:
#   panic=-1 oops=panic     a dead kernel resets the machine at once, and QEMU leaves
#   loglevel                warnings are on the console, chatter is not: the port is slow
#   tsc, no_timer_check     checks of a real machine's clocks that an emulated one may fail
#   tsc_early_khz           how fast the clock is, see lab/tsc-khz.c
#   cpu_init_udelay         pauses a real CPU needs to wake up
#   rcu_expedited           a grace period, of which a VM's life has many, in less than a tick
#   mitigations, random     work that is of no use on an emulated CPU
#   kho, liveupdate         a kexec that keeps memory, where the kernel has it
#   hugepages               later there may be no gigabyte in one piece left
#   dma_entry_limit         few enough mappings for a test to use up
#   disable_denylist        the model of DSA has the id of hardware that vfio-pci refuses
#   lab.iommu               what init tells the command
#   lab.accel               for the facts of a run
kernel_parameters() {
	local parameters="console=ttyS0 loglevel=5 panic=-1 oops=panic tsc=reliable" khz

	if [[ $accel == tcg ]] && khz=$("$(helper "${build:-$here/../build}" tsc-khz)"); then
		parameters+=" tsc_early_khz=$khz"
	fi
	parameters+=" no_timer_check cpu_init_udelay=0 mitigations=off random.trust_cpu=on"
	parameters+=" rcupdate.rcu_expedited=1 hugepagesz=1G hugepages=1"
	parameters+=" kho=on liveupdate=on vfio_iommu_type1.dma_entry_limit=512"
	parameters+=" vfio_pci.disable_denylist=1"
	parameters+=" $(devices --parameters)"
	printf '%s\n' "$parameters lab.iommu=$iommu lab.accel=$accel $append"
}

# choose_threads: a stock QEMU loses a CPU's timer now and then when it runs several threads.
choose_threads() {
	[[ $tcg_threads == auto ]] || return 0
	tcg_threads=single
	! devices --can-post || tcg_threads=multi
}

machine_args() {
	if [[ $accel == kvm ]]; then
		printf '%s\n' -machine q35,kernel-irqchip=split -accel kvm -cpu host
	else
		printf '%s\n' -machine q35,kernel-irqchip=off -cpu max \
			-accel "tcg,thread=$tcg_threads"
	fi
	printf '%s\n' -smp "$smp" -m "$memory" -no-user-config -nodefaults -display none -no-reboot
}

# channel_args: the kernel's log by the serial port, everything else by virtio: it has an end, an
# order and a name, and no kernel message can get into it. Without ioeventfd a write is through
# when it returns; with it the kernel spins until QEMU's main loop comes round. Without event_idx
# the kernel tells QEMU of each buffer. With it, it relies on QEMU having seen the one before: once
# QEMU had not, on a busy machine, and the channel was silent from then on.
channel_args() {
	local files=${log_dir//,/,,}

	printf '%s\n' -serial "file:$files/console.log" \
		-chardev "pipe,id=monitor,path=$files/.run/monitor" -mon chardev=monitor \
		-chardev "file,id=control,path=$files/.run/control" \
		-chardev "file,id=stdout,path=$files/stdout.log" \
		-chardev "file,id=stderr,path=$files/stderr.log" \
		-device virtio-serial-pci,addr=3.0,ioeventfd=off,event_idx=off \
		-device virtserialport,nr=1,chardev=control,name=lab.control \
		-device virtserialport,nr=2,chardev=stdout,name=lab.stdout \
		-device virtserialport,nr=3,chardev=stderr,name=lab.stderr
	if ((trace)); then
		printf '%s\n' -chardev "file,id=trace,path=$files/trace.log" \
			-device virtserialport,nr=4,chardev=trace,name=lab.trace
	fi
	if ((shell)); then
		printf '%s\n' -chardev stdio,id=shell,signal=off \
			-device virtconsole,nr=0,chardev=shell
	fi
}

# open_channels: makes what QEMU opens. The control channel is held open for writing too until
# the lab has spoken, so that opening it does not wait; from then on its end is QEMU's end.
open_channels() {
	local run=$log_dir/.run

	rm -rf "$run" "$log_dir"/{lab.problem,cpus.log}
	mkdir "$run"
	mkfifo "$run"/{control,monitor.in,monitor.out,never}
	: | tee "$log_dir"/{console,stdout,stderr,qemu}.log
	exec {hold_open}<>"$run/control"
	exec {control}<"$run/control"
	exec {monitor_in}<>"$run/monitor.in" {monitor_out}<>"$run/monitor.out"
	# Nobody writes to it: to wait at, without a process.
	exec {never}<>"$run/never"
	exec {out_fd}<"$log_dir/stdout.log" {err_fd}<"$log_dir/stderr.log"
}

close_channels() {
	[[ -z $hold_open ]] || exec {hold_open}>&-
	exec {control}<&- {monitor_in}<&- {monitor_out}<&- {never}<&- {out_fd}<&- {err_fd}<&-
	rm -rf "$log_dir/.run"
}

# run_bound PROGRAM...: becomes the program, without our end of the control channel. The kernel
# kills it when this program dies, however it dies.
run_bound() {
	exec {hold_open}>&-
	exec setpriv --pdeathsig KILL "$@"
}

start_qemu() {
	local -a args extra=()
	local device_args

	device_args=$(devices --args "$log_dir") || exit 2
	mapfile -t args < <(machine_args && channel_args && echo "$device_args")
	read -r -a extra <<<"${QEMU_EXTRA:-}"
	((!gdb)) || extra+=(-S -gdb "unix:path=$gdb_socket,server=on,wait=off")
	args+=(-kernel "$kernel" -initrd "$log_dir/.initramfs"
		-append "$(kernel_parameters)" "${extra[@]}")
	printf '%q ' "$qemu" "${args[@]}" >"$log_dir/qemu.cmd"
	exec {errors}>"$log_dir/qemu.log"
	if ((shell)); then
		run_bound "$qemu" "${args[@]}" <&0 2>&"$errors" &
	else
		run_bound "$qemu" "${args[@]}" </dev/null >&"$errors" 2>&1 &
	fi
	qemu_pid=$!
	echo "$qemu_pid" >"$log_dir/qemu.pid"
	exec {errors}>&-
}

# end_qemu TENTHS: sees to it that QEMU is gone, and lets it leave by itself for so many tenths of
# a second; qemu_status is how it went.
end_qemu() {
	local left=$1

	[[ -n $qemu_pid ]] || return 0
	while ! qemu_is_gone && ((left-- > 0)); do
		sleep 0.1
	done
	kill -KILL "$qemu_pid" 2>/dev/null || true
	qemu_status=0
	wait "$qemu_pid" 2>/dev/null || qemu_status=$?
	qemu_pid=''
}

# vmlinux: the kernel with its symbols, if it is where it was built: in a tree, or by kernel.sh.
vmlinux() {
	local dir

	dir=$(dirname "$(realpath "$kernel")")
	for dir in "${dir%/arch/x86/boot}" "$dir/build"; do
		[[ ! -f $dir/vmlinux ]] || { echo "$dir/vmlinux" && return; }
	done
}

# tell_gdb: the line that attaches. Where the kernel will be there is nothing yet, so the first
# breakpoint has to be one of the hardware. A socket has a short name.
tell_gdb() {
	say "QEMU waits for: gdb $(vmlinux) -ex 'target remote $gdb_socket'" \
		"-ex 'hbreak start_kernel' -ex continue"
}

# run_lab: the life of the lab; the verdict is watch()'s, the console's word is in console.
run_lab() {
	open_channels
	start_qemu
	((!gdb)) || tell_gdb
	watch
	# The end of the control channel comes a little before the end of QEMU.
	if [[ $verdict == died ]]; then
		end_qemu 30
	else
		end_qemu 0
	fi
	pump
	close_channels
	console=$("$here/classify-console.sh" "$log_dir/console.log")
	if [[ $verdict == ended && $console == stall* ]]; then
		verdict=stalled
		detail=${console#* }
	fi
}

# problem SENTENCE: what is wrong with the lab itself, for people and for run.sh.
problem() {
	printf '%s\n' "$*" >"$log_dir/lab.problem"
	say "$*"
	say "the kernel's log is $log_dir/console.log; in it:"
	"$here/classify-console.sh" --excerpt "$log_dir/console.log" | sed 's/^/    /' >&2
}

# report: the last word on the lab; returns the exit status of this program.
report() {
	case $verdict in
	stalled)
		problem "the emulation stalled: $detail"
		return 99 ;;
	hung)
		problem "the lab's kernel hangs: $detail"
		return 1 ;;
	late)
		problem "the lab was ended: $detail"
		return 1 ;;
	died)
		report_death
		return ;;
	esac
	if [[ $console != clean ]]; then
		problem "the lab's kernel complained: ${console#* }"
		return 1
	fi
	return "$status"
}

# report_death: QEMU ended before the command did. If it never got as far as a kernel that spoke,
# its command line was not to its liking, and that is a matter of the environment.
report_death() {
	if [[ $console != clean ]]; then
		problem "the lab's kernel died: ${console#* }"
	elif [[ ! -s $log_dir/console.log && -s $log_dir/qemu.log && $qemu_status -lt 128 ]]; then
		say "QEMU does not start: $(head -n 1 "$log_dir/qemu.log")"
		return 2
	elif ((qemu_status > 128)); then
		problem "QEMU was killed by signal $((qemu_status - 128)) before the command ended"
	else
		problem "the lab went down before the command ended (QEMU's status: $qemu_status)"
	fi
	return 1
}

# shellcheck disable=SC2317 # called by a trap
clean_up() {
	trap - EXIT INT TERM HUP
	end_qemu 0
	[[ -z $gdb_socket ]] || rm -rf "${gdb_socket%/*}"
	rm -rf "$log_dir"/{.run,.initramfs,nvme*.img,qemu.pid}
}

main() {
	local -a options=()

	parse "$@"
	check_options
	[[ -z $payload ]] || options+=(--payload "$payload")
	[[ -z $tests ]] || options+=(--tests "$tests")
	[[ -z $build ]] || options+=(--build "$build")
	[[ -z $modules ]] || options+=(--modules "$modules")
	((!shell)) || options+=(--shell)
	trap clean_up EXIT
	# Not that it could be caught, but bash keeps quiet about a child killed by a signal it
	# believes to have a trap for.
	# shellcheck disable=SC2173
	trap : KILL
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	if ((gdb)); then
		gdb_socket=$(mktemp -d /tmp/lab-gdb.XXXXXX)/gdb
		timeout=0
		# The addresses are those of vmlinux.
		append+=" nokaslr"
	fi
	choose_accel
	choose_threads
	"$here/initramfs.sh" --out "$log_dir/.initramfs" "${options[@]}" -- "${command[@]}"

	run_lab
	[[ -z $booted ]] || say "up in $booted s ($accel); logs in $log_dir"
	report
}

main "$@"
