"""What many tests need: a scheme from its text, checked; the command, run.

Leaves out expectations: those stand in the tests.
"""

from __future__ import annotations

import io
import itertools
import re
import textwrap
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from lockverse.cli.main import main
from lockverse.diagnostics.model import Diagnostic, Rejected
from lockverse.engine import Options
from lockverse.explore.bounds import Bounds
from lockverse.ir.program import Linked
from lockverse.report.verdict import Outcome
from lockverse.session import Task, check, open_file, tasks
from lockverse.session import linked_of as compiled

ROOT = Path(__file__).resolve().parent.parent
# Schemes over the modelled kernel are too large for brute force; tests/linux has them.
OVER_LINUX = sorted(path for path in (ROOT / "schemes").rglob("*.py") if "lockverse.linux" in path.read_text())
SCHEMES = sorted(path for path in (ROOT / "schemes").rglob("*.py") if path not in OVER_LINUX)
WITHOUT_FINDINGS = Options(findings=False)  # for tests of what goes wrong in executions
_numbers = itertools.count()

HEAD = """from lockverse import *


@struct
class node:
    n: u8
    big: s64
    flag: bool
    next: ptr["node"]
    slots: array[u8, 3]
    count: atomic_t
    lock: spinlock_t
    other: spinlock_t
    ref: refcount_t


"""


def scheme_text(body: str, scene: str = "x = node()\ny = node()\ncpu(run, x)") -> str:
    """A whole file: `body` holds the functions, `scene` the inside of the scheme function."""
    inside = textwrap.indent(textwrap.dedent(scene).strip(), "    ")
    return HEAD + textwrap.dedent(body).strip() + f"\n\n\n@scheme\ndef scene():\n{inside}\n"


def write(folder: Path, text: str) -> Path:
    """A file of its own, since Python caches sources by name."""
    path = folder / f"s{next(_numbers)}.py"
    path.write_text(text, encoding="utf-8")
    return path


def task_of(folder: Path, text: str) -> Task:
    """The only scheme of a text."""
    return tasks(open_file(write(folder, text)), None, {}, every=False)[0]


def linked_of(folder: Path, text: str) -> Linked:
    """The linked code of the only scheme of a text."""
    return compiled(task_of(folder, text))


def checked(folder: Path, body: str, scene: str = "x = node()\ny = node()\ncpu(run, x)", bounds: Bounds | None = None) -> Outcome:
    """The outcome of a scheme given as `scheme_text` takes it, data races and the order of locks aside."""
    return check(task_of(folder, scheme_text(body, scene)), bounds or Bounds(), lambda _: None, WITHOUT_FINDINGS)


def rejected(folder: Path, text: str) -> tuple[Diagnostic, ...]:
    """The diagnostics of a text that does not compile; fails if it does."""
    try:
        compiled(task_of(folder, text))
    except Rejected as problem:
        return problem.diagnostics
    raise AssertionError("this compiles")


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def timeless(self) -> str:
        """All it printed, with the seconds taken out."""
        return re.sub(r"\d+\.\d s\b", "0.0 s", self.out + self.err)


def run(*arguments: str) -> Ran:
    """Run the command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as stop:  # argparse
            code = stop.code if isinstance(stop.code, int) else 1
    return Ran(code, out.getvalue(), err.getvalue())
