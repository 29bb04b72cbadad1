"""Locks and waiting on both engines: each fault with a near miss, who waits for whom, what a wait that a signal may end can come to.

Expected reasons are those of docs/language.md; what makes them so is said beside each, or in the kernel's documentation that the
file of the primitive names. Counts are enumerated by hand.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.explore.bounds import Bounds
from lockverse.report.verdict import Outcome
from lockverse.session import check

from ..support import rejected, run, task_of, write
from .vocabulary import ends, on_both

HEAD = """from lockverse import *


@struct
class node:
    n: u8
    flags: u64
    done: bool
    task: ptr[task_struct]
    lock: spinlock_t
    raw: raw_spinlock_t
    rw: rwlock_t
    m: mutex
    sem: rw_semaphore
    s: semaphore
    c: completion
    wq: wait_queue_head_t
    seq: seqcount_t
    sl: seqlock_t
    other: mutex


"""
ONE = "x = node()\ncpu(run, x)"
TWO = "x = node()\ncpu(run, x)\ncpu(other, x)"


def file(body: str, scene: str = ONE) -> str:
    """A scheme file: the lines of run(), or whole functions, and of the scheme."""
    inside = body if body.startswith("def ") else "def run(x):\n" + "\n".join(f"    {line}" for line in body.splitlines())
    return f"{HEAD}{inside}\n\n\n@scheme\ndef scene():\n" + "\n".join(f"    {line}" for line in scene.splitlines()) + "\n"


def two(run: str, other: str) -> str:
    """The text of two CPUs."""
    functions = [f"def {name}(x):\n" + "\n".join(f"    {line}" for line in lines.splitlines()) for name, lines in (("run", run), ("other", other))]
    return file("\n\n\n".join(functions), TWO)


# What every lock that a task holds has: how it is taken, tried and given back, and whether its holder may sleep
HOLDS = {
    "spinlock_t": ("spin_lock(x.lock)", "spin_trylock(x.lock)", "spin_unlock(x.lock)", "x.lock", False),
    "nested spinlock_t": ("spin_lock_nested(x.lock, 1)", "spin_trylock(x.lock)", "spin_unlock(x.lock)", "x.lock", False),
    "raw_spinlock_t": ("raw_spin_lock(x.raw)", "raw_spin_trylock(x.raw)", "raw_spin_unlock(x.raw)", "x.raw", False),
    "rwlock_t, read": ("read_lock(x.rw)", "read_trylock(x.rw)", "read_unlock(x.rw)", "x.rw", False),
    "rwlock_t, write": ("write_lock(x.rw)", "write_trylock(x.rw)", "write_unlock(x.rw)", "x.rw", False),
    "mutex": ("mutex_lock(x.m)", "mutex_trylock(x.m)", "mutex_unlock(x.m)", "x.m", True),
    "nested mutex": ("mutex_lock_nested(x.m, SINGLE_DEPTH_NESTING)", "mutex_trylock(x.m)", "mutex_unlock(x.m)", "x.m", True),
    "rw_semaphore, read": ("down_read(x.sem)", "down_read_trylock(x.sem)", "up_read(x.sem)", "x.sem", True),
    "rw_semaphore, write": ("down_write(x.sem)", "down_write_trylock(x.sem)", "up_write(x.sem)", "x.sem", True),
    "downgraded rw_semaphore": ("down_write(x.sem)\ndowngrade_write(x.sem)", "down_read_trylock(x.sem)", "up_read(x.sem)", "x.sem", True),
    "seqlock_t, write": ("write_seqlock(x.sl)", "", "write_sequnlock(x.sl)", "x.sl", False),
    "seqlock_t, read": ("read_seqlock_excl(x.sl)", "", "read_sequnlock_excl(x.sl)", "x.sl", False),
}  # fmt: skip
each = pytest.mark.parametrize(("take", "trial", "give", "lock", "sleeps"), HOLDS.values(), ids=HOLDS)


@each
def test_rules_of_every_lock(tmp_path: Path, take: str, trial: str, give: str, lock: str, sleeps: bool) -> None:
    """Given back it is fine; held at the end, taken twice, given back by who does not hold it, it is not."""
    assert ends(tmp_path, file(f"{take}\n{give}")) == "holds"
    assert ends(tmp_path, file(take)) == "lock-held-at-exit"
    assert ends(tmp_path, file(f"{take}\n{take}")) == "recursive-locking"
    assert ends(tmp_path, file(give)) == "unlock-by-stranger"
    assert ends(tmp_path, two(f"{take}\nWRITE_ONCE(x.done, True)\n{give}", f"if READ_ONCE(x.done):\n    {give}")) == "unlock-by-stranger"


@each
def test_who_may_sleep(tmp_path: Path, take: str, trial: str, give: str, lock: str, sleeps: bool) -> None:
    """The holder of a lock that spins may not sleep; who holds one that sleeps may, and may not take it where sleep is forbidden."""
    assert ends(tmp_path, file(f"{take}\nmight_sleep()\n{give}")) == ("holds" if sleeps else "sleeping-while-atomic")
    assert ends(tmp_path, file(f"preempt_disable()\n{take}\n{give}\npreempt_enable()")) == ("sleeping-while-atomic" if sleeps else "holds")
    if trial:
        assert ends(tmp_path, file(f"preempt_disable()\nif {trial}:\n    {give}\npreempt_enable()")) == "holds"


@each
def test_trying(tmp_path: Path, take: str, trial: str, give: str, lock: str, sleeps: bool) -> None:
    """What is tried works where nobody holds the lock, and while somebody holds it for himself alone it does not."""
    if trial:
        assert ends(tmp_path, file(f"assert {trial}\n{give}")) == "holds"
        body = two(f"{take}\nWRITE_ONCE(x.n, 1)\nWRITE_ONCE(x.n, 0)\n{give}", f"if {trial}:\n    assert READ_ONCE(x.n) == 0\n    {give}")
        shared = "read" in take or "downgrade" in take
        assert ends(tmp_path, body) == ("assertion" if shared else "holds")


@each
def test_asserting(tmp_path: Path, take: str, trial: str, give: str, lock: str, sleeps: bool) -> None:
    """lockdep_assert_held() and its like, which are no steps: a state less for each would be a state too few."""
    shared = ("read" in take or "downgrade" in take) and "excl" not in take
    with_it = on_both(tmp_path, file(f"{take}\nlockdep_assert_held({lock})\nassert lockdep_is_held({lock})\n{give}"))
    assert with_it.failing is None and with_it.states == on_both(tmp_path, file(f"{take}\n{give}")).states
    assert ends(tmp_path, file(f"lockdep_assert_held({lock})\n{take}\n{give}")) == "lock-not-held"
    assert ends(tmp_path, file(f"{take}\nlockdep_assert_not_held({lock})\n{give}")) == "lock-not-held"
    assert ends(tmp_path, file(f"{take}\n{give}\nlockdep_assert_not_held({lock})")) == "holds"
    assert ends(tmp_path, file(f"{take}\nlockdep_assert_held_write({lock})\n{give}")) == ("lock-not-held" if shared else "holds")
    if lock in ("x.rw", "x.sem"):
        assert ends(tmp_path, file(f"{take}\nlockdep_assert_held_read({lock})\n{give}")) == ("holds" if shared else "lock-not-held")
    assert ends(tmp_path, two(f"{take}\nx.n = 1\n{give}", f"lockdep_assert_not_held({lock})")) == "holds"


@each
def test_excluding(tmp_path: Path, take: str, trial: str, give: str, lock: str, sleeps: bool) -> None:
    """Two CPUs count under it: two are counted, unless it is held shared, when one count is lost."""
    count = f"{take}\nn = READ_ONCE(x.n)\nWRITE_ONCE(x.n, n + 1)\n{give}"
    shared = "read" in take and "excl" not in take  # who downgrades has held it alone, and nobody else gets so far
    body = two(count, count).rstrip() + "\n    at_rest(lambda: x.n == 2)\n"
    assert ends(tmp_path, body) == ("at-rest" if shared else "holds")


GUARDS = ["x.lock", "x.raw", "x.m", *(f"scoped_guard({way})" for way in ("read_lock, x.rw", "write_lock, x.rw", "rwsem_read, x.sem", "rwsem_write, x.sem"))]


@pytest.mark.parametrize("guard", GUARDS)
def test_with(tmp_path: Path, guard: str) -> None:
    """`with` gives back on every way out."""
    lock = guard.partition(", ")[2].rstrip(")") or guard
    assert ends(tmp_path, file(f"with {guard}:\n    lockdep_assert_held({lock})\nlockdep_assert_not_held({lock})")) == "holds"
    assert ends(tmp_path, file(f"while True:\n    with {guard}:\n        if x.n == 0:\n            break\nlockdep_assert_not_held({lock})")) == "holds"
    assert ends(tmp_path, file(f"with {guard}:\n    with {guard}:\n        pass")) == "recursive-locking"


@pytest.mark.parametrize(
    ("line", "code", "help"),
    [
        ("with x.rw:\n    pass", "K301", "scoped_guard(read_lock, x.rw)"), ("with x.sem:\n    pass", "K301", "scoped_guard(rwsem_read, x.sem)"),
        ("with x.c:\n    pass", "K301", ""), ("with scoped_guard(spin_lock, x.lock):\n    pass", "K104", "rwsem_read"),
        ("scoped_guard(read_lock, x.rw)", "K104", "with"), ("with scoped_guard(read_lock, x.m):\n    pass", "K301", ""),
        ("mutex_lock(x.lock)", "K301", ""), ("lockdep_assert_held(x.c)", "K202", ""), ("lockdep_assert_held_read(x.m)", "K202", ""),
        ("wait_event(x.done, x.wq)", "K301", ""), ("wait_event(x.wq)", "K302", "wait_event(x.wq, condition)"), ("folio_lock(x.c)", "K202", ""),
        ("bit_spin_lock(0, x.done)", "K308", ""), ("bit_spin_lock(64, x.flags)", "K306", ""), ("wait_on_bit(x.flags, 0, TASK_INTERRUPTIBLE)", "K103", ""),
        ("wake_up_bit(0, x.flags)", "K308", ""), ("x.m.owner = NULL", "K202", ""),
    ],
)  # fmt: skip
def test_rejected(tmp_path: Path, line: str, code: str, help: str) -> None:
    """Said with a place and a code, and where it is not plain with what to write."""
    found = rejected(tmp_path, file(line))
    assert [one.code for one in found] == [code] and help in (found[0].help or "")


@pytest.mark.parametrize("call", ["wait_event(x.wq, x.done)", "mutex_lock(x.m)", "folio_lock(x)", "bit_spin_lock(0, x.flags)", "wait_on_bit(x.flags, 0, TASK_UNINTERRUPTIBLE)"])
def test_properties_do_not_wait(tmp_path: Path, call: str) -> None:
    assert {one.code for one in rejected(tmp_path, file("x.n = 1", f"{ONE}\nalways(lambda: {call} == 0)"))} <= {"K305", "K301"}


def test_properties_look(tmp_path: Path) -> None:
    looks = "not mutex_is_locked(x.m) and not rwsem_is_locked(x.sem) and not folio_test_locked(x) and not bit_spin_is_locked(1, x.flags)"
    assert ends(tmp_path, file("mutex_lock(x.m)\nmutex_unlock(x.m)", f"{ONE}\nat_rest(lambda: {looks})")) == "holds"
    assert ends(tmp_path, file("mutex_lock(x.m)\nmutex_unlock(x.m)", f"{ONE}\nalways(lambda: {looks})")) == "always"


# Waits that a signal may end


@pytest.mark.parametrize(
    ("call", "take", "give"),
    [
        ("mutex_lock_interruptible(x.m)", "mutex_lock(x.m)", "mutex_unlock(x.m)"), ("mutex_lock_killable(x.m)", "mutex_lock(x.m)", "mutex_unlock(x.m)"),
        ("down_read_interruptible(x.sem)", "down_write(x.sem)", "up_read(x.sem)"), ("down_read_killable(x.sem)", "down_write(x.sem)", "up_read(x.sem)"),
        ("down_write_killable(x.sem)", "down_read(x.sem)", "up_write(x.sem)"), ("folio_lock_killable(x)", "folio_lock(x)", "folio_unlock(x)"),
        ("down_interruptible(x.s)", "down(x.s)", "up(x.s)"), ("down_killable(x.s)", "down(x.s)", "up(x.s)"),
    ],
)  # fmt: skip
def test_interruptible(tmp_path: Path, call: str, take: str, give: str) -> None:
    """Free, it gives 0 and nothing else; held, it may give -EINTR as well, and then nothing is to be given back."""
    scene = "x = node(s=1)\ncpu(run, x)"
    body = f"error = {call}\nassert error == 0\n{give}"
    assert ends(tmp_path, file(body, scene)) == "holds"
    undo = {"down_write(x.sem)": "up_write(x.sem)", "down_read(x.sem)": "up_read(x.sem)"}.get(take, give)
    both = two(f"error = {call}\nif error == 0:\n    {give}\nelse:\n    WRITE_ONCE(x.n, -error)", f"{take}\n{undo}").replace("x = node()", "x = node(s=1)")
    assert ends(tmp_path, both.rstrip() + "\n    sometimes(lambda: x.n == EINTR)\n    always(lambda: x.n == 0 or x.n == EINTR)\n") == "holds"
    assert ends(tmp_path, file(f"with x.lock:\n    {call}", scene)) == "sleeping-while-atomic"


def test_counts_of_an_interruptible_wait(tmp_path: Path) -> None:
    """By hand, one CPU: the lock is free, so of mutex_lock_interruptible() one step is left, and of mutex_unlock() one: 3 states."""
    assert on_both(tmp_path, file("if mutex_lock_interruptible(x.m) == 0:\n    mutex_unlock(x.m)")).states == 3


# Sleep


@pytest.mark.parametrize(
    ("wrong", "right", "reason"),
    [
        ("schedule()\nset_current_state(TASK_UNINTERRUPTIBLE)\nschedule()", "schedule()", "deadlock"),
        ("wait_event(x.wq, x.n == 1)", "wait_event(x.wq, x.n == 0)", "deadlock"),
        ("with x.lock:\n    schedule()", "with x.m:\n    schedule()", "sleeping-while-atomic"),
        ("with x.lock:\n    wait_event(x.wq, x.n == 0)", "with x.m:\n    wait_event(x.wq, x.n == 0)", "sleeping-while-atomic"),
        ("with x.lock:\n    wait_for_completion(x.c)", "with x.lock:\n    try_wait_for_completion(x.c)", "sleeping-while-atomic"),
        ("with x.lock:\n    down(x.s)", "with x.lock:\n    down_trylock(x.s)", "sleeping-while-atomic"),
        ("with x.lock:\n    wait_on_bit(x.flags, 0, TASK_UNINTERRUPTIBLE)", "wait_on_bit(x.flags, 0, TASK_UNINTERRUPTIBLE)", "sleeping-while-atomic"),
        ("rcu_read_lock()\nmutex_lock(x.m)", "mutex_lock(x.m)\nrcu_read_lock()\nrcu_read_unlock()\nmutex_unlock(x.m)", "sleeping-while-atomic"),
        ("prepare_to_wait(x.wq, TASK_UNINTERRUPTIBLE)\nmutex_lock(x.m)", "prepare_to_wait(x.wq, TASK_UNINTERRUPTIBLE)\nfinish_wait(x.wq)\nmutex_lock(x.m)\nmutex_unlock(x.m)", "warning"),
        ("wait_event(x.wq, mutex_lock_interruptible(x.m) != 0)", "mutex_lock(x.m)\nwait_event(x.wq, lockdep_is_held(x.m))\nmutex_unlock(x.m)", "warning"),
        ("wait_for_completion(x.c)", "complete(x.c)\nwait_for_completion(x.c)", "deadlock"),
        ("complete(x.c)\nwait_for_completion(x.c)\nwait_for_completion(x.c)", "complete_all(x.c)\nwait_for_completion(x.c)\nwait_for_completion(x.c)", "deadlock"),
        ("complete_all(x.c)\nreinit_completion(x.c)\nwait_for_completion(x.c)", "complete_all(x.c)\ncomplete(x.c)\nwait_for_completion(x.c)", "deadlock"),
        ("down(x.s)", "sema_init(x.s, 1)\ndown(x.s)", "deadlock"),
        ("write_seqcount_begin(x.seq)\nwrite_seqcount_begin(x.seq)", "write_seqcount_begin(x.seq)\nwrite_seqcount_end(x.seq)\nwrite_seqcount_begin(x.seq)", "lock-not-held"),
        ("write_seqcount_end(x.seq)", "raw_write_seqcount_begin(x.seq)\nraw_write_seqcount_end(x.seq)", "unlock-by-stranger"),
        ("write_seqcount_begin(x.seq)\nread_seqcount_begin(x.seq)", "write_seqcount_begin(x.seq)\nassert raw_read_seqcount(x.seq) == 1", "deadlock"),
        ("folio_unlock(x)", "lock_page(x)\nfolio_unlock(x)", "bug"), ("bit_spin_unlock(3, x.flags)", "assert bit_spin_trylock(3, x.flags)\nbit_spin_unlock(3, x.flags)", "bug"),
        ("bit_spin_lock(3, x.flags)", "bit_spin_lock(3, x.flags)\nbit_spin_unlock(3, x.flags)", "preempt-imbalance"),
        ("set_bit(3, x.flags)\nbit_spin_unlock(3, x.flags)", "set_bit(3, x.flags)\nclear_bit_unlock(3, x.flags)", "preempt-imbalance"),
        ("bit_spin_lock(3, x.flags)\nmight_sleep()", "bit_spin_lock(3, x.flags)\nbit_spin_unlock(3, x.flags)\nmight_sleep()", "sleeping-while-atomic"),
        ("folio_lock(x)\nlock_page(x)", "folio_lock(x)\nassert not trylock_page(x) and PageLocked(x)\nunlock_page(x)", "deadlock"),
        ("set_bit(0, x.flags)\nwait_on_bit(x.flags, 0, TASK_UNINTERRUPTIBLE)", "set_bit(1, x.flags)\nassert wait_on_bit(x.flags, 0, TASK_UNINTERRUPTIBLE) == 0", "deadlock"),
        ("assert wait_on_bit_lock(x.flags, 0, TASK_UNINTERRUPTIBLE) == 1", "assert wait_on_bit_lock(x.flags, 0, TASK_UNINTERRUPTIBLE) == 0 and x.flags == 1", "assertion"),
    ],
)  # fmt: skip
def test_one_cpu(tmp_path: Path, wrong: str, right: str, reason: str) -> None:
    """What a CPU alone can do wrong, and the near miss."""
    assert ends(tmp_path, file(wrong)) == reason
    assert ends(tmp_path, file(right)) == "holds"


def test_idle_is_rest(tmp_path: Path) -> None:
    """Who waits for work in wait_event_idle() may do so for ever; in wait_event() he waits for what must come. The wait is left when there
    is work, so that the server is found at rest with none left."""
    serve = "while True:\n    {0}(x.wq, READ_ONCE(x.n) > 0)\n    WRITE_ONCE(x.n, 0)"
    ask = "WRITE_ONCE(x.n, 1)\nwake_up(x.wq)"
    body = two(serve.format("wait_event_idle"), ask).rstrip()
    assert ends(tmp_path, body + "\n    sometimes(lambda: x.n == 1)\n") == "holds"
    assert ends(tmp_path, two(serve.format("wait_event"), ask)) == "deadlock"


def test_signals_end_waits(tmp_path: Path) -> None:
    """A condition that never comes true: interruptibly, each way out is -ERESTARTSYS, 512; uninterruptibly there is none."""
    for name in ("interruptible", "killable"):
        assert ends(tmp_path, file(f"error = wait_event_{name}(x.wq, x.n == 1)\nx.task = NULL\nassert error == -ERESTARTSYS\nassert not waitqueue_active(x.wq)")) == "deadlock"
        # one way is to sleep on: nobody signals for ever, so that is a deadlock; with a waker there is an end, and both results
        both = two(f"error = wait_event_{name}(x.wq, READ_ONCE(x.n) == 1)\nassert error == 0 or error == -ERESTARTSYS\nif error != 0:\n    WRITE_ONCE(x.done, True)", "WRITE_ONCE(x.n, 1)\nwake_up(x.wq)")
        assert ends(tmp_path, both.rstrip() + "\n    sometimes(lambda: x.done)\n") == "holds"
    waits = two("error = wait_for_completion_interruptible(x.c)\nif error != 0:\n    assert error == -512\n    WRITE_ONCE(x.done, True)", "complete(x.c)")
    assert ends(tmp_path, waits.rstrip() + "\n    sometimes(lambda: x.done)\n    sometimes(lambda: not x.done and not completion_done(x.c))\n") == "holds"


@pytest.mark.parametrize(
    ("sleeper", "waker", "reason"),
    [
        ("wait_event(x.wq, READ_ONCE(x.done))", "WRITE_ONCE(x.done, True)\nwake_up(x.wq)", "holds"),
        ("wait_event(x.wq, READ_ONCE(x.done))", "WRITE_ONCE(x.done, True)\nwake_up_all(x.wq)", "holds"),
        ("wait_event(x.wq, READ_ONCE(x.done))", "wake_up(x.wq)\nWRITE_ONCE(x.done, True)", "deadlock"),
        ("wait_event(x.wq, READ_ONCE(x.done))", "WRITE_ONCE(x.done, True)\nif waitqueue_active(x.wq):\n    wake_up(x.wq)", "holds"),
        ("wait_event(x.wq, READ_ONCE(x.done))", "WRITE_ONCE(x.done, True)\nif wq_has_sleeper(x.wq):\n    wake_up(x.wq)", "holds"),
        ("wait_event_killable(x.wq, READ_ONCE(x.done))", "WRITE_ONCE(x.done, True)\nwake_up_interruptible_all(x.wq)", "deadlock"),
        ("wait_event_interruptible(x.wq, READ_ONCE(x.done))", "WRITE_ONCE(x.done, True)\nwake_up_interruptible_all(x.wq)", "holds"),
        # woken between getting ready and going to sleep, and while the condition is looked at
        ("prepare_to_wait(x.wq, TASK_UNINTERRUPTIBLE)\nWRITE_ONCE(x.done, True)\nschedule()\nfinish_wait(x.wq)", "while not READ_ONCE(x.done):\n    cpu_relax()\nwake_up(x.wq)", "holds"),
        ("WRITE_ONCE(x.done, True)\nprepare_to_wait(x.wq, TASK_UNINTERRUPTIBLE)\nschedule()\nfinish_wait(x.wq)", "while not READ_ONCE(x.done):\n    cpu_relax()\nwake_up(x.wq)", "deadlock"),
        ("WRITE_ONCE(x.task, get_current())\nset_current_state(TASK_INTERRUPTIBLE)\nWRITE_ONCE(x.done, True)\nschedule()", "while not READ_ONCE(x.done):\n    cpu_relax()\nassert wake_up_process(x.task)\nassert not wake_up_process(x.task)", "holds"),
        ("WRITE_ONCE(x.task, get_current())\nWRITE_ONCE(x.done, True)\n__set_current_state(TASK_INTERRUPTIBLE)\nschedule()", "while not READ_ONCE(x.done):\n    cpu_relax()\nwake_up_process(x.task)", "deadlock"),
        ("wait_on_page_locked(x)\nassert READ_ONCE(x.n) == 0", "lock_page(x)\nWRITE_ONCE(x.n, 0)\nunlock_page(x)", "holds"),
        ("wait_for_completion(x.c)\nwait_for_completion(x.c)", "complete(x.c)\ncomplete(x.c)", "holds"),
        ("wait_for_completion(x.c)\nwait_for_completion(x.c)", "complete_all(x.c)", "holds"),
        ("down(x.s)\ndown(x.s)", "up(x.s)\nup(x.s)", "holds"),
        ("with x.m:\n    down(x.s)", "with x.m:\n    up(x.s)", "deadlock"),
        ("down(x.s)", "assert down_trylock(x.s) == 1\nup(x.s)", "holds"),
        ("set_bit(2, x.flags)\nWRITE_ONCE(x.done, True)\nwait_on_bit(x.flags, 2, TASK_UNINTERRUPTIBLE)", "while not READ_ONCE(x.done):\n    cpu_relax()\nclear_and_wake_up_bit(2, x.flags)", "holds"),
        ("set_bit(2, x.flags)\nWRITE_ONCE(x.done, True)\nwait_on_bit(x.flags, 2, TASK_UNINTERRUPTIBLE)", "while not READ_ONCE(x.done):\n    cpu_relax()\nwake_up_bit(x.flags, 2)\nclear_bit(2, x.flags)", "deadlock"),
        ("wait_on_bit_lock(x.flags, 2, TASK_UNINTERRUPTIBLE)\nclear_and_wake_up_bit(2, x.flags)", "wait_on_bit_lock(x.flags, 2, TASK_UNINTERRUPTIBLE)\nclear_bit_unlock(2, x.flags)", "deadlock"),
    ],
)  # fmt: skip
def test_sleep_and_wake(tmp_path: Path, sleeper: str, waker: str, reason: str) -> None:
    """Of the three that wait and are woken, each is asked for what one of the steps between could lose."""
    assert ends(tmp_path, two(sleeper, waker)) == reason


# Seqcounts


READ = "seq = read_seqcount_begin(x.seq)\na = x.n\nif not read_seqcount_retry(x.seq, seq):\n    assert x.done or a != 1"


def test_a_seqcount_counts_without_end(tmp_path: Path) -> None:
    """A writer that never ends leaves a few states, and a reader never takes two halves of different sections for one: a count of eight bits
    would after 128 sections."""
    write = "while True:\n    rest()\n    write_seqcount_begin(x.seq)\n    x.n = 1 - x.n\n    x.flags = 1 - x.flags\n    write_seqcount_end(x.seq)"
    read = "seq = read_seqcount_begin(x.seq)\na = x.n\nb = x.flags\nif not read_seqcount_retry(x.seq, seq):\n    assert a == b"
    found = on_both(tmp_path, two(read, write))
    assert found.failing is None and found.complete and found.states < 200
    assert ends(tmp_path, two(read.replace("if not read_seqcount_retry(x.seq, seq):\n    ", ""), write)) == "assertion"


def test_raw_readers_of_a_seqcount(tmp_path: Path) -> None:
    """raw_seqcount_begin() never waits, and what it begins inside a writer's section is always read again."""
    write = "write_seqcount_begin(x.seq)\nx.n = 1\nx.flags = 1\nwrite_seqcount_end(x.seq)"
    read = "seq = raw_seqcount_begin(x.seq)\na = x.n\nb = x.flags\nif not read_seqcount_retry(x.seq, seq):\n    assert a == b"
    assert ends(tmp_path, two(read, write)) == "holds"
    odd = "seq = raw_read_seqcount(x.seq)\nif seq & 1:\n    WRITE_ONCE(x.done, True)"
    assert ends(tmp_path, two(odd, write).rstrip() + "\n    sometimes(lambda: x.done)\n") == "holds"


