"""Grace periods, callbacks and SRCU by both engines: who is waited for, what runs when, what is a fault.

Expected answers are by thinking, from docs/language.md and Documentation/RCU of Linux 6.12. Each fault stands beside a near miss.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.explore.bounds import Bounds
from lockverse.explore.search import Result
from lockverse.ir.program import Linked
from lockverse.reduction import REDUCTIONS
from lockverse.session import check

from ..codegen.common import searched, verdict
from ..support import linked_of, scheme_text, task_of
from .test_conformance import agree

HEAD = "    rcu: rcu_head\n    srcu: srcu_struct\n    domain: srcu_struct\n"


def text_of(body: str, scene: str) -> str:
    """A scheme whose nodes have an rcu_head and two domains of SRCU."""
    return scheme_text(body, scene).replace("    other: spinlock_t\n", f"    other: spinlock_t\n{HEAD}", 1)


def linked_with(folder: Path, body: str, scene: str) -> Linked:
    """Its linked code."""
    return linked_of(folder, text_of(body, scene))


def ends_as(folder: Path, body: str, scene: str) -> str:
    """"holds", or the reason; the same by both engines, with all reductions and without, and by both machines step by step."""
    linked = linked_with(folder, body, scene)
    found = searched(linked, "reference")
    for names in ((), REDUCTIONS):
        assert verdict(searched(linked, "native", names)) == verdict(found), names
    agree(linked, 60)
    return _word(found)


def _word(found: Result) -> str:
    return str(found.failing.reason) if found.failing else "holds"


# Who is a reader


READERS = [
    ("rcu_read_lock()", "rcu_read_unlock()", True),
    ("rcu_read_lock()\n    rcu_read_lock()\n    rcu_read_unlock()", "rcu_read_unlock()", True),
    ("spin_lock(x.lock)", "spin_unlock(x.lock)", True),
    ("spin_trylock(x.lock)", "spin_unlock(x.lock)", True),
    ("preempt_disable()", "preempt_enable()", True),
    ("rcu_read_lock_sched()", "rcu_read_unlock_sched()", True),
    ("preempt_disable()\n    spin_lock(x.lock)\n    preempt_enable()", "spin_unlock(x.lock)", True),
    ("spin_lock(x.lock)\n    rcu_read_lock()\n    rcu_read_unlock()", "spin_unlock(x.lock)", True),
    ("rcu_read_lock()\n    spin_lock(x.lock)\n    spin_unlock(x.lock)", "rcu_read_unlock()", True),
    ("smp_mb()", "smp_mb()", False),
    ("rcu_read_lock()\n    rcu_read_unlock()", "smp_mb()", False),
    ("i = srcu_read_lock(x.srcu)", "srcu_read_unlock(x.srcu, i)", False),
]
WAITS = ["synchronize_rcu()", "synchronize_rcu_expedited()", "synchronize_net()"]


@pytest.mark.parametrize(("begin", "end", "is_reader"), READERS)
def test_readers(tmp_path: Path, begin: str, end: str, is_reader: bool) -> None:
    """A grace period waits for them: what they saw before it they see no more after it."""
    body = f"""
def reader(x):
    {begin}
    seen = READ_ONCE(x.flag)
    WARN_ON(READ_ONCE(x.n) == 1 and not seen)
    {end}


def updater(x):
    WRITE_ONCE(x.flag, True)
    synchronize_rcu()
    WRITE_ONCE(x.n, 1)
