"""The machine on code written by hand: what the docstrings of ir/ops.py say, op by op.

Expected values are worked out from those docstrings and from two's complement.
"""

from __future__ import annotations

import pytest

from lockverse.ir import ops
from lockverse.ir.ops import Imm, Reg
from lockverse.ir.program import Cell, Code, Linked, Object, Program, Register, Thread
from lockverse.ir.reason import Reason
from lockverse.ir.source import Origin, Span, Statement
from lockverse.ir.types import S64, U64, Field, Int, Ptr, Struct, StructRef
from lockverse.machine.interpreter import Interpreter
from lockverse.machine.protocol import Blocked, Faulted, Moved, Pruned, TooLong

WORD = Ptr(StructRef("word"))
STRUCTS = {"task": Struct("task", (Field("pid", U64, 0),), 1, "task"), "word": Struct("word", (Field("n", S64, 0),), 1)}
CELLS = (Cell("NULL", S64, 0), Cell("task0.pid", U64, 0), Cell("w.n", S64, 5))
OBJECTS = (Object("task0", StructRef("task"), 1), Object("w", StructRef("word"), 2))


def machine(*code: ops.Op, registers: int = 4, keep: tuple[int, ...] = (), limit: int = 10_000) -> Interpreter:
    """One thread that runs this; every step keeps the registers `keep`."""
    kept = tuple(keep if isinstance(op, ops.Step) else () for op in code)
    linked_code = Code("f", 0, tuple(Register(f"r{n}", S64, "temp") for n in range(registers)), code, kept)
    program = Program(
        "p", "p.py", STRUCTS, {}, OBJECTS, CELLS, (Thread(0, "f", "f", (), 1),), (),
        (Statement("", "p.py", 1, "", "simple", 0), Statement("f", "p.py", 1, "x", "simple", 0)),
        (Origin(0, Span(1, 1, 1, 1)), Origin(1, Span(1, 1, 1, 2))), 1, (),
    )  # fmt: skip
    return Interpreter(Linked(program, (linked_code,), (), program.origins), limit)


STEP = ops.Step("store", "plain", Imm(2), 1)
END = ops.Return((), 1)


def outcome(*code: ops.Op, choice: int = 0, **options: int) -> object:
    """What the only step does: `code` runs in it, and register 0 is stored in w.n at its end."""
    one = machine(STEP, *code, ops.Store(Imm(2), Reg(0), S64, 1), END, **options)  # type: ignore[arg-type]
    start = one.start().outcome
    assert isinstance(start, Moved)
    return one.step(start.state, 0, choice)


def stored(*code: ops.Op, choice: int = 0) -> int:
    """What w.n is after that."""
    found = outcome(*code, choice=choice)
    assert isinstance(found, Moved), found
    memory: tuple[int, ...] = found.state[0]
    return memory[2]


S8, U8, W8 = Int(8, True), Int(8, False), Int(8, True, wraps=True)


@pytest.mark.parametrize(
    ("op", "a", "b", "kind", "result"),
    [
        ("add", 100, 27, S8, 127), ("sub", -100, 28, S8, -128), ("mul", -16, 8, S8, -128), ("floordiv", -7, 2, S64, -4),
        ("mod", -7, 3, S64, 2), ("mod", 7, -3, S64, -2), ("floordiv", 7, -2, S64, -4), ("and", 12, 10, S64, 8), ("or", 12, 10, S64, 14),
        ("xor", 12, 10, S64, 6), ("shl", 3, 4, S64, 48), ("shr", -8, 1, S64, -4), ("add", 127, 1, W8, -128), ("sub", -128, 1, W8, 127),
        ("mul", 16, 16, W8, 0), ("eq", 3, 3, S64, 1), ("ne", 3, 3, S64, 0), ("lt", 2, 3, S64, 1), ("le", 3, 3, S64, 1), ("gt", 2, 3, S64, 0),
        ("ge", 3, 4, S64, 0),
    ],
)  # fmt: skip
def test_binary(op: str, a: int, b: int, kind: Int, result: int) -> None:
    assert stored(ops.Binary(Reg(0), op, Imm(a), Imm(b), kind, 1)) == result


@pytest.mark.parametrize(
    ("op", "a", "b", "kind", "reason"),
    [
        ("add", 127, 1, S8, Reason.OVERFLOW), ("sub", 0, 1, U8, Reason.OVERFLOW), ("floordiv", 1, 0, S64, Reason.DIVISION_BY_ZERO),
        ("mod", 1, 0, S64, Reason.DIVISION_BY_ZERO), ("shl", 1, 64, S64, Reason.OVERFLOW), ("shr", 1, -1, S64, Reason.OVERFLOW),
        ("shl", 1, 63, S64, Reason.OVERFLOW), ("floordiv", -(1 << 63), -1, S64, Reason.OVERFLOW),
    ],
)  # fmt: skip
def test_binary_faults(op: str, a: int, b: int, kind: Int, reason: Reason) -> None:
    found = outcome(ops.Binary(Reg(0), op, Imm(a), Imm(b), kind, 1))
    assert isinstance(found, Faulted) and found.reason is reason and found.origin == 1


