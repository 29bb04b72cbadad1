"""`lockverse run -i`: operations from the terminal, one after the other, each answered at once.

A line that is wrong is told what is wrong with it and changes nothing. Works where input is no terminal too: then nothing is prompted for.
Leaves out what an operation does.
"""

from __future__ import annotations

import inspect
import sys

from lockverse.diagnostics.model import Rejected
from lockverse.diagnostics.suggest import nearest
from lockverse.sim.operations import OPERATIONS
from lockverse.sim.run import Run
from lockverse.sim.workload import parse_line, usage

from .answers import Answers, checked
from .output import complain_of, say

INPUT = "input"  # what diagnostics call what was typed
_COMMANDS = {"help": "this, or `help OP`", "tree": "the groups and their charges now", "quit": "end; so does the end of input"}


def converse(ran: Run, answers: Answers) -> None:
    """Read and run operations until the end of input."""
    terminal = sys.stdin.isatty()
    if terminal:
        _with_history()
        say(f"cgroup v{answers.version}; `help` lists the operations, `check` shows every group's numbers, Ctrl-D ends")
    lines: list[str] = []
    while True:
        try:
            line = input("> " if terminal else "")
        except EOFError:
            if terminal:
                say()
            return
        except KeyboardInterrupt:
            say()  # what was typed is dropped, as shells do
            if not terminal:
                return
            continue
        lines.append(line)
        words = line.partition("#")[0].split()
        if words[:1] == ["quit"]:
            return
        try:
            text = _command(words, ran, answers) or _answer(line, len(lines), ran, answers)
        except Rejected as problem:
            complain_of(problem.diagnostics, lambda _: "\n".join(lines))
        else:
            say(text, end="", flush=True)


def _answer(line: str, number: int, ran: Run, answers: Answers) -> str:
    operation = parse_line(line, INPUT, number)
    return answers.of(ran, operation) if operation is not None else ""


def _command(words: list[str], ran: Run, answers: Answers) -> str:
    """What is no operation of a workload; "" if it is one."""
    match words:
        case ["help"]:
            return _help()
        case ["help", name]:
            return _help_of(name)
        case ["tree"]:
            return checked(ran, answers)
        case _:
            return ""


def _help() -> str:
    lines = [f"{line:50} {_doc(one)[0]}" for one in OPERATIONS.values() for line in usage(one)]
    return "\n".join([*lines, *(f"{name:50} {text}" for name, text in _COMMANDS.items()), ""])


def _help_of(name: str) -> str:
    one = OPERATIONS.get(name)
    if one is None:
        close = nearest(name, OPERATIONS)
        return f"there is no operation `{name}`" + (f"; did you mean `{close}`?\n" if close else "\n")
    return "\n".join([*usage(one), "", *_doc(one), ""])


def _doc(one: type) -> list[str]:
    return (inspect.getdoc(one) or "").splitlines()


def _with_history() -> None:
    """Arrow keys, history and completion, where Python has them."""
    try:
        import readline
    except ImportError:
        return
    names = [*OPERATIONS, *_COMMANDS]

    def complete(text: str, state: int) -> str | None:
        found = [f"{name} " for name in names if name.startswith(text)]
        return found[state] if state < len(found) and readline.get_begidx() == 0 else None

    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")
