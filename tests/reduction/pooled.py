"""Random programs that allocate, link, look and free: what the tests of lifetimes run through machines and reductions.

A program is told by its seed. Most of them are wrong somewhere; some are not. Leaves out what is right about them.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from lockverse.diagnostics.model import Rejected
from lockverse.ir.program import Linked
from lockverse.machine.interpreter import Interpreter
from lockverse.machine.protocol import Moved

from ..support import linked_of, scheme_text

LINES = [
    "p = kmalloc(node, GFP_ATOMIC)", "p = kzalloc(node)", "p = x.next", "p = READ_ONCE(y.next)", "x.next = p", "y.next = p", "p = xchg(x.next, NULL)",
    "if p:\n    p.n = 1", "if p:\n    k = p.n", "if p:\n    p.next = y.next", "if p:\n    p = p.next", "if p:\n    atomic_inc(p.count)",
    "if p:\n    with p.lock:\n        p.big += 1", "if x.next == p:\n    x.next = NULL", "kfree(p)\np = NULL", "kfree(xchg(y.next, NULL))", "k = 0",
    "with x.lock:\n    p = x.next\n    if p:\n        p.n = k", "with x.lock:\n    kfree(x.next)\n    x.next = NULL", "if p:\n    p.slots[k] = 1", "smp_mb()",
]
READING = [
    "rcu_read_lock()\np = x.next\nif p:\n    k = p.n & 1\nrcu_read_unlock()", "kfree_rcu(xchg(x.next, NULL))", "kfree_rcu(xchg(x.next, NULL), 'rcu')",
    "p = xchg(x.next, NULL)\nif p:\n    synchronize_rcu()\n    kfree(p)\n    p = NULL", "if p:\n    call_rcu(p.rcu, count)", "call_rcu(x.rcu, count)",
    "rcu_barrier()", "preempt_disable()\np = x.next\nif p:\n    p.flag = True\npreempt_enable()", "with x.lock:\n    x.next = kmalloc(node, GFP_ATOMIC)",
    "assert shared.n < 2",
]  # fmt: skip


def pooled(seed: int) -> str:
    """A random scheme file of two or three CPUs that share what is allocated."""
    rng = Random(seed)
    threads = rng.choice([2, 2, 3])
    same = rng.random() < 0.5
    lines = [*LINES, *READING * 3] if rng.random() < 0.6 else LINES
    functions = ["shared = node()", "", "", "def count(head):", "    shared.n += 1", "", ""]
    for number in range(1 if same else threads):
        functions += [f"def run{number}(x, y):", "    k: u8 = 0", "    p = x.next"]
        for _ in range(rng.randrange(2, 5 if threads == 2 else 3)):
            functions += ["    " + line for line in rng.choice(lines).split("\n")]
        functions += ["", ""]
    cpus = [f"cpu(run{0 if same else number}, x, y)" for number in range(threads)]
    more = [f"pool(node, {rng.randrange(2, 4)})"] + (["x.next = kmalloc(node)"] if rng.random() < 0.6 else [])
    properties = [one for one in ["always(lambda: y.next == NULL or y.next.n < 2)", "at_rest(lambda: x.next == NULL)"] if rng.random() < 0.2]
    text = scheme_text("\n".join(functions), "\n".join(["x = node()", "y = node()", *more, *cpus, *properties]))
    return text.replace("    other: spinlock_t\n", "    other: spinlock_t\n    rcu: rcu_head\n", 1)


def pooled_linked(folder: Path, seed: int) -> Linked | None:
    """The linked code of that text; None if it does not compile, or fails before its first step."""
    try:
        linked = linked_of(folder, pooled(seed))
    except Rejected:
        return None
    return linked if isinstance(Interpreter(linked).start().outcome, Moved) else None
