"""percpu_ref, compiled: both engines, and plain Python. Rules: lib/percpu-refcount.c of Linux 6.1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockverse import (
    NULL,
    PERCPU_REF_INIT_ATOMIC,
    PERCPU_REF_INIT_DEAD,
    barrier,
    percpu_ref,
    percpu_ref_get,
    percpu_ref_init,
    percpu_ref_is_dying,
    percpu_ref_is_zero,
    percpu_ref_kill,
    percpu_ref_kill_and_confirm,
    percpu_ref_put,
    percpu_ref_reinit,
    percpu_ref_tryget,
    percpu_ref_tryget_live,
    running,
    struct,
    task_struct,
    u8,
)
from lockverse.lang import percpu_refcount
from lockverse.lang.errors import CheckFailed

from ..codegen.common import searched
from ..support import linked_of
from .vocabulary import ends, on_both

HEAD = """from lockverse import *


@struct
class css:
    ref: percpu_ref
    released: u8
    confirmed: u8


def released(ref):
    c = container_of(ref, css, "ref")
    c.released += 1


def confirmed(ref):
    c = container_of(ref, css, "ref")
    c.confirmed += 1


"""
SCENE = "c = css()\npercpu_ref_init(c.ref, released{0})\n"


def file(body: str, scene: str = SCENE.format("") + "cpu(run, c)") -> str:
    """A scheme file: the lines of run(), or whole functions, and of the scheme."""
    inside = body if body.startswith("def ") else "def run(c):\n" + "\n".join(f"    {line}" for line in body.splitlines())
    return f"{HEAD}{inside}\n\n\n@scheme\ndef scene():\n" + "\n".join(f"    {line}" for line in scene.splitlines()) + "\n"


REST = "\nat_rest(lambda: c.released == {0} and percpu_ref_is_zero(c.ref) == {1})"
ATOMIC = SCENE.format(", PERCPU_REF_INIT_ATOMIC") + "cpu(run, c)"
DEAD = SCENE.format(", PERCPU_REF_INIT_DEAD") + "cpu(run, c)"
LIVE = SCENE.format("") + "cpu(run, c)"
AGAIN = SCENE.format(", PERCPU_REF_ALLOW_REINIT") + "cpu(run, c)"


@pytest.mark.parametrize(
    ("body", "scene", "reason"),
    [
        ("percpu_ref_get(c.ref)\npercpu_ref_put(c.ref)", LIVE + REST.format(0, False), "holds"),
        ("percpu_ref_get_many(c.ref, 3)\npercpu_ref_put_many(c.ref, 2)\npercpu_ref_put(c.ref)\npercpu_ref_kill(c.ref)", LIVE + REST.format(1, True), "holds"),
        ("percpu_ref_get(c.ref)\npercpu_ref_kill(c.ref)", LIVE + REST.format(0, False), "holds"),  # the reference is never given back
        ("percpu_ref_get(c.ref)\npercpu_ref_kill(c.ref)\npercpu_ref_put(c.ref)", LIVE + REST.format(1, True), "holds"),
        ("percpu_ref_kill(c.ref)\nassert percpu_ref_is_dying(c.ref)\nassert not percpu_ref_tryget_live(c.ref)", LIVE + REST.format(1, True), "holds"),
        ("percpu_ref_kill_and_confirm(c.ref, confirmed)", LIVE + REST.format(1, True) + "\nat_rest(lambda: c.confirmed == 1)", "holds"),
        ("percpu_ref_kill(c.ref)\npercpu_ref_kill(c.ref)", LIVE, "warning"),  # called more than once
        ("percpu_ref_put(c.ref)\npercpu_ref_kill(c.ref)", LIVE, "refcount-underflow"),  # seen when the parts are added up
        # one count from the beginning: everything is seen at once, and nothing is waited for
        ("percpu_ref_put(c.ref)\nassert c.released == 1", ATOMIC + REST.format(1, True), "holds"),
        ("percpu_ref_put(c.ref)\npercpu_ref_put(c.ref)", ATOMIC, "refcount-underflow"),
        ("percpu_ref_put(c.ref)\npercpu_ref_get(c.ref)", ATOMIC, "refcount-resurrection"),
        ("percpu_ref_put(c.ref)\nassert not percpu_ref_tryget(c.ref) and not percpu_ref_tryget_live(c.ref)", ATOMIC, "holds"),
        ("assert percpu_ref_tryget_live(c.ref)\npercpu_ref_put(c.ref)\npercpu_ref_kill_and_confirm(c.ref, confirmed)\nassert c.confirmed == 1 and c.released == 1", ATOMIC, "holds"),
        # dead from the beginning, and made live
        ("assert percpu_ref_is_zero(c.ref) and not percpu_ref_tryget(c.ref)", DEAD, "holds"),
        ("percpu_ref_reinit(c.ref)\nassert percpu_ref_tryget_live(c.ref)\npercpu_ref_put(c.ref)\npercpu_ref_kill(c.ref)", DEAD + REST.format(1, True), "holds"),
        ("percpu_ref_reinit(c.ref)", LIVE, "warning"),
        ("percpu_ref_kill(c.ref)\nsynchronize_rcu()\nsmp_cond_load_acquire(c.released, lambda VAL: VAL == 1)\npercpu_ref_reinit(c.ref)\npercpu_ref_kill(c.ref)", AGAIN + REST.format(2, True), "holds"),
        ("percpu_ref_kill(c.ref)\npercpu_ref_resurrect(c.ref)\nassert percpu_ref_tryget_live(c.ref)", AGAIN + "\nat_rest(lambda: not percpu_ref_is_zero(c.ref))", "holds"),
    ],
)  # fmt: skip
def test_rules(tmp_path: Path, body: str, scene: str, reason: str) -> None:
    assert ends(tmp_path, file(body, scene)) == reason


USE = """def use(c):
    if percpu_ref_tryget_live(c.ref):
        assert READ_ONCE(c.released) == 0
        percpu_ref_put(c.ref)


