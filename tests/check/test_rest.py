"""rest(): where a CPU may stay for ever. Deadlock, endless spinning and at_rest by the definitions in docs/decisions/0006.

Each scheme is held to brute force too: verdict, states, transitions, depth. The counts written here are by hand.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.explore.bounds import Bounds
from lockverse.lang.environment import rest
from lockverse.report.verdict import Outcome
from lockverse.session import check, linked_of

from ..oracle.explore import brute_force
from ..support import HEAD, WITHOUT_FINDINGS, rejected, scheme_text, task_of

DINE = """
def dine(first, second):
    while True:
        rest()
        spin_lock(first.lock)
        spin_lock(second.lock)
        spin_unlock(second.lock)
        spin_unlock(first.lock)
"""
SERVE = """
def take(x):
    with x.lock:
        if x.n > 0:
            x.n -= 1
            x.big = 1


def serve(x):
    while True:
        rest()
        take(x)


def ask(x):
    with x.lock:
        x.n += 1
"""
SLEEP = """
def sleep(x):
    while True:
        rest()
        if READ_ONCE(x.n) == 1:
            WRITE_ONCE(x.n, 0)


def wake(x):
    WRITE_ONCE(x.n, 1)
"""
TWO_LOCKS = """
def server(x):
    while True:
        rest()
        spin_lock(x.lock)
        spin_unlock(x.lock)


def one(x):
    spin_lock(x.lock)
    spin_lock(x.other)
    spin_unlock(x.other)
    spin_unlock(x.lock)


def two(x):
    spin_lock(x.other)
    spin_lock(x.lock)
    spin_unlock(x.lock)
    spin_unlock(x.other)
