#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The front door: runs tests in the lab, or with -d on a device of this machine, and reports.
# KTAP on stdout and nothing else there. Runs inside the lab too, with bash and busybox.

set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/host.sh
. "$here/scripts/host.sh"
# shellcheck source=scripts/device-list.sh
. "$here/scripts/device-list.sh"
# shellcheck source=scripts/lab.sh
. "$here/scripts/lab.sh"
# shellcheck source=scripts/repeat.sh
. "$here/scripts/repeat.sh"
# shellcheck source=scripts/report.sh
. "$here/scripts/report.sh"
# shellcheck source=scripts/bisect.sh
. "$here/scripts/bisect.sh"

usage()
{
	cat <<'END'
usage: ./run.sh [-d BDF]... [OPTION]... [TEST]... [-- ARGUMENT FOR THE TESTS]...
Runs the tests, all by default, in the lab: a QEMU machine with an IOMMU and PCI
devices. With -d, on that device of this machine. KTAP on stdout.

  -d BDF[/vfN][+BDF]  lend it to vfio-pci and test it; two: by the tests of two
  --host, --force     no device, but here; take a device though it is in use
  --restore           give back what a killed run left behind, and exit
  --list, --devices   the tests; the devices of this machine that it could use
  --dry-run, --trace  say what would be done; trace each case that fails
  --iommu-mode MODE   iommufd, iommufd_compat_type1, iommufd_compat_type1v2,
                      vfio_type1_iommu, vfio_type1v2_iommu; default: all
  --timeout PERCENT   scale every bound on time; default 100, with --debug 400
  --seed N, --repeat N   repeat a run's random choices; N runs, a seed for each
  --log-dir DIR       default: build/log/DATE; --no-install: install nothing
  --junit FILE, --json FILE, --html FILE   reports, see docs/report.md
  --matrix            labs for each IOMMU, kernel, mode, device: --matrix --help
  --posting           insist on a lab that posts interrupts; --no-posting: none
In the lab: --iommu intel|amd, --kernel BZIMAGE|TREE, --lab-device NAME,...|all,
  --debug (a kernel with lockdep and KASAN), --shell, --gdb, --append PARAMETERS
  --bisect (git bisect run), --accel auto|tcg|kvm, --tcg-threads single|multi
Environment: KSRC, a kernel tree to build with; QEMU, the one to use; QEMU_SRC,
  what to build one that posts from; VFIO_SELFTESTS_BDF, as -d.

Exit status: 0 passed, 1 failed, 2 usage or environment, 4 nothing but skips.
END
}

# Options ------------------------------------------------------------------------------------------

# As they were given, and all of them, one by one.
devices=()
lent=()
tests=()
arguments=()
# The options, each value a word of its own.
given=()
force=
host=
action=run
iommu_mode=
timeout_percent=
seed=
repeat_times=1
log_dir=
# Of --from, which only the run.sh outside of the lab gives to the one inside.
first=0
lab_user_kernel=
lab_debug=
lab_wanted=
lab_shell=
lab_gdb=
bisect=
lab_append=()
# The first option given that has a meaning only in the lab.
lab_only=
lab_threads=auto

lab_options='--iommu --kernel --lab-device --append --accel --tcg-threads'

one_of()
{
	local option=$1 value=$2 known

	shift 2
	for known; do
		[[ $value != "$known" ]] || return 0
	done
	die "$option: '$value' is unknown, choose from: $*"
}

