"""The bench: its models have the counts of the peers' table, its numbers are right, its charts are XML, absent tools are named.

Leaves out speed, and the peers themselves where they are not installed.
"""

from __future__ import annotations

import shutil
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lockverse.session import open_file, tasks

from ..support import ROOT

sys.path.insert(0, str(ROOT))  # bench is no part of the installed package

from bench.cases import CASES, Case, mail, scheme, treiber
from bench.measure import measure
from bench.runner import Run, run_one
from bench.stats import paired_ratio, summary
from bench.tools import MODELS, TOOLS, Unreadable, read_lockverse, read_rumur, read_spin, read_tlc

from bench import __main__ as command
from bench import report, svg


def _case(model: str, parameters: dict[str, int], verdict: str, states: int | None) -> Case:
    return Case("T", model, parameters, verdict, states, 1000, "", ())


SMALL = [case for case in CASES if case.states is not None and case.states < 3_500] + [
    _case("m1", mail(1, 1, 2, 1, 1, for_ever=True), "holds", None),
    _case("m1", mail(2, 2, 2, 1, 1, for_ever=True), "holds", 9_504),
    _case("m1", mail(1, 0, 1, 1, 1), "broken", None),
    _case("m3", {"N": 4, "ASYM": 0}, "broken", None),
    _case("m4", treiber(2, 2, 2), "holds", 923),
    _case("m4", treiber(3, 2, 1), "holds", 2_161),
]  # counts of the peers' executable reference


@pytest.mark.parametrize("case", SMALL, ids=lambda case: f"{case.name}-{case.model}-{case.states}")
def test_models_have_the_peers_counts(case: Case) -> None:
    reference = next(tool for tool in TOOLS if tool.name == "lockverse-reference")
    run = run_one(reference, case, 0, 120)
    assert (run.problem, run.verdict) == (None, case.verdict)
    if case.states is not None:
        assert run.states == case.states


def test_every_case_is_a_scheme() -> None:
    for case in CASES:
        file, name, parameters = scheme(case)
        assert tasks(open_file(MODELS / file), name, {key: str(value) for key, value in parameters.items()}, every=False)


def test_summary_and_ratio() -> None:
    found = summary([3.0, 1.0, 2.0])
    assert found is not None and (found.median, found.low, found.high, found.count) == (2.0, 1.0, 3.0, 3)
    assert summary([]) is None
    ratio = paired_ratio({0: 4.0, 1: 9.0, 2: 5.0}, {0: 2.0, 1: 3.0, 3: 1.0})
    assert ratio is not None and (ratio.median, ratio.low, ratio.high, ratio.count) == (2.5, 2.0, 3.0, 2)
    assert paired_ratio({0: 1.0}, {0: 0.0}) is None


def test_measure(tmp_path: Path) -> None:
    one = measure([sys.executable, "-c", "print(sum(range(10**6)))"], tmp_path, 60)
    assert one.code == 0 and one.output.strip() == "499999500000" and not one.timed_out
    assert one.cpu > 0 and one.wall > 0 and one.peak_bytes > 2**20
    late = measure([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, 0.3)
    assert late.timed_out and late.wall < 30
    with pytest.raises(OSError):
        measure(["no-such-program"], tmp_path, 1)


def test_readers() -> None:
    spin = "State-vector 60 byte, depth reached 42, errors: 0\n 3056 states, stored\n 6341 transitions (= stored+matched)\n"
    found = read_spin(spin)
    assert (found.verdict, found.states, found.transitions) == ("holds", 3056, 6340)
    assert read_spin(spin.replace("errors: 0", "errors: 1")).verdict == "broken"
    with pytest.raises(Unreadable):
        read_spin(spin + "error: max search depth too small\n")
    with pytest.raises(Unreadable):
        read_spin("pan: out of memory")
    assert read_rumur("rounded up to 8 bytes\nNo error found.\n3056 states, 6340 rules fired in 0s.").state_bytes == 8
    assert read_tlc("No error has been found.\n6,341 states generated, 3,056 distinct states found, 0 left").states == 3056
    text = '{"results": [{"verdict": "holds", "states": 4, "transitions": 4, "seconds": 0.5}]}'
    old = read_lockverse(text)
    assert (old.states, old.cpu, old.wall, old.state_bytes) == (4, None, 0.5, None)
    new = read_lockverse(text.replace('"seconds"', '"engine": {"name": "native", "cpu_seconds": 0.25, "bytes_per_state": 8}, "seconds"'))
    assert (new.cpu, new.state_bytes) == (0.25, 8)
    with pytest.raises(Unreadable):
        read_lockverse("lockverse: error")


def test_charts_are_xml() -> None:
    value = svg.Value(0.5, 0.4, 0.9)
    for text in (
        svg.bars("a < b", "s", {"A1": {"spin": value, "rumur & co": value}, "B1": {"spin": svg.Value(1e3, 1, 1e4)}}),
        svg.lines("growth", "s", [svg.Panel("filter", "N", {"spin": {3: value, 4: svg.Value(9, 8, 10)}}), svg.Panel("none", "N", {})]),
    ):
        assert ET.fromstring(text).tag.endswith("svg")
        assert "nan" not in text


def _runs() -> list[Run]:
    more = {"whole_wall": 1.0, "whole_cpu": 1.0, "peak_bytes": 10**8}
    good = [Run("A1", "spin", n, None, "holds", 1_292_832, 5, None, 1.0 + n, 1.0, **more) for n in range(2)]  # type: ignore[arg-type]
    wrong = Run("A1", "rumur", 0, None, "holds", 7, 5, 8.0, 3.0, 3.0, **more)  # type: ignore[arg-type]
    return [*good, wrong, Run("A1", "lockverse-1", 0, "out of time: the limit is 1 s (search)")]


def test_report() -> None:
    session = report.Session(_runs(), {"processor": "one"}, {"tlc": "java not found: get it"}, 2, 1.0)
    text = report.markdown(session)
    assert "TLC, 1 worker: java not found: get it" in text
    assert "**out of time: the limit is 1 s (search)**" in text
    assert "1.50 [1.00, 2.00]" in text
    assert "rumur, no symmetry, 1 thread: 7 states, 1,292,832 without reductions - **THIS MUST NOT BE**" in text
    assert set(report.charts(session)) == {"speed.svg", "memory.svg"}


def test_a_missing_peer_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert command.main(["--tools", "spin,rumur", "--cases", "A0", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "not run: spin: spin and gcc not found: `apt-get install spin gcc`" in said and "rumur" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [["--cases", "Z9"], ["--tools", "nothing"], ["--repeat", "0"], ["--limit", "0"]])
def test_usage_errors(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        command.main(wrong)
    assert stop.value.code == 2
    assert wrong[0] in capsys.readouterr().err


@pytest.mark.parametrize("name", ["spin", "spin-bfs", "rumur", "lockverse"])
def test_tools_that_are_there_agree(name: str) -> None:
    tool = next(one for one in TOOLS if one.name == name)
    why = tool.missing()
    if why is not None:
        pytest.skip(why)
    run = run_one(tool, next(case for case in CASES if case.name == "L2"), 0, 120)
    assert (run.problem, run.verdict) == (None, "holds")
    if not tool.reduces:
        assert run.states == 22


def test_results_name_no_machine(tmp_path: Path) -> None:
    assert command.main(["--tools", "lockverse-reference", "--cases", "P4", "--repeat", "1", "--out", str(tmp_path)]) == 0
    for path in tmp_path.iterdir():
        assert str(ROOT) not in path.read_text() and "/tmp/" not in path.read_text()
