"""The operations of the intermediate representation.

A function is a list of blocks; a block is a list of ops of which the last, and only the last, is a terminator (Jump,
Branch or Return). Values live in numbered registers of the function, or are immediates.

**Steps.** `Step` begins an atomic step: a thread can be preempted just before it and nowhere else. All ops from one
Step to the next run as one, so a shared access is `Step; Load` or `Step; Store`, a primitive such as spin_lock is a
Step followed by several loads and stores, and work on registers rides along with the step before it. Ops before a
thread's first Step run when the thread starts. `Rest` does nothing: it says that a thread which stands before the next
Step it comes to is at rest, and a pass moves that to `Step.rest`. `Await` may block its step, so nothing between a Step and its Await
writes memory, and `Choose` makes its step have several outcomes.

Functions of properties (`Function.observer`) have no steps: they read one state as a whole.

Leaves out: memory order. The search is sequentially consistent; `Step.order` records what the program asked for.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from .reason import Reason
from .types import Int, Scalar, StructRef


class Reg(Struct, frozen=True):
    """The register of that number."""

    number: int


class Imm(Struct, frozen=True):
    """A constant; False and True are 0 and 1, NULL is 0, an enum member is its position."""

    value: int


Value: TypeAlias = Reg | Imm

UNARY = ("neg", "not", "invert")
ARITHMETIC = ("add", "sub", "mul", "floordiv", "mod", "and", "or", "xor", "shl", "shr")
COMPARISON = ("eq", "ne", "lt", "le", "gt", "ge")
ORDERS = ("plain", "excused", "once", "relaxed", "acquire", "release", "full")
TAKES = ("", "exclusive", "shared")
GIVES = ("", "exclusive", "shared", "downgrade")


class Copy(Struct, frozen=True):
    """dst := src."""

    dst: Reg
    src: Value
    at: int


class Unary(Struct, frozen=True):
    """dst := op a. "neg" and "invert" are of `type` and are checked or wrapped as Binary is; "not" gives a bool."""

    dst: Reg
    op: str
    a: Value
    type: Scalar
    at: int


class Binary(Struct, frozen=True):
    """dst := a op b.

    For ARITHMETIC `type` is the integer type of the result: computed exactly, then reduced if the type wraps, else a
    fault OVERFLOW if it is out of range. Division floors and takes the sign of the divisor, as Python's; by zero it
    is DIVISION_BY_ZERO. A shift by a negative amount or by 64 and more is OVERFLOW. "and", "or" and "xor" of two bools
    have the type bool.
    For COMPARISON the result is a bool and `type` is that of the operands.
    """

    dst: Reg
    op: str
    a: Value
    b: Value
    type: Scalar
    at: int


class Narrow(Struct, frozen=True):
    """dst := src as an integer of `type`: reduced if it wraps, else OVERFLOW if out of range. `what` names the
    variable or field it is for, in the message."""

    dst: Reg
    src: Value
    type: Int
    what: str
    at: int


class Field(Struct, frozen=True):
    """dst := the address `offset` cells into the object at `base`; NULL_DEREFERENCE if `base` is 0."""

    dst: Reg
    base: Value
    offset: int
    name: str
    at: int


class Container(Struct, frozen=True):
    """dst := the address of the `type` that has what is at `part` embedded `offset` cells from its start; NULL_DEREFERENCE if
    `part` is 0, OUT_OF_BOUNDS if there is no such object. `name` is the field's."""

    dst: Reg
    part: Value
    type: StructRef
    offset: int
    name: str
    at: int


class Element(Struct, frozen=True):
    """dst := the address of element `index` of the array at `base`; NULL_DEREFERENCE if `base` is 0, OUT_OF_BOUNDS
    unless 0 <= index < length. `stride` is the size of an element in cells."""

    dst: Reg
    base: Value
    index: Value
    length: int
    stride: int
    at: int


class Self(Struct, frozen=True):
    """dst := the address of the running thread's own task_struct."""

    dst: Reg
    at: int


class Lifetime(Struct, frozen=True):
    """dst := the address of the cell that says whether the object is allocated to which the cell at `address` belongs;
    `Program.permanent`, which is always 1, for what belongs to no pool."""

    dst: Reg
    address: Value
    at: int


class Step(Struct, frozen=True):
    """An atomic step begins here.

    `kind` is "load", "store", "choose" or the name of the primitive. `order` is one of ORDERS ("excused": inside data_race()). `target` is the
    address of the object it is about (the cell loaded, the lock taken), or None. `takes` is "exclusive" or "shared" if it waits
    for the lock at `target`, else empty; `gives` is "exclusive" or "shared" if it gives that
    lock back, and "downgrade" if its thread holds it shared from then on. `rest`, in linked code only: a thread that stands before it is at rest. `holds` are
    the registers by which it then refers to objects of pools.
    """

    kind: str
    order: str
    target: Value | None
    at: int
    takes: str = ""
    gives: str = ""
    rest: bool = False
    holds: tuple[Reg, ...] = ()


class Held(Struct, frozen=True):
    """dst := whether a CPU that is at rest refers, by `Step.holds`, to one of the `size` cells from `base` on. In properties
    that are looked at when all are at rest."""

    dst: Reg
    base: Value
    size: int
    at: int


class Rest(Struct, frozen=True):
    """A thread that stands before the next Step may stay there for ever. Gone once the steps are marked."""

    at: int


class Load(Struct, frozen=True):
    """dst := the cell at `address`, which holds a `type`."""

    dst: Reg
    address: Value
    type: Scalar
    at: int


class Store(Struct, frozen=True):
    """The cell at `address`, which holds a `type`, := src. `src` is already in range (see Narrow)."""

    address: Value
    src: Value
    type: Scalar
    at: int


class Await(Struct, frozen=True):
    """The step can run only in states where `condition` is true; elsewhere the thread is blocked."""

    condition: Value
    at: int


class Assume(Struct, frozen=True):
    """Executions in which `condition` is false are not looked at."""

    condition: Value
    at: int


class Check(Struct, frozen=True):
    """A fault of that reason if `condition` is false."""

    condition: Value
    reason: Reason
    message: str
    at: int


class Choose(Struct, frozen=True):
    """dst := any of low, low + 1, ..., high: the environment picks. Follows its own Step of kind "choose"."""

    dst: Reg
    low: int
    high: int
    at: int


class Call(Struct, frozen=True):
    """dsts := function(args). Gone after inlining."""

    dsts: tuple[Reg, ...]
    function: str
    args: tuple[Value, ...]
    at: int


class Jump(Struct, frozen=True):
    """Go to the block (in linked code: to the op) of that number."""

    target: int
    at: int


class Branch(Struct, frozen=True):
    """Go to `yes` if the condition is not 0, else to `no`.

    `yes_decides` and `no_decides` say what going there means for the statement of `at`: True that its condition came
    out true, False that it came out false, None that nothing is decided yet (an operand of `and`, say).
    """

    condition: Value
    yes: int
    no: int
    at: int
    yes_decides: bool | None = None
    no_decides: bool | None = None


class Return(Struct, frozen=True):
    """The function ends with these results; in linked code, the thread ends."""

    values: tuple[Value, ...]
    at: int


Local: TypeAlias = Copy | Unary | Binary | Narrow | Field | Container | Element | Self | Lifetime
Terminator: TypeAlias = Jump | Branch | Return
Op: TypeAlias = Local | Step | Held | Rest | Load | Store | Await | Assume | Check | Choose | Call | Terminator
