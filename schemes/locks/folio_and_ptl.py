"""The folio lock wanted under the page-table lock, as the mover of charges wants it (mem_cgroup_move_account() in mm/memcontrol.c,
Linux 6.1).

The order is folio lock, then page-table lock, and the folio lock sleeps. Who comes the other way may only try. `locks` sleeps with a
spinlock held, and in a kernel that let it would wait for a fault that waits for it; `tries` leaves the folio where it is.
"""
from lockverse import *


@struct
class folio:
    flags: u64
    mapped: u8
    charged: u8
    ptl: spinlock_t


def fault(f):
    folio_lock(f)
    with f.ptl:
        f.mapped += 1
    folio_unlock(f)


def move_and_lock(f):
    with f.ptl:
        folio_lock(f)
        f.charged += 1
        folio_unlock(f)


def move_and_try(f):
    with f.ptl:
        if folio_trylock(f):
            f.charged += 1
            folio_unlock(f)


@scheme
def locks():
    f = folio()
    cpu(fault, f)
    cpu(move_and_lock, f)


@scheme
def tries():
    f = folio()
    cpu(fault, f)
    cpu(move_and_try, f)
    at_rest(lambda: f.mapped == 1 and not folio_test_locked(f))
