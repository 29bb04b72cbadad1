"""The order of the passes, and what comes out: what the machines run.

Inlining, checks of lifetimes, who else is on a thread's CPU, which steps a thread may stay before, layout, what it refers to there, then what is kept. The verifier looks at the program before the first and at the code after the last.
Leaves out reductions that need more than one thread's code.
"""

from __future__ import annotations

from typing import Final

from lockverse.ir.contexts import shares_its_cpu
from lockverse.ir.program import Code, Linked, Program
from lockverse.ir.verifier import verify_code, verify_program

from .contexts import in_context
from .inline import Inlined, Origins, inline
from .keep import keep
from .layout import lay_out
from .lifetimes import check_lifetimes
from .references import note_references
from .rest import mark_rest

STAGES: Final = ("frontend", "inline", "keep")  # what `dump --after` can show: before the passes, half way, at the end


def link(program: Program, *, verify: bool = True) -> Linked:
    """What a machine runs. Raises MalformedIR if the frontend or a pass made a mistake, and
    UnclearRest if a rest() of the user's marks no one step."""
    if verify:
        verify_program(program)
    origins = Origins(program.origins)
    codes: dict[str, Code] = {}
    for name in _roots(program):
        codes[name] = _code(_inlined(program, name, origins), origins, program)
        if verify:
            verify_code(codes[name], program, len(origins.all))
    threads = tuple(_thread(program, number, codes, origins, verify=verify) for number in range(len(program.threads)))
    conditions = tuple(codes[one.function] for one in program.properties)
    return Linked(program, threads, conditions, tuple(origins.all))


def _thread(program: Program, number: int, codes: dict[str, Code], origins: Origins, *, verify: bool) -> Code:
    """A thread's code: its function's, unless its steps depend on who else is on its CPU."""
    name = program.threads[number].function
    if not shares_its_cpu(program, number):
        return codes[name]
    code = _code(in_context(_inlined(program, name, origins), program, number), origins, program)
    if verify:
        verify_code(code, program, len(origins.all))
    return code


def inlined(program: Program) -> tuple[Inlined, ...]:
    """Each thread's and property's function as it is between inlining and layout, for a reader."""
    origins = Origins(program.origins)
    return tuple(_inlined(program, name, origins) for name in _roots(program))


def _inlined(program: Program, name: str, origins: Origins) -> Inlined:
    function = inline(program.functions, name, origins)
    return function if program.functions[name].observer else check_lifetimes(function, program)


def _roots(program: Program) -> list[str]:
    return list(dict.fromkeys([*(t.function for t in program.threads), *(p.function for p in program.properties)]))


def _code(function: Inlined, origins: Origins, program: Program) -> Code:
    row = note_references(lay_out(mark_rest(function, origins)), function.registers, program)
    kept = keep(row, function.registers, function.frames)
    return Code(function.name, function.parameters, function.registers, row.ops, kept)
