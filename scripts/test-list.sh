# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced: the test programs, what they need, and the runs that follow from a choice of tests and
# devices. In a source tree every tests/*_test.c and tests/*_test.sh is a test; in a tree of
# copied programs, as in the lab, every executable is.

# shellcheck source=scripts/message.sh
. "${BASH_SOURCE[0]%/*}/message.sh"

test_dir=${O:-build}/tests
# No program takes longer, even in the lab on a slow machine; run.sh scales it by --timeout.
# shellcheck disable=SC2034 # for who sources this
program_seconds=300
run_names=()
run_needs=()
run_bdfs=()
run_labels=()
run_seeds=()

# In one order everywhere: the lab's run.sh has to come to the same plan.
test_names()
{
	test_names_unsorted | sort
}

test_names_unsorted()
{
	local file

	for file in tests/*_test.c tests/*_test.sh; do
		[[ ! -e $file ]] || { file=${file##*/} && printf '%s\n' "${file%.*}"; }
	done
	[[ -e Makefile ]] && return
	for file in "$test_dir"/*_test; do
		[[ ! -x $file ]] || printf '%s\n' "${file##*/}"
	done
}

# What the last lines of a C test say, for a tree that is not built yet.
test_describe_source()
{
	awk -v name="$1" '
		/^TEST_PROGRAM(_WITH_OPTIONS)?\(/ { on = 1 }
		on { text = text " " $0 }
		END {
			sub(/^ [A-Z_]*\(/, "", text)
			needs = substr(text, 1, index(text, ",") - 1)
			sub(/^[^"]*"/, "", text)
			sub(/"[^"]*$/, "", text)
			gsub(/" *"/, "", text)
			list = (needs ~ /KVM/ ? ",kvm" : "")
			list = list (needs ~ /_DEVICE/ ? ",device" : "")
			list = list (needs ~ /_DEVICES/ ? "s" : "")
			list = list (needs ~ /HUGEPAGES/ ? ",hugepages" : "")
			printf "%s\t%s\t%s\n", name, list == "" ? "-" : substr(list, 2), text
		}' "tests/$1.c"
}

# NAME<TAB>NEEDS<TAB>SUMMARY, as the program says of itself.
test_describe()
{
	if [[ -x $test_dir/$1 ]]; then
		"$test_dir/$1" --describe 2>/dev/null
	elif [[ -e tests/$1.sh ]]; then
		bash "tests/$1.sh" --describe
	else
		test_describe_source "$1"
	fi
}

# Which of `kvm`, `device`, `devices` (two), `hugepages`, `lab` a test needs, between commas.
test_needs()
{
	local description

	description=$(test_describe "$1") || die "$1 does not describe itself, is it built?"
	description=${description#*$'\t'}
	printf ',%s,' "${description%%$'\t'*}"
}

test_list_all()
{
	local name

	{
		printf 'TEST\tNEEDS\tWHAT IT PROVES\n'
		for name in $(test_names); do
			test_describe "$name"
		done
	} | awk -F'\t' '{ printf "%-28s %-12s %s\n", $1, $2, $3 }'
}

# run_add NAME NEEDS [BDFS]
run_add()
{
	run_names+=("$1")
	run_needs+=("$2")
	run_bdfs+=("${3:-}")
	run_labels+=("$1${3:+ $3}")
}

# The pairs of devices in a list of words: each A+B, and the first two that stand alone. If there
# is no pair, the only device, and a test says that it takes another.
run_pairs()
{
	local word alone=() pairs=()

	for word; do
		if [[ $word == *+* ]]; then
			pairs+=("${word/+/ }")
		else
			alone+=("$word")
		fi
	done
	((${#alone[@]} < 2)) || pairs=("${alone[*]:0:2}" "${pairs[@]}")
	((${#pairs[@]})) || pairs=("${alone[@]}")
	((${#pairs[@]} == 0)) || printf '%s\n' "${pairs[@]}"
}

# run_repeat SEED TIMES: gives each run its seed, and adds what is to be run again.
run_repeat()
{
	local seed=$1 times=$2 count=${#run_names[@]} round i

	for ((round = 1; round <= times; round++)); do
		for ((i = 0; i < count; i++)); do
			run_seeds+=($(((seed + round - 1) & 0xffffffff)))
			((round > 1)) || continue
			run_names+=("${run_names[i]}")
			run_needs+=("${run_needs[i]}")
			run_bdfs+=("${run_bdfs[i]}")
			run_labels+=("${run_labels[i]} round $round")
		done
	done
}

# run_plan LAB TESTS DEVICES SEED TIMES, the second and third lists of words: fills run_*[]. LAB
# is empty on a host, and tests that only the lab can answer are then left out unless they are
# asked for. First come the tests that leave the devices to their own drivers. A device is A for
# tests of one and of two, or A+B for those of two only.
run_plan()
{
	local lab=$1 chosen=$2 devices=$3 seed=$4 times=$5 name bdf needs i
	local with_device=() with_needs=()

	for name in ${chosen:-$(test_names)}; do
		needs=$(test_needs "$name")
		if [[ $needs == *,device,* || $needs == *,devices,* ]]; then
			with_device+=("$name")
			with_needs+=("$needs")
		elif [[ -n $lab || -n $chosen || $needs != *,lab,* ]]; then
			run_add "$name" "$needs"
		fi
	done
	for i in "${!with_device[@]}"; do
		name=${with_device[i]}
		needs=${with_needs[i]}
		# shellcheck disable=SC2086 # a list of words
		while read -r bdf; do
			[[ -z $bdf ]] || run_add "$name" "$needs" "$bdf"
		done < <(if [[ $needs == *,devices,* ]]; then
			run_pairs $devices
		else
			printf '%s\n' $devices | grep -v '+'
		fi)
	done
	run_repeat "$seed" "$times"
}
