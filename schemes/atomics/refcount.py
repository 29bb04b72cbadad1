"""Looking up an object that another CPU removes: reference counts under RCU (Documentation/RCU/rcuref.rst of Linux 6.1).

The table's pointer holds a reference. `lookup` may still see the object after the last reference is gone, so it has to take its
own with kref_get_unless_zero(); `lookup_with_get` brings back what is being freed. `put_twice` gives back a reference it does
not have. `last_one_unlocked` and `last_one_locked` are an object in a list that
whoever drops the last reference takes out: if the count falls to 0 before the lock is taken, a lookup in between finds an
object that is already gone; refcount_dec_and_lock() closes that (lib/refcount.c).
"""
from lockverse import *


@struct
class session:
    ref: kref
    count: refcount_t
    freed: u8


@struct
class table:
    entry: ptr[session]
    lock: spinlock_t


def session_release(k):
    s = container_of(k, session, "ref")
    WRITE_ONCE(s.freed, 1)


def lookup(t):
    rcu_read_lock()
    s = rcu_dereference(t.entry)
    if s and not kref_get_unless_zero(s.ref):
        s = NULL
    rcu_read_unlock()
    return s


def lookup_with_get(t):
    rcu_read_lock()
    s = rcu_dereference(t.entry)
    if s:
        kref_get(s.ref)
    rcu_read_unlock()
    return s


def use(t, find):
    s = find(t)
    if s:
        assert READ_ONCE(s.freed) == 0, "nobody frees what is in use"
        kref_put(s.ref, session_release)


def remove(t):
    s = xchg(t.entry, NULL)
    kref_put(s.ref, session_release)


def remove_twice(t):
    s = xchg(t.entry, NULL)
    kref_put(s.ref, session_release)
    kref_put(s.ref, session_release)


def find_locked(t):
    with t.lock:
        s = t.entry
        if s:
            refcount_inc(s.count)
    return s


def drop_unlocked(t, s):
    if refcount_dec_and_test(s.count):
        with t.lock:
            t.entry = NULL


def drop_locked(t, s):
    if refcount_dec_and_lock(s.count, t.lock):
        t.entry = NULL
        spin_unlock(t.lock)


def find_and_drop(t, drop):
    s = find_locked(t)
    if s:
        drop(t, s)


@scheme
def get_unless_zero():
    s = session(ref=1)
    t = table(entry=s)
    cpu(use, t, lookup)
    cpu(remove, t)


@scheme
def get():
    s = session(ref=1)
    t = table(entry=s)
    cpu(use, t, lookup_with_get)
    cpu(remove, t)


@scheme
def put_twice():
    s = session(ref=1)
    t = table(entry=s)
    cpu(use, t, lookup)
    cpu(remove_twice, t)


@scheme
def last_one_unlocked():
    s = session(count=1)
    t = table(entry=s)
    cpu(find_and_drop, t, drop_unlocked)
    cpu(drop_unlocked, t, s)


@scheme
def last_one_locked():
    s = session(count=1)
    t = table(entry=s)
    cpu(find_and_drop, t, drop_locked)
    cpu(drop_locked, t, s)
    at_rest(lambda: t.entry == NULL and refcount_read(s.count) == 0, "the last one takes it out")
