# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by run.sh: the reports that the user asks for, made from the log of the run at its end,
# whichever that is. scripts/report.py makes them.

report_options=()
report_due=

# report_take OPTION FILE
report_take()
{
	[[ -n $2 ]] || die "$1 needs a file's name"
	report_options+=("$1" "$(absolute "$2")")
}

# Before anything is done: nobody wants to hear this after an hour.
report_check()
{
	local i file

	((${#report_options[@]})) || return 0
	type -P python3 >/dev/null || die "reports take python3, which is missing:" \
		"install it, or copy run.ktap elsewhere and run scripts/report.py"
	for ((i = 1; i < ${#report_options[@]}; i += 2)); do
		file=${report_options[i]}
		[[ ! -d $file ]] || die "${report_options[i - 1]}: $file is a directory"
		[[ -d $(dirname "$file") ]] ||
			die "${report_options[i - 1]}: there is no directory $(dirname "$file")"
		[[ -w $(dirname "$file") ]] || [[ -w $file ]] ||
			die "${report_options[i - 1]}: $file cannot be written"
	done
	report_due=1
}

# report_write LOG: false if they could not be written; says why.
report_write()
{
	[[ -n $report_due && -s $1 ]] || return 0
	report_due=
	python3 scripts/report.py "${report_options[@]}" "$1" >&2
}
