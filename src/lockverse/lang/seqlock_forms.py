"""seqlock_t with softirqs or interrupts disabled: the _bh, _irq and _irqsave forms.

Names: include/linux/seqlock.h, Linux 6.1. Disabling is a step before that of waiting, whether or not the scene has handlers; giving back is one.
Leaves out read_seqbegin_or_lock().
"""

# mypy: disable-error-code="valid-type"

from __future__ import annotations

from .context import enable_irqs, exit_bh, local_bh_disable, local_irq_disable, local_irq_save, restore_irqs
from .seqlock import read_seqlock_excl, read_sequnlock_excl, seqlock_t, write_seqlock, write_sequnlock
from .step import step
from .types import ptr

# To write


def write_seqlock_bh(sl: ptr[seqlock_t]) -> None:
    """Disable softirqs, and write_seqlock()."""
    local_bh_disable()
    write_seqlock(sl)


@step("release", gives="exclusive")
def write_sequnlock_bh(sl: ptr[seqlock_t]) -> None:
    """The end of what write_seqlock_bh() began: softirqs are enabled."""
    write_sequnlock(sl)
    exit_bh()


def write_seqlock_irq(sl: ptr[seqlock_t]) -> None:
    """Disable interrupts, and write_seqlock()."""
    local_irq_disable()
    write_seqlock(sl)


@step("release", gives="exclusive")
def write_sequnlock_irq(sl: ptr[seqlock_t]) -> None:
    """The end of what write_seqlock_irq() began: interrupts are enabled, whether or not they were before."""
    write_sequnlock(sl)
    enable_irqs()


def write_seqlock_irqsave(sl: ptr[seqlock_t]) -> bool:
    """Disable interrupts, and write_seqlock(); gives what write_sequnlock_irqrestore() restores."""
    flags = local_irq_save()
    write_seqlock(sl)
    return flags


@step("release", gives="exclusive")
def write_sequnlock_irqrestore(sl: ptr[seqlock_t], flags: bool) -> None:
    """The end of what write_seqlock_irqsave() began: interrupts are as they were."""
    write_sequnlock(sl)
    restore_irqs(flags)

# To read alone


def read_seqlock_excl_bh(sl: ptr[seqlock_t]) -> None:
    """Disable softirqs, and read_seqlock_excl()."""
    local_bh_disable()
    read_seqlock_excl(sl)


@step("release", gives="exclusive")
def read_sequnlock_excl_bh(sl: ptr[seqlock_t]) -> None:
    """The end of what read_seqlock_excl_bh() began: softirqs are enabled."""
    read_sequnlock_excl(sl)
    exit_bh()


def read_seqlock_excl_irq(sl: ptr[seqlock_t]) -> None:
    """Disable interrupts, and read_seqlock_excl()."""
    local_irq_disable()
    read_seqlock_excl(sl)


@step("release", gives="exclusive")
def read_sequnlock_excl_irq(sl: ptr[seqlock_t]) -> None:
    """The end of what read_seqlock_excl_irq() began: interrupts are enabled, whether or not they were before."""
    read_sequnlock_excl(sl)
    enable_irqs()


def read_seqlock_excl_irqsave(sl: ptr[seqlock_t]) -> bool:
    """Disable interrupts, and read_seqlock_excl(); gives what read_sequnlock_excl_irqrestore() restores."""
    flags = local_irq_save()
    read_seqlock_excl(sl)
    return flags


@step("release", gives="exclusive")
def read_sequnlock_excl_irqrestore(sl: ptr[seqlock_t], flags: bool) -> None:
    """The end of what read_seqlock_excl_irqsave() began: interrupts are as they were."""
    read_sequnlock_excl(sl)
    restore_irqs(flags)

__all__ = [
    "read_seqlock_excl_bh", "read_seqlock_excl_irq", "read_seqlock_excl_irqsave", "read_sequnlock_excl_bh",
    "read_sequnlock_excl_irq", "read_sequnlock_excl_irqrestore", "write_seqlock_bh", "write_seqlock_irq",
    "write_seqlock_irqsave", "write_sequnlock_bh", "write_sequnlock_irq", "write_sequnlock_irqrestore",
]  # fmt: skip
