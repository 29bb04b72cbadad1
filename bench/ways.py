"""`python -m bench.ways`: what it costs where states do not fit a table's slots of 8 bytes, or the processor lacks an instruction.

The same searches, without reduction and with one thread, each way forced in a process of its own; in turns, medians of CPU seconds. All ways
must find the same. Memory is what the process takes beyond what it takes for one state. Leaves out other tools: `python -m bench` has those.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lockverse.cli.main import main as lockverse
from lockverse.codegen import layout
from lockverse.engine import native as engine
from lockverse.explore import native, table
from lockverse.explore.table import Shape
from lockverse.jit import machine_code

from .cases import CASES, Case
from .measure import Measured, measure
from .stats import paired_ratio, summary
from .tools import TOOLS

Set = Callable[[object, str, object], None]  # setattr, or what undoes it later
ROOT: Final = Path(__file__).resolve().parent.parent
AS_IT_COMES: Final = "as it comes"


def sixteen_bytes(put: Set) -> None:
    """States of two words, in slots of two words."""
    for name in ("SMALL", "MEDIUM"):
        put(layout, name, 0)
    put(table, "TWO_WORD_BITS", 0)


def fingerprints(put: Set) -> None:
    """The same, as if the two words of a slot had no room for those of a state."""
    sixteen_bytes(put)
    put(table, "WIDE_BITS", 0)


def whole(put: Set) -> None:
    """Slots that refer to whole states, as with --exact where states have more than 127 bits."""

    def shape_of(one: layout.Layout, exact: bool = False) -> Shape:
        return Shape(one.words, one.bits, whole=True)

    for module in (native, engine):
        put(module, "shape_of", shape_of)


def whole_two_words(put: Set) -> None:
    """The same with states of two words: what slots of 16 bytes are to be held against."""
    sixteen_bytes(put)
    whole(put)


def no_pext(put: Set) -> None:
    """A processor like this one that does not bring bits together."""
    cpu, features = machine_code._host()
    put(machine_code, "_host", lambda: (cpu, features.replace("+bmi2", "-bmi2")))


def old_processor(put: Set) -> None:
    """Only what every processor of this kind can do."""
    put(machine_code, "_host", lambda: ("generic", ""))


WAYS: Final[dict[str, Callable[[Set], None]]] = {
    "16 bytes": sixteen_bytes, "fingerprints": fingerprints, "whole": whole, "whole, two words": whole_two_words, "no pext": no_pext, "old processor": old_processor,
}  # fmt: skip
DEFAULT: Final = {"A1": tuple(WAYS), "C2": tuple(WAYS), "D2": tuple(WAYS), "K2": ("whole", "no pext"), "K4": ("whole", "no pext")}


@dataclass(frozen=True, slots=True)
class Row:
    """What one way came to on one case, by round."""

    found: tuple[str, int, int]  # verdict, states, transitions
    cpu: dict[int, float]
    peaks: list[int]
    empty: int  # the peak with one state

    @property
    def bytes_a_state(self) -> float:
        """Of the least peak: compiling takes memory too, if nothing is kept of it."""
        return (min(self.peaks) - self.empty) / self.found[1]


def _child(way: str, case: Case, *more: str) -> Measured:
    tool = next(one for one in TOOLS if one.name == "lockverse-1")
    arguments = tool.stages(case)[0].command[3:]
    return measure((sys.executable, "-m", "bench.ways", "--as", way, *arguments, "--no-findings", *more), ROOT, 900)


def _run(way: str, case: Case) -> tuple[tuple[str, int, int], float, int]:
    ran = _child(way, case)
    one = json.JSONDecoder().raw_decode(ran.output[ran.output.index("{") :])[0]["results"][0]
    return (one["verdict"], one["states"], one["transitions"]), one["engine"]["cpu_seconds"], ran.peak_bytes


def run_case(case: Case, ways: Sequence[str], repeat: int) -> dict[str, Row]:
    """All ways of one case, in turns."""
    rows: dict[str, Row] = {}
    for number in range(repeat):
        for way in (AS_IT_COMES, *ways):
            found, cpu, peak = _run(way, case)
            known = rows.get(way)
            if known is None:
                rows[way] = Row(found, {number: cpu}, [peak], _child(way, case, "--max-states", "1").peak_bytes)
            elif found != known.found:
                raise SystemExit(f"{case.name}, {way}: {found} and {known.found}")
            else:
                known.cpu[number] = cpu
                known.peaks.append(peak)
    return rows


def shown(case: Case, rows: dict[str, Row]) -> list[str]:
    """The lines of a table."""
    lines = []
    base = rows[AS_IT_COMES]
    for way, row in rows.items():
        cpu, ratio = summary(list(row.cpu.values())), paired_ratio(row.cpu, base.cpu)
        assert cpu is not None and ratio is not None
        same = "" if row.found == base.found else f" differs: {row.found}"
        lines.append(f"| {case.name} | {way}{same} | {row.found[1]:,} | {cpu.median:.3f} | {cpu.low:.3f} | {ratio.median:.2f} | {row.bytes_a_state:.1f} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 if any way found something else."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["--as"]:  # a child of ours
        WAYS.get(given[1], lambda put: None)(setattr)
        return lockverse(given[2:])
    parser = argparse.ArgumentParser(prog="python -m bench.ways", description="What each way to hold states, or to do without an instruction, costs.")
    parser.add_argument("--cases", default=",".join(DEFAULT), metavar="LIST", help=f"cases of the bench (default: {','.join(DEFAULT)})")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each (default: 3)")
    options = parser.parse_args(given)
    wanted = {case.name: case for case in CASES if case.name in options.cases.split(",")}
    if options.repeat < 1 or len(wanted) != len(options.cases.split(",")):
        parser.error("at least 1 run, of cases that there are")
    sys.stdout.write("| case | way | states | CPU s, median | least | beside as it comes | bytes a state |\n|---|---|---:|---:|---:|---:|---:|\n")
    same = True
    for case in wanted.values():
        rows = run_case(case, DEFAULT.get(case.name, tuple(WAYS)), options.repeat)
        same = same and len({row.found for row in rows.values()}) == 1
        sys.stdout.write("".join(f"{line}\n" for line in shown(case, rows)))
        sys.stdout.flush()
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
