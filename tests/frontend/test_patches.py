"""Patches: what a scene applies runs in place of what it names, in every module, and is held to the same parameters.

Expected verdicts by thinking: two unlocked increments lose one, two under a lock do not.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.explore.bounds import Bounds
from lockverse.lang import applied, patch
from lockverse.lang.errors import WrongType
from lockverse.lang.patch import flattened
from lockverse.session import check, open_file, tasks

from ..oracle.explore import brute_force
from ..support import rejected, task_of, write

HEAD = """from lockverse import *


@struct
class counter:
    n: u8
    lock: spinlock_t


def add(c):
    c.n += 1


def twice(c):
    add(c)
    add(c)


@patch(add)
def add_under_lock(c):
    with c.lock:
        c.n += 1


@patch(add)
def add_nothing(c):
    pass
"""


def _scheme(applies: str, runs: str = "twice", wanted: int = 4) -> str:
    return HEAD + f"""

@scheme
def scene():
    c = counter()
    {applies}
    cpu({runs}, c)
    cpu({runs}, c)
    at_rest(lambda: c.n == {wanted})
"""


@pytest.mark.parametrize(
    ("applies", "verdict"),
    [("pass", "broken"), ("apply(add_under_lock)", "holds"), ("apply([add_nothing, [add_under_lock]])", "holds"),
     ("apply(add_under_lock); apply(add_nothing)", "broken")],
)  # fmt: skip
def test_the_last_patch_runs(tmp_path: Path, applies: str, verdict: str) -> None:
    task = task_of(tmp_path, _scheme(applies))
    outcome = check(task, Bounds(), lambda _: None)
    assert outcome.verdict.value == verdict
    found = brute_force(task.file.schemes["scene"], {})
    assert (outcome.states, outcome.transitions, outcome.depth) == (found.states, found.transitions, found.depth)


def test_what_a_cpu_runs_is_patched(tmp_path: Path) -> None:
    outcome = check(task_of(tmp_path, _scheme("apply(add_under_lock)", "add", 2)), Bounds(), lambda _: None)
    assert outcome.verdict.value == "holds"


def test_other_modules_call_the_patch(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(HEAD)
    text = "from lockverse import *\nimport model\n\n@patch(model.add)\ndef mine(c):\n    with c.lock:\n        c.n += 1\n"
    scene = "\n@scheme\ndef scene():\n    c = model.counter()\n    apply(mine)\n    cpu(model.twice, c)\n    cpu(model.twice, c)\n"
    path = write(tmp_path, text + scene + "    at_rest(lambda: c.n == 4)\n")
    assert check(tasks(open_file(path), None, {}, every=False)[0], Bounds(), lambda _: None).verdict.value == "holds"


@pytest.mark.parametrize(
    ("text", "headline"),
    [("@patch(add)\ndef mine(d):\n    pass\n", "this patch of `add` takes other parameters"),
     ("@patch(add)\ndef mine():\n    pass\n", "this patch of `add` takes other parameters"),
     ("@patch(READ_ONCE)\ndef mine(place):\n    pass\n", "`READ_ONCE` cannot be patched"),
     ("@patch(counter)\ndef mine(c):\n    pass\n", "`counter` cannot be patched")],
)  # fmt: skip
def test_a_patch_that_does_not_fit(tmp_path: Path, text: str, headline: str) -> None:
    found = rejected(tmp_path, HEAD + "\n\n" + text + _scheme("apply(mine)").removeprefix(HEAD))
    assert [(one.code, one.headline) for one in found] == [("K312", headline)]


def test_what_is_no_patch_is_told(tmp_path: Path) -> None:
    assert rejected(tmp_path, _scheme("apply(add)"))[0].code == "K006"
    with pytest.raises(WrongType, match="is no patch"):
        list(flattened([len]))


def replaced() -> str:
    """What plain Python calls."""
    return "old"


@patch(replaced)
def replacing() -> str:
    """What it calls instead."""
    return "new"


def test_plain_python() -> None:
    with applied([replacing]):
        assert replaced() == "new"
    assert replaced() == "old"
