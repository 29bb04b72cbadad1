"""Recordings as text that can be read and reviewed: a workload with its answers beside it, in lines that begin with `#=`.

    rmcg A                 #= -16                      a result that is not 0
    owners w1 r            #= A/map1x20 nonex80        an answer of `owners`
    check
    #= A 20: rss 20 inactive_anon 20 pgpgin 20         a row: the group, its usage, its statistics

A statistic that is not there is 0, and one that begins with total_ is then the sum of it over the groups of that checkpoint that are the
row's own or below it. A statistic that is shown is one for which that rule is wrong or that is not 0. So nothing is lost, and the file is
a workload that `lockverse run` takes. `python -m tests.sim.compact FOLDER` makes the folder `recordings` again from the JSON files in FOLDER/v1 and FOLDER/v2,
after having read each back and compared it. Leaves out the kernel and its command line: recordings/README.md has them, and they are the same for all.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from lockverse.sim.recording import Recording, Statistics, loads

HERE = Path(__file__).resolve().parent / "recordings"
KERNEL = "6.1.0-50-cloud-amd64"
CMDLINE = "quiet loglevel=0 panic=-1 reboot=t,f cgroup.memory=nokmem,nosocket transparent_hugepage=madvise nokaslr mitigations=off random.trust_cpu=on"
OWN = {
    1: ("cache", "rss", "rss_huge", "shmem", "mapped_file", "swap", "inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable", "pgpgin", "pgpgout"),
    2: ("anon", "file", "shmem", "file_mapped", "anon_thp", "swapcached", "inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable"),
}  # fmt: skip
KEYS = {1: ("usage", *OWN[1], *(f"total_{key}" for key in OWN[1])), 2: ("usage", *OWN[2])}


def files() -> list[Path]:
    """All recordings."""
    return sorted(HERE.glob("v*/*.txt"))


def read(path: Path) -> Recording:
    """A recording from its text."""
    return parse(path.stem, path.read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Recording:
    """A recording from its text."""
    first, *lines = text.splitlines()
    one = Recording(name, int(first.removeprefix("cgroup v")), KERNEL, CMDLINE)
    rows: dict[str, dict[str, int]] = {}
    for line in lines:
        op, marked, answer = (part.strip() for part in line.partition("#="))
        if op:
            rows = _whole(one, rows)
            one.ops.append(op)
            one.results.append(0)
        if marked and not op:
            group, row = _row(answer)
            rows[group] = row
        elif marked and op.startswith("owners"):
            one.owners[len(one.ops) - 1] = answer.split()
        elif marked:
            one.results[-1] = int(answer)
    _whole(one, rows)
    return one


def text_of(one: Recording) -> str:
    """The text of a recording."""
    lines = [f"cgroup v{one.cgroup_version}"]
    for number, (op, result) in enumerate(zip(one.ops, one.results, strict=True)):
        answer = " ".join(one.owners.get(number, [])) or (str(result) if result else "")
        lines.append(f"{op:22} #= {answer}" if answer else op)
        groups = one.checkpoints.get(number, {})
        lines += [f"#= {group} {row['usage']}: {_shown(group, groups, one.cgroup_version)}".rstrip() for group, row in groups.items()]
    return "\n".join([*lines, ""])


def _shown(group: str, groups: Statistics, version: int) -> str:
    implied = dict.fromkeys(OWN[version], 0) | (_totals(group, groups) if version == 1 else {})
    return " ".join(f"{key} {value}" for key, value in groups[group].items() if key != "usage" and value != implied[key])


def _totals(group: str, groups: Statistics) -> dict[str, int]:
    below = [row for name, row in groups.items() if group in (".", name) or name.startswith(group + "/")]
    return {f"total_{key}": sum(row[key] for row in below) for key in OWN[1]}


def _row(answer: str) -> tuple[str, dict[str, int]]:
    match = re.fullmatch(r"(\S+) (-?\d+):((?: \w+ -?\d+)*)", answer)
    assert match, answer
    words = match[3].split()
    return match[1], {"usage": int(match[2])} | {key: int(value) for key, value in zip(words[::2], words[1::2], strict=True)}


def _whole(one: Recording, rows: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """Fill in what a checkpoint's rows leave out, and take it into the recording. Gives the rows of the next."""
    if rows:
        given = {group: dict.fromkeys(OWN[one.cgroup_version], 0) | row for group, row in rows.items()}
        totals = {group: _totals(group, given) if one.cgroup_version == 1 else {} for group in given}
        whole = {group: totals[group] | given[group] for group in given}
        one.checkpoints[len(one.ops) - 1] = {group: {key: row[key] for key in KEYS[one.cgroup_version]} for group, row in whole.items()}
    return {}


def _same(one: Recording, other: Recording) -> bool:
    """Equal, the order of rows and statistics included."""

    def ordered(checkpoints: Mapping[int, Statistics]) -> str:
        return json.dumps([[op, [[group, list(row.items())] for group, row in rows.items()]] for op, rows in checkpoints.items()])

    return one == other and ordered(one.checkpoints) == ordered(other.checkpoints)


def convert(folder: Path) -> Iterable[Path]:
    """Make the texts from the JSON files of a folder."""
    for source in sorted(folder.glob("v*/*.json")):
        one = loads(source.read_text(encoding="utf-8"))
        assert (one.kernel, one.cmdline, one.name) == (KERNEL, CMDLINE, source.stem), source
        text = text_of(one)
        assert _same(parse(one.name, text), one), source
        path = HERE / source.parent.name / f"{source.stem}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        yield path


if __name__ == "__main__":
    print(len(list(convert(Path(sys.argv[1])))), "recordings")
