"""What runs when it is asked for: IPIs, work items, timers; and how every handler begins and ends.

An interrupt, a softirq or an NMI may fire wherever it is enabled (the scene says which there are: scene.py). An IPI, a timer, a work
item runs after somebody has asked for it: a flag in its object says so, and a state in which one is set is not at rest.
Rules: kernel/smp.c (the csd is locked until its function has run), kernel/workqueue.c (a work item is queued once until it
begins, and does not run beside itself), kernel/time/timer.c, of Linux 6.1. Leaves out delays: anything queued may run at once or late.
"""

# mypy: disable-error-code="attr-defined,no-any-return"

from __future__ import annotations

from .context import check_may_sleep, leave_reader
from .environment import require
from .step import step
from .structs import struct
from .task import current_task, wait_until
from .types import ptr


@struct(kind="request", opaque=True)
class call_single_data_t:
    """What an IPI carries. `ipi(csd, function, ..., on=task)` in the scene says what it runs, and where."""

    pending: bool
    running: bool


@struct(kind="request", opaque=True)
class work_struct:
    """A work item. `work(item, function, ...)` in the scene says what it runs."""

    pending: bool
    running: bool


@struct(kind="request", opaque=True)
class timer_list:
    """A timer. `timer(t, function, ..., on=task)` in the scene says what it runs, and where."""

    pending: bool
    running: bool


# How handlers begin and end: called by the code the compiler puts round them


@step("plain", name="interrupt")
def hardirq_enter() -> None:
    """A hardirq handler begins."""
    current_task().in_handler = True


@step("plain", name="softirq")
def softirq_enter() -> None:
    """A softirq handler begins."""
    current_task().in_handler = True


@step("plain", name="nmi")
def nmi_enter() -> None:
    """An NMI handler begins."""
    current_task().in_handler = True


def handler_exit() -> None:
    """A handler ends, within its last step."""
    current_task().in_handler = False
    leave_reader()


@step("plain", name="interrupt")
def ipi_enter(csd: ptr[call_single_data_t]) -> None:  # type: ignore[valid-type]
    """The function of an IPI begins."""
    wait_until(csd.pending)
    current_task().in_handler = True


def ipi_exit(csd: ptr[call_single_data_t]) -> None:  # type: ignore[valid-type]
    """It has run: who waits for the csd goes on."""
    csd.pending = False
    current_task().in_handler = False
    leave_reader()


@step("plain", name="softirq")
def timer_enter(timer: ptr[timer_list]) -> None:  # type: ignore[valid-type]
    """A timer has expired: its function begins."""
    wait_until(timer.pending)
    timer.pending = False
    timer.running = True
    current_task().in_handler = True


def timer_exit(timer: ptr[timer_list]) -> None:  # type: ignore[valid-type]
    """The function of a timer has run."""
    timer.running = False
    current_task().in_handler = False
    leave_reader()


@step("full", name="process_one_work")
def work_enter(work: ptr[work_struct]) -> None:  # type: ignore[valid-type]
    """A worker takes the item off the queue and begins its function."""
    wait_until(work.pending)
    work.pending = False
    work.running = True


def work_exit(work: ptr[work_struct]) -> None:  # type: ignore[valid-type]
    """The function of a work item has run."""
    work.running = False


# IPIs


@step("full", name="smp_call_function_single")
def _send_ipi(csd: ptr[call_single_data_t]) -> None:  # type: ignore[valid-type]
    wait_until(not csd.pending)
    csd.pending = True


@step("acquire", name="smp_call_function_single")
def _wait_for_ipi(csd: ptr[call_single_data_t]) -> None:  # type: ignore[valid-type]
    wait_until(not csd.pending)


def smp_call_function_single(csd: ptr[call_single_data_t], wait: bool) -> None:  # type: ignore[valid-type]
    """Have the function of the csd run on its CPU; with `wait`, until it has run."""
    _send_ipi(csd)
    if wait:
        _wait_for_ipi(csd)


def smp_call_function_single_async(csd: ptr[call_single_data_t]) -> None:  # type: ignore[valid-type]
    """Have the function of the csd run on its CPU, some time."""
    _send_ipi(csd)


# Work items


@step("full")
def queue_work(work: ptr[work_struct]) -> bool:  # type: ignore[valid-type]
    """Queue the item unless it is queued; give whether it was not."""
    if work.pending:
        return False
    work.pending = True
    return True


@step("full")
def schedule_work(work: ptr[work_struct]) -> bool:  # type: ignore[valid-type]
    """As queue_work()."""
    return queue_work(work)


@step("acquire")
def flush_work(work: ptr[work_struct]) -> None:  # type: ignore[valid-type]
    """Wait until the item is neither queued nor running. Sleeps."""
    check_may_sleep()
    wait_until(not work.pending and not work.running)


@step("full")
def cancel_work(work: ptr[work_struct]) -> bool:  # type: ignore[valid-type]
    """Take the item off the queue; give whether it was on it."""
    if work.pending:
        work.pending = False
        return True
    return False


@step("acquire", name="cancel_work_sync")
def _wait_for_work(work: ptr[work_struct]) -> None:  # type: ignore[valid-type]
    check_may_sleep()
    wait_until(not work.running)


def cancel_work_sync(work: ptr[work_struct]) -> bool:  # type: ignore[valid-type]
    """Take the item off the queue and wait until it does not run. Sleeps."""
    found = cancel_work(work)
    _wait_for_work(work)
    return found


@step("once")
def work_pending(work: ptr[work_struct]) -> bool:  # type: ignore[valid-type]
    """Whether the item is queued."""
    return work.pending


# Timers


@step("full")
def mod_timer(timer: ptr[timer_list]) -> bool:  # type: ignore[valid-type]
    """Set the timer: it may expire from now on. Gives whether it was set. Times are not modelled."""
    before = timer.pending
    timer.pending = True
    return before


@step("full")
def add_timer(timer: ptr[timer_list]) -> None:  # type: ignore[valid-type]
    """Set a timer that is not set."""
    require(not timer.pending, "bug", "add_timer() of a timer that is set")
    timer.pending = True


@step("full")
def del_timer(timer: ptr[timer_list]) -> bool:  # type: ignore[valid-type]
    """Take the timer back if it has not expired; give whether it was set. Its function may be running."""
    before = timer.pending
    timer.pending = False
    return before


@step("acquire", name="del_timer_sync")
def _wait_for_timer(timer: ptr[timer_list]) -> None:  # type: ignore[valid-type]
    wait_until(not timer.running)


def del_timer_sync(timer: ptr[timer_list]) -> bool:  # type: ignore[valid-type]
    """Take the timer back and wait until its function does not run."""
    found = del_timer(timer)
    _wait_for_timer(timer)
    return found


@step("once")
def timer_pending(timer: ptr[timer_list]) -> bool:  # type: ignore[valid-type]
    """Whether the timer is set."""
    return timer.pending

__all__ = [
    "add_timer", "call_single_data_t", "cancel_work", "cancel_work_sync", "del_timer", "del_timer_sync", "flush_work",
    "mod_timer", "queue_work", "schedule_work", "smp_call_function_single", "smp_call_function_single_async", "timer_list",
    "timer_pending", "work_pending", "work_struct",
]  # fmt: skip