"""
FORKS = "a = [node() for _ in range(3)]\n"

HOLDS = {
    "philosophers in order": (DINE, FORKS + "cpu(dine, a[0], a[1])\ncpu(dine, a[1], a[2])\ncpu(dine, a[0], a[2])"),
    "a server": (SERVE, 'x = node()\ncpu(serve, x)\ncpu(ask, x)\nat_rest(lambda: x.n <= 1)\nsometimes(lambda: x.big == 1)'),
    "two servers": (SERVE, "x = node()\ncpu(serve, x)\ncpu(serve, x)\ncpu(ask, x)"),
    "a thread that sleeps": (SLEEP, "x = node()\ncpu(sleep, x)\ncpu(wake, x)\nat_rest(lambda: x.n <= 1)"),
    "work on variables before the step": (
        "def run(x):\n    k = 0\n    while True:\n        rest()\n        k = (k + 1) % 2\n        x.n = k", "x = node()\ncpu(run, x)",
    ),
    "a branch before the step": (
        "def run(x, k):\n    while True:\n        rest()\n        if k:\n            x.n = 1\n        else:\n            x.flag = True",
        "x = node()\ncpu(run, x, 1)\ncpu(run, x, 0)",
    ),
    "rest in a function of its own": ("def idle():\n    rest()\n\n\ndef run(x):\n    while True:\n        idle()\n        x.n ^= 1", "x = node()\ncpu(run, x)"),
    "twice": ("def run(x):\n    while True:\n        rest()\n        rest()\n        x.n = 1", "x = node()\ncpu(run, x)"),
    "a lock held at rest": ("def run(x):\n    spin_lock(x.lock)\n    while True:\n        rest()\n        x.n = 1", "x = node()\ncpu(run, x)"),
    "an RCU section at rest": ("def run(x):\n    rcu_read_lock()\n    while True:\n        rest()\n        x.n = 1", "x = node()\ncpu(run, x)"),
    "it waits at rest for one that has gone": (
        "def run(x):\n    rest()\n    spin_lock(x.lock)\n    spin_unlock(x.lock)\n\n\n"
        "def keep(x):\n    spin_lock(x.lock)\n    while True:\n        rest()\n        spin_lock(x.other)\n        spin_unlock(x.other)",
        "x = node()\ncpu(run, x)\ncpu(keep, x)",
    ),
    "it may end, or stay": ("def run(x):\n    while not READ_ONCE(x.flag):\n        pass\n\n\ndef end(x):\n    rest()\n    x.n = 1\n    x.flag = True",
                            "x = node(flag=True)\ncpu(run, x)\ncpu(end, x)"),
}  # fmt: skip
BROKEN = {
    "philosophers, all right-handed": ("deadlock", DINE, FORKS + "cpu(dine, a[0], a[1])\ncpu(dine, a[1], a[2])\ncpu(dine, a[2], a[0])"),
    "no rest in the loop": ("endless-spinning", SLEEP.replace("        rest()\n", ""), "x = node()\ncpu(sleep, x)\ncpu(wake, x)"),
    "rest before the loop only": (
        "endless-spinning", "def run(x):\n    rest()\n    smp_mb()\n    while True:\n        x.n ^= 1", "x = node()\ncpu(run, x)",
    ),
    "one at rest, one not": ("endless-spinning", SLEEP + "\n\ndef run(x):\n    while True:\n        x.flag = True", "x = node()\ncpu(sleep, x)\ncpu(run, x)"),
    "somebody waits who is not at rest": (
        "deadlock", "def run(x):\n    spin_lock(x.lock)\n    rest()\n    spin_lock(x.other)\n    spin_unlock(x.other)\n    spin_unlock(x.lock)\n\n\n"
        "def other(x):\n    spin_lock(x.other)\n    spin_lock(x.lock)\n    spin_unlock(x.lock)\n    spin_unlock(x.other)",
        "x = node()\ncpu(run, x)\ncpu(other, x)",
    ),
    "two wait for each other while a server waits at rest": ("deadlock", TWO_LOCKS, "x = node()\ncpu(server, x)\ncpu(one, x)\ncpu(two, x)"),
    "at the start": ("at-rest", SLEEP, "x = node()\ncpu(sleep, x)\nat_rest(lambda: x.n == 1)"),
    "between two rounds": ("at-rest", SERVE, "x = node()\ncpu(serve, x)\ncpu(ask, x)\nat_rest(lambda: x.big == 0)"),
    "a lock held at the end": ("lock-held-at-exit", "def run(x):\n    spin_lock(x.lock)\n    rest()\n    x.n = 1", "x = node()\ncpu(run, x)"),
}  # fmt: skip


def _both(folder: Path, body: str, scene: str) -> Outcome:
    task = task_of(folder, scheme_text(body, scene))
    outcome = check(task, Bounds(), lambda _: None, WITHOUT_FINDINGS)
    found = brute_force(task.file.schemes[task.scheme], {})
    assert (outcome.states, outcome.transitions, outcome.depth) == (found.states, found.transitions, found.depth)
    assert outcome.completed == found.ends
    if outcome.reason is None:
        assert not found.failures
    else:
        assert outcome.switches == found.failures[outcome.reason] == min(found.failures.values())
    return outcome


@pytest.mark.parametrize("name", HOLDS)
def test_holds(tmp_path: Path, name: str) -> None:
    outcome = _both(tmp_path, *HOLDS[name])
    assert (outcome.verdict, outcome.reason) == ("holds", None)
    assert outcome.completed


@pytest.mark.parametrize("name", BROKEN)
def test_broken(tmp_path: Path, name: str) -> None:
    reason, body, scene = BROKEN[name]
    outcome = _both(tmp_path, body, scene)
    assert outcome.reason == reason
    assert outcome.trace is not None
    assert all("rest()" not in outcome.trace.statements[v.stack[-1]].text for e in outcome.trace.events for v in e.visits)


def test_counts_by_hand(tmp_path: Path) -> None:
    """One thread goes round two steps: before the first it is at rest, before the second not."""
    body = "def run(x):\n    while True:\n        rest()\n        x.n = 0\n        x.big = 0"
    outcome = _both(tmp_path, body, "x = node()\ncpu(run, x)\nat_rest(lambda: x.n == 0)")
    assert (outcome.states, outcome.transitions, outcome.depth, outcome.completed) == (2, 2, 1, 1)


def test_which_steps_are_marked(tmp_path: Path) -> None:
    text = scheme_text(SERVE, "x = node()\ncpu(serve, x)\ncpu(ask, x)")
    marked = [[op.kind for op in code.ops if getattr(op, "rest", False)] for code in linked_of(task_of(tmp_path, text)).codes]
    assert marked == [["spin_lock"], []]


LOOP = "def run(x):\n    while READ_ONCE(x.n) == 0:\n        rest()"
UNCLEAR = {
    "a step come to both ways": (LOOP, "K311", "with a rest() and without", 2),
    "a branch may rest": ("def run(x):\n    if choose(bool):\n        rest()\n    x.n = 1", "K311", "with a rest() and without", 4),
    "a branch may have a step": ("def run(x, k):\n    rest()\n    if k:\n        smp_mb()\n    x.n = 1", "K311", "with a rest() and without", 5),
    "at the end": ("def run(x):\n    x.n = 1\n    rest()", "K311", "no step comes after", 3),
    "a loop of nothing": ("def run(x):\n    while True:\n        rest()", "K311", "no step comes after", 3),
    "with an argument": ("def run(x):\n    rest(1)\n    x.n = 1", "K302", "does not fit", 2),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_unclear(tmp_path: Path, name: str) -> None:
    body, code, headline, line = UNCLEAR[name]
    call = "cpu(run, x, 1)" if "run(x, k)" in body else "cpu(run, x)"
    found = rejected(tmp_path, scheme_text(body, f"x = node()\n{call}"))
    assert [one.code for one in found] == [code]
    assert headline in found[0].headline
    assert found[0].primary.place.line == HEAD.count("\n") + line  # lines of the body


def test_a_property_does_not_rest(tmp_path: Path) -> None:
    body = "def run(x):\n    x.n = 1\n\n\ndef look(x):\n    rest()\n    return x.n == 1"
    assert [one.code for one in rejected(tmp_path, scheme_text(body, "x = node()\ncpu(run, x)\nalways(lambda: look(x))"))] == ["K305"]


def test_the_same_helper_with_and_without(tmp_path: Path) -> None:
    """Each call is a place of its own, so a function may be called both ways."""
    body = "def helper(x):\n    x.n ^= 1\n\n\ndef run(x):\n    helper(x)\n    while True:\n        rest()\n        helper(x)"
    assert _both(tmp_path, body, "x = node()\ncpu(run, x)").verdict == "holds"


def test_plain_python() -> None:
    assert rest() is None  # type: ignore[func-returns-value]
