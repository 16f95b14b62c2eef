# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by run.sh: the tests in the lab. Gets what is missing, builds, boots the lab with
# run.sh as its command, and turns what comes out into one whole document, however the lab ends.
#
# The inner run.sh reports run after run. If the lab dies, the run at hand has failed and the rest
# goes on in a fresh lab. If the emulation stalls, which is no news about the kernel under test,
# the run at hand is repeated once.

# shellcheck source=scripts/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"
# shellcheck source=scripts/test-list.sh
. "${BASH_SOURCE[0]%/*}/test-list.sh"

# What lab/boot.sh says of a stall of the emulation.
lab_stalled=99
lab_health=the_lab_kernel_reported_no_problem

# From run.sh's options.
dry_run=
no_install=
lab_qemu=${QEMU:-qemu-system-x86_64}
lab_accel=auto
lab_iommu=
# yes, no, or empty: if it can be had.
lab_posting=
# Why nothing will be posted, empty if it will be.
lab_no_posting=
lab_comments=()
lab_boot_options=()
lab_run_options=()
# For the run.sh inside.
lab_environment=(KVM_VFIO_TESTS_OUTER=1)

lab_held=()
lab_spoke=
# For run.sh: where the modules of the kernel are; whether the lab was heard of, in any boot.
lab_modules=
lab_ever_spoke=
lab_stalled_twice=
lab_problems=
lab_stalled_at=-1
# Power-on, boot and power-off of a lab, on a slow machine.
lab_boot_seconds=180

# lab_step LOG COMMAND...: a step of the preparation; its stdout is left in $lab_output.
lab_step()
{
	local log=$1

	shift
	lab_output=
	child_start 7200 "$log" "$@"
	while child_read; do
		lab_output+=${lab_output:+$'\n'}$child_line
	done
	child_finish
	[[ -z $child_timed_out ]] || die "$1 does not end"
	return "$child_status"
}

# lab_must COMMAND...: a step without which there is nothing to do. With 2 it has said why.
lab_must()
{
	local status=0

	lab_step - "$@" || status=$?
	((status == 0)) && return
	((status == 2)) || note "$1 ended with status $status"
	exit 2
}

lab_make()
{
	make -s "-j$(nproc)" >&2
}

# lab_build LOG: the test programs; $KSRC is known and exported afterwards.
lab_build()
{
	lab_must scripts/kernel-tree
	export KSRC=$lab_output
	lab_step "$1" lab_make || die "the build failed, see $1"
}

lab_prepare()
{
	scripts/install-deps ${no_install:+--no-install} "$@"
}

