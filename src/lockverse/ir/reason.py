"""What a run can fail for: the closed vocabulary of reasons.

A reason is part of the contract with users: it stands in expected files, trace files and JSON. Leaves out the
verdict (holds, broken, unknown), which is about a whole search and lives in `trace/verdict.py`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why a run is broken."""

    ALWAYS = "always"
    AT_REST = "at-rest"
    SOMETIMES = "sometimes"
    ASSERTION = "assertion"
    WARNING = "warning"
    BUG = "bug"
    DEADLOCK = "deadlock"
    ENDLESS_SPINNING = "endless-spinning"
    NULL_DEREFERENCE = "null-dereference"
    OVERFLOW = "overflow"
    OUT_OF_BOUNDS = "out-of-bounds"
    DIVISION_BY_ZERO = "division-by-zero"
    LOCK_HELD_AT_EXIT = "lock-held-at-exit"
    UNLOCK_BY_STRANGER = "unlock-by-stranger"
    RECURSIVE_LOCKING = "recursive-locking"
    RCU_IMBALANCE = "rcu-imbalance"
    RCU_SELF_WAIT = "rcu-self-wait"
    SLEEPING_WHILE_ATOMIC = "sleeping-while-atomic"
    PREEMPT_IMBALANCE = "preempt-imbalance"
    IRQ_IMBALANCE = "irq-imbalance"
    LOCK_NOT_HELD = "lock-not-held"
    LOCK_ORDER = "lock-order"
    IRQ_LOCK_INVERSION = "irq-lock-inversion"
    DATA_RACE = "data-race"
    USE_AFTER_FREE = "use-after-free"
    DOUBLE_FREE = "double-free"
    LEAK = "leak"
    HELD_LOCK_FREED = "held-lock-freed"
    SUSPICIOUS_RCU_USAGE = "suspicious-rcu-usage"
    POOL_EXHAUSTED = "pool-exhausted"
    REFCOUNT_UNDERFLOW = "refcount-underflow"
    REFCOUNT_RESURRECTION = "refcount-resurrection"
    NEVER_EXERCISED = "never-exercised"


LOOKED_AT_REST: Final = frozenset((Reason.AT_REST, Reason.LEAK))  # of properties: those that are looked at when all are at rest
