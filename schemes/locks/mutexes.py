"""Two mutexes of one kind, and the rules of mutexes (Documentation/locking/mutex-design.rst, Linux 6.1).

`crossed` moves from a to b while somebody moves from b to a. `ordered` takes the lower one first, and says that the nesting is meant.
`given_away` has another task unlock. `rechecked` may be interrupted while it waits, and `unchecked` goes on as if it had not been.
"""
from lockverse import *


@struct
class account:
    lock: mutex
    balance: s64


def move(source, target):
    with source.lock:
        with target.lock:
            source.balance -= 1
            target.balance += 1


def move_in_order(source, target, low, high):
    mutex_lock(low.lock)
    mutex_lock_nested(high.lock, SINGLE_DEPTH_NESTING)
    source.balance -= 1
    target.balance += 1
    mutex_unlock(high.lock)
    mutex_unlock(low.lock)


def lock_only(a):
    mutex_lock(a.lock)
    while mutex_is_locked(a.lock):
        cpu_relax()


def unlock_only(a):
    if mutex_is_locked(a.lock):
        mutex_unlock(a.lock)


def pay(a):
    if mutex_lock_interruptible(a.lock) != 0:
        return
    a.balance += 1
    mutex_unlock(a.lock)


def pay_unchecked(a):
    mutex_lock_interruptible(a.lock)
    a.balance += 1
    mutex_unlock(a.lock)


@scheme
def crossed():
    a = account()
    b = account()
    cpu(move, a, b)
    cpu(move, b, a)


@scheme
def ordered():
    a = account()
    b = account()
    cpu(move_in_order, a, b, a, b)
    cpu(move_in_order, b, a, a, b)
    at_rest(lambda: a.balance == 0 and b.balance == 0)


@scheme
def given_away():
    a = account()
    cpu(lock_only, a)
    cpu(unlock_only, a)


@scheme
def rechecked():
    a = account()
    cpu(pay, a)
    cpu(pay, a)
    at_rest(lambda: 1 <= a.balance <= 2, "who finds it free is not interrupted")


@scheme
def unchecked():
    a = account()
    cpu(pay_unchecked, a)
    cpu(pay_unchecked, a)
