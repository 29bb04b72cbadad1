"""`if hasattr(x, "field")` is decided while compiling, by the struct that x points to: it costs no step, and only what it comes to is shown.

Expected states by enumeration: two CPUs of one step each have 1 + 2 + 1 states. Leaves out what linux/ uses it for.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.engine import Options
from lockverse.explore.bounds import Bounds
from lockverse.session import check

from ..support import task_of

SCHEME = """from lockverse import *


@struct
class small:
    n: atomic_t


@struct
class large:
    n: atomic_t
    more: atomic_t


def add(x):
    if hasattr(x, "more"):
        atomic_inc(x.more)
    else:
        atomic_inc(x.n)
    if not hasattr(x, "more"):
        pass


@scheme
def scene():
    x = {kind}()
    cpu(add, x)
    cpu(add, x)
    at_rest(lambda: atomic_read(x.{counted}) == {wanted})
"""


@pytest.mark.parametrize("engine", ["reference", "native"])
@pytest.mark.parametrize(("kind", "counted"), [("small", "n"), ("large", "more")])
def test_the_struct_decides(tmp_path: Path, engine: str, kind: str, counted: str) -> None:
    text = SCHEME.format(kind=kind, counted=counted, wanted=2)
    outcome = check(task_of(tmp_path, text), Bounds(), lambda _: None, Options(engine=engine, reductions=()))
    assert (outcome.verdict.value, outcome.states) == ("holds", 4)


def test_only_what_it_comes_to_is_shown(tmp_path: Path) -> None:
    outcome = check(task_of(tmp_path, SCHEME.format(kind="small", counted="n", wanted=3)), Bounds(), lambda _: None)
    assert outcome.trace is not None
    shown = [outcome.trace.statements[stack[-1]] for event in outcome.trace.events if (stack := event.stack)]
    assert {(one.text, one.depth) for one in shown} >= {("atomic_inc(x.n)", 0)}
    assert not any("hasattr" in outcome.trace.statements[number].text for one in outcome.trace.statements for number in (*one.body, *one.orelse))