# Who waits for whom


def outcome(folder: Path, text: str) -> Outcome:
    """What a check of the only scheme of a text comes to."""
    return check(task_of(folder, text), Bounds(), lambda _: None)


@pytest.mark.parametrize(
    ("run", "other", "message"),
    [
        ("down_read(x.sem)\nwith x.m:\n    up_read(x.sem)", "with x.m:\n    down_write(x.sem)\nup_write(x.sem)", "CPU0 waits for x.m, held by CPU1; CPU1 waits for x.sem, held by CPU0"),
        ("read_lock(x.rw)\nwith x.lock:\n    read_unlock(x.rw)", "with x.lock:\n    write_lock(x.rw)\nwrite_unlock(x.rw)", "CPU0 waits for x.lock, held by CPU1; CPU1 waits for x.rw, held by CPU0"),
        ("folio_lock(x)\nwith x.m:\n    folio_unlock(x)", "with x.m:\n    lock_page(x)\nunlock_page(x)", "CPU0 waits for x.m, held by CPU1; CPU1 waits for PG_locked of x, held by CPU0"),
        ("bit_spin_lock(3, x.flags)\nwith x.lock:\n    bit_spin_unlock(3, x.flags)", "with x.lock:\n    bit_spin_lock(3, x.flags)\nbit_spin_unlock(3, x.flags)",
         "CPU0 waits for x.lock, held by CPU1; CPU1 waits for the bit lock in x.flags, held by CPU0"),
        ("write_seqcount_begin(x.seq)", "read_seqcount_begin(x.seq)", "CPU1 waits for x.seq, held by CPU0"),
        ("wait_event(x.wq, READ_ONCE(x.done))", "smp_mb()", "CPU0 sleeps for ever in x.wq, and nobody is left to wake it"),
        ("wait_for_completion(x.c)", "smp_mb()", "CPU0 waits for x.c"), ("down(x.s)", "smp_mb()", "CPU0 waits for x.s"),
        ("with x.m:\n    wait_event(x.wq, READ_ONCE(x.done))", "with x.m:\n    WRITE_ONCE(x.done, True)\nwake_up(x.wq)",
         "CPU0 sleeps for ever in x.wq, and nobody is left to wake it; CPU1 waits for x.m, held by CPU0"),
        ("set_bit(0, x.flags)\nwait_on_bit(x.flags, 0, TASK_UNINTERRUPTIBLE)", "smp_mb()", "CPU0 sleeps for ever, and nobody is left to wake it"),
    ],
)  # fmt: skip
def test_deadlocks_name_who_holds(tmp_path: Path, run: str, other: str, message: str) -> None:
    assert outcome(tmp_path, two(run, other)).message == message


