"""turns: which loops make progress each time round, and that a program without others has no cycle of states.

Expected answers by thinking: a loop that counts a variable of its own up, and never changes it otherwise, cannot come back
to a state; one that leans on memory, counts down, wraps, resets or skips may. Soundness is held against the reference: the
graph of all states of a program in which no thread may repeat is acyclic, and nothing in it spins.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.ir.program import Linked
from lockverse.ir.reason import Reason
from lockverse.machine.interpreter import Interpreter, MachineState
from lockverse.passes import progress
from lockverse.passes.keep import without_dead
from lockverse.passes.progress import turns

from ..codegen.common import (
    corpus,
    linked_text,
    looping_linked,
    random_linked,
    reachable,
    searched,
    specialised,
    successors,
)

SCENE = "x = node()\ny = node()\ncpu(run, x, y)"
STRAIGHT = {
    "nothing": "x.n = 1",
    "for": "for i in range(3):\n        x.n = i",
    "for, from and by": "for i in range(1, 9, 2):\n        x.n = i",
    "while that counts": "i = 0\n    while i < 3:\n        x.n = i\n        i += 1",
    "counts by way of another": "i = 0\n    while i < 3:\n        x.n = i\n        k = i + 1\n        i = k",
    "counts at the start": "i = 0\n    while i < 3:\n        i += 1\n        if x.flag:\n            continue\n        x.n = i",
    "nested": "for i in range(3):\n        for j in range(2):\n            x.n = j",
    "nested, reset outside": "i = 0\n    while i < 3:\n        j = 0\n        while j < 2:\n            x.n = j\n            j += 1\n        i += 1",
    "counts for ever": "i = 0\n    while True:\n        x.n = 1\n        i += 1",
    "break": "for i in range(3):\n        if x.flag:\n            break\n        x.n = i",
    "continue in a for": "for i in range(3):\n        if x.flag:\n            continue\n        x.n = i",
    "two ways to count": "i = 0\n    while i < 9:\n        if x.flag:\n            i += 1\n        else:\n            i += 2",
    "no step inside": "i = 5\n    while i > 0:\n        i -= 1\n    x.n = 1",
}
ROUND = {
    "retry": "while x.flag:\n        cpu_relax()",
    "for ever": "while True:\n        x.n = 1\n        x.n = 0",
    "counts down": "i = 3\n    while i > 0:\n        x.n = i\n        i -= 1",
    "continue that skips": "i = 0\n    while i < 3:\n        if x.flag:\n            continue\n        i += 1",
    "reset inside": "i = 0\n    while i < 3:\n        x.n = 1\n        i += 1\n        i = 0",
    "reset on some path": "i = 0\n    while i < 3:\n        i += 1\n        if x.flag:\n            i = 0",
    "from memory": "i = 0\n    while i < 3:\n        i = READ_ONCE(x.n)",
    "by what is loaded": "i = 0\n    while i < 3:\n        i += x.n",
    "by nothing": "i = 0\n    while i < 3:\n        x.n = 1\n        i += 0",
    "retry in a for": "for i in range(3):\n        while x.flag:\n            cpu_relax()",
    "for in a loop for ever": "while True:\n        for i in range(3):\n            x.n = i",
    "an older value": "i = x.big\n    k = i + 1\n    while True:\n        x.n = 1\n        i = k",
    "an older value, inside": "k = 0\n    for j in range(3):\n        k = j + 1\n        while True:\n            x.n = 1\n            j = k",
    "two that change places": "i, k = 0, 1\n    while i < 3:\n        x.n = 1\n        i, k = k, i",
    "one up, one down": "i = 1\n    while i > 0:\n        x.n = 1\n        i += 1\n        i -= 1",
    "one that is counted in memory": "while x.n < 3:\n        x.n += 1",
}


def repeats(linked: Linked) -> bool:
    """Whether some thread may."""
    return any(turns(code) for code in linked.codes)


@pytest.mark.parametrize("name", STRAIGHT)
def test_progress(tmp_path: Path, name: str) -> None:
    """As linked, and with dead registers forgotten: what counts is not dead."""
    linked = linked_text(tmp_path, f"def run(x, y):\n    {STRAIGHT[name]}", SCENE)
    assert not repeats(linked) and not repeats(without_dead(linked)) and not repeats(specialised(linked))


@pytest.mark.parametrize("name", ROUND)
def test_none(tmp_path: Path, name: str) -> None:
    linked = linked_text(tmp_path, f"def run(x, y):\n    {ROUND[name]}", SCENE)
    assert repeats(linked) and repeats(without_dead(linked))


def test_a_counter_that_wraps(tmp_path: Path) -> None:
    """Modulo 256 it comes back; the same in u8 is an overflow at the latest."""
    for kind, expected in (("wrapping[u8]", True), ("u8", False)):
        linked = linked_text(tmp_path, f"def run(x, i: {kind}):\n    while True:\n        x.n = 1\n        i += 1", "x = node()\ncpu(run, x, 0)")
        assert repeats(linked) == expected, kind


def test_calls(tmp_path: Path) -> None:
    """Loops of functions that are called count like one's own; a call in a loop has registers of its own, set each time."""
    helper = "def helper(x, n):\n    for i in range(n):\n        x.n = i\n\n\n"
    assert not repeats(linked_text(tmp_path, f"{helper}def run(x, y):\n    for k in range(2):\n        helper(x, 2)\n        helper(y, k)", SCENE))
    assert repeats(linked_text(tmp_path, f"{helper}def run(x, y):\n    while x.flag:\n        helper(x, 2)", SCENE))


