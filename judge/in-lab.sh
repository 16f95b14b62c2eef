#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of scripts/judge that runs in the lab: the items with the numbers given, one after
# the other, each bounded. Lines on stdout, for scripts/judge to read:
#
#   begin NUMBER
#   : what the item said, at the end of it
#   end NUMBER STATUS SECONDS
#
# A line of ./items: LABEL, SECONDS and COMMAND, between tabs.

set -u

uptime_seconds() {
	local up

	read -r up _ </proc/uptime
	echo "${up%.*}"
}

for number; do
	IFS=$'\t' read -r _ seconds command < <(sed -n "$((number + 1))p" items)
	echo "begin $number"
	began=$(uptime_seconds)
	status=0
	# Not much of it: the channel is slow, and what matters stands at the end.
	timeout -k 5 "$seconds" sh -c "$command" >/tmp/said 2>&1 </dev/null || status=$?
	tail -n 40 /tmp/said | sed 's/^/: /'
	((status != 143 && status != 124)) || echo ": no end within $seconds s"
	echo "end $number $status $(($(uptime_seconds) - began))"
done
