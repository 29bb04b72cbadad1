"""Reductions on schemes with pools: what may be merged where things are freed, and that nothing is lost.

Expected answers are by thinking, as in test_directed.py; then random programs: the essence is kept, and the engine's verdict is the
reference's.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.reduction import REDUCTIONS

from ..codegen.common import SUBSETS, linked_text, searched, verdict
from .pooled import pooled_linked
from .spaces import also, keeps, reduced
from .test_directed import engine_agrees, lost_by

LOCKS = ("local", "locks")


def test_an_access_waits_for_whoever_may_free(tmp_path: Path) -> None:
    """p.n is touched by one CPU alone, but the other one can free p: the load depends on that, and is no step to be merged."""
    body = "def run(x):\n    p = x.next\n    x.big = 1\n    k = p.n\ndef other(x):\n    kfree(xchg(x.next, NULL))"
    scene = "pool(node, 1)\nx = node()\nx.next = kmalloc(node)\ncpu(run, x)\n{}"
    linked = linked_text(tmp_path, body, scene.format("cpu(other, x)"))
    one = reduced(linked, LOCKS)
    assert "load" not in one.merged[0] and keeps(one)
    failing = engine_agrees(linked)
    assert failing is not None and failing.reason == "null-dereference"
    alone = linked_text(tmp_path, body, scene.format(""))
    assert "load" in reduced(alone, LOCKS).merged[0] and engine_agrees(alone) is None


def test_freeing_is_seen_by_who_has_a_pointer(tmp_path: Path) -> None:
    """kfree of an object that another CPU may look at is not merged; merged after all, it hides the use after free."""
    body = "def run(x):\n    p = x.next\n    if p:\n        k = p.n\ndef other(x):\n    x.big = 2\n    p = xchg(x.next, NULL)\n    kfree(p)"
    linked = linked_text(tmp_path, body, "pool(node, 1)\nx = node()\nx.next = kmalloc(node)\ncpu(run, x)\ncpu(other, x)")
    one = reduced(linked, LOCKS)
    assert "kfree" not in one.merged[1] and keeps(one)
    failing = engine_agrees(linked)
    assert failing is not None and failing.reason == "use-after-free"
    assert lost_by(also(also(one, 1, "kfree"), 0, "load", "store"))


def test_an_object_under_its_lock(tmp_path: Path) -> None:
    """What is only looked at and freed with a lock held needs no interleaving inside it."""
    body = "def run(x):\n    with x.lock:\n        if x.next:\n            x.next.n += 1\n            kfree(x.next)\n            x.next = NULL"
    linked = linked_text(tmp_path, body, "pool(node, 1)\nx = node()\nx.next = kmalloc(node)\ncpu(run, x)\ncpu(run, x)")
    one = reduced(linked, LOCKS)
    assert {"load", "store", "kfree", "spin_unlock"} <= set(one.merged[0]) and keeps(one)
    assert engine_agrees(linked) is None


@pytest.mark.parametrize("first", range(200, 260, 20))
def test_random_programs(tmp_path: Path, first: int) -> None:
    kept = merged = 0
    for seed in range(first, first + 20):
        linked = pooled_linked(tmp_path, seed)
        reference = None if linked is None else searched(linked, "reference")
        if linked is None or reference is None or reference.states > 1_000:
            continue
        for names in (REDUCTIONS, SUBSETS[seed % 16]):
            one = reduced(linked, names)
            found = keeps(one, 600)
            assert found is not False, (seed, names)
            kept += found is True
            merged += any(one.merged)
            assert verdict(searched(linked, "native", names)) == verdict(reference), (seed, names)
    assert kept > 15 and merged > 10
