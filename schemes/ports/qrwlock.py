"""The queued rwlock (kernel/locking/qrwlock.c and include/asm-generic/qrwlock.h of Linux 6.1; Long, 2013).

One word: a byte that says a writer holds the lock, a bit that says one waits, and above them the number of readers. A reader
counts itself and looks at what it found; if there was a writer it takes itself out again and queues on a spinlock. A writer that
cannot have the lock at once queues likewise, and sets the waiting bit, which keeps new readers out, until the readers are gone.

`fair` is the algorithm. Broken: `reader_looks_first` reads the word and counts itself in a second step, so a writer comes in
between; `unlock_whole_word` has the writer clear the whole word, and with it the count of a reader that waits in the queue.

The fields of the word are narrower than the kernel's. Left out: reordering; readers in interrupts, which do not queue; the store of
the writer's byte, for which an atomic_andnot() of it stands.
"""
from lockverse import *

_QW_LOCKED = 1
_QW_WAITING = 2
_QW_WMASK = _QW_LOCKED | _QW_WAITING
_QR_BIAS = 4


@struct
class qrwlock:
    cnts: atomic_t
    wait_lock: spinlock_t
    readers: atomic_t
    writers: atomic_t


def queued_read_lock_slowpath(lock):
    atomic_sub(_QR_BIAS, lock.cnts)
    spin_lock(lock.wait_lock)
    atomic_add(_QR_BIAS, lock.cnts)
    atomic_cond_read_acquire(lock.cnts, lambda VAL: not VAL & _QW_LOCKED)
    spin_unlock(lock.wait_lock)


def queued_read_lock(lock):
    if atomic_add_return_acquire(_QR_BIAS, lock.cnts) & _QW_WMASK:
        queued_read_lock_slowpath(lock)


def queued_read_lock_looks_first(lock):
    while atomic_read(lock.cnts) & _QW_WMASK:
        cpu_relax()
    atomic_add_return_acquire(_QR_BIAS, lock.cnts)


def queued_write_lock_slowpath(lock):
    with lock.wait_lock:
        if atomic_read(lock.cnts) == 0:
            ok, _ = atomic_try_cmpxchg_acquire(lock.cnts, 0, _QW_LOCKED)
            if ok:
                return
        atomic_or(_QW_WAITING, lock.cnts)
        ok = False
        while not ok:
            atomic_cond_read_relaxed(lock.cnts, lambda VAL: VAL == _QW_WAITING)
            ok, _ = atomic_try_cmpxchg_acquire(lock.cnts, _QW_WAITING, _QW_LOCKED)


def queued_write_lock(lock):
    ok, _ = atomic_try_cmpxchg_acquire(lock.cnts, 0, _QW_LOCKED)
    if not ok:
        queued_write_lock_slowpath(lock)


def queued_read_unlock(lock):
    atomic_sub_return_release(_QR_BIAS, lock.cnts)


def queued_write_unlock(lock):
    atomic_andnot(_QW_LOCKED, lock.cnts)


def queued_write_unlock_whole_word(lock):
    atomic_set(lock.cnts, 0)


def reader(lock, read_lock):
    read_lock(lock)
    atomic_inc(lock.readers)
    atomic_dec(lock.readers)
    queued_read_unlock(lock)


def writer(lock, write_unlock):
    queued_write_lock(lock)
    atomic_inc(lock.writers)
    atomic_dec(lock.writers)
    write_unlock(lock)


def excluded(lock):
    writers = atomic_read(lock.writers)
    return writers == 0 or (writers == 1 and atomic_read(lock.readers) == 0)


@scheme
def fair(readers: range(1, 3) = 2, writers: range(1, 3) = 1):
    lock = qrwlock()
    for _ in range(readers):
        cpu(reader, lock, queued_read_lock)
    for _ in range(writers):
        cpu(writer, lock, queued_write_unlock)
    always(lambda: excluded(lock), "a writer is alone")
    at_rest(lambda: atomic_read(lock.cnts) == 0, "nothing is left in the word")
    sometimes(lambda: atomic_read(lock.readers) == readers, "readers share it")
    sometimes(lambda: atomic_read(lock.cnts) & _QW_WAITING, "a writer waits for readers")


@scheme
def reader_looks_first():
    lock = qrwlock()
    cpu(reader, lock, queued_read_lock_looks_first)
    cpu(writer, lock, queued_write_unlock)
    always(lambda: excluded(lock), "a writer is alone")


@scheme
def unlock_whole_word():
    lock = qrwlock()
    cpu(reader, lock, queued_read_lock)
    for _ in range(2):
        cpu(writer, lock, queued_write_unlock_whole_word)
    always(lambda: excluded(lock), "a writer is alone")
    always(lambda: atomic_read(lock.cnts) >= 0, "no reader is counted out twice")
