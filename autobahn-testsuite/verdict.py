"""Judges the reports of `wstest`, strictly.

`wstest` itself always exits with 0. Here a role passes only if every selected
case was reported once, each is OK or INFORMATIONAL in both `behavior` and
`behaviorClose`, and what the peer sent in the compression cases was compressed:
`wstest` is content with a peer that negotiates permessage-deflate and then sends
everything as it is.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from cases import Case, is_compressible, subsection

PASSING = ("OK", "INFORMATIONAL")


@dataclass(frozen=True)
class Report:
    """What `wstest` wrote about one case."""

    case: Case
    agent: str
    behavior: str
    behavior_close: str
    milliseconds: int
    file: Path

    def passes(self) -> bool:
        """Whether both verdicts are OK or INFORMATIONAL."""
        return self.behavior in PASSING and self.behavior_close in PASSING


@dataclass
class Traffic:
    """What the peer sent in the compressible cases, in octets."""

    wire: int = 0
    payload: int = 0

    def add(self, other: Traffic) -> None:
        """Adds another measurement."""
        self.wire += other.wire
        self.payload += other.payload

    def ratio(self) -> float | None:
        """Octets on the wire per octet of payload; `None` if nothing was measured."""
        return self.wire / self.payload if self.payload else None


@dataclass
class Verdict:
    """The outcome of a role: it passes if there are no problems."""

    problems: list[str] = field(default_factory=list)
    passed: int = 0
    traffic: Traffic = field(default_factory=Traffic)


def read_reports(folders: list[Path]) -> list[Report]:
    """Reads the reports in these folders; one without an index has none."""
    reports = []
    for folder in folders:
        index = folder / "index.json"
        if not index.exists():
            continue
        for agent, cases in json.loads(index.read_text()).items():
            for case, entry in cases.items():
                reports.append(
                    Report(
                        case,
                        agent,
                        entry["behavior"],
                        entry["behaviorClose"],
                        entry["duration"],
                        folder / entry["reportfile"],
                    )
                )
    return reports


def count_starts(folders: list[Path]) -> Counter[Case]:
    """Counts how often each case was started, by the logs of `wstest`.

    A report does not tell: the last run of a case replaces those before.
    """
    starts: Counter[Case] = Counter()
    for folder in folders:
        log = folder / "wstest.log"
        if log.exists():
            text = log.read_text(errors="replace")
            starts.update(re.findall(r"Running test case ID (\S+)", text))
    return starts


def judge(selected: list[Case], reports: list[Report], starts: Counter[Case]) -> Verdict:
    """Judges a role by its reports and by how often each case was started."""
    verdict = Verdict(problems=_miscounts(selected, reports, starts))
    subsections: dict[str, Traffic] = {}
    order = {case: position for position, case in enumerate(selected)}
    for report in sorted(reports, key=lambda report: order.get(report.case, -1)):
        if not report.passes():
            verdict.problems.append(_explain(report))
            continue
        verdict.passed += 1
        if is_compressible(report.case):
            traffic = _traffic(report)
            if traffic is None:
                verdict.problems.append(f"{report.case}: the report has no traffic figures")
                continue
            verdict.traffic.add(traffic)
            subsections.setdefault(subsection(report.case), Traffic()).add(traffic)
    for name, traffic in subsections.items():
        ratio = traffic.ratio()
        if ratio is not None and ratio > MAX_RATIO:
            figures = f"{ratio:.3f} octets on the wire per octet of payload, limit {MAX_RATIO}"
            verdict.problems.append(f"{name}.*: not compressed: {figures}")
    return verdict


def _miscounts(selected: list[Case], reports: list[Report], starts: Counter[Case]) -> list[str]:
    counts = Counter(report.case for report in reports)
    missing = [case for case in selected if case not in counts]
    twice = [case for case in selected if counts[case] > 1 or starts[case] > 1]
    foreign = [case for case in counts if case not in set(selected)]
    agents = sorted({report.agent for report in reports})
    problems = []
    if missing:
        problems.append(f"{len(missing)} cases have no report: {' '.join(missing)}")
    if twice:
        problems.append(f"{len(twice)} cases ran more than once: {' '.join(twice)}")
    if foreign:
        problems.append(f"{len(foreign)} cases were not selected: {' '.join(foreign)}")
    if len(agents) > 1:
        problems.append(f"reports of several agents: {' '.join(agents)}")
    return problems


def _explain(report: Report) -> str:
    """One paragraph on a case that does not pass."""
    details = _details(report)
    lines = [f"{report.case}: {report.behavior}, close {report.behavior_close}"]
    lines.append(f"  case:   {_plain(details.get('description'))}")
    lines.append(f"  result: {_plain(details.get('result'))}")
    lines.append(f"  close:  {_plain(details.get('resultClose'))}")
    lines.append(f"  report: {report.file.with_suffix('.html')}")
    return "\n".join(lines)


def _traffic(report: Report) -> Traffic | None:
    """What the peer sent, which to `wstest` is incoming."""
    stats = _details(report).get("trafficStats")
    if not stats:
        return None
    return Traffic(stats["incomingOctetsWireLevel"], stats["incomingOctetsAppLevel"])


def _details(report: Report) -> dict:
    return json.loads(report.file.read_text()) if report.file.exists() else {}


def _plain(html: object) -> str:
    text = " ".join(re.sub(r"<[^>]*>", " ", str(html or "-")).split())
    return text if len(text) <= 300 else text[:297] + "..."


# A peer that compresses stays near 0.08; one that does not comes to 1 and more.
MAX_RATIO = 0.5
