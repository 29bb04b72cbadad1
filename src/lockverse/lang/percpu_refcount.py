"""percpu_ref: a reference count with a part for each CPU while it is live, and one count once it is killed.

Step by step as lib/percpu-refcount.c and include/linux/percpu-refcount.h of Linux 6.1: gets and puts are RCU readers and change the
part of their CPU; killing turns to the one count for new ones at once, and after a grace period, when nobody changes a part any
more, the parts are added to it. Until then a bias keeps it from 0.

Two checks are added where the kernel looks at nothing: percpu_ref_get() of a count that is 0 is a resurrection, and a put too many an
underflow, as of a refcount_t. The bias is PERCPU_COUNT_BIAS here, which is enough for as many references, and not the
sign bit: a count of fewer bits makes smaller states. Leaves out the memory of the parts, which percpu_ref_exit() frees.
"""

# mypy: disable-error-code="attr-defined,no-any-return,valid-type,operator,union-attr,func-returns-value"

from __future__ import annotations

from typing import Any

from .access import READ_ONCE, WRITE_ONCE
from .atomics import atomic_long_add, atomic_long_read, atomic_long_t
from .context import check_may_sleep
from .environment import WARN_ON, require
from .null import NULL
from .percpu_data import for_each_possible_cpu, this_cpu_add, this_cpu_inc, this_cpu_sub
from .rcu import rcu_read_lock, rcu_read_unlock
from .rcu_callbacks import call_rcu, rcu_head
from .spinlock import spinlock_t
from .spinlock_forms import spin_lock_irq, spin_lock_irqsave, spin_unlock_irq, spin_unlock_irqrestore
from .step import step
from .structs import container_of, struct
from .task import wait_until
from .types import function, percpu, ptr, s64, u8, wrapping

PERCPU_REF_INIT_ATOMIC = 1
PERCPU_REF_INIT_DEAD = 2
PERCPU_REF_ALLOW_REINIT = 4
PERCPU_COUNT_BIAS = 1 << 12

_ATOMIC, _DEAD = 1, 2  # bits of the mode
_ATOMIC_DEAD = _ATOMIC | _DEAD

percpu_ref_switch_lock = spinlock_t()


@struct(opaque=True)
class percpu_ref:
    """A count of references with a part for each CPU. percpu_ref_init() starts it, in a scene or in a function."""

    count: atomic_long_t
    percpu_count: percpu[wrapping[s64]]
    mode: u8
    release: function
    confirm_switch: function
    force_atomic: bool
    allow_reinit: bool
    rcu: rcu_head


@step("plain")
def percpu_ref_init(ref: ptr[percpu_ref], release: Any, flags: u8 = 0) -> int:
    """Start with one reference, which percpu_ref_kill() gives back; release(ref) is called after the last. Gives 0."""
    ref.release = release
    ref.confirm_switch = NULL
    ref.force_atomic = flags & PERCPU_REF_INIT_ATOMIC != 0
    ref.allow_reinit = flags != 0
    ref.mode = 0
    ref.count.counter = PERCPU_COUNT_BIAS + 1
    if flags & (PERCPU_REF_INIT_ATOMIC | PERCPU_REF_INIT_DEAD) != 0:
        ref.mode = _ATOMIC
        ref.count.counter = 1
    if flags & PERCPU_REF_INIT_DEAD != 0:
        ref.mode = _ATOMIC_DEAD
        ref.count.counter = 0
    return 0


@step("once")
def percpu_ref_exit(ref: ptr[percpu_ref]) -> None:
    """The end of what percpu_ref_init() began: nobody uses it any more."""
    WARN_ON(ref.confirm_switch != NULL, "percpu_ref_exit() while it is being switched")
    ref.mode = _ATOMIC_DEAD


# Gets and puts


@step("relaxed", name="percpu_ref_get")
def _add(ref: ptr[percpu_ref], nr: s64) -> None:
    require(ref.count.counter != 0, "refcount-resurrection", "percpu_ref: addition on 0; use-after-free")
    ref.count.counter = ref.count.counter + nr


@step("full", name="percpu_ref_tryget")
def _add_unless_zero(ref: ptr[percpu_ref], nr: s64) -> bool:
    if ref.count.counter == 0:
        return False
    ref.count.counter = ref.count.counter + nr
    return True


