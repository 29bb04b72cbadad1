"""The dialect means the same compiled and under Python; what is not in it is told.

The numbers are the edges of 64 bits and random ones of every length. Leaves out atomicity: the kernel's tests have threads.
"""

from __future__ import annotations

import ctypes
import linecache
import random
from collections.abc import Callable

import pytest

from lockverse.jit import dialect
from lockverse.jit.lower import NotInDialect, lower
from lockverse.jit.machine_code import Level, Library, compile

from . import programs

EDGES = [0, 1, 2, 3, -1, -2, 5, 255, 1 << 31, 1 << 32, (1 << 32) - 1, (1 << 62), (1 << 63) - 1, -(1 << 63), -(1 << 63) + 1]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def _numbers(seed: int, count: int) -> list[int]:
    r = random.Random(seed)
    return [dialect.wrap(r.getrandbits(r.randint(1, 64)) * r.choice((1, -1))) for _ in range(count)]


def _function(library: Library, name: str, arguments: int) -> Callable[..., int]:
    return library.function(name, arguments)


@pytest.mark.parametrize("level", ["quick", "fast", "full"])
def test_the_same_compiled_and_interpreted(level: Level) -> None:
    library = compile(lower(programs.BINARY), level)
    pairs = [(a, b) for a in EDGES for b in EDGES] + list(zip(_numbers(1, 300), _numbers(2, 300), strict=True))
    for function in programs.BINARY:
        native = _function(library, function.__name__, 2)
        for a, b in pairs:
            assert native(a, b) == int(function(a, b)), (function.__name__, a, b)


@pytest.mark.parametrize("level", ["quick", "fast", "full"])
def test_memory(level: Level) -> None:
    library = compile(lower([programs.memory, programs.search, programs.apply, programs.high]), level)
    for a, b in zip(EDGES + _numbers(3, 50), _numbers(4, 50 + len(EDGES)), strict=True):
        one, other = (ctypes.c_int64 * 5)(), (ctypes.c_int64 * 5)()
        results = programs.memory(ctypes.addressof(one), a, b), _function(library, "memory", 3)(ctypes.addressof(other), a, b)
        assert results[0] == results[1] and list(one) == list(other)
    space = (ctypes.c_int64 * 16)()
    line = ctypes.addressof(space) + 63 & ~63
    for index, value in enumerate((4, 0, -4, 4, 9, 0, 1 << 63, 4)):
        dialect.store(line, index, dialect.wrap(value))
    for value in (4, 0, -4, -(1 << 63), 77):
        assert _function(library, "search", 2)(line, value) == programs.search(line, value)
    function = library.address("high")
    assert _function(library, "apply", 3)(function, -5, 1 << 40) == programs.apply(function, -5, 1 << 40)


def test_constants_are_overridden_in_both() -> None:
    native = _function(compile(lower([programs.unroll], {"SIZE": 2}), "fast"), "unroll", 2)
    python = dialect.in_python([programs.unroll], {"SIZE": 2})["unroll"]
    assert [native(a, 3) for a in range(4)] == [python(a, 3) for a in range(4)]
    assert native(0, 3) != programs.unroll(0, 3)


WRONG = {
    "x = y": "y is no variable",
    "return f(a)": "calls itself",
    "a, b = 1, 2": "no Tuple here",
    "a[0] = 1": "only names",
    "a = b = 1": "one target",
    "return 1 < a < 3": "one comparison",
    "return a and 1": "no BoolOp here",
    "return a / 2": "no Div",
    "return [a]": "no List here",
    "return len(a)": "no function of the dialect",
    "return a.real": "no Attribute here",
    "return add(a)": "wrong number of arguments",
    "return add(a, b=1)": "plain arguments",
    "try:\n  return 1\n finally:\n  pass": "no Try",
    "for i in (1, 2):\n  pass": "loops are",
    "for i in unrolled(a):\n  pass": "known when compiling",
    "for i in unrolled(100):\n  pass": "at most 64",
    "for i in unrolled(2):\n  i = 3": "variable of an unrolled loop",
    "for i in unrolled(2):\n  pass\n return i": "i is no variable",
    "for i in range(0, 1, a):\n  pass": "the step",
    "return 1 << 64": "not a signed 64-bit number",
    "while a:\n  a = 0\n else:\n  a = 1": "no else of a loop",
    "return call(a, 1, 2, 3, 4)": "wrong number",
}


@pytest.mark.parametrize("body", WRONG, ids=range(len(WRONG)))
def test_what_is_not_in_the_dialect(body: str) -> None:
    text = f"from lockverse.jit.dialect import add, call, unrolled\ndef f(a):\n {body}\n"
    path = f"<{body}>"
    linecache.cache[path] = (len(text), None, text.splitlines(True), path)
    names: dict[str, object] = {}
    exec(__builtins__["compile"](text, path, "exec"), names)  # type: ignore[index]
    with pytest.raises(NotInDialect, match=WRONG[body]) as caught:
        lower([names["f"]])  # type: ignore[list-item]
    assert path + ":" in str(caught.value)


def test_defaults_and_missing_text_are_told() -> None:
    names: dict[str, Callable[..., int]] = {}
    exec("def f(a):\n return a\n", names)
    with pytest.raises(NotInDialect, match="no source text"):
        lower([names["f"]])

    def g(a: int, b: int = 1) -> int:
        return a

    with pytest.raises(NotInDialect, match="plain parameters"):
        lower([g])
