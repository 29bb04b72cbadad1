"""Contexts: tasks that share a CPU, handlers that fire on it, what keeps them away, what is asked for; on both engines.

Counts are closed forms, said beside each. A handler of m steps has m + 2 positions: before it begins, after, and one before each
step but that its end belongs to its last step. Rules: Linux 6.1, include/linux/preempt.h and Documentation/core-api/irq.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.diagnostics.model import Rejected
from lockverse.explore.bounds import Bounds
from lockverse.ir.program import Linked
from lockverse.reduction import REDUCTIONS
from lockverse.session import linked_of as compiled
from lockverse.session import open_file, tasks

from ..codegen.common import counts, searched, verdict
from ..oracle.programs import contextual
from ..support import ROOT, checked, linked_of, scheme_text

STEPS = "def run(x):\n    smp_mb()\n    smp_mb()\n    smp_mb()\n\n\ndef handle(x):\n    smp_mb()\n    smp_mb()"
ON_BOTH = pytest.mark.parametrize("engine", ["reference", "native"])


def linked(folder: Path, body: str, scene: str) -> Linked:
    """The linked code of a scheme with two nodes, x and y."""
    return linked_of(folder, scheme_text(body, "x = node()\ny = node()\n" + scene))


@ON_BOTH
@pytest.mark.parametrize("kind", ["interrupt", "softirq", "nmi"])
def test_a_handler_fires_anywhere(tmp_path: Path, engine: str, kind: str) -> None:
    """3 steps and a handler of 2: it may stand at any of 4 positions wherever the task is, of which there are 4. The
    handler moves from 3 of its positions, the task only when the handler has not begun or has ended."""
    found = searched(linked(tmp_path, STEPS, f"c = cpu(run, x)\n{kind}(handle, x, on=c)"), engine, ())
    assert (found.states, found.transitions, found.depth) == (4 * 4, 3 * 4 + 2 * 3, 6)


@ON_BOTH
def test_a_handler_fires_again(tmp_path: Path, engine: str) -> None:
    """Twice: 3 + 3 + 1 positions, in 3 of which it does not run. Without end: it is back where it was, 3 positions."""
    twice = searched(linked(tmp_path, STEPS, "c = cpu(run, x)\ninterrupt(handle, x, on=c, times=2)"), engine, ())
    assert (twice.states, twice.transitions) == (7 * 4, 6 * 4 + 3 * 3)
    ever = searched(linked(tmp_path, STEPS, "c = cpu(run, x)\ninterrupt(handle, x, on=c, times=None)"), engine, ())
    assert (ever.states, ever.transitions) == (3 * 4, 3 * 4 + 3)
    assert ever.failing is None and ever.completed == 1


@ON_BOTH
@pytest.mark.parametrize(
    ("off", "on", "kinds"),
    [
        ("local_irq_disable()", "local_irq_enable()", {"interrupt": False, "softirq": False, "nmi": True}),
        ("local_bh_disable()", "local_bh_enable()", {"interrupt": True, "softirq": False, "nmi": True}),
        ("preempt_disable()", "preempt_enable()", {"interrupt": True, "softirq": True, "nmi": True}),
        ("flags = spin_lock_irqsave(x.lock)", "spin_unlock_irqrestore(x.lock, flags)", {"interrupt": False, "softirq": False, "nmi": True}),
        ("spin_lock_irq(x.lock)", "spin_unlock_irq(x.lock)", {"interrupt": False, "softirq": False, "nmi": True}),
        ("spin_lock_bh(x.lock)", "spin_unlock_bh(x.lock)", {"interrupt": True, "softirq": False, "nmi": True}),
        ("spin_lock(x.lock)", "spin_unlock(x.lock)", {"interrupt": True, "softirq": True, "nmi": True}),
        ("rcu_read_lock()", "rcu_read_unlock()", {"interrupt": True, "softirq": True, "nmi": True}),
    ],
)  # fmt: skip
def test_what_keeps_a_handler_away(tmp_path: Path, engine: str, off: str, on: str, kinds: dict[str, bool]) -> None:
    """A handler that sets n while the section is open is seen inside it, or it is not: what each of them disables."""
    body = f"def run(x):\n    {off}\n    x.flag = True\n    x.flag = False\n    {on}\n\n\ndef handle(x):\n    if READ_ONCE(x.flag):\n        x.n = 1"
    for kind, comes in kinds.items():
        made = linked(tmp_path, body, f"c = cpu(run, x)\n{kind}(handle, x, on=c)\nsometimes(lambda: x.n == 1)")
        assert (searched(made, engine).failing is None) == comes, kind


@ON_BOTH
def test_tasks_take_turns(tmp_path: Path, engine: str) -> None:
    """Two tasks of 3 steps: every pair of positions, unless both have preemption disabled. With preemption disabled round
    one step, a task has 4 positions, of which 2 are inside, so both are inside in 4 pairs of 16, none of them reached."""
    free = searched(linked(tmp_path, STEPS, "c = cpu(run, x)\ntask(run, x, on=c)"), engine, ())
    assert (free.states, free.transitions) == (4 * 4, 2 * 3 * 4)
    body = "def run(x):\n    preempt_disable()\n    smp_mb()\n    preempt_enable()"
    kept = searched(linked(tmp_path, body, "c = cpu(run, x)\ntask(run, x, on=c)"), engine, ())
    assert kept.states == 4 * 4 - 2 * 2
    apart = searched(linked(tmp_path, body, "c = cpu(run, x)\ncpu(run, x)"), engine, ())
    assert apart.states == 4 * 4


@ON_BOTH
def test_waiting_with_preemption_disabled(tmp_path: Path, engine: str) -> None:
    """CPU0 waits for a lock with preemption disabled; its holder waits for a task that would have to run on CPU0."""
    body = """
        def taker(x):
            with x.lock:
                pass

        def holder(x):
            with x.lock:
                while not READ_ONCE(x.flag):
                    cpu_relax()

        def setter(x):
            WRITE_ONCE(x.flag, True)
    """
    shared = searched(linked(tmp_path, body, "c = cpu(taker, x)\ntask(setter, x, on=c)\ncpu(holder, x)"), engine)
    assert shared.failing is not None and shared.failing.reason == "endless-spinning"
    apart = searched(linked(tmp_path, body, "cpu(taker, x)\ncpu(setter, x)\ncpu(holder, x)"), engine)
    assert apart.failing is None


@ON_BOTH
def test_handlers_nest_upwards(tmp_path: Path, engine: str) -> None:
    """Which of two handlers is seen inside the other: a hardirq in a softirq, an NMI in both, none the other way."""
    body = """
        def idle(x):
            smp_mb()

        def outer(x):
            x.flag = True
            x.flag = False

        def inner(x):
            if READ_ONCE(x.flag):
                x.n = 1
    """
    order = ["softirq", "interrupt", "nmi"]
    for low, outer in enumerate(order):
        for high, inner in enumerate(order):
            made = linked(tmp_path, body, f"c = cpu(idle, x)\n{outer}(outer, x, on=c)\n{inner}(inner, x, on=c)\nsometimes(lambda: x.n == 1)")
            assert (searched(made, engine).failing is None) == (high > low), (outer, inner)


@ON_BOTH
def test_the_numbers_of_cpus(tmp_path: Path, engine: str) -> None:
    """A CPU has one number, whoever runs on it; a worker without a CPU of another's has its own."""
    body = """
        def first(x):
            assert smp_processor_id() == 0 and in_task() and not in_interrupt()

        def second(x):
            assert smp_processor_id() == 1

        def third(x):
            assert smp_processor_id() == 0 and in_hardirq() and irqs_disabled() and not in_task()
    """
    made = linked(tmp_path, body, "c = cpu(first, x)\ntask(first, x, on=c)\ncpu(second, x)\ninterrupt(third, x, on=c)")
    assert searched(made, engine).failing is None


