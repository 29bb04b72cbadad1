"""What no execution does: a state that is asked for, a branch, a trylock, a lock; and a pool that is too small.

Each holds only because it says nothing (`--strict` fails), or says how many objects there are. Leaves out handlers:
timer_never_armed.py.
"""

from lockverse import *


@struct
class device:
    lock: spinlock_t
    ready: bool
    n: u8


def publish(d):
    with d.lock:
        WRITE_ONCE(d.n, 1)
    smp_store_release(d.ready, True)


def consume_after(d):
    if smp_load_acquire(d.ready):
        with d.lock:
            WRITE_ONCE(d.n, 2)


def consume(d):
    with d.lock:
        WRITE_ONCE(d.n, 2)


def look(d, most):
    if READ_ONCE(d.n) > most:
        smp_mb()


def try_lock(d):
    if spin_trylock(d.lock):
        spin_unlock(d.lock)


def take_two(frees: bool):
    a = kmalloc(device)
    if frees:
        kfree(a)
    b = kmalloc(device)
    kfree(b)
    if not frees:
        kfree(a)


@scheme
def witness(written: bool = False):
    d = device()
    cpu(publish, d)
    cpu(consume, d)
    wanted = 2 if written else 3
    sometimes(lambda: d.n == wanted)


@scheme
def branch(reached: bool = False):
    d = device()
    cpu(publish, d)
    cpu(consume, d)
    cpu(look, d, 1 if reached else 2)


@scheme
def trylock(others: bool = False):
    d = device()
    cpu(try_lock, d)
    if others:
        cpu(publish, d)


@scheme
def lock(together: bool = False):
    d = device()
    cpu(publish, d)
    cpu(consume if together else consume_after, d)


@scheme
def pool_of_one(frees: bool = False):
    pool(device, 1)
    cpu(take_two, frees)
