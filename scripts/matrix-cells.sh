# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by scripts/matrix: the cells of the matrix, what is kept of each in the log directory, and
# how they are run, several at once. A cell is one run of run.sh in a lab of its own.
#
# All that a run which goes on needs is in files: `cells.list`, one cell a line; `options`, what
# run.sh is given in each; and in cells/NAME what the cell said, and once it has ended `status`.

# scripts/matrix-table.sh uses what is set here, and scripts/matrix sets log_dir.
# shellcheck disable=SC2034,SC2154
# shellcheck source=scripts/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"

# How a cell is run; its command is "$matrix_runner OPTION...".
matrix_runner=./run.sh
# Bound on a cell, in which it has bounds of its own.
matrix_cell_seconds=86400
# How long a cell has to give back what it uses before it is killed.
matrix_grace_tenths=300
# Seconds between two looks at what is running.
matrix_pace=0.5

cell_names=()
cell_iommus=()
cell_kernels=()
# `-` for the one that run.sh takes by itself
cell_kernel_paths=()
cell_modes=()
cell_devices=()
# Between blanks.
cell_tests=()
# waiting, running or ended
cell_states=()
cell_pids=()
cell_deadlines=()
cell_began=()
# Of those that have ended: the exit status, the seconds, `late` if it had to be ended.
cell_statuses=()
cell_seconds=()
cell_late=()
# What the table says of it.
cell_verdicts=()
cell_options=()
cell_reported=0

# cell_add IOMMU KERNEL KERNEL_PATH MODE DEVICE TESTS
cell_add()
{
	cell_names+=("$1/$2/$4/$5")
	cell_iommus+=("$1")
	cell_kernels+=("$2")
	cell_kernel_paths+=("$3")
	cell_modes+=("$4")
	cell_devices+=("$5")
	cell_tests+=("$6")
	cell_states+=(waiting)
}

# cell_dir INDEX: no two cells have the same, for names hold no `+`.
cell_dir()
{
	printf '%s/cells/%s' "$log_dir" "${cell_names[$1]//\//+}"
}

# cells_save: the plan, before anything is run.
cells_save()
{
	local i

	for i in "${!cell_names[@]}"; do
		printf '%s\t%s\t%s\t%s\t%s\t%s\n' "${cell_iommus[i]}" "${cell_kernels[i]}" \
			"${cell_kernel_paths[i]}" "${cell_modes[i]}" "${cell_devices[i]}" \
			"${cell_tests[i]}"
	done >"$log_dir/cells.new"
	printf '%s\0' "${cell_options[@]}" >"$log_dir/options"
	# Last: what has this file is whole.
	mv "$log_dir/cells.new" "$log_dir/cells.list"
}

# cells_load: the plan of a run that goes on, and which of its cells have their verdict. One that
# was interrupted has none, nor has one that ended by a signal or for want of something.
cells_load()
{
	local iommu kernel path mode device tests i

	while IFS=$'\t' read -r iommu kernel path mode device tests; do
		cell_add "$iommu" "$kernel" "$path" "$mode" "$device" "$tests"
	done <"$log_dir/cells.list"
	mapfile -d '' -t cell_options <"$log_dir/options"
	for i in "${!cell_names[@]}"; do
		cell_take_status "$i" || continue
		if [[ ${cell_statuses[i]} != [014] ]]; then
			rm -f "$(cell_dir "$i")/status"
			continue
		fi
		cell_states[i]=ended
	done
}

# cell_take_status INDEX: from its file; false if it has not ended.
cell_take_status()
{
	local status seconds late

	{ read -r status seconds late <"$(cell_dir "$1")/status"; } 2>/dev/null || return 1
	cell_statuses[$1]=$status
	cell_seconds[$1]=$seconds
	cell_late[$1]=$late
}

