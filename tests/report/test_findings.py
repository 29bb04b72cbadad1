"""Reports of what no one execution shows: circles of locks of any length, and locks behind which handlers wait.

Expected lines are written by hand from kernel/locking/lockdep.c, Linux 6.1, and from the reports that are named; places as in
test_formats.py, which has the rest of the layouts.
"""

from __future__ import annotations

from pathlib import Path

from lockverse.report.story import tell
from lockverse.report.text import draw
from lockverse.trace.model import Reason

from .common import lines_of, trace_of


def test_a_circle_of_four_that_no_execution_has(tmp_path: Path) -> None:
    """By hand: the only step before the others' picks which of them takes its locks, so each execution has one order at most; the four
    make a circle, and for each the report says who takes the lock where."""
    body = """
    def ordered(a, b, n, x):
        if READ_ONCE(x.n) == n:
            with a.lock, b.lock:
                pass

    def pick(x):
        WRITE_ONCE(x.n, choose(1, 2, 3, 4))
    """
    scene = "x, a, b, c, d = node(), node(), node(), node(), node()\ncpu(ordered, a, b, 1, x)\ncpu(ordered, b, c, 2, x)\ncpu(ordered, c, d, 3, x)\ncpu(ordered, d, a, 4, x)\ncpu(pick, x)"
    trace = trace_of(tmp_path, body, scene)
    assert trace.failure.reason is Reason.LOCK_ORDER and len(trace.failure.chain) == 4
    locks = [one.wanted for one in trace.failure.chain]
    follows = {"a.lock": "b.lock", "b.lock": "c.lock", "c.lock": "d.lock", "d.lock": "a.lock"}
    assert [one.held for one in trace.failure.chain[1:]] == locks[:-1] and all(follows[one.held] == one.wanted for one in trace.failure.chain)
    lines = lines_of(trace, "lockdep")
    assert [line.partition("{")[0] for line in lines if line.startswith("-> #")] == [f"-> #{n} ({locks[n]})" for n in (3, 2, 1, 0)]
    assert lines.count("       [ in another execution ]") == 3 and lines.count("       ordered (3)") == 4
    at = lines.index("Chain exists of:")
    assert lines[at + 1] == f"  {locks[0]} --> {locks[2]} --> {locks[3]}"
    assert [line.strip() for line in lines[at + 7 : at + 11]] == [f"lock({locks[n]});" for n in (3, 2, 3, 0)]
    shown = draw(tell(trace)).splitlines()
    at = shown.index("in other executions:")
    assert [line for line in shown[at:] if line.endswith("is held:")] == [f"  ordered() takes {one.wanted} while {one.held} is held:" for one in trace.failure.chain[1:]]


UNSAFE = """
========================================================
WARNING: possible irq lock inversion dependency detected
lockverse Not tainted
--------------------------------------------------------
outside/0 just changed the state of lock:
 (x.other){+.+.}-{2:2}, at: outside (17)
but this lock was taken by another, HARDIRQ-safe lock in the past:
 (x.lock){-...}-{2:2}


and interrupts could create inverse lock ordering between them.


other info that might help us debug this:
 Possible interrupt unsafe locking scenario:

       CPU0                    CPU1
       ----                    ----
  lock(x.other);
                               local_irq_disable();
                               lock(x.lock);
                               lock(x.other);
  <Interrupt>
    lock(x.lock);

 *** DEADLOCK ***

no locks held by outside/0.

the shortest dependencies between 2nd lock and 1st lock:
 -> (x.lock){-...}-{2:2} {
    IN-HARDIRQ-W at:
                     [ in another execution ]
                     irq (2)
  }
  ... acquired at:
   [ in another execution ]
   inner (11)

-> (x.other){+.+.}-{2:2} {
   HARDIRQ-ON-W at:
                    outside (17)
 }

stack backtrace:
CPU: 0 PID: 0 Comm: outside Not tainted lockverse
Call Trace:
 <TASK>
 outside (17)
 </TASK>
"""


def test_an_unsafe_lock_behind_a_safe_one(tmp_path: Path) -> None:
    """print_irq_inversion_bug of kernel/locking/lockdep.c, Linux 6.1, and the report of openwrt/openwrt#13921: both columns, the handler's
    lock in CPU0 under the interrupt. The flag keeps the two orders apart, so nothing deadlocks."""
    body = """
        def irq(x):
            spin_lock(x.lock)
            spin_unlock(x.lock)


        def inner(x):
            if not smp_load_acquire(x.flag):
                return
            local_irq_disable()
            with x.lock:
                with x.other:
                    pass
            local_irq_enable()


        def outside(x):
            with x.other:
                pass
            smp_store_release(x.flag, True)
    """
    trace = trace_of(tmp_path, body, "x = node()\nc = cpu(outside, x)\ncpu(inner, x)\ninterrupt(irq, x, on=c)")
    assert trace.failure.reason is Reason.IRQ_LOCK_INVERSION
    assert lines_of(trace, "lockdep") == UNSAFE.strip("\n").split("\n")
    shown = draw(tell(trace)).splitlines()
    at = shown.index("in other executions:")
    assert [line for line in shown[at:] if line.endswith(":")][1:] == ["  irq(), a hardirq, takes x.lock:", "  inner() takes x.other while x.lock is held:"]
