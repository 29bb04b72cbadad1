"""The choice of the engine, and what becomes of a race that a reduced search found: as steps, it fits the scheme itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from lockverse.codegen.values import Unsupported
from lockverse.engine import Options, choose, native
from lockverse.explore import native as explore_native
from lockverse.explore.bounds import Bounds
from lockverse.explore.search import Progress, Result
from lockverse.jit import machine_code
from lockverse.jit.machine_code import Level, Library
from lockverse.machine.protocol import Disagreement
from lockverse.report.verdict import Outcome, footer
from lockverse.session import check, replay

from ..support import ROOT, scheme_text, task_of

machine_code_kept = machine_code._kept
NATIVE = Options("native", jobs=1, findings=False)
EQUAL = "x = node()\ncpu(run, x)\ncpu(run, x)\ncpu(run, x)\n"
BROKEN = {
    "symmetry": ("def run(x):\n    x.n += 1", EQUAL + "at_rest(lambda: x.n == 3)"),
    "roles": ("def run(x):\n    m = x.n\n    x.n = m + 1\n    if m == 2:\n        x.slots[0] = 1", EQUAL + "always(lambda: x.slots[0] == 0)"),
    "locks": (
        "def run(x):\n    with x.lock:\n        x.n += 1\n        x.big += 2\n    with x.other:\n        x.slots[1] += 1\n    if x.slots[2] == 0:\n        x.slots[2] += 1",
        EQUAL + "at_rest(lambda: x.slots[2] == 1)",
    ),
    "fault": ("def run(x):\n    with x.lock:\n        x.n += 1\n    y = x.next\n    if y:\n        x.next = NULL\n        x.next.n = 1", "x = node()\nx.next = x\n" + EQUAL[11:]),
    "deadlock": ("def run(a, b):\n    with a.lock:\n        with b.lock:\n            a.n += 1", "x = node()\ny = node()\ncpu(run, x, y)\ncpu(run, x, y)\ncpu(run, y, x)"),
    "spinning": ("def run(x):\n    while not READ_ONCE(x.flag):\n        with x.lock:\n            x.n = 1 - x.n", EQUAL),
    "spinning with a dead variable": ("def run(x):\n    last: u8 = 7\n    while not READ_ONCE(x.flag):\n        last = x.n", EQUAL),
    "spinning in turns": (
        "def run(x, me: u8):\n    while READ_ONCE(x.big) < 9:\n        if x.n == me:\n            x.n = 1 - me",
        "x = node()\ncpu(run, x, 0)\ncpu(run, x, 1)",
    ),
}  # fmt: skip


def _checked(folder: Path, name: str, options: Options, bounds: Bounds | None = None) -> Outcome:
    body, scene = BROKEN[name]
    return check(task_of(folder, scheme_text(body, scene)), bounds or Bounds(), lambda _: None, replace(options, findings=False))


@pytest.mark.parametrize("name", BROKEN)
def test_the_race_is_that_of_the_reference_search(tmp_path: Path, name: str) -> None:
    reference, compiled = _checked(tmp_path, name, Options("reference")), _checked(tmp_path, name, NATIVE)
    assert (reference.engine.name, compiled.engine.name) == ("reference", "native")
    assert reference.verdict == "broken" and compiled.shortest
    for one in ("verdict", "reason", "message", "switches", "states", "transitions", "depth", "completed"):
        assert getattr(reference, one) == getattr(compiled, one), one
    assert reference.trace is not None and compiled.trace is not None
    assert reference.trace.events == compiled.trace.events and reference.trace.failure == compiled.trace.failure


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("reductions", [NATIVE.reductions, ("symmetry",), ("dead", "local", "locks")], ids=",".join)
def test_a_race_of_the_reduced_search_fits_the_scheme(
    tmp_path: Path, name: str, reductions: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recording a race runs it in the interpreter, and raises if it does not end as it says; so does replaying."""
    monkeypatch.setattr(native, "RACE_STATES", 0)
    reference = _checked(tmp_path, name, Options("reference"))
    outcome = _checked(tmp_path, name, replace(NATIVE, reductions=reductions))
    assert outcome.trace is not None and reference.trace is not None
    assert (outcome.verdict, outcome.reason) == ("broken", reference.reason)
    assert outcome.shortest == (not outcome.engine.reductions)
    assert _prefix(outcome) >= _prefix(reference)
    assert replay(outcome.trace, tmp_path) == outcome.trace
    assert footer(outcome)[0].startswith("a shortest race: " if outcome.shortest else "a race: ")
    assert ("there may be a shorter one" in "".join(footer(outcome))) == (not outcome.shortest)


def _prefix(outcome: Outcome) -> int:
    """The steps before those that repeat."""
    assert outcome.trace is not None
    loop = outcome.trace.failure.loop
    return len(outcome.trace.events) if loop is None else loop


def test_reductions_that_found_something_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "RACE_STATES", 0)
    assert "symmetry" in _checked(tmp_path, "symmetry", NATIVE).engine.reductions
    assert {"local", "locks"} <= set(_checked(tmp_path, "locks", NATIVE).engine.reductions)
    assert _checked(tmp_path, "spinning in turns", replace(NATIVE, reductions=("symmetry",))).engine.reductions == ()


