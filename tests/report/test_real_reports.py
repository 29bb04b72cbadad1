"""Reports have the lines of real ones, in their order: for each a report that somebody got from a kernel, and which one.

A skeleton is the fixed words of that report's lines, with `*` for its names, numbers and addresses; what the kernel prints and there is
nothing of here (stamps of irq events, hardware, raw addresses) is left out. It is written from the report that is named, not from this
program's output. Leaves out whole reports line by line: test_formats.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .common import lines_of, trace_of

LOCK = "(*){????}-{*:*}"
CASES = {
    "koverstreet/bcachefs#155, Linux 5.9": (
        "lockdep", "def run(x):\n    spin_lock(x.lock)", "cpu(run, x)",
        ["=*", "WARNING: lock held when returning to user space!", "*ainted*", "-*", "*/* is leaving the kernel with locks still held!",
         "1 lock held by */*:", f" #0:* {LOCK}, at: *"],
    ),
    "koverstreet/bcachefs#893, Linux 6.15": (
        "lockdep", "def run(x):\n    with x.lock:\n        might_sleep()", "cpu(run, x)",
        ["BUG: sleeping function called from invalid context at *", "in_atomic(): *, irqs_disabled(): *, non_block: 0, pid: *, name: *",
         "preempt_count: *, expected: 0", "RCU nest depth: 0, expected: 0", "* lock* held by */*:", f" #0:* {LOCK}, at: *", "CPU: * PID: * Comm: *",
         "Call Trace:"],
    ),
    "firelzrd/bore-scheduler#59, Linux 6.13.1": (
        "lockdep", "def run(x):\n    with x.lock:\n        with x.lock:\n            pass", "cpu(run, x)",
        ["=*", "WARNING: possible recursive locking detected", "*ainted*", "-*", "*/* is trying to acquire lock:", f"*{LOCK}, at: *", "",
         "but task is already holding lock:", f"*{LOCK}, at: *", "", "other info that might help us debug this:",
         " Possible unsafe locking scenario:", "", "       CPU0", "       ----", "  lock(*);", "  lock(*);", "", " *** DEADLOCK ***", "",
         " May be due to missing lock nesting notation", "", "* lock* held by */*:"],
    ),
    "versity/scoutfs#313, Linux 5.14": (
        "lockdep", "def take(x):\n    spin_lock(x.lock)\n    spin_unlock(x.lock)", "softirq(take, x, on=cpu(take, x))",
        ["=*", "WARNING: inconsistent lock state", "*ainted*", "-*", "inconsistent {SOFTIRQ-ON-W} -> {IN-SOFTIRQ-W} usage.",
         "*/* [HC0[0]:SC1[1]:HE1:SE0] takes:", "*(*){+.??}-{2:2}, at: *", "{SOFTIRQ-ON-W} state was registered at:", "  take *"],
    ),
    "openwrt/openwrt#13921, Linux 5.15.137": (
        "lockdep",
        "def irq(x):\n    with x.lock:\n        pass\n\ndef inner(x):\n    if smp_load_acquire(x.flag):\n        local_bh_disable()\n        with x.lock, x.other:\n            pass\n"
        "        local_bh_enable()\n\ndef outside(x):\n    with x.other:\n        pass\n    smp_store_release(x.flag, True)",
        "c = cpu(outside, x)\ncpu(inner, x)\nsoftirq(irq, x, on=c)",
        ["=*", "WARNING: possible irq lock inversion dependency detected", "*ainted*", "-*", "*/* just changed the state of lock:", f"*{LOCK}, at: *",
         "but this lock *, SOFTIRQ-*safe lock in the past:", f" {LOCK}", "", "", "and interrupts could create inverse lock ordering between them.", "", "",
         "other info that might help us debug this:", " Possible interrupt unsafe locking scenario:", "", "       CPU0                    CPU1",
         "       ----                    ----", "  lock(*);", "                               local_irq_disable();", "                               lock(*);",
         "                               lock(*);", "  <Interrupt>", "    lock(*);", "", " *** DEADLOCK ***"],
    ),
    "syzbot job 2ddf3085, Linux 6.19": (
        "kcsan", "def store(x):\n    x.n = 1\n\ndef look(x):\n    return x.n", "cpu(store, x)\ncpu(look, x)",
        ["=" * 66, "BUG: KCSAN: data-race in * / *", "", "write to * of 1 bytes by task * on cpu *:", " store *", "",
         "read to * of 1 bytes by task * on cpu *:", " look *"],
    ),
    "multipath-tcp/mptcp_net-next#433, Linux 6.5": (
        "kasan", "def use(x):\n    smp_mb()\n    WRITE_ONCE(x.n, 1)\n\ndef free(x):\n    kfree(x)", "cpu(use, x)\ncpu(free, x)",
        ["=" * 66, "BUG: KASAN: slab-use-after-free in * (*)", "Write of size * at addr * by task */*", "", "CPU: * PID: * Comm: * *ainted *", "Call Trace:",
         " <TASK>", " use (*)", " </TASK>", "", "Freed by task *:"],
    ),
}  # fmt: skip


def _fits(skeleton: str, line: str) -> bool:
    parts = (re.escape(one).replace(r"\?", "[-+.?]") for one in skeleton.split("*"))
    return line == skeleton if "DEADLOCK" in skeleton else re.fullmatch(".*".join(parts), line) is not None


@pytest.mark.parametrize("source", CASES)
def test_has_the_lines_of_a_real_report(tmp_path: Path, source: str) -> None:
    name, body, scene, skeletons = CASES[source]
    made = "pool(node, 1)\nx = kmalloc(node)\n" if name == "kasan" else "x = node()\n"
    lines = lines_of(trace_of(tmp_path, body, made + scene), name)
    assert len(lines) >= len(skeletons)
    for skeleton, line in zip(skeletons, lines, strict=False):
        assert _fits(skeleton, line), f"{skeleton!r} is not {line!r}"
