"""local_lock_t: names what disabled preemption, or disabled interrupts, protects on one CPU.

Without PREEMPT_RT it is no lock: nobody waits for it, and it keeps away only what cannot run on that CPU (include/linux/local_lock.h and
local_lock_internal.h, Linux 6.1, and Documentation/locking/locktypes.rst). What lock debugging adds is here: the owner, so that
lockdep_assert_held() knows it, and taking it where it is held already is a fault, as that of a handler that interrupts its
holder. It lies in per-cpu data, and a task takes that of its own CPU: `local_lock(x.stock.lock)`.

Taking it is one step: between what disables and the owner nothing can tell whether it is taken. It neither waits nor takes part in the
order of locks. Leaves out PREEMPT_RT, and trylocks and local_lock_nested_bh(), which came later.
"""

# mypy: disable-error-code="attr-defined,valid-type,no-any-return"

from __future__ import annotations

from typing import Any

from .context import disable_irqs, enable_irqs, enter_atomic, exit_atomic, restore_irqs
from .environment import require
from .null import NULL
from .ownership import give_back
from .step import own_cpu, step
from .structs import struct
from .task import current_task, task_struct
from .types import ptr


@struct(kind="lock", opaque=True)
class local_lock_t:
    """A local lock, in per-cpu data. `with lock:` takes it and gives it back."""

    owner: ptr[task_struct]

    def __enter__(self) -> None:
        local_lock(self)

    def __exit__(self, *problem: object) -> None:
        local_unlock(self)


def take_local(lock: Any) -> None:
    """Note who holds it. Inside a step."""
    require(lock.owner == NULL, "recursive-locking", "takes a local lock that is held already, and nobody waits for one")
    lock.owner = current_task()


@own_cpu
@step("plain")
def local_lock(lock: ptr[local_lock_t]) -> None:
    """Take it: preemption is disabled."""
    take_local(lock)
    enter_atomic()


@own_cpu
@step("plain")
def local_unlock(lock: ptr[local_lock_t]) -> None:
    """The end of what local_lock() began."""
    give_back(lock)
    exit_atomic()


@own_cpu
@step("plain")
def local_lock_irq(lock: ptr[local_lock_t]) -> None:
    """Take it: interrupts are disabled."""
    take_local(lock)
    disable_irqs()


@own_cpu
@step("plain")
def local_unlock_irq(lock: ptr[local_lock_t]) -> None:
    """Give it back and enable interrupts, whether or not they were before."""
    give_back(lock)
    enable_irqs()


@own_cpu
@step("plain")
def local_lock_irqsave(lock: ptr[local_lock_t]) -> bool:
    """Take it with interrupts disabled, and give what local_unlock_irqrestore() restores."""
    take_local(lock)
    return disable_irqs()


@own_cpu
@step("plain")
def local_unlock_irqrestore(lock: ptr[local_lock_t], flags: bool) -> None:
    """Give it back and put interrupts back to how they were found."""
    give_back(lock)
    restore_irqs(flags)


setattr(local_lock_t, "__lockverse_guard__", (local_lock, local_unlock))  # noqa: B010

__all__ = [
    "local_lock", "local_lock_irq", "local_lock_irqsave", "local_lock_t", "local_unlock", "local_unlock_irq", "local_unlock_irqrestore",
]  # fmt: skip
