"""Reports in the layouts of the kernel's tools, line by line.

The expected lines are written by hand from those tools: the columns, rules and wordings of lockdep's reports from
kernel/locking/lockdep.c and Documentation/locking/lockdep-design.rst, of KCSAN's from kernel/kcsan/report.c and
Documentation/dev-tools/kcsan.rst, of KASAN's from mm/kasan/report.c (Linux 6.1; `slab-use-after-free` from 6.4). They are none of this
program's output. `(3)` stands for `(file:line)`, with the line counted from the beginning of the body.

Leaves out how the failures are found: tests/machine and tests/engine.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from lockverse.report.formats import FORMATS, fitting, formatted
from lockverse.trace.model import Link, Reason

from .common import lines_of, trace_of

TWO = "x = node()\ncpu(up, x)\ncpu(down, x)"
UP_DOWN = """
    def up(x):
        with x.lock:
            with x.other:
                pass

    def down(x):
        with x.other:
            with x.lock:
                pass
"""
CIRCULAR = """
======================================================
WARNING: possible circular locking dependency detected
lockverse Not tainted
------------------------------------------------------
down/1 is trying to acquire lock:
 (x.lock){+.+.}-{2:2}, at: down (8)

but task is already holding lock:
 (x.other){+.+.}-{2:2}, at: down (7)

which lock already depends on the new lock.


the existing dependency chain (in reverse order) is:

-> #1 (x.other){+.+.}-{2:2}:
       up (3)

-> #0 (x.lock){+.+.}-{2:2}:
       down (8)

other info that might help us debug this:

 Possible unsafe locking scenario:

       CPU0                    CPU1
       ----                    ----
  lock(x.other);
                               lock(x.lock);
                               lock(x.other);
  lock(x.lock);

 *** DEADLOCK ***

1 lock held by down/1:
 #0: (x.other){+.+.}-{2:2}, at: down (7)

stack backtrace:
CPU: 1 PID: 1 Comm: down Not tainted lockverse
Call Trace:
 <TASK>
 down (8)
 </TASK>
