# SPDX-License-Identifier: GPL-2.0-only
"""One page of HTML about a run: nothing is loaded, no script runs, everything is escaped."""

import html
import math

from ktap_document import MODES, path_of

WORDS = {"passed": "pass", "failed": "FAIL", "skipped": "skip", "xfail": "xfail",
         "environment": "ERROR"}
# From bad to good: what stands for several.
ORDER = ("failed", "environment", "xfail", "passed", "skipped")
MAX_PLOTS = 300

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; --bad: #c62828; --good: #2e7d32;
  --skip: #8d6e00; --posted: #2e7d32; --remapped: #1565c0; --eventfd: #6a1b9a; --mixed: #ad6200; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --good: #81c784; --skip: #ffd54f;
  --posted: #81c784; --remapped: #90caf9; --eventfd: #ce93d8; --mixed: #ffb74d; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; padding: 0 1rem;
  max-width: 75rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
code, pre, .case { font-family: ui-monospace, monospace; font-size: .85em; }
pre { background: var(--soft); padding: .6rem; overflow-x: auto; margin: .3rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { border: 1px solid var(--line); padding: .2rem .5rem; text-align: left;
  vertical-align: top; }
th { background: var(--soft); font-weight: 600; }
td.cell { text-align: center; white-space: nowrap; }
.failed, .environment { color: var(--bad); font-weight: 700; }
.passed { color: var(--good); } .skipped, .xfail { color: var(--skip); }
.badge { border: 2px solid; border-radius: .3rem; padding: 0 .5rem; }
small { opacity: .75; } details { margin: .4rem 0; } summary { cursor: pointer; }
svg { max-width: 100%; height: auto; } svg text { fill: currentColor; font: 12px sans-serif; }
.k-posted { color: var(--posted); } .k-remapped { color: var(--remapped); }
.k-eventfd { color: var(--eventfd); } .k-mixed { color: var(--mixed); }
"""


def escape(text):
    """Text for any place of the page."""
    return html.escape(str(text), quote=True)


def label(verdict, text=None):
    """A word in the colour of a verdict."""
    return f'<span class="{verdict}">{escape(text or WORDS[verdict])}</span>'


def seconds(milliseconds):
    """A time for people."""
    return "" if milliseconds is None else f"{milliseconds / 1000:.1f} s"


def table(head, rows):
    """Rows of cells that are HTML already."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(row) + "</tr>\n" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody>' \
           "</table></div>\n"


def counted(count):
    """How many interrupts came by which path, as the last lines of run.sh say it."""
    return ", ".join(f'<span class="k-{path}">{number} {path}</span>'
                     for path, number in count.items() if number)


def columns_of(cases):
    """The devices and IOMMU modes of cases, in the order in which one looks for them."""
    found = {(case["device"] or "", case["mode"] or "") for case in cases}
    return sorted(found, key=lambda key: (key[0], MODES.index(key[1]) if key[1] else -1))


def column_heads(columns):
    """Device above, mode below."""
    return [f"{escape(device or 'no device')}<br><small>"
            f"{escape(mode or 'any mode').replace('_', '_<wbr>')}</small>"
            for device, mode in columns]


def worst(cases):
    """The verdict that stands for several."""
    return min((case["verdict"] for case in cases), key=ORDER.index)


def overview_cell(cases):
    """Programs by devices and modes: how many of each verdict."""
    if not cases:
        return '<td class="cell"></td>'
    verdicts = [case["verdict"] for case in cases]
    words = [label(verdict, f"{verdicts.count(verdict)} {WORDS[verdict]}")
             for verdict in ORDER if verdict in verdicts]
    return f'<td class="cell">{"<br>".join(words)}</td>'


def case_cell(cases):
    """A case on a device in a mode: verdict, path and time; the reason is its tooltip."""
    if not cases:
        return '<td class="cell"></td>'
    verdict = worst(cases)
    bad = next(case for case in cases if case["verdict"] == verdict)
    times = [case["duration_ms"] for case in cases if case["duration_ms"] is not None]
    paths = {case["path"] for case in cases if case["path"]}
    path = None if not paths else paths.pop() if len(paths) == 1 else "mixed"
    text = label(verdict)
    if len(cases) > 1:
        text += f' {sum(case["verdict"] == verdict for case in cases)}/{len(cases)}'
    if path:
        text += f' <span class="k-{path}">{path}</span>'
    if times:
        text += f"<br><small>{seconds(max(times))}</small>"
    title = f' title="{escape(bad["reason"])}"' if bad["reason"] else ""
    return f'<td class="cell"{title}>{text}</td>'


def matrix(cases, row_of, cell):
    """Rows by columns, each cell made of the cases that belong there."""
    columns = columns_of(cases)
    rows, places = {}, {}
    for case in cases:
        key = row_of(case)
        rows[key] = None
        places.setdefault((key, case["device"] or "", case["mode"] or ""), []).append(case)
    lines = [[f'<td class="case">{escape(key)}</td>'] +
             [cell(places.get((key, *column))) for column in columns] for key in rows]
    return table([""] + column_heads(columns), lines)


def failures(cases):
    """What went wrong, why, what was said before, and how to see it again."""
    text = ""
    for case in cases:
        if case["verdict"] not in ("failed", "environment"):
            continue
        name = " ".join(filter(None, (case["test"], case["device"], case["case"])))
        text += f'<details open><summary>{label(case["verdict"])} <code>{escape(name)}</code>' \
                f'{": " + escape(case["reason"]) if case["reason"] else ""}</summary>\n'
        if case["log"]:
            text += f'<pre>{escape(chr(10).join(case["log"]))}</pre>\n'
        if case["repeat"]:
            text += f'again: <code>{escape(case["repeat"])}</code>\n'
        text += "</details>\n"
    return "<h2>Failures</h2>\n" + text if text else ""


def reasons(cases):
    """Why cases were skipped, or failed as expected: each reason once."""
    by_reason = {}
    for case in cases:
        if case["verdict"] in ("skipped", "xfail"):
            key = (case["verdict"], case["reason"] or "no reason given")
            name = " ".join(filter(None, (case["test"], case["case"])))
            by_reason.setdefault(key, []).append(name)
    if not by_reason:
        return ""
    rows = [[f"<td>{label(verdict)}</td>", f"<td>{escape(reason)}</td>",
             f"<td><details><summary>{len(names)}</summary><code>"
             f'{"<br>".join(map(escape, sorted(set(names))))}</code></details></td>']
            for (verdict, reason), names in sorted(by_reason.items())]
    return "<h2>Skipped, and failures that are expected</h2>\n" + \
        table(["verdict", "reason", "cases"], rows)


def axis(low, high, left, right, height):
    """Powers of ten, as lines with their values; and the scale from microseconds to x."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)

    def place(value):
        share = (math.log10(max(value, 10.0 ** first)) - first) / (last - first)
        return left + share * (right - left)

    lines = ""
    for power in range(first, last + 1):
        x = place(10.0 ** power)
        value = f"{10.0 ** power:g} µs" if power < 3 else f"{10.0 ** (power - 3):g} ms" \
            if power < 6 else f"{10.0 ** (power - 6):g} s"
        lines += f'<line x1="{x:.1f}" x2="{x:.1f}" y1="18" y2="{height}" stroke="currentColor" ' \
                 f'stroke-opacity=".25"/><text x="{x:.1f}" y="12" text-anchor="middle">' \
                 f"{value}</text>"
    return lines, place


def plot(plots):
    """Each distribution in a row: range, the middle eight tenths, median; logarithmic."""
    values = [value for _, _, deciles in plots for value in deciles if value > 0] or [1.0]
    height = 30 + 20 * len(plots)
    lines, place = axis(min(values), max(values), 400, 940, height)
    for i, (text, path, deciles) in enumerate(plots):
        y = 34 + 20 * i
        low, tenth, middle, ninetieth, high = (place(deciles[k]) for k in (0, 1, 5, 9, 10))
        told = f"{text}: {deciles[0]:g} to {deciles[10]:g} µs, median {deciles[5]:g} µs"
        lines += f'<g class="k-{path}" stroke="currentColor"><title>{escape(told)}</title>' \
                 f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>' \
                 f'<rect x="{tenth:.1f}" y="{y - 5}" width="{max(ninetieth - tenth, 1):.1f}" ' \
                 f'height="10" fill="currentColor" fill-opacity=".3"/>' \
                 f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{y - 7}" y2="{y + 7}" ' \
                 f'stroke-width="2.5"/></g><text x="390" y="{y + 4}" text-anchor="end">' \
                 f"{escape(text if len(text) < 62 else text[:60] + '…')}</text>"
    return f'<svg viewBox="0 0 960 {height}" width="960" role="img" ' \
           f'aria-label="latencies">{lines}</svg>\n'


def latency(cases):
    """Per program and case one drawing, those of a case with several modes together."""
    groups, shown = {}, 0
    several = len({case["device"] for case in cases if case["latency"]}) > 1
    for case in cases:
        for said in case["latency"]:
            last = said["what"].rpartition(", ")[2]
            path = last if last in ("posted", "remapped", "eventfd", "mixed") else case["path"]
            about = " ".join(filter(None, (said["what"], case["mode"],
                                          case["device"] if several else None)))
            groups.setdefault((case["test"], case["without_mode"] or ""), []).append(
                (about, path or "mixed", said["deciles_us"]))
    text = ""
    for (test, name), plots in groups.items():
        if shown >= MAX_PLOTS:
            text += "<p>There are more, in the JSON.</p>\n"
            break
        shown += len(plots)
        text += f"<h3><code>{escape(test)} {escape(name)}</code></h3>\n" + plot(plots)
    if not text:
        return ""
    return "<h2>Latency</h2>\n<p>From signal to count, as the host sees it. The line is the " \
           "range, the box the middle eight tenths, the stroke the median; green is posted, " \
           "blue remapped, violet by eventfd. In the lab they are those of an emulation.</p>\n" \
           f"<details open><summary>plots</summary>\n{text}</details>\n"


def facts(document):
    """What a bug report needs."""
    said = list(document.facts.items()) + [("device", device) for device in document.devices]
    rows = [[f"<th>{escape(key)}</th>", f"<td><code>{escape(value)}</code></td>"]
            for key, value in said]
    return "<h2>Facts of the run</h2>\n" + table(["fact", "value"], rows)


def programs(document):
    """Each program with its time and the path of what it counted."""
    rows = []
    for run in document.runs:
        name = run["test"] + (f" {run['device']}" if run["device"] else "") + \
            (f" round {run['round']}" if run["round"] > 1 else "")
        rows.append([f'<td class="case">{escape(name)}</td>',
                     f'<td>{label(run["verdict"])} {escape(run["reason"] or "")}</td>',
                     f'<td>{seconds(run["duration_ms"])}</td>',
                     f'<td>{counted(run["counts"] or {})}</td>'])
    return "<h2>Programs</h2>\n" + table(["program", "verdict", "took", "counted"], rows)


def head_of(document):
    """The verdict, and by which paths the interrupts came."""
    verdict, count = document.verdict(), document.summary()
    why = document.facts.get("posting", "nobody says why").removeprefix("none, ")
    colour = {"PASS": "passed", "SKIP": "skipped"}.get(verdict, "failed")
    text = f'<h1>kvm-vfio-tests: <span class="badge {colour}">{verdict}</span></h1>\n' \
           f'<p>{count["passed"]} passed, {count["failed"]} failed, {count["skipped"]} skipped'
    if not document.complete:
        text += "; <strong>the document ends early</strong>"
    if document.delivered:
        text += f".<br>Interrupts delivered: {counted(document.delivered) or 'none'}"
        if path_of(document.delivered) and not document.delivered["posted"]:
            text += f"; none was posted: {escape(why)}"
    if "repeat" in document.facts:
        text += f'.<br>Again: <code>{escape(document.facts["repeat"])}</code>'
    return text + "</p>\n"


def html_of(document):
    """The whole page."""
    cases = document.cases
    details = ""
    for test in dict.fromkeys(case["test"] for case in cases):
        mine = [case for case in cases if case["test"] == test and case["case"]]
        if mine:
            shown = " open" if worst(mine) in ("failed", "environment") else ""
            details += f"<details{shown}><summary><code>{escape(test)}</code></summary>\n" + \
                matrix(mine, lambda case: case["without_mode"], case_cell) + "</details>\n"
    parts = [head_of(document), failures(cases), "<h2>Tests by device and IOMMU mode</h2>\n",
             matrix(cases, lambda case: case["test"], overview_cell),
             "<h2>Cases</h2>\n" + details if details else "",
             reasons(cases), latency(cases), programs(document), facts(document)]
    return '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n' \
           '<meta name="viewport" content="width=device-width, initial-scale=1">\n' \
           '<meta http-equiv="Content-Security-Policy" ' \
           "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n" \
           f'<title>kvm-vfio-tests: {document.verdict()}</title>\n' \
           f'<style>{STYLE}</style></head>\n<body>\n{"".join(parts)}</body></html>\n'