number()
{
	if [[ ! $2 =~ ^[0-9]{1,10}$ ]] || ((10#$2 < $3 || 10#$2 > $4)); then
		die "$1: '$2' is no number from $3 to $4"
	fi
}

absolute()
{
	[[ $1 == /* ]] && printf '%s' "$1" || printf '%s/%s' "$PWD" "$1"
}

# A device, or A+B: two that are only for tests which take two.
add_device()
{
	local rest=$1+ bdf word=''

	[[ $1 != *+*+* ]] || die "-d takes a device or a pair of them, not '$1'"
	while [[ -n $rest ]]; do
		bdf=$(pci_address "${rest%%+*}")
		pci_vf_remember "$bdf" "${rest%%+*}"
		rest=${rest#*+}
		word+=${word:++}$bdf
		[[ " ${lent[*]} " == *" $bdf "* ]] || lent+=("$bdf")
	done
	[[ " ${devices[*]} " == *" $word "* ]] || devices+=("$word")
}

take_value_option()
{
	local option=$1 value=$2

	[[ " $lab_options " != *" $option "* ]] || lab_only=${lab_only:-$option}
	case $option in
	-d) add_device "$value" ;;
	--iommu-mode)
		one_of "$option" "$value" vfio_type1_iommu vfio_type1v2_iommu \
			iommufd_compat_type1 iommufd_compat_type1v2 iommufd
		iommu_mode=$value
		;;
	--timeout) number "$option" "$value" 1 100000 && timeout_percent=$((10#$value)) ;;
	--seed) number "$option" "$value" 0 4294967295 && seed=$((10#$value)) ;;
	--repeat) number "$option" "$value" 1 10000 && repeat_times=$((10#$value)) ;;
	--log-dir) log_dir=$(absolute "$value") ;;
	--junit | --json | --html) report_take "$option" "$value" ;;
	--from) number "$option" "$value" 0 100000 && first=$value ;;
	--iommu) one_of "$option" "$value" intel amd && lab_iommu=$value ;;
	--kernel)
		[[ -e $value ]] || die "--kernel: there is no $value"
		lab_user_kernel=$(absolute "$value")
		;;
	--lab-device) lab_wanted=$value ;;
	--append) lab_append+=("$value") ;;
	--accel) one_of "$option" "$value" auto tcg kvm && lab_accel=$value ;;
	--tcg-threads) one_of "$option" "$value" auto single multi && lab_threads=$value ;;
	esac
}

take_options()
{
	while (($#)); do
		[[ $1 != -* || $1 == --*=* || $1 == -- ]] || given+=("$1")
		case $1 in
		-h | --help) usage && exit 0 ;;
		--list) action=list ;;
		--devices) action=devices ;;
		--restore) action=restore ;;
		--host) host=1 ;;
		--force) force=1 ;;
		--dry-run) dry_run=1 ;;
		--no-install) no_install=1 ;;
		--debug) lab_debug=--debug && lab_only=${lab_only:-$1} ;;
		--gdb) lab_gdb=--gdb && lab_only=${lab_only:-$1} ;;
		--bisect) bisect=1 && lab_only=${lab_only:-$1} ;;
		--trace) trace_wanted=--trace ;;
		--shell) lab_shell=1 && lab_only=${lab_only:-$1} ;;
		--posting) lab_posting=yes && lab_only=${lab_only:-$1} ;;
		--no-posting) lab_posting=no && lab_only=${lab_only:-$1} ;;
		-d | --iommu-mode | --timeout | --seed | --repeat | --log-dir | --from | --iommu | \
			--kernel | --lab-device | --append | --accel | --tcg-threads | \
			--junit | --json | --html)
			(($# > 1)) || die "$1 needs a value, see --help"
			given+=("$2")
			take_value_option "$1" "$2"
			shift
			;;
		--*=*)
			set -- "" "${1%%=*}" "${1#*=}" "${@:2}"
			;;
		--)
			arguments=("${@:2}")
			break
			;;
		-*) die "unknown option $1, see --help" ;;
		*) tests+=("$1") ;;
		esac
		shift
	done
}

check_tests()
{
	local name

	for name in "${tests[@]}"; do
		grep -qxF -e "$name" <<<"$(test_names)" ||
			die "there is no test '$name', see --list"
	done
}

# Reporting ----------------------------------------------------------------------------------------

make_log_dir()
{
	local default

	[[ $ktap_log == /dev/null ]] || return 0
	default=${O:-build}/log/$(date +%Y%m%d-%H%M%S)-$$
	[[ -n $log_dir ]] || log_dir=$default
	mkdir -p "$log_dir" 2>/dev/null || [[ $log_dir != "$default" ]] ||
		log_dir=$(mktemp -d "${TMPDIR:-/tmp}/kvm-vfio-tests-log.XXXXXX")
	mkdir -p "$log_dir" 2>/dev/null || die "the log directory $log_dir cannot be made"
	[[ $log_dir != "$default" ]] || ln -sfn "${default##*/}" "${default%/*}/latest"
	ktap_log=$log_dir/run.ktap
	: >"$ktap_log"
}

# Of an archive it is in a file.
revision()
{
	cat VERSION 2>/dev/null || git describe --always --dirty 2>/dev/null || printf 'unknown'
}

# By which paths the interrupts came, for the document too; and what is made of all of it.
conclude_document()
{
	local delivered

	[[ -z ${KVM_VFIO_TESTS_OUTER:-} ]] || return 0
	delivered=$(scripts/delivery-summary "$ktap_log")
	[[ -z $delivered ]] || ktap_emit "# $delivered"
	[[ -z $delivered ]] || note "$delivered"
	report_write "$ktap_log"
}

# The last line: what happened and where to read on.
conclude()
{
	local status=$1 verdict

	[[ -z ${KVM_VFIO_TESTS_OUTER:-} ]] || return 0
	case $status in
	0) verdict=PASS ;;
	1) verdict=FAIL ;;
	4) verdict=SKIP ;;
	*) verdict=ERROR ;;
	esac
	# Far above, and among much that passed: what failed is said once more.
	((status == 0 || status == 4)) || scripts/ktap-summary --failures "$ktap_log" >&2
	note "$verdict: $(scripts/ktap-summary "$ktap_log") in $(($(uptime_seconds) - began)) s;" \
		"log: ${log_dir#"$here"/}"
}

# shellcheck disable=SC2317 # called by the trap
on_exit()
{
	local status=$?

	set +e
	# The device is given back even if the user loses patience.
	trap '' HUP INT TERM PIPE
	host_cleanup || status=$((status ? status : 1))
	report_write "$ktap_log"
	[[ -z $bisect ]] ||
		status=$(bisect_status "$status" "$lab_ever_spoke" "$lab_stalled_twice")
	exit "$status"
}

# shellcheck disable=SC2317 # called by the trap
on_signal()
{
	note "interrupted by SIG$1${log_dir:+; log: ${log_dir#"$here"/}}"
	exit $((128 + $(kill -l "$1")))
}

# Here ---------------------------------------------------------------------------------------------

# What each program gets; a seed and the device come last.
program_arguments()
{
	program_arguments=()
	((timeout_percent == 100)) || program_arguments+=(--timeout "$timeout_percent")
	[[ -z $iommu_mode ]] || program_arguments+=(--iommu-mode "$iommu_mode")
	program_arguments+=("${arguments[@]}")
}

# Nothing is installed for it, but the drivers are asked as they are in the source.
list_devices()
{
	if [[ -e Makefile ]]; then
		no_install=1
		lab_prepare build || exit 2
		mkdir -p "${O:-build}/log"
		lab_build "${O:-build}/log/devices.log"
	fi
	device_list
}

run_here()
{
	local bdf i

	[[ -z $lab_only ]] ||
		die "$lab_only is for the lab, and ${devices[0]+-d }${devices[0]---host} is on" \
			"this machine"
	((${#devices[@]})) || host_check_needs "${tests[@]}"
	host_check "$force" "$dry_run" "${lent[@]}"
	if [[ -e Makefile && -z $dry_run ]]; then
		lab_prepare build || exit 2
		make_log_dir
		lab_build "$log_dir/build.log"
	fi
	run_plan "${KVM_VFIO_TESTS_LAB:-}" "${tests[*]}" "${devices[*]}" "$seed" "$repeat_times"
	((${#run_names[@]} > first)) || die "no test left to run"
	program_arguments
	if [[ -n $dry_run ]]; then
		for bdf in "${lent[@]}"; do
			note "would lend to vfio-pci: $(pci_describe "$bdf")"
		done
		for ((i = first; i < ${#run_names[@]}; i++)); do
			note "would run: $test_dir/${run_names[i]} ${program_arguments[*]}" \
				"--seed ${run_seeds[i]} ${run_bdfs[i]}"
		done
		exit 0
	fi
	make_log_dir
	host_run "$first" "$log_dir" "${lent[*]}" "${program_arguments[@]}"
}

# In the lab ---------------------------------------------------------------------------------------

# What the run.sh inside the lab is told.
# Whether no more than the chosen tests need to go into the lab: none of them runs others.
packs_few()
{
	local name

	((${#tests[@]})) && [[ -z $lab_shell ]] || return 1
	for name in "${tests[@]}"; do
		[[ $(test_needs "$name") != *,lab,* ]] || return 1
	done
}

compose_lab_options()
{
	local bdf

	# Nobody else uses the lab's devices, so no time is spent on finding that out.
	lab_run_options=(--force --seed "$seed" --timeout "$timeout_percent")
	[[ -z $trace_wanted ]] || lab_run_options+=(--trace)
	((repeat_times == 1)) || lab_run_options+=(--repeat "$repeat_times")
	for bdf in "${devices[@]}"; do
		lab_run_options+=(-d "$bdf")
	done
	[[ -z $iommu_mode ]] || lab_run_options+=(--iommu-mode "$iommu_mode")
	lab_run_options+=("${tests[@]}" -- "${arguments[@]}")
	lab_boot_options=(--iommu "$lab_iommu" --accel "$lab_accel" --tcg-threads "$lab_threads")
	[[ $lab_posting != no ]] || lab_boot_options+=(--no-posting)
	[[ -z ${O:-} ]] || lab_boot_options+=(--build "$O")
	[[ -z $lab_modules ]] || lab_boot_options+=(--modules "$lab_modules")
	[[ -z $trace_wanted ]] || lab_boot_options+=(--trace)
	[[ -z $lab_gdb ]] || lab_boot_options+=(--gdb)
	! packs_few || lab_boot_options+=(--tests "${tests[*]}")
	((${#lab_append[@]} == 0)) || lab_boot_options+=(--append "${lab_append[*]}")
	lab_environment+=("KVM_VFIO_TESTS_REPEAT=$repeat_options")
	lab_comments=("${facts_run[@]}" "lab: ${lab_boot_options[*]}" "$(lab_describe_qemu)")
	lab_boot_options+=(--qemu "$lab_qemu")
}

# Unless the user names them: one device, and a pair if a test takes two. Lending devices takes an
# emulated machine a while.
choose_lab_devices()
{
	local name wanted

	[[ -z $lab_wanted ]] || return 0
	lab_wanted=nvme
	mapfile -t wanted < <(test_names)
	((${#tests[@]} == 0)) || wanted=("${tests[@]}")
	for name in "${wanted[@]}"; do
		[[ $(test_needs "$name") != *,devices,* ]] || lab_wanted=nvme,group
	done
}

lab_dry_run()
{
	local kernel=${lab_user_kernel:+--user $lab_user_kernel}

	kernel=${kernel:-${lab_debug:+--debug }\$(scripts/kernel-tree)}
	note "would run: scripts/install-deps ${no_install:+--no-install }build lab"
	if [[ $lab_qemu == */build.sh* ]]; then
		note "would run: scripts/install-deps ${no_install:+--no-install }posting"
		note "would run: lab/qemu/build.sh"
	fi
	note "would run: make KSRC=\$(scripts/kernel-tree)"
	note "would run: lab/kernel.sh $kernel"
	note "would run: lab/boot.sh ${lab_boot_options[*]} --kernel BZIMAGE --log-dir DIR --" \
		"./run.sh -d BDF-OF-${lab_wanted} ${lab_run_options[*]}"
}

run_in_lab()
{
	local found

	[[ -e Makefile && -e lab/boot.sh ]] ||
		die "there is no lab in a tree of copied programs: name a device with -d"
	if [[ -n $dry_run ]]; then
		lab_choose_qemu
		choose_lab_devices
		compose_lab_options
		lab_dry_run
		exit 0
	fi
	lab_prepare build lab || exit 2
	lab_choose_qemu
	choose_lab_devices
	found=$(lab_devices "$lab_iommu" "$lab_wanted")
	mapfile -t devices <<<"$found"
	make_log_dir
	lab_build "$log_dir/build.log"
	bisect_kernel=$bisect
	lab_kernel "$lab_user_kernel" "$lab_debug" "$bisect"
	compose_lab_options
	lab_boot_options+=(--kernel "$lab_output")
	lab_comments+=("$(facts_config_of "$lab_output")")
	if [[ -n $lab_shell ]]; then
		trap - EXIT
		child_cleanup
		exec lab/boot.sh "${lab_boot_options[@]}" --log-dir "$log_dir" --shell
	fi
	run_plan lab "${tests[*]}" "${devices[*]}" "$seed" "$repeat_times"
	lab_run "$log_dir"
}

# --matrix has options of its own.
is_matrix()
{
	local word

	for word; do
		[[ $word != --matrix ]] || return 0
		[[ $word != -- ]] || return 1
	done
	return 1
}

main()
{
	local status signal

	! is_matrix "$@" || exec "$here/scripts/matrix" "$@"
	began=$(uptime_seconds)
	repeat_begin
	# What is wrong with the command must not count against a commit.
	[[ " $* " != *' --bisect '* ]] || trap 'exit $(($? ? 128 : 0))' EXIT
	take_options "$@"
	# lockdep and KASAN take their time.
	timeout_percent=${timeout_percent:-${lab_debug:+400}}
	timeout_percent=${timeout_percent:-100}
	cd "$here"
	report_check
	repeat_take "${given[@]}"
	repeat_arguments "${arguments[@]}"
	check_tests
	[[ -z $bisect ]] || [[ -f $lab_user_kernel/Kconfig && -n ${tests[*]} ]] ||
		die "--bisect takes --kernel TREE, a tree to build, and the test that decides"
	lab_check_posting
	[[ -n ${devices[*]} || -z ${VFIO_SELFTESTS_BDF:-} ]] || add_device "$VFIO_SELFTESTS_BDF"
	repeat=$repeat_environment./run.sh
	if [[ -z $seed ]]; then
		seed=$((RANDOM << 15 | RANDOM))
		repeat+=" --seed $seed"
	fi
	(($# == 0)) || repeat+=$(printf ' %q' "$@")
	facts_begin "$(revision)" "$seed" "$repeat"
	program_seconds=$((program_seconds * timeout_percent / 100 + 1))

	trap on_exit EXIT
	for signal in HUP INT TERM PIPE; do
		# shellcheck disable=SC2064 # the name is meant now
		trap "on_signal $signal" "$signal"
	done
	case $action in
	list) test_list_all ;;
	devices) list_devices ;;
	restore) host_restore ;;
	run)
		if [[ -n $host ]] || ((${#devices[@]})); then
			run_here
		else
			run_in_lab
		fi
		status=$(ktap_status)
		conclude_document || status=$((status ? status : 2))
		conclude "$status"
		exit "$status"
		;;
	esac
}

main "$@"
