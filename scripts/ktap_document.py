# SPDX-License-Identifier: GPL-2.0-only
"""A KTAP document of run.sh: the one parser that all reports are made from.

What it counts is what scripts/ktap-summary counts, and the paths are those of
scripts/delivery-summary. It takes whatever comes: documents that end in the middle, bytes that
are no UTF-8, control characters.
"""

import re

MODES = ("vfio_type1v2_iommu", "vfio_type1_iommu", "iommufd_compat_type1v2",
         "iommufd_compat_type1", "iommufd")
PATHS = ("posted", "remapped", "eventfd")
LOG_LINES = 200

# What neither XML nor a terminal wants to see.
UNPRINTABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
RESULT = re.compile(r"(not )?ok \d+(?: +(?:- )?(.*))?$")
PLAN = re.compile(r"1\.\.(\d{1,9})")
VERSION = re.compile(r"K?TAP version")
FACT = re.compile(r"([A-Za-z][A-Za-z ]*): (.*)")
LABEL = re.compile(r"(\S+)((?: [0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])*)"
                   r"(?: round (\d{1,9}))?$")
DELIVERED = re.compile(r": (\d{1,18}) [a-z]+ and counted, (posted|remapped|mixed|eventfd)")
HOST_IRQS = re.compile(r"\(host irqs \+(\d{1,18})")
NUMBER = r"\d{1,15}(?:\.\d{1,6})?"
LATENCY = re.compile(rf"latency_us: (.*), (\d{{1,9}}) samples:((?: {NUMBER}){{11}})$")
# Why a case failed, as kselftest_harness.h says it, or libvfio/assert.h.
CAUSE = re.compile(r"\S+:\d+:(?:\w+:| assertion failed:)(.*)|\w+: (Test terminated .*)")
NOISE = re.compile(r" RUN  | +OK  | +FAIL  |Starting \d+ tests|"
                   r"duration_ms: |repeat: |seed: |Subtest: |latency_us: ")


class Level:
    """The results at one depth, as far as they have come, and the comments since the last."""

    def __init__(self):
        self.results = []
        self.comments = []
        self.head = []
        self.plan = None
        self.spoke = False


class Result:
    """A line of result: what was said before it, and the level nested in it."""

    def __init__(self, bad, text, comments, below):
        name, mark, rest = (text or "").partition("#")
        self.bad = bad
        self.name = name.strip() or "without a name"
        self.directive = rest.strip() if mark else ""
        self.comments = comments
        self.below = below if below and below.spoke else None

    def verdict(self):
        """passed, failed, skipped, xfail or environment."""
        word = self.directive.partition(" ")[0].upper()
        if self.bad:
            return "environment" if word == "ENVIRONMENT:" else "failed"
        if re.match("skip", self.directive, re.I):
            return "skipped"
        return "xfail" if word == "XFAIL" else "passed"

    def reason(self):
        """The sentence behind the verdict, or None."""
        said = re.sub(r"^(skip|xfail|environment:)\s*", "", self.directive, flags=re.I)
        return said or None


def found(comments, key):
    """The last value of `key: value`, or None."""
    for comment in reversed(comments):
        if comment.startswith(key + ": "):
            return comment[len(key) + 2:]
    return None


def number(text):
    """A number of text that was found, or None."""
    return int(text) if text and re.fullmatch(r"\d{1,15}", text) else None


def deliveries(comments):
    """How many interrupts came by each path; None if nothing is said of any."""
    count = None
    for comment in comments:
        said = DELIVERED.search(comment)
        if not said:
            continue
        count = count or dict.fromkeys(PATHS, 0)
        sent = int(said[1])
        if said[2] == "mixed":
            host = HOST_IRQS.search(comment)
            taken = int(host[1]) if host else 0
            count["remapped"] += taken
            count["posted"] += sent - taken
        else:
            count[said[2]] += sent
    return count


def path_of(count):
    """posted, remapped, eventfd, or mixed; None if nothing came."""
    taken = [path for path in PATHS if count and count[path]]
    return None if not taken else taken[0] if len(taken) == 1 else "mixed"


def latencies(comments):
    """The distributions of times in the comments."""
    every = filter(None, map(LATENCY.match, comments))
    return [{"what": said[1], "samples": int(said[2]),
             "deciles_us": [float(word) for word in said[3].split()]} for said in every]


def split_case(name):
    """fixture.variant.case: (name without the IOMMU mode, mode or None)."""
    words = name.split(".")
    for i, word in enumerate(words[1:-1], 1):
        for mode in MODES:
            if word == mode or word.startswith(mode + "_"):
                rest = word[len(mode):].lstrip("_")
                return ".".join(words[:i] + ([rest] if rest else []) + words[i + 1:]), mode
    return name, None


