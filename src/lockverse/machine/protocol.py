"""What a machine offers a search: states, and what each thread can do in one.

Two implementations share it: the interpreter, which is the specification, and compiled code that must agree with it.
States are opaque to a search: hashable, and equal exactly if all memory and all threads are.

Leaves out how a run is told to a reader (record.py).
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from lockverse.ir.reason import Reason

State: TypeAlias = Any  # each machine has its own: hashable, and compared exactly


class Moved(Struct, frozen=True):
    """The thread took its step. `choices` is how many outcomes the environment can pick from (1 if it picks none)."""

    state: State
    choices: int = 1


class Blocked(Struct, frozen=True):
    """The thread's step waits for a condition that does not hold in this state."""


class Pruned(Struct, frozen=True):
    """An assumption is false on this path: it is not looked at. `choices` as in Moved."""

    choices: int = 1


class Faulted(Struct, frozen=True):
    """The step broke a rule. `origin` is the index of the op's origin; `message` is a sentence for the headline,
    `remark` short, its first word in capitals, for the failing line. `choices` as in Moved."""

    reason: Reason
    message: str
    remark: str
    origin: int
    choices: int = 1


class TooLong(Struct, frozen=True):
    """The step ran more ops than the bound allows without reaching its end, and without repeating itself."""

    ops: int


Outcome: TypeAlias = Moved | Blocked | Pruned | Faulted | TooLong


class Started(Struct, frozen=True):
    """What became of the start: every thread runs up to its first step. `thread` is whose work ended it, if one did."""

    outcome: Moved | Pruned | Faulted | TooLong
    thread: int = -1


class Disagreement(Exception):
    """Two machines do not agree, or two searches: a fault of ours."""


class Machine(Protocol):
    """A scheme that can be run step by step."""

    @property
    def threads(self) -> int:
        """How many threads there are; they are numbered from 0."""
        ...

    def start(self) -> Started:
        """The initial state."""
        ...

    def step(self, state: State, thread: int, choice: int) -> Outcome:
        """What the next step of `thread` does in `state`, if the environment picks outcome `choice` (from 0). Not to be
        called for a thread that has finished."""
        ...

    def finished(self, state: State, thread: int) -> bool:
        """Whether `thread` has come to its end."""
        ...

    def at_rest(self, state: State, thread: int) -> bool:
        """Whether `thread` may stay where it is for ever: it has finished, or stands before a step marked `rest` and has nothing
        pending (Thread.pending)."""
        ...

    def evaluate(self, state: State, condition: int) -> bool | Faulted:
        """Whether the property of that index holds in `state`; Faulted if looking at it breaks a rule."""
        ...


def started(machine: Machine) -> State:
    """The initial state of a machine that is known to have one: its start neither fails nor is pruned."""
    outcome = machine.start().outcome
    assert isinstance(outcome, Moved)
    return outcome.state
