#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/report.py and scripts/compare on recorded and made-up documents: reports say what the
# document says and count as scripts/ktap-summary and scripts/delivery-summary do, whatever a test
# prints and wherever it ends. Where they are had, the kernel's own parser reads the document, and a
# browser the page. Needs no lab and no root.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/report.XXXXXX")
trap 'rm -rf "$work"' EXIT
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$top/scripts
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"

tests=28
tap_begin
tap_plan $tests
if ! type -P python3 >/dev/null; then
	for ((i = 1; i <= tests; i++)); do
		tap_skip "report_$i" "python3 is not installed"
	done
	tap_end
fi

# report LOG: all three, into $work/out.*.
report()
{
	"$top/scripts/report.py" --junit "$work/out.xml" --json "$work/out.json" \
		--html "$work/out.html" "$1"
}

# holds NAME PYTHON: an expression about r, the JSON; x, the XML; h, the HTML; last, the last case.
holds()
{
	local why

	why=$(python3 - "$work" "$2" 2>&1 <<-'END'
	import json, sys, xml.etree.ElementTree as ET
	work, expression = sys.argv[1:]
	with open(work + "/out.json", encoding="utf-8") as f:
	    r = json.load(f)
	x = ET.parse(work + "/out.xml").getroot()
	with open(work + "/out.html", encoding="utf-8") as f:
	    h = f.read()
	c, f, last = r["cases"], r["facts"], r["cases"][-1] if r["cases"] else None
	if not eval("(" + expression + ")"):
	    print("this is false:", expression, json.dumps(r, indent=1)[:3000], sep="\n")
	END
	) || true
	tap_result "$1" "$why"
}