class Document:
    """facts, runs (programs on their devices) and cases, all made of plain types."""

    def __init__(self, data):
        self.facts = {}
        self.devices = []
        self.runs = []
        self.cases = []
        self.complete = True
        self._levels = {}
        self._facts_over = False
        for line in data.decode("utf-8", "replace").split("\n"):
            self._take(UNPRINTABLE.sub("\ufffd", line.rstrip("\r")))
        self._end()
        self.delivered = deliveries([c for case in self.cases for c in case.pop("_all")]) or None

    def _level(self, depth):
        return self._levels.setdefault(depth, Level())

    def _forget(self, depth):
        for deeper in [d for d in self._levels if d >= depth]:
            del self._levels[deeper]

    def _fold(self, depth):
        """Deeper levels that never got a result of their own become part of the one at depth."""
        for deeper in sorted((d for d in self._levels if d > depth), reverse=True):
            below = self._levels.pop(deeper)
            if below.results:
                name = found(below.head + below.comments, "Subtest") or "unfinished"
                above = self._level(deeper - 1)
                above.results.append(Result(False, name, [], below))
                above.spoke = True

    def _take(self, line):
        text = line.lstrip(" ")
        # Beyond this nothing is nested any more, it is text.
        depth = min((len(line) - len(text)) // 4, 8)
        if depth:
            self._facts_over = True
        if VERSION.match(text):
            self._forget(depth)
            self._level(depth).spoke = True
        elif PLAN.match(text):
            level = self._level(depth)
            level.plan = int(PLAN.match(text)[1])
            level.spoke = True
            if not level.results:
                level.head += level.comments
                level.comments = []
        elif RESULT.match(text):
            self._take_result(depth, RESULT.match(text))
        elif text.startswith("#"):
            self._take_comment(depth, text[1:].removeprefix(" "))

    def _take_comment(self, depth, comment):
        fact = FACT.fullmatch(comment)
        if depth or self._facts_over or not fact:
            self._level(depth).comments.append(comment)
        elif fact[1] == "device":
            if fact[2] not in self.devices:
                self.devices.append(fact[2])
        else:
            self.facts.setdefault(fact[1], fact[2])

    def _take_result(self, depth, match):
        self._facts_over = True
        level = self._level(depth)
        level.spoke = True
        self._fold(depth + 1)
        result = Result(bool(match[1]), match[2], level.comments, self._levels.get(depth + 1))
        self._forget(depth + 1)
        level.comments = []
        level.results.append(result)
        # A whole program, so what is nested in it is nested in nothing that is yet to come.
        if depth == 0:
            self._take_run(result)

    def _end(self):
        """A document that ends in the middle: each result that was announced has failed.

        So has the plan, once, if there are more than it announced.
        """
        self._fold(1)
        top = self._level(0)
        planned = top.plan if top.plan is not None else len(top.results) + 1
        missing = planned - len(top.results)
        below = self._levels.get(1)
        self.complete = missing == 0
        for i in range(min(missing, 10000)):
            name = found(below.comments + below.head, "Subtest") if below and not i else None
            result = Result(True, name or f"result {len(top.results) + i + 1}", [],
                            None if i else below)
            result.directive = "the document ends before its result"
            self._take_run(result, missing=True)
        if missing < 0:
            result = Result(True, "plan", [], None)
            result.directive = f"{-missing} results more than announced"
            self._take_run(result)

    def _take_run(self, result, missing=False):
        label = LABEL.fullmatch(result.name)
        run = {"test": label[1] if label else result.name,
               "device": label[2].strip() or None if label else None,
               "round": int(label[3]) if label and label[3] else 1}
        first = len(self.cases)
        self._take_cases(run, result, missing)
        cases = self.cases[first:]
        below = result.below
        said = result.comments + (below.head + below.comments if below else [])
        counts = [case["counts"] for case in cases if case["counts"]]
        total = {path: sum(count[path] for count in counts) for path in PATHS} if counts else None
        self.runs.append({**run, "verdict": result.verdict(), "reason": result.reason(),
                          "duration_ms": number(found(said, "duration_ms")),
                          "path": path_of(total), "counts": total,
                          "seed": cases[0]["seed"] if cases else None,
                          "repeat": found(said, "repeat")})

    def _take_cases(self, run, result, missing=False):
        """The leaves below a result, and the result itself if it failed on its own."""
        below = result.below
        head = below.head if below else []
        seed = number(found(head, "seed"))
        bad_below = False
        for inner in below.results if below else []:
            bad_below |= inner.bad
            if inner.below and inner.below.results:
                label = LABEL.fullmatch(inner.name)
                deeper = {**run, "test": label[1], "device": label[2].strip() or None} \
                    if label else {**run, "test": inner.name}
                self._take_cases(deeper, inner)
            else:
                self._add_case(run, inner.name, inner, inner.comments, seed)
        if not (below and below.results) or missing or (result.bad and not bad_below):
            comments = below.comments if below else []
            running = [c for c in comments if c.startswith(" RUN ")]
            case = running[-1][4:].removesuffix("...").strip() if running else None
            self._add_case(run, case, result, result.comments + comments, seed)

    def _add_case(self, run, name, result, comments, seed):
        case, mode = split_case(name) if name else (None, None)
        verdict, reason = result.verdict(), result.reason()
        counts = deliveries(comments)
        if verdict == "failed" and not reason:
            cause = next(filter(None, map(CAUSE.match, comments)), None)
            reason = (cause[1] or cause[2]).strip() if cause else None
        self.cases.append({
            **run, "case": name, "without_mode": case, "mode": mode, "verdict": verdict,
            "reason": reason, "duration_ms": number(found(comments, "duration_ms")),
            "path": path_of(counts), "counts": counts, "latency": latencies(comments),
            "seed": seed, "repeat": found(comments, "repeat"), "_all": comments,
            "log": [c for c in comments if not NOISE.match(c)][-LOG_LINES:]})

    def summary(self):
        """The counts of scripts/ktap-summary."""
        verdicts = [case["verdict"] for case in self.cases]
        skipped = verdicts.count("skipped")
        failed = verdicts.count("failed") + verdicts.count("environment")
        return {"passed": len(verdicts) - failed - skipped, "failed": failed,
                "skipped": skipped}

    def verdict(self):
        """That of the last line of run.sh, of whose verdicts on programs it is made."""
        verdicts = [run["verdict"] for run in self.runs]
        if "failed" in verdicts or not self.complete:
            return "FAIL"
        if "environment" in verdicts:
            return "ERROR"
        return "PASS" if "passed" in verdicts or "xfail" in verdicts else "SKIP"
