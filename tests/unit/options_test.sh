#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The options that run.sh takes are those of its --help, of the man page and of the completion, no
# more and no fewer; and what the completion offers beyond them is right.

set -euo pipefail
export LC_ALL=C

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
page=$top/man/kvm-vfio-tests.1
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"
# shellcheck source=completions/run.sh
. "$top/completions/run.sh"

# Between run.sh and itself.
internal=--from

# same NAME EXPECTED FOUND: lists of lines in any order.
same()
{
	local found

	found=$(diff <(sort -u <<<"$2") <(sort -u <<<"$3") |
		sed -n 's/^< /lacks /p; s/^> /has /p' || true)
	tap_result "$1" "${found:+$(xargs <<<"$found")}"
}

words()
{
	grep -oE -e '(^|[^A-Za-z0-9-])--?[a-z][a-z-]*' | grep -oE -e '--?[a-z][a-z-]*$' || true
}

# taken FILE: the labels of the case in its take_options().
taken()
{
	awk '/^take_options\(\)/ { on = 1 }
		on && (/^\t\t-/ || more) {
			more = /\\$/
			sub(/\).*/, "")
			print
		}
		/^}/ { on = 0 }' "$1" | words | grep -vx -e -h -e "$internal"
}

# complete_at WORD...: what is offered for the last of them, with run.sh as the first.
complete_at()
{
	COMP_WORDS=("$top/run.sh" "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_kvm_vfio_tests
	((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
}

test_lists()
{
	local front matrix all

	front=$(printf '%s\n' --matrix "$(taken "$top/run.sh")")
	matrix=$(taken "$top/scripts/matrix")
	all=$(printf '%s\n' "$front" "$matrix")
	# --help itself need not say that it is there.
	same help_has_all_options "$front" "$(echo --help && "$top/run.sh" --help | words)"
	same the_matrix_help_has_all_of_its_own "$matrix" \
		"$(echo --help && "$top/run.sh" --matrix --help | words)"
	same the_man_page_has_them_all "$all" \
		"$(sed -n '/^\.It/s/Fl -*h , //; /^\.It Fl/s/Fl \([^ ]*\)/-\1/gp' "$page" | words)"
	same completion_offers_them "$front" "$(complete_at -)"
	same completion_offers_those_of_the_matrix_then "$matrix" "$(complete_at --matrix -)"
}

test_values()
{
	local option

	same completion_offers_the_tests "$("$top/run.sh" --list | awk 'NR > 1 { print $1 }')" \
		"$(complete_at --debug '')"
	same completion_takes_the_beginning irq_soak_test "$(complete_at irq_so)"
	same completion_ends_where_run_sh_ends '' "$(complete_at a_test -- -)"
	for option in --iommu-mode --iommu --accel --tcg-threads; do
		same "completion_knows_the_values_of_${option#--}" "$(
			awk -v at="$option\\\\)" '$0 ~ at { on = 1 }
				/one_of/ { seen = on }
				on { text = text " " $0; if (seen && !/\\$/) exit }
				END { sub(/.*one_of "\$option" "\$value"/, "", text)
				      sub(/&&.*/, "", text); gsub(/\\/, "", text); print text }' \
				"$top/run.sh" | xargs -n 1)" "$(complete_at "$option" '')"
	done
}

test_page()
{
	if type -P mandoc >/dev/null; then
		tap_result mandoc_finds_nothing_wrong_with_the_page \
			"$(mandoc -T lint -W warning "$page" 2>&1 || true)"
	else
		tap_skip mandoc_finds_nothing_wrong_with_the_page "there is no mandoc"
	fi
	if [[ -n $(type -P groff) && -n $(compgen -G "/usr/share/groff/*/tmac/mdoc.tmac") ]]; then
		tap_result groff_finds_nothing_wrong_with_the_page \
			"$(groff -ww -mdoc -T utf8 -z "$page" 2>&1 || true)"
	else
		tap_skip groff_finds_nothing_wrong_with_the_page "there is no groff with mdoc"
	fi
}

tap_begin
tap_plan 14
test_lists
test_values
test_page
tap_end
