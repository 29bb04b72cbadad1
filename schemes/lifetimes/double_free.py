"""Two CPUs close one connection. Who takes the pointer frees what it points to; who only looks at it does not know whether it may.

`taken` exchanges the pointer for NULL in one step. `looked_at` reads it, frees, and then stores NULL. `queued_twice` does that
with kfree_rcu(), where debug objects of the kernel find it.
"""
from lockverse import *


@struct
class buffer:
    used: u8
    rcu: rcu_head


@struct
class connection:
    buffer: ptr[buffer]


def close_taken(conn):
    kfree(xchg(conn.buffer, NULL))


def close_looked_at(conn):
    buf = READ_ONCE(conn.buffer)
    if buf:
        kfree(buf)
        WRITE_ONCE(conn.buffer, NULL)


def close_queued(conn):
    buf = READ_ONCE(conn.buffer)
    if buf:
        kfree_rcu(buf, "rcu")
        WRITE_ONCE(conn.buffer, NULL)


def opened():
    pool(buffer, 1)
    return connection(buffer=kmalloc(buffer))


@scheme
def taken():
    conn = opened()
    cpu(close_taken, conn)
    cpu(close_taken, conn)


@scheme
def looked_at():
    conn = opened()
    cpu(close_looked_at, conn)
    cpu(close_looked_at, conn)


@scheme
def queued_twice():
    conn = opened()
    cpu(close_queued, conn)
    cpu(close_queued, conn)
