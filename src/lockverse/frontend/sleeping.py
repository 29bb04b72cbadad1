"""wait_event() and its like: the kernel's loop of looking, getting ready to sleep, looking again, and sleeping.

The condition is an expression that is evaluated again each time, steps and all, so it is lowered here and not passed as a value.
Everything else is made of the steps of lang/wait.py. Leaves out what those mean.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Final

from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.lang import context, timeouts, wait
from lockverse.lang.completions import ERESTARTSYS

from . import calls, conditions, expressions, intrinsics
from .lowering import OBSERVER, Lowering
from .types import LITERAL, NOTHING, VOID, Result, Typed


def _wait_event(state: int, *, idle: bool = False, signals: bool = False, timeout: bool = False) -> Callable[[Lowering, ast.Call], Result]:
    """The lowering of one of the family: the state to sleep in, whether a sleeper is at rest, whether a signal may end it, whether
    time may."""

    def lower(f: Lowering, node: ast.Call) -> Result:
        count, shown = (3, "x.wq, condition, timeout") if timeout else (2, "x.wq, condition")
        if not intrinsics.arguments(f, node, count, count, f"{f.text(node.func)}({shown})"):
            return NOTHING
        if f.mode == OBSERVER:
            return f.error("K305", node, "a property cannot sleep", "it reads one state as a whole")
        if timeout:
            expressions.lower(f, node.args[2])
        return _Loop(f, node, state, idle=idle, signals=signals, timeout=timeout).lower()

    return lower


class _Loop:
    """One call while it is lowered."""

    def __init__(self, f: Lowering, node: ast.Call, state: int, *, idle: bool, signals: bool, timeout: bool) -> None:
        self.f, self.node, self.state, self.idle, self.signals, self.timeout = f, node, state, idle, signals, timeout
        self.queue = expressions.lower(f, node.args[0])
        self.result = f.temp(ir.S64)

    def lower(self) -> Result:
        """The whole loop."""
        f = self.f
        before = f.assigned
        again, awake, asleep, at_once, after = (f.build.block() for _ in range(5))
        calls.emit_call(f, context.check_may_sleep, {}, self.node)  # type: ignore[arg-type]
        conditions.branch(f, self.node.args[1], at_once, again, conditions.UNDECIDED)
        f.build.enter(again)
        self._step("prepare_to_wait", state=self.state)
        conditions.branch(f, self.node.args[1], awake, asleep, conditions.UNDECIDED)
        f.build.enter(asleep)
        if self.signals:
            self._signal(after)
        if self.idle:
            f.emit(ops.Rest(f.at(self.node)))
        if self.timeout:
            self._sleep_for(again, awake, after)
        else:
            self._step("sleep_on")
            f.jump(again, self.node)
        f.build.enter(awake)
        self._step("finish_wait")
        f.jump(at_once, self.node)
        f.build.enter(at_once)
        self._leave(int(self.timeout), after)
        f.build.enter(after)
        f.assigned = before
        return Typed(self.result, ir.S64) if self.signals or self.timeout else Typed(ops.Imm(0), VOID)

    def _signal(self, after: int) -> None:
        """The environment picks whether a signal comes instead of sleep."""
        f = self.f
        comes, sleeps, picked = f.build.block(), f.build.block(), f.temp(ir.Bool())
        f.step("choose", "plain", None, self.node)
        f.emit(ops.Choose(picked, 0, 1, f.at(self.node)))
        f.emit(ops.Branch(picked, comes, sleeps, f.at(self.node)))
        f.build.enter(comes)
        self._step("finish_wait")
        self._leave(-ERESTARTSYS, after)
        f.build.enter(sleeps)

    def _sleep_for(self, again: int, awake: int, after: int) -> None:
        """Sleep; if the time is over, look once more, and go on whatever there is to see."""
        f = self.f
        over, last = f.build.block(), f.build.block()
        found = calls.emit_call(f, timeouts.sleep_for, {}, self.node)  # type: ignore[arg-type]
        assert isinstance(found, Typed)
        f.emit(ops.Branch(found.value, over, again, f.at(self.node)))
        f.build.enter(over)
        conditions.branch(f, self.node.args[1], awake, last, conditions.UNDECIDED)
        f.build.enter(last)
        self._step("finish_wait")
        self._leave(0, after)

    def _leave(self, result: int, after: int) -> None:
        if self.signals or self.timeout:
            self.f.emit(ops.Copy(self.result, ops.Imm(result), self.f.at(self.node)))
        self.f.jump(after, self.node)

    def _step(self, name: str, **values: int) -> None:
        """A step of lang/wait.py on the queue."""
        arguments = {"wq_head": calls.Argument(self.queue, self.node.args[0])}
        arguments |= {key: calls.Argument(Typed(ops.Imm(value), LITERAL), self.node) for key, value in values.items()}
        calls.emit_call(self.f, getattr(wait, name), arguments, self.node)


INTRINSICS: Final[dict[str, Callable[[Lowering, ast.Call], Result]]] = {
    "wait_event": _wait_event(wait.TASK_UNINTERRUPTIBLE),
    "wait_event_idle": _wait_event(wait.TASK_IDLE, idle=True),
    "wait_event_interruptible": _wait_event(wait.TASK_INTERRUPTIBLE, signals=True),
    "wait_event_timeout": _wait_event(wait.TASK_UNINTERRUPTIBLE, timeout=True),
    "wait_event_killable": _wait_event(wait.TASK_KILLABLE, signals=True),
}
