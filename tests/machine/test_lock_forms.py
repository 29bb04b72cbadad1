"""Locks that are taken with softirqs or interrupts disabled, and local locks: every form, on both engines, with a near miss for each fault.

Expected answers are by thinking; the rules are those of docs/language.md. Leaves out the plain forms: test_locks.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .vocabulary import ends, on_both

HEAD = """from lockverse import *


@struct
class stock:
    local: local_lock_t
    n: s64


@struct
class node:
    n: u8
    inside: bool
    seen: bool
    flags: u64
    stock: percpu[stock]
    locals: percpu[local_lock_t]
    lock: spinlock_t
    raw: raw_spinlock_t
    rw: rwlock_t
    sl: seqlock_t


"""
ONE = "x = node()\ncpu(run, x)"
TWO = f"{ONE}\ncpu(other, x)"
SHARED = "x = node()\nfirst = cpu(run, x)\ntask(other, x, on=first)"


def file(scene: str, **functions: str) -> str:
    """A scheme file: the scheme's lines, and those of each function."""
    bodies = [f"def {name}(x):\n" + "\n".join(f"    {line}" for line in lines.splitlines()) for name, lines in functions.items()]
    return HEAD + "\n\n\n".join(bodies) + "\n\n\n@scheme\ndef scene():\n" + "\n".join(f"    {line}" for line in scene.splitlines()) + "\n"


def _forms(lock: str, take: str, give: str, trial: str = "") -> dict[str, tuple[str, str, str, str]]:
    """Of each form how it is taken, given back and tried; "" where the kernel tries none."""
    irqsave = f"ok, flags = {trial}_irqsave({lock})" if trial else ""
    trials = {form: f"ok = {trial}_{form}({lock})" if trial and take != "write_lock" else "" for form in ("bh", "irq")}
    return {
        f"{take}_bh": (f"{take}_bh({lock})", f"{give}_bh({lock})", trials["bh"], lock),
        f"{take}_irq": (f"{take}_irq({lock})", f"{give}_irq({lock})", trials["irq"], lock),
        f"{take}_irqsave": (f"flags = {take}_irqsave({lock})", f"{give}_irqrestore({lock}, flags)", irqsave, lock),
    }


FORMS = {
    **_forms("x.lock", "spin_lock", "spin_unlock", "spin_trylock"), **_forms("x.raw", "raw_spin_lock", "raw_spin_unlock", "raw_spin_trylock"),
    **_forms("x.rw", "read_lock", "read_unlock"), **_forms("x.rw", "write_lock", "write_unlock", "write_trylock"),
    **_forms("x.sl", "write_seqlock", "write_sequnlock"), **_forms("x.sl", "read_seqlock_excl", "read_sequnlock_excl"),
    "nested": ("flags = spin_lock_irqsave_nested(x.lock, 1)", "spin_unlock_irqrestore(x.lock, flags)", "", "x.lock"),
    "raw nested": ("flags = raw_spin_lock_irqsave_nested(x.raw, 1)", "raw_spin_unlock_irqrestore(x.raw, flags)", "", "x.raw"),
}  # fmt: skip
LOCAL = {
    "local_lock": ("local_lock(x.stock.local)", "local_unlock(x.stock.local)", "", "this_cpu_ptr(x.stock).local"),
    "local_lock_irq": ("local_lock_irq(x.stock.local)", "local_unlock_irq(x.stock.local)", "", "this_cpu_ptr(x.stock).local"),
    "local_lock_irqsave": ("flags = local_lock_irqsave(x.locals)", "local_unlock_irqrestore(x.locals, flags)", "", "this_cpu_ptr(x.locals)"),
}  # fmt: skip
ALL = FORMS | LOCAL
BODIES = {name: one for name, one in ALL.items() if "raw" not in name and "nested" not in name and "seq" not in name}  # those others are made of
each = pytest.mark.parametrize(("take", "give", "trial", "lock"), ALL.values(), ids=ALL)
each_body = pytest.mark.parametrize(("take", "give", "trial", "lock"), BODIES.values(), ids=BODIES)


