"""The textual form of a program, complete: parser.py reads it back to an equal one.

Written to be read by people who know LLVM's: registers are %0, %1, ..., every op ends in the number of its origin.
Leaves out linked code's way back: `print_code` is for eyes only, and alone shows `Step.rest`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from . import ops
from .program import Code, Function, Program
from .source import Origin, Statement
from .text import DECIDES, DECISIONS, FORMS, NAME_OF, STRING, TARGET, TYPE, VALUE, VALUES
from .types import Array, Enum, Ptr, Struct, Type


def print_program(program: Program) -> str:
    """The whole program, one thing a line; ends in a newline."""
    lines = [f"program {_quote(program.name)} {_quote(program.file)}"]
    for struct in program.structs.values():
        lines += _struct(struct)
    lines += [f"cell {_quote(c.name)} {print_type(c.type)} {c.initial}" for c in program.cells]
    lines += [f"object {_quote(o.name)} {print_type(o.type)} {o.address}" for o in program.objects]
    lines += [f"tasks {program.tasks}", f"locks {_numbers(program.locks)}"]
    lines += [f"pool {_quote(p.name)} {p.type} {p.first} {p.size} {p.count} {p.allocated}" for p in program.pools]
    lines += [f"permanent {program.permanent}"] * bool(program.pools)
    for t in program.threads:
        lines.append(f"thread {t.cpu} {_quote(t.function)} {_quote(t.title)} {_numbers(t.arguments)} {t.task} {t.context} {t.pending}")
    for p in program.properties:
        lines.append(f"property {_quote(p.kind)} {_quote(p.message)} {_quote(p.function)} {p.origin}")
    lines += [_statement(statement) for statement in program.statements]
    lines += [_origin(origin) for origin in program.origins]
    for function in program.functions.values():
        lines.append(print_function(function).rstrip("\n"))
    return "\n".join(lines) + "\n"


def print_function(function: Function) -> str:
    """One function with its registers and blocks; ends in a newline."""
    marks = " observer" * function.observer + " primitive" * function.primitive
    results = ", ".join(print_type(kind) for kind in function.results)
    lines = [f"function {_quote(function.name)} {function.parameters} ({results}){marks}"]
    lines += [f"  register {_quote(r.name)} {print_type(r.type)} {r.kind}" for r in function.registers]
    for number, block in enumerate(function.blocks):
        lines.append(f"  block {number}")
        lines += [f"    {print_op(op)}" for op in block.ops]
    return "\n".join([*lines, "end", ""])


def print_code(code: Code) -> str:
    """Linked code, for a reader: a number before every op, and after every step the variables kept there."""
    lines = [f"code {_quote(code.name)} {code.parameters}"]
    lines += [f"  register %{n} {_quote(r.name)} {print_type(r.type)} {r.kind}" for n, r in enumerate(code.registers)]
    for pc, op in enumerate(code.ops):
        kept = "" if not isinstance(op, ops.Step) else "  ; keeps " + (", ".join(f"%{n}" for n in code.keep[pc]) or "nothing")
        at_rest = ", at rest here" if isinstance(op, ops.Step) and op.rest else ""
        at_rest += f", refers to objects by {_results(op.holds)}" if isinstance(op, ops.Step) and op.holds else ""
        lines.append(f"{pc:5} {print_op(op)}{kept}{at_rest}")
    return "\n".join([*lines, ""])


def print_op(op: ops.Op) -> str:
    """One op on one line."""
    name = getattr(op, "op", None) or NAME_OF[type(op)]
    _, _, results, operands = FORMS[name]
    written = ", ".join(_operand(getattr(op, field), kind) for field, kind in operands)
    given = [_results(getattr(op, field)) for field in results]
    return f"{given[0] + ' = ' if given and given[0] else ''}{name}{' ' + written if written else ''} !{op.at}"


def _results(value: object) -> str:
    registers = value if isinstance(value, tuple) else (value,)
    return ", ".join(f"%{register.number}" for register in registers)


def _operand(value: object, kind: int) -> str:
    if kind == VALUE:
        return "none" if value is None else _value(value)
    if kind == VALUES:
        assert isinstance(value, tuple)
        return f"({', '.join(_value(one) for one in value)})"
    if kind == TYPE:
        return print_type(value)  # type: ignore[arg-type]
    if kind == STRING:
        return _quote(str(value))
    if kind == DECIDES:
        return DECISIONS[value]  # type: ignore[index]
    return f"@{value}" if kind == TARGET else str(value)


def _value(value: object) -> str:
    return f"%{value.number}" if isinstance(value, ops.Reg) else str(value.value)  # type: ignore[attr-defined]


def print_type(kind: Type) -> str:
    """A type, with an enum's members, so that it can be read back."""
    if isinstance(kind, Enum):
        return f"{'function' if kind.functions else 'enum'} {_quote(kind.name)} ({', '.join(_quote(member) for member in kind.members)})"
    if isinstance(kind, Ptr):
        return f"ptr[{print_type(kind.target)}]"
    if isinstance(kind, Array):
        return f"{'percpu' if kind.per_cpu else 'array'}[{print_type(kind.element)}, {kind.length}]"
    return str(kind)


def _struct(struct: Struct) -> list[str]:
    lines = [f"struct {struct.name} {struct.size} {_quote(struct.kind)}"]
    return [*lines, *(f"  {f.name} {print_type(f.type)} {f.offset}" for f in struct.fields), "end"]


def _statement(s: Statement) -> str:
    place = f"{_quote(s.function)} {_quote(s.file)} {s.line} {_quote(s.text)}"
    return f"statement {place} {s.kind} {s.depth} {_numbers(s.body)} {_numbers(s.orelse)}"


def _origin(o: Origin) -> str:
    return f"origin {o.statement} {o.span.line} {o.span.column} {o.span.end_line} {o.span.end_column} {o.caller}"


def _numbers(values: Iterable[int]) -> str:
    return f"({', '.join(map(str, values))})"


def _quote(text: str) -> str:
    return json.dumps(text)