def test_the_first_of_several_readers_is_named(tmp_path: Path) -> None:
    body = (
        "def run(x):\n    down_read(x.sem)\n    with x.other:\n        x.n += 1\n    with x.m:\n        up_read(x.sem)\n\n\n"
        "def other(x):\n    with x.m:\n        while READ_ONCE(x.n) < 2:\n            cpu_relax()\n        down_write(x.sem)\n    up_write(x.sem)"
    )
    found = outcome(tmp_path, file(body, "x = node()\ncpu(other, x)\ncpu(run, x)\ncpu(run, x)"))
    assert found.trace is not None
    assert {(one.thread, one.object) for one in found.trace.failure.blocked} == {(0, "x.sem"), (1, "x.m"), (2, "x.m")}
    assert found.trace.failure.blocked[0].holder == 1


def test_diagrams_say_that_a_task_sleeps(tmp_path: Path) -> None:
    """And the end of a `with` on a rw_semaphore is a line of its own where something comes between."""
    path = write(tmp_path, two("wait_event(x.wq, READ_ONCE(x.done))", "smp_mb()"))
    assert "// SLEEPS FOR EVER in x.wq" in run("check", str(path)).out
    body = two("with scoped_guard(rwsem_write, x.sem):\n    WRITE_ONCE(x.n, 1)", "with scoped_guard(rwsem_read, x.sem):\n    assert READ_ONCE(x.n) == 0")
    assert "[ up_write(x.sem) ]" in run("check", str(write(tmp_path, body))).out


