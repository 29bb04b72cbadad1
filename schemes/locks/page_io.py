"""A page is locked for a read from disk, and unlocked by whoever finishes it (mm/filemap.c, Linux 6.1): no task holds it.

`finished` waits for the end of the read and sees what was read. `forgotten` is a read that fails and leaves the page locked, so that
who waits for it waits for ever. `twice` unlocks a page that is not locked.
"""
from lockverse import *


@struct
class page:
    flags: u64
    uptodate: bool
    submitted: bool
    fails: bool


def read_page(p):
    lock_page(p)
    WRITE_ONCE(p.submitted, True)
    wait_on_page_locked(p)
    assert READ_ONCE(p.uptodate), "what was waited for has been read"


def end_read(p):
    while not READ_ONCE(p.submitted):
        cpu_relax()
    if READ_ONCE(p.fails):
        return
    WRITE_ONCE(p.uptodate, True)
    unlock_page(p)


def end_read_twice(p):
    end_read(p)
    unlock_page(p)


@scheme
def finished():
    p = page()
    cpu(read_page, p)
    cpu(end_read, p)


@scheme
def forgotten():
    p = page(fails=True)
    cpu(read_page, p)
    cpu(end_read, p)


@scheme
def twice():
    p = page()
    cpu(read_page, p)
    cpu(end_read_twice, p)
