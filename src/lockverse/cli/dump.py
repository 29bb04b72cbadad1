"""`lockverse dump`: what the compiler made of a scheme. For people who want to know what one step is, or what runs.

Leaves out verdicts.
"""

from __future__ import annotations

import argparse
from typing import Final

from lockverse.diagnostics.model import UsageError
from lockverse.diagnostics.texts import text_of
from lockverse.ir.printer import print_code, print_op, print_program
from lockverse.passes.inline import Inlined
from lockverse.passes.pipeline import STAGES as STAGES
from lockverse.passes.pipeline import inlined
from lockverse.report.steps import marked
from lockverse.session import files_of, linked_of, open_file, program_of, steps_of, tasks

from .output import Exit, say

RULE: Final = "# "


def run(options: argparse.Namespace) -> int:
    """Run the command; gives the exit code."""
    paths, scheme = files_of(options.target)
    if len(paths) != 1:
        raise UsageError(f"{options.target}: dump takes one file")
    found = tasks(open_file(paths[0]), scheme, {}, every=False)
    if options.steps:
        say(marked([step for task in found for step in steps_of(task)], text_of), end="")
        return Exit.HOLDS
    for task in found:
        program = program_of(task)
        stage = options.after or "keep"
        if stage == "frontend":
            say(print_program(program), end="")
        elif stage == "inline":
            say("\n".join(_inlined(one) for one in inlined(program)), end="")
        else:
            linked = linked_of(task)
            say("\n".join(print_code(code) for code in dict.fromkeys([*linked.codes, *linked.conditions])), end="")
    return Exit.HOLDS


def _inlined(function: Inlined) -> str:
    lines = [f"function {function.name}, calls inlined"]
    for number, block in enumerate(function.blocks):
        lines.append(f"  block {number}  ; frame {function.frame_of[number]}")
        lines += [f"    {print_op(op)}" for op in block]
    return "\n".join([*lines, ""])