"""


def test_deadlock(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, UP_DOWN, TWO)
    assert trace.failure.reason is Reason.DEADLOCK
    lines = lines_of(trace, "lockdep")
    assert lines == CIRCULAR.strip("\n").split("\n")
    heads = next(line for line in lines if "CPU0 " in line)
    assert (heads.index("CPU0"), heads.index("CPU1")) == (7, 31)


def test_a_circle_of_three_exists_of_a_chain(tmp_path: Path) -> None:
    """CPU2 closes the circle a -> b -> c -> a: it holds c and wants a, and the lock before c is b."""
    body = "def run(a, b):\n    with a.lock, b.lock:\n        pass"
    trace = trace_of(tmp_path, body, "a = node()\nb = node()\nc = node()\ncpu(run, a, b)\ncpu(run, b, c)\ncpu(run, c, a)")
    lines = lines_of(trace, "lockdep")
    chain = lines[lines.index("Chain exists of:") :]
    assert [line for line in lines if line.startswith("-> #")] == [f"-> #{n} ({name}.lock){{+.+.}}-{{2:2}}:" for n, name in ((2, "c"), (1, "b"), (0, "a"))]
    assert chain[:10] == [
        "Chain exists of:", "  a.lock --> b.lock --> c.lock", "", " Possible unsafe locking scenario:", "",
        "       CPU0                    CPU1", "       ----                    ----",
        "  lock(c.lock);", "                               lock(b.lock);", "                               lock(c.lock);",
    ]  # fmt: skip


def test_lock_order_elsewhere(tmp_path: Path) -> None:
    """A third lock keeps the two apart: no execution deadlocks, and whichever order the trace has, it has not the other, but says who has."""
    body = """
        def up(x):
            with x.next.lock, x.lock, x.other:
                pass


        def down(x):
            with x.next.lock, x.other, x.lock:
                pass
    """
    trace = trace_of(tmp_path, body, "x = node()\ny = node()\nx.next = y\ncpu(up, x)\ncpu(down, x)")
    down = trace.failure.thread == 1
    wanted, held, who, elsewhere = ("x.lock", "x.other", "down/1", "up (2)") if down else ("x.other", "x.lock", "up/0", "down (7)")
    lines = lines_of(trace, "lockdep")
    at = lines.index("the existing dependency chain (in reverse order) is:")
    assert lines[at + 1 : at + 6] == ["", f"-> #1 ({held}){{+.+.}}-{{2:2}}:", "       [ in another execution ]", f"       {elsewhere}", ""]
    assert lines[at + 6] == f"-> #0 ({wanted}){{+.+.}}-{{2:2}}:"
    at = lines.index(f"2 locks held by {who}:")
    assert [line.partition(",")[0] for line in lines[at + 1 : at + 3]] == [" #0: (y.lock){+.+.}-{2:2}", f" #1: ({held}){{+.+.}}-{{2:2}}"]


def test_lock_order_in_one_execution(tmp_path: Path) -> None:
    """One CPU after the other: the trace has both orders, as the report of a deadlock would."""
    body = """
        def up(x):
            with x.lock, x.other:
                pass
            smp_store_release(x.flag, True)


        def down(x):
            while not smp_load_acquire(x.flag):
                cpu_relax()
            with x.other, x.lock:
                pass
    """
    lines = lines_of(trace_of(tmp_path, body, TWO), "lockdep")
    at = lines.index("the existing dependency chain (in reverse order) is:")
    assert lines[at + 1 : at + 7] == ["", "-> #1 (x.other){+.+.}-{2:2}:", "       up (2)", "", "-> #0 (x.lock){+.+.}-{2:2}:", "       down (10)"]


def test_a_reader_is_rlock(tmp_path: Path) -> None:
    body = """
        @struct
        class device:
            sem: rw_semaphore
            m: mutex


        def up(d):
            down_read(d.sem)
            mutex_lock(d.m)
            mutex_unlock(d.m)
            up_read(d.sem)


        def down(d):
            mutex_lock(d.m)
            down_write(d.sem)
            up_write(d.sem)
            mutex_unlock(d.m)
    """
    lines = lines_of(trace_of(tmp_path, body, "d = device()\ncpu(up, d)\ncpu(down, d)"), "lockdep")
    at = lines.index("       CPU0                    CPU1")
    assert lines[at + 2 : at + 6] == [
        "  lock(d.m);", "                               rlock(d.sem);", "                               lock(d.m);", "  lock(d.sem);",
    ]  # fmt: skip
    assert " (d.sem){++++}-{3:3}, at: down (16)" in lines


def test_a_deadlock_that_is_not_of_locks_alone(tmp_path: Path) -> None:
    """CPU0 waits for an IPI, CPU1 for a lock with IPIs disabled: the circle is not one of locks."""
    body = """
        @struct
        class device:
            csd: call_single_data_t
            lock: spinlock_t
            n: u8


        def send(d):
            with d.lock:
                smp_call_function_single(d.csd, True)


        def wait(d):
            local_irq_disable()
            with d.lock:
                pass
            local_irq_enable()


        def called(d):
            WRITE_ONCE(d.n, 1)
    """
    trace = trace_of(tmp_path, body, "d = device()\ncpu(send, d)\nc = cpu(wait, d)\nipi(d.csd, called, d, on=c)")
    assert trace.failure.reason is Reason.DEADLOCK and fitting(trace) == ("diagram",)


RECURSIVE = """
============================================
WARNING: possible recursive locking detected
lockverse Not tainted
--------------------------------------------
run/0 is trying to acquire lock:
 (x.lock){+.+.}-{2:2}, at: inner (2)

but task is already holding lock:
 (x.lock){+.+.}-{2:2}, at: run (6)

other info that might help us debug this:
 Possible unsafe locking scenario:

       CPU0
       ----
  lock(x.lock);
  lock(x.lock);

 *** DEADLOCK ***

 May be due to missing lock nesting notation

1 lock held by run/0:
 #0: (x.lock){+.+.}-{2:2}, at: run (6)

stack backtrace:
CPU: 0 PID: 0 Comm: run Not tainted lockverse
Call Trace:
 <TASK>
 inner (2)
 run (7)
 </TASK>
"""
BAD_UNLOCK = """
=====================================
WARNING: bad unlock balance detected!
lockverse Not tainted
-------------------------------------
run/0 is trying to release lock (x.lock) at:
run (2)
but there are no more locks to release!

