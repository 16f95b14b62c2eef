# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by scripts/matrix: what people see of it, the progress and the table at the end.

# shellcheck disable=SC2154 # scripts/matrix-cells.sh sets what is used here

progress_line=

# progress_clear: takes the line about what is running off the terminal.
progress_clear()
{
	[[ -z $progress_line ]] || printf '\r\033[K' >&2
	progress_line=
}

# progress_began INDEX
progress_began()
{
	progress_clear
	note "lab $(($1 + 1)) of ${#cell_names[@]} begins: ${cell_names[$1]}"
}

# progress_ended INDEX
progress_ended()
{
	local i=$1 status=${cell_statuses[$1]} verdict

	case $status in
	0) verdict=PASS ;;
	1) verdict=FAIL ;;
	2) verdict=ERROR ;;
	4) verdict=SKIP ;;
	*) verdict="DIED ($status)" ;;
	esac
	progress_clear
	note "lab $((i + 1)) of ${#cell_names[@]} ended: ${cell_names[i]}: $verdict," \
		"$(scripts/ktap-summary "$(cell_dir "$i")/stdout")" \
		"in ${cell_seconds[i]} s"
}

# progress_now INDEX...: on a terminal, how far those are that are running. One line, overwritten.
progress_now()
{
	local i text stdout planned width

	[[ -t 2 ]] || return 0
	text="$(cells_in ended | wc -l) of ${#cell_names[@]} done;"
	for i; do
		stdout=$(cell_dir "$i")/stdout
		planned=$(sed -n '/^1\.\.\([0-9]*\).*/{s//\1/p;q}' "$stdout")
		text+=" ${cell_names[i]} $(grep -cE '^(not )?ok ' "$stdout" || true)/${planned:-?},"
		text+=" $(($(uptime_seconds) - cell_began[i])) s;"
	done
	width=$(stty size <&2 2>/dev/null || true)
	width=${width#* }
	progress_clear
	progress_line=${text:0:${width:-80} - 1}
	printf '%s' "$progress_line" >&2
}

# table_iommu NAME: as people say it.
table_iommu()
{
	[[ $1 == intel ]] && printf 'VT-d' || printf 'AMD-Vi'
}

# table_cells: KERNEL<TAB>MODE<TAB>IOMMU<TAB>DEVICE<TAB>VERDICT of each cell, in their order.
table_cells()
{
	local i

	for i in "${!cell_names[@]}"; do
		printf '%s\t%s\t%s\t%s\t%s\n' "${cell_kernels[i]}" "${cell_modes[i]}" \
			"$(table_iommu "${cell_iommus[i]}")" "${cell_devices[i]}" \
			"${cell_verdicts[i]:-not run}"
	done
}

# table_body: a row for each kernel and mode, a column for each IOMMU and device. The column of
# kernels is there if there are several. All is text in columns, for a mail.
table_body()
{
	table_cells | awk -F'\t' '
	function pad(text, width) {
		return sprintf("%-" width "s", text)
	}
	function line(text) {
		sub(/ +$/, "", text)
		print text
	}
	function wider(column, text) {
		if (length(text) + 2 > width[column])
			width[column] = length(text) + 2
	}
	{
		row = $1 FS $2
		column = $3 FS $4
		if (!(row in rows)) {
			rows[row] = 1
			order[++nr] = row
			kernels += !($1 in kernel)
			kernel[$1] = 1
			wider("kernel", $1)
			wider("mode", $2)
		}
		if (!(column in columns)) {
			columns[column] = 1
			across[++nc] = column
			wider(column, $4)
			if ($3 != last)
				wider(column, $3)
			last = $3
		}
		value[row, column] = $5
		wider(column, $5)
	}
	END {
		wider("kernel", "kernel")
		head = kernels > 1 ? pad("kernel", width["kernel"]) : ""
		head = head pad("mode", width["mode"])
		names = pad("", length(head))
		for (c = 1; c <= nc; c++) {
			split(across[c], part, FS)
			head = head pad(part[1] == said ? "" : part[1], width[across[c]])
			said = part[1]
			names = names pad(part[2], width[across[c]])
		}
		line(head)
		line(names)
		for (r = 1; r <= nr; r++) {
			split(order[r], part, FS)
			text = kernels > 1 ? pad(part[1], width["kernel"]) : ""
			text = text pad(part[2], width["mode"])
			for (c = 1; c <= nc; c++) {
				key = order[r] SUBSEP across[c]
				text = text pad(key in value ? value[key] : "-", width[across[c]])
			}
			line(text)
		}
	}'
}

# table_failures: of each cell that is not green the first tests that failed, where its logs are and
# how to run it alone.
table_failures()
{
	local i dir

	for i in "${!cell_names[@]}"; do
		[[ ${cell_verdicts[i]:-} == FAIL* || ${cell_verdicts[i]:-} == [DE]* ]] || continue
		dir=$(cell_dir "$i")
		cell_command "$i"
		printf '\n%s: %s\n' "${cell_names[i]}" "${cell_verdicts[i]}"
		sed -n 's/^not ok [0-9]* /  /p' "$dir/stdout" | sed -n '1,5p'
		printf '  log: %s\n  again: %s\n' "${dir#"$top"/}" \
			"$(printf '%q ' "${cell_command[@]}" | sed 's/ $//')"
	done
}

# table: all of it.
table()
{
	local kernels

	kernels=$(printf '%s\n' "${cell_kernels[@]}" | awk '!seen[$0]++' | paste -sd, |
		sed 's/,/, /g')
	printf 'kvm-vfio-tests %s, Linux %s\n\n' "$revision" "$kernels"
	table_body
	table_failures
}