"""
    assert ends_as(tmp_path, body, "x = node()\ncpu(reader, x)\ncpu(updater, x)") == ("holds" if is_reader else "warning")


@pytest.mark.parametrize("wait", WAITS)
def test_all_wait(tmp_path: Path, wait: str) -> None:
    body = f"def reader(x):\n    rcu_read_lock()\n    n = x.next\n    if n:\n        n.n = 1\n    rcu_read_unlock()\ndef updater(x):\n    n = xchg(x.next, NULL)\n    {wait}\n    kfree(n)"
    scene = "pool(node, 1)\nx = node()\nx.next = kmalloc(node)\ncpu(reader, x)\ncpu(updater, x)"
    assert ends_as(tmp_path, body, scene) == "holds"
    assert ends_as(tmp_path, body.replace(wait, "smp_mb()"), scene) == "use-after-free"


@pytest.mark.parametrize(("begin", "end"), [(begin, end) for begin, end, is_reader in READERS if is_reader and "trylock" not in begin])
def test_waiting_for_oneself(tmp_path: Path, begin: str, end: str) -> None:
    """synchronize_rcu() in each kind of reader; just after it is fine."""
    for lines, expected in ((f"{begin}\n    synchronize_rcu()\n    {end}", "rcu-self-wait"), (f"{begin}\n    {end}\n    synchronize_rcu()", "holds")):
        assert ends_as(tmp_path, f"def run(x):\n    {lines}", "x = node()\ncpu(run, x)") == expected


def test_later_readers_are_not_waited_for(tmp_path: Path) -> None:
    """A section that is open when n becomes 1, and in which n was 0, has begun inside the grace period."""
    body = "def reader(x):\n    rcu_read_lock()\n    if x.n == 0:\n        x.flag = True\n        x.flag = False\n    rcu_read_unlock()\n"
    body += "def updater(x):\n    synchronize_rcu()\n    x.n = 1"
    assert ends_as(tmp_path, body, "x = node()\ncpu(reader, x)\ncpu(updater, x)\nsometimes(lambda: x.flag and x.n == 1)") == "holds"


def test_schemes_without_grace_periods_keep_no_counts(tmp_path: Path) -> None:
    """Locks and read sections leave preempt_count and rcu_blockers alone, and no context runs callbacks."""
    linked = linked_with(tmp_path, "def run(x):\n    rcu_read_lock()\n    with x.lock:\n        x.n = 1\n    rcu_read_unlock()", "x = node()\ncpu(run, x)")
    names = {op.name for code in linked.codes for op in code.ops if type(op).__name__ == "Field"}
    assert not names & {"task.preempt_count", "other.rcu_blockers"}
    assert len(linked.codes) == 1


# Callbacks


CALLBACKS = """
shared = node()


def done(head):
    n = container_of(head, node, "rcu")
    shared.n += n.n
    kfree(n)


def put(x):
    n = xchg(x.next, NULL)
    if n:
        n.n = 1
        call_rcu(n.rcu, done)


def get(x):
    rcu_read_lock()
    n = rcu_dereference(x.next)
    if n:
        assert n.n < 2
    rcu_read_unlock()
"""
ONE = "pool(node, 1)\nx = node()\nx.next = kmalloc(node)\n"


def test_a_callback_runs_after_its_readers(tmp_path: Path) -> None:
    scene = ONE + "cpu(put, x)\ncpu(get, x)\nat_rest(lambda: shared.n == 1)"
    assert ends_as(tmp_path, CALLBACKS, scene) == "holds"
    assert ends_as(tmp_path, CALLBACKS.replace("call_rcu(n.rcu, done)", "done(n.rcu)"), scene) == "use-after-free"


def test_nothing_is_at_rest_while_a_callback_is_queued(tmp_path: Path) -> None:
    """At rest shared.n is 1, though put() ends with 0; and what is queued is not leaked."""
    scene = ONE + "cpu(put, x)\nat_rest(lambda: shared.n == 1)\nsometimes(lambda: x.next == NULL and shared.n == 0)"
    assert ends_as(tmp_path, CALLBACKS, scene) == "holds"
    assert ends_as(tmp_path, CALLBACKS.replace("    kfree(n)", "    smp_mb()"), scene) == "leak"


def test_a_grace_period_that_never_ends(tmp_path: Path) -> None:
    """Two CPUs stay for ever where each waits for the other's lock. That is their business, unless a callback waits for them."""
    body = "def stay(x, first, second):\n    spin_lock(first)\n    while True:\n        rest()\n        spin_lock(second)\n        spin_unlock(second)\n"
    scene = ONE + "cpu(stay, x, x.lock, x.other)\ncpu(stay, x, x.other, x.lock)\n"
    assert ends_as(tmp_path, CALLBACKS + body, scene + "at_rest(lambda: shared.n == 0)") == "holds"
    assert ends_as(tmp_path, CALLBACKS + body, scene + "cpu(put, x)") == "deadlock"
    outcome = check(task_of(tmp_path, text_of(CALLBACKS + body, scene + "cpu(put, x)")), Bounds(), lambda _: None)
    assert outcome.message is not None and outcome.message.endswith("rcu node#0 waits for the RCU readers, held by CPU0")


