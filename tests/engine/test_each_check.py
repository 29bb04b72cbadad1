"""Each check has a scheme in schemes/ that triggers it, and a near miss that does not: a table, held to Reason's list.

A row is a reason, the file, the scheme that is broken for it, and the scheme that holds; where both are one scheme, its parameter's
values. What is asked for with `always`, `at_rest`, `assert` and the like is a check too. Leaves out what else the schemes are expected
to do (their .expected.toml).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.engine import Options
from lockverse.explore.bounds import Bounds
from lockverse.report.verdict import Outcome
from lockverse.session import check, open_file, tasks
from lockverse.trace.model import Reason

from ..support import ROOT

Variant = tuple[str, dict[str, str]]


def _variants(name: str, parameter: str) -> tuple[Variant, Variant]:
    return (name, {parameter: "False"}), (name, {parameter: "True"})


def _pair(broken: str, holds: str) -> tuple[Variant, Variant]:
    return (broken, {}), (holds, {})


CHECKS: list[tuple[Reason, str, tuple[Variant, Variant]]] = [
    (Reason.ALWAYS, "classics/peterson", _pair("turn_first", "turn_last")),
    (Reason.AT_REST, "classics/lost_update", _pair("plain", "atomic")),
    (Reason.SOMETIMES, "findings/vacuous", _variants("witness", "written")),
    (Reason.ASSERTION, "classics/seqcount", _pair("no_retry", "retry")),
    (Reason.WARNING, "classics/double_checked", _pair("publish_first", "publish_last")),
    (Reason.DEADLOCK, "classics/philosophers", _pair("right_handed", "in_order")),
    (Reason.ENDLESS_SPINNING, "classics/seqcount", _pair("writer_forgets", "retry")),
    (Reason.NULL_DEREFERENCE, "lifetimes/barrier", _pair("grace_period", "waited_for")),
    (Reason.OVERFLOW, "findings/numbers", _variants("charged_past_the_end", "locked")),
    (Reason.OUT_OF_BOUNDS, "findings/numbers", _variants("size_read_again_as_index", "once")),
    (Reason.DIVISION_BY_ZERO, "findings/numbers", _variants("size_read_again_as_divisor", "once")),
    (Reason.LOCK_HELD_AT_EXIT, "findings/holding", _pair("one_way_keeps_it", "both_ways_unlock")),
    (Reason.UNLOCK_BY_STRANGER, "findings/holding", _pair("one_way_unlocks_twice", "both_ways_unlock")),
    (Reason.RECURSIVE_LOCKING, "findings/holding", _pair("taken_by_caller_and_callee", "both_ways_unlock")),
    (Reason.LOCK_NOT_HELD, "findings/holding", _pair("not_taken", "both_ways_unlock")),
    (Reason.RCU_IMBALANCE, "findings/imbalance", _variants("reader_stays", "ends")),
    (Reason.PREEMPT_IMBALANCE, "findings/imbalance", _variants("preemption_stays_off", "ends")),
    (Reason.IRQ_IMBALANCE, "findings/imbalance", _variants("interrupts_stay_off", "ends")),
    (Reason.RCU_SELF_WAIT, "lifetimes/readers", _pair("in_lock", "spinlock")),
    (Reason.SLEEPING_WHILE_ATOMIC, "lifetimes/barrier", _pair("sleeping", "waited_for")),
    (Reason.LOCK_ORDER, "findings/circle_of_three", _pair("circle", "in_order")),
    (Reason.IRQ_LOCK_INVERSION, "findings/safe_before_unsafe", _pair("table_taken_with_interrupts_on", "table_taken_with_interrupts_off")),
    (Reason.DATA_RACE, "findings/lockless_read", _pair("only_the_reader_marks", "both_mark")),
    (Reason.DATA_RACE, "findings/lockless_read", _pair("only_the_writer_marks", "for_a_human")),
    (Reason.USE_AFTER_FREE, "lifetimes/rcu_list", _pair("at_once", "by_call_rcu")),
    (Reason.DOUBLE_FREE, "lifetimes/double_free", _pair("looked_at", "taken")),
    (Reason.LEAK, "lifetimes/leak", _pair("overwritten", "replaced")),
    (Reason.HELD_LOCK_FREED, "lifetimes/writeback", _pair("freed_at_once", "takes_once")),
    (Reason.SUSPICIOUS_RCU_USAGE, "lifetimes/rcu_list", _pair("unlocked_reader", "by_call_rcu")),
    (Reason.POOL_EXHAUSTED, "findings/vacuous", _variants("pool_of_one", "frees")),
    (Reason.REFCOUNT_UNDERFLOW, "atomics/refcount", _pair("put_twice", "get_unless_zero")),
    (Reason.REFCOUNT_RESURRECTION, "atomics/refcount", _pair("get", "get_unless_zero")),
    (Reason.NEVER_EXERCISED, "findings/vacuous", _variants("branch", "reached")),
    (Reason.NEVER_EXERCISED, "findings/vacuous", _variants("trylock", "others")),
    (Reason.NEVER_EXERCISED, "findings/vacuous", _variants("lock", "together")),
    (Reason.NEVER_EXERCISED, "findings/timer_never_armed", _variants("handler", "armed")),
]
WITHOUT_NEAR_MISS = {Reason.BUG: ("races/r2_anon_vma", "referenced_while_exiting")}  # its parameter turns the fix on: tests/linux has both


def _outcome(file: str, variant: Variant, engine: str, *, strict: bool) -> Outcome:
    name, given = variant
    (task,) = tasks(open_file(Path(ROOT / "schemes" / f"{file}.py")), name, given, every=False)
    return check(task, Bounds(), lambda _: None, Options(engine, jobs=1, strict=strict))


@pytest.mark.parametrize("engine", ["reference", "native"])
@pytest.mark.parametrize(("reason", "file", "variants"), CHECKS, ids=[f"{one[0]}-{one[2][0][0]}" for one in CHECKS])
def test_each_check(engine: str, reason: Reason, file: str, variants: tuple[Variant, Variant]) -> None:
    strict = reason is Reason.NEVER_EXERCISED
    broken, holds = (_outcome(file, one, engine, strict=strict) for one in variants)
    assert (broken.verdict, broken.reason) == ("broken", reason)
    assert (holds.verdict, holds.reason) == ("holds", None), holds.message


def test_the_table_has_them_all() -> None:
    assert {one[0] for one in CHECKS} | set(WITHOUT_NEAR_MISS) == set(Reason)
