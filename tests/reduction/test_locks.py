"""Locks other than spinlocks reduce as spinlocks do, where their steps have the same shape; what wakes another tells tasks apart.

Expected answers are by thinking, as in test_directed.py; "matters" is shown by a wrong twin that loses something.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lockverse.ir.program import Linked
from lockverse.reduction import REDUCTIONS

from ..support import linked_of, scheme_text
from .spaces import Explorer, Reduction, also, essence, keeps, locking_linked, reduced, whole
from .test_reductions import agree

LOCKS = ("local", "locks")
TWO = "x = node()\ny = node()\ncpu(run, x, y)\ncpu(other, x, y)"
# the type of the lock: what takes it and gives it back, tries it, and looks whether it is held
FAMILIES = {
    "mutex": ("mutex_lock(x.lock)", "mutex_unlock(x.lock)", "mutex_trylock(x.lock)", "mutex_is_locked(x.lock)"),
    "raw_spinlock_t": ("raw_spin_lock(x.lock)", "raw_spin_unlock(x.lock)", "raw_spin_trylock(x.lock)", "raw_spin_is_locked(x.lock)"),
    "rwlock_t": ("write_lock(x.lock)", "write_unlock(x.lock)", "write_trylock(x.lock)", ""),
    "rw_semaphore": ("down_write(x.lock)", "up_write(x.lock)", "down_write_trylock(x.lock)", "rwsem_is_locked(x.lock)"),
}  # fmt: skip
each = pytest.mark.parametrize("kind", FAMILIES)


def linked_with(folder: Path, kind: str, body: str, scene: str = TWO) -> Linked:
    """The linked code of a scheme whose locks are of that type."""
    return linked_of(folder, scheme_text(body, scene).replace("spinlock_t", kind))


def merged(linked: Linked) -> list[set[str]]:
    """The kinds of steps merged, for each thread."""
    return [set(kinds) for kinds in reduced(linked, LOCKS).merged]


def lost_by(twin: Reduction) -> bool:
    """Whether a wrong plan loses something."""
    full, small = whole(twin), Explorer(twin).space()
    assert full is not None and small is not None
    return essence(small, twin) != essence(full, twin)


def block(*lines: str) -> str:
    """The lines of a function."""
    return "".join(f"\n    {part}" for line in lines for part in line.splitlines())


@each
def test_given_back_as_a_left_mover(tmp_path: Path, kind: str) -> None:
    """Unless somebody can see the lock held without waiting for it: then y.flag tells whether it was."""
    take, give, trial, look = FAMILIES[kind]
    name = give.partition("(")[0]
    others = [(f"{take}\ny.n = 1\n{give}", True), (give, True), (f"if {trial}:\n    {give}\nelse:\n    y.flag = True", False)]
    others += [(f"if {look}:\n    y.flag = True", False)] if look else []
    for other, allowed in others:
        body = f"def run(x, y):{block(take, give)}\n\n\ndef other(x, y):{block(other)}"
        linked = linked_with(tmp_path, kind, body, f"{TWO}\nat_rest(lambda: not y.flag)")
        one = reduced(linked, LOCKS)
        assert (name in one.merged[0]) == allowed, other
        assert keeps(one), other
        assert lost_by(also(one, 0, name)) != allowed, other
        agree(linked, [REDUCTIONS, LOCKS])


@each
def test_protects(tmp_path: Path, kind: str) -> None:
    """Counting under a lock is one move from taking it on."""
    take, give, _, _ = FAMILIES[kind]
    body = f"def run(x, y):{block(take, 'x.big += 1', give)}\n\n\ndef other(x, y):{block(take, 'x.big += 1', give)}"
    linked = linked_with(tmp_path, kind, body, f"{TWO}\nat_rest(lambda: x.big == 2)")
    assert {"load", "store", give.partition("(")[0]} <= merged(linked)[0] and keeps(reduced(linked, LOCKS))
    assert agree(linked, [REDUCTIONS, LOCKS]) == 2


@pytest.mark.parametrize(
    ("kind", "take", "give", "read", "unread"),
    [
        ("rwlock_t", "write_lock(x.lock)", "write_unlock(x.lock)", "read_lock(x.lock)", "read_unlock(x.lock)"),
        ("rw_semaphore", "down_write(x.lock)", "up_write(x.lock)", "down_read(x.lock)", "up_read(x.lock)"),
    ],
)  # fmt: skip
def test_readers_wait_as_writers_do(tmp_path: Path, kind: str, take: str, give: str, read: str, unread: str) -> None:
    """So a writer's end is a left mover among readers too; a reader's is not taken for one, though it is: nothing is said of readers."""
    body = f"def run(x, y):{block(take, 'x.big += 1', give)}\n\n\ndef other(x, y):{block(read, 'y.big = x.big', unread)}"
    linked = linked_with(tmp_path, kind, body, f"{TWO}\nat_rest(lambda: x.big == 1)")
    one = reduced(linked, LOCKS)
    assert give.partition("(")[0] in one.merged[0] and unread.partition("(")[0] not in one.merged[1] and keeps(one)
    agree(linked, [REDUCTIONS, LOCKS])


def test_downgrading_is_no_end(tmp_path: Path) -> None:
    """It touches the readers as well, which others change: it is not merged; but it keeps nobody's end from being."""
    body = "def run(x, y):\n    down_write(x.lock)\n    downgrade_write(x.lock)\n    y.n = x.n\n    up_read(x.lock)\n\n\ndef other(x, y):\n    down_write(x.lock)\n    x.n = 1\n    up_write(x.lock)"
    linked = linked_with(tmp_path, "rw_semaphore", body)
    one = reduced(linked, LOCKS)
    assert "downgrade_write" not in one.merged[0] and "up_write" in one.merged[1] and keeps(one)