# cell_command INDEX: into $cell_command.
cell_command()
{
	local i=$1 option common=() rest=() tests

	for option in "${cell_options[@]}"; do
		if ((${#rest[@]})) || [[ $option == -- ]]; then
			rest+=("$option")
		elif [[ $option != --posting || ${cell_iommus[i]} == amd ]]; then
			common+=("$option")
		fi
	done
	read -ra tests <<<"${cell_tests[i]}"
	cell_command=("$matrix_runner" --iommu "${cell_iommus[i]}")
	[[ ${cell_kernel_paths[i]} == - ]] || cell_command+=(--kernel "${cell_kernel_paths[i]}")
	cell_command+=(--iommu-mode "${cell_modes[i]}" --lab-device "${cell_devices[i]}"
		"${common[@]}" "${tests[@]}" "${rest[@]}")
}

# cell_start INDEX: in a process group of its own, so that Ctrl-C reaches it through us only; and if
# we are killed, it ends itself as by a signal. The lock of the log directory stays open in it, so
# that nobody goes on with a cell which has not quite ended.
cell_start()
{
	local i=$1 dir

	dir=$(cell_dir "$i")
	rm -rf "$dir"
	mkdir -p "$dir"
	cell_command "$i"
	set -m
	setpriv --pdeathsig TERM "${cell_command[@]:0:1}" --no-install --log-dir "$dir" \
		"${cell_command[@]:1}" >"$dir/stdout" 2>"$dir/stderr" </dev/null &
	cell_pids[i]=$!
	set +m
	cell_states[i]=running
	cell_began[i]=$(uptime_seconds)
	cell_deadlines[i]=$((cell_began[i] + matrix_cell_seconds))
}

cell_alive()
{
	kill -0 "${cell_pids[$1]}" 2>/dev/null
}

# cell_end INDEX...: asks all of them, then insists.
cell_end()
{
	local i tenths=$matrix_grace_tenths

	for i; do
		kill -TERM "${cell_pids[i]}" 2>/dev/null || true
	done
	for i; do
		while cell_alive "$i" && ((tenths-- > 0)); do
			sleep 0.1
		done
		kill -KILL -- "-${cell_pids[i]}" 2>/dev/null || true
		wait "${cell_pids[i]}" 2>/dev/null || true
	done
}

# cell_collect INDEX: true once it has ended; its verdict is then in its file.
cell_collect()
{
	local i=$1 status=0 late='' dir

	if cell_alive "$i"; then
		(($(uptime_seconds) >= cell_deadlines[i])) || return 1
		late=late
		cell_end "$i"
		status=124
	else
		wait "${cell_pids[i]}" 2>/dev/null || status=$?
		kill -KILL -- "-${cell_pids[i]}" 2>/dev/null || true
	fi
	dir=$(cell_dir "$i")
	printf '%s %s %s\n' "$status" $(($(uptime_seconds) - cell_began[i])) "$late" \
		>"$dir/status.new"
	mv "$dir/status.new" "$dir/status"
	cell_take_status "$i"
	cell_states[i]=ended
}

# cells_in STATE: their indexes.
cells_in()
{
	local i

	for i in "${!cell_states[@]}"; do
		[[ ${cell_states[i]} != "$1" ]] || printf '%s\n' "$i"
	done
}

# Whatever happened: no lab of ours runs on. In which cell it was is not to be kept.
cells_stop()
{
	local running

	mapfile -t running < <(cells_in running)
	((${#running[@]})) || return 0
	note "ending ${#running[@]} labs"
	cell_end "${running[@]}"
}

# cell_environment INDEX: what it lacked, in its own words.
cell_environment()
{
	local dir reason

	dir=$(cell_dir "$1")
	reason=$(sed -n '/^not ok .* # environment: /{s///p;q}' "$dir/stdout")
	[[ -n $reason ]] || reason=$(program_last_words "$dir/stderr" "${matrix_runner##*/}")
	printf '%s' "$reason"
}

# cell_judge INDEX: the result, after its document was read.
cell_judge()
{
	local i=$1 status=${cell_statuses[$1]} counts passed failed skipped objection

	counts=$(scripts/ktap-summary "$(cell_dir "$i")/stdout")
	read -r passed _ failed _ skipped _ <<<"$counts"
	child_timed_out=${cell_late[i]}
	objection=$(program_objection "$status" "$matrix_cell_seconds")
	if ((status == 2)) && [[ -z $child_timed_out ]]; then
		cell_verdicts[i]=ERROR
		ktap_result environment "${cell_names[i]}" "$(cell_environment "$i")"
	elif [[ -n $objection ]]; then
		cell_verdicts[i]=DIED
		ktap_result failed "${cell_names[i]}" "$objection"
	elif ((program_failed)); then
		cell_verdicts[i]="FAIL $failed/$((passed + failed))"
		ktap_result failed "${cell_names[i]}"
	elif ((program_passed == 0 || status == 4)); then
		cell_verdicts[i]="skip $skipped"
		ktap_result skipped "${cell_names[i]}" "$program_skip_reason"
	else
		cell_verdicts[i]="ok $passed"
		ktap_result passed "${cell_names[i]}"
	fi
}

# cell_report INDEX: its document, nested in ours.
cell_report()
{
	local line

	program_reset
	ktap_emit "    KTAP version 1"
	ktap_emit "    # Subtest: ${cell_names[$1]}"
	# Into REPLY, which keeps blanks, as in child.sh.
	while read -r || [[ -n $REPLY ]]; do
		line=$REPLY
		program_take_line "$line"
	done <"$(cell_dir "$1")/stdout"
	cell_judge "$1"
}

# cells_report: those that can be: the document has them in the order of the plan.
cells_report()
{
	while ((cell_reported < ${#cell_names[@]})) &&
		[[ ${cell_states[cell_reported]} == ended ]]; do
		cell_report "$cell_reported"
		cell_reported=$((cell_reported + 1))
	done
}

# cells_run JOBS: all that are waiting, so many at once.
cells_run()
{
	local jobs=$1 running waiting i

	cells_report
	while :; do
		mapfile -t running < <(cells_in running)
		for i in "${running[@]}"; do
			! cell_collect "$i" || progress_ended "$i"
		done
		mapfile -t running < <(cells_in running)
		mapfile -t waiting < <(cells_in waiting)
		for i in "${waiting[@]:0:jobs - ${#running[@]}}"; do
			cell_start "$i"
			progress_began "$i"
			running+=("$i")
		done
		cells_report
		((${#running[@]})) || break
		progress_now "${running[@]}"
		sleep "$matrix_pace"
	done
}
