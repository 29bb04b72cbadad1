"""Function pointers: fields of type `function`, and calls through them; both engines. Expected values by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lockverse import NULL, function, struct, u8
from lockverse.lang.errors import NullDereference, WrongType

from ..support import rejected
from .vocabulary import ends, on_both

HEAD = """from lockverse import *


@struct
class dev:
    n: u8
    open: function
    close: function
    peer: ptr["dev"]


def one(d):
    d.n += 1
    return d.n


def two(d):
    d.n += 2
    return 7


def shut(d, n):
    d.n = n
    d.peer.open = two


def fails(d, n):
    assert n != 4


"""


def file(body: str, scene: str = "d = dev(open=one)\ne = dev(open=one, close=shut, peer=d)\ncpu(run, d, e)") -> str:
    """A scheme file: the lines of run(), and of the scheme."""
    inside = body if body.startswith("def ") else "def run(d, e):\n" + "\n".join(f"    {line}" for line in body.splitlines())
    return f"{HEAD}{inside}\n\n\n@scheme\ndef scene():\n" + "\n".join(f"    {line}" for line in scene.splitlines()) + "\n"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("assert d.open(d) == 1\nassert d.n == 1", "holds"),
        ("d.open = two\nassert d.open(d) == 7 and d.n == 2", "holds"),
        ("e.close(e, 4)\nassert e.n == 4\nassert d.open(d) == 7", "holds"),  # one that is stored where another is called
        ("f = d.open\nd.open = NULL\nassert f(d) == 1\nassert not d.open and f and d.open == NULL", "holds"),
        ("assert cmpxchg(d.open, NULL, two) == d.open\nassert xchg(d.open, NULL) != NULL", "holds"),
        ("d.close(d, 1)", "null-dereference"),
        ("e.close = fails\ne.close(e, 5)", "holds"),
        ("e.close = fails\ne.close(e, 4)", "assertion"),
        ("e.close = NULL\nif e.close:\n    e.close(e, 4)", "holds"),
    ],
)  # fmt: skip
def test_calls(tmp_path: Path, body: str, reason: str) -> None:
    assert ends(tmp_path, file(body)) == reason


def test_steps(tmp_path: Path) -> None:
    """By hand: the pointer is loaded in a step, then the function's own load and store, and the load of what it gives: 5 states."""
    found = on_both(tmp_path, file("d.open(d)"))
    assert (found.states, found.transitions, found.failing) == (5, 4, None)


def test_a_race_for_a_pointer(tmp_path: Path) -> None:
    """The pointer tested and the pointer called are two loads; taken into a variable it is one."""
    two = "def closer(d):\n    d.close = NULL\n\n\ndef run(d):\n    {0}"
    scene = "d = dev(close=fails)\ncpu(run, d)\ncpu(closer, d)"
    assert ends(tmp_path, file(two.format("if d.close:\n        d.close(d, 1)"), scene)) == "null-dereference"
    assert ends(tmp_path, file(two.format("f = d.close\n    if f:\n        f(d, 1)"), scene)) == "holds"


def test_diagnostics(tmp_path: Path) -> None:
    for line, code in (
        ("d.open(d, 1)", "K302"), ("d.open(d=d)", "K302"), ("d.open = 5", "K301"), ("d.n = one", "K103"), ("d.close = d.open", "K301"), ("d.n(d)", "K303"),
    ):  # fmt: skip
        assert [one.code for one in rejected(tmp_path, file(line))] == [code], line
    assert [one.code for one in rejected(tmp_path, file("d.n = 1", "d = dev(open=print)\ncpu(run, d, d)"))] == ["K008"]
    assert [one.code for one in rejected(tmp_path, file("d.n = 1", "d = dev(open=5)\ncpu(run, d, d)"))] == ["K006"]


@struct
class dev:
    n: u8
    open: function


def test_plain_python() -> None:
    def twice(one: Any) -> int:
        return int(one.n) * 2

    one: Any = dev(n=3, open=twice)
    assert one.open(one) == 6
    one.open = None
    assert one.open is NULL
    with pytest.raises(NullDereference):
        one.open(one)
    with pytest.raises(WrongType):
        one.open = 5
