"""Compiled arithmetic against ir/ops.py: every op, every integer type, values at the edges; the interpreter says what is right.

Code is written in the intermediate representation, many cases to a model: one step each, which loads its operands from
cells that hold anything, and stores the result. The compiled step must give the interpreter's state, or its fault.
"""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from lockverse.codegen import arithmetic
from lockverse.codegen.values import Unsupported
from lockverse.ir import ops
from lockverse.ir.ops import Imm, Reg, Value
from lockverse.ir.program import Cell, Code, Linked, Object, Program, Register, Thread
from lockverse.ir.source import Origin, Span, Statement
from lockverse.ir.types import S64, U64, Bool, Field, Int, Scalar, Struct, StructRef
from lockverse.machine.interpreter import Interpreter
from lockverse.machine.native import NativeMachine, same
from lockverse.machine.protocol import Disagreement, Faulted, Moved

from .common import counts, linked_text, searched

TYPES = [Int(bits, signed, wraps) for bits, signed, wraps in itertools.product((8, 16, 32, 64), (True, False), (False, True))]
WU64, WS8, WU8 = Int(64, False, True), Int(8, True, True), Int(8, False, True)
MIXED = [
    (S64, U64), (U64, S64), (Int(8, True), U64), (U64, Int(8, False)), (Int(32, False), S64), (S64, WU64), (WU64, S64), (WU8, S64),
    (U64, WS8), (Int(32, True), Int(32, False)),
]  # fmt: skip
RESULTS = [S64, U64, WU64, WS8]
Case = tuple[str, Scalar | int, Scalar | int | None, Scalar]  # op, the types of its operands (or an immediate), type of the result