# Where tasks share a CPU


def test_waiting_keeps_the_cpu_or_gives_it_up(tmp_path: Path) -> None:
    """On one CPU: who spins for a lock has preemption disabled, so a holder that has lost its CPU would never get it back; it cannot lose
    it. Who waits for a mutex gives the CPU up."""
    body = "def run(x):\n    {0}\n    x.n += 1\n    {1}"
    scene = "x = node()\nfirst = cpu(run, x)\ntask(run, x, on=first)\nat_rest(lambda: x.n == 2)"
    for take, give in (("write_lock(x.rw)", "write_unlock(x.rw)"), ("write_seqlock(x.sl)", "write_sequnlock(x.sl)"), ("mutex_lock(x.m)", "mutex_unlock(x.m)"),
                       ("raw_spin_lock(x.raw)", "raw_spin_unlock(x.raw)"), ("bit_spin_lock(0, x.flags)", "bit_spin_unlock(0, x.flags)")):  # fmt: skip
        assert ends(tmp_path, file(body.format(take, give), scene)) == "holds", take


def test_a_reader_that_interrupts_a_writer(tmp_path: Path) -> None:
    """The handler reads inside the section of the writer that it interrupted: it never ends. Interrupts disabled, it cannot."""
    body = "def run(x):\n    {0}\n    write_seqcount_begin(x.seq)\n    write_seqcount_end(x.seq)\n    {1}\n\n\ndef handler(x):\n    read_seqcount_begin(x.seq)"
    scene = "x = node()\nfirst = cpu(run, x)\ninterrupt(handler, x, on=first)"
    assert ends(tmp_path, file(body.format("smp_mb()", "smp_mb()"), scene)) == "deadlock"
    assert ends(tmp_path, file(body.format("local_irq_disable()", "local_irq_enable()"), scene)) == "holds"


# What a scheme does not use costs it nothing


def test_costs_nothing(tmp_path: Path) -> None:
    """By hand: two plain stores are 3 states, with all these locks in the struct and none of them used; a mutex round them adds two
    steps and so two states, and no count of what keeps from sleeping is written."""
    assert on_both(tmp_path, file("x.n = 1\nx.n = 2")).states == 3
    assert on_both(tmp_path, file("with x.m:\n    x.n = 1\n    x.n = 2")).states == 5
