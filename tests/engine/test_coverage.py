"""Coverage: conditions that never come out one way, trylocks that never fail, handlers that never fire, locks nobody waits for.

What there is to exercise and what is not are worked out by hand, in the docstrings.
"""

from __future__ import annotations

import re
from pathlib import Path

from .test_findings import ON_ALL, told

COVERED = """
def one(x):
    if READ_ONCE(x.n) > 1:
        x.big = 2
    with x.lock:
        WRITE_ONCE(x.n, 1)

def two(x):
    if READ_ONCE(x.n) == 1:
        smp_mb()
    with x.lock:
        pass

def alone(x):
    with x.other:
        pass
    with x.other:
        pass

def off(x):
    local_irq_disable()
    smp_mb()
    local_irq_enable()

def fires(x):
    smp_mb()
"""


@ON_ALL
def test_coverage(tmp_path: Path, engine: str, reductions: tuple[str, ...]) -> None:
    """By hand: n is 0 or 1, so `> 1` never holds; the other condition goes both ways, and both CPUs wait for the lock."""
    outcome = told(tmp_path, COVERED, "cpu(one, x)\ncpu(two, x)", engine, reductions)
    assert outcome.verdict == "holds" and len(outcome.never) == 1
    assert outcome.never[0].startswith("never true: `if READ_ONCE(x.n) > 1`")
    strict = told(tmp_path, COVERED, "cpu(one, x)\ncpu(two, x)", engine, reductions, strict=True)
    assert (strict.verdict, strict.reason) == ("broken", "never-exercised")


@ON_ALL
def test_coverage_of_locks_and_handlers(tmp_path: Path, engine: str, reductions: tuple[str, ...]) -> None:
    """A CPU that waits for one that is signalled from inside the section never waits for its lock; a handler that is asked
    for by nobody never fires."""
    body = COVERED + "\ndef after(x):\n    if smp_load_acquire(x.flag):\n        with x.other:\n            pass\n\ndef before(x):\n    with x.other:\n        pass\n    smp_store_release(x.flag, True)"
    outcome = told(tmp_path, body, "cpu(before, x)\ncpu(after, x)", engine, reductions)
    assert outcome.never == ("never waited for: x.other",)
    body += "\nWORK = work_struct()"
    handlers = told(tmp_path, body, "c = cpu(off, x)\ninterrupt(fires, x, on=c)", engine, reductions)
    assert handlers.never == ()


@ON_ALL
def test_a_lock_is_waited_for_after_a_signal_from_inside(tmp_path: Path, engine: str, reductions: tuple[str, ...]) -> None:
    """By hand: the other CPU can only come to the lock while it is held, in a state that giving it back at once would pass over."""
    body = "def signal(x):\n    with x.lock:\n        smp_store_release(x.flag, True)\n\ndef after(x):\n    if smp_load_acquire(x.flag):\n        with x.lock:\n            pass"
    assert told(tmp_path, body, "cpu(signal, x)\ncpu(after, x)", engine, reductions).never == ()


@ON_ALL
def test_who_has_no_cpu_waits_for_no_lock(tmp_path: Path, engine: str, reductions: tuple[str, ...]) -> None:
    """Two tasks on one CPU, and nobody is preempted who holds a spinlock; a mutex does not keep the other off."""
    body = "def spin(x):\n    with x.lock:\n        smp_mb()\n\nMUTEX = mutex()\n\ndef sleep(x):\n    mutex_lock(MUTEX)\n    smp_mb()\n    mutex_unlock(MUTEX)"
    assert told(tmp_path, body, "c = cpu(spin, x)\ntask(spin, x, on=c)", engine, reductions).never == ("never waited for: x.lock",)
    assert told(tmp_path, body, "c = cpu(sleep, x)\ntask(sleep, x, on=c)", engine, reductions).never == ()


TRIES = """
def try_lock(x):
    if spin_trylock(x.lock):
        spin_unlock(x.lock)

def try_first(x):
    got = spin_trylock(x.lock)
    smp_mb()
    if got:
        spin_unlock(x.lock)

def try_for_nothing(x):
    spin_trylock(x.lock)
    smp_mb()
    spin_unlock(x.lock)
"""


@ON_ALL
def test_trylocks(tmp_path: Path, engine: str, reductions: tuple[str, ...]) -> None:
    """One that never fails, told by the condition it is in or, without one, by itself; with two CPUs it fails."""

    def never(scene: str) -> list[str]:
        return [re.sub(r" \(.*?\)$", "", one) for one in told(tmp_path, TRIES, scene, engine, reductions).never]

    assert never("cpu(try_lock, x)") == ["never false: `if spin_trylock(x.lock)`"]
    assert never("cpu(try_first, x)") == ["never fails: the trylock in `got = spin_trylock(x.lock)`", "never false: `if got`"]
    assert never("cpu(try_for_nothing, x)") == ["never fails: the trylock in `spin_trylock(x.lock)`"]
    assert never("cpu(try_lock, x)\ncpu(try_lock, x)") == never("cpu(try_first, x)\ncpu(try_lock, x)") == []


@ON_ALL
def test_conditions_that_parameters_decide(tmp_path: Path, engine: str, reductions: tuple[str, ...]) -> None:
    """What the scheme passed decides the first; the second is of what the function found out. Each thread counts."""
    body = "def run(x, careful):\n    found = False\n    if careful:\n        found = READ_ONCE(x.n) == 0\n    for i in range(2):\n        if READ_ONCE(x.slots[i]) == 1:\n            found = False\n    if found:\n        smp_mb()"

    def never(scene: str) -> list[str]:
        return [re.sub(r" \(.*?\)$", "", one) for one in told(tmp_path, body, scene, engine, reductions).never]

    slots = "never true: `if READ_ONCE(x.slots[i]) == 1`"
    assert never("cpu(run, x, True)") == [slots, "never false: `if found`"]
    assert never("cpu(run, x, False)") == [slots, "never true: `if found`"]
    assert never("cpu(run, x, True)\ncpu(run, x, False)") == [slots]


@ON_ALL
def test_there_may_be_many_items(tmp_path: Path, engine: str, reductions: tuple[str, ...]) -> None:
    """Of twenty conditions on a number below twelve, eight are never true, and all of them are told."""
    body = "def look(x):\n    v = READ_ONCE(x.n)\n" + "".join(f"    if v == {i}:\n        smp_mb()\n" for i in range(20))
    body += "\ndef count(x):\n" + "".join(f"    WRITE_ONCE(x.n, {i})\n" for i in range(12))
    never = told(tmp_path, body, "cpu(look, x)\ncpu(count, x)", engine, reductions).never
    assert [one.split("`")[1] for one in never] == [f"if v == {i}" for i in range(12, 20)]


@ON_ALL
def test_handlers_that_fire(tmp_path: Path, engine: str, reductions: tuple[str, ...]) -> None:
    """A timer that nobody arms, and one that somebody may; interrupts that are never enabled, and such that are in the end."""
    body = "def arm(x, t):\n    if READ_ONCE(x.n) == 1:\n        mod_timer(t)\n\ndef set(x, n):\n    WRITE_ONCE(x.n, n)\n\ndef fires(x):\n    smp_mb()"

    def never(scene: str) -> tuple[str, ...]:
        return tuple(one for one in told(tmp_path, body, scene, engine, reductions).never if "fires" in one)

    timer = "t = timer_list()\nc = cpu(arm, x, t)\ntimer(t, fires, x, on=c)\ncpu(set, x, {})"
    assert never(timer.format(2)) == ("never fires: fires() (softirq on CPU0)",)
    assert never(timer.format(1)) == ()
