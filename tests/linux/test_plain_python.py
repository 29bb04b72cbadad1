"""The modelled kernel runs under plain Python: one CPU, ordinary objects, the books checked after every call.

Expected numbers come from what a real 6.1 answered (the behaviours that the model's brief lists by number, such as "a file page mapped by
others moves with the first mover") or from counting by hand. Leaves out concurrency: that is the schemes' business.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lockverse.lang import applied, array, atomic_long_read, atomic_read, ptr, refcount_read
from lockverse.lang.null import NULL
from lockverse.lang.scene import snapshot
from lockverse.linux.boot import (
    anon_page,
    file_mapping,
    file_page,
    gather,
    huge_page,
    map_huge,
    map_page,
    memory_cgroup,
    mm_of,
    new_mm,
    vma_of,
)
from lockverse.linux.include.errno import EFAULT, ENOMEM
from lockverse.linux.include.huge_mm import huge_gather, huge_mm_struct, huge_vma
from lockverse.linux.include.memcontrol import MOVE_ANON, MOVE_FILE
from lockverse.linux.include.mm_types import page, pte_state, swap_slot, vm_area_struct
from lockverse.linux.include.mmzone import (
    MEMCG_SWAP,
    NR_ANON_MAPPED,
    NR_ANON_THPS,
    NR_FILE_MAPPED,
    NR_FILE_PAGES,
    PGPGIN,
    PGPGOUT,
)
from lockverse.linux.invariants import (
    anon_mapped_is_counted,
    anon_thps_are_counted,
    file_mapped_is_counted,
    file_pages_are_counted,
    huge_anon_is_counted,
    huge_mapcounts_are_right,
    usage_is_exact,
)
from lockverse.linux.kernel.cgroup import rstat
from lockverse.linux.kernel.cgroup.rstat import cgroup_rstat_flush, hierarchical, local
from lockverse.linux.mm import memsw
from lockverse.linux.mm.filemap import filemap_add_folio
from lockverse.linux.mm.huge_memory import copy_huge_pmd, split_huge_pmd, zap_huge_pmd
from lockverse.linux.mm.memcontrol import mc, mem_cgroup_can_attach, mem_cgroup_move_task
from lockverse.linux.mm.memcontrol_stock import drain_all_stock, mem_cgroup_css_offline, try_charge_memcg
from lockverse.linux.mm.memory import (
    copy_pte_range,
    do_anonymous_page,
    do_fault,
    do_swap_page,
    do_swap_page_read,
    wp_page_copy,
    zap_pte_range,
)
from lockverse.linux.mm.migrate import unmap_and_move
from lockverse.linux.mm.mmap import dup_mmap, handle_mm_fault, madvise_dontneed, mmput, vm_munmap
from lockverse.linux.mm.page_writeback import write_one_page
from lockverse.linux.mm.swap import folio_put
from lockverse.linux.mm.tlb import store
from lockverse.linux.mm.vmscan import shrink_folio
from lockverse.linux.patches import delayed_rmap, move_locked_pages, no_charge_moving, rmap_without_memcg_lock

SERIES = {
    "6.1": [],
    "6.2": [delayed_rmap.PATCHES],
    "6.3": [delayed_rmap.PATCHES, rmap_without_memcg_lock.PATCHES, move_locked_pages.PATCHES],
}


@pytest.fixture(autouse=True)
def kernel_as_it_was() -> Iterator[None]:
    """The model's own objects, such as `mc`, are for whoever comes next as they were."""
    restore = snapshot(one for name, module in list(sys.modules.items()) if name.startswith("lockverse.linux.") for one in list(vars(module).values()))
    yield
    restore()


@pytest.fixture(params=list(SERIES))
def version(request: pytest.FixtureRequest) -> Iterator[str]:
    mc.from_ = mc.to = NULL
    mc.precharge = mc.moved_charge = 0
    with applied(SERIES[request.param]):
        yield request.param


def stat(memcg: Any, item: int) -> int:
    return int(atomic_long_read(memcg.state[item]))


def usage(memcg: Any) -> int:
    return int(atomic_long_read(memcg.memory.usage))


def move(vma: Any, a: Any, b: Any, flags: int = MOVE_ANON | MOVE_FILE) -> int:
    error = mem_cgroup_can_attach(vma, a, b, flags)
    if not error:
        mem_cgroup_move_task(vma)
    return int(error)


