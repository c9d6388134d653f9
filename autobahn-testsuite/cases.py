"""Which cases there are, which of them are run, and in which chunks.

`cases.txt` lists all cases of the suite. Patterns are resolved here and not by
`wstest`, whose own patterns match prefixes (`1*` also takes 10, 12 and 13); a
case number without `*` is taken literally there, so numbers are all it is given.
"""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

Case = str
"""A case number, such as `12.3.11`."""


def all_cases() -> list[Case]:
    """Reads the cases of the suite, in its order."""
    return (Path(__file__).parent / "cases.txt").read_text().split()


def select(patterns: str, known: list[Case]) -> list[Case]:
    """Resolves comma-separated patterns to case numbers, in the suite's order.

    A pattern is a case or a section (`9`, `6.4`: everything below it), a range
    of sections (`1-7`), or has a `*` for any run of characters (`12.*.5`).

    Raises `ValueError` for a pattern that selects nothing.
    """
    selected: set[Case] = set()
    for pattern in filter(None, (part.strip() for part in patterns.split(","))):
        matches = [case for case in known if _matches(case, pattern)]
        if not matches:
            raise ValueError(f"no case matches {pattern!r}")
        selected.update(matches)
    if not selected:
        raise ValueError("no cases selected")
    return [case for case in known if case in selected]


def quick(known: list[Case]) -> list[Case]:
    """Everything but 12 and 13, and of these a sample: two sizes and fragments."""
    return [
        case for case in known if _numbers(case)[0] < 12 or _numbers(case)[2] in QUICK_SAMPLE
    ]


def sample(known: list[Case]) -> list[Case]:
    """Everything but 12 and 13, and of these one case of every subsection."""
    return [
        case for case in known if _numbers(case)[0] < 12 or _numbers(case)[2] == SMALL_SAMPLE
    ]


def section(case: Case) -> str:
    """The section of a case: `12` for `12.3.11`."""
    return case.split(".")[0]


def subsection(case: Case) -> str:
    """The subsection of a case: `12.3` for `12.3.11`."""
    return ".".join(case.split(".")[:2])


def is_compressible(case: Case) -> bool:
    """Whether the case exchanges text that any use of deflate makes much smaller.

    Left out: the bitmap (12.2), the PDF (12.5), and messages so short that they
    may well not shrink when each is compressed by itself.
    """
    return (
        section(case) in ("12", "13")
        and subsection(case) not in ("12.2", "12.5")
        and MESSAGE_SIZES[_numbers(case)[2] - 1] >= 4096
    )


def chunks(selected: list[Case], jobs: int) -> list[list[Case]]:
    """Splits the cases into chunks of about equal cost, the dearest first.

    There is one for each job, or several where one would take long: so none
    comes near its time limit, and a job that ends early finds something to do.
    """
    rounds = round(sum(map(cost, selected)) / CHUNK_COST / jobs)
    count = min(len(selected), jobs * max(1, rounds))
    loads = [0.0] * count
    split: list[list[Case]] = [[] for _ in range(count)]
    for case in sorted(selected, key=cost, reverse=True):
        cheapest = loads.index(min(loads))
        split[cheapest].append(case)
        loads[cheapest] += cost(case)
    order = sorted(range(count), key=loads.__getitem__, reverse=True)
    return [sorted(split[index], key=_numbers) for index in order]


def cost(case: Case) -> float:
    """Estimates the seconds a case takes, two at a time on two cores.

    Only the proportions matter, and these roughly.
    """
    numbers = _numbers(case)
    if case in WAITING_CASES:
        return WAITING_CASES[case]
    if numbers[0] == 9:
        return 0.3
    if numbers[0] < 12:
        return 0.02
    # A thousand messages to and fro, then so much for every octet.
    factor = DATA_COST.get(subsection(case), 1.0)
    if numbers[2] in SMALL_FRAGMENTS:
        factor *= 1.8
    return 0.5 + factor * MESSAGE_SIZES[numbers[2] - 1] / 28_000


def _matches(case: Case, pattern: str) -> bool:
    sections = re.fullmatch(r"(\d+)-(\d+)", pattern)
    if sections:
        return int(sections[1]) <= _numbers(case)[0] <= int(sections[2])
    if "*" in pattern:
        return fnmatch.fnmatchcase(case, pattern)
    return case == pattern or case.startswith(pattern + ".")


def _numbers(case: Case) -> list[int]:
    return [int(number) for number in case.split(".")]


# Octets of a message in cases N.M.1 to N.M.18 of sections 12 and 13.
MESSAGE_SIZES = [16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072]
MESSAGE_SIZES += [8192, 16384, 32768, 65536, 131072, 131072, 131072, 131072]

# Of every subsection of 12 and 13: 16 octets, 4 KiB, 8 KiB in fragments of 256.
QUICK_SAMPLE = (1, 5, 11)

# The one of these that says most: 4 KiB, which has to shrink.
SMALL_SAMPLE = 5

# Of these, the cases that send fragments of 256 octets.
SMALL_FRAGMENTS = range(11, 16)

# Data that costs more to compress than the JSON and HTML of the others.
DATA_COST = {"12.2": 3.2, "12.3": 3.8, "12.5": 2.4}

# Cases that wait by design, in seconds.
WAITING_CASES = {"5.19": 1.0, "5.20": 1.0, "6.4.1": 2.0, "6.4.2": 2.0, "6.4.3": 2.0, "6.4.4": 2.0}

# Estimated seconds in a chunk, where there are enough cases.
CHUNK_COST = 80.0
