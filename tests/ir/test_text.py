"""The textual form: what is printed is read back to an equal program, and what is wrong is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lockverse.ir import ops
from lockverse.ir.ops import Imm, Reg
from lockverse.ir.parser import IRSyntaxError, parse_program
from lockverse.ir.printer import print_function, print_op, print_program
from lockverse.ir.program import Block, Cell, Function, Object, Pool, Program, Property, Register, Thread
from lockverse.ir.reason import Reason
from lockverse.ir.source import Origin, Span, Statement
from lockverse.ir.text import FORMS
from lockverse.ir.types import S64, Array, Bool, Enum, Field, Int, Ptr, Struct, StructRef
from lockverse.session import open_file, program_of, tasks

from ..oracle.programs import program
from ..support import SCHEMES, task_of

numbers = st.integers(-(1 << 63), 1 << 63)
small = st.integers(0, 9)
text = st.text(max_size=6)
words = st.sampled_from(["a", "b.c", "_x1", "ünïcode"])
integers = st.builds(Int, st.sampled_from([8, 16, 32, 64]), st.booleans(), st.booleans())
enums = st.builds(Enum, words, st.lists(text, min_size=1, max_size=3).map(tuple), st.booleans())
targets = st.one_of(st.builds(StructRef, words), st.builds(Array, st.one_of(integers, st.builds(StructRef, words)), small, st.booleans()))
scalars = st.one_of(integers, st.just(Bool()), enums, st.builds(Ptr, targets))
types = st.one_of(scalars, targets)
registers = st.builds(Reg, small)
values = st.one_of(registers, st.builds(Imm, numbers))
lists = st.lists(values, max_size=3).map(tuple)
at = small
anyop = st.one_of(
    st.builds(ops.Copy, registers, values, at), st.builds(ops.Unary, registers, st.sampled_from(ops.UNARY), values, scalars, at),
    st.builds(ops.Binary, registers, st.sampled_from(ops.ARITHMETIC + ops.COMPARISON), values, values, scalars, at),
    st.builds(ops.Narrow, registers, values, integers, text, at), st.builds(ops.Field, registers, values, small, text, at),
    st.builds(ops.Container, registers, values, st.builds(StructRef, words), small, text, at),
    st.builds(ops.Element, registers, values, values, small, small, at), st.builds(ops.Self, registers, at),
    st.builds(ops.Lifetime, registers, values, at), st.builds(ops.Held, registers, values, small, at),
    st.builds(ops.Step, text, st.sampled_from(ops.ORDERS), st.one_of(st.none(), values), at),
    st.builds(ops.Load, registers, values, scalars, at), st.builds(ops.Store, values, values, scalars, at),
    st.builds(ops.Await, values, at), st.builds(ops.Assume, values, at),
    st.builds(ops.Check, values, st.sampled_from(list(Reason)), text, at), st.builds(ops.Choose, registers, small, small, at),
    st.builds(ops.Call, st.lists(registers, max_size=2).map(tuple), text, lists, at), st.builds(ops.Jump, small, at),
    st.builds(ops.Branch, values, small, small, at, st.sampled_from([None, True, False]), st.sampled_from([None, True, False])),
    st.builds(ops.Return, lists, at),
)  # fmt: skip
functions = st.builds(
    Function, text, small, st.lists(st.builds(Register, text, scalars, st.sampled_from(["param", "local", "temp"])), max_size=3).map(tuple),
    st.lists(scalars, max_size=2).map(tuple),
    st.lists(st.builds(Block, st.lists(anyop, max_size=4).map(tuple)), max_size=3).map(tuple), st.booleans(), st.booleans(),
)  # fmt: skip
structs = st.builds(Struct, words, st.lists(st.builds(Field, words, types, small), max_size=3).map(tuple), small, text)
programs = st.builds(
    Program, text, text, st.lists(structs, max_size=2).map(lambda all_: {one.name: one for one in all_}),
    st.lists(functions, max_size=2).map(lambda all_: {one.name: one for one in all_}),
    st.lists(st.builds(Object, text, types, small), max_size=2).map(tuple), st.lists(st.builds(Cell, text, scalars, numbers), max_size=2).map(tuple),
    st.lists(st.builds(Thread, st.integers(-3, 9), text, text, st.lists(numbers, max_size=2).map(tuple), small, words, small), max_size=2).map(tuple),
    st.lists(st.builds(Property, text, text, text, small), max_size=2).map(tuple),
    st.lists(st.builds(Statement, text, text, small, text, words, small, st.lists(small, max_size=2).map(tuple)), max_size=2).map(tuple),
    st.lists(st.builds(Origin, small, st.builds(Span, small, small, small, small), st.integers(-1, 5)), max_size=2).map(tuple),
    small, st.lists(small, max_size=2).map(tuple),
)  # fmt: skip
pools = st.lists(st.builds(Pool, text, st.builds(StructRef, words), small, small, small, small), max_size=2).map(tuple)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programs, pools, small)
def test_print_parse_print(one: Program, several: tuple[Pool, ...], permanent: int) -> None:
    one = replace(one, pools=several, permanent=permanent if several else 0)
    printed = print_program(one)
    assert parse_program(printed) == one
    assert print_program(parse_program(printed)) == printed


def test_every_op_has_a_form() -> None:
    forms = {form[0] for form in FORMS.values()}
    assert forms == {*ops.Local.__args__, ops.Step, ops.Held, ops.Rest, ops.Load, ops.Store, ops.Await, ops.Assume, ops.Check, ops.Choose, ops.Call, *ops.Terminator.__args__}


def test_schemes_go_through_text() -> None:
    for path in SCHEMES:
        for task in tasks(open_file(path), None, {}, every=False):
            one = program_of(task)
            assert parse_program(print_program(one)) == one


def test_random_programs_go_through_text(tmp_path: Path) -> None:
    for seed in range(60):
        one = program_of(task_of(tmp_path, program(seed)))
        assert parse_program(print_program(one)) == one


def test_how_ops_look() -> None:
    assert print_op(ops.Binary(Reg(3), "add", Reg(1), Imm(5), S64, 12)) == "%3 = add s64, %1, 5 !12"
    assert print_op(ops.Step("spin_lock", "acquire", Reg(0), 4)) == 'step "spin_lock", acquire, %0, "", "" !4'
    assert print_op(ops.Step("up_read", "release", Reg(0), 4, gives="shared")) == 'step "up_read", release, %0, "", "shared" !4'
    assert print_op(ops.Rest(4)) == "rest !4"
    assert print_op(ops.Branch(Reg(1), 2, 3, 9, True, None)) == "branch %1, @2, @3, true, open !9"
    assert print_op(ops.Call((Reg(1), Reg(2)), "f", (Imm(-1),), 0)) == '%1, %2 = call "f", (-1) !0'


def test_how_a_function_looks() -> None:
    one = Function("f", 1, (Register("x", Ptr(StructRef("node")), "param"),), (Bool(),), (Block((ops.Return((Imm(1),), 2),)),), observer=True)
    expected = 'function "f" 1 (bool) observer\n  register "x" ptr[node] param\n  block 0\n    return (1) !2\nend\n'
    assert print_function(one) == expected


GOOD = 'program "p" "f.py"\ntasks 1\nlocks ()\nfunction "f" 0 ()\n  block 0\n    return () !0\nend\n'


@pytest.mark.parametrize(
    ("line", "text", "expected"),
    [
        (1, "programme", "expected `program`"), (1, 'program "p"', "a string in quotes"), (4, 'function "f" x ()', "a whole number"),
        (5, "  block 1", "expected block 0"), (6, "    retrun () !0", "the name of an op"), (6, "    return () 0", "expected `!`"),
        (6, "    %1 = return () !0", "0 result(s)"), (6, "    %1 = add s64, %1 !0", "expected `,`"), (6, "    ? !0", "cannot read"),
        (6, "    jump 3 !0", "expected `@`"), (6, "    branch %0, @1, @2, maybe, open !0", "open, true or false"),
        (6, "    return () !0 !0", "the end of the line"), (6, '    check nonsense, 1, "m" !0', "nonsense"), (3, "lock ()", "one of"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(line: int, text: str, expected: str) -> None:
    assert parse_program(GOOD).name == "p"
    lines = GOOD.splitlines()
    lines[line - 1] = text
    with pytest.raises(IRSyntaxError) as caught:
        parse_program("\n".join(lines))
    assert expected in str(caught.value)
    assert caught.value.line == line


def test_a_text_that_ends_early() -> None:
    with pytest.raises(IRSyntaxError, match="the end of the text"):
        parse_program(GOOD.removesuffix("end\n"))
    with pytest.raises(IRSyntaxError, match="expected one line `tasks`"):
        parse_program('program "p" "f"\nlocks ()\n')
