"""`lockverse run`: a workload in the modelled kernel, its answers as the kernel's files have them.

Exit codes: 0 it ran, whatever the kernel returned; 1 a random workload has found that the books do not agree; 2 and 4 as for all commands.
Leaves out what the files look like (sim/files.py) and what an operation does (sim/system.py).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lockverse.diagnostics.model import Diagnostic, Label, Place, Rejected, UsageError
from lockverse.diagnostics.render import TextOf
from lockverse.diagnostics.texts import text_of
from lockverse.sim.operations import Operation
from lockverse.sim.recording import NotARecording, dumps, loads
from lockverse.sim.run import Run
from lockverse.sim.system import System
from lockverse.sim.workload import Workload, parse

from .answers import Answers
from .output import Exit, complain_of, say


def run(options: argparse.Namespace) -> int:
    """Run the command; gives the exit code."""
    if options.random is not None:
        from .random_workload import run_random

        return run_random(options)
    if options.operations is not None:
        raise UsageError("--operations is for --random")
    if options.seed is not None and options.schedule is None:
        raise UsageError("--seed is for --schedule")
    if options.schedule is not None and (options.interactive or options.trace):
        raise UsageError("--schedule runs a whole workload, several operations at once: without -i and --trace")
    if options.workload is None and not options.interactive:
        raise UsageError("run what? name a workload file, or read operations from the terminal with -i")
    if options.json and options.interactive:
        raise UsageError("--json prints all answers at the end; -i prints each")
    name, workload, texts = _read(options.workload) if options.workload else ("", Workload(()), text_of)
    complain_of(workload.diagnostics, texts)
    if workload.diagnostics:
        return Exit.REJECTED
    version = _version(options.cgroup, workload.cgroup_version)
    if options.schedule is not None:
        from .schedules import run_scheduled

        return run_scheduled(name, version, workload.operations, texts, options)
    ran, answers = Run(System(version), version, name), Answers(version, options)
    code = _all(workload.operations, ran, answers, texts, quiet=options.json)
    if options.interactive and code == Exit.HOLDS:
        from .terminal import converse

        converse(ran, answers)
    if options.json and code == Exit.HOLDS:
        say(dumps(ran.recording), end="")
    return code


def _all(operations: tuple[Operation, ...], ran: Run, answers: Answers, texts: TextOf, *, quiet: bool) -> int:
    for operation in operations:
        try:
            text = answers.of(ran, operation)
        except Rejected as problem:
            complain_of(problem.diagnostics, texts)
            return Exit.REJECTED
        if not quiet:
            say(text, end="")
    return Exit.HOLDS


def _version(asked: int | None, said: int | None) -> int:
    if asked is not None and said is not None and asked != said:
        raise UsageError(f"--cgroup {asked}: the workload says that it is for cgroup v{said}")
    return asked or said or 1


def _read(target: str) -> tuple[str, Workload, TextOf]:
    """A workload file, or a recording: its name, its operations, and the text that its places are in."""
    path = Path(target)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{target}: no such file") from None
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or "it is not text in UTF-8"
        raise Rejected((Diagnostic("K002", f"{target} cannot be read: {why}", Label(Place(target, 0, 0, 0, 0))),)) from None
    if not text.lstrip().startswith("{"):
        return path.stem, parse(text, target), text_of
    try:
        one = loads(text)
    except NotARecording as problem:
        raise UsageError(f"{target} begins as a recording does: {problem}") from None
    lines = "\n".join(one.ops)
    workload = parse(lines, f"{target} (ops)")
    return one.name or path.stem, Workload(workload.operations, workload.diagnostics, one.cgroup_version), lambda _: lines