@each
def test_rules(tmp_path: Path, take: str, give: str, trial: str, lock: str) -> None:
    """Its holder may not sleep, and may afterwards; it is given back, once, by who holds it, who is known to lockdep."""
    asserted = f"{take}\nlockdep_assert_held({lock})\n{give}\nlockdep_assert_not_held({lock})\nmight_sleep()"
    assert ends(tmp_path, file(ONE, run=asserted)) == "holds"
    assert ends(tmp_path, file(ONE, run=f"{take}\nmight_sleep()\n{give}")) == "sleeping-while-atomic"
    assert ends(tmp_path, file(ONE, run=take)) == "lock-held-at-exit"
    assert ends(tmp_path, file(ONE, run=f"{take}\n{take}")) == "recursive-locking"
    assert ends(tmp_path, file(ONE, run=f"flags = False\n{give}")) == "unlock-by-stranger"


@each_body
def test_excluding(tmp_path: Path, take: str, give: str, trial: str, lock: str) -> None:
    """Two tasks that share a CPU count under it, and so do two CPUs: a count is lost where it does not keep the other away. Readers
    keep nobody of another CPU away, and a local lock is not about them."""
    count = f"{take}\nn = READ_ONCE(x.n)\nWRITE_ONCE(x.n, n + 1)\n{give}"
    done = "\nat_rest(lambda: x.n == 2)"
    assert ends(tmp_path, file(SHARED + done, run=count, other=count)) == "holds"
    apart = "at-rest" if "read_lock" in take or "local" in take else "holds"
    assert ends(tmp_path, file(TWO + done, run=count, other=count)) == apart


@each_body
def test_keeping_handlers_away(tmp_path: Path, take: str, give: str, trial: str, lock: str) -> None:
    """A softirq sees no section of theirs, and an interrupt none of those that disable interrupts: both come after it."""
    inside = f"{take}\nWRITE_ONCE(x.inside, True)\nWRITE_ONCE(x.inside, False)\n{give}\n"
    look = "if READ_ONCE(x.inside):\n    WRITE_ONCE(x.seen, True)"
    for kind, comes in (("softirq", "local_lock(" in take), ("interrupt", "irq" not in take)):
        scene = f"x = node()\nc = cpu(run, x)\n{kind}(handle, x, on=c)\nsometimes(lambda: x.seen)"
        assert (ends(tmp_path, file(scene, run=inside, handle=look)) == "holds") == comes, kind


@each_body
def test_a_section_is_a_reader(tmp_path: Path, take: str, give: str, trial: str, lock: str) -> None:
    """A grace period waits for it, and for no longer than that."""
    body = f"{take}\nWRITE_ONCE(x.inside, True)\nWRITE_ONCE(x.inside, False)\n{give}"
    wait = "if READ_ONCE(x.inside):\n    synchronize_rcu()\n    assert not READ_ONCE(x.inside)"
    assert ends(tmp_path, file(TWO, run=body, other=wait)) == "holds"


@pytest.mark.parametrize(("take", "give", "trial", "lock"), [one for one in FORMS.values() if one[2]], ids=[name for name, one in FORMS.items() if one[2]])
def test_trying(tmp_path: Path, take: str, give: str, trial: str, lock: str) -> None:
    """It works where nobody holds the lock, and leaves nothing behind where somebody does."""
    assert ends(tmp_path, file(ONE, run=f"{trial}\nassert ok\nlockdep_assert_held({lock})\n{give}\nmight_sleep()")) == "holds"
    assert ends(tmp_path, file(ONE, run=f"{trial}\nmight_sleep()\n{give}")) == "sleeping-while-atomic"
    tries = f"{trial}\nif ok:\n    assert READ_ONCE(x.n) == 0\n    {give}\nmight_sleep()"
    holds = f"{take}\nWRITE_ONCE(x.n, 1)\nWRITE_ONCE(x.n, 0)\n{give}"
    assert ends(tmp_path, file(TWO, run=holds, other=tries)) == "holds"


