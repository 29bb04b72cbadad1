"""Random source never gives a traceback: it compiles, or is rejected with codes and places inside the file.

Sources are valid programs with their tokens shuffled, dropped, doubled and replaced, and expressions and statements
put together from Python's whole grammar. Leaves out whether what compiles is right: tests/oracle.
"""

from __future__ import annotations

import ast
import io
import random
import tokenize
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockverse.diagnostics.codes import CODES
from lockverse.diagnostics.model import Rejected
from lockverse.diagnostics.render import render
from lockverse.explore.bounds import Bounds
from lockverse.session import check, open_file, tasks

from ..oracle.programs import program
from ..support import scheme_text, write

BOUNDS = Bounds(states=60, ops=2000)


def _compile(folder: Path, text: str) -> str:
    """Compile and run a little of it; "fine" or the codes. Anything else raised is a failure of ours."""
    path = write(folder, text)
    try:
        for task in tasks(open_file(path), None, {}, every=False):
            check(task, BOUNDS, lambda _: None)
    except Rejected as problem:
        lines = text.splitlines()
        for one in problem.diagnostics:
            assert one.code in CODES and one.code != "K900"
            assert one.primary.place.line <= len(lines) + 1
            assert render(one, lambda _: text).startswith(f"error[{one.code}]")
        return " ".join(one.code for one in problem.diagnostics)
    return "fine"


def _tokens(text: str) -> list[str]:
    return [token.string for token in tokenize.generate_tokens(io.StringIO(text).readline)]


WORDS = ["x", "a", "b", "a.x", "NULL", "None", "True", "0", "1", "-1", "1.5", '"s"', "lambda: 0", "node", "mode.idle", "range(3)", "a.lock", "a.count"]
WORDS += ["a.slots", "helper", "helper(a, 1)", "[1]", "{}", "(1, 2)", "...", "yield", "await a", "*a", "a.other.other", "b.slots[0]", "not a", "u8", "len"]


def _mutated(seed: int) -> str:
    """A valid program with a few of its words changed; lines and indentation stay."""
    rng = random.Random(seed)
    lines = program(seed).split("\n")
    first = next(n for n, line in enumerate(lines) if line.startswith("def thread0"))
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(first, len(lines))
        words = lines[place].split(" ")
        at = rng.randrange(len(words))
        if words[at].strip():
            words[at] = rng.choice([*WORDS, words[at] * 2, "", words[at] + "x", words[at][:-1]])
        lines[place] = " ".join(words)
    return "\n".join(lines)


@pytest.mark.parametrize("first", range(0, 500, 100))
def test_mutated_programs(tmp_path: Path, first: int) -> None:
    found = {_compile(tmp_path, _mutated(seed)) for seed in range(first, first + 100)}
    assert "fine" in found and len(found) >= 4


expressions = st.recursive(
    st.sampled_from(WORDS),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "//", "%", "/", "**", "&", "|", "^", "<<", ">>", "==", "!=", "<", ">", "is", "in", "and", "or"]), inner),
        st.builds("{}[{}]".format, inner, inner), st.builds("{}.{}".format, inner, st.sampled_from(["x", "lock", "counter", "nope", "other", "idle"])),
        st.builds("{}({})".format, st.sampled_from(["READ_ONCE", "atomic_inc", "choose", "helper", "len", "u8", "spin_trylock", "assume", "WARN_ON", "print"]), inner),
        st.builds("WRITE_ONCE({}, {})".format, inner, inner), st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("(not {})".format, inner), st.builds("(-{})".format, inner), st.builds("({} < {} <= {})".format, inner, inner, inner),
        st.builds("(k := {})".format, inner), st.builds("({}, {})".format, inner, inner), st.builds("cmpxchg({}, {}, {})".format, inner, inner, inner),
    ),
    max_leaves=6,
)  # fmt: skip
simple = st.one_of(
    expressions, st.builds("{} = {}".format, expressions, expressions), st.builds("k = {}".format, expressions),
    st.builds("{} += {}".format, expressions, expressions), st.builds("k: {} = {}".format, expressions, expressions),
    st.builds("j, k = {}".format, expressions), st.builds("return {}".format, expressions), st.builds("assert {}, {}".format, expressions, expressions),
    st.builds("del {}".format, expressions), st.builds("raise {}".format, expressions), st.sampled_from(["pass", "break", "continue", "global q", "import os"]),
)  # fmt: skip


def _indent(text: str) -> str:
    return "\n".join("    " + line for line in text.split("\n"))


statements = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(lambda test, body: f"if {test}:\n{_indent(body)}", expressions, inner),
        st.builds(lambda test, body, rest: f"while {test}:\n{_indent(body)}\nelse:\n{_indent(rest)}", expressions, inner, inner),
        st.builds(lambda name, body: f"for k in {name}:\n{_indent(body)}", expressions, inner),
        st.builds(lambda lock, body: f"with {lock}:\n{_indent(body)}", expressions, inner),
        st.builds(lambda body: f"try:\n{_indent(body)}\nexcept E:\n    pass", inner),
        st.builds(lambda body: f"def g():\n{_indent(body)}", inner), st.builds(lambda a, b: f"{a}\n{b}", inner, inner),
    ),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(statements)
def test_random_statements(tmp_path: Path, body: str) -> None:
    head = program(0).split("def thread0")[0]
    scene = "@scheme\ndef s():\n    a = node()\n    b = node()\n    a.other = b\n    cpu(run, a, b)\n"
    _compile(tmp_path, f"{head}def run(a, b):\n{_indent(body)}\n\n\n{scene}")


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions)
def test_random_properties(tmp_path: Path, condition: str) -> None:
    head = program(0).split("def thread0")[0]
    scene = f"@scheme\ndef s():\n    a = node()\n    b = node()\n    cpu(run, a, b)\n    always(lambda: {condition})\n"
    _compile(tmp_path, f"{head}def run(a, b):\n    a.x = 1\n\n\n{scene}")


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=80))
def test_random_text(tmp_path: Path, text: str) -> None:
    if "@scheme" not in text:
        try:
            ast.parse(text)
            harmless = not any(isinstance(node, ast.Call | ast.Import | ast.ImportFrom | ast.While) for node in ast.walk(ast.parse(text)))
        except (SyntaxError, ValueError):
            harmless = True
        if harmless and "\r" not in text:
            _compile(tmp_path, text.encode("utf-8", "replace").decode())


def test_odd_but_whole(tmp_path: Path) -> None:
    for body in ("def run(x): x.n = 1", "def run(x):\n    if x.flag: x.n = 1\n    else: x.n = 2", "def run(x):\n    x.n = 1; x.n = 2",
                 "def run(x):\n    x.n = (\n        1\n    )", "def run(x):\n    WRITE_ONCE(\n        x.n,\n        1,\n    )", "def run(x):\n\tx.n = 1"):  # fmt: skip
        assert _compile(tmp_path, scheme_text(body.replace("\t", "    "))) == "fine"
