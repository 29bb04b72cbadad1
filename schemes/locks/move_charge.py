"""A mover that waits for mmap_lock while its holder waits for the mover ("memcg: avoid deadlock between move charge and
try_charge()", b1dd693e5b93, Linux 2.6.37).

Moving the charges of a task to another group, the mover reserves room there, and then wants mmap_lock. Whoever holds that
lock may be about to charge: he finds no room left, sees that a move is going on, and sleeps until it is over. `down_read`
waits for the lock all the same. `trylock` is what the kernel does since: it gives the room back, wakes who waits, and tries again.
"""
from lockverse import *


@struct
class mm_struct:
    mmap_lock: rw_semaphore


@struct
class move:
    moving: bool
    waitq: wait_queue_head_t


@struct
class mem_cgroup:
    room: atomic_t


def try_charge(memcg, mc):
    while not atomic_add_unless(memcg.room, -1, 0):
        if READ_ONCE(mc.moving):
            prepare_to_wait(mc.waitq, TASK_INTERRUPTIBLE)
            if READ_ONCE(mc.moving):
                schedule()
            finish_wait(mc.waitq)


def mlock(mm, memcg, mc):
    with scoped_guard(rwsem_write, mm.mmap_lock):
        try_charge(memcg, mc)


def begin(memcg, mc):
    WRITE_ONCE(mc.moving, True)
    return atomic_xchg(memcg.room, 0)


def give_back(memcg, mc, precharge):
    atomic_add(precharge, memcg.room)
    wake_up_all(mc.waitq)


def end(mm, memcg, mc, precharge):
    up_read(mm.mmap_lock)
    WRITE_ONCE(mc.moving, False)
    give_back(memcg, mc, precharge)


def move_and_wait(mm, memcg, mc):
    precharge = begin(memcg, mc)
    down_read(mm.mmap_lock)
    end(mm, memcg, mc, precharge)


def move_and_try(mm, memcg, mc):
    precharge = begin(memcg, mc)
    while not down_read_trylock(mm.mmap_lock):
        give_back(memcg, mc, precharge)
        precharge = 0
    end(mm, memcg, mc, precharge)


@scheme
def wait():
    mm = mm_struct()
    mc = move()
    memcg = mem_cgroup(room=1)
    cpu(move_and_wait, mm, memcg, mc)
    cpu(mlock, mm, memcg, mc)


@scheme
def trylock():
    mm = mm_struct()
    mc = move()
    memcg = mem_cgroup(room=1)
    cpu(move_and_try, mm, memcg, mc)
    cpu(mlock, mm, memcg, mc)
    at_rest(lambda: atomic_read(memcg.room) == 0, "one was charged, nothing is reserved")