REQUESTS = """
def ask(x):
    queue_work(WORK)
    flush_work(WORK)
    assert READ_ONCE(x.n) == 1


def call(x):
    smp_call_function_single(CSD, True)
    assert READ_ONCE(x.n) == 1


def arm(x):
    mod_timer(TIMER)


def cancel(x):
    mod_timer(TIMER)
    if del_timer_sync(TIMER):
        assert READ_ONCE(x.n) == 0
    else:
        assert READ_ONCE(x.n) == 1


def idle(x):
    smp_mb()


def answer(x):
    x.n += 1


WORK = work_struct()
CSD = call_single_data_t()
TIMER = timer_list()
"""


@ON_BOTH
@pytest.mark.parametrize(
    "scene",
    [
        "cpu(ask, x)\nwork(WORK, answer, x)\nat_rest(lambda: x.n == 1)",
        "cpu(call, x)\nc = cpu(idle, x)\nipi(CSD, answer, x, on=c)\nat_rest(lambda: x.n == 1)",
        "cpu(arm, x)\nc = cpu(idle, x)\ntimer(TIMER, answer, x, on=c)\nat_rest(lambda: x.n == 1)",
        "cpu(cancel, x)\nc = cpu(idle, x)\ntimer(TIMER, answer, x, on=c)\nsometimes(lambda: x.n == 1)",
    ],
)
def test_what_is_asked_for_happens_once(tmp_path: Path, engine: str, scene: str) -> None:
    """While something has been asked for nothing is at rest; a flush, a wait and a sync end when it has run."""
    assert searched(linked(tmp_path, REQUESTS, scene), engine).failing is None


@ON_BOTH
def test_two_cpus_that_wait_for_each_other(tmp_path: Path, engine: str) -> None:
    """kernel/smp.c warns of calls with interrupts disabled, as both then wait for ever."""
    body = """
        A, B = call_single_data_t(), call_single_data_t()

        def send(csd):
            local_irq_disable()
            smp_call_function_single(csd, True)
            local_irq_enable()

        def answer(x):
            smp_mb()
    """
    scene = "c = cpu(send, A)\nd = cpu(send, B)\nipi(A, answer, x, on=d)\nipi(B, answer, x, on=c)"
    found = searched(linked(tmp_path, body, scene), engine)
    assert found.failing is not None and found.failing.reason == "deadlock"
    lone = searched(linked(tmp_path, body, "c = cpu(send, A)\nd = cpu(answer, x)\nipi(A, answer, x, on=d)"), engine)
    assert lone.failing is None


