"""Kernel threads: being asked to stop, and waiting for that.

Names and meaning: include/linux/kthread.h and kernel/kthread.c, Linux 6.1: kthread_stop() sets a flag, wakes the thread, and waits until
its function has returned. A thread that looks at the flag before it says that it is about to sleep can miss both. `kthread(function,
...)` in the scene makes one. Leaves out making one at run time, what the function returned, parking, workers (kthread_work).
"""

# mypy: disable-error-code="attr-defined,no-any-return"

from __future__ import annotations

from .context import check_may_sleep
from .step import step
from .task import current_task, task_struct, wait_until
from .types import ptr
from .wait import wake_up_process


def kthread_exit() -> None:
    """The function of a kernel thread has returned, within its last step."""
    current_task().kthread_exited = True


@step("once")
def kthread_should_stop() -> bool:
    """Whether kthread_stop() has asked the thread that runs this to return."""
    return current_task().kthread_should_stop


@step("full", name="kthread_stop")
def _ask_to_stop(k: ptr[task_struct]) -> None:  # type: ignore[valid-type]
    k.kthread_should_stop = True


@step("acquire", name="kthread_stop")
def _wait_until_stopped(k: ptr[task_struct]) -> None:  # type: ignore[valid-type]
    check_may_sleep()
    wait_until(k.kthread_exited)


def kthread_stop(k: ptr[task_struct]) -> int:  # type: ignore[valid-type]
    """Ask the thread to return, wake it, and wait until it has. Three steps. Gives 0."""
    _ask_to_stop(k)
    wake_up_process(k)
    _wait_until_stopped(k)
    return 0


__all__ = ["kthread_should_stop", "kthread_stop"]
