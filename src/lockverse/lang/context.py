"""What a task may do where it is: preemption, softirqs and interrupts disabled, and whether it may sleep.

Each task has its own counts: what keeps a CPU from switching away keeps them the CPU's (include/linux/preempt.h and
irqflags.h, Linux 6.1). What they keep away is said once, in passes/contexts.py; a scheme in which nothing shares a CPU
pays for none of it. Leaves out what runs on a CPU and when (handlers.py, and the scene), and time.
"""

# mypy: disable-error-code="attr-defined,no-any-return"

from __future__ import annotations

from collections.abc import Callable

from .environment import require
from .features import feature, needs_feature
from .step import intrinsic, rides_along, step
from .task import HARDIRQ, NMI, SOFTIRQ, TASK_RUNNING, all_tasks, current_task, smp_processor_id, task_struct
from .types import ptr

# Parts of steps: a lock that keeps its holder from sleeping calls these inside its own.


def enter_atomic() -> None:
    """From here on the task may not sleep, nor be preempted. Inside a step."""
    if feature("preempt_count"):
        task = current_task()
        task.preempt_count += 1


def exit_atomic() -> None:
    """The end of what enter_atomic() began. Inside a step."""
    if feature("preempt_count"):
        task = current_task()
        require(task.preempt_count > 0, "preempt-imbalance", "preemption is enabled more often than it was disabled")
        task.preempt_count -= 1
        leave_reader()


def is_reader(task: ptr[task_struct]) -> bool:  # type: ignore[valid-type]
    """Whether a task keeps grace periods waiting. RCU's flavours are one since Linux 4.20: besides read sections these are all
    places where the task cannot be preempted, run softirqs or be interrupted, and handlers (Documentation/RCU/Design/Requirements).
    Inside a step."""
    disabled = task.preempt_count > 0 or task.softirq_count > 0 or task.irqs_disabled
    return task.rcu_read_lock_nesting > 0 or disabled or task.in_handler


def leave_reader() -> None:
    """If the task is in no reader any more, the grace periods that wait for it go on. Inside a step."""
    if feature("rcu"):
        task = current_task()
        if not is_reader(task):
            for other in all_tasks():
                other.rcu_blockers &= ~(1 << task.pid)
            run_callbacks()


def before_spinning() -> None:
    """Who spins for a lock has preemption disabled already: a step of its own where another task may be waiting for the CPU."""
    if feature("shared_cpus"):
        preempt_disable()


def after_spinning() -> None:
    """The lock is taken, and its holder may not sleep. Inside a step."""
    if not feature("shared_cpus"):
        enter_atomic()


def enter_bh() -> None:
    """From here on no softirq runs on the task's CPU, and it may not sleep. Inside a step."""
    if feature("preempt_count"):
        task = current_task()
        task.softirq_count += 1


def exit_bh() -> None:
    """The end of what enter_bh() began. Inside a step."""
    if feature("preempt_count"):
        task = current_task()
        require(task.softirq_count > 0, "preempt-imbalance", "softirqs are enabled more often than they were disabled")
        require(not task.irqs_disabled, "irq-imbalance", "softirqs are enabled with interrupts disabled: they would run")
        task.softirq_count -= 1
        leave_reader()


def disable_irqs() -> bool:
    """Disable interrupts on the task's CPU; give whether they were. Inside a step."""
    if feature("preempt_count"):
        task = current_task()
        before = task.irqs_disabled
        task.irqs_disabled = True
        return before
    else:
        return False


def enable_irqs() -> None:
    """Interrupts come again, however they were disabled. Inside a step."""
    if feature("preempt_count"):
        current_task().irqs_disabled = False
        leave_reader()


def restore_irqs(flags: bool) -> None:
    """Put back what disable_irqs() gave. Inside a step."""
    if feature("preempt_count"):
        task = current_task()
        require(task.irqs_disabled, "irq-imbalance", "the flags of interrupts are restored while interrupts are enabled")
        task.irqs_disabled = flags
        leave_reader()


@rides_along
def check_may_sleep() -> None:
    """A step that may sleep is broken where that is not allowed, and where the task is about to sleep already: it would forget what
    for (kernel/sched/core.c, __might_sleep(), Linux 6.1). Inside a step, or between two."""
    check_may_schedule()
    require(current_task().state == TASK_RUNNING, "warning", "may sleep, and is about to sleep already: its state is not TASK_RUNNING")


def check_may_schedule() -> None:
    """A step that lets others run is broken where that is not allowed. Inside a step."""
    needs_feature("preempt_count")
    task = current_task()
    require(task.context == 0, "sleeping-while-atomic", "may sleep, in an interrupt handler")
    require(task.preempt_count == 0, "sleeping-while-atomic", "may sleep, with preemption disabled or a spinlock held")
    require(task.softirq_count == 0, "sleeping-while-atomic", "may sleep, with softirqs disabled")
    require(not task.irqs_disabled, "sleeping-while-atomic", "may sleep, with interrupts disabled")
    require(task.rcu_read_lock_nesting == 0, "sleeping-while-atomic", "may sleep inside an RCU read section")


# Under plain Python, what waits for readers


class _Waiting:
    callbacks: list[Callable[[], None]] = []