other info that might help us debug this:
no locks held by run/0.

stack backtrace:
CPU: 0 PID: 0 Comm: run Not tainted lockverse
Call Trace:
 <TASK>
 run (2)
 </TASK>
"""
AT_EXIT = """
================================================
WARNING: lock held when returning to user space!
lockverse Not tainted
------------------------------------------------
run/0 is leaving the kernel with locks still held!
1 lock held by run/0:
 #0: (x.lock){....}-{2:2}, at: run (2)
"""
SLEEPING = """
BUG: sleeping function called from invalid context at 3
in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 0, name: run
preempt_count: 1, expected: 0
RCU nest depth: 0, expected: 0
1 lock held by run/0:
 #0: (x.lock){+.+.}-{2:2}, at: run (2)
CPU: 0 PID: 0 Comm: run Not tainted lockverse
Call Trace:
 <TASK>
 run (3)
 </TASK>
"""
RCU = """
=============================
WARNING: suspicious RCU usage
lockverse Not tainted
-----------------------------
3 synchronize_rcu() inside a reader waits for itself!

other info that might help us debug this:


rcu_scheduler_active = 2, debug_locks = 1
1 lock held by run/0:
 #0: (rcu_read_lock){....}-{1:2}, at: run (2)

stack backtrace:
CPU: 0 PID: 0 Comm: run Not tainted lockverse
Call Trace:
 <TASK>
 run (3)
 </TASK>
"""
ONE_CPU = {
    "recursive": ("def inner(x):\n    spin_lock(x.lock)\n\n\ndef run(x):\n    spin_lock(x.lock)\n    inner(x)", RECURSIVE),
    "bad unlock": ("def run(x):\n    spin_unlock(x.lock)", BAD_UNLOCK),
    "at exit": ("def run(x):\n    spin_lock_irq(x.lock)\n    local_irq_enable()", AT_EXIT),
    "sleeping": ("def run(x):\n    spin_lock(x.lock)\n    might_sleep()", SLEEPING),
    "RCU": ("def run(x):\n    rcu_read_lock()\n    synchronize_rcu()", RCU),
}


@pytest.mark.parametrize("name", ONE_CPU)
def test_one_cpu(tmp_path: Path, name: str) -> None:
    body, expected = ONE_CPU[name]
    assert lines_of(trace_of(tmp_path, body, "x = node()\ncpu(run, x)"), "lockdep") == expected.strip("\n").split("\n")


INCONSISTENT = """
================================
WARNING: inconsistent lock state
lockverse Not tainted
--------------------------------
inconsistent {HARDIRQ-ON-W} -> {IN-HARDIRQ-W} usage.
run/0 [HC1[1]:SC0[0]:HE0:SE0] takes:
 (x.lock){?.+.}-{2:2}, at: irq (2)
{HARDIRQ-ON-W} state was registered at:
  run (7)

other info that might help us debug this:
 Possible unsafe locking scenario:

       CPU0
       ----
  lock(x.lock);
  <Interrupt>
    lock(x.lock);

 *** DEADLOCK ***

1 lock held by run/0:
 #0: (x.lock){+.+.}-{2:2}, at: run (7)

stack backtrace:
CPU: 0 PID: 0 Comm: run Not tainted lockverse
Call Trace:
 <IRQ>
 irq (2)
 </IRQ>
 <TASK>
 run (8)
 </TASK>
