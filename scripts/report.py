#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: scripts/report.py [--junit FILE] [--json FILE] [--html FILE] RUN.KTAP

Reports on a run, from the log that run.sh leaves in its log directory (- is stdin, and FILE may
be - for stdout): JUnit's XML, JSON as docs/report.md describes it, one page of HTML.
Exit status: 0, or 2 and one sentence if the log cannot be read or a report not be written.
"""

import json
import os
import sys
import xml.etree.ElementTree as ET

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
from ktap_document import Document  # noqa: E402
from report_html import html_of  # noqa: E402

SCHEMA = "kvm-vfio-tests-report"
VERSION = 1


def die(sentence):
    """A usage or environment error."""
    sys.stderr.write(f"report.py: {sentence}\n")
    sys.exit(2)


def json_of(document):
    """docs/report.md has the schema."""
    cases = [{key: case[key] for key in case if key != "without_mode"} for case in document.cases]
    report = {"schema": SCHEMA, "version": VERSION, "verdict": document.verdict(),
              "summary": document.summary(), "complete": document.complete,
              "facts": document.facts, "devices": document.devices,
              "delivered": document.delivered, "runs": document.runs, "cases": cases}
    return json.dumps(report, indent=1) + "\n"


def add_verdict(element, case):
    """What JUnit has inside of a testcase that did not simply pass."""
    kind = {"failed": "failure", "environment": "error", "skipped": "skipped"}.get(case["verdict"])
    if kind:
        inner = ET.SubElement(element, kind, message=case["reason"] or "no reason given")
        again = [f"repeat: {case['repeat']}"] if case["repeat"] else []
        if kind != "skipped":
            inner.text = "\n".join(case["log"] + again)
    elif case["reason"] or case["log"]:
        said = ([f"{case['verdict']}: {case['reason']}"] if case["reason"] else []) + case["log"]
        ET.SubElement(element, "system-out").text = "\n".join(said)


def junit_of(document):
    """One testsuite for each program and device."""
    root = ET.Element("testsuites", name="kvm-vfio-tests")
    suites = {}
    for case in document.cases:
        key = (case["test"], case["device"], case["round"])
        suites.setdefault(key, []).append(case)
    for (test, device, turn), cases in suites.items():
        name = test + (f" {device}" if device else "") + (f" round {turn}" if turn > 1 else "")
        verdicts = [case["verdict"] for case in cases]
        total = sum(case["duration_ms"] or 0 for case in cases)
        suite = ET.SubElement(root, "testsuite", name=name, tests=str(len(cases)),
                              failures=str(verdicts.count("failed")),
                              errors=str(verdicts.count("environment")),
                              skipped=str(verdicts.count("skipped")), time=f"{total / 1000:.3f}")
        properties = ET.SubElement(suite, "properties")
        devices = [("device", said) for said in document.devices]
        for fact, value in list(document.facts.items()) + devices:
            ET.SubElement(properties, "property", name=fact, value=value)
        for case in cases:
            element = ET.SubElement(suite, "testcase", classname=name, name=case["case"] or test,
                                    time=f"{(case['duration_ms'] or 0) / 1000:.3f}")
            add_verdict(element, case)
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True).decode() + "\n"


def write(name, text):
    """Whole or not at all: a reader never sees half a report."""
    data = text.encode("utf-8", "replace")
    if name == "-":
        sys.stdout.buffer.write(data)
        return
    # What is no plain file, such as /dev/stdout, is written to as it is.
    temporary = name if os.path.exists(name) and not os.path.isfile(name) else f"{name}.new"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
        if temporary != name:
            os.replace(temporary, name)
    except OSError as error:
        die(f"{name} cannot be written: {error.strerror}")


def main(words):
    """The options, each with its file, and one log."""
    makers = {"--junit": junit_of, "--json": json_of, "--html": html_of}
    wanted = []
    if "--help" in words:
        sys.stdout.write(__doc__)
        return
    while len(words) > 1 and words[0] in makers:
        wanted.append((makers[words[0]], words[1]))
        words = words[2:]
    if len(words) != 1 or words[0] in makers or words[0].startswith("--") or not wanted:
        die("it takes --junit, --json or --html, each with a file, and one log; see --help")
    try:
        if words[0] == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(words[0], "rb") as file:
                data = file.read()
    except OSError as error:
        die(f"{words[0]} cannot be read: {error.strerror}")
    document = Document(data)
    for maker, name in wanted:
        write(name, maker(document))


if __name__ == "__main__":
    main(sys.argv[1:])
