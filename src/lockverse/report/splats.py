"""Reports that come with lockdep and list the locks held: sleeping in atomic context, a lock held at the end or freed, misuse of RCU.

The layouts are those of `__might_resched` in kernel/sched/core.c, of `lockdep_sys_exit`, `print_held_locks_bug`,
`print_freed_lock_bug` and `lockdep_rcu_suspicious` in kernel/locking/lockdep.c, Linux 6.1. The parts of preempt_count are include/linux/preempt.h's.

Leaves out circles of locks and their contexts: lockdep.py.
"""

from __future__ import annotations

from typing import Final

from lockverse.trace.model import Trace

from .kernel import Locks, backtrace, banner, call_trace, place, who

_OFFSETS: Final = {"task": 0, "softirq": 0x100, "hardirq": 0x10000, "nmi": 0x100000}
_SOFTIRQS_DISABLED: Final = 0x200


def sleeping(trace: Trace, locks: Locks) -> list[str] | None:
    """What may sleep is called where that is not allowed."""
    failure = trace.failure
    if failure.thread is None or not failure.stack:
        return None
    thread = failure.thread
    context = trace.columns[thread].context
    count = locks.count(thread, "preempt_count") + locks.count(thread, "softirq_count") * _SOFTIRQS_DISABLED + _OFFSETS[context]
    irqs = int(bool(locks.count(thread, "irqs_disabled")) or context in ("hardirq", "nmi"))
    name, _, pid = who(trace, thread).rpartition("/")
    statement = trace.statements[failure.stack[-1]]
    return [
        f"BUG: sleeping function called from invalid context at {statement.file}:{statement.line}",
        f"in_atomic(): {int(count > 0)}, irqs_disabled(): {irqs}, non_block: 0, pid: {pid}, name: {name}",
        f"preempt_count: {count:x}, expected: 0",
        f"RCU nest depth: {locks.count(thread, 'rcu_read_lock_nesting')}, expected: 0",
        *locks.holding(thread), *call_trace(trace, thread, failure.stack),
    ]  # fmt: skip


def exit_with_lock(trace: Trace, locks: Locks) -> list[str] | None:
    """A lock is held when a task's function has returned: a system call, to lockdep. A handler's end is no way to user space."""
    thread = trace.failure.thread
    if thread is None or not locks.held.get(thread):
        return None
    if trace.columns[thread].context == "task":
        title = "WARNING: lock held when returning to user space!"
        head = [f"{who(trace, thread)} is leaving the kernel with locks still held!"]
    else:
        title, head = f"WARNING: {who(trace, thread)} still has locks held!", []
    rest = [] if head else backtrace(trace, thread, trace.failure.stack)
    return [*banner(title), *head, *locks.holding(thread), *rest]


def held_lock_freed(trace: Trace, locks: Locks) -> list[str] | None:
    """An object is freed, and one of its locks is held. The object's name stands for where it begins and ends."""
    thread = trace.failure.thread
    looked = [access.cell.rpartition(".")[0] for access in trace.events[-1].accesses] if trace.events else []
    found = next((one for takings in locks.held.values() for one in takings if one.lock in looked), None)
    if thread is None or found is None:
        return None
    return [
        *banner("WARNING: held lock freed!"),
        f"{who(trace, thread)} is freeing memory {found.lock.partition('.')[0]}, with a lock still held there!",
        f"{locks.named(found)}, at: {place(trace, found.thread, found.stack)}",
        *locks.holding(thread), *backtrace(trace, thread, trace.failure.stack),
    ]  # fmt: skip


def suspicious_rcu(trace: Trace, locks: Locks) -> list[str] | None:
    """RCU is used where it must not be, or not as it must be."""
    failure = trace.failure
    if failure.thread is None or not failure.stack:
        return None
    statement = trace.statements[failure.stack[-1]]
    return [
        *banner("WARNING: suspicious RCU usage"),
        f"{statement.file}:{statement.line} {failure.message}!", "",
        "other info that might help us debug this:", "", "",
        "rcu_scheduler_active = 2, debug_locks = 1",
        *locks.holding(failure.thread), *backtrace(trace, failure.thread, failure.stack),
    ]  # fmt: skip
