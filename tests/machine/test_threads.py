"""Kernel threads, sleeping for a time, lists without a lock, counts that come to zero under a lock: on both engines.

Expected results were thought out from the kernel's documentation of each (named in lang/). Leaves out schemes: schemes/contexts has one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .vocabulary import ends

HEAD = "from __future__ import annotations\nfrom lockverse import *\n\n\n"

THREAD = HEAD + """@struct
class s:
    n: u8
    waitq: wait_queue_head_t
    done: completion
    lock: spinlock_t


def worker(x):
    while not kthread_should_stop():
        {step}
    x.n = 7


def stop(x, t):
    kthread_stop(t)
    assert x.n == 7


@scheme
def one():
    x = s()
    t = kthread(worker, x)
    cpu(stop, x, t)
"""


@pytest.mark.parametrize(("step", "reason"), [("wait_event_interruptible(x.waitq, kthread_should_stop())", "holds"), ("msleep(10)", "holds"), ("schedule_timeout(10)", "holds")])
def test_a_thread_is_stopped(tmp_path: Path, step: str, reason: str) -> None:
    """kthread_stop() returns when the function has: what it wrote last is there. Who waits for a time is not woken and need not be."""
    assert ends(tmp_path, THREAD.format(step=step)) == reason


def test_a_thread_that_never_looks(tmp_path: Path) -> None:
    text = THREAD.replace("while not kthread_should_stop():\n        {step}", "wait_for_completion(x.done)")
    assert ends(tmp_path, text) == "deadlock"


TIMES = HEAD + """@struct
class s:
    ready: bool
    q: wait_queue_head_t
    c: completion
    lock: spinlock_t


def wait(x):
    {wait}


def wake(x):
    {wake}


@scheme
def one():
    x = s()
    cpu(wait, x)
    cpu(wake, x)
    {more}
"""


@pytest.mark.parametrize(
    ("wait", "wake", "reason"),
    [
        ("wait_event(x.q, x.ready)", "pass", "deadlock"),
        ("wait_event_timeout(x.q, READ_ONCE(x.ready), 10)", "pass", "holds"),  # nobody wakes it, but the time is over some time
        ("assert wait_event_timeout(x.q, READ_ONCE(x.ready), 10) == 0", "pass", "holds"),
        ("assert wait_event_timeout(x.q, READ_ONCE(x.ready), 10) != 0", "WRITE_ONCE(x.ready, True)\n    wake_up(x.q)", "assertion"),  # the time was over first
        ("if wait_event_timeout(x.q, READ_ONCE(x.ready), 10):\n        assert READ_ONCE(x.ready)", "WRITE_ONCE(x.ready, True)\n    wake_up(x.q)", "holds"),
        ("if not wait_event_timeout(x.q, READ_ONCE(x.ready), 10):\n        assert not READ_ONCE(x.ready)", "WRITE_ONCE(x.ready, True)\n    wake_up(x.q)", "assertion"),
        ("if wait_for_completion_timeout(x.c, 10):\n        assert READ_ONCE(x.ready)", "WRITE_ONCE(x.ready, True)\n    complete(x.c)", "holds"),
        ("assert wait_for_completion_timeout(x.c, 10)", "complete(x.c)", "assertion"),
        ("with x.lock:\n        msleep(1)", "pass", "sleeping-while-atomic"),
        ("with x.lock:\n        usleep_range(1, 2)", "pass", "sleeping-while-atomic"),
        ("with x.lock:\n        cond_resched()", "pass", "sleeping-while-atomic"),
        ("cond_resched()\n    ssleep(1)", "pass", "holds"),
        ("n = get_cpu()\n    msleep(1)\n    put_cpu()", "pass", "sleeping-while-atomic"),
        ("n = get_cpu()\n    assert n == 0 and not preemptible()\n    put_cpu()\n    assert preemptible()", "pass", "holds"),
        ("rcu_read_lock_bh()\n    assert in_interrupt()\n    rcu_read_unlock_bh()", "pass", "holds"),
        ("if likely(not READ_ONCE(x.ready)) or unlikely(False):\n        VM_WARN_ON_ONCE(READ_ONCE(x.ready))", "pass", "holds"),
        ("if unlikely(READ_ONCE(x.ready)):\n        VM_WARN_ON(True)", "WRITE_ONCE(x.ready, True)", "warning"),
    ],
)  # fmt: skip
def test_time(tmp_path: Path, wait: str, wake: str, reason: str) -> None:
    assert ends(tmp_path, TIMES.format(wait=wait, wake=wake, more="")) == reason


def test_a_reader_with_softirqs_disabled_is_waited_for(tmp_path: Path) -> None:
    """rcu_read_lock_bh() is a read section of RCU since the flavours were consolidated (4.20)."""
    wait = "rcu_read_lock_bh()\n    before = READ_ONCE(x.ready)\n    {}assert before or not READ_ONCE(x.lock)"
    text = TIMES.replace("lock: spinlock_t", "lock: bool")
    wake = "WRITE_ONCE(x.ready, True)\n    synchronize_rcu()\n    WRITE_ONCE(x.lock, True)"
    assert ends(tmp_path, text.format(wait=wait.format("") + "\n    rcu_read_unlock_bh()", wake=wake, more="")) == "holds"
    assert ends(tmp_path, text.format(wait=wait.format("rcu_read_unlock_bh()\n    "), wake=wake, more="")) == "assertion"


LIST = HEAD + """@struct
class item:
    seen: u8
    node: llist_node