def test_a_pass_against_a_race_is_a_fault_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native._Native, "_exact", lambda self: Result(1, 1, 1, 1, 0.0, complete=True))
    with pytest.raises(Disagreement):
        _checked(tmp_path, "symmetry", NATIVE)


def test_the_reference_search_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _checked(tmp_path, "symmetry", Options()).engine.name == "reference"
    monkeypatch.setattr(choose, "FIRST_STATES", 10)
    outcome = _checked(tmp_path, "symmetry", Options(jobs=1))
    assert (outcome.engine.name, outcome.verdict) == ("native", "broken")
    bounded = _checked(tmp_path, "symmetry", Options(jobs=1), Bounds(states=10))
    assert (bounded.engine.name, bounded.verdict, bounded.bound) == ("reference", "unknown", "states")


def _raises(problem: BaseException) -> object:
    def make(*_: object, **__: object) -> None:
        raise problem

    return make


def test_what_cannot_be_compiled_is_searched_by_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "make_model", _raises(Unsupported("this")))
    outcome = _checked(tmp_path, "symmetry", NATIVE)
    assert (outcome.engine.name, outcome.verdict, outcome.states) == ("reference", "broken", _checked(tmp_path, "symmetry", Options()).states)


def test_interrupted_while_compiling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "FIRST_STATES", 10)
    monkeypatch.setattr(native, "make_model", _raises(KeyboardInterrupt()))
    outcome = _checked(tmp_path, "symmetry", Options())
    assert (outcome.verdict, outcome.bound, outcome.states) == ("unknown", "interrupted", 11)


def test_interrupted_while_looking_for_a_shorter_race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known by then is told."""
    made = native.make_model
    calls: list[int] = []

    def second_time(*given: object, **named: object) -> object:
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return made(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(native, "make_model", second_time)
    outcome = _checked(tmp_path, "symmetry", NATIVE)
    assert (outcome.verdict, outcome.shortest) == ("broken", False)


@pytest.mark.parametrize("bounds", [Bounds(states=20), Bounds(depth=3), Bounds(seconds=0), Bounds(memory=1)], ids=str)
def test_bounds_in_machine_code(tmp_path: Path, bounds: Bounds) -> None:
    outcome = _checked(tmp_path, "symmetry", replace(NATIVE, reductions=()), bounds)
    name = next(one for one in ("states", "depth", "seconds", "memory") if getattr(bounds, one) != getattr(Bounds(), one))
    assert (outcome.verdict, outcome.bound) == ("unknown", name)
    assert f"--max-{name} N moves it" in (outcome.bound_message or "")


def test_interrupted_in_machine_code(tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    body, scene = BROKEN["symmetry"]
    outcome = check(task_of(tmp_path, scheme_text(body, scene)), Bounds(), interrupt, NATIVE)
    assert (outcome.verdict, outcome.bound) == ("unknown", "interrupted")


def test_a_small_scheme_loads_no_compiler() -> None:
    script = (
        "import sys\nfrom lockverse.cli.main import main\nmain(['check', 'schemes/mail/rung_a.py', '--no-trace'])\n"
        "print([name for name in sys.modules if name.startswith(('llvmlite', 'lockverse.codegen', 'lockverse.jit', 'concurrent'))])"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.endswith("\n[]\n")


def test_the_chance_of_a_missed_state_is_told(tmp_path: Path) -> None:
    outcome = check(task_of(tmp_path, scheme_text("def run(x):\n    x.n = 1")), Bounds(), lambda _: None)
    assert footer(outcome) == [f"every interleaving explored: 2 states, 1 transitions, {outcome.seconds:.1f} s"]
    likely = replace(outcome, engine=replace(outcome.engine, omission=3e-20))
    assert footer(likely)[1:] == ["states were told apart by fingerprints: chance that a state was missed: below 1e-19"]


def test_a_search_goes_on_with_code_that_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept, so that it begins with what compiles soon; in the end the better code is kept, and what was found is the same."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(explore_native, "SLICE", 1)
    body, scene = "def run(x):\n    for i in range(3):\n        with x.lock:\n            x.n += 1", EQUAL + "at_rest(lambda: x.n == 9)"
    task = task_of(tmp_path, scheme_text(body, scene))
    outcomes = []
    for after, kept in ((float("inf"), 0), (0.0, 0), (float("inf"), 2)):
        monkeypatch.setattr(explore_native, "BETTER_AFTER", after)
        levels: list[str] = []

        def kept_object(source: str, level: Level, exports: tuple[str, ...], seen: list[str] = levels) -> Library | None:
            found = machine_code_kept(source, level, exports)
            seen += [level] if found is not None else []
            return found

        monkeypatch.setattr(machine_code, "_kept", kept_object)
        outcomes.append(check(task, Bounds(), lambda _: None, NATIVE))
        assert len([level for level in levels if level != "quick"]) == kept
    assert {one.engine.name for one in outcomes} == {"native"} and {one.verdict for one in outcomes} == {"holds"}
    assert len({(one.states, one.transitions, one.depth, one.completed) for one in outcomes}) == 1