def test_callbacks_run_at_once_and_in_any_order(tmp_path: Path) -> None:
    """Two callbacks are two contexts: both orders are seen, and a count that both change without a lock is lost."""
    body = "shared = node()\n\n\ndef first(head):\n    shared.n += 1\n\n\ndef second(head):\n    shared.n += 1\n\n\ndef run(x, y):\n    call_rcu(x.rcu, first)\n    call_rcu(y.rcu, second)\n"
    scene = "x = node()\ny = node()\ncpu(run, x, y)\n"
    assert ends_as(tmp_path, body, scene + "at_rest(lambda: shared.n == 2)") == "at-rest"
    ordered = body.replace("    shared.n += 1", "    shared.n = 1", 1).replace("    shared.n += 1", "    shared.n = 2", 1)
    assert ends_as(tmp_path, ordered, scene + "at_rest(lambda: shared.n > 0)\nsometimes(lambda: shared.n == 2)\nsometimes(lambda: shared.n == 1)") == "holds"
    assert ends_as(tmp_path, ordered, scene + "at_rest(lambda: shared.n == 2)") == "at-rest"


FREE = "def run(x):\n    n = kmalloc(node)\n    {}"
QUEUES = [
    ("kfree_rcu(n)", "holds"), ('kfree_rcu(n, "rcu")', "holds"), ("kfree_rcu(NULL)\n    kfree(n)", "holds"), ("m = n.next\n    kfree_rcu(m)\n    kfree(n)", "holds"),
    ("kfree_rcu(n)\n    kfree_rcu(n)", "double-free"), ("kfree_rcu(n)\n    kfree(n)", "double-free"),
    ("kfree_rcu(n)\n    rcu_barrier()\n    kfree(n)", "double-free"), ("kfree_rcu(n)\n    rcu_barrier()\n    n.n = 1", "use-after-free"),
    ("kfree_rcu(n)\n    n.n = 1", "use-after-free"), ("rcu_read_lock()\n    kfree_rcu(n)\n    n.n = 1\n    rcu_read_unlock()", "holds"),
    ("kfree(n)\n    kfree_rcu(n)", "use-after-free"), ("kfree_rcu(x)", "double-free"),
    ("kfree_rcu(n)\n    rcu_barrier()\n    n = kmalloc(node)\n    kfree_rcu(n)", "holds"), ("kfree_rcu(n)\n    n = kmalloc(node)\n    kfree(n)", "pool-exhausted"),
    ("rcu_read_lock()\n    rcu_barrier()", "sleeping-while-atomic"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), QUEUES)
def test_freeing_later(tmp_path: Path, lines: str, expected: str) -> None:
    assert ends_as(tmp_path, FREE.format(lines), "pool(node, 1)\nx = node()\ncpu(run, x)") == expected


ENDS = [
    ("shared.n = 1", "holds"), ("might_sleep()", "sleeping-while-atomic"), ("n = kmalloc(node)\n    kfree(n)", "sleeping-while-atomic"),
    ("n = kmalloc(node, GFP_ATOMIC)\n    kfree(n)", "holds"), ("rcu_read_lock()", "rcu-imbalance"), ("spin_lock(shared.lock)", "preempt-imbalance"),
    ("synchronize_rcu()", "rcu-self-wait"), ("call_rcu(head, other)", "holds"), ("call_rcu(head, other)\n    call_rcu(head, other)", "double-free"),
    ("n = rcu_dereference(shared.next)", "suspicious-rcu-usage"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), ENDS)