# The same counts as the scripts that need no python.
agrees()
{
	local said

	said=$(python3 -c 'import json, sys
r = json.load(open(sys.argv[1], encoding="utf-8"))
print("{passed} passed, {failed} failed, {skipped} skipped".format(**r["summary"]))
d = r["delivered"]
if d:
    print("delivered: %s posted, %d remapped, %d by eventfd" %
          (d["posted"] or "none", d["remapped"], d["eventfd"]))' "$work/out.json")
	diff <(printf '%s\n' "$said") <("$top/scripts/ktap-summary" "$1" &&
		"$top/scripts/delivery-summary" "$1" | sed 's/;.*//')
}

# Documents ----------------------------------------------------------------------------------------

good=$work/good.ktap
sed -e ':a' -e '/\\$/{N;s/\\\n//;ta' -e '}' "$top/tests/unit/report/posted.ktap" >"$good"

make_bad()
{
	cat <<-'END'
	KTAP version 1
	# seed: 7
	# posting: none, kvm_amd.avic=N
	# device: 0000:01:00.0, 1b36:0010, class 0x010802, IOMMU group 8, driver nvme
	# device: 0000:02:00.0, 1234:11e8, class 0x00ff00, IOMMU group 9, driver none
	1..6
	    KTAP version 1
	    # Subtest: one_test 0000:01:00.0
	    # seed: 8
	    1..3
	    #  RUN           pages.iommufd_4K.are_mapped ...
	    # tests/one_test.c:17:are_mapped:Expected 1 (1) == 2 (2)
	    # are_mapped: Test failed
	    # duration_ms: 1500
	    # repeat: ./run.sh -d 0000:01:00.0 --seed 8 one_test -- -r pages.iommufd_4K.are_mapped
	    not ok 1 pages.iommufd_4K.are_mapped
	    ok 2 pages.vfio_type1v2_iommu_4K.are_mapped # SKIP no moon
	    #  RUN           pages.iommufd.ends ...
	    # a: 8 sent and counted, mixed (host irqs +3)
	    # duration_ms: 20
	    ok 3 pages.iommufd.ends # XFAIL before Linux 6.16
	    # duration_ms: 2000
	not ok 1 one_test 0000:01:00.0
	    KTAP version 1
	    # Subtest: two_test 0000:01:00.0 0000:02:00.0 round 2
	    1..2
	    ok 1 fine
	    #  RUN           it.hangs_here ...
	    # still: 5 sent and counted, remapped (host irqs +5)
	    # repeat: ./run.sh two_test -- -r it.hangs_here
	not ok 2 two_test 0000:01:00.0 0000:02:00.0 round 2 # no end within 4 s
	    1..1
	    ok 1 fine
	        1..1
	        ok 1 orphan # of no result above it
	not ok 3 three_test # exit status 3
	not ok 4 four_test # environment: there is no sun
	    1..1
	        1..1
	        ok 1 deep.iommufd.leaf
	    ok 1 inner_test 0000:01:00.0
	ok 5 lab/suite
	ok 6 the_lab_kernel_reported_no_problem
	END
}

# All that a name and a comment may hold: bytes 1 to 255 but the newline.
make_hostile()
{
	local i bytes=''

	for ((i = 1; i < 256; i++)); do
		((i == 10)) || bytes+=$(printf '\\x%02x' "$i")
	done
	printf 'KTAP version 1\n# machine: <script>alert("1")</script> & %b\n1..3\n' "$bytes"
	printf '    1..2\n    # %b\n' "$bytes"
	printf '    not ok 1 <b onclick="x">&amp;]]>"quoted"%b # a "reason" <i>\n' "$bytes"
	# shellcheck disable=SC2016 # no variable
	printf '    ok 2 \xff\xfe\xf0\x9f\xed\xa0\x80 `$x` ${x} # SKIP </td>%b\n' "$bytes"
	printf 'not ok 1 evil"><script>_test\n'
	printf 'ok 99999999999999999999 too_long\nok 2\nok 3 - dashed # # two marks\n'
	printf '# latency_us: x, 1 samples: 1 2 3\n# duration_ms: 99999999999999999999999\n'
	printf '%99999s\n' '# deep'
}

# Tests --------------------------------------------------------------------------------------------

test_recorded_run()
{
	report "$good"
	tap_result a_recorded_run_counts_as_the_summaries "$(agrees "$good")"
	holds facts_devices_and_verdict_are_those_of_the_run "r['verdict'] == 'PASS' and
		r['complete'] and f['kernel'] == '6.12.117' and f['accelerator'] == 'tcg'
		and f['seed'] == '659401372'
		and 'IOMMUFD=y' in f['config'] and len(r['devices']) == 1 and r['version'] == 1"
	holds a_case_has_its_mode_time_path_and_seed "(c[1]['mode'], c[1]['duration_ms'],
		c[1]['path'], c[1]['seed'], c[1]['counts']['posted']) ==
		('iommufd', 1129, 'posted', 659401372, 42)"
	holds a_path_of_several_is_mixed "c[2]['path'] == 'mixed' and
		c[2]['counts']['eventfd'] == 10"
	holds latencies_have_eleven_numbers "c[0]['latency'][0]['samples'] == 5 and
		len(c[0]['latency'][0]['deciles_us']) == 11 and h.count('<svg') == 2"
	holds an_expected_failure_is_told "c[4]['verdict'] == 'xfail' and 'before Linux' in h"
	holds junit_has_a_suite_per_program "[(s.get('name'), s.get('tests'), s.get('time'))
		for s in x][0] == ('vfio_pci_device_irq_test 0000:01:00.0', '5', '5.996')"
}

test_failing_run()
{
	make_bad >"$work/bad.ktap"
	report "$work/bad.ktap"
	tap_result a_failing_run_counts_as_the_summaries "$(agrees "$work/bad.ktap")"
	holds a_failure_has_its_cause_and_how_to_repeat_it "r['verdict'] == 'FAIL' and
		c[0]['reason'] == 'Expected 1 (1) == 2 (2)' and
		c[0]['repeat'].endswith('are_mapped') and c[0]['repeat'] in h and
		c[0]['seed'] == 8 and c[0]['mode'] == 'iommufd'"
	holds a_hang_is_put_down_to_its_case "any(k['case'] == 'it.hangs_here' and
		k['verdict'] == 'failed' and k['reason'] == 'no end within 4 s' and
		k['round'] == 2 and k['device'] == '0000:01:00.0 0000:02:00.0' and
		k['path'] == 'remapped' for k in c)"
	holds a_program_that_fails_alone_is_a_case "any(k['test'] == 'three_test' and
		k['case'] is None and k['reason'] == 'exit status 3' for k in c)"
	holds an_environment_error_is_no_failure "any(k['test'] == 'four_test' and
		k['verdict'] == 'environment' and k['reason'] == 'there is no sun' for k in c) and
		x.findall('.//error')[0].get('message') == 'there is no sun'"
	holds what_is_nested_deeper_has_the_inner_test "any(k['test'] == 'inner_test' and
		k['device'] == '0000:01:00.0' and k['case'] == 'deep.iommufd.leaf' for k in c)"
	holds that_nothing_was_posted_is_told_with_its_reason "'kvm_amd.avic=N' in h and
		r['delivered'] == dict(posted=5, remapped=8, eventfd=0)"
	holds runs_have_their_time "r['runs'][0]['duration_ms'] == 2000 and len(r['runs']) == 6"
}

