"""A configuration that is replaced: who stores the new one has to free the old one, and only one of two CPUs may.

`replaced` exchanges the pointers and frees what was there. `overwritten` stores the new one on top of the old one. `raced` reads
the old one first: both read the same, and of the two new ones the first is lost.
"""
from lockverse import *


@struct
class config:
    limit: u8


@struct
class device:
    config: ptr[config]


def new_config(limit):
    new = kmalloc(config)
    new.limit = limit
    return new


def set_replaced(dev, limit):
    kfree(xchg(dev.config, new_config(limit)))


def set_overwritten(dev, limit):
    WRITE_ONCE(dev.config, new_config(limit))


def set_raced(dev, limit):
    new = new_config(limit)
    old = READ_ONCE(dev.config)
    WRITE_ONCE(dev.config, new)
    if old:
        kfree(old)


@scheme
def replaced():
    pool(config, 3)
    dev = device()
    cpu(set_replaced, dev, 1)
    cpu(set_replaced, dev, 2)


@scheme
def overwritten():
    pool(config, 3)
    dev = device()
    cpu(set_overwritten, dev, 1)
    cpu(set_overwritten, dev, 2)


@scheme
def raced():
    pool(config, 3)
    dev = device()
    cpu(set_raced, dev, 1)
    cpu(set_raced, dev, 2)
