"""The rw_semaphore in small (kernel/locking/rwsem.c of Linux 6.1; Howells 2001, Long and Zijlstra 2019).

One word holds a bit for a writer, a bit that says somebody waits, and the number of readers. A reader counts itself in; if it finds a
writer or waiters it may have to take itself out again and queue under wait_lock, until whoever gives the semaphore up counts it in
and tells it. A writer needs the word free of readers and writers; else it queues, and takes it itself when it is woken. Who wakes readers
wakes all that are queued, and counts them all in before it tells the first: one that was told may be gone at once.

`sleeping` is the algorithm, `told_when_counted` the same from where two readers are queued and a writer is about to steal: a writer
is alone, no wake-up is lost, nothing is left in the word. Broken: `told_before_counted` tells the readers first, and one of them
counts itself out before it was counted in, so the writer gets in beside the other (one that queues would not: it needs wait_lock);
`up_looks_first` has the writer look for waiters before it gives the word back, and one that comes in between is never woken.

Left out: reordering; optimistic spinning but for one look, HANDOFF and its timeout, signals, the owner: a reader that finds other
readers counted does not steal, which the kernel asks of the owner too. A task is a number; its state and its place in the queue are
in the semaphore.
"""
from lockverse import *

TASK_RUNNING = 0
TASK_UNINTERRUPTIBLE = 2
WRITER_LOCKED = 1
WAITERS = 2
READER_BIAS = 4
READER_MASK = ~3
LOCK_MASK = READER_MASK | WRITER_LOCKED
NOBODY = 0


class Wake(Enum):
    ANY = auto()
    READERS = auto()
    READ_OWNED = auto()


@struct
class rw_semaphore:
    count: atomic_long_t
    wait_lock: spinlock_t
    queue: array[u8, 4]
    writes: array[bool, 4]
    given: array[bool, 4]
    states: array[u8, 4]
    readers: atomic_t
    writers: atomic_t


def schedule(sem, me):
    while READ_ONCE(sem.states[me]) != TASK_RUNNING:
        cpu_relax()


def wake_up_q(sem, wake_q):
    for task in range(1, 4):
        if wake_q & 1 << task:
            cmpxchg(sem.states[task], TASK_UNINTERRUPTIBLE, TASK_RUNNING)


def add_waiter(sem, me):
    last = 0
    while sem.queue[last] != NOBODY:
        last += 1
    sem.queue[last] = me


def remove(sem, task):
    found = False
    for i in range(3):
        found = found or sem.queue[i] == task
        if found:
            sem.queue[i] = sem.queue[i + 1]


def queued_readers(sem):
    """Takes them off the queue; a bit each."""
    found = 0
    for task in range(1, 4):
        queued = False
        for i in range(3):
            queued = queued or sem.queue[i] == task
        if queued and not sem.writes[task]:
            found |= 1 << task
            remove(sem, task)
    return found


def tell(sem, readers):
    for task in range(1, 4):
        if readers & 1 << task:
            smp_store_release(sem.given[task], True)


def number(readers):
    return (readers >> 1 & 1) + (readers >> 2 & 1)


def mark_wake(sem, wake_type, tells_first):
    """Gives whom to wake, a bit each."""
    first = sem.queue[0]
    if sem.writes[first]:
        return 1 << first if wake_type == Wake.ANY else 0
    adjustment = 0
    if wake_type != Wake.READ_OWNED:
        adjustment = READER_BIAS
        if atomic_long_fetch_add(READER_BIAS, sem.count) & WRITER_LOCKED:
            atomic_long_sub(READER_BIAS, sem.count)
            return 0
    readers = queued_readers(sem)
    adjustment = number(readers) * READER_BIAS - adjustment
    if sem.queue[0] == NOBODY:
        adjustment -= WAITERS
    if tells_first:
        tell(sem, readers)
    if adjustment:
        atomic_long_add(adjustment, sem.count)
    tell(sem, readers)
    return readers


def cond_wake_waiter(sem, count):
    if count & WRITER_LOCKED:
        return 0
    return mark_wake(sem, Wake.READERS if count & READER_MASK else Wake.ANY, False)


def rwsem_wake(sem, tells_first):
    wake_q = 0
    with sem.wait_lock:
        if sem.queue[0] != NOBODY:
            wake_q = mark_wake(sem, Wake.ANY, tells_first)
    wake_up_q(sem, wake_q)


def steal(sem, count):
    if count & WAITERS:
        wake_q = 0
        with sem.wait_lock:
            if sem.queue[0] != NOBODY:
                wake_q = mark_wake(sem, Wake.READ_OWNED, False)
        wake_up_q(sem, wake_q)


def down_read_slowpath(sem, me, count):
    if not count & WRITER_LOCKED and count & READER_MASK == READER_BIAS:
        steal(sem, count)
        return
    adjustment = -READER_BIAS
    spin_lock(sem.wait_lock)
    if sem.queue[0] == NOBODY:
        if not atomic_long_read(sem.count) & WRITER_LOCKED:
            spin_unlock(sem.wait_lock)
            return
        adjustment += WAITERS
    add_waiter(sem, me)
    wake_q = cond_wake_waiter(sem, atomic_long_add_return(adjustment, sem.count))
    spin_unlock(sem.wait_lock)
    wake_up_q(sem, wake_q)
    wait_to_be_given(sem, me)


def wait_to_be_given(sem, me):
    while True:
        smp_store_mb(sem.states[me], TASK_UNINTERRUPTIBLE)
        if smp_load_acquire(sem.given[me]):
            break
        schedule(sem, me)
    WRITE_ONCE(sem.states[me], TASK_RUNNING)


def down_read(sem, me):
    count = atomic_long_add_return_acquire(READER_BIAS, sem.count)
    if count & (WRITER_LOCKED | WAITERS):
        down_read_slowpath(sem, me, count)


