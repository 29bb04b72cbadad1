"""The verifier: a program that keeps every rule passes, and each rule broken once is named with its place."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from lockverse.ir import ops
from lockverse.ir.ops import Imm, Op, Reg
from lockverse.ir.program import Block, Cell, Code, Function, Object, Pool, Program, Property, Register, Thread
from lockverse.ir.source import Origin, Span, Statement
from lockverse.ir.types import S64, Bool, Enum, Int, Ptr, StructRef
from lockverse.ir.verifier import MalformedIR, verify_code, verify_program

U8, B, P = Int(8, False), Bool(), Ptr(StructRef("node"))
END = ops.Return((), 0)
REGISTERS = (
    Register("a", S64, "param"), Register("v", S64, "local"), Register("t", S64, "temp"), Register("b", B, "temp"), Register("p", P, "temp"),
)  # fmt: skip
STEP = ops.Step("load", "plain", None, 0)


def program(*blocks: tuple[Op, ...], observer: bool = False) -> Program:
    """A program whose function f has these blocks; g is an observer that gives True, h takes one and gives one."""
    f = Function("f", 1, REGISTERS, (), tuple(Block(block) for block in blocks), observer)
    g = Function("g", 0, (), (B,), (Block((ops.Return((Imm(1),), 0),)),), observer=True)
    h = Function("h", 1, (Register("x", S64, "param"),), (S64,), (Block((ops.Return((Reg(0),), 0),)),))
    return Program(
        "p", "p.py", {}, {"f": f, "g": g, "h": h}, (Object("o", StructRef("node"), 1),), (Cell("NULL", S64, 0), Cell("o.n", S64, 0)),
        (Thread(0, "f", "f", (1,), 1),), (Property("always", "m", "g", 0),), (Statement("", "", 1, "", "simple", 0),),
        (Origin(0, Span(1, 1, 1, 1)),), 1, (),
    )  # fmt: skip


def test_a_good_program() -> None:
    verify_program(
        program(
            (STEP, ops.Load(Reg(2), Imm(1), S64, 0), ops.Binary(Reg(3), "lt", Reg(2), Reg(1), S64, 0), ops.Branch(Reg(3), 1, 2, 0)),
            (ops.Call((Reg(2),), "h", (Reg(0),), 0), ops.Copy(Reg(1), Reg(2), 0), ops.Jump(2, 0)),
            (ops.Step("choose", "plain", None, 0), ops.Choose(Reg(1), 0, 3, 0), STEP, ops.Await(Imm(1), 0), ops.Store(Imm(1), Imm(0), S64, 0), END),
        )
    )


BAD: list[tuple[str, tuple[tuple[Op, ...], ...]]] = [
    ("a function has at least one block", ()),
    ("a block ends in a terminator", ((ops.Copy(Reg(1), Imm(0), 0),),)),
    ("only the last op of a block is a terminator", ((END, END),)),
    ("goes to a block that does not exist", ((ops.Jump(4, 0),),)),
    ("there is no register %9", ((ops.Copy(Reg(9), Imm(0), 0), END),)),
    ("there is no origin 7", ((ops.Return((), 7),),)),
    ("%2 may be read before it is written", ((ops.Copy(Reg(1), Reg(2), 0), END),)),
    ("%2 may be read before it is written", ((ops.Branch(Reg(0), 1, 2, 0),), (ops.Copy(Reg(2), Imm(1), 0), ops.Jump(2, 0)), (ops.Copy(Reg(1), Reg(2), 0), END))),
    ("there is no function nobody", ((ops.Call((), "nobody", (), 0), END),)),
    ("h takes 1 arguments, this gives 0", ((ops.Call((Reg(2),), "h", (), 0), END),)),
    ("h gives 1 results, this takes 0", ((ops.Call((), "h", (Imm(1),), 0), END),)),
    ("returns 1 values of 0", ((ops.Return((Imm(1),), 0),),)),
    ("there is no unary plus", ((ops.Unary(Reg(1), "plus", Imm(1), S64, 0), END),)),
    ("there is no binary div", ((ops.Binary(Reg(1), "div", Imm(1), Imm(1), S64, 0), END),)),
    ("there is no order weak", ((ops.Step("load", "weak", None, 0), END),)),
    ("no step takes a lock weakly, and gives it back not", ((ops.Step("load", "plain", None, 0, takes="weakly"), END),)),
    ("no step takes a lock not, and gives it back twice", ((ops.Step("load", "plain", None, 0, gives="twice"), END),)),
    ("a step is marked before the calls are inlined", ((replace(STEP, rest=True), END),)),
    ("nothing to choose from", ((ops.Step("choose", "plain", None, 0), ops.Choose(Reg(1), 3, 2, 0), END),)),
    ("a choose follows its own step", ((STEP, ops.Choose(Reg(1), 0, 1, 0), END),)),
    ("something is written between the step and its await", ((STEP, ops.Store(Imm(1), Imm(0), S64, 0), ops.Await(Imm(1), 0), END),)),
    ("is a s64, and a ptr[node] is needed", ((STEP, ops.Store(Imm(1), Reg(0), P, 0), END),)),
    ("300 is no u8", ((STEP, ops.Store(Imm(1), Imm(300), U8, 0), END),)),
    ("2 is no bool", ((ops.Copy(Reg(3), Imm(2), 0), END),)),
    ("is a s64, and a enum m is needed", ((STEP, ops.Store(Imm(1), Reg(0), Enum("m", ("a",)), 0), END),)),
    ("arithmetic is on integers", ((ops.Binary(Reg(3), "add", Imm(1), Imm(1), B, 0), END),)),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "blocks"), BAD, ids=[f"{n}-{rule[:30]}" for n, (rule, _) in enumerate(BAD)])
def test_rules(rule: str, blocks: tuple[tuple[Op, ...], ...]) -> None:
    with pytest.raises(MalformedIR) as caught:
        verify_program(program(*blocks))
    assert rule in str(caught.value)
    assert str(caught.value).startswith("f")


@pytest.mark.parametrize("op", [STEP, ops.Rest(0), ops.Store(Imm(1), Imm(0), S64, 0), ops.Await(Imm(1), 0), ops.Assume(Imm(1), 0)])
def test_an_observer_only_looks(op: Op) -> None:
    with pytest.raises(MalformedIR, match="an observer has no"):
        verify_program(program((op, END), observer=True))


def test_an_observer_calls_observers() -> None:
    with pytest.raises(MalformedIR, match="which is none"):
        verify_program(program((ops.Call((Reg(2),), "h", (Imm(1),), 0), END), observer=True))


def test_the_scene() -> None:
    good = program((END,))
    verify_program(good)
    for wrong, rule in [
        (replace(good, threads=(Thread(0, "f", "f", (), 1),)), "does not take its arguments"),
        (replace(good, threads=(Thread(0, "nobody", "f", (), 1),)), "does not take its arguments"),
        (replace(good, threads=(Thread(0, "f", "f", (1,), 9),)), "has no task"),
        (replace(good, properties=(Property("always", "m", "h", 0),)), "no observer that gives a bool"),
        (replace(good, objects=(Object("o", StructRef("node"), 5),)), "outside memory"),
        (replace(good, locks=(0,)), "outside memory"),
        (replace(good, functions={**good.functions, "k": good.functions["f"]}), "is called f"),
    ]:
        with pytest.raises(MalformedIR, match=rule):
            verify_program(wrong)


def test_pools() -> None:
    """Pools lie in memory, each by itself, and the cell that is always 1 is there."""
    cells = (Cell("NULL", S64, 0), Cell("permanent", B, 1), Cell("o is allocated", B, 0), Cell("o.n", S64, 0), Cell("o.m", S64, 0))
    pool = Pool("o", StructRef("node"), 3, 2, 1, 2)
    good = replace(program((END,)), cells=cells, pools=(pool,), permanent=1)
    verify_program(good)
    bad = [
        ("no cell that is always 1", {"permanent": 0}), ("no cell that is always 1", {"permanent": 2}), ("outside memory", {"pools": (replace(pool, count=2),)}),
        ("outside memory", {"pools": (replace(pool, first=0),)}), ("lies over another", {"pools": (replace(pool, allocated=3),)}),
        ("lies over another", {"pools": (pool, replace(pool, name="p"))}), ("lies over another", {"pools": (replace(pool, allocated=1),)}),
    ]  # fmt: skip
    for rule, change in bad:
        with pytest.raises(MalformedIR, match=rule):
            verify_program(replace(good, **change))  # type: ignore[arg-type]


def test_what_threads_refer_to() -> None:
    """Only an observer asks; and what is asked about is noted in linked code."""
    with pytest.raises(MalformedIR, match="only an observer asks"):
        verify_program(program((ops.Held(Reg(3), Imm(1), 1, 0), END)))
    with pytest.raises(MalformedIR, match="noted in linked code"):
        verify_program(program((replace(STEP, holds=(Reg(0),)), END)))


def test_recursion() -> None:
    with pytest.raises(MalformedIR, match="f -> f"):
        verify_program(program((ops.Call((), "f", (Imm(1),), 0), END)))


def test_linked_code() -> None:
    one = program((END,))
    good = Code("c", 0, REGISTERS, (STEP, END), ((0,), ()))
    verify_code(good, one, 1)
    for wrong, rule in [
        (replace(good, keep=((),)), "a keep set an op"), (replace(good, ops=(END, STEP)), "ends in a terminator"),
        (replace(good, ops=(ops.Jump(5, 0), END)), "where there is no op"), (replace(good, ops=(ops.Call((), "f", (), 0), END)), "no calls"),
        (replace(good, keep=((8,), ())), "keeps a register"), (replace(good, ops=(ops.Copy(Reg(8), Imm(0), 0), END)), "no register %8"),
        (replace(good, ops=(replace(STEP, at=3), END)), "no origin 3"), (replace(good, ops=(ops.Rest(0), END)), "marks its steps"),
    ]:  # fmt: skip
        with pytest.raises(MalformedIR, match=rule):
            verify_code(wrong, one, 1)