# Cut off anywhere.
test_truncation()
{
	local why='' lines n

	why=$(python3 - "$good" "$work/bad.ktap" 2>&1 <<-'END'
	import sys
	from ktap_document import Document
	from report import json_of, junit_of
	from report_html import html_of
	for name in sys.argv[1:]:
	    with open(name, "rb") as file:
	        data = file.read()
	    last = data.rindex(b"\nok ")
	    for end in range(0, last, 150):
	        document = Document(data[:end])
	        if document.complete or document.verdict() != "FAIL":
	            print(f"{name} cut at {end} is taken for whole")
	        for make in (json_of, junit_of, html_of):
	            make(document)
	END
	) || true
	tap_result a_run_that_died_is_a_failure_wherever_it_did "$(head -n 5 <<<"$why")"
	why=
	lines=$(wc -l <"$work/bad.ktap")
	for ((n = 3; n < lines; n += 9)); do
		head -n "$n" "$work/bad.ktap" >"$work/cut.ktap"
		report "$work/cut.ktap"
		why+=$(agrees "$work/cut.ktap") || true
	done
	tap_result what_is_left_of_it_counts_as_the_summary "$why"
	head -n 13 "$work/bad.ktap" >"$work/cut.ktap"
	report "$work/cut.ktap"
	holds the_case_it_died_in_is_named "c[0]['case'] == 'pages.iommufd_4K.are_mapped' and
		c[0]['device'] == '0000:01:00.0' and not r['complete'] and len(c) == 6"
}

test_hostile_input()
{
	make_hostile >"$work/hostile.ktap"
	report "$work/hostile.ktap"
	tap_result hostile_input_counts_as_the_summary "$(agrees "$work/hostile.ktap")"
	holds hostile_names_arrive_and_nothing_of_them_is_markup "'<b onclick' in c[0]['case'] and
		'<script' not in h and '<b onclick' not in h and '<i>' not in h and
		h.count('<td') == h.count('</td>') and x.find('.//failure') is not None and
		not any(ord(k) < 32 and k not in '\n\t' for k in h)"
	head -c 20000 /dev/urandom >"$work/noise"
	report "$work/noise"
	holds noise_is_an_incomplete_run "r['verdict'] == 'FAIL' and not r['complete']"
}

test_usage()
{
	local why='' status

	for words in "" "--json" "--json x" "--xml x y" "--json $work/x $work/none" \
		"--json /no/such/place $good"; do
		status=0
		# shellcheck disable=SC2086 # a list of words
		"$top/scripts/report.py" $words >"$work/o" 2>"$work/e" || status=$?
		((status == 2)) && [[ ! -s $work/o && $(wc -l <"$work/e") == 1 ]] ||
			why+="'$words': status $status; $(<"$work/e")"
	done
	tap_result bad_input_is_one_sentence_and_status_2 "$why"
}

# compared STATUS PATTERN RESULT...: what is wrong.
compared()
{
	local status=0

	"$top/scripts/compare" "${@:3}" >"$work/o" 2>&1 || status=$?
	((status == $1)) || echo "exit status $status, not $1"
	grep -qE "$2" "$work/o" || { echo "no line matches $2" && cat "$work/o"; }
}