@pytest.mark.parametrize("kind", ["spinlock_t", "mutex"])
def test_asking_for_oneself(tmp_path: Path, kind: str) -> None:
    """lockdep_assert_held() rides along with other steps, and these and the lock are merged as without it. Whether anybody holds the
    lock is another question."""
    ask = "lockdep_assert_held(x.lock)"
    body = "def run(x, y):\n    with x.lock:\n        {0}\n        x.big += 1\n        {0}\n\n\ndef other(x, y):\n    y.n = 1\n    {1}\n    with x.lock:\n        x.big += 1"
    plain = linked_with(tmp_path, kind, body.format("pass", "pass"))
    asks = linked_with(tmp_path, kind, body.format(ask, "lockdep_assert_not_held(x.lock)"))
    assert merged(asks) == merged(plain) and keeps(reduced(asks, LOCKS))
    assert agree(asks, [REDUCTIONS, LOCKS]) == 2
    wrong = linked_with(tmp_path, kind, body.format(ask, ask))
    assert keeps(reduced(wrong, LOCKS))
    agree(wrong, [REDUCTIONS, LOCKS])


def test_waking_tells_apart(tmp_path: Path) -> None:
    """Two equal CPUs sleep, a third wakes the first of them: they are not interchangeable, though their code and arguments are equal. Two
    that only lock are."""
    sleep = "def run(x):\n    set_current_state(TASK_INTERRUPTIBLE)\n    schedule()\n\n\ndef other(p):\n    wake_up_process(p)"
    linked = linked_of(tmp_path, scheme_text(sleep, "x = node()\nfirst = cpu(run, x)\ncpu(run, x)\ncpu(other, first)"))
    assert not reduced(linked, REDUCTIONS).exchanges
    agree(linked, [REDUCTIONS])
    alone = linked_of(tmp_path, scheme_text(sleep, "x = node()\ncpu(run, x)\ncpu(run, x)"))
    assert reduced(alone, REDUCTIONS).exchanges and keeps(reduced(alone, REDUCTIONS))
    locks = linked_with(tmp_path, "mutex", "def run(x):\n    with x.lock:\n        x.big += 1", "x = node()\ncpu(run, x)\ncpu(run, x)")
    assert reduced(locks, REDUCTIONS).exchanges and keeps(reduced(locks, REDUCTIONS))


def as_mutexes(text: str) -> str:
    """A random program with mutexes for spinlocks."""
    return re.sub(r"\bspin(_trylock|_unlock|_is_locked)\(", r"mutex\1(", text.replace("spinlock_t", "mutex"))


def as_rwsems(text: str) -> str:
    """A random program with rw_semaphores for spinlocks, every second `with` as a reader."""
    ways = {True: "rwsem_read", False: "rwsem_write"}
    parts = re.split(r"with (\w\.\w+):", text.replace("spinlock_t", "rw_semaphore"))
    text = "".join(f"with scoped_guard({ways[n % 4 == 1]}, {one}):" if n % 2 else one for n, one in enumerate(parts))
    return text.replace("spin_trylock(", "down_write_trylock(").replace("spin_unlock(", "up_write(").replace("spin_is_locked(", "rwsem_is_locked(")


@pytest.mark.parametrize("change", [as_mutexes, as_rwsems])
def test_random_programs_keep_their_essence(tmp_path: Path, change: object) -> None:
    """Those of spaces.locking(), which are random in what they lock, try and look at."""
    kept = gained = 0
    for seed in range(2000, 2040):
        linked = locking_linked(tmp_path, seed, change)  # type: ignore[arg-type]
        if linked is not None:
            one = reduced(linked, REDUCTIONS)
            found = keeps(one, 1_000)
            assert found is not False, seed
            kept += found is True
            gained += any(one.merged)
            if seed % 8 == 0 and found:
                agree(linked, [REDUCTIONS])
    assert kept > 15 and gained > 10