@struct
class lists:
    head: llist_head
    first: bool


def add(x, one):
    if llist_add(one.node, x.head):
        {first}


def take(x):
    node: ptr[llist_node] = llist_del_all(x.head)
    while node:
        one = llist_entry(node, item, "node")
        one.seen += 1
        node = node.next


def pop(x):
    node = llist_del_first(x.head)
    if node:
        llist_entry(node, item, "node").seen += 1


@scheme
def added_and_taken():
    x = lists()
    a, b = item(), item()
    cpu(add, x, a)
    cpu(add, x, b)
    {taker}
    at_rest(lambda: a.seen <= 1 and b.seen <= 1)
    sometimes(lambda: {sometimes})
"""


def test_a_list_without_a_lock(tmp_path: Path) -> None:
    """Nothing is taken twice, and all can be taken at once."""
    assert ends(tmp_path, LIST.format(first="pass", taker="cpu(take, x)", sometimes="a.seen == 1 and b.seen == 1")) == "holds"
    assert ends(tmp_path, LIST.format(first="pass", taker="cpu(pop, x)", sometimes="a.seen + b.seen == 1")) == "holds"
    assert ends(tmp_path, LIST.format(first="pass", taker="cpu(pop, x)", sometimes="a.seen == 1 and b.seen == 1")) == "sometimes"


def test_who_adds_to_the_empty_list(tmp_path: Path) -> None:
    """One of two finds it empty; both may if it is emptied between."""
    first = 'WARN_ON(xchg(x.first, True), "two found the list empty")'
    assert ends(tmp_path, LIST.format(first=first, taker="", sometimes="x.first")) == "holds"
    assert ends(tmp_path, LIST.format(first=first, taker="cpu(take, x)", sometimes="x.first")) == "warning"


COUNT = HEAD + """@struct
class thing:
    users: atomic_t
    lock: spinlock_t
    guard: mutex
    dead: u8


def put(x):
    {put}


@scheme
def last_one_out():
    x = thing(users=2)
    cpu(put, x)
    cpu(put, x)
    at_rest(lambda: x.dead == 1 and atomic_read(x.users) == 0)
"""


@pytest.mark.parametrize(
    "put",
    [
        "if atomic_dec_and_lock(x.users, x.lock):\n        x.dead += 1\n        spin_unlock(x.lock)",
        "last, flags = atomic_dec_and_lock_irqsave(x.users, x.lock)\n    if last:\n        x.dead += 1\n        spin_unlock_irqrestore(x.lock, flags)",
        "if atomic_dec_and_mutex_lock(x.users, x.guard):\n        x.dead += 1\n        mutex_unlock(x.guard)",
    ],
)
def test_the_last_has_the_lock(tmp_path: Path, put: str) -> None:
    assert ends(tmp_path, COUNT.format(put=put)) == "holds"


def test_the_lock_is_held_by_the_last(tmp_path: Path) -> None:
    put = "if atomic_dec_and_lock(x.users, x.lock):\n        x.dead += 1"
    assert ends(tmp_path, COUNT.format(put=put)) == "lock-held-at-exit"
