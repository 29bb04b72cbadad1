"""Random programs through brute force, the search, and CPython.

All three must agree: counts, verdicts, reasons, context switches; and with one thread the memory that is left.
`program(seed)` is the text of a program that fails here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lockverse.diagnostics.model import Rejected
from lockverse.explore.bounds import Bounds
from lockverse.lang import scene as lang_scene
from lockverse.lang.errors import AssumptionFailed, CheckFailed, OutOfBounds, Overflow, WouldBlock
from lockverse.lang.null import NULL
from lockverse.lang.structs import Array, declaration
from lockverse.lang.task import running
from lockverse.machine.interpreter import Interpreter
from lockverse.machine.protocol import Blocked, Faulted, Moved, Pruned
from lockverse.passes.pipeline import link
from lockverse.session import Task, check, open_file, program_of, tasks

from ..support import WITHOUT_FINDINGS
from .explore import brute_force
from .programs import program

BATCH = 25


def _task(folder: Path, seed: int, threads: int) -> Task:
    path = folder / f"p{seed}_{threads}.py"
    path.write_text(program(seed, threads))
    return tasks(open_file(path), None, {}, every=False)[0]


@pytest.mark.parametrize(
    ("first", "threads"), [*((n, 2) for n in range(0, 400, BATCH)), *((n, 3) for n in range(7000, 7075, BATCH))]
)
def test_search_and_brute_force_agree(tmp_path: Path, first: int, threads: int) -> None:
    compared = 0
    for seed in range(first, first + BATCH):
        task = _task(tmp_path, seed, threads)
        outcome = check(task, Bounds(states=1500), lambda _: None, WITHOUT_FINDINGS)
        if outcome.bound == "states":
            continue  # too large for brute force: counted below
        compared += 1
        found = brute_force(task.file.schemes[task.scheme], {}, limit=1500)
        counts = (outcome.states, outcome.transitions, outcome.depth)
        assert counts == (found.states, found.transitions, found.depth), seed
        if outcome.reason is None:
            assert not found.failures, seed
        else:
            assert outcome.switches == found.failures[outcome.reason] == min(found.failures.values()), seed
    assert compared >= BATCH * 3 // 4


@pytest.mark.parametrize("first", range(40000, 40160, BATCH * 2))
def test_loops_that_rest(tmp_path: Path, first: int) -> None:
    """CPUs that go round for ever: many do not compile, or run out of a byte, or are too large; the others agree."""
    compared = held = 0
    for seed in range(first, first + BATCH * 2):
        path = tmp_path / f"r{seed}.py"
        path.write_text(program(seed, 2, 2, rests=True))
        task = tasks(open_file(path), None, {}, every=False)[0]
        try:
            outcome = check(task, Bounds(states=400), lambda _: None, WITHOUT_FINDINGS)
        except Rejected as problem:
            assert {one.code for one in problem.diagnostics} == {"K311"}, seed
            continue
        if outcome.bound == "states":
            continue
        compared += 1
        held += outcome.reason is None
        found = brute_force(task.file.schemes[task.scheme], {}, limit=400)
        counts = (outcome.states, outcome.transitions, outcome.depth)
        assert counts == (found.states, found.transitions, found.depth), seed
        assert outcome.completed == found.ends or "assume" in path.read_text(), seed  # what is cut short ends there too
        failures = {outcome.reason: outcome.switches} if outcome.reason else {}
        assert failures.items() <= found.failures.items() and bool(failures) == bool(found.failures), seed
    assert compared >= BATCH and held, (compared, held)


# One thread: plain Python, and the machine


def _value(value: Any, number: dict[int, str]) -> object:
    if value is NULL:
        return "NULL"
    return number.get(id(value), int(value) if isinstance(value, int) else getattr(value, "name", value))


def _memory(objects: dict[str, Any]) -> dict[str, object]:
    """All scalars below the objects, by the names a reader knows them by."""
    number = {id(one): name for name, one in objects.items()}
    found: dict[str, object] = {}

    def walk(name: str, one: Any) -> None:
        if isinstance(one, Array):
            for index, element in enumerate(one):
                found[f"{name}[{index}]"] = _value(element, number)
            return
        declared = declaration(type(one))
        assert declared is not None
        for field in declared.fields:
            value = getattr(one, field)
            if declared.kind == "atomic":
                found[name] = int(value)
            elif declaration(type(value)) is not None and id(value) not in number or isinstance(value, Array):
                walk(f"{name}.{field}", value)
            elif declared.kind != "lock":
                found[f"{name}.{field}"] = _value(value, number)

    for name, one in objects.items():
        walk(name, one)
    return found


def _plain_python(task: Task) -> tuple[str, dict[str, object]]:
    """What plain Python makes of the only thread: how it ended, and memory."""
    scene = lang_scene.build(task.file.schemes[task.scheme], {})
    cpu = scene.cpus[0]
    ending = "finished"
    try:
        with running(cpu.task):
            cpu.function(*cpu.args, **cpu.kwargs)  # type: ignore[operator]
    except CheckFailed as problem:
        ending = problem.reason
    except AssertionError:
        ending = "assertion"
    except AssumptionFailed:
        ending = "pruned"
    except Overflow:
        ending = "overflow"
    except OutOfBounds:
        ending = "out-of-bounds"
    except ZeroDivisionError:
        ending = "division-by-zero"
    except WouldBlock:
        ending = "blocked"
    except AttributeError:
        ending = "null-dereference"
    return ending, _memory({name: value for name, value in scene.names.items() if declaration(type(value))})


def _machine(task: Task) -> tuple[str, dict[str, object]]:
    """What the machine makes of it; the environment always picks its first choice, as plain Python does."""
    machine = Interpreter(link(program_of(task)))
    outcome: Any = machine.start().outcome
    state = None
    while isinstance(outcome, Moved):
        state = outcome.state
        if machine.finished(state, 0):
            break
        outcome = machine.step(state, 0, 0)
    ending = "finished"
    if isinstance(outcome, Faulted):
        ending = outcome.reason.value
    elif isinstance(outcome, Pruned | Blocked):
        ending = "pruned" if isinstance(outcome, Pruned) else "blocked"
    memory: dict[str, object] = {}
    if state is not None:
        for address, cell in enumerate(machine.linked.program.cells):
            if address and not machine.names.is_hidden(address):
                text = machine.names.value(state[0][address], cell.type)
                memory[cell.name] = text
    return ending, memory


def _text(value: object) -> str:
    return str(value)


@pytest.mark.parametrize("first", range(20000, 20300, 50))
def test_one_thread_is_plain_python(tmp_path: Path, first: int) -> None:
    finished = 0
    for seed in range(first, first + 50):
        task = _task(tmp_path, seed, 1)
        ending, memory = _machine(task)
        plain_ending, plain_memory = _plain_python(task)
        if ending == "lock-held-at-exit":
            assert plain_ending == "finished", seed  # plain Python has no end of a CPU to look at
            continue
        assert ending == plain_ending, seed
        if ending != "finished":
            continue  # memory at a failure: a step that fails has no state
        finished += 1
        for name, value in plain_memory.items():
            expected = f"mode.{value}" if name.endswith(".m") else str(bool(value)) if name.endswith(".flag") else _text(value)
            assert memory[name] == expected, (seed, name)
    assert finished >= 10
