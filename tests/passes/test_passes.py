"""The passes, on small functions whose result can be written down.

The expected registers and positions follow from the docstrings of passes/: variables of active calls are kept, the
compiler's own registers while live.
"""

from __future__ import annotations

from pathlib import Path

from lockverse.ir import ops
from lockverse.ir.ops import Imm, Reg, Step
from lockverse.ir.program import Code, Register
from lockverse.ir.types import S64
from lockverse.ir.verifier import verify_code
from lockverse.passes.inline import Frame, Inlined
from lockverse.passes.keep import keep, live_only, without_dead
from lockverse.passes.layout import Row, lay_out
from lockverse.passes.liveness import live_before
from lockverse.passes.pipeline import inlined, link
from lockverse.session import program_of

from ..oracle.programs import program
from ..support import linked_of, scheme_text, task_of

END = ops.Return((), 0)


def _stack(linked: object, origin: int) -> list[str]:
    found = []
    while origin >= 0:
        one = linked.origins[origin]  # type: ignore[attr-defined]
        found.append(linked.program.statements[one.statement].text)  # type: ignore[attr-defined]
        origin = one.caller
    return found[::-1]


def _names(code: Code, step: int) -> set[str]:
    """The user's variables kept at the n-th step."""
    places = [pc for pc, op in enumerate(code.ops) if isinstance(op, Step)]
    return {code.registers[r].name for r in code.keep[places[step]] if code.registers[r].kind != "temp"}


NESTED = """
    def inner(x, k):
        x.n = k
        return k + 1


    def outer(x):
        a = inner(x, 1)
        b = inner(x, a)
        x.n = b


    def run(x):
        outer(x)
"""


def test_origins_are_chains_of_calls(tmp_path: Path) -> None:
    linked = linked_of(tmp_path, scheme_text(NESTED))
    code = linked.codes[0]
    stacks = [_stack(linked, op.at) for op in code.ops if isinstance(op, Step)]
    assert stacks == [
        ["outer(x)", "a = inner(x, 1)", "x.n = k"], ["outer(x)", "b = inner(x, a)", "x.n = k"], ["outer(x)", "x.n = b"],
    ]  # fmt: skip
    assert not any(isinstance(op, ops.Call) for op in code.ops)


def test_variables_are_kept_while_their_function_runs(tmp_path: Path) -> None:
    code = linked_of(tmp_path, scheme_text(NESTED)).codes[0]
    assert [_names(code, n) for n in range(3)] == [{"x", "a", "b", "k"}, {"x", "a", "b", "k"}, {"x", "a", "b"}]


def test_a_variable_does_not_leak_into_the_next_call(tmp_path: Path) -> None:
    """`seen` is set in the first call only; in the second it has no value, which is 0 in a state."""
    body = """
        def look(x, first):
            if first:
                seen = 1
                x.n = seen
            x.n = 0


        def run(x):
            look(x, True)
            look(x, False)
    """
    linked = linked_of(tmp_path, scheme_text(body))
    code = linked.codes[0]
    zeroed = [op for op in code.ops if isinstance(op, ops.Copy) and op.src == Imm(0) and code.registers[op.dst.number].name == "seen"]
    assert len(zeroed) == 2


def test_primitives_are_shown_as_the_call(tmp_path: Path) -> None:
    linked = linked_of(tmp_path, scheme_text("def run(x):\n    with x.lock:\n        synchronize_rcu()"))
    stacks = [(op.kind, _stack(linked, op.at)) for op in linked.codes[0].ops if isinstance(op, Step)]
    assert stacks == [
        ("spin_lock", ["with x.lock:"]), ("synchronize_rcu_begin", ["synchronize_rcu()"]), ("synchronize_rcu_end", ["synchronize_rcu()"]),
        ("spin_unlock", ["with x.lock:"]),
    ]  # fmt: skip


def test_threads_with_one_function_share_code(tmp_path: Path) -> None:
    linked = linked_of(tmp_path, scheme_text("def run(x):\n    x.n = 1", "x = node()\ny = node()\ncpu(run, x)\ncpu(run, y)"))
    assert linked.codes[0] is linked.codes[1]


def test_liveness_round_a_loop() -> None:
    """r0 := 1; L: r1 := r0; branch r1 to L or end. r0 is live all round the loop, r1 only until the branch."""
    code = (ops.Copy(Reg(0), Imm(1), 0), ops.Copy(Reg(1), Reg(0), 0), ops.Branch(Reg(1), 1, 3, 0), END)
    assert live_before(code) == [frozenset(), {0}, {0, 1}, frozenset()]


def test_keep_by_hand() -> None:
    """Two steps; r0 a variable of frame 0, r1 one of frame 1, r2 a temporary read after the second step only."""
    step = Step("load", "plain", None, 0)
    row = Row((step, ops.Copy(Reg(2), Imm(1), 0), step, ops.Copy(Reg(0), Reg(2), 0), END), (0, 1, 1, 0, 0))
    registers = (Register("a", S64, "local"), Register("b", S64, "local"), Register("t", S64, "temp"))
    frames = (Frame(-1, range(1)), Frame(0, range(1, 3)))
    assert keep(row, registers, frames) == ((0,), (), (0, 1, 2), (), ())
    assert live_only(row.ops) == ((), (), (2,), (), ())


def test_layout_drops_jumps_to_what_comes_next() -> None:
    """0 -> 1 -> 2, where 1 is empty: one row without a jump. A ring of empty blocks stays a jump to itself."""
    blocks: tuple[tuple[ops.Op, ...], ...] = ((ops.Copy(Reg(0), Imm(1), 0), ops.Jump(1, 0)), (ops.Jump(2, 0),), (END,))
    one = Inlined("f", 0, (), blocks, (Frame(-1, range(0)),), (0, 0, 0))
    assert lay_out(one).ops == (ops.Copy(Reg(0), Imm(1), 0), END)
    ring = Inlined("f", 0, (), ((ops.Jump(0, 0),),), (Frame(-1, range(0)),), (0,))
    assert lay_out(ring).ops == (ops.Jump(0, 0),)


def test_layout_keeps_both_arms() -> None:
    blocks: tuple[tuple[ops.Op, ...], ...] = (
        (ops.Branch(Reg(0), 1, 2, 0),), (ops.Copy(Reg(0), Imm(1), 0), ops.Jump(3, 0)), (ops.Copy(Reg(0), Imm(2), 0), ops.Jump(3, 0)), (END,),
    )  # fmt: skip
    row = lay_out(Inlined("f", 0, (), blocks, (Frame(-1, range(0)),), (0, 0, 0, 0)))
    assert row.ops == (ops.Branch(Reg(0), 1, 3, 0), ops.Copy(Reg(0), Imm(1), 0), ops.Jump(4, 0), ops.Copy(Reg(0), Imm(2), 0), END)


def test_random_programs_link(tmp_path: Path) -> None:
    """Linking verifies before and after; what is kept is always written before on some way."""
    for seed in range(80):
        one = program_of(task_of(tmp_path, program(seed)))
        linked = link(one, verify=True)
        assert len(inlined(one)) >= 1
        for code in linked.codes:
            assert all(bool(kept) <= isinstance(op, Step) for kept, op in zip(code.keep, code.ops, strict=True))
        for code in without_dead(linked).codes:
            verify_code(code, one, len(linked.origins))
