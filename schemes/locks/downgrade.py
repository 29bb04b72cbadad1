"""A writer that goes on as a reader, and still sees what it wrote (downgrade_write() in kernel/locking/rwsem.c, Linux 6.1).

`downgrade` lets no writer in between. `let_go` gives the lock back and takes it again for reading.
"""
from lockverse import *


@struct
class inode:
    lock: rw_semaphore
    size: u8


def set_size(i, size):
    down_write(i.lock)
    i.size = size
    downgrade_write(i.lock)
    assert i.size == size, "nobody else has written"
    up_read(i.lock)


def set_size_and_let_go(i, size):
    down_write(i.lock)
    i.size = size
    up_write(i.lock)
    down_read(i.lock)
    assert i.size == size, "nobody else has written"
    up_read(i.lock)


@scheme
def downgrade():
    i = inode()
    cpu(set_size, i, 1)
    cpu(set_size, i, 2)


@scheme
def let_go():
    i = inode()
    cpu(set_size_and_let_go, i, 1)
    cpu(set_size_and_let_go, i, 2)
