# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced: what the scripts say to the person at the terminal. stdout belongs to KTAP.

message_source=${0##*/}

note()
{
	printf '%s\n' "$*" >&2
}

# A usage or environment error: neither a pass nor a failure.
die()
{
	printf '%s: %s\n' "$message_source" "$*" >&2
	exit 2
}
