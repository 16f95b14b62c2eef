# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Shows how far a build is; sourced by the programs that build something for the lab.

# took: how long it took so far.
took() {
	printf '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60))
}

# progress NAME PERCENT: once.
progress() {
	printf '%s: %3d%%, %s' "$1" "$2" "$(took)" >&2
}

# follow PID NAME COMMAND...: shows progress until the process has ended; the command prints how
# many percent are done. A terminal gets one line that changes, a log a line now and then.
follow() {
	local pid=$1 name=$2 next=0

	shift 2
	while kill -0 "$pid" 2>/dev/null; do
		if [[ -t 2 ]]; then
			printf '\r' >&2
			progress "$name" "$("$@")"
		elif ((SECONDS >= next)); then
			progress "$name" "$("$@")"
			echo >&2
			next=$((SECONDS + 20))
		fi
		sleep 0.5
	done
	if [[ -t 2 ]]; then
		printf '\r\033[K' >&2
	fi
}
