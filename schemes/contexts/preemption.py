"""Two tasks on one CPU and a counter of that CPU: atomic against interrupts is not asked for, against the other task it is.

`guarded` disables preemption over the load and the store; `False` loses an update where the task loses its CPU between them.
"""
from lockverse import *


@struct
class percpu_stats:
    events: s32


def count(s, guarded):
    if guarded:
        preempt_disable()
    s.events += 1
    if guarded:
        preempt_enable()


@scheme
def events(guarded: bool = True, tasks: range(2, 4) = 2):
    s = percpu_stats()
    first = cpu(count, s, guarded)
    for _ in range(1, tasks):
        task(count, s, guarded, on=first)
    at_rest(lambda: s.events == tasks, "every event counts")
