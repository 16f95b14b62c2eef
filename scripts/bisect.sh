# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by run.sh: --bisect, whose exit status is for `git bisect run`.
#
#   0    every result is good
#   1    a result is bad, or the kernel died or complained in a test
#   125  no answer from this commit: the kernel does not build, lacks an option or does not boot,
#        the emulation stalled, or nothing but skips and environment errors came
#   128  and above, with which git gives up: wrong usage, something missing here, a signal

# From the moment on in which whatever fails is the commit's doing.
bisect_kernel=

# bisect_status STATUS SPOKE STALLED: what becomes of run.sh's exit status. SPOKE is empty if the
# lab never got as far as the first test.
bisect_status()
{
	case $1 in
	0) printf 0 ;;
	1) [[ -n $2 && -z $3 ]] && printf 1 || printf 125 ;;
	4) printf 125 ;;
	2) [[ -n $bisect_kernel ]] && printf 125 || printf 128 ;;
	*) (($1 >= 128)) && printf '%s' "$1" || printf 128 ;;
	esac
}
