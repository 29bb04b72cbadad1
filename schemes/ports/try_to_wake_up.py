"""try_to_wake_up() against schedule(), with on_rq and on_cpu (kernel/sched/core.c of Linux 6.1; Zijlstra, 2015 and 2020).

A task that sleeps is taken off its run queue by __schedule(), under the lock of that queue, and its CPU goes on using its stack
until the switch is over; then on_cpu is cleared. A waker that finds the task still on its queue only sets its state, under that
same lock. One that finds it off the queue waits until on_cpu is clear, picks a CPU, and puts the task on the queue there.

`ttwu` is the algorithm: the task runs on one CPU at a time, and no wake-up is lost. Broken: `no_wait_for_on_cpu` queues the task while
its old CPU is still switching away from it, and another CPU runs it on the same stack; `no_rq_lock` sets the state without the lock
of the queue, after __schedule() has read it, and the task that was just woken is taken off the queue.

Left out: reordering, about which most of the kernel's comments here are; wake lists and IPIs, so a waker always waits for on_cpu;
preemption. There is one task; a CPU without it is idle and looks at its queue until the task is done.
"""
from lockverse import *


class State(Enum):
    TASK_RUNNING = auto()
    TASK_UNINTERRUPTIBLE = auto()
    TASK_WAKING = auto()


TASK_RUNNING, TASK_UNINTERRUPTIBLE, TASK_WAKING = State


@struct
class rq:
    lock: spinlock_t
    queued: bool


@struct
class task:
    state: State
    on_rq: bool
    on_cpu: bool
    cpu: u8
    pi_lock: spinlock_t
    condition: bool
    done: bool
    running: atomic_t


@struct
class machine:
    rqs: array[rq, 2]


def schedule(m, p):
    """Gives whether the CPU still runs the task."""
    rq = m.rqs[smp_processor_id()]
    spin_lock(rq.lock)
    if READ_ONCE(p.state) == TASK_RUNNING:
        spin_unlock(rq.lock)
        return True
    rq.queued = False
    WRITE_ONCE(p.on_rq, False)
    atomic_dec(p.running)
    smp_store_release(p.on_cpu, False)
    spin_unlock(rq.lock)
    return False


def run_task(m, p):
    """The task itself. Whoever runs it next begins the loop again, as one that comes back from schedule() does."""
    while True:
        smp_store_mb(p.state, TASK_UNINTERRUPTIBLE)
        if READ_ONCE(p.condition):
            break
        if not schedule(m, p):
            return
    WRITE_ONCE(p.state, TASK_RUNNING)
    WRITE_ONCE(p.done, True)


def idle(m, p):
    """Runs the task whenever it is on the queue of this CPU, until it is done."""
    rq = m.rqs[smp_processor_id()]
    while not READ_ONCE(p.done):
        spin_lock(rq.lock)
        if not rq.queued:
            spin_unlock(rq.lock)
            continue
        WRITE_ONCE(p.on_cpu, True)
        atomic_inc(p.running)
        spin_unlock(rq.lock)
        run_task(m, p)


def runs_it(m, p):
    run_task(m, p)
    idle(m, p)


def ttwu_runnable(m, p, locked):
    rq = m.rqs[READ_ONCE(p.cpu)]
    ret = False
    if locked:
        spin_lock(rq.lock)
    if READ_ONCE(p.on_rq):
        WRITE_ONCE(p.state, TASK_RUNNING)
        ret = True
    if locked:
        spin_unlock(rq.lock)
    return ret


def ttwu_queue(m, p, cpu):
    rq = m.rqs[cpu]
    with rq.lock:
        rq.queued = True
        WRITE_ONCE(p.on_rq, True)
        WRITE_ONCE(p.state, TASK_RUNNING)


def select_task_rq():
    return choose(range(0, 2))


def try_to_wake_up(m, p, locked, waits):
    with p.pi_lock:
        if READ_ONCE(p.state) != TASK_UNINTERRUPTIBLE:
            return
        if not READ_ONCE(p.on_rq) or not ttwu_runnable(m, p, locked):
            WRITE_ONCE(p.state, TASK_WAKING)
            if waits:
                smp_cond_load_acquire(p.on_cpu, lambda VAL: not VAL)
            cpu = select_task_rq()
            WRITE_ONCE(p.cpu, cpu)
            ttwu_queue(m, p, cpu)


def waker(m, p, locked, waits):
    WRITE_ONCE(p.condition, True)
    try_to_wake_up(m, p, locked, waits)


def bystander(m, p, locked, waits):
    try_to_wake_up(m, p, locked, waits)


@scheme
def ttwu(spurious: bool = False):
    m = machine()
    m.rqs[0].queued = True
    p = task(on_rq=True, on_cpu=True, running=1)
    cpu(runs_it, m, p)
    cpu(idle, m, p)
    cpu(waker, m, p, True, True)
    if spurious:
        cpu(bystander, m, p, True, True)
    always(lambda: atomic_read(p.running) <= 1, "it runs on one CPU at a time")
    at_rest(lambda: p.done, "it is woken")
    sometimes(lambda: p.on_cpu and p.cpu == 1, "it is woken on another CPU")
    sometimes(lambda: p.state == TASK_RUNNING and p.condition and not p.done and p.cpu == 0, "it is woken where it was")


@scheme
def no_wait_for_on_cpu():
    m = machine()
    m.rqs[0].queued = True
    p = task(on_rq=True, on_cpu=True, running=1)
    cpu(runs_it, m, p)
    cpu(idle, m, p)
    cpu(waker, m, p, True, False)
    always(lambda: atomic_read(p.running) <= 1, "it runs on one CPU at a time")


@scheme
def no_rq_lock():
    m = machine()
    m.rqs[0].queued = True
    p = task(on_rq=True, on_cpu=True, running=1)
    cpu(runs_it, m, p)
    cpu(idle, m, p)
    cpu(waker, m, p, False, True)
    always(lambda: atomic_read(p.running) <= 1, "it runs on one CPU at a time")
