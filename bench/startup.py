"""The start-up case: from the command to the verdict on the mail's smallest scheme, beside an empty Python.

SPIN and rumur stand beside it with L1, which is the same race in their own words, whole. Leaves out warming up: the
first round's runs are cold for everybody, and the extremes show it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .cases import CASES, Case
from .tools import TOOLS, Found, Stage, Tool, read_lockverse

CASE = Case("S0", "m1", {}, "broken", None, 1000, "start-up: the mail's race", ("startup",))
_SCHEME = Path(__file__).resolve().parent.parent / "schemes" / "mail" / "rung_a.py"
_L1 = next(case for case in CASES if case.name == "L1")


def _python(case: Case) -> tuple[Stage, ...]:
    return (Stage("search", (sys.executable, "-c", "pass")),)


def _check(case: Case) -> tuple[Stage, ...]:
    return (Stage("search", (sys.executable, "-m", "lockverse", "check", str(_SCHEME), "--json", "--no-trace")),)


def _on_l1(name: str) -> Tool:
    found = next(tool for tool in TOOLS if tool.name == name)
    return Tool(name, f"{found.title}, on L1", ("startup",), found.missing, found.version, lambda case: found.stages(_L1), found.read)


def startup_tools() -> tuple[Tool, ...]:
    """What the start-up case runs."""
    lockverse = next(tool for tool in TOOLS if tool.name == "lockverse")
    return (
        Tool("python", "python -c pass", ("startup",), lambda: None, lambda: sys.version.split()[0], _python, lambda text: Found("-")),
        Tool("lockverse", "lockverse check schemes/mail/rung_a.py", ("startup",), lockverse.missing, lockverse.version, _check, read_lockverse),
        _on_l1("spin-por"),
        _on_l1("rumur"),
    )