# lab_posting_packages: gets what a build of our QEMU takes, or leaves in $lab_no_posting what is
# missing, where it may not be installed.
lab_posting_packages()
{
	lab_no_posting=$(scripts/install-deps --no-install posting 2>&1) && return
	lab_no_posting=${lab_no_posting#*: }
	[[ -z $no_install ]] && ((EUID == 0)) && type -P apt-get >/dev/null || return 1
	lab_no_posting="the packages that building its QEMU takes cannot be installed"
	lab_prepare posting
}

# lab_own_qemu: the QEMU of lab/qemu/ into $lab_qemu, built if need be; otherwise it leaves in
# $lab_no_posting what is in the way, and a stock QEMU does. --posting insists.
lab_own_qemu()
{
	if lab_output=$(lab/qemu/build.sh --built); then
		lab_qemu=$lab_output
	elif [[ $lab_posting == yes ]]; then
		lab_prepare posting || exit 2
		lab_must lab/qemu/build.sh
		lab_qemu=$lab_output
	elif [[ -n $lab_output ]]; then
		lab_no_posting="$lab_output (tried today; --posting tries again)"
	elif lab_posting_packages; then
		lab_no_posting=
		if lab_step - lab/qemu/build.sh --auto; then
			lab_qemu=$lab_output
		else
			lab_no_posting=${lab_output:-lab/qemu/build.sh ended with $child_status}
		fi
	fi
}

# lab_cannot_post: why the options alone rule it out; nothing if they do not.
lab_cannot_post()
{
	if [[ $lab_posting == no ]]; then
		printf -- '--no-posting'
	elif [[ $lab_iommu == intel ]]; then
		printf 'only the AMD-Vi model can, not VT-d'
	elif [[ $lab_accel == kvm ]]; then
		printf 'it takes emulation, not --accel kvm'
	fi
}

# lab_check_posting: gives up if --posting is contradicted.
lab_check_posting()
{
	local reason

	reason=$(lab_cannot_post)
	[[ $lab_posting != yes || -z $reason ]] || die "--posting: $reason"
}

# lab_check_given_qemu: whether $QEMU posts.
lab_check_given_qemu()
{
	local status=0

	lab/devices.sh --qemu "$lab_qemu" --can-post || status=$?
	((status < 2)) || exit 2
	((status == 0)) && return
	lab_no_posting="QEMU=$QEMU cannot"
	[[ $lab_posting != yes ]] || die "--posting: $lab_no_posting"
}

# lab_choose_qemu: settles which QEMU and which IOMMU it is to be, and whether it posts.
lab_choose_qemu()
{
	lab_no_posting=$(lab_cannot_post)
	if [[ -n ${QEMU:-} ]]; then
		[[ -n $lab_no_posting ]] || lab_check_given_qemu
	elif [[ -z $lab_no_posting && -n $dry_run ]]; then
		lab_qemu="\$(lab/qemu/build.sh)"
	elif [[ -z $lab_no_posting ]]; then
		lab_own_qemu
	elif [[ $lab_posting != no ]] && lab_output=$(lab/qemu/build.sh --built); then
		# It posts nothing then, but some defects of the stock one are mended in it.
		lab_qemu=$lab_output
	fi
	if [[ -z $lab_iommu ]]; then
		lab_iommu=$([[ -n $lab_no_posting ]] && echo intel || echo amd)
	fi
	[[ -z $lab_no_posting ]] || note "this lab will post no interrupt: $lab_no_posting"
}

# lab_describe_qemu: for the head of the document.
lab_describe_qemu()
{
	local version

	version=$("$lab_qemu" --version 2>/dev/null |
		sed -n '1s/^QEMU emulator version //p' || true)
	printf 'QEMU: %s, %s: %s' "$lab_qemu" "${version:-unknown}" \
		"${lab_no_posting:+posts nothing, $lab_no_posting}"
	[[ -n $lab_no_posting ]] || printf 'posts interrupts of devices'
}

# lab_kernel USER_KERNEL DEBUG BISECT: leaves the bzImage to boot in $lab_output, and where its
# modules are in $lab_modules; DEBUG is an option of lab/kernel.sh or empty.
lab_kernel()
{
	local kernel

	if [[ -n $1 ]]; then
		lab_must lab/kernel.sh "$([[ -n $3 ]] && echo --build || echo --user)" "$1"
		kernel=$lab_output
		lab_must lab/kernel.sh --modules "$1"
		# shellcheck disable=SC2034 # for run.sh, as the other two
		lab_modules=$lab_output
		lab_output=$kernel
	else
		lab_must lab/kernel.sh ${2:+"$2"} "$KSRC"
	fi
}

# lab_devices IOMMU WANTED: WANTED is a list of names between commas or `all`; prints BDFs.
lab_devices()
{
	local iommu=$1 wanted=$2 offered name bdf found=''

	offered=$(lab/devices.sh --iommu "$iommu" --qemu "$lab_qemu") || exit 2
	while read -r name bdf; do
		[[ $wanted != all && ",$wanted," != *",$name,"* ]] || found+=" $name=$bdf"
	done <<<"$offered"
	for name in ${wanted//,/ }; do
		[[ $wanted == all || "$found " == *" $name="* ]] ||
			die "the lab has no device '$name' with this QEMU, only" \
				"$(awk '{ printf "%s%s", sep, $1; sep = ", " }' <<<"$offered")"
	done
	for name in $found; do
		printf '%s\n' "${name#*=}"
	done
}

# On a terminal the lines of the run at hand are shown as they come. Elsewhere, and in the log,
# they wait for its result: a reader must never see a run begin twice.
lab_hold()
{
	lab_held+=("$1")
	[[ ! -t 1 ]] || printf '%s\n' "$1"
}

lab_release()
{
	local line

	for line in "${lab_held[@]}"; do
		if [[ -t 1 ]]; then
			printf '%s\n' "$line" >>"$ktap_log"
		else
			ktap_emit "$line"
		fi
	done
	lab_held=()
}

lab_result()
{
	local verdict=$1 label=$2 reason=$3 due=${run_labels[ktap_done]:-}

	lab_release
	if [[ $label != "$due" ]]; then
		ktap_emit "# lab: '$label' reported when '$due' was due"
		[[ -n $lab_problems ]] || lab_note_problem "the lab reported the wrong test"
	elif [[ $verdict == "not ok" && $reason == "environment: "* ]]; then
		ktap_result environment "$label" "${reason#environment: }"
	elif [[ $verdict == "not ok" ]]; then
		ktap_result failed "$label" "$reason"
	elif [[ $reason == "SKIP "* ]]; then
		ktap_result skipped "$label" "${reason#SKIP }"
	else
		ktap_result passed "$label" "$reason"
	fi
}

lab_begin()
{
	((ktap_planned)) || ktap_begin $((${#run_labels[@]} + 1)) "${lab_comments[@]}"
}

lab_take_line()
{
	local line=${1%$'\r'}

	if [[ $line == "KTAP version 1" ]]; then
		lab_begin
		lab_spoke=1
		# shellcheck disable=SC2034
		lab_ever_spoke=1
	elif [[ $line =~ ^(ok|not\ ok)\ [0-9]+\ ([^#]*[^#\ ])(\ \#\ (.*))?$ ]]; then
		lab_result "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "${BASH_REMATCH[4]:-}"
	elif [[ $line == "    "* ]]; then
		lab_hold "$line"
	elif [[ $line != "1.."* ]]; then
		ktap_emit "# ${line#\# }"
	fi
}

# What boot.sh found wrong with the lab itself, as one sentence.
lab_problem()
{
	local problem

	problem=$(head -n 1 "$1/lab.problem" 2>/dev/null || true)
	printf '%s' "${problem:-the lab ended early with exit status $child_status}"
}

# lab_boot LOG_DIR: one boot, for all runs that have no result yet.
lab_boot()
{
	local log_dir=$1 seconds

	mkdir -p "$log_dir"
	rm -f "$log_dir/lab.problem"
	lab_spoke=
	note "booting the lab for $((${#run_labels[@]} - ktap_done)) test runs"
	seconds=$((lab_boot_seconds + (${#run_labels[@]} - ktap_done) * program_seconds))
	# Whoever debugs takes their time.
	[[ -z $lab_gdb ]] || seconds=1000000
	# boot.sh knows better what to say when the time is up, so let it be the first. And it must
	# not outlive us: after SIGKILL nobody else would end it.
	child_start $((seconds + 30)) - setpriv --pdeathsig TERM \
		lab/boot.sh "${lab_boot_options[@]}" --timeout "$seconds" --log-dir "$log_dir" -- \
		env "${lab_environment[@]}" ./run.sh --from "$ktap_done" "${lab_run_options[@]}"
	while child_read; do
		lab_take_line "$child_line"
	done
	child_finish
	[[ -z $child_timed_out ]] || child_status=1
}

lab_note_problem()
{
	lab_problems+="${lab_problems:+; }$1"
}

# lab_give_up VERDICT REASON: no boot would get any further.
lab_give_up()
{
	lab_begin
	while ((ktap_done < ${#run_labels[@]})); do
		ktap_result "$1" "${run_labels[ktap_done]}" "$2"
	done
}

# The lab died. The run it was in failed; if it did not even get to a run, all that is left did.
lab_died()
{
	lab_note_problem "$1"
	if [[ -z $lab_spoke ]]; then
		lab_give_up failed "$1"
		return
	fi
	lab_release
	ktap_result failed "${run_labels[ktap_done]}" "$1"
}

# The run at hand begins anew, once. False if it stalled before.
lab_forgive_stall()
{
	((lab_stalled_at != ktap_done)) || return 1
	lab_stalled_at=$ktap_done
	lab_held=()
	note "the emulation stalled, which says nothing about the kernel under test: running" \
		"${run_labels[ktap_done]} again"
	((ktap_planned == 0)) || ktap_emit "# lab: the emulation stalled, run again"
}

# lab_judge_boot LOG_DIR PASSED FAILED ENVIRONMENT: the counts are those from before this boot.
lab_judge_boot()
{
	local log_dir=$1 expected=0

	if ((ktap_done < ${#run_labels[@]})); then
		if ((child_status == lab_stalled)); then
			lab_forgive_stall || {
				# shellcheck disable=SC2034
				lab_stalled_twice=1
				lab_died "the emulation stalled twice"
			}
		elif ((child_status == 2)) && [[ -z $lab_spoke ]]; then
			# Its sentence is on stderr already.
			((ktap_planned)) || exit 2
			lab_give_up environment "the lab cannot run it"
		else
			lab_died "$(lab_problem "$log_dir")"
		fi
		return
	fi
	# All results are in. Does the end of the lab agree with them?
	if ((ktap_failed > $3)); then
		expected=1
	elif ((ktap_environment > $4)); then
		expected=2
	elif ((ktap_passed == $2)); then
		expected=4
	fi
	if [[ -e $log_dir/lab.problem ]]; then
		lab_note_problem "$(lab_problem "$log_dir")"
	elif ((child_status != expected)); then
		lab_note_problem "the lab's exit status is $child_status, not $expected"
	fi
}

# lab_run LOG_DIR: all of run_*[].
lab_run()
{
	local log_dir=$1 boot=1 before

	while ((ktap_done < ${#run_labels[@]})); do
		before=("$ktap_passed" "$ktap_failed" "$ktap_environment")
		lab_boot "$log_dir"
		lab_judge_boot "$log_dir" "${before[@]}"
		boot=$((boot + 1))
		log_dir=$1/boot-$boot
	done
	if [[ -n $lab_problems ]]; then
		ktap_result failed "$lab_health" "$lab_problems"
	elif ((ktap_passed + ktap_failed == 0)); then
		ktap_result skipped "$lab_health" "no test ran in it"
	else
		ktap_result passed "$lab_health"
	fi
}
