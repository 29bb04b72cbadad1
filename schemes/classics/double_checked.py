"""Double-checked initialisation (Schmidt and Harrison, "Double-checked locking", PLoPD 3, 1997), and how it goes wrong.

The fast path looks without the lock, the slow path looks again under it. `publish_last` makes the object ready before
its pointer can be seen. `publish_first` stores the pointer first: a reader on the fast path gets an object that is not
ready. `checked_once` forgets the second look: the object is made ready twice.
"""
from lockverse import *


@struct
class device:
    ready: bool
    inits: atomic_t


@struct
class registry:
    lock: spinlock_t
    dev: ptr[device]


def init(dev):
    atomic_inc(dev.inits)
    WRITE_ONCE(dev.ready, True)


def use(dev):
    WARN_ON(not READ_ONCE(dev.ready), "used before it is ready")


def get_publish_last(r, dev):
    if smp_load_acquire(r.dev) == NULL:
        with r.lock:
            if READ_ONCE(r.dev) == NULL:
                init(dev)
                smp_store_release(r.dev, dev)
    use(r.dev)


def get_publish_first(r, dev):
    if smp_load_acquire(r.dev) == NULL:
        with r.lock:
            if READ_ONCE(r.dev) == NULL:
                WRITE_ONCE(r.dev, dev)
                init(dev)
    use(r.dev)


def get_checked_once(r, dev):
    if smp_load_acquire(r.dev) == NULL:
        with r.lock:
            init(dev)
            smp_store_release(r.dev, dev)
    use(r.dev)


@scheme
def publish_last():
    dev = device()
    r = registry()
    cpu(get_publish_last, r, dev)
    cpu(get_publish_last, r, dev)
    at_rest(lambda: atomic_read(dev.inits) == 1, "made ready once")


@scheme
def publish_first():
    dev = device()
    r = registry()
    cpu(get_publish_first, r, dev)
    cpu(get_publish_first, r, dev)


@scheme
def checked_once():
    dev = device()
    r = registry()
    cpu(get_checked_once, r, dev)
    cpu(get_checked_once, r, dev)
    at_rest(lambda: atomic_read(dev.inits) == 1, "made ready once")
