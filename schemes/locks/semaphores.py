"""A semaphore, which anybody may up(), and whose trylock says 0 when it worked (include/linux/semaphore.h, Linux 6.1).

`counts` fills and empties a ring of two places. `inverted` takes 1 for success, as with all other trylocks, and goes in where it must not.
"""
from lockverse import *


@struct
class ring:
    free: semaphore
    used: semaphore
    filled: atomic_t


def put(r):
    for _ in range(2):
        down(r.free)
        atomic_inc(r.filled)
        up(r.used)


def get(r):
    for _ in range(2):
        down(r.used)
        atomic_dec(r.filled)
        up(r.free)


def try_to_put(r):
    if down_trylock(r.free):
        atomic_inc(r.filled)
        up(r.used)


@scheme
def counts():
    r = ring(free=1)
    cpu(put, r)
    cpu(get, r)
    always(lambda: 0 <= atomic_read(r.filled) <= 1)


@scheme
def inverted():
    r = ring(free=1)
    cpu(try_to_put, r)
    cpu(try_to_put, r)
    cpu(try_to_put, r)
    always(lambda: 0 <= atomic_read(r.filled) <= 1)
