"""What a reduction tells the back end: at which positions a thread goes on at once, under which conditions.

Data only; the room reduction makes it and argues for it. Leaves out why any of it is right.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from lockverse.ir.ops import Value

FREE = 0  # in place of a lock's address: a cell nobody else's steps depend on


class Need(Struct, frozen=True):
    """One access of a step. `locks[cell]` is the lock the thread must hold if that cell is accessed (its first cell is its
    owner), or FREE. `address` says which cell it is; None: not known beforehand, so all the locks are needed."""

    address: Value | None
    locks: Mapping[int, int]


class Plan(Struct, frozen=True):
    """`going_on[thread][pc]`: a thread that arrives at pc takes that step at once if all the needs are met. `protected`
    are the cells that may be accessed with a lock only, and the lock: an access without it is flagged, as the plan
    then is void."""

    going_on: Mapping[int, Mapping[int, tuple[Need, ...]]] = field(default_factory=dict)
    protected: Mapping[int, int] = field(default_factory=dict)


NO_PLAN = Plan()