def zap(vma: Any) -> None:
    zap_pte_range(gather(vma), vma)


def test_anonymous_page_from_fault_to_exit(version: str) -> None:
    top = memory_cgroup()
    a, b = memory_cgroup(top), memory_cgroup(top)
    mm = new_mm(a)
    vma, p = vma_of(mm), page(_mapcount=-1, _refcount=1, anon=True, swapbacked=True)
    assert do_anonymous_page(vma, 0, p) == 0
    assert (stat(a, NR_ANON_MAPPED), usage(a), usage(top), stat(a, PGPGIN)) == (1, 1, 1, 1)
    assert move(vma, a, b, MOVE_FILE) == 0 and p.memcg_data is a
    assert move(vma, a, b, MOVE_ANON) == 0 and p.memcg_data is b
    assert (stat(a, NR_ANON_MAPPED), stat(b, NR_ANON_MAPPED), usage(a), usage(b), usage(top)) == (0, 1, 0, 1, 1)
    assert (stat(b, PGPGIN), stat(a, PGPGOUT)) == (1, 1)  # behaviour 10
    zap(vma)
    assert p.memcg_data is NULL and (usage(a), usage(b), usage(top), stat(b, NR_ANON_MAPPED)) == (0, 0, 0, 0)
    assert atomic_long_read(a.css_refcnt) == atomic_long_read(b.css_refcnt) == 1


def test_file_page_moves_with_the_first_mover(version: str) -> None:
    """Behaviours 3 and 5: mapped by another, or by nobody, and found by its offset."""
    a, b = memory_cgroup(), memory_cgroup()
    file, other, mine = file_mapping(), new_mm(a), new_mm(b)
    p = page(_mapcount=-1, _refcount=1)
    assert filemap_add_folio(file, p, 0, a) == 0
    folio_put(p)
    assert do_fault(vma_of(other, file), 0, False) == 0
    assert (stat(a, NR_FILE_PAGES), stat(a, NR_FILE_MAPPED)) == (1, 1)
    mine_vma = vma_of(mine, file)
    assert move(mine_vma, a, b) == 0
    if version == "6.3":  # a page that is mapped elsewhere and not here stays
        assert p.memcg_data is a
        zap(vma_of(other, file))
        assert move(mine_vma, a, b) == 0
    assert p.memcg_data is b
    for memcg in (a, b):
        assert file_mapped_is_counted(memcg, p) and file_pages_are_counted(memcg, p) and usage_is_exact(memcg, p)


def test_shared_anonymous_page_moves_with_a_child(version: str) -> None:
    """Behaviour 2: a forked child that moves takes the parent's pages; copy on write makes a page of its own."""
    a, b = memory_cgroup(), memory_cgroup()
    parent, child = new_mm(a), new_mm(a)
    p = anon_page(a)
    map_page(parent, 0, p, pte_state.dirty)
    copy_pte_range(vma_of(child), vma_of(parent))
    assert atomic_read(p._mapcount) == 1 and stat(a, NR_ANON_MAPPED) == 1
    child.memcg = b
    assert move(vma_of(child), a, b) == 0 and p.memcg_data is b
    copy = page(_mapcount=-1, _refcount=1, anon=True, swapbacked=True)
    assert wp_page_copy(vma_of(child), 0, p, copy) == 0
    assert (stat(a, NR_ANON_MAPPED), stat(b, NR_ANON_MAPPED), usage(b)) == (0, 2, 2)
    zap(vma_of(child))
    zap(vma_of(parent))
    assert (stat(b, NR_ANON_MAPPED), usage(b)) == (0, 0)


def test_a_move_that_does_not_fit_changes_nothing(version: str) -> None:
    """Behaviour 7: the destination holds the pages in addition, or the move is refused."""
    top = memory_cgroup()
    a, b = memory_cgroup(top), memory_cgroup(top)
    mm = new_mm(a)
    p = anon_page(a)
    map_page(mm, 0, p)
    top.memory.max = 1
    assert move(vma_of(mm), a, b) == -ENOMEM
    assert (usage(a), usage(b), usage(top), p.memcg_data is a) == (1, 0, 1, True)
    top.memory.max = 2
    assert move(vma_of(mm), a, b) == 0
    assert (usage(a), usage(b), usage(top), p.memcg_data is b) == (0, 1, 1, True)


