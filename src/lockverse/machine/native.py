"""The native machine: the same protocol as the interpreter, by compiled code, on packed states.

The interpreter is the specification; here is how the two are held against each other, state for state. A search does
not go through this protocol (it calls the model for whole batches of states), but the code it runs is the same.

What a fault was is not compiled: the interpreter, run on the unpacked state, says it. Leaves out everything a search
needs beyond single steps.
"""

from __future__ import annotations

import ctypes

from msgspec.structs import replace

from lockverse.codegen.layout import FINISHED, Guesses, Layout, MachineState, observe
from lockverse.codegen.lower import (
    ACCUMULATORS,
    BLOCKED,
    FAULT,
    FLAGS,
    LAYOUT,
    MOVED,
    NOTE_WORDS,
    PRUNED,
    TAKEN_TWICE,
    TOO_LONG,
    WAITING,
)
from lockverse.codegen.model import make_model
from lockverse.codegen.values import Values
from lockverse.ir import ops
from lockverse.ir.program import Linked
from lockverse.ir.reason import Reason
from lockverse.jit.machine_code import Library, compile

from .interpreter import OPS_IN_A_STEP, Interpreter
from .protocol import Blocked, Disagreement, Faulted, Moved, Outcome, Pruned, Started, TooLong

Words = tuple[int, ...]


class NativeMachine:
    """A linked program as a Machine (see protocol.py). Raises Unsupported for code the back end does not lower."""

    def __init__(self, linked: Linked, ops_in_a_step: int = OPS_IN_A_STEP) -> None:
        self._linked = linked
        self._interpreter = Interpreter(linked, ops_in_a_step)
        self._values = Values(linked)
        self._guesses = Guesses()
        self._rounds = ops_in_a_step
        self._without: frozenset[int] = frozenset()
        self._build()

    def _build(self) -> None:
        model = make_model(self._linked, self._values, self._guesses, self._rounds, without=self._without, stepping=True)
        self.layout: Layout = model.layout
        self.library: Library = compile(model.text, "quick")
        word = ctypes.c_int64
        self._single = ctypes.CFUNCTYPE(word, *[word] * 6)(self.library.address("single"))
        self._check = ctypes.CFUNCTYPE(word, word)(self.library.address("check"))
        self._out = (ctypes.c_uint64 * (self.layout.words * 2))()
        self._note = (word * NOTE_WORDS)()
        self._acc = (word * ACCUMULATORS)()

    # The protocol. States are unpacked ones: packed states change their form when a guess is widened.

    @property
    def threads(self) -> int:
        """How many threads there are."""
        return self._interpreter.threads

    def start(self) -> Started:
        """The initial state: the interpreter makes it, there is only one."""
        return self._interpreter.start()

    def finished(self, state: MachineState, thread: int) -> bool:
        """Whether `thread` has come to its end."""
        return state[1][thread][0] == FINISHED

    def at_rest(self, state: MachineState, thread: int) -> bool:
        """Whether `thread` has finished or is at rest."""
        return self._interpreter.at_rest(state, thread)

    def step(self, state: MachineState, thread: int, choice: int) -> Outcome:
        """The next step of `thread`; see Machine.step."""
        while True:
            packed = self.pack(state)
            for i in range(ACCUMULATORS):
                self._acc[i] = 0
            places = (ctypes.addressof(one) for one in (packed, self._out, self._note))
            self._single(*places, thread, choice, ctypes.addressof(self._acc))
            if not self._acc[FLAGS] & LAYOUT:
                return self._outcome(state, thread, choice)
            self._widen(self._note[0], self._note[1])

    def _outcome(self, state: MachineState, thread: int, choice: int) -> Outcome:
        choices = self._choices(state, thread)
        if self._acc[FLAGS] & (FAULT | TOO_LONG):
            outcome = self._interpreter.step(state, thread, choice)
            if not isinstance(outcome, Faulted | TooLong):
                raise Disagreement(f"compiled code fails where the interpreter has {outcome}")
            return outcome
        if self._acc[MOVED]:
            return Moved(self.layout.decode(list(self._out[: self.layout.words])), choices)
        if self._acc[WAITING] & BLOCKED:
            return Blocked()
        if self._acc[WAITING] & PRUNED:
            return Pruned(choices)
        raise Disagreement("a thread that has finished was asked to move")

    def _choices(self, state: MachineState, thread: int) -> int:
        following = self._linked.codes[thread].ops[state[1][thread][0] + 1]
        return following.high - following.low + 1 if isinstance(following, ops.Choose) else 1

    def evaluate(self, state: MachineState, condition: int) -> bool | Faulted:
        """Whether the property of that index holds; by the interpreter, as `check` looks at all of them at once."""
        return self._interpreter.evaluate(state, condition)

    def check(self, state: MachineState) -> tuple[bool, tuple[int, ...]]:
        """Whether something that must hold does not, and which `sometimes` hold."""
        packed = self.pack(state)  # first, as it may make the code anew
        result = self._check(ctypes.addressof(packed))
        kinds = [number for number, one in enumerate(self._linked.program.properties) if Reason(one.kind) is Reason.SOMETIMES]
        return bool(result & 1), tuple(number for bit, number in enumerate(kinds, 1) if result >> bit & 1)

    # Packing

    def pack(self, state: MachineState) -> ctypes.Array[ctypes.c_uint64]:
        """The state packed; guesses that have no room for it are widened first."""
        while isinstance(packed := self.layout.encode(state), int):
            observe(self._guesses, self._linked, [state])
            self._build()
        return (ctypes.c_uint64 * len(packed))(*packed)

    def _widen(self, guard: int, value: int) -> None:
        if guard == TAKEN_TWICE:
            self._without |= {value}
            self._build()
            return
        key, kind = self.layout.guards[guard]
        self._guesses.widen(key, value & (1 << 64) - 1 if not kind.signed else value, kind)
        self._build()


def same(a: Outcome, b: Outcome) -> bool:
    """Whether two outcomes are equal, faults by reason and place."""
    if isinstance(a, Faulted) and isinstance(b, Faulted):
        return replace(a, message="", remark="") == replace(b, message="", remark="")
    return a == b
