"""Walks from where every move turns back find the states in which executions are caught, and no move forward leads back.

Expected states by brute force over random graphs: those from which an end is never reached and every state that is can come back.
That moves forward never lead back is what the walks rest on: looked at over programs with the moves that compiled code calls forward.
Verdicts and races of schemes that spin are in test_engines_agree.py and tests/check.
"""

from __future__ import annotations

import ctypes
import random
from pathlib import Path

import pytest

from lockverse.codegen import model
from lockverse.codegen.layout import Guesses
from lockverse.codegen.lower import END, FORWARD, TURNING
from lockverse.codegen.values import Values
from lockverse.explore import native, turning
from lockverse.explore.bounds import Bounds
from lockverse.explore.table import Functions, Shape, interpreted
from lockverse.explore.turning import Walks
from lockverse.ir.program import Linked
from lockverse.machine.native import NativeMachine
from lockverse.passes.keep import without_dead
from lockverse.passes.progress import Turns
from lockverse.session import linked_of, open_file, tasks

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
from ..support import ROOT
from .test_kernel import NAMES, SHAPES, _explore, _insert, _model, _native, _state, _store

Edges = list[list[int]]
MOST_NODES = 200
SPACE = (ctypes.c_int64 * (6 * MOST_NODES + 1))()  # of all graphs in turn, as its address is compiled in


def graph(nodes: int, seed: int) -> tuple[Edges, set[int]]:
    """A random graph as `kernel_models.graph` has it, and what it is: most moves go to nodes nearby, so that there are many components.
    Forward are moves to nodes of a higher rank."""
    r = random.Random(seed)
    rank = r.sample(range(nodes), nodes)
    near = r.choice((3, 8, nodes))
    edges = [[(x + r.randrange(-near, near + 1)) % nodes for _ in range(r.choice((1, 1, 2, 3, 4)))] for x in range(nodes)]
    ends = {x for x in range(nodes) if r.random() < r.choice((0.0, 0.02, 0.1))}
    flat = []
    for x, mine in enumerate(edges):
        forward = [i for i, y in enumerate(mine) if rank[y] > rank[x]]
        flags = END if x in ends else 0 if forward else TURNING
        flat += [*mine, *[-1] * (4 - len(mine)), flags, r.choice(forward) if forward else -1]
    SPACE[: len(flat) + 1] = [ctypes.addressof(SPACE) + 8, *flat]
    return edges, ends


def reached(edges: Edges, first: int) -> set[int]:
    found, waiting = {first}, [first]
    while waiting:
        more = set(edges[waiting.pop()]) - found
        found |= more
        waiting += more
    return found


def trapped(edges: Edges, ends: set[int]) -> set[int]:
    """By definition."""
    after = {x: reached(edges, x) for x in reached(edges, 0)}
    return {x for x, mine in after.items() if not mine & ends and all(x in after[y] for y in mine)}