def test_a_handler_that_is_stuck(tmp_path: Path) -> None:
    """The diagram shows the handler in the column of what it interrupts, and what it waits for."""
    body = "def run(x):\n    with x.lock:\n        pass\n\n\ndef handle(x):\n    with x.lock:\n        pass"
    outcome = checked(tmp_path, body, "x = node()\nc = cpu(run, x)\ninterrupt(handle, x, on=c)")
    assert outcome.reason == "deadlock"
    assert outcome.message == "handle() (interrupt on CPU0) waits for x.lock, held by CPU0"


@pytest.mark.parametrize(
    ("scene", "says"),
    [
        ("interrupt(run, x, on=task_struct())", "takes what cpu() gave"),
        ("c = cpu(run, x)\ninterrupt(run, x, on=c, times=0)", "is 1 to 100"),
        ("c = cpu(run, x)\nipi(x, run, x, on=c)", "begins with a call_single_data_t"),
        ("w = work_struct()\nwork(w, run, x)\nwork(w, run, x)", "has its function already"),
    ],
)
def test_scenes_that_do_not_fit(tmp_path: Path, scene: str, says: str) -> None:
    with pytest.raises(Rejected) as problem:
        linked(tmp_path, STEPS, scene)
    assert says in problem.value.diagnostics[0].headline


# The schemes of schemes/contexts: what breaks, and why, as their texts say

BROKEN = [
    ("counter_in_interrupt", "nr_writeback", {"how": "nothing"}, "at-rest"),
    ("counter_in_interrupt", "nr_writeback", {"how": "preemption_disabled"}, "at-rest"),
    ("interrupt_lock", "same_lock", {"irqsafe": "False"}, "deadlock"),
    ("interrupt_lock", "two_locks", {"irqsafe": "False"}, "deadlock"),
    ("interrupt_lock", "enabled_too_early", {"saves": "False"}, "deadlock"),
    ("softirq_lock", "net_rx", {"bh": "False"}, "deadlock"),
    ("tasklist_lock", "tasklist", {"irqs_off": "False"}, "deadlock"),
    ("preemption", "events", {"guarded": "False"}, "at-rest"),
    ("tlb_shootdown", "shootdown", {"early": "True"}, "warning"),
    ("tlb_shootdown", "shootdown", {"wait": "False"}, "warning"),
    ("tlb_shootdown", "both_ways", {"irqs_off": "True"}, "deadlock"),
    ("kernel_thread", "stopped", {"state_first": "False"}, "deadlock"),
    ("deferred", "remove_with_work", {"sync": "False"}, "warning"),
    ("deferred", "remove_with_timer", {"sync": "False"}, "warning"),
    ("deferred", "remove_with_timer", {"locked": "True"}, "deadlock"),
    ("deferred", "flush_under_lock", {"locked": "True"}, "sleeping-while-atomic"),
    ("nmi_lock", "from_nmi", {"tries": "False"}, "deadlock"),
]


@ON_BOTH
@pytest.mark.parametrize(("file", "scheme", "given", "reason"), BROKEN, ids=[f"{one[1]}-{one[3]}-{n}" for n, one in enumerate(BROKEN)])
def test_what_breaks(engine: str, file: str, scheme: str, given: dict[str, str], reason: str) -> None:
    found = searched(compiled(tasks(open_file(ROOT / "schemes" / "contexts" / f"{file}.py"), scheme, given, every=False)[0]), engine)
    assert found.failing is not None and found.failing.reason == reason


# Random programs


def made(folder: Path, seed: int) -> Linked | None:
    """A random program of tests/oracle whose threads share CPUs; None if it does not compile."""
    try:
        return linked_of(folder, contextual(seed))
    except Rejected:
        return None


def engines_agree(found: Linked) -> bool | None:
    """Whether something is wrong with it, the same for all engines; None if it is too large."""
    reference = searched(found, "reference", bounds=Bounds(states=2_000))
    if reference.bound is not None or not reference.states:
        return None
    assert counts(searched(found, "native", ())) == counts(reference)
    assert verdict(searched(found, "native", REDUCTIONS)) == verdict(reference)
    return reference.failing is not None


def test_random_contexts(tmp_path: Path) -> None:
    results = [engines_agree(one) for one in (made(tmp_path, seed) for seed in range(3000, 3040)) if one is not None]
    assert results.count(True) > 3 and results.count(False) > 3


@pytest.mark.long
@pytest.mark.parametrize("first", range(600_000, 602_000, 100))
def test_many_random_contexts(tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 100):
        one = made(tmp_path, seed)
        if one is not None:
            engines_agree(one)