def test_nothing_moves_in_6_13() -> None:
    a, b = memory_cgroup(), memory_cgroup()
    mm, p = new_mm(a), anon_page(a)
    map_page(mm, 0, p)
    with applied(no_charge_moving.PATCHES):
        assert move(vma_of(mm), a, b) == 0
    assert p.memcg_data is a and usage(b) == 0  # behaviour 12


def test_swap_out_and_in(version: str) -> None:
    a = memory_cgroup()
    mm, p, slot = new_mm(a), anon_page(a), swap_slot()
    map_page(mm, 0, p, pte_state.dirty)
    vma = vma_of(mm)
    vmas = array[ptr[vm_area_struct], 1]([vma])
    p.lru = True
    other = new_mm(a)
    map_page(other, 0, p)  # a second pte keeps the page in memory
    assert not shrink_folio(p, vmas, slot)
    assert mm.pgtable.pte[0].pte == pte_state.swap and anon_mapped_is_counted(a, p) and p.swapcache
    assert do_swap_page(vma, 0) == 0
    assert mm.pgtable.pte[0].pte == pte_state.readonly and atomic_read(p._mapcount) == 1
    zap(vma_of(other))
    assert shrink_folio(p, vmas, slot)
    assert slot.memcg is a and usage(a) == 0 and stat(a, NR_ANON_MAPPED) == 0


def test_memory_and_swap(version: str) -> None:
    """memory.memsw counts memory and swap: Documentation/admin-guide/cgroup-v1/memory.rst, 2.4. Swapped out, a page leaves memory and stays in it."""
    top = memory_cgroup()
    a, b = memory_cgroup(top), memory_cgroup(top)
    mm, slot = new_mm(a), swap_slot()
    vma, p = vma_of(mm), page(_mapcount=-1, _refcount=1, anon=True, swapbacked=True)
    vmas = array[ptr[vm_area_struct], 1]([vma])

    def counted(memcg: Any) -> tuple[int, int, int, int]:
        return usage(memcg), int(atomic_long_read(memcg.memsw.usage)), stat(memcg, MEMCG_SWAP), refcount_read(memcg.id_ref)

    with applied(memsw.PATCHES):
        assert do_anonymous_page(vma, 0, p) == 0
        assert (counted(a), counted(b), counted(top)) == ((1, 1, 0, 1), (0, 0, 0, 1), (1, 1, 0, 1))
        assert shrink_folio(p, vmas, slot)
        assert (counted(a), counted(b), counted(top)) == ((0, 1, 1, 2), (0, 0, 0, 1), (0, 1, 0, 1))
        assert move(vma, a, b) == 0
        assert (counted(a), counted(b), counted(top)) == ((0, 0, 0, 1), (0, 1, 1, 2), (0, 1, 0, 1))
        new = page(_mapcount=-1, _refcount=1, anon=True, swapbacked=True)
        assert do_swap_page_read(vma, 0, new) == 0 and new.memcg_data is b and slot.memcg is NULL
        assert (counted(a), counted(b), counted(top)) == ((0, 0, 0, 1), (1, 1, 0, 1), (1, 1, 0, 1))
        b.memsw.max = 1
        assert do_anonymous_page(vma_of(mm, start=1, end=2), 1, page(_mapcount=-1, _refcount=1, anon=True)) == 0  # mm is in `a` still
        assert move(vma_of(mm, start=1, end=2), a, b) == -ENOMEM
        assert (counted(a), counted(b), counted(top)) == ((1, 1, 0, 1), (1, 1, 0, 1), (2, 2, 0, 1))


def test_write_migrate_reclaim(version: str) -> None:
    a = memory_cgroup()
    file, mm = file_mapping(), new_mm(a)
    p = file_page(a, file)
    vma = vma_of(mm, file)
    vmas = array[ptr[vm_area_struct], 1]([vma])
    assert do_fault(vma, 0, True) == 0
    mm.pgtable.nr_tlbs = 1
    assert store(mm, 0, 7) and p.data == 7 and file.disk[0] == 0
    write_one_page(p, vmas)
    assert file.disk[0] == 7 and not p.dirty and not store(mm, 0, 8)
    new = page(_mapcount=-1, _refcount=1)
    assert unmap_and_move(new, p, vmas)
    assert file.i_pages[0] is new and new.data == 7 and p.memcg_data is NULL and usage(a) == 1
    assert file_mapped_is_counted(a, new) and file_pages_are_counted(a, new)


