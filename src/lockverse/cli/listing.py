"""`lockverse list`: the schemes in files and directories, with their parameters and what their docstrings say first.

Leaves out checking them.
"""

from __future__ import annotations

import argparse
import inspect

from lockverse.diagnostics.model import Diagnostic, Rejected
from lockverse.frontend.scheme import SchemeFile
from lockverse.lang.scene import scheme_parameters
from lockverse.session import files_of, open_file, show

from .output import Exit, complain_of, say


def run(options: argparse.Namespace) -> int:
    """Run the command; gives the exit code."""
    wrong: list[Diagnostic] = []
    for target in options.targets:
        paths, _ = files_of(target)
        for path in paths:
            try:
                _list(open_file(path))
            except Rejected as problem:
                wrong += problem.diagnostics
    complain_of(wrong)
    return Exit.REJECTED if wrong else Exit.HOLDS


def _list(file: SchemeFile) -> None:
    for name, scheme in file.schemes.items():
        text = (inspect.getdoc(scheme) or inspect.getdoc(file.module) or "").partition("\n")[0]
        say(f"{file.shown}::{name}  {text}".rstrip())
        for one in scheme_parameters(scheme):
            values = ", ".join(show(value) for value in one.domain)
            say(f"    {one.name}: one of {values}; {show(one.default)} if nothing is said")
