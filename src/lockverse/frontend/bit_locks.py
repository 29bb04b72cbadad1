"""Bit locks on places, and waiting for a bit (lang/bit_lock.py has their meaning, and the parts that are no bit).

A bit is waited for by its key: the address of its word and its number, which a task that sleeps keeps. Leaves out finding the
place: intrinsics.py.
"""

from __future__ import annotations

import ast
from typing import Final

from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.ir.reason import Reason
from lockverse.lang import bit_lock, context, wait
from lockverse.lang.step import PlaceInfo

from . import bits, calls, expressions
from .lowering import OBSERVER, Lowering
from .types import NOTHING, VOID, Result, Typed

SPINS: Final[tuple[str, ...]] = ("bit_spin_lock", "bit_spin_trylock", "bit_spin_unlock", "__bit_spin_unlock", "bit_spin_is_locked", "clear_and_wake_up_bit")
WAITS: Final[tuple[str, ...]] = ("wait_on_bit", "wait_on_bit_lock")
_KEY: Final = ir.U64


def operate(f: Lowering, info: PlaceInfo, address: ops.Value, kind: ir.Scalar, nr: ops.Value, node: ast.Call) -> Result:
    """Those whose first argument is the number of the bit."""
    one = _bit(f, info, address, kind, nr, node, (0, 1))
    if one is None:
        return NOTHING
    if f.mode == OBSERVER and info.kind != "bit_spin_is_locked":
        f.compiler.writes(f, node)
        return NOTHING
    return {"bit_spin_lock": one.lock, "bit_spin_trylock": one.trylock, "bit_spin_unlock": one.unlock, "__bit_spin_unlock": one.unlock,
            "bit_spin_is_locked": one.test, "clear_and_wake_up_bit": one.clear_and_wake}[info.kind]()  # fmt: skip


def wait_for(f: Lowering, info: PlaceInfo, address: ops.Value, kind: ir.Scalar, node: ast.Call) -> Result:
    """Those whose first argument is the place."""
    nr = f.coerce(expressions.typed(f, node.args[1]), ir.S64, node.args[1], "the number of a bit")
    one = _bit(f, info, address, kind, nr, node, (1, 0))
    if one is None:
        return NOTHING
    if f.mode == OBSERVER:
        return f.error("K305", node, "a property cannot sleep or wake", "it reads one state as a whole")
    if info.kind == "wake_up_bit":
        return one.wake()
    mode = expressions.typed(f, node.args[2])
    if mode.value != ops.Imm(wait.TASK_UNINTERRUPTIBLE):
        return f.error("K103", node.args[2], f"the mode of {info.name} is TASK_UNINTERRUPTIBLE", "other modes are not modelled")
    return one.wait(lock=info.kind == "wait_on_bit_lock")


def _bit(
    f: Lowering, info: PlaceInfo, address: ops.Value, kind: ir.Scalar, nr: ops.Value, node: ast.Call, at: tuple[int, int]
) -> _Bit | None:
    """The bit whose number and place are these arguments of the call; None if there is none, which is reported."""
    number, place = (node.args[index] for index in at)
    if not isinstance(kind, ir.Int):
        f.error("K308", place, f"{info.name} takes an integer field or element", f"this is a {kind}")
        return None
    word = ir.Int(kind.bits, kind.signed, wraps=True)
    mask = bits.mask_of(f, nr, word, number, place)
    return None if mask is None else _Bit(f, info, address, kind, nr, mask, node)