def test_what_a_callback_may_do(tmp_path: Path, lines: str, expected: str) -> None:
    """It may not sleep; it may queue its rcu_head again."""
    body = f"shared = node()\n\n\ndef other(head):\n    smp_mb()\n\n\ndef done(head):\n    {lines}\n\n\ndef run(x):\n    call_rcu(x.rcu, done)"
    assert ends_as(tmp_path, body, "pool(node, 1)\nx = node()\ncpu(run, x)") == expected


def test_callbacks_are_readers(tmp_path: Path) -> None:
    """What a callback looks at without rcu_read_lock() stays until it has ended."""
    body = "def done(head):\n    x = container_of(head, node, \"rcu\")\n    n = READ_ONCE(x.next)\n    if n:\n        n.n = 1\n\n\n"
    body += "def run(x):\n    call_rcu(x.rcu, done)\n    n = xchg(x.next, NULL)\n    {}\n    kfree(n)"
    scene = "pool(node, 1)\nx = node()\nx.next = kmalloc(node)\ncpu(run, x)"
    assert ends_as(tmp_path, body.format("synchronize_rcu()"), scene) == "holds"
    assert ends_as(tmp_path, body.format("smp_mb()"), scene) == "use-after-free"


def test_rcu_barrier(tmp_path: Path) -> None:
    """It waits for a callback that runs, for one that is queued, and for both of one rcu_head that is queued again while its
    callback runs; not for what is queued later."""
    body = "shared = node()\n\n\ndef done(head):\n    shared.n += 1\n    {}\n\n\ndef again(head):\n    shared.n += 1\n\n\ndef run(x):\n    call_rcu(x.rcu, done)\n    {}\n    WARN_ON(shared.n < {})"
    scene = "x = node()\ncpu(run, x)"
    assert ends_as(tmp_path, body.format("shared.big = 1", "rcu_barrier()", 1), scene) == "holds"
    assert ends_as(tmp_path, body.format("shared.big = 1", "synchronize_rcu()", 1), scene) == "warning"
    assert ends_as(tmp_path, body.format("call_rcu(head, again)", "rcu_barrier()", 1), scene) == "holds"
    assert ends_as(tmp_path, body.format("call_rcu(head, again)", "rcu_barrier()", 2), scene) == "warning"
    queued = body.format("call_rcu(head, again)\n    smp_mb()", "while READ_ONCE(shared.big) == 0:\n        cpu_relax()\n    rcu_barrier()", 2)
    assert ends_as(tmp_path, queued.replace("    smp_mb()", "    shared.big = 1"), scene) == "holds"


# SRCU


SLEEPS = "def reader(x):\n    i = srcu_read_lock(x.srcu)\n    n = READ_ONCE(x.next)\n    might_sleep()\n    if n:\n        n.n = 1\n    srcu_read_unlock(x.srcu, i)\n"
SRCU = [
    ("synchronize_srcu(x.srcu)", "holds"), ("synchronize_srcu_expedited(x.srcu)", "holds"), ("synchronize_srcu(x.domain)", "use-after-free"),
    ("synchronize_rcu()", "use-after-free"),
]  # fmt: skip


@pytest.mark.parametrize(("wait", "expected"), SRCU)
def test_srcu(tmp_path: Path, wait: str, expected: str) -> None:
    body = SLEEPS + f"def updater(x):\n    n = xchg(x.next, NULL)\n    {wait}\n    kfree(n)"
    assert ends_as(tmp_path, body, ONE + "cpu(reader, x)\ncpu(reader, x)\ncpu(updater, x)") == expected