@step("full", name="percpu_ref_put")
def _sub_and_test(ref: ptr[percpu_ref], nr: s64) -> bool:
    require(ref.count.counter >= nr, "refcount-underflow", "percpu_ref: underflow; use-after-free")
    ref.count.counter = ref.count.counter - nr
    return ref.count.counter == 0


def percpu_ref_get_many(ref: ptr[percpu_ref], nr: s64) -> None:
    """Take `nr` references: one has one."""
    rcu_read_lock()
    if READ_ONCE(ref.mode) & _ATOMIC_DEAD == 0:
        this_cpu_add(ref.percpu_count, nr)
    else:
        _add(ref, nr)
    rcu_read_unlock()


def percpu_ref_get(ref: ptr[percpu_ref]) -> None:
    """Take another reference: one has one."""
    percpu_ref_get_many(ref, 1)


def percpu_ref_tryget_many(ref: ptr[percpu_ref], nr: s64) -> bool:
    """Take `nr` references unless there is none left; give whether they were taken."""
    rcu_read_lock()
    if READ_ONCE(ref.mode) & _ATOMIC_DEAD == 0:
        this_cpu_add(ref.percpu_count, nr)
        taken = True
    else:
        taken = _add_unless_zero(ref, nr)
    rcu_read_unlock()
    return taken


def percpu_ref_tryget(ref: ptr[percpu_ref]) -> bool:
    """Take a reference unless there is none left; give whether it was taken."""
    return percpu_ref_tryget_many(ref, 1)


def percpu_ref_tryget_live(ref: ptr[percpu_ref]) -> bool:
    """Take a reference unless it was killed; give whether it was taken. That a kill has ended does not make it fail: that it is
    confirmed does."""
    taken = False
    rcu_read_lock()
    if READ_ONCE(ref.mode) & _ATOMIC_DEAD == 0:
        this_cpu_inc(ref.percpu_count)
        taken = True
    elif READ_ONCE(ref.mode) & _DEAD == 0:
        taken = _add_unless_zero(ref, 1)
    rcu_read_unlock()
    return taken


def percpu_ref_put_many(ref: ptr[percpu_ref], nr: s64) -> None:
    """Give `nr` references back; release(ref) after the last, which is inside an RCU read section."""
    rcu_read_lock()
    if READ_ONCE(ref.mode) & _ATOMIC_DEAD == 0:
        this_cpu_sub(ref.percpu_count, nr)
    elif _sub_and_test(ref, nr):
        ref.release(ref)
    rcu_read_unlock()


def percpu_ref_put(ref: ptr[percpu_ref]) -> None:
    """Give a reference back; release(ref) after the last, which is inside an RCU read section."""
    percpu_ref_put_many(ref, 1)


def percpu_ref_is_zero(ref: ptr[percpu_ref]) -> bool:
    """Whether there is no reference left. A live one is never at 0, whatever its parts are."""
    if READ_ONCE(ref.mode) & _ATOMIC_DEAD == 0:
        return False
    return atomic_long_read(ref.count) == 0


def percpu_ref_is_dying(ref: ptr[percpu_ref]) -> bool:
    """Whether it was killed."""
    return READ_ONCE(ref.mode) & _DEAD != 0


# Switching. All but the callback with percpu_ref_switch_lock held


def percpu_ref_noop_confirm_switch(ref: ptr[percpu_ref]) -> None:
    """In place of a confirmation: that there is one says that switching is in progress."""


def percpu_ref_switch_to_atomic_rcu(rcu: ptr[rcu_head]) -> None:
    """After the grace period: nobody changes the parts any more."""
    ref = container_of(rcu, percpu_ref, "rcu")
    count = 0
    for cpu in for_each_possible_cpu():
        count += ref.percpu_count[cpu]
    atomic_long_add(count - PERCPU_COUNT_BIAS, ref.count)
    _check_switched(ref)
    ref.confirm_switch(ref)
    WRITE_ONCE(ref.confirm_switch, NULL)
    if not ref.allow_reinit:
        percpu_ref_exit(ref)
    percpu_ref_put(ref)


@step("once", name="percpu_ref_switch_to_atomic_rcu")
def _check_switched(ref: ptr[percpu_ref]) -> None:
    require(ref.count.counter > 0, "refcount-underflow", "percpu ref <= 0 after switching to atomic")