def try_write_lock(sem, me):
    count = atomic_long_read(sem.count)
    while not count & LOCK_MASK:
        new = count | WRITER_LOCKED
        if sem.queue[1] == NOBODY:
            new &= ~WAITERS
        ok, count = atomic_long_try_cmpxchg_acquire(sem.count, count, new)
        if ok:
            remove(sem, me)
            return True
    return False


def try_write_lock_unqueued(sem):
    count = atomic_long_read(sem.count)
    while not count & LOCK_MASK:
        ok, count = atomic_long_try_cmpxchg_acquire(sem.count, count, count | WRITER_LOCKED)
        if ok:
            return True
    return False


def down_write_slowpath(sem, me):
    if try_write_lock_unqueued(sem):
        return
    spin_lock(sem.wait_lock)
    add_waiter(sem, me)
    if sem.queue[0] == me:
        atomic_long_or(WAITERS, sem.count)
    else:
        wake_q = cond_wake_waiter(sem, atomic_long_read(sem.count))
        if wake_q:
            spin_unlock(sem.wait_lock)
            wake_up_q(sem, wake_q)
            spin_lock(sem.wait_lock)
    smp_store_mb(sem.states[me], TASK_UNINTERRUPTIBLE)
    while not try_write_lock(sem, me):
        spin_unlock(sem.wait_lock)
        schedule(sem, me)
        smp_store_mb(sem.states[me], TASK_UNINTERRUPTIBLE)
        spin_lock(sem.wait_lock)
    WRITE_ONCE(sem.states[me], TASK_RUNNING)
    spin_unlock(sem.wait_lock)


def down_write(sem, me):
    ok, _ = atomic_long_try_cmpxchg_acquire(sem.count, 0, WRITER_LOCKED)
    if not ok:
        down_write_slowpath(sem, me)


def up_read(sem):
    count = atomic_long_add_return_release(-READER_BIAS, sem.count)
    if count & (LOCK_MASK | WAITERS) == WAITERS:
        rwsem_wake(sem, False)


def up_write(sem):
    if atomic_long_fetch_add_release(-WRITER_LOCKED, sem.count) & WAITERS:
        rwsem_wake(sem, False)


def up_write_tells_first(sem):
    if atomic_long_fetch_add_release(-WRITER_LOCKED, sem.count) & WAITERS:
        rwsem_wake(sem, True)


def up_write_looks_first(sem):
    waiters = atomic_long_read(sem.count) & WAITERS
    atomic_long_add(-WRITER_LOCKED, sem.count)
    if waiters:
        rwsem_wake(sem, False)


def reader(sem, me):
    down_read(sem, me)
    atomic_inc(sem.readers)
    atomic_dec(sem.readers)
    up_read(sem)


def queued_reader(sem, me):
    """Entered itself in the queue before all this."""
    wait_to_be_given(sem, me)
    atomic_inc(sem.readers)
    atomic_dec(sem.readers)
    up_read(sem)


def thief(sem):
    """A writer that takes the semaphore if it is free just now."""
    if try_write_lock_unqueued(sem):
        atomic_inc(sem.writers)
        atomic_dec(sem.writers)
        up_write(sem)


def writer(sem, me):
    down_write(sem, me)
    atomic_inc(sem.writers)
    atomic_dec(sem.writers)
    up_write(sem)


def holder(sem, up):
    """Took the semaphore before all this."""
    atomic_dec(sem.writers)
    up(sem)


def excluded(sem):
    writers = atomic_read(sem.writers)
    return writers == 0 or (writers == 1 and atomic_read(sem.readers) == 0)


@scheme
def sleeping(readers: range(1, 3) = 1):
    sem = rw_semaphore(count=WRITER_LOCKED, writers=1)
    cpu(holder, sem, up_write)
    for me in range(1, readers + 1):
        cpu(reader, sem, me)
    sem.writes[3] = True
    cpu(writer, sem, 3)
    always(lambda: excluded(sem), "a writer is alone")
    at_rest(lambda: atomic_long_read(sem.count) == 0, "nothing is left in the word")
    sometimes(lambda: sem.states[1] == TASK_UNINTERRUPTIBLE, "a reader sleeps")
    sometimes(lambda: sem.states[3] == TASK_UNINTERRUPTIBLE, "a writer sleeps")
    sometimes(lambda: atomic_read(sem.readers) == readers, "all readers are in")


def two_readers_wait():
    sem = rw_semaphore(count=WRITER_LOCKED | WAITERS, writers=1)
    sem.queue[0], sem.queue[1] = 1, 2
    return sem


@scheme
def told_when_counted():
    sem = two_readers_wait()
    cpu(holder, sem, up_write)
    for me in (1, 2):
        cpu(queued_reader, sem, me)
    cpu(thief, sem)
    always(lambda: excluded(sem), "a writer is alone")
    at_rest(lambda: atomic_long_read(sem.count) == 0, "nothing is left in the word")
    sometimes(lambda: atomic_read(sem.readers) == 2, "both readers are in")
    sometimes(lambda: atomic_long_read(sem.count) == WRITER_LOCKED | WAITERS and atomic_read(sem.writers) == 0, "the writer steals it")


@scheme
def told_before_counted():
    sem = two_readers_wait()
    cpu(holder, sem, up_write_tells_first)
    for me in (1, 2):
        cpu(queued_reader, sem, me)
    cpu(thief, sem)
    always(lambda: excluded(sem), "a writer is alone")


@scheme
def up_looks_first():
    sem = rw_semaphore(count=WRITER_LOCKED, writers=1)
    cpu(holder, sem, up_write_looks_first)
    cpu(reader, sem, 1)