@pytest.mark.parametrize(
    ("op", "a", "kind", "result"),
    [("neg", 5, S8, -5), ("not", 5, S64, 0), ("not", 0, S64, 1), ("invert", 5, S8, -6), ("invert", 5, U8, 250), ("neg", -128, W8, -128)],
)
def test_unary(op: str, a: int, kind: Int, result: int) -> None:
    assert stored(ops.Unary(Reg(0), op, Imm(a), kind, 1)) == result


def test_unary_overflow() -> None:
    assert isinstance(outcome(ops.Unary(Reg(0), "neg", Imm(-128), S8, 1)), Faulted)


def test_narrow() -> None:
    assert stored(ops.Narrow(Reg(0), Imm(300), Int(8, False, wraps=True), "x", 1)) == 44
    assert stored(ops.Narrow(Reg(0), Imm(255), U8, "x", 1)) == 255
    assert isinstance(outcome(ops.Narrow(Reg(0), Imm(256), U8, "x", 1)), Faulted)


def test_addresses() -> None:
    assert stored(ops.Field(Reg(0), Imm(2), 3, "w.n", 1)) == 5
    assert stored(ops.Element(Reg(0), Imm(2), Imm(2), 3, 4, 1)) == 10
    assert stored(ops.Self(Reg(0), 1)) == 1
    for op in (ops.Field(Reg(0), Imm(0), 0, "p.n", 1), ops.Element(Reg(0), Imm(0), Imm(0), 3, 1, 1)):
        found = outcome(op)
        assert isinstance(found, Faulted) and found.reason is Reason.NULL_DEREFERENCE
    for index in (-1, 3):
        found = outcome(ops.Element(Reg(0), Imm(2), Imm(index), 3, 1, 1))
        assert isinstance(found, Faulted) and found.reason is Reason.OUT_OF_BOUNDS


def test_load_branch_jump() -> None:
    """Ops 1..: load w.n (5); if it is above 4 go to 5, which stores 9 in register 0."""
    assert stored(
        ops.Load(Reg(1), Imm(2), S64, 1), ops.Binary(Reg(2), "gt", Reg(1), Imm(4), S64, 1), ops.Branch(Reg(2), 5, 4, 1),
        ops.Jump(6, 1), ops.Copy(Reg(0), Imm(9), 1),
    ) == 9  # fmt: skip


def test_waiting_pruning_checking_choosing() -> None:
    assert isinstance(outcome(ops.Await(Imm(0), 1)), Blocked)
    assert isinstance(outcome(ops.Await(Imm(1), 1)), Moved)
    assert outcome(ops.Assume(Imm(0), 1)) == Pruned(1)
    found = outcome(ops.Check(Imm(0), Reason.BUG, "no", 1))
    assert isinstance(found, Faulted) and (found.reason, found.message) == (Reason.BUG, "no")
    assert [stored(ops.Choose(Reg(0), 3, 5, 1), choice=n) for n in range(3)] == [3, 4, 5]
    chosen = outcome(ops.Choose(Reg(0), 3, 5, 1), choice=1)
    assert isinstance(chosen, Moved) and chosen.choices == 3


def test_a_loop_that_repeats_itself_is_found_exactly() -> None:
    """Register 1 goes round 0, 1, 0, 1: caught though no bound is near. A count up to 5000 is no repetition."""
    round_ = (ops.Binary(Reg(1), "xor", Reg(1), Imm(1), S64, 1), ops.Jump(1, 1))
    found = outcome(*round_)
    assert isinstance(found, Faulted) and found.reason is Reason.ENDLESS_SPINNING
    count = (
        ops.Binary(Reg(1), "add", Reg(1), Imm(1), S64, 1), ops.Binary(Reg(2), "lt", Reg(1), Imm(3000), S64, 1), ops.Branch(Reg(2), 1, 4, 1),
        ops.Copy(Reg(0), Reg(1), 1),
    )  # fmt: skip
    assert stored(*count) == 3000
    assert outcome(*count, limit=5000) == TooLong(5000)


def test_only_what_is_kept_survives_a_step() -> None:
    code = (STEP, ops.Copy(Reg(0), Imm(7), 1), ops.Copy(Reg(1), Imm(8), 1), STEP, END)
    one = machine(*code, keep=(1,))
    start = one.start().outcome
    assert isinstance(start, Moved)
    after = one.step(start.state, 0, 0)
    assert isinstance(after, Moved)
    assert after.state[1][0] == (3, (0, 8, 0, 0))


def test_what_comes_before_the_first_step_runs_at_the_start() -> None:
    one = machine(ops.Copy(Reg(1), Imm(8), 1), STEP, END, keep=(1,))
    start = one.start().outcome
    assert isinstance(start, Moved) and start.state[1][0] == (1, (0, 8, 0, 0))
    assert not one.finished(start.state, 0)


def test_a_thread_without_steps_has_finished_at_the_start() -> None:
    one = machine(END)
    start = one.start().outcome
    assert isinstance(start, Moved) and one.finished(start.state, 0)