def _switch_to_atomic(ref: ptr[percpu_ref], confirm_switch: Any) -> None:
    mode = READ_ONCE(ref.mode)
    if mode & _ATOMIC != 0:
        if confirm_switch:
            confirm_switch(ref)
    else:
        WRITE_ONCE(ref.mode, mode | _ATOMIC)
        if confirm_switch:
            WRITE_ONCE(ref.confirm_switch, confirm_switch)
        else:
            WRITE_ONCE(ref.confirm_switch, percpu_ref_noop_confirm_switch)
        percpu_ref_get(ref)
        call_rcu(ref.rcu, percpu_ref_switch_to_atomic_rcu)


def _switch_to_percpu(ref: ptr[percpu_ref]) -> None:
    mode = READ_ONCE(ref.mode)
    if mode & _ATOMIC != 0:
        WARN_ON(not ref.allow_reinit, "a percpu_ref that may not be used again is")
        atomic_long_add(PERCPU_COUNT_BIAS, ref.count)
        for cpu in for_each_possible_cpu():
            WRITE_ONCE(ref.percpu_count[cpu], 0)
        WRITE_ONCE(ref.mode, mode & ~_ATOMIC)


@step("acquire", name="percpu_ref_switch_waitq")
def _wait_for_confirmation(ref: ptr[percpu_ref]) -> None:
    check_may_sleep()
    wait_until(ref.confirm_switch == NULL)


def _switch_mode(ref: ptr[percpu_ref], confirm_switch: Any) -> None:
    while READ_ONCE(ref.confirm_switch) != NULL:
        spin_unlock_irq(percpu_ref_switch_lock)
        _wait_for_confirmation(ref)
        spin_lock_irq(percpu_ref_switch_lock)
    if ref.force_atomic or READ_ONCE(ref.mode) & _DEAD != 0:
        _switch_to_atomic(ref, confirm_switch)
    else:
        _switch_to_percpu(ref)


def percpu_ref_kill_and_confirm(ref: ptr[percpu_ref], confirm_kill: Any) -> None:
    """Give back the first reference. confirm_kill(ref) is called when percpu_ref_tryget_live() fails on every CPU: a grace period
    later, by RCU. May sleep if the ref is being switched."""
    flags = spin_lock_irqsave(percpu_ref_switch_lock)
    mode = READ_ONCE(ref.mode)
    WARN_ON(mode & _DEAD != 0, "percpu_ref_kill_and_confirm() called more than once")
    WRITE_ONCE(ref.mode, mode | _DEAD)
    _switch_mode(ref, confirm_kill)
    percpu_ref_put(ref)
    spin_unlock_irqrestore(percpu_ref_switch_lock, flags)


def percpu_ref_kill(ref: ptr[percpu_ref]) -> None:
    """Give back the first reference."""
    percpu_ref_kill_and_confirm(ref, NULL)


def percpu_ref_resurrect(ref: ptr[percpu_ref]) -> None:
    """Make a killed one live again, with a first reference as before."""
    flags = spin_lock_irqsave(percpu_ref_switch_lock)
    mode = READ_ONCE(ref.mode)
    WARN_ON(mode & _DEAD == 0, "percpu_ref_resurrect() of one that is live")
    WRITE_ONCE(ref.mode, mode & ~_DEAD)
    atomic_long_add(1, ref.count)
    _switch_mode(ref, NULL)
    spin_unlock_irqrestore(percpu_ref_switch_lock, flags)


def percpu_ref_reinit(ref: ptr[percpu_ref]) -> None:
    """Make one live again whose references are all given back."""
    WARN_ON(not percpu_ref_is_zero(ref), "percpu_ref_reinit() of one that is in use")
    percpu_ref_resurrect(ref)


__all__ = [
    "PERCPU_REF_ALLOW_REINIT", "PERCPU_REF_INIT_ATOMIC", "PERCPU_REF_INIT_DEAD", "percpu_ref", "percpu_ref_exit", "percpu_ref_get",
    "percpu_ref_get_many", "percpu_ref_init", "percpu_ref_is_dying", "percpu_ref_is_zero", "percpu_ref_kill",
    "percpu_ref_kill_and_confirm", "percpu_ref_put", "percpu_ref_put_many", "percpu_ref_reinit", "percpu_ref_resurrect",
    "percpu_ref_tryget", "percpu_ref_tryget_live", "percpu_ref_tryget_many",
]  # fmt: skip