SPINS = {
    "an older value": "i = x.big\n    k = i + 1\n    while True:\n        x.n = 1\n        i = k",
    "reset": "i = 0\n    while i < 3:\n        x.n = 1\n        i += 1\n        i = 0",
    "continue": "i = 0\n    while i < 3:\n        if not x.flag:\n            continue\n        i += 1",
}


@pytest.mark.parametrize("name", SPINS)
def test_verdicts(tmp_path: Path, name: str) -> None:
    """Each of these spins for ever, by thinking: whoever takes the loop for one that counts finds nothing wrong."""
    linked = linked_text(tmp_path, f"def run(x, y):\n    {SPINS[name]}", SCENE)
    for engine in ("reference", "native"):
        found = searched(linked, engine).failing
        assert found is not None and found.reason is Reason.ENDLESS_SPINNING, engine


# Soundness


def cyclic(linked: Linked, states: list[MachineState]) -> bool:
    """Whether some state comes back to itself: takes away states without predecessors until none is left, or no more is."""
    machine = Interpreter(linked)
    targets = {state: {target for _, _, target in successors(machine, state)} for state in states}
    incoming = dict.fromkeys(states, 0)
    for several in targets.values():
        for target in several:
            incoming[target] += 1
    waiting = [state for state, count in incoming.items() if not count]
    taken = 0
    while waiting:
        taken += 1
        for target in targets[waiting.pop()]:
            incoming[target] -= 1
            if not incoming[target]:
                waiting.append(target)
    return taken < len(states)


def look(linked: Linked, limit: int = 500) -> tuple[int, int]:
    """How many forms of a program cannot repeat, and how many have a cycle; none may be both."""
    straight = round_ = 0
    for one in (linked, without_dead(linked), specialised(linked)):
        states = reachable(one, limit)
        if states:
            cycle, may = cyclic(one, states), repeats(one)
            assert may or not cycle
            straight += not may
            round_ += cycle
    return straight, round_


def test_the_corpus() -> None:
    found = {name: look(linked) for name, linked in corpus().items()}
    assert sum(straight for straight, _ in found.values()) > 20 and sum(cycles for _, cycles in found.values()) > 5


@pytest.mark.parametrize("first", range(0, 60, 30))
def test_random_programs(tmp_path: Path, first: int) -> None:
    found = [look(linked, 200) for seed in range(first, first + 30) if (linked := random_linked(tmp_path, seed, rests=seed % 4 == 0)) is not None]
    assert sum(straight for straight, _ in found) > 20


@pytest.mark.parametrize("first", range(600, 700, 50))
def test_random_loops(tmp_path: Path, first: int) -> None:
    found = [look(linked, 200) for seed in range(first, first + 50) if (linked := looping_linked(tmp_path, seed)) is not None]
    assert sum(straight for straight, _ in found) > 10 and sum(cycles for _, cycles in found) > 3


@pytest.mark.long
@pytest.mark.parametrize("first", range(300_000, 303_000, 100))
def test_many(tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 100):
        for linked in (random_linked(tmp_path, seed, rests=seed % 4 == 0), looping_linked(tmp_path, seed)):
            if linked is not None:
                look(linked, 300)


def test_a_wrong_rule_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If adding nothing counted as counting up, some of these would be taken for progress: the look finds it out."""
    linked = linked_text(tmp_path, f"def run(x, y):\n    {ROUND['reset inside']}", SCENE)
    look(linked)
    monkeypatch.setattr(progress, "_counts", lambda *_: True)
    with pytest.raises(AssertionError):
        look(linked)
