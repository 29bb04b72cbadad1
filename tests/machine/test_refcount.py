"""refcount_t, kref and container_of, compiled: both engines.

The table of tests/lang/test_refcount.py is asked once more, as schemes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.lang.errors import Overflow

from ..lang.test_refcount import TABLE, V
from ..support import rejected
from .vocabulary import ends, on_both

HEAD = """from lockverse import *


@struct
class stats:
    n: u8
    ref: kref


@struct
class session:
    n: u8
    ref: kref
    stats: stats
    count: refcount_t
    lock: spinlock_t
    mutex: mutex


@struct
class other:
    a: u8
    b: u8
    ref: kref


@struct
class table:
    entry: ptr[session]
    k: ptr[kref]
    freed: u8


"""


def file(body: str, scene: str) -> str:
    """A scheme file: whole functions, and the lines of the scheme."""
    return f"{HEAD}{body}\n\n\n@scheme\ndef scene():\n" + "\n".join(f"    {line}" for line in scene.splitlines()) + "\n"


ROWS = [(name, *row) for name, rows in TABLE.items() for row in rows]


@pytest.mark.parametrize(("name", "before", "arguments", "expected"), ROWS)
def test_the_table(tmp_path: Path, name: str, before: int, arguments: tuple[object, ...], expected: object) -> None:
    call = f"refcount_{name}({', '.join('s.count' if one is V else str(one) for one in arguments)})"
    lines = [call]
    if isinstance(expected, tuple):
        after, result = expected
        lines = [f"assert {call} == {result}" if result is not None else call, f"assert refcount_read(s.count) == {after}"]
    text = file("def run(s):\n" + "\n".join(f"    {line}" for line in lines), f"s = session(count={before})\ncpu(run, s)")
    reason = "holds" if isinstance(expected, tuple) else "overflow" if expected is Overflow else expected
    assert ends(tmp_path, text) == reason


LOCKED = """def drop(s):
    if refcount_dec_and_lock(s.count, s.lock):
        s.n += 1
        spin_unlock(s.lock)


def drop_irqsave(s):
    last, flags = refcount_dec_and_lock_irqsave(s.count, s.lock)
    if last:
        s.n += 1
        spin_unlock_irqrestore(s.lock, flags)


def drop_mutex(s):
    if refcount_dec_and_mutex_lock(s.count, s.mutex):
        s.n += 1
        mutex_unlock(s.mutex)"""


@pytest.mark.parametrize("drop", ["drop", "drop_irqsave", "drop_mutex"])
def test_dec_and_lock(tmp_path: Path, drop: str) -> None:
    """Of three droppers exactly one gets the lock, whoever is last."""
    scene = f"s = session(count={{0}})\ncpu({drop}, s)\ncpu({drop}, s)\ncpu({drop}, s)\nat_rest(lambda: s.n == 1 and refcount_read(s.count) == 0)"
    assert ends(tmp_path, file(LOCKED, scene.format(3))) == "holds"
    assert ends(tmp_path, file(LOCKED, scene.format(2))) == "refcount-underflow"
    assert ends(tmp_path, file(LOCKED, scene.format(4))) == "at-rest"


PUT = """def release(k):
    s = container_of(k, session, "ref")
    s.n += 1


def put(s):
    kref_put(s.ref, release)


def put_locked(s):
    kref_put_lock(s.ref, release_locked, s.lock)


def release_locked(k):
    s = container_of(k, session, "ref")
    s.n += 1
    spin_unlock(s.lock)


def put_mutex(s):
    kref_put_mutex(s.ref, release_mutex, s.mutex)


def release_mutex(k):
    s = container_of(k, session, "ref")
    s.n += 1
    mutex_unlock(s.mutex)"""


@pytest.mark.parametrize("how", ["put", "put_locked", "put_mutex"])
def test_kref_put(tmp_path: Path, how: str) -> None:
    """Whoever puts the last reference runs release, once; a put too many is an underflow."""
    scene = f"s = session(ref={{0}})\ncpu({how}, s)\ncpu({how}, s)\nat_rest(lambda: s.n == 1)"
    assert ends(tmp_path, file(PUT, scene.format(2))) == "holds"
    assert ends(tmp_path, file(PUT, scene.format(1))) == "refcount-underflow"
    assert ends(tmp_path, file(PUT, scene.format(3))) == "at-rest"


def test_kref_put_by_hand(tmp_path: Path) -> None:
    """One put that is the last: the step, then the load and the store of release: 4 states, 3 moves."""
    found = on_both(tmp_path, file(PUT, "s = session(ref=1)\ncpu(put, s)"))
    assert (found.states, found.transitions, found.failing) == (4, 3, None)


CONTAINER = """def run(t, s, o):
    t.k = {0}
    k = t.k
    assert container_of(k, {1}, "{2}") == {3}"""
SCENE = "s = session(ref=1)\no = other(ref=1)\nt = table()\ncpu(run, t, s, o)"


@pytest.mark.parametrize(
    ("part", "kind", "member", "reason"),
    [
        ("s.ref", "session", "ref", "holds"), ("s.stats.ref", "session", "stats.ref", "holds"), ("o.ref", "other", "ref", "holds"),
        ("choose(s.ref, o.ref)", "session", "ref", "out-of-bounds"), ("s.stats.ref", "session", "ref", "out-of-bounds"),
        ("s.ref", "other", "ref", "out-of-bounds"), ("NULL", "session", "ref", "null-dereference"), ("choose(s.ref, NULL)", "session", "ref", "null-dereference"),
    ],
)  # fmt: skip
def test_container_of(tmp_path: Path, part: str, kind: str, member: str, reason: str) -> None:
    """What has no such object round it is no such member, however the pointer came there."""
    owner = "o" if kind == "other" else "s"
    assert ends(tmp_path, file(CONTAINER.format(part, kind, member, owner), SCENE)) == reason


def test_container_of_what(tmp_path: Path) -> None:
    for call, code in (
        ("container_of(s.ref, session, 'nothing')", "K202"), ("container_of(s.ref, session, 'n')", "K301"), ("container_of(s.ref, session, 'stats')", "K301"),
        ("container_of(s.ref, s, 'ref')", "K301"), ("container_of(s.ref, session, ref)", "K201"), ("container_of(s.ref, session)", "K302"),
        ("container_of(s.ref, session, 'ref.refcount')", "K202"), ("container_of(s.n, session, 'ref')", "K301"), ("container_of(s.ref, u8, 'ref')", "K301"),
    ):  # fmt: skip
        found = rejected(tmp_path, file(f"def run(t, s, o):\n    x = {call}", SCENE))
        assert [one.code for one in found] == [code], call
