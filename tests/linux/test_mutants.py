"""What holds is broken when a lock, a barrier, an RCU section, a grace period or a trylock is taken out; or it is written here why not.

A mutant is killed when one of the scenes that reach it breaks. The excuses are for mutants that no scene kills: each must be one, so that
an excuse that is not needed any more is told. Takes minutes: run with `-m long`. Leaves out locks of scheme files.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.engine import Options
from lockverse.explore.bounds import Bounds
from lockverse.lang import scene as lang_scene
from lockverse.linux.include import pgtable
from lockverse.linux.mm import memcontrol, memcontrol_stock
from lockverse.session import Task, check, open_file, tasks

from ..support import ROOT
from .mutants import Mutant, fields, mutants, mutation, reached

SCENES = [
    *(("ladder/ladder.py", "rung_g", {"scenario": one, "memory": "file"}) for one in ("unmap_here", "not_present", "refault", "ksm")),
    ("ladder/ladder.py", "rung_g", {"scenario": "fault_elsewhere", "memory": "anon"}),
    ("ladder/ladder.py", "rung_a0", {}), ("ladder/ladder.py", "rung_b", {}), ("ladder/ladder.py", "rung_f", {}),
    ("ladder/ladder.py", "rung_e", {"scenario": "fault_elsewhere", "memory": "file"}),
    ("ladder/ladder.py", "rung_p", {"cgroup": "v1"}), ("ladder/ladder.py", "rung_p", {"cgroup": "v2"}),
    *(("ladder/other_users.py", "accounted_while_moved", {"what": one}) for one in ("dirtied", "cancelled", "writeback starts", "writeback ends")),
    ("ladder/paths.py", "books_after", {"path": "two faults"}), ("ladder/paths.py", "books_after", {"path": "copy on write"}),
    ("ladder/flushers.py", "two_flushers", {}), ("ladder/flushers.py", "two_flushers", {"second": "may sleep"}),
    ("ladder/one_mm.py", "two_page_tables", {"rung": "E", "unmapper": "munmap, write lock kept"}),
    ("ladder/one_mm.py", "two_page_tables", {"rung": "B", "scenario": "unmap_second"}),
    ("races/r14_mmap_lock.py", "charged_while_charges_move", {"mover": "2.6.37"}), ("races/r14_mmap_lock.py", "walked_while_changed", {"by": "exit"}),
    ("ladder/huge.py", "moved", {"memcg_lock": "False"}), ("ladder/huge.py", "moved", {"scenario": "unmap_here", "memcg_lock": "False"}),
    ("charges/stock.py", "consumed", {}), ("charges/stock.py", "drained", {}), ("charges/stock.py", "freed_while_looked_at", {}),
    ("ladder/sizes.py", "moves", {"others": "1"}), ("ladder/movers.py", "two_movers", {}),
    ("ladder/memsw.py", "memory_and_swap", {"scene": "swapped in"}),
    ("ladder/lruvec.py", "moved_between_lists", {}), ("ladder/lruvec.py", "lists_reparented", {}),
    *(("races/r15_lock_and_interrupt.py", "interrupt_wants_the_memcg_lock", {"irqsave": "True", "on": one}) for one in ("the mover", "another user")),
]  # fmt: skip

RCU = "the group's lifetime only, and the pte lock is an RCU reader too: c20 takes both away"
ALONE = "nobody else is at the same table, page or counter in these scenes"
PMD = "redundant, as the mover holds the lock of a pmd that maps the page: schemes/ladder/huge.py"
IDS = "guards the way from an id to its group, which is a pointer here"
LISTS = "guards lists, which this scene has not: schemes/ladder/lruvec.py does without it"
TAGS = "guards the tags of the page cache, which are not modelled"
EXCUSES = {
    "__mod_lruvec_page_state: rcu_read_lock()": RCU,
    "mod_state_of_living: rcu_read_lock()": RCU,
    "pte_offset_map_lock: rcu_read_lock()": "the memcg lock is an RCU reader too: c20",
    "mem_cgroup_move_account: smp_mb()": "memory is sequentially consistent",
    "filemap_dirty_folio: spin_lock_irqsave(mapping.i_pages_lock)": "guards against truncation, which no scene runs against it",
    "folio_start_writeback: spin_lock_irqsave(mapping.i_pages_lock)": TAGS,
    "folio_end_writeback: spin_lock_irqsave(mapping.i_pages_lock)": TAGS,
    "page_add_file_rmap: lock_page_memcg(page)": "redundant where the fault holds the folio lock, which the mover trylocks: always, in this model",
    "do_swap_page: pte_offset_map_lock(mm)": ALONE,
    "finish_fault: pte_offset_map_lock(mm)": "two faults at one pte are at one page, whose folio lock both hold; the mover writes no pte",
    "replace_page: pte_offset_map_lock(mm)": ALONE,
    "wp_page_copy: pte_offset_map_lock(mm)": "the mover of 6.1 is kept off by the memcg lock",
    "mem_cgroup_count_precharge_pte_range: pte_offset_map_lock(mm)": "a wrong count is given back at the end",
    "write_one_page: folio_lock(folio)": ALONE,
    "mem_cgroup_swapin_charge_folio: rcu_read_lock()": IDS,
    "mem_cgroup_uncharge_swap_memsw: rcu_read_lock()": IDS,
    "read_swap_cache_async: folio_lock(folio)": "the page is not on the LRU before it is read, so nobody can isolate it",
    "folio_lruvec_lock_7_1: rcu_read_lock()": "a group's lifetime only, which these scenes do not end",
    "reparent_state_local: spin_lock_irq(cgroup_rstat_lock)": ALONE,
    "memcg_reparent_objcgs: spin_lock_irq(reparent.objcg_lock)": "guards the list of a group's obj_cgroups, which is one",
    "memcg_reparent_objcgs: spin_lock(reparent.child_lru_lock)": LISTS,
    "memcg_reparent_objcgs: spin_lock(reparent.parent_lru_lock)": LISTS,
    "drain_all_stock: mutex_trylock(charging.percpu_charge_mutex)": "saves work: nothing is asked of a CPU twice anyhow",
    "page_remove_compound_rmap: lock_page_memcg(page)": PMD,
    "__split_huge_pmd_locked: lock_page_memcg(page)": PMD,
    "dup_mmap: down_write(mm.mmap_lock)": "no vma comes or goes meanwhile, and the pte locks keep the mover off",
    "copy_pte_range: pte_offset_map_lock(dst)": "nobody else has the child's mm",
    "copy_pte_range: pte_offset_map_lock(src)": "fork holds mmap_lock for writing, which keeps the mover off",
    "exit_mmap: down_read(mm.mmap_lock)": "nobody else has the mm",
    "exit_mmap: down_write(mm.mmap_lock)": "nobody else has the mm",
    "mem_cgroup_count_precharge: down_read(mm.mmap_lock)": "a wrong count is given back at the end",
    "madvise_dontneed: down_read(mm.mmap_lock)": "keeps the vma, which nobody takes away",
}

_UNLOCK = memcontrol.__dict__["__folio_memcg_unlock"]
ACROSS = [  # pairs whose ends are in two functions
    Mutant(((memcontrol.folio_memcg_lock, ("rcu_read_lock()",)), (_UNLOCK, ("rcu_read_unlock()",)))),
    Mutant(((memcontrol.folio_memcg_lock, ("spin_lock_irqsave(memcg.move_lock)", "spin_unlock_irqrestore(memcg.move_lock, flags)")),
            (_UNLOCK, ("spin_unlock_irqrestore(memcg.move_lock, flags)",)))),
    Mutant(((pgtable.pte_offset_map_lock, ("spin_lock(mm.pgtable.ptl)",)), (pgtable.pte_unmap_unlock, ("spin_unlock(mm.pgtable.ptl)",)))),
    Mutant(((pgtable.pte_offset_map_lock, ("rcu_read_lock()",)), (pgtable.pte_unmap_unlock, ("rcu_read_unlock()",)))),
    Mutant((
        (memcontrol.mem_cgroup_lock_mm, ("down_read_trylock(mm.mmap_lock)",)), (memcontrol.mem_cgroup_walk_and_move, ("up_read(mm.mmap_lock)",)),
    )),
    Mutant((
        (pgtable.pmd_trans_huge_lock, ("pte_offset_map_lock(mm)", "pte_unmap_unlock(mm)")), (pgtable.pmd_trans_huge_unlock, ("pte_unmap_unlock(mm)",)),
    )),
    Mutant((
        (memcontrol_stock.lock_stock, ("local_lock_irqsave(memcg_stock.stock_lock)",)),
        (memcontrol_stock.unlock_stock, ("local_unlock_irqrestore(memcg_stock.stock_lock, flags)",)),
    )),
]  # fmt: skip


def _scenes() -> list[tuple[Task, list[object], set[str]]]:
    found = []
    for file, scheme, given in SCENES:
        task = tasks(open_file(ROOT / "schemes" / file), scheme, given, every=False)[0]
        scene = lang_scene.build(task.file.schemes[scheme], dict(task.arguments))
        has = fields(scene)
        functions = [one for one in reached(scene) if one.__module__.startswith("lockverse.linux")]
        scene.restore()
        found.append((task, functions, has))
    return found


def _by_name() -> dict[str, list[tuple[Mutant, Task]]]:
    found: dict[str, list[tuple[Mutant, Task]]] = {}
    for task, functions, has in _scenes():
        own = [mutant for one in functions for mutant in mutants(one, has)]  # type: ignore[arg-type]
        own = [one for one in own if one.parts[0][0] not in (memcontrol.folio_memcg_lock, pgtable.pmd_trans_huge_lock)]
        for mutant in [*own, *(one for one in ACROSS if all(function in functions for function, _ in one.parts))]:
            found.setdefault(mutant.name, []).append((mutant, task))
    return found


MUTANTS = _by_name()


def test_excuses_are_for_mutants() -> None:
    assert set(EXCUSES) <= set(MUTANTS)
    assert len(MUTANTS) > 30


@pytest.mark.long
@pytest.mark.parametrize("name", MUTANTS)
def test_mutant(name: str, tmp_path: Path) -> None:
    killed = None
    for mutant, task in MUTANTS[name]:
        with mutation(mutant, tmp_path):
            outcome = check(task, Bounds(), lambda _: None, Options(findings=False))
        if outcome.verdict.value == "broken":
            killed = f"{task.scheme}: {outcome.message}"
            break
    assert (killed is None) == (name in EXCUSES), killed
