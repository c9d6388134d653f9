"""Turns the outcome of both roles into a table, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from cases import Case, section
from verdict import Report, Verdict


@dataclass
class RoleOutcome:
    """All there is to say about one role."""

    role: str
    selected: list[Case]
    reports: list[Report]
    verdict: Verdict
    seconds: float  # Wall time of the role.
    cpu_seconds: float  # Of `wstest` and the program under test together.

    def failed(self) -> int:
        """How many cases fail, are missing, or are spoilt by another problem."""
        missing = len(self.selected) - self.verdict.passed
        return max(missing, 1 if self.verdict.problems else 0)


def as_markdown(suite: str, jobs: int, outcomes: list[RoleOutcome]) -> str:
    """The table of sections per role, with the total wall time."""
    blocks = []
    for outcome in outcomes:
        total = len(outcome.selected)
        heading = f"{outcome.role.capitalize()}: {outcome.verdict.passed} of {total} cases pass"
        blocks += [f"### {heading}", _table(outcome), _remarks(outcome)]
        problems = [problem.splitlines()[0] for problem in outcome.verdict.problems]
        blocks += ["\n".join(f"- {problem}" for problem in problems)] if problems else []
    seconds = sum(outcome.seconds for outcome in outcomes)
    blocks.append(f"{suite}, {jobs} at a time; {_duration(seconds)} in all.")
    return "\n\n".join(blocks) + "\n"


def as_json(suite: str, jobs: int, outcomes: list[RoleOutcome]) -> str:
    """The same figures for programs."""
    roles = {}
    for outcome in outcomes:
        roles[outcome.role] = {
            "selected": len(outcome.selected),
            "reported": len(outcome.reports),
            "passed": outcome.verdict.passed,
            "failed": outcome.failed(),
            "problems": outcome.verdict.problems,
            "sections": {name: _figures(outcome, name) for name in _sections(outcome)},
            "wire_octets_per_payload_octet": outcome.verdict.traffic.ratio(),
            "wall_seconds": round(outcome.seconds, 1),
            "cpu_seconds": round(outcome.cpu_seconds, 1),
        }
    passes = all(not outcome.verdict.problems for outcome in outcomes)
    return json.dumps({"suite": suite, "jobs": jobs, "passes": passes, "roles": roles}, indent=2)


def write(folder: Path, suite: str, jobs: int, outcomes: list[RoleOutcome]) -> str:
    """Writes `summary.md` and `summary.json`; returns the Markdown."""
    markdown = as_markdown(suite, jobs, outcomes)
    (folder / "summary.md").write_text(markdown)
    (folder / "summary.json").write_text(as_json(suite, jobs, outcomes) + "\n")
    return markdown


def _sections(outcome: RoleOutcome) -> list[str]:
    return list(dict.fromkeys(map(section, outcome.selected)))


def _figures(outcome: RoleOutcome, name: str | None) -> dict:
    """The figures of a section; of the whole role if it is `None`."""
    reports = [r for r in outcome.reports if name in (None, section(r.case))]
    return {
        "cases": sum(name in (None, section(case)) for case in outcome.selected),
        "behavior": dict(Counter(report.behavior for report in reports)),
        "behavior_close": dict(Counter(report.behavior_close for report in reports)),
        "case_seconds": round(sum(report.milliseconds for report in reports) / 1000, 1),
    }


def _table(outcome: RoleOutcome) -> str:
    rows = [
        "| section | cases | OK | INFORMATIONAL | other | close OK | close INFORMATIONAL "
        "| close other | time in cases |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in [*_sections(outcome), None]:
        figures = _figures(outcome, name)
        cells = [name or "all", figures["cases"]]
        cells += _split(figures["behavior"]) + _split(figures["behavior_close"])
        cells.append(f"{figures['case_seconds']:.1f} s")
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows)


def _split(verdicts: dict[str, int]) -> list[str]:
    """OK, INFORMATIONAL, and all others by name."""
    rest = {name: count for name, count in verdicts.items() if name not in ("OK", "INFORMATIONAL")}
    other = ", ".join(f"{count} {name}" for name, count in sorted(rest.items())) or "0"
    return [str(verdicts.get("OK", 0)), str(verdicts.get("INFORMATIONAL", 0)), other]


def _remarks(outcome: RoleOutcome) -> str:
    time = f"Wall time {_duration(outcome.seconds)}, CPU time {_duration(outcome.cpu_seconds)}."
    ratio = outcome.verdict.traffic.ratio()
    if ratio is None:
        return time
    return f"{time} Sent in the compressible cases: {ratio:.3f} octets per octet of payload."


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