"""
IRQ = "def irq(x):\n    spin_lock(x.lock)\n    spin_unlock(x.lock)\n\n\ndef run(x):\n    spin_lock(x.lock)\n    spin_unlock(x.lock)"


def test_a_handler_waits_for_what_it_interrupts(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, IRQ, "x = node()\ninterrupt(irq, x, on=cpu(run, x))")
    assert lines_of(trace, "lockdep") == INCONSISTENT.strip("\n").split("\n")


@pytest.mark.parametrize(("handler", "context"), [("interrupt", "HARDIRQ"), ("softirq", "SOFTIRQ")])
def test_inversion(tmp_path: Path, handler: str, context: str) -> None:
    """The handler is on one CPU, who takes the lock with handlers enabled on another: no execution deadlocks."""
    scene = f"x = node()\nc = cpu(idle, x)\ncpu(run, x)\n{handler}(irq, x, on=c)"
    lines = lines_of(trace_of(tmp_path, IRQ + "\n\n\ndef idle(x):\n    smp_mb()", scene), "lockdep")
    usage = "?.+." if context == "HARDIRQ" else "+.?."
    assert lines[4:10] == [
        f"inconsistent {{IN-{context}-W}} -> {{{context}-ON-W}} usage.", "run/1 [HC0[0]:SC0[0]:HE1:SE1] takes:",
        f" (x.lock){{{usage}}}-{{2:2}}, at: run (7)", f"{{IN-{context}-W}} state was registered at:", "  [ in another execution ]", "  irq (2)",
    ]  # fmt: skip


def test_sleeping_in_a_handler(tmp_path: Path) -> None:
    """preempt_count has HARDIRQ_OFFSET; the stack of the handler is above that of the task."""
    lines = lines_of(trace_of(tmp_path, "def irq(x):\n    might_sleep()\n\n\ndef run(x):\n    smp_mb()", "x = node()\ninterrupt(irq, x, on=cpu(run, x))"), "lockdep")
    assert lines[1:4] == [
        "in_atomic(): 1, irqs_disabled(): 1, non_block: 0, pid: 0, name: run", "preempt_count: 10000, expected: 0", "RCU nest depth: 0, expected: 0",
    ]  # fmt: skip
    assert " <IRQ>" in lines and lines[-1] in (" </IRQ>", " </TASK>")


def test_a_lock_freed_while_held(tmp_path: Path) -> None:
    lines = lines_of(trace_of(tmp_path, "def run(x):\n    spin_lock(x.lock)\n    kfree(x)", "pool(node, 1)\nx = kmalloc(node)\ncpu(run, x)"), "lockdep")
    assert lines[:8] == [
        "=========================", "WARNING: held lock freed!", "lockverse Not tainted", "-------------------------",
        "run/0 is freeing memory x, with a lock still held there!", " (x.lock){+.+.}-{2:2}, at: run (2)",
        "1 lock held by run/0:", " #0: (x.lock){+.+.}-{2:2}, at: run (2)",
    ]  # fmt: skip


# KCSAN

KCSAN = """
==================================================================
BUG: KCSAN: data-race in look / store

write to x.n of 1 bytes by task 0 on cpu 0:
 store (2)

read to x.n of 1 bytes by task 1 on cpu 1:
 look (6)

value changed: 0x00 -> 0x2a

Reported by Kernel Concurrency Sanitizer on:
CPU: 1 PID: 1 Comm: look Not tainted lockverse
==================================================================
"""


def test_kcsan(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "def store(x):\n    x.n = 42\n\n\ndef look(x):\n    return x.n", "x = node()\ncpu(store, x)\ncpu(look, x)")
    lines = lines_of(trace, "kcsan")
    assert lines == KCSAN.strip("\n").split("\n")
    assert lines[0] == lines[-1] == "=" * 66


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("WRITE_ONCE(x.big, -1)", "return x.big", ["write (marked) to x.big of 8 bytes", "read to x.big of 8 bytes", "0x0000000000000000 -> 0xffffffffffffffff"]),
        ("x.next = x", "return READ_ONCE(x.next)", ["write to x.next of 8 bytes", "read (marked) to x.next of 8 bytes", "NULL -> x"]),
        ("xchg(x.n, 3)", "return x.n", ["read-write (marked) to x.n of 1 bytes", "read to x.n of 1 bytes", "0x00 -> 0x03"]),
        ("x.flag = True", "x.flag = True", ["write to x.flag of 1 bytes", "write to x.flag of 1 bytes", "0x00 -> 0x01"]),
        ("x.n = 0", "return x.n", ["write to x.n of 1 bytes", "read to x.n of 1 bytes"]),
    ],
)
def test_kcsan_accesses(tmp_path: Path, one: str, other: str, expected: list[str]) -> None:
    """What each side is; the value is in all its bytes, or a name, and is left out where it stays what it was."""
    lines = lines_of(trace_of(tmp_path, f"def one(x):\n    {one}\n\n\ndef two(x):\n    {other}", "x = node()\ncpu(one, x)\ncpu(two, x)"), "kcsan")
    found = [line.partition(" by ")[0] for line in lines if " by task " in line]
    found += [line.removeprefix("value changed: ") for line in lines if line.startswith("value changed")]
    assert found == expected


def test_kcsan_in_an_interrupt(tmp_path: Path) -> None:
    body = "def irq(x):\n    x.n = 1\n    smp_mb()\n\n\ndef idle(x):\n    smp_mb()\n\n\ndef look(x):\n    return x.n"
    lines = lines_of(trace_of(tmp_path, body, "x = node()\nc = cpu(idle, x)\ncpu(look, x)\ninterrupt(irq, x, on=c)"), "kcsan")
    assert "write to x.n of 1 bytes by interrupt on cpu 0:" in lines and "read to x.n of 1 bytes by task 1 on cpu 1:" in lines


# KASAN

KASAN = """
==================================================================
BUG: KASAN: slab-use-after-free in use (14)
Write of size 8 at addr node#0.big by task use/1

