"""refcount_t and kref: counts of references that notice when an object is used after its last one is gone.

The rules are those at which the kernel's refcount_t warns and saturates (include/linux/refcount.h and lib/refcount.c,
Linux 6.1): adding to 0 would bring back what is being freed, going below 0 frees twice. The run is broken there, so no count
is ever saturated, and one that reaches the top of its range is an overflow. kref is include/linux/kref.h of the same version.

Leaves out saturation.
"""

# mypy: disable-error-code="attr-defined,no-any-return,valid-type,call-arg"

from __future__ import annotations

from typing import Any

from .environment import require
from .mutexes import mutex, mutex_lock, mutex_unlock
from .spinlock import spin_lock, spin_unlock, spinlock_t
from .spinlock_forms import spin_lock_irqsave, spin_unlock_irqrestore
from .step import step
from .structs import struct
from .types import ptr, s32


@struct(kind="atomic", opaque=True)
class refcount_t:
    """A count of references."""

    refs: s32


@struct(kind="atomic", opaque=True)
class kref:
    """A count of references, with what to do after the last one: kref_put()."""

    refcount: refcount_t


def REFCOUNT_INIT(n: int) -> refcount_t:
    """A refcount_t that starts as `n`, for a scene."""
    return refcount_t(n)


def KREF_INIT(n: int) -> kref:
    """A kref that starts as `n`, for a scene."""
    return kref(n)


@step("once")
def refcount_set(r: ptr[refcount_t], n: s32) -> None:
    """Write `n`: before anybody else can see the object."""
    r.refs = n


@step("once")
def refcount_read(r: ptr[refcount_t]) -> int:
    """Read it."""
    return r.refs


@step("relaxed")
def refcount_add(i: s32, r: ptr[refcount_t]) -> None:
    """Add `i` references to some that one has."""
    require(r.refs != 0, "refcount-resurrection", "refcount_t: addition on 0; use-after-free")
    r.refs = r.refs + i


@step("relaxed")
def refcount_inc(r: ptr[refcount_t]) -> None:
    """Take another reference: one has one."""
    require(r.refs != 0, "refcount-resurrection", "refcount_t: addition on 0; use-after-free")
    r.refs = r.refs + 1


@step("relaxed")
def refcount_add_not_zero(i: s32, r: ptr[refcount_t]) -> bool:
    """Add `i` references unless there is none; give whether they were added."""
    if r.refs == 0:
        return False
    r.refs = r.refs + i
    return True


@step("relaxed")
def refcount_inc_not_zero(r: ptr[refcount_t]) -> bool:
    """Take a reference unless there is none; give whether it was taken."""
    if r.refs == 0:
        return False
    r.refs = r.refs + 1
    return True


@step("release")
def refcount_sub_and_test(i: s32, r: ptr[refcount_t]) -> bool:
    """Give `i` references back; give whether none is left."""
    require(r.refs >= i, "refcount-underflow", "refcount_t: underflow; use-after-free")
    r.refs = r.refs - i
    return r.refs == 0


@step("release")
def refcount_dec_and_test(r: ptr[refcount_t]) -> bool:
    """Give a reference back; give whether none is left."""
    require(r.refs >= 1, "refcount-underflow", "refcount_t: underflow; use-after-free")
    r.refs = r.refs - 1
    return r.refs == 0


@step("release")
def refcount_dec(r: ptr[refcount_t]) -> None:
    """Give a reference back that is not the last one: nobody would free the object."""
    require(r.refs >= 1, "refcount-underflow", "refcount_t: underflow; use-after-free")
    require(r.refs > 1, "leak", "refcount_t: decrement hit 0; leaking memory")
    r.refs = r.refs - 1


@step("release")
def refcount_dec_if_one(r: ptr[refcount_t]) -> bool:
    """Give back the last reference if it is the last; give whether it was."""
    if r.refs != 1:
        return False
    r.refs = 0
    return True


@step("release")
def refcount_dec_not_one(r: ptr[refcount_t]) -> bool:
    """Give a reference back unless it is the last; give whether it was not."""
    if r.refs == 1:
        return False
    require(r.refs >= 1, "refcount-underflow", "refcount_t: underflow; use-after-free")
    r.refs = r.refs - 1
    return True


def refcount_dec_and_lock(r: ptr[refcount_t], lock: ptr[spinlock_t]) -> bool:
    """Give a reference back; if it is the last, with the lock held. Gives whether it was, and then the lock is held."""
    if refcount_dec_not_one(r):
        return False
    spin_lock(lock)
    if not refcount_dec_and_test(r):
        spin_unlock(lock)
        return False
    return True


def refcount_dec_and_lock_irqsave(r: ptr[refcount_t], lock: ptr[spinlock_t]) -> tuple[bool, bool]:
    """As refcount_dec_and_lock(), the lock taken with interrupts disabled: `last, flags = ...`."""
    if refcount_dec_not_one(r):
        return False, False
    flags = spin_lock_irqsave(lock)
    if not refcount_dec_and_test(r):
        spin_unlock_irqrestore(lock, flags)
        return False, False
    return True, flags


def refcount_dec_and_mutex_lock(r: ptr[refcount_t], lock: ptr[mutex]) -> bool:
    """As refcount_dec_and_lock(), with a mutex."""
    if refcount_dec_not_one(r):
        return False
    mutex_lock(lock)
    if not refcount_dec_and_test(r):
        mutex_unlock(lock)
        return False
    return True


@step("once")
def kref_init(kref: ptr[kref]) -> None:
    """The object has one reference: its maker's."""
    kref.refcount.refs = 1


@step("once")
def kref_read(kref: ptr[kref]) -> int:
    """How many references there are."""
    return kref.refcount.refs


@step("relaxed")
def kref_get(kref: ptr[kref]) -> None:
    """Take another reference: one has one."""
    refcount_inc(kref.refcount)


@step("relaxed")
def kref_get_unless_zero(kref: ptr[kref]) -> bool:
    """Take a reference unless there is none; give whether it was taken."""
    return refcount_inc_not_zero(kref.refcount)


@step("release", name="kref_put")
def _kref_put(kref: ptr[kref]) -> bool:
    """Give a reference back; give whether none is left."""
    return refcount_dec_and_test(kref.refcount)


def kref_put(kref: ptr[kref], release: Any) -> bool:
    """Give a reference back; after the last one call release(kref), and give True."""
    if _kref_put(kref):
        release(kref)
        return True
    return False


def kref_put_lock(kref: ptr[kref], release: Any, lock: ptr[spinlock_t]) -> bool:
    """As kref_put(); release(kref) is called with the lock held, and gives it back."""
    if refcount_dec_and_lock(kref.refcount, lock):
        release(kref)
        return True
    return False


def kref_put_mutex(kref: ptr[kref], release: Any, lock: ptr[mutex]) -> bool:
    """As kref_put_lock(), with a mutex."""
    if refcount_dec_and_mutex_lock(kref.refcount, lock):
        release(kref)
        return True
    return False


__all__ = [
    "KREF_INIT", "REFCOUNT_INIT", "kref", "kref_get", "kref_get_unless_zero", "kref_init", "kref_put", "kref_put_lock",
    "kref_put_mutex", "kref_read", "refcount_add", "refcount_add_not_zero", "refcount_dec", "refcount_dec_and_lock",
    "refcount_dec_and_lock_irqsave", "refcount_dec_and_mutex_lock", "refcount_dec_and_test",
    "refcount_dec_if_one", "refcount_dec_not_one", "refcount_inc", "refcount_inc_not_zero", "refcount_read", "refcount_set",
    "refcount_sub_and_test", "refcount_t",
]  # fmt: skip