SECTIONS = [
    ("i = srcu_read_lock(x.srcu)\n    j = srcu_read_lock(x.srcu)\n    srcu_read_unlock(x.srcu, j)\n    srcu_read_unlock(x.srcu, i)", "holds"),
    ("i = srcu_read_lock(x.srcu)\n    srcu_read_unlock(x.domain, i)", "rcu-imbalance"), ("srcu_read_unlock(x.srcu, 0)", "rcu-imbalance"),
    ("i = srcu_read_lock(x.srcu)\n    synchronize_srcu(x.srcu)", "rcu-self-wait"), ("i = srcu_read_lock(x.srcu)\n    synchronize_srcu(x.domain)\n    srcu_read_unlock(x.srcu, i)", "holds"),
    ("i = srcu_read_lock(x.srcu)\n    synchronize_rcu()\n    srcu_read_unlock(x.srcu, i)", "holds"),
    ("rcu_read_lock()\n    synchronize_srcu(x.srcu)", "sleeping-while-atomic"), ("i = srcu_read_lock(x.srcu)\n    n = srcu_dereference(x.next, x.srcu)\n    srcu_read_unlock(x.srcu, i)", "holds"),
    ("i = srcu_read_lock(x.srcu)\n    n = srcu_dereference(x.next, x.domain)", "suspicious-rcu-usage"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), SECTIONS)
def test_sections_of_srcu(tmp_path: Path, lines: str, expected: str) -> None:
    assert ends_as(tmp_path, f"def run(x):\n    {lines}", "x = node()\ncpu(run, x)") == expected


def test_domains_that_wait_for_each_other(tmp_path: Path) -> None:
    body = "def run(mine, other):\n    i = srcu_read_lock(mine)\n    synchronize_srcu(other)\n    srcu_read_unlock(mine, i)"
    scene = "x = node()\ncpu(run, x.srcu, x.domain)\ncpu(run, x.domain, x.srcu)"
    outcome = check(task_of(tmp_path, text_of(body, scene)), Bounds(), lambda _: None)
    assert outcome.trace is not None and outcome.reason == "deadlock"
    assert [(one.object, one.holder) for one in outcome.trace.failure.blocked] == [("the readers of x.domain", 1), ("the readers of x.srcu", 0)]


# Suspicious RCU usage


USES = [
    ("rcu_dereference(x.next)", "rcu_read_lock()", "rcu_read_unlock()", True), ("rcu_dereference(x.next)", "preempt_disable()", "preempt_enable()", False),
    ("rcu_dereference_sched(x.next)", "preempt_disable()", "preempt_enable()", True), ("rcu_dereference_sched(x.next)", "rcu_read_lock()", "rcu_read_unlock()", False),
    ("rcu_dereference_bh(x.next)", "rcu_read_lock()", "rcu_read_unlock()", False), ("rcu_dereference_raw(x.next)", "smp_mb()", "smp_mb()", True),
    ("rcu_access_pointer(x.next)", "smp_mb()", "smp_mb()", True), ("rcu_dereference_check(x.next, spin_is_locked(x.lock))", "spin_lock(x.lock)", "spin_unlock(x.lock)", True),
    ("rcu_dereference_check(x.next, spin_is_locked(x.lock))", "rcu_read_lock()", "rcu_read_unlock()", True),
    ("rcu_dereference_check(x.next, spin_is_locked(x.lock))", "smp_mb()", "smp_mb()", False),
    ("rcu_dereference_protected(x.next, spin_is_locked(x.lock))", "spin_lock(x.lock)", "spin_unlock(x.lock)", True),
    ("rcu_dereference_protected(x.next, spin_is_locked(x.lock))", "rcu_read_lock()", "rcu_read_unlock()", False),
]  # fmt: skip


@pytest.mark.parametrize(("use", "begin", "end", "fine"), USES)
def test_suspicious_usage(tmp_path: Path, use: str, begin: str, end: str, fine: bool) -> None:
    assert ends_as(tmp_path, f"def run(x):\n    {begin}\n    n = {use}\n    {end}", "x = node()\ncpu(run, x)") == ("holds" if fine else "suspicious-rcu-usage")