# edit OLD NEW PYTHON: of the cases c.
edit()
{
	python3 -c 'import json, sys
r = json.load(open(sys.argv[1], encoding="utf-8"))
c = r["cases"]
exec(sys.argv[3])
json.dump(r, open(sys.argv[2], "w", encoding="utf-8"))' "$@"
}

test_compare()
{
	local a=$work/a.json b=$work/b.json

	report "$good" && mv "$work/out.json" "$a"
	edit "$a" "$b" 'c[0]["duration_ms"] = 9000; r["facts"]["kernel"] = "7.3"'
	tap_result slower_and_another_kernel_are_no_regression "$(
		compared 0 '^change, slower: .*1229 ms, now 9000' "$a" "$b"
		compared 0 '^fact kernel: 6.12.117, now 7.3$' "$a" "$b"
		compared 0 '^0 regressions, 6 cases' "$a" "$a")"
	edit "$a" "$b" 'c[0].update(verdict="failed", reason="lost"); c[1].update(verdict="skipped")
del c[3]'
	tap_result what_got_worse_is_a_regression_and_better_is_not "$(
		compared 1 'newly failing: .*every_msi.*: lost$' "$a" "$b"
		compared 1 'newly skipped: ' "$a" "$b"
		compared 1 'vanished: .*every_nmi' "$a" "$b"
		compared 1 '^3 regressions, 6 cases before, 5 now$' "$a" "$b"
		compared 0 '^change, newly passing: ' "$b" "$a")"
	edit "$a" "$b" 'c[0].update(path="remapped", counts=dict(posted=0, remapped=42, eventfd=0))'
	tap_result posted_no_longer_is_a_regression "$(
		compared 1 'REGRESSION, path changed: .*posted, now remapped' "$a" "$b"
		compared 0 'change, path changed: .*remapped, now posted' "$b" "$a")"
	printf '{"schema": "kvm-vfio-tests-report", "version": 1}' >"$work/short.json"
	printf '[' >"$work/broken.json"
	edit "$a" "$work/new.json" 'r["version"] = 2'
	tap_result what_is_no_report_is_one_sentence_and_status_2 "$(
		compared 2 'cannot be read' "$a" /no/such/file
		compared 2 'is no JSON' "$a" "$work/broken.json"
		compared 2 'lacks what' "$a" "$work/short.json"
		compared 2 'has version 2' "$work/new.json" "$a"
		compared 2 'takes two results' "$a")"
}

test_kernels_parser()
{
	local parser=${KSRC:-}/tools/testing/kunit/kunit.py status=0 name

	name=the_kernels_parser_takes_the_document
	if [[ ! -e $parser ]]; then
		tap_skip "$name" "the kernel tree has no kunit.py"
		return
	fi
	(cd "$work" && python3 "$parser" parse "$good") >"$work/kunit" 2>&1 || status=$?
	grep -q 'passed: 6$' "$work/kunit" || status=2
	! grep -q ERROR "$work/kunit" || status=3
	tap_result "$name" "$( ((status == 0)) || cat "$work/kunit")"
}

# A browser shows the page without asking for anything else.
test_browser()
{
	local name=a_browser_shows_the_page_and_loads_nothing options why=''

	if ! type -P chromium >/dev/null; then
		tap_skip "$name" "chromium is not installed"
		return
	fi
	options=(--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
		--disable-background-networking --disable-component-update --disable-sync
		--user-data-dir="$work/chromium" --enable-logging=stderr)
	report "$good"
	timeout 90 chromium "${options[@]}" --window-size=1200,1500 \
		--screenshot="$work/page.png" "file://$work/out.html" >"$work/dom" 2>"$work/e" ||
		why="chromium ended with status $?"
	! grep -E 'CONSOLE|Refused to' "$work/e" || why="the page is not at peace with itself"
	[[ -s $work/page.png && $(stat -c %s "$work/page.png") -gt 30000 ]] ||
		why="nothing was drawn"
	tap_result "$name" "$why" "$(tail -n 5 "$work/e")"
}

test_recorded_run
test_failing_run
test_truncation
test_hostile_input
test_usage
test_compare
test_kernels_parser
test_browser
tap_end