GUARDS = [
    *(f"{kind}spinlock_{form}, x.{lock}" for kind, lock in (("", "lock"), ("raw_", "raw")) for form in ("bh", "irq", "irqsave")),
    *(f"{way}_lock_{form}, x.rw" for way in ("read", "write") for form in ("bh", "irq", "irqsave")),
    "local_lock, x.stock.local", "local_lock_irq, x.locals", "local_lock_irqsave, x.stock.local", "write_seqlock, x.sl", "read_seqlock_excl, x.sl",
]  # fmt: skip


@pytest.mark.parametrize("guard", GUARDS)
def test_with(tmp_path: Path, guard: str) -> None:
    """It is held inside, and given back on every way out with interrupts as they were found."""
    saves = "irqsave" in guard
    body = f"while True:\n    with scoped_guard({guard}):\n        assert in_atomic() or irqs_disabled()\n        if x.n == 0:\n            break\n"
    assert ends(tmp_path, file(ONE, run=body + "might_sleep()")) == "holds"
    body = f"local_irq_disable()\nwith scoped_guard({guard}):\n    x.n = 1\nassert irqs_disabled()\nlocal_irq_enable()"
    assert (ends(tmp_path, file(ONE, run=body)) == "holds") == (saves or not ("_irq" in guard or "_bh" in guard))


def test_with_on_a_folio_and_a_local_lock(tmp_path: Path) -> None:
    assert ends(tmp_path, file(ONE, run="with scoped_guard(folio_lock, x):\n    assert folio_test_locked(x)\nassert not folio_test_locked(x)")) == "holds"
    assert ends(tmp_path, file(ONE, run="with this_cpu_ptr(x.stock).local:\n    assert in_atomic()\nmight_sleep()")) == "holds"


@pytest.mark.parametrize("form", ["bh", "irq", "irqsave"])
def test_who_waits_keeps_the_cpu(tmp_path: Path, form: str) -> None:
    """Where tasks share a CPU and there are no handlers: the holder waits for a task that would have to run on the CPU of the one that
    waits for the lock, which keeps it, as in test_contexts.py for spin_lock()."""
    for take, give, _, _ in (FORMS[f"{lock}_lock_{form}"] for lock in ("spin", "raw_spin", "write")):
        holds = f"{take}\nwhile not READ_ONCE(x.seen):\n    cpu_relax()\n{give}"
        scene = "x = node()\nfirst = cpu(run, x)\ntask(sets, x, on=first)\ncpu(other, x)"
        made = file(scene, run=f"{take}\n{give}", sets="WRITE_ONCE(x.seen, True)", other=holds)
        assert ends(tmp_path, made) in ("endless-spinning", "deadlock")


def test_a_local_lock_waits_for_nobody(tmp_path: Path) -> None:
    """A handler finds the lock of what it interrupts held; that of another CPU can be held too."""
    takes = "local_lock(x.stock.local)\nlocal_unlock(x.stock.local)"
    handler = "x = node()\nc = cpu(run, x)\ninterrupt(handle, x, on=c)"
    assert ends(tmp_path, file(handler, run=takes, handle=takes)) == "recursive-locking"
    irqs_off = "local_lock_irq(x.stock.local)\nlocal_unlock_irq(x.stock.local)"
    assert ends(tmp_path, file(handler, run=irqs_off, handle=takes)) == "holds"
    theirs = "local_lock(per_cpu_ptr(x.stock, 0).local)\nlocal_unlock(per_cpu_ptr(x.stock, 0).local)"
    assert ends(tmp_path, file(TWO, run=takes, other=theirs)) == "recursive-locking"
    assert ends(tmp_path, file(TWO, run=takes, other=takes)) == "holds"


def test_counts(tmp_path: Path) -> None:
    """By hand, one CPU: each of these is a step to take and a step to give back, so 3 states; nothing more where nobody can come."""
    for take, give, _, _ in BODIES.values():
        assert on_both(tmp_path, file(ONE, run=f"{take}\n{give}")).states == 3, take
