"""Work items on a CPU that the caller names.

Source: include/linux/workqueue.h, Linux 6.1. Approximated: where a work item runs is said in the scene (`work(item, function, on=...)`), which has to name the same CPU.
Left out: all else of workqueues, which is the vocabulary's (lang/handlers.py).
"""

from __future__ import annotations

from lockverse.lang import schedule_work


def schedule_work_on(cpu, work):
    """Have a work item run on a CPU; give whether it was not queued yet."""
    return schedule_work(work)