class _Bit:
    """A bit of a place, in one call."""

    def __init__(
        self, f: Lowering, info: PlaceInfo, address: ops.Value, kind: ir.Int, nr: ops.Value, mask: Typed, node: ast.Call
    ) -> None:
        self.f, self.info, self.address, self.kind, self.nr, self.mask, self.node = f, info, address, kind, nr, mask, node

    # Bit spinlocks

    def lock(self) -> Result:
        """bit_spin_lock()."""
        calls.emit_call(self.f, context.before_spinning, {}, self.node)  # type: ignore[arg-type]
        old = self._step(self.info.name, "acquire")
        self.f.emit(ops.Await(self._is_clear(old), self.f.at(self.node)))
        self._set(old)
        self._part("taken")
        return Typed(ops.Imm(0), VOID)

    def trylock(self) -> Result:
        """bit_spin_trylock()."""
        f = self.f
        old = self._step(self.info.name, "acquire")
        clear, free, after = self._is_clear(old), f.build.block(), f.build.block()
        f.emit(ops.Branch(clear, free, after, f.at(self.node)))
        f.build.enter(free)
        self._set(old)
        self._part("tried")
        f.jump(after, self.node)
        f.build.enter(after)
        return Typed(clear, ir.Bool())

    def unlock(self) -> Result:
        """bit_spin_unlock(), __bit_spin_unlock()."""
        plain = self.info.order == "plain"
        old = self._step(self.info.name, self.info.order)
        message = "gives back a bit lock that is not taken"
        self.f.emit(ops.Check(bits.is_set(self.f, old, self.mask, self.node).value, Reason.BUG, message, self.f.at(self.node)))
        if plain:
            self.f.step(self.info.name, "plain", self.address, self.node)
        self._clear(old)
        self._part("given_back")
        return Typed(ops.Imm(0), VOID)

    def test(self) -> Result:
        """bit_spin_is_locked()."""
        return bits.is_set(self.f, self._step(self.info.name, "once"), self.mask, self.node)

    # Waiting

    def wait(self, *, lock: bool) -> Result:
        """wait_on_bit(), wait_on_bit_lock(): look, and sleep as long as the bit is set. Getting ready to sleep is one step with the
        look: whoever clears the bit and wakes in between would only make the task look once more."""
        f = self.f
        again, asleep, awake = (f.build.block() for _ in range(3))
        calls.emit_call(f, context.check_may_sleep, {}, self.node)  # type: ignore[arg-type]
        f.jump(again, self.node)
        f.build.enter(again)
        old = self._step(self.info.name, "acquire")
        f.emit(ops.Branch(self._is_clear(old), awake, asleep, f.at(self.node)))
        f.build.enter(asleep)
        self._part("get_ready", key=True)
        calls.emit_call(f, wait.schedule, {}, self.node)  # type: ignore[arg-type]
        f.jump(again, self.node)
        f.build.enter(awake)
        if lock:
            self._set(old)
        self._part("done_waiting")
        return Typed(ops.Imm(0), ir.S64)

    def wake(self) -> Result:
        """wake_up_bit()."""
        f = self.f
        old = self._step("wake_up_bit", "full")
        free, after = f.build.block(), f.build.block()
        f.emit(ops.Branch(self._is_clear(old), free, after, f.at(self.node)))
        f.build.enter(free)
        self._part("wake_waiters", key=True)
        f.jump(after, self.node)
        f.build.enter(after)
        return Typed(ops.Imm(0), VOID)

    def clear_and_wake(self) -> Result:
        """clear_and_wake_up_bit()."""
        self._clear(self._step("clear_bit_unlock", "release"))
        return self.wake()

    # Parts

    def _step(self, name: str, order: str) -> Typed:
        """Begin a step and load the word."""
        value = self.f.plain_load(self.address, self.kind, self.node, name, order).value
        return Typed(value, ir.Int(self.kind.bits, self.kind.signed, wraps=True))

    def _is_clear(self, old: Typed) -> ops.Reg:
        clear = self.f.temp(ir.Bool())
        found = bits.is_set(self.f, old, self.mask, self.node)
        self.f.emit(ops.Unary(clear, "not", found.value, ir.Bool(), self.f.at(self.node)))
        return clear

    def _set(self, old: Typed) -> None:
        new = expressions.arithmetic(self.f, ast.BitOr(), old, self.mask, self.node)
        self.f.store(self.address, new.value, self.kind, self.node)

    def _clear(self, old: Typed) -> None:
        new = expressions.arithmetic(self.f, ast.BitAnd(), old, bits.inverted(self.f, self.mask, self.node), self.node)
        self.f.store(self.address, new.value, self.kind, self.node)

    def _part(self, name: str, *, key: bool = False) -> None:
        """A part of lang/bit_lock.py, inside the step; `key` if it is given that of the bit."""
        arguments = {"key": calls.Argument(self._key(), self.node)} if key else {}
        calls.emit_call(self.f, getattr(bit_lock, name), arguments, self.node)

    def _key(self) -> Typed:
        word, key = self.f.temp(_KEY), self.f.temp(_KEY)
        self.f.emit(ops.Binary(word, "mul", self.address, ops.Imm(64), _KEY, self.f.at(self.node)))
        self.f.emit(ops.Binary(key, "add", word, self.nr, _KEY, self.f.at(self.node)))
        return Typed(key, _KEY)
