"""Tasks: what each CPU runs, and what the vocabulary keeps for each.

Under plain Python one task runs at a time, the boot task unless `running()` says otherwise. Leaves out scheduling:
which task runs when is the search's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .errors import NotInScheme, WouldBlock
from .step import intrinsic
from .structs import struct
from .types import u8, u16, u64

TASK_RUNNING = 0  # the state of a task that does not sleep; wait.py has the others


@struct(kind="task", opaque=True)
class task_struct:
    """A task, or a handler: its number, its CPU and its context (0, SOFTIRQ, HARDIRQ or NMI), how deep it is in RCU read
    sections, whose sections its grace period waits for (a bit each), how deep it is in what may not be preempted
    (preempt_count), run softirqs (softirq_count) or be interrupted, whether it is a handler that has begun, and whether it
    sleeps or is about to (state), and for which bit (bit_wait). Of one that runs RCU's callbacks, the number of the one that is queued; of one in rcu_barrier(), the
    tasks whose callbacks it waits for, and of these the ones that must end one more first. Of a kernel thread, whether it has been asked to return, and
    whether it has."""

    pid: u8  # type: ignore[valid-type]
    rcu_read_lock_nesting: u8  # type: ignore[valid-type]
    rcu_blockers: u64  # type: ignore[valid-type]
    preempt_count: u8  # type: ignore[valid-type]
    softirq_count: u8  # type: ignore[valid-type]
    irqs_disabled: bool
    in_handler: bool
    cpu: u8  # type: ignore[valid-type]
    context: u8  # type: ignore[valid-type]
    state: u16  # type: ignore[valid-type]
    bit_wait: u64  # type: ignore[valid-type]
    rcu_callback: u8  # type: ignore[valid-type]
    rcu_barrier: u64  # type: ignore[valid-type]
    rcu_barrier_later: u64  # type: ignore[valid-type]
    kthread_should_stop: bool
    kthread_exited: bool


SOFTIRQ, HARDIRQ, NMI = 1, 2, 3  # of task_struct.context; each interrupts those before it


class _Running:
    """The tasks of plain Python: all there are, and the one that runs."""

    def __init__(self) -> None:
        self.boot = task_struct()
        self.current = self.boot
        self.all = [self.boot]
        self.cpus = 1  # 0 while a scene is being built


_running = _Running()


@intrinsic
def current_task() -> task_struct:
    """The task that runs this, as the kernel's `current`."""
    return _running.current


@intrinsic
def all_tasks() -> list[task_struct]:
    """All tasks, in the order of their CPUs. Stands only in a for loop."""
    return _running.all


@intrinsic
def smp_processor_id() -> int:
    """The number of the CPU that runs this."""
    return int(_running.current.cpu)


@intrinsic
def num_possible_cpus() -> int:
    """How many CPUs there are. Under plain Python: as many as tasks have run on."""
    if not _running.cpus:
        raise NotInScheme("how many CPUs there are is known when the scheme function has ended")
    return _running.cpus


@intrinsic
def num_online_cpus() -> int:
    """As num_possible_cpus(): no CPU goes offline here."""
    return num_possible_cpus()


@contextmanager
def cpu_count(cpus: int) -> Iterator[None]:
    """What is inside runs where there are so many CPUs (plain Python only); 0 if that is not known yet."""
    before, _running.cpus = _running.cpus, cpus
    try:
        yield
    finally:
        _running.cpus = before


@intrinsic
def wait_until(condition: object) -> None:
    """In a @step, before anything is written: the step can happen only when `condition` is true.

    Under plain Python nobody else runs, so a false condition raises WouldBlock.
    """
    if not condition:
        raise WouldBlock("this step waits for another task, and under plain Python no other task runs")


@contextmanager
def several(tasks: list[task_struct]) -> Iterator[Callable[[task_struct], None]]:
    """These are all tasks there are, for what is inside (plain Python only). Gives what makes one of them the one that runs."""
    before, known = _running.current, _running.all
    _running.all = tasks

    def enter(task: task_struct) -> None:
        _running.current = task

    try:
        yield enter
    finally:
        _running.current, _running.all = before, known


@contextmanager
def running(task: task_struct) -> Iterator[None]:
    """Run what is inside as that task (plain Python only)."""
    before, known = _running.current, _running.all
    _running.current = task
    if _running.cpus:
        _running.cpus = max(_running.cpus, smp_processor_id() + 1)
    if not any(one is task for one in known):
        _running.all = [*known, task]
    try:
        yield
    finally:
        _running.current, _running.all = before, known