def kill(c):
    percpu_ref_kill_and_confirm(c.ref, confirmed)"""


def test_released_once_whoever_is_last(tmp_path: Path) -> None:
    """Three users and a killer in every interleaving: released once, after the last, and confirmed once."""
    rest = "\ncpu(kill, c)\nat_rest(lambda: c.released == 1 and c.confirmed == 1 and percpu_ref_is_zero(c.ref))"
    assert on_both(tmp_path, file(USE, SCENE.format("") + "cpu(use, c)" + rest)).failing is None
    three = linked_of(tmp_path, file(USE, SCENE.format("") + "cpu(use, c)\ncpu(use, c)" + rest))
    assert searched(three, "native", ("dead", "local", "locks")).failing is None


def test_the_grace_period_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were gets and puts no readers, one that looked before the kill would change its part after the parts were added up."""
    text = file(USE, SCENE.format("") + "cpu(use, c)\ncpu(kill, c)\nat_rest(lambda: c.released == 1)")
    assert ends(tmp_path, text) == "holds"
    for name in ("rcu_read_lock", "rcu_read_unlock"):
        monkeypatch.setattr(percpu_refcount, name, barrier)
    assert ends(tmp_path, text) != "holds"


def test_without_percpu_refs_it_costs_nothing(tmp_path: Path) -> None:
    """A live one that nobody kills has no cell that changes but the parts."""
    found = on_both(tmp_path, file("percpu_ref_get(c.ref)", LIVE))
    assert (found.states, found.transitions) == (5, 4)  # rcu_read_lock, the look at the mode, the add, rcu_read_unlock


@struct
class css:
    ref: percpu_ref
    released: u8


@pytest.fixture(autouse=True)
def lock_given_back() -> Iterator[None]:
    """What raises in plain Python leaves the lock of all percpu_refs taken, and interrupts disabled."""
    with running(task_struct(pid=0)):
        yield
    percpu_refcount.percpu_ref_switch_lock.owner = NULL


def test_plain_python() -> None:
    released: list[Any] = []
    one: Any = css()
    percpu_ref_init(one.ref, released.append)
    with running(task_struct(pid=1, cpu=1)):
        percpu_ref_get(one.ref)
    assert percpu_ref_tryget(one.ref) and percpu_ref_tryget_live(one.ref) and not percpu_ref_is_zero(one.ref)
    percpu_ref_put(one.ref)
    percpu_ref_kill_and_confirm(one.ref, lambda ref: released.append("confirmed"))
    assert released == ["confirmed"] and percpu_ref_is_dying(one.ref) and not percpu_ref_tryget_live(one.ref) and percpu_ref_tryget(one.ref)
    for _ in range(3):
        assert len(released) == 1
        percpu_ref_put(one.ref)
    assert released == ["confirmed", one.ref] and percpu_ref_is_zero(one.ref) and not percpu_ref_tryget(one.ref)
    with pytest.raises(CheckFailed) as caught:
        percpu_ref_kill(one.ref)
    assert caught.value.reason == "warning"
    with pytest.raises(CheckFailed) as caught:
        percpu_ref_get(one.ref)
    assert caught.value.reason == "refcount-resurrection"


def test_plain_python_modes() -> None:
    released: list[Any] = []
    one: Any = css()
    assert percpu_ref_init(one.ref, released.append, PERCPU_REF_INIT_DEAD) == 0
    assert percpu_ref_is_zero(one.ref)
    percpu_ref_reinit(one.ref)
    assert percpu_ref_tryget_live(one.ref)
    percpu_ref_init(one.ref, released.append, PERCPU_REF_INIT_ATOMIC)
    percpu_ref_put(one.ref)
    assert released == [one.ref]
