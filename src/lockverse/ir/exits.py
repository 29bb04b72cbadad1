"""What a thread may not leave behind when it ends: fields of its task_struct that have to be 0 by then.

Leaves out locks, which are no fields of a task: each machine looks at those of the program.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from .reason import Reason


class ExitRule(Struct, frozen=True):
    """The field, why a thread that ends with it set is broken, and the words for it (see machine.protocol.Faulted)."""

    field: str
    reason: Reason
    message: str
    remark: str


EXIT_RULES: Final = (
    ExitRule("rcu_read_lock_nesting", Reason.RCU_IMBALANCE, "ends inside an RCU read section", "STILL IN AN RCU READ SECTION"),
    ExitRule("preempt_count", Reason.PREEMPT_IMBALANCE, "ends with preemption disabled", "PREEMPTION STILL DISABLED"),
    ExitRule("softirq_count", Reason.PREEMPT_IMBALANCE, "ends with softirqs disabled", "SOFTIRQS STILL DISABLED"),
    ExitRule("irqs_disabled", Reason.IRQ_IMBALANCE, "ends with interrupts disabled", "INTERRUPTS STILL DISABLED"),
)
