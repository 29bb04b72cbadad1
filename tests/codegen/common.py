"""What the tests of the native engine share: the corpus, random programs, and searches by either engine.

The corpus is every scheme of the repository and the small models of the bench. The reference is the interpreter and the
search without reductions: it is the specification, so an expected value that comes from here says so where it is used.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from pathlib import Path

from lockverse.diagnostics.model import Rejected
from lockverse.engine import Options, search
from lockverse.explore.bounds import Bounds
from lockverse.explore.search import Progress, Result
from lockverse.ir.program import Linked
from lockverse.machine.interpreter import Interpreter, MachineState
from lockverse.machine.protocol import Moved
from lockverse.passes.specialise import specialise
from lockverse.reduction import REDUCTIONS
from lockverse.reduction.symmetry import differing
from lockverse.session import _observers, open_file, tasks
from lockverse.session import linked_of as compiled

from ..oracle.programs import program
from ..support import ROOT, SCHEMES, linked_of, scheme_text, write

SHORT = 300  # ops of all threads together
NO_BOUNDS = Bounds(states=200_000, seconds=None, memory=None)
Key = tuple[object, ...]
SUBSETS = [tuple(one for i, one in enumerate(REDUCTIONS) if number >> i & 1) for number in range(1 << len(REDUCTIONS))]


def silent(_progress: Progress) -> None:
    """Tell nobody."""


SMALL_MODELS = {
    "m1_mail": [{"unmappers": "1", "mappers": "1", "pages": "1", "movers": "1"}, {"unmappers": "2", "mappers": "0", "pages": "1", "movers": "1"}],
    "m2_filter": [{"n": "2"}], "m3_philosophers": [{"n": "2"}, {"n": "3"}], "m4_treiber": [{"cpus": "2", "nodes": "1"}],
}  # fmt: skip


@functools.cache
def corpus() -> dict[str, Linked]:
    """Every scheme of the repository with its default parameters, by name, and small models of the bench."""
    found = {f"{path.stem}-{task.scheme}": compiled(task) for path in SCHEMES for task in tasks(open_file(path), None, {}, every=False)}
    for name, choices in SMALL_MODELS.items():
        file = open_file(ROOT / "bench" / "models" / f"{name}.py")
        for given in choices:
            for task in tasks(file, None, given, every=False):
                found["-".join([name, task.scheme, *given.values()])] = compiled(task)
    return found


def short_corpus() -> dict[str, Linked]:
    """The schemes of it whose code is short: for tests that compile each many times."""
    return {name: linked for name, linked in corpus().items() if sum(len(code.ops) for code in linked.codes) <= SHORT}


def linked_text(folder: Path, body: str, scene: str, head: str = "") -> Linked:
    """The linked code of a scheme given as `scheme_text` takes it, with `head` before its classes."""
    text = scheme_text(body, scene)
    return linked_of(folder, text.replace("@struct\nclass node", f"{head}\n\n@struct\nclass node", 1) if head else text)


def random_linked(folder: Path, seed: int, threads: int = 2, statements: int = 3, *, rests: bool = False) -> Linked | None:
    """The random program of tests/oracle of that seed; None if it does not compile."""
    path = write(folder, program(seed, threads, statements, rests=rests))
    try:
        return compiled(tasks(open_file(path), None, {}, every=False)[0])
    except Rejected:
        return None


# Loops over registers: copies that go round, counters, things that are reset. The grammar of tests/oracle has few of them.


def looping(seed: int) -> str:
    """A random scheme file of two CPUs that run one function with loops over copied and counted variables."""
    rng = random.Random(seed)
    names = ["i", "j", "k"]

    def line() -> str:
        a, b, c = (rng.choice(names) for _ in range(3))
        return rng.choice([
            f"{a} = {b}", f"{a}, {b} = {b}, {a}", f"{a} = {b} + {rng.randrange(3)}", f"{a} = READ_ONCE(x.n)", f"x.n = {a} & 3",
            f"{a} += 1", f"{a} = x.slots[{b} % 3]", f"x.slots[{a} % 3] = {b} & 1", f"{a} = {b} - 1", "x.flag = not x.flag",
            f"t = {a} < {b}", "x.flag = not t", f"p = {rng.choice(['x', 'y', 'p.next', 'x.next'])}", "p.n = 1", f"{c} = 0",
        ])  # fmt: skip

    def block(indent: str, depth: int) -> list[str]:
        found = []
        for _ in range(rng.randrange(1, 4)):
            kind = rng.randrange(8)
            inner = indent + "    "
            if depth and kind == 0:
                found += [f"{indent}if {rng.choice(names)} {rng.choice(['<', '==', '>'])} {rng.choice([*names, 'x.n', '2'])}:", *block(inner, depth - 1)]
                if rng.random() < 0.4:
                    found += [f"{inner}{rng.choice(['break', 'continue'])}"] if "    " * 2 in indent else []
            elif depth and kind == 1:
                found += [f"{indent}for {rng.choice(names)} in range({rng.randrange(1, 4)}):", f"{inner}x.flag = True", *block(inner, depth - 1)]
            else:
                found.append(indent + line())
        return found

    counter = rng.choice(names)
    loop = rng.choice([f"while {counter} < {rng.randrange(1, 4)}:", "while x.n < 2:", f"for {counter} in range({rng.randrange(1, 4)}):", "while not x.flag:"])
    body = ["def run(x, y):", "    i, j, k = 0, 1, 2", "    t = False", "    p = x", f"    {loop}"]
    body += block("        ", 2)
    body += ["        smp_mb()"] + ([f"        {counter} += 1"] if rng.random() < 0.6 and loop.startswith("while") else [])
    body += block("    ", 0)
    scene = f"x = node(n={rng.randrange(3)})\ny = node()\nx.next = y\ny.next = x\ncpu(run, x, y)\ncpu(run, {rng.choice(['x, y', 'y, x'])})"
    return scheme_text("\n".join(body), scene)


def looping_linked(folder: Path, seed: int) -> Linked | None:
    """The linked code of that text; None if it does not compile."""
    try:
        return linked_of(folder, looping(seed))
    except Rejected:
        return None


def specialised(linked: Linked) -> Linked:
    """The code as the engine compiles it: copied for what is known of its constants, each thread for its own arguments."""
    return specialise(linked, differing(linked, ()))


# The reference


def successors(machine: Interpreter, state: MachineState) -> Iterator[tuple[int, int, MachineState]]:
    """Where every move from a state that gets somewhere leads, as (thread, choice, state)."""
    for thread in range(machine.threads):
        if machine.finished(state, thread):
            continue
        choice, choices = 0, 1
        while choice < choices:
            outcome = machine.step(state, thread, choice)
            choices = getattr(outcome, "choices", 1)
            if isinstance(outcome, Moved):
                yield thread, choice, outcome.state
            choice += 1


def reachable(linked: Linked, limit: int = 3_000) -> list[MachineState] | None:
    """Every state the interpreter reaches, in the order of a breadth-first search; None if there are more than `limit`."""
    machine = Interpreter(linked)
    started = machine.start().outcome
    if not isinstance(started, Moved):
        return []
    found = {started.state: None}
    waiting = [started.state]
    for state in waiting:
        for _, _, target in successors(machine, state):
            if target not in found:
                found[target] = None
                waiting.append(target)
        if len(found) > limit:
            return None
    return list(found)


def searched(linked: Linked, engine: str, reductions: tuple[str, ...] = (), jobs: int = 1, bounds: Bounds = NO_BOUNDS) -> Result:
    """What a search finds, with everything looked for that a user's is."""
    return search(linked, _observers, bounds, silent, Options(engine, reductions, jobs))


def counts(result: Result) -> Key:
    """All of a result that must be equal without reductions."""
    bound = result.bound.name if result.bound else None
    return (result.states, result.transitions, result.depth, result.completed, result.complete, result.failing, bound)


def verdict(result: Result) -> Key:
    """What must be equal with reductions too."""
    return (result.complete or result.failing is not None, result.failing, result.bound.name if result.bound else None)