def compare(shape: Shape, functions: Functions, seed: int, nodes: int = 120) -> set[int]:
    edges, ends = graph(nodes, seed)
    address = ctypes.addressof(SPACE)
    store = _store(shape, "graph", functions=functions, workers=1 + seed % 2, DATA=address)
    _insert(store, _state(store, 0))
    _explore(store)
    walks = Walks(store, _model(shape.words, shape.bits, (("DATA", address),)).address("forward"))
    while walks.go_on():
        pass
    caught = walks.caught()
    assert len(caught) == len(set(caught))
    expected = trapped(edges, ends)
    assert {state[0] for state in caught} == expected
    assert [store.state(i) for i in store.members(caught)] == [store.state(i) for i in range(store.states) if store.state(i)[0] in expected]
    return expected


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_random_graphs(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    """With few slots at first, and slices of a few moves."""
    monkeypatch.setattr(turning, "FIRST_SLOTS", 4)
    monkeypatch.setattr(turning, "SLICE", 11)
    found = [len(compare(shape, _native(shape), seed)) for seed in range(40)]
    assert sum(not one for one in found) > 5 and sum(one > 1 for one in found) > 5


def test_random_graphs_in_python() -> None:
    for shape in (SHAPES[0], SHAPES[7]):
        found = [compare(shape, interpreted(shape), seed, 40) for seed in range(12)]
        assert any(found)


# Moves forward


def look(linked: Linked, limit: int = 300) -> tuple[int, int]:
    """How many moves of a program's states are forward, and how many are not; those that are lead to no cycle."""
    states = reachable(linked, limit)
    if not states:
        return 0, 0
    machine = NativeMachine(linked)
    ahead: dict[object, set[object]] = {state: set() for state in states}
    forward = back = 0
    for state in states:
        for thread, choice, target in successors(machine._interpreter, state):
            machine.step(state, thread, choice)
            if machine._acc[FORWARD]:
                ahead[state].add(target)
                forward += 1
            else:
                back += 1
    while ahead:
        last = [state for state, targets in ahead.items() if not targets & ahead.keys()]
        assert last, "moves forward lead round"
        for state in last:
            del ahead[state]
    return forward, back


@pytest.mark.parametrize(("file", "scheme"), [("m1_mail", "for_ever"), ("m2_filter", "filter"), ("m3_philosophers", "left_handed")])
def test_moves_forward_in_models_that_loop(file: str, scheme: str) -> None:
    (task,) = tasks(open_file(ROOT / "bench" / "models" / f"{file}.py"), scheme, {}, every=False)
    forward, back = look(linked_of(task), 5_000)
    assert forward > back > 0


@pytest.mark.long
def test_moves_forward_in_the_corpus() -> None:
    found = [look(one) for linked in corpus().values() for one in (linked, without_dead(linked))]
    assert sum(forward for forward, _ in found) > 10_000 and sum(back > 0 for _, back in found) > 10


@pytest.mark.parametrize(("first", "last"), [(0, 6), *(pytest.param(n, n + 50, marks=pytest.mark.long) for n in range(100_000, 100_500, 50))])
def test_moves_forward_in_random_programs(tmp_path: Path, first: int, last: int) -> None:
    found = []
    for seed in range(first, last):
        for linked in (random_linked(tmp_path, seed, rests=True), looping_linked(tmp_path, seed)):
            found += [look(one, 100) for one in (linked, without_dead(linked), specialised(linked))] if linked is not None else []
    assert sum(back > 0 for _, back in found) > 5 and sum(forward for forward, _ in found) > 100


def test_a_loop_without_a_turn_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look finds it out."""
    linked = linked_text(tmp_path, "def run(x):\n    while x.flag:\n        cpu_relax()", "x = node(flag=True)\ncpu(run, x)")
    assert look(linked)[1]
    monkeypatch.setattr(model, "turns", lambda _: Turns(rests=frozenset((-1,))))
    with pytest.raises(AssertionError, match="lead round"):
        look(linked)


# The search


RETRY = "def run(x):\n    while True:\n        old = READ_ONCE(x.n)\n        if cmpxchg(x.n, old, old + 1) == old:\n            break"
THREE = "x = node()\ncpu(run, x)\ncpu(run, x)\ncpu(run, x)"


def test_walks_stop_for_ctrl_c_and_for_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all states are explored and walks are not over, nothing is known."""
    linked = linked_text(tmp_path, RETRY, THREE)
    go_on = Walks.go_on
    monkeypatch.setattr(turning, "SLICE", 1)
    calls = []

    def counted(walks: Walks) -> bool:
        calls.append(1)
        return go_on(walks)

    monkeypatch.setattr(Walks, "go_on", counted)
    assert searched(linked, "native").complete and len(calls) > 10

    def interrupted(walks: Walks) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(Walks, "go_on", interrupted)
    result = searched(linked, "native")
    assert result.bound is not None and result.bound.name == "interrupted" and not result.complete

    def filling(walks: Walks) -> bool:
        monkeypatch.setattr(native, "memory_used", lambda: 5_000.0)
        return go_on(walks)

    monkeypatch.setattr(Walks, "go_on", filling)
    result = searched(linked, "native", bounds=Bounds(memory=4_000))
    assert result.bound is not None and result.bound.name == "memory" and not result.complete


def test_what_is_not_asked_for_is_not_looked_at(tmp_path: Path) -> None:
    """Without the question no state is flagged, and the model has no function for it."""
    linked = linked_text(tmp_path, RETRY, THREE)
    values, guesses = Values(linked), Guesses()
    asked, not_asked = (model.make_model(linked, values, guesses, 1000, endless=one) for one in (True, False))
    assert asked.turning and "@forward(" in asked.text
    assert not not_asked.turning and "@forward(" not in not_asked.text