def test_flush() -> None:
    top = memory_cgroup()
    below = memory_cgroup(top)
    file = file_mapping()
    with applied(rstat.PATCHES):
        p = file_page(below, file)
        mm = new_mm(below)
        assert do_fault(vma_of(mm, file), 0, False) == 0
        assert (local(below), below.vmstats.state, top.vmstats.state) == (1, 0, 0)
        cgroup_rstat_flush(top)
        assert (below.vmstats.state, top.vmstats.state, hierarchical(top), local(top)) == (1, 1, 1, 0)
        assert atomic_read(p._mapcount) == 0


def test_two_page_tables_of_one_mm(version: str) -> None:
    """A page that an mm has twice is counted once; fork's page table is charged as one more."""
    a, b = memory_cgroup(), memory_cgroup()
    file = file_mapping()
    p = file_page(a, file)
    first, second, third = new_mm(b), new_mm(b), new_mm(b)
    vma1, vma2, child_vma = vma_of(first, file), vma_of(second, file), vma_of(third, file)
    mm, child = mm_of(vma1, vma2), mm_of(child_vma)
    assert handle_mm_fault(mm, 0, False) == 0 and handle_mm_fault(mm, 1, False) == 0
    assert atomic_read(p._mapcount) == 1 and stat(a, NR_FILE_MAPPED) == 1
    assert move(mm, a, b) == 0 and p.memcg_data is b
    assert (usage(a), usage(b), stat(a, NR_FILE_MAPPED), stat(b, NR_FILE_MAPPED)) == (0, 1, 0, 1)
    assert dup_mmap(mm, 0, child, child_vma) == 0 and usage(b) == 2 and atomic_read(p._mapcount) == 2
    madvise_dontneed(mm, 0, gather(vma1))
    vm_munmap(mm, 0, gather(vma1), True)
    assert handle_mm_fault(mm, 0, False) == -EFAULT and atomic_read(p._mapcount) == 1
    mmput(mm, [NULL, gather(vma2)])
    mmput(child, [gather(child_vma), NULL])
    assert (stat(b, NR_FILE_MAPPED), atomic_read(p._mapcount)) == (0, -1)


def test_stock() -> None:
    """64 pages are charged at once, and 63 kept; another group's charge gives them back, and so does a drain."""
    a, b = memory_cgroup(), memory_cgroup()
    a.memory.max = 64
    assert try_charge_memcg(a, 1) == 0 and usage(a) == 64
    assert try_charge_memcg(a, 1) == 0 and usage(a) == 64
    assert try_charge_memcg(b, 1) == 0 and (usage(a), usage(b)) == (2, 64)
    drain_all_stock(a)
    assert usage(b) == 64
    mem_cgroup_css_offline(b)
    assert usage(b) == 1 and atomic_long_read(b.css_refcnt) == 1
    assert try_charge_memcg(a, 63) == -ENOMEM and usage(a) == 2


def test_huge_page(version: str) -> None:
    """Both its pages move with the pmd, and neither when ptes map it; NR_ANON_THPS goes with the last pmd."""
    a, b = memory_cgroup(), memory_cgroup()
    p, mm, child = huge_page(a), huge_mm_struct(memcg=a), huge_mm_struct(memcg=a)
    map_huge(mm, p)
    vma, child_vma = huge_vma(vm_mm=mm, vm_end=2), huge_vma(vm_mm=child, vm_end=2)
    copy_huge_pmd(child, mm)
    split_huge_pmd(child_vma)
    assert p.double_map and huge_mapcounts_are_right(p, 1, 1, 1)
    if version != "6.3":  # whose patch knows no huge pages
        assert move(vma, a, b) == 0 and p.memcg_data is b and usage(b) == 2
        assert huge_anon_is_counted(a, p) and huge_anon_is_counted(b, p) and anon_thps_are_counted(a, p) and anon_thps_are_counted(b, p)
        assert move(child_vma, b, a) == 0 and p.memcg_data is b
    zap_huge_pmd(huge_gather(mm=mm, end=2), vma)
    owner = p.memcg_data
    assert (stat(owner, NR_ANON_MAPPED), stat(owner, NR_ANON_THPS), p.double_map) == (2, 0, False)
    zap_pte_range(huge_gather(mm=child, end=2), child_vma)
    assert stat(owner, NR_ANON_MAPPED) == 0 and usage(owner) == 0