CPU: 1 PID: 1 Comm: use Not tainted lockverse
Call Trace:
 <TASK>
 use (14)
 </TASK>

Allocated by task 0:
 kmalloc
 make (6)

Freed by task 0:
 kfree
 drop (2)
 make (8)

The buggy address belongs to the object at node#0
==================================================================
"""

def test_use_after_free(tmp_path: Path) -> None:
    body = """
        def drop(x):
            kfree(xchg(x.next, NULL))


        def make(x):
            y = kmalloc(node)
            WRITE_ONCE(x.next, y)
            drop(x)


        def use(x):
            y = READ_ONCE(x.next)
            assume(y != NULL)
            WRITE_ONCE(y.big, 1)
    """
    lines = lines_of(trace_of(tmp_path, body, "pool(node, 1)\nx = node()\ncpu(make, x)\ncpu(use, x)"), "kasan")
    assert lines == KASAN.strip("\n").split("\n")


def test_double_free(tmp_path: Path) -> None:
    """The scheme made the object itself: nothing says who allocated it."""
    lines = lines_of(trace_of(tmp_path, "def run(x):\n    kfree(x)", "pool(node, 1)\nx = kmalloc(node)\ncpu(run, x)\ncpu(run, x)"), "kasan")
    assert lines[:3] == ["=" * 66, "BUG: KASAN: double-free in run (2)", "Free of addr x by task run/1"]
    assert lines[-6:] == ["Freed by task 0:", " kfree", " run (2)", "", "The buggy address belongs to the object at x", "=" * 66]
    assert not any(line.startswith("Allocated") for line in lines)


# Which fit


def test_what_fits(tmp_path: Path) -> None:
    assert FORMATS == ("diagram", "lockdep", "kcsan", "kasan")
    deadlock = trace_of(tmp_path, UP_DOWN, TWO)
    assert fitting(deadlock) == ("diagram", "lockdep")
    assert formatted(deadlock, "kcsan") == "kcsan has no report for this (deadlock); formats that fit: diagram, lockdep\n"
    race = trace_of(tmp_path, "def run(x):\n    x.n = 1", "x = node()\ncpu(run, x)\ncpu(run, x)")
    assert fitting(race) == ("diagram", "kcsan")
    count = trace_of(tmp_path, "def run(x):\n    assert x.flag", "x = node()\ncpu(run, x)")
    assert fitting(count) == ("diagram",)


OWN, OTHER = Link(0, "x.lock", (), "spin_lock", "x.other", (), "hardirq"), Link(0, "x.other", (), "spin_lock", moves=((0, 0),))


@pytest.mark.parametrize("reason", Reason)
def test_a_trace_that_says_little_is_no_fault(tmp_path: Path, reason: Reason) -> None:
    """Whatever a trace file claims to have failed for: a report, or none, and never an exception."""
    whole = trace_of(tmp_path, "def run(x):\n    assert x.flag", "x = node()\ncpu(run, x)")
    for thread in (whole.failure.thread, None):
        for events in (whole.events, ()):
            for chain in ((), (OWN,), (OWN, OTHER)):
                trace = replace(whole, events=events, failure=replace(whole.failure, reason=reason, thread=thread, stack=(), chain=chain))
                assert fitting(trace)[0] == "diagram"