def edges(kind: Scalar) -> list[int]:
    """Values of a type where something changes: its ends, around 0, half way, and around the largest shifts."""
    if isinstance(kind, Bool):
        return [0, 1]
    assert isinstance(kind, Int)
    found = {kind.low, kind.low + 1, kind.high - 1, kind.high, kind.high // 2, kind.high // 2 + 1, -2, -1, 0, 1, 2, 3, 63, 64}
    return sorted(one for one in found if kind.holds(one))


class Batch:
    """Many cases in one program. Case i is the step at `at[i]`; its operands are in cells `a` and `b`, by type."""

    def __init__(self, cases: list[Case]) -> None:
        self.cases, self.at = cases, list[int]()
        self._cells = [Cell("NULL", S64, 0), Cell("task.pid", U64, 0)]
        self._where: dict[tuple[str, Scalar], int] = {}
        self._registers: list[Register] = []
        self._ops: list[ops.Op] = []
        for _, a, b, result in cases:
            for name, kind in (("a", a), ("b", b), ("r", result)):
                if kind is not None and not isinstance(kind, int):
                    self._cell(name, kind)
        for op, a, b, result in cases:
            self._case(op, a, b, result)
        self._ops.append(ops.Return((), 1))
        self.linked = self._linked()
        self.reference, self.native = Interpreter(self.linked), NativeMachine(self.linked)
        for pick in (min, max):  # so that all guesses have their room at once
            self.native.pack(self.state(0, {key: pick(edges(key[1])) for key in self._where}))

    def _cell(self, name: str, kind: Scalar) -> None:
        """A cell of which nothing is known: the environment picks from more than a set of values holds."""
        if (name, kind) in self._where:
            return
        where = self._where[name, kind] = len(self._cells)
        self._cells.append(Cell(f"m.{name}_{kind}".replace("[", "_"), kind, 0))
        if isinstance(kind, Int):
            any_of = self._register(S64)
            self._ops += [ops.Step("choose", "plain", None, 1), ops.Choose(any_of, 0, 99, 1), ops.Store(Imm(where), any_of, kind, 1)]
        else:
            some = self._register(kind)
            self._ops += [ops.Step("choose", "plain", None, 1), ops.Choose(some, 0, 1, 1), ops.Store(Imm(where), some, kind, 1)]

    def _register(self, kind: Scalar) -> Reg:
        self._registers.append(Register(f"r{len(self._registers)}", kind, "temp"))
        return Reg(len(self._registers) - 1)

    def _operand(self, name: str, kind: Scalar | int) -> Value:
        if isinstance(kind, int):
            return Imm(kind)
        register = self._register(kind)
        self._ops.append(ops.Load(register, Imm(self._where[name, kind]), kind, 1))
        return register

    def _case(self, op: str, a: Scalar | int, b: Scalar | int | None, result: Scalar) -> None:
        self.at.append(len(self._ops))
        self._ops.append(ops.Step("store", "plain", None, 1))
        x = self._operand("a", a)
        y = None if b is None else self._operand("b", b)
        dst = self._register(Bool() if op in ops.COMPARISON or op == "not" else result)
        if op == "narrow":
            assert isinstance(result, Int)
            self._ops.append(ops.Narrow(dst, x, result, "`it`", 1))
        elif y is None:
            self._ops.append(ops.Unary(dst, op, x, result, 1))
        else:
            self._ops.append(ops.Binary(dst, op, x, y, result, 1))
        self._ops.append(ops.Store(Imm(self._where["r", result]), dst, result, 1))

    def _linked(self) -> Linked:
        structs = {"task_struct": Struct("task_struct", (Field("pid", U64, 0),), 1, "task")}
        statement = Statement("f", "p.py", 1, "x", "simple", 0)
        program = Program(
            "p", "p.py", structs, {}, (Object("task", StructRef("task_struct"), 1),), tuple(self._cells), (Thread(0, "f", "f", (), 1),), (),
            (statement, statement), (Origin(0, Span(1, 1, 1, 1)), Origin(1, Span(1, 1, 1, 2))), 1, (),
        )  # fmt: skip
        code = Code("f", 0, tuple(self._registers), tuple(self._ops), tuple(() for _ in self._ops))
        return Linked(program, (code,), (), program.origins)

    def state(self, case: int, values: dict[tuple[str, Scalar], int]) -> tuple[tuple[int, ...], tuple[tuple[int, tuple[int, ...]], ...]]:
        """The state before a case, with these values in the cells."""
        memory = [0] * len(self._cells)
        for key, value in values.items():
            memory[self._where[key]] = value
        return tuple(memory), ((self.at[case], (0,) * len(self._registers)),)

    def compare(self, case: int, x: int | None, y: int | None) -> bool:
        """Run one case on both machines; gives whether it is a fault."""
        _, a, b, _ = self.cases[case]
        values = {(name, kind): value for name, kind, value in (("a", a, x), ("b", b, y)) if value is not None and not isinstance(kind, int | None)}
        state = self.state(case, values)  # type: ignore[arg-type]
        wanted = self.reference.step(state, 0, 0)
        try:
            found = self.native.step(state, 0, 0)
        except Disagreement as problem:
            raise AssertionError((self.cases[case], x, y, problem)) from problem
        assert same(wanted, found), (self.cases[case], x, y, wanted, found)
        return isinstance(wanted, Faulted)


def values_of(kind: Scalar | int | None) -> list[int | None]:
    """What to try for an operand."""
    return [None] if kind is None or isinstance(kind, int) else list(edges(kind))


def run(cases: list[Case], most: int = 60) -> tuple[int, int]:
    """Run cases on pairs of edge values, all of them or `most` drawn from them; gives how many moved and how many failed."""
    batch, rng = Batch(cases), random.Random(7)
    counted = [0, 0]
    for case, (_, a, b, result) in enumerate(cases):
        pairs = list(itertools.product(values_of(a), values_of(b)))
        for x, y in pairs if a == b == result or len(pairs) <= most else rng.sample(pairs, most):
            counted[batch.compare(case, x, y)] += 1
    return counted[0], counted[1]


def unsigned(kind: Scalar | int | None) -> bool:
    """Whether an operand is read as unsigned 64 bits."""
    return kind >= 1 << 63 if isinstance(kind, int) else isinstance(kind, Int) and kind.bits == 64 and not kind.signed


def lowered(case: Case) -> bool:
    """Division of u64 by what may be negative, or the other way round, is documented as left out."""
    return case[0] not in ("floordiv", "mod") or unsigned(case[1]) == unsigned(case[2])


@pytest.mark.parametrize("op", ops.ARITHMETIC)
def test_arithmetic(op: str) -> None:
    cases: list[Case] = [(op, kind, kind, kind) for kind in TYPES]
    cases += [(op, a, b, result) for a, b in [*MIXED, (S64, S64), (U64, U64), (Int(16, True),) * 2] for result in RESULTS]  # type: ignore[misc]
    moved, failed = run([case for case in cases if lowered(case)])
    assert moved > 1_000 and (failed > 100 or op in ("and", "or", "xor"))


@pytest.mark.parametrize("op", ops.COMPARISON)
def test_comparison(op: str) -> None:
    cases: list[Case] = [(op, kind, kind, Bool()) for kind in TYPES] + [(op, a, b, Bool()) for a, b in MIXED]
    assert run(cases, 100)[1] == 0


def test_unary_and_narrow() -> None:
    """Every type to every type; `neg` and `invert` of a type, and as the frontend has them: u8 to s64."""
    cases: list[Case] = [("narrow", a, None, b) for a in TYPES for b in TYPES]
    moved, failed = run(cases)
    assert moved > 1_000 and failed > 300
    cases = [(op, kind, None, kind) for op in ("neg", "invert") for kind in TYPES]
    cases += [("neg", Int(8, False), None, S64), ("invert", Int(8, False), None, S64), ("neg", Int(32, True), None, S64)]
    assert run(cases)[1] > 30
    assert run([("not", kind, None, Bool()) for kind in [*TYPES, Bool()]])[1] == 0


def test_bits_of_bools() -> None:
    """Two bools give a bool: four cases an op, none a fault."""
    assert run([(op, Bool(), Bool(), Bool()) for op in ("and", "or", "xor")]) == (12, 0)


@pytest.mark.parametrize("op", ops.ARITHMETIC)
def test_immediates(op: str) -> None:
    """A constant on either side, as in `x + 1` and `1 << x`."""
    numbers = [0, 1, -1, 2, 7, 63, 64, -64, 255, (1 << 63) - 1, -(1 << 63), 1 << 63, (1 << 64) - 1]
    kinds = [S64, U64, WU8, WU64, Int(8, False)]
    cases: list[Case] = []
    for kind, number in itertools.product(kinds, numbers):
        for result in {S64, U64, kind}:
            cases += [(op, kind, number, result), (op, number, kind, result)]
    moved, failed = run([case for case in cases if lowered(case)], 20)
    assert moved > 300 and failed > 10


@pytest.mark.parametrize("op", ["floordiv", "mod"])
def test_division_that_mixes_signs_is_right_or_left_out(op: str, tmp_path: Path) -> None:
    """codegen/arithmetic.py leaves out u64 divided by a signed number: then it says so; if it does not, it must be right."""
    for a, b in [(S64, U64), (U64, S64), (U64, 3), (U64, -3), (-7, U64)]:
        for result in (S64, U64):
            try:
                run([(op, a, b, result)], 400)
            except Unsupported:
                continue


def test_unsupported_code_is_searched_by_the_reference(tmp_path: Path) -> None:
    """-1 // 2**64-1 floors to -1: a verdict must come out though the back end leaves it out."""
    head = "@struct\nclass wide:\n    u: u64\n    s: s32"
    body = "def run(w, x):\n    w.s = -1\n    x.big = w.s // w.u"
    for reductions in ((), ("dead", "local", "locks", "symmetry")):
        linked = linked_text(tmp_path, body, "w = wide(u=2**64 - 1)\nx = node()\ncpu(run, w, x)\nat_rest(lambda: x.big == -1)", head)
        native, reference = searched(linked, "native", reductions), searched(linked, "reference")
        assert native.failing == reference.failing and native.complete == reference.complete
        assert native.engine.name == "native" or counts(native) == counts(reference)


def test_a_wrong_table_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """These comparisons can fail: with sub compiled as add, they do."""
    monkeypatch.setitem(arithmetic._PLAIN, "xor", "or")
    with pytest.raises(AssertionError):
        run([("xor", Int(8, True), Int(8, True), Int(8, True))])


def test_a_fault_is_the_interpreters(tmp_path: Path) -> None:
    """By hand: 127 + 1 does not fit s8, 126 + 1 does; -2**63 // -1 does not fit s64."""
    batch = Batch([("add", Int(8, True), Int(8, True), Int(8, True)), ("floordiv", S64, S64, S64)])
    assert [batch.compare(0, 127, 1), batch.compare(0, 126, 1)] == [True, False]
    assert [batch.compare(1, -(1 << 63), -1), batch.compare(1, -(1 << 63), 2)] == [True, False]
    assert isinstance(batch.native.step(batch.state(0, {("a", Int(8, True)): 5, ("b", Int(8, True)): 1}), 0, 0), Moved)