def after_readers(callback: Callable[[], None]) -> None:
    """Call it as soon as no task is a reader (plain Python only)."""
    _Waiting.callbacks.append(callback)
    run_callbacks()


@intrinsic
def run_callbacks() -> None:
    """Call what waits for readers, if there are none. In a search the contexts of rcu_callbacks.py do that."""
    while _Waiting.callbacks and not any(is_reader(task) for task in all_tasks()):
        _Waiting.callbacks.pop(0)()


# Steps


@step("plain")
def preempt_disable() -> None:
    """The task keeps its CPU until preempt_enable(). Nests."""
    needs_feature("preempt_count")
    enter_atomic()


@step("plain")
def preempt_enable() -> None:
    """The end of what preempt_disable() began."""
    exit_atomic()


@step("plain")
def local_bh_disable() -> None:
    """No softirq runs on this CPU until local_bh_enable(). Nests."""
    needs_feature("preempt_count")
    enter_bh()


@step("plain")
def local_bh_enable() -> None:
    """The end of what local_bh_disable() began. Not with interrupts disabled."""
    exit_bh()


@step("plain")
def local_irq_disable() -> None:
    """No interrupt comes on this CPU until local_irq_enable(). Does not nest."""
    needs_feature("preempt_count")
    disable_irqs()


@step("plain")
def local_irq_enable() -> None:
    """Interrupts come again, however they were disabled."""
    enable_irqs()


@step("plain")
def local_irq_save() -> bool:
    """Disable interrupts and give what to restore: `flags = local_irq_save()`."""
    needs_feature("preempt_count")
    return disable_irqs()


@step("plain")
def local_irq_restore(flags: bool) -> None:
    """Put interrupts back to how local_irq_save() found them."""
    restore_irqs(flags)


@step("plain")
def irqs_disabled() -> bool:
    """Whether interrupts are disabled where this runs."""
    task = current_task()
    return task.irqs_disabled or task.context == HARDIRQ


@step("plain")
def in_task() -> bool:
    """Whether this runs in a task, not in a handler."""
    return current_task().context == 0


@step("plain")
def in_hardirq() -> bool:
    """Whether this runs in a hardirq handler."""
    return current_task().context == HARDIRQ


@step("plain")
def in_serving_softirq() -> bool:
    """Whether this runs in a softirq handler."""
    return current_task().context == SOFTIRQ


@step("plain")
def in_nmi() -> bool:
    """Whether this runs in an NMI handler."""
    return current_task().context == NMI


@step("plain")
def in_interrupt() -> bool:
    """Whether this runs in a handler, or with softirqs disabled."""
    task = current_task()
    return task.context != 0 or task.softirq_count > 0


@step("plain")
def in_atomic() -> bool:
    """Whether this runs where a task may not sleep, as far as the counts know."""
    needs_feature("preempt_count")
    task = current_task()
    return task.context != 0 or task.preempt_count > 0 or task.softirq_count > 0


@step("plain")
def might_sleep() -> None:
    """The task may sleep here: broken where it may not."""
    check_may_sleep()


@step("plain")
def cond_resched() -> int:
    """The task lets others run if they wait: broken where it may not. Others run between any two steps here, so it does nothing. Gives 0."""
    check_may_sleep()
    return 0


def get_cpu() -> int:
    """Disable preemption; give the number of the CPU."""
    preempt_disable()
    return smp_processor_id()


def put_cpu() -> None:
    """The end of what get_cpu() began."""
    preempt_enable()


@step("plain")
def preemptible() -> bool:
    """Whether the task can lose its CPU here."""
    needs_feature("preempt_count")
    task = current_task()
    return task.context == 0 and task.preempt_count == 0 and task.softirq_count == 0 and not task.irqs_disabled


@step("plain")
def lockdep_assert_irqs_disabled() -> None:
    """Broken where interrupts are enabled."""
    needs_feature("preempt_count")
    task = current_task()
    require(task.irqs_disabled or task.context == HARDIRQ, "irq-imbalance", "interrupts are enabled here")


@step("plain")
def lockdep_assert_irqs_enabled() -> None:
    """Broken where interrupts are disabled."""
    needs_feature("preempt_count")
    task = current_task()
    require(not task.irqs_disabled and task.context != HARDIRQ, "irq-imbalance", "interrupts are disabled here")


@step("plain")
def lockdep_assert_preemption_disabled() -> None:
    """Broken where the task could lose its CPU."""
    needs_feature("preempt_count")
    task = current_task()
    held = task.preempt_count > 0 or task.softirq_count > 0 or task.irqs_disabled or task.context != 0
    require(held, "preempt-imbalance", "preemption is enabled here")

__all__ = [
    "cond_resched", "get_cpu", "in_atomic", "in_hardirq", "in_interrupt", "in_nmi", "in_serving_softirq", "in_task", "irqs_disabled",
    "local_bh_disable", "local_bh_enable", "local_irq_disable", "local_irq_enable", "local_irq_restore", "local_irq_save",
    "lockdep_assert_irqs_disabled", "lockdep_assert_irqs_enabled", "lockdep_assert_preemption_disabled", "might_sleep",
    "preempt_disable", "preempt_enable", "preemptible", "put_cpu",
]  # fmt: skip
