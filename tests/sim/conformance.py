"""The simulator against what a real kernel answered: every result, every line of owners, every number.

`python -m tests.sim.conformance` prints the table of docs/fidelity-linux.md. Of the active and inactive lists the sum is compared: which of the two
a page is on depends on what was looked at when, and is not modelled. Leaves out how recordings are read (compact.py).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from lockverse.diagnostics.model import Rejected
from lockverse.sim.recording import Recording
from lockverse.sim.run import Run
from lockverse.sim.system import System
from lockverse.sim.workload import parse

from .compact import files, read

KINDS = {
    "anonymous memory": ("anon", "fork", "clone"),
    "files": ("file", "ramfs", "truncate"),
    "moves of charges": ("move", "force"),
    "hierarchy, rmdir": ("nested", "rmdir"),
    "huge pages": ("thp",),
    "random, v1": ("rand_v1",),
    "v2": ("v2",),
    "random, v2": ("rand_v2",),
}


@dataclass(slots=True)
class Comparison:
    """What was compared of one workload, and what differs, a line each."""

    name: str
    results: int = 0
    owners: int = 0
    numbers: int = 0
    differences: list[str] = field(default_factory=list)


def run(recorded: Recording) -> Recording:
    """The simulator's answers to the operations of a recording."""
    workload = parse("\n".join(recorded.ops), recorded.name)
    assert not workload.diagnostics
    ran = Run(System(recorded.cgroup_version), recorded.cgroup_version, recorded.name)
    for operation in workload.operations:
        ran.do(operation)
    return ran.recording


def compared(recorded: Recording, ran: Recording) -> Comparison:
    """Everything of a recording against what the simulator said."""
    found = Comparison(recorded.name, len(recorded.results), len(recorded.owners))
    for number, (op, expected, got) in enumerate(zip(recorded.ops, recorded.results, ran.results, strict=True)):
        if expected != got:
            found.differences.append(f"op {number} `{op}`: {got}, recorded {expected}")
    for number, runs in recorded.owners.items():
        if ran.owners[number] != runs:
            found.differences.append(f"op {number} `{recorded.ops[number]}`: {' '.join(ran.owners[number])}, recorded {' '.join(runs)}")
    for number, groups in recorded.checkpoints.items():
        if list(ran.checkpoints[number]) != list(groups):
            found.differences.append(f"op {number}: the groups {list(ran.checkpoints[number])}, recorded {list(groups)}")
            continue
        for group, row in groups.items():
            found.numbers += len(row)
            expected_row, got_row = sums(row), sums(ran.checkpoints[number][group])
            for key in expected_row.keys() | got_row.keys():
                if expected_row.get(key) != got_row.get(key):
                    found.differences.append(f"op {number} {group} {key}: {got_row.get(key)}, recorded {expected_row.get(key)}")
    return found


def sums(row: Mapping[str, int]) -> dict[str, int]:
    """A row with the lists of anonymous and of file pages added up."""
    summed: dict[str, int] = {}
    for key, value in row.items():
        key = key.replace("inactive_", "lists_").replace("active_", "lists_")
        summed[key] = summed.get(key, 0) + value
    return summed


def all_compared() -> list[Comparison]:
    """All recordings; one whose run fails is a difference."""
    found = []
    for path in files():
        recorded = read(path)
        try:
            found.append(compared(recorded, run(recorded)))
        except (Exception, Rejected) as problem:
            found.append(Comparison(recorded.name, differences=[f"{type(problem).__name__}: {problem}"]))
    return found


def table(found: list[Comparison]) -> str:
    """The table of docs/fidelity-linux.md."""
    kinds: dict[str, list[Comparison]] = {kind: [] for kind in KINDS}
    for one in found:
        kinds[max(((len(start), kind) for kind, starts in KINDS.items() for start in starts if one.name.startswith(start)))[1]].append(one)
    lines = ["| workloads | how many | results | answers of `owners` | numbers | differences |", "|---|---|---|---|---|---|"]
    lines += [_line(kind, some) for kind, some in kinds.items()]
    return "\n".join([*lines, _line("all", found), ""])


def _line(kind: str, some: list[Comparison]) -> str:
    counts = [len(some), *(sum(getattr(one, name) for one in some) for name in ("results", "owners", "numbers"))]
    return f"| {kind} | {' | '.join(f'{count:,}' for count in counts)} | {sum(len(one.differences) for one in some):,} |"


if __name__ == "__main__":
    comparisons = all_compared()
    print(table(comparisons))
    for one in comparisons:
        for difference in one.differences[:5]:
            print(f"{one.name}: {difference}")
    sys.exit(any(one.differences for one in comparisons))
