"""Schemes under plain Python: objects, places, locks, scenes. Expected values by hand."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

import pytest

from lockverse import (
    NULL,
    READ_ONCE,
    WRITE_ONCE,
    Enum,
    Literal,
    always,
    array,
    assume,
    atomic_read,
    atomic_t,
    auto,
    choose,
    cmpxchg,
    cpu,
    ptr,
    rcu_read_lock,
    rcu_read_unlock,
    running,
    s8,
    s64,
    scheme,
    smp_processor_id,
    spin_lock,
    spin_trylock,
    spin_unlock,
    spinlock_t,
    struct,
    synchronize_rcu,
    task_struct,
    try_cmpxchg,
    u8,
    wrapping,
    xchg,
)  # fmt: skip
from lockverse.lang.environment import set_chooser
from lockverse.lang.errors import (
    AssumptionFailed,
    CheckFailed,
    NoSuchField,
    NotInScheme,
    OutOfBounds,
    Overflow,
    WouldBlock,
    WrongType,
)
from lockverse.lang.places import NoPlace
from lockverse.lang.scene import build, scheme_parameters, snapshot

from ..support import ROOT


class colour(Enum):
    red = auto()
    blue = auto()


@struct
class inner:
    a: u8
    w: wrapping[u8]  # type: ignore[valid-type]


@struct
class outer:
    n: s8
    big: s64 = 4  # type: ignore[assignment]
    flag: bool
    colour: colour  # type: ignore[valid-type]
    link: ptr["outer"]  # type: ignore[valid-type]  # noqa: UP037
    part: inner
    row: array[u8, 3]  # type: ignore[valid-type]
    lock: spinlock_t
    count: atomic_t


def test_fields_start_as_said() -> None:
    one: Any = outer(n=3, row=[1, 2], count=7)
    assert (one.n, one.big, one.flag, one.colour, one.link) == (3, 4, False, colour.red, NULL)
    assert list(one.row) == [1, 2, 0] and one.part.a == 0 and atomic_read(one.count) == 7


def test_fields_are_checked() -> None:
    one: Any = outer()
    for name, value, error in [
        ("n", 128, Overflow), ("n", -129, Overflow), ("n", "x", WrongType), ("flag", 1, WrongType), ("link", inner(), WrongType), ("m", 1, NoSuchField),
        ("part", inner(), WrongType), ("lock", spinlock_t(), WrongType), ("colour", 1, WrongType),
    ]:  # fmt: skip
        with pytest.raises(error):
            setattr(one, name, value)
    one.n, one.n, one.link, one.link = 127, -128, one, None
    assert one.link is NULL
    with pytest.raises(OutOfBounds):
        one.row[3] = 1
    with pytest.raises(OutOfBounds):
        one.row[-1] = 1
    with pytest.raises(NoSuchField, match="it has n, big"):
        outer(m=1)
    with pytest.raises(AttributeError):
        _ = NULL.n  # type: ignore[attr-defined]


def test_wrapping() -> None:
    part: Any = inner(w=250)
    part.w += 10
    assert part.w == 4
    part.w = part.w - 5
    assert part.w == 255


def test_places() -> None:
    one: Any = outer()
    two: Any = outer(link=one)
    WRITE_ONCE(two.link.n, 5)
    WRITE_ONCE(one.row[one.n - 4], 9)
    WRITE_ONCE(
        one.part.a,
        READ_ONCE(one.n) + 1,
    )
    assert (one.n, list(one.row), one.part.a) == (5, [0, 9, 0], 6)
    assert xchg(one.n, 6) == 5 and cmpxchg(one.n, 6, 7) == 6 and cmpxchg(one.n, 0, 1) == 7
    assert try_cmpxchg(one.n, 7, 8) == (True, 7) and try_cmpxchg(one.n, 7, 9) == (False, 8) and one.n == 8
    (lambda: WRITE_ONCE(one.big, 1))()
    assert one.big == 1
    for index in range(3):
        WRITE_ONCE(one.row[index], index)
    assert list(one.row) == [0, 1, 2]
    with pytest.raises(NoPlace):
        WRITE_ONCE(5, 1)
    with pytest.raises(NoPlace):
        eval("WRITE_ONCE(one.n, 1)", {"WRITE_ONCE": WRITE_ONCE, "one": one})


def test_locks() -> None:
    one: Any = outer()
    with one.lock:
        assert not spin_trylock(one.lock)
        with pytest.raises(CheckFailed) as caught:
            spin_lock(one.lock)
        assert caught.value.reason == "recursive-locking"
        with running(task_struct(pid=1, cpu=1)):
            assert smp_processor_id() == 1
            with pytest.raises(WouldBlock):
                spin_lock(one.lock)
            with pytest.raises(CheckFailed) as caught:
                spin_unlock(one.lock)
            assert caught.value.reason == "unlock-by-stranger"
    assert spin_trylock(one.lock)
    spin_unlock(one.lock)


def test_rcu() -> None:
    rcu_read_lock()
    with running(task_struct(pid=1, cpu=1)), pytest.raises(WouldBlock):
        synchronize_rcu()
    with pytest.raises(CheckFailed) as caught:
        synchronize_rcu()
    assert caught.value.reason == "rcu-self-wait"
    rcu_read_unlock()
    with running(task_struct(pid=1, cpu=1)):
        synchronize_rcu()
    with pytest.raises(CheckFailed):
        rcu_read_unlock()


def test_environment() -> None:
    assert choose(3, 4) == 3 and choose(range(5, 7)) == 5 and choose(bool) is False and choose(colour) is colour.red
    set_chooser(lambda options: options[-1])
    try:
        assert choose(3, 4) == 4 and choose(colour) is colour.blue
    finally:
        set_chooser(lambda options: options[0])
    with pytest.raises(AssumptionFailed):
        assume(1 > 2)


def test_declarations_stand_in_schemes() -> None:
    for call in (lambda: cpu(print), lambda: always(lambda: True)):
        with pytest.raises(NotInScheme):
            call()


shared: Any = outer(n=1)


@scheme
def example(size: range(1, 4) = 2, fast: bool = True, kind: Literal[1, 2] = 1, c: colour = colour.blue):  # type: ignore[valid-type]
    one: Any = outer(n=size)
    shared.n = 5
    cpu(test_places, one, k=3)
    always(lambda: one.n > 0, "positive")


def test_scenes() -> None:
    scene = build(example, {"size": 3})
    try:
        assert [one.function for one in scene.cpus] == [test_places] and scene.cpus[0].kwargs == {"k": 3}
        assert scene.names["one"].n == 3  # type: ignore[attr-defined]
        assert [(one.kind, one.message) for one in scene.properties] == [("always", "positive")]
        assert shared.n == 5
    finally:
        scene.restore()
    assert shared.n == 1


def test_parameters() -> None:
    found = {one.name: (one.domain, one.default) for one in scheme_parameters(example)}
    assert found == {"size": ((1, 2, 3), 2), "fast": ((False, True), True), "kind": ((1, 2), 1), "c": ((colour.red, colour.blue), colour.blue)}

    def bad(n) -> None:  # type: ignore[no-untyped-def]
        """No domain."""

    def outside(n: range(3) = 7) -> None:  # type: ignore[valid-type]
        """A default that is not in the domain."""

    for wrong in (bad, outside):
        with pytest.raises(WrongType):
            scheme_parameters(wrong)


def test_objects_of_other_modules_are_put_back() -> None:
    """What a scene writes into an object of a module that its scheme only calls is gone before the next scene."""
    from lockverse.linux.mm.memcontrol import mc
    from lockverse.session import open_file

    scheme = open_file(ROOT / "schemes" / "ladder" / "ladder.py").schemes["rung_g"]
    mc.from_ = NULL
    scene = build(scheme, {parameter.name: parameter.default for parameter in scheme_parameters(scheme)})
    assert mc.from_ is not NULL
    scene.restore()
    assert mc.from_ is NULL


def test_snapshot() -> None:
    one: Any = outer(n=1, link=outer(n=2))
    restore = snapshot([one])
    one.n, one.link.n, one.link, one.row[1], one.part.a = 5, 6, NULL, 7, 8
    restore()
    assert (one.n, one.link.n, one.row[1], one.part.a) == (1, 2, 0, 0)


def _module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("a_scheme", ROOT / "schemes" / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_mail_in_plain_python() -> None:
    """Unmap, then move: nobody counts the page. Move, then unmap: memcg2 counted it and does not any more."""
    mail = _module("mail/rung_a.py")
    for order in ("unmap first", "move first"):
        memcg1, memcg2 = mail.mem_cgroup(nr_mapped=1), mail.mem_cgroup()
        p = mail.page(mapcount=0, memcg=memcg1)
        if order == "unmap first":
            mail.page_remove_rmap(p)
            assert (memcg1.nr_mapped, memcg2.nr_mapped) == (0, 0)
        mail.mem_cgroup_move_account(p, memcg1, memcg2)
        if order == "move first":
            assert (memcg1.nr_mapped, memcg2.nr_mapped) == (0, 1)
            mail.page_remove_rmap(p)
        assert (memcg1.nr_mapped, memcg2.nr_mapped, atomic_read(p.mapcount)) == (0, 0, -1)
        assert p.memcg is memcg2
