"""Page tables: faults, unmapping, fork's copy.

Source: mm/memory.c, Linux 6.1. Modelled: anonymous, file and swap faults with the pte lock and the folio lock; fault-around, copy on write and its reuse, the zero page; zap_pte_range with its
batch and its flush; copy_present_pte. Approximated: a fault is given the page it would allocate. Left out: userfaultfd, NUMA
hinting, retries with mmap_lock, everything about permissions. Huge pages: huge_memory.py.

A function that is given a vma works in one page table: the simulator cuts a vma into parts that lie in one each (pagewalk.py). What its ptes, pages and vmas have
and those of a scene have not (`special`, `exclusive`, `locked`) is asked for with hasattr, which costs a scene nothing.
"""

from __future__ import annotations

from lockverse.lang import NULL, READ_ONCE, atomic_read
from lockverse.linux.include.errno import EAGAIN, ENOMEM
from lockverse.linux.include.mm_types import pte_state
from lockverse.linux.include.page_flags import (
    PageAnon,
    folio_get,
    folio_lock,
    folio_trylock,
    folio_unlock,
    page_folio,
)  # fmt: skip
from lockverse.linux.include.pgtable import (
    pte_dirty,
    pte_none,
    pte_offset_map_lock,
    pte_present,
    pte_unmap_unlock,
    ptep_get_and_clear,
    set_pte,
)

from .filemap import filemap_get_entry
from .memcontrol import mem_cgroup_charge
from .mlock import mlock_vma_folio, munlock_vma_folio
from .mmu_gather import __tlb_remove_page, tlb_batch_pages_flush, tlb_flush_mmu_tlbonly
from .page_writeback import folio_mark_dirty
from .rmap import page_add_anon_rmap, page_add_file_rmap, page_add_new_anon_rmap, page_dup_rmap, page_remove_rmap
from .swap import folio_add_lru, folio_put
from .swap_state import find_get_swap_page, read_swap_cache_async
from .swapfile import swap_free


def copy_present_pte(dst_vma, src_vma, addr):
    """Fork: the child maps what the parent maps; private pages of both are read-only from here on. Under both pte locks."""
    src, dst = src_vma.vm_mm, dst_vma.vm_mm
    src_pte, dst_pte = src.pgtable.pte[addr], dst.pgtable.pte[addr]
    page = src_pte.page
    if hasattr(src_pte, "special"):
        if src_pte.special:
            dst_pte.special = True
            set_pte(dst_pte, pte_state.readonly)
            return
        page.exclusive = False
    folio_get(page)
    page_dup_rmap(page)
    dst_pte.page = page
    if PageAnon(page):
        set_pte(src_pte, pte_state.readonly)
        set_pte(dst_pte, pte_state.readonly)
    else:
        set_pte(dst_pte, pte_state.writable)
        if hasattr(src_vma, "shared"):
            if not src_vma.shared:
                set_pte(dst_pte, pte_state.readonly)


def copy_pte_range(dst_vma, src_vma):
    """Fork: copy the ptes of a vma."""
    src, dst = src_vma.vm_mm, dst_vma.vm_mm
    pte_offset_map_lock(dst)
    pte_offset_map_lock(src)
    for addr in range(src_vma.vm_start, src_vma.vm_end):
        if pte_present(READ_ONCE(src.pgtable.pte[addr].pte)):
            copy_present_pte(dst_vma, src_vma, addr)
    pte_unmap_unlock(src)
    pte_unmap_unlock(dst)


def should_zap_page(tlb, ptep):
    """Whether a pte is to be emptied: a hole in a file leaves private copies alone."""
    return tlb.even_cows or not ptep.page or not PageAnon(ptep.page)


def zap_pte_range(tlb, vma):
    """Empty the ptes of a vma. Pages are uncounted at once and freed at the end, after a flush of the TLBs: inside the pte lock where
    a page of a file was dirty, so that nobody finds the page clean while it can still be written to."""
    mm = vma.vm_mm
    force_flush = False
    pte_offset_map_lock(mm)
    for addr in range(vma.vm_start, vma.vm_end):
        ptep = mm.pgtable.pte[addr]
        if pte_none(READ_ONCE(ptep.pte)):
            continue
        if hasattr(ptep, "special"):
            if not should_zap_page(tlb, ptep):
                continue
        ptent = ptep_get_and_clear(ptep)
        if hasattr(ptep, "special"):
            if ptep.special:
                ptep.special = False
                continue
        if pte_present(ptent):
            page = ptep.page
            if not PageAnon(page) and pte_dirty(ptent):
                folio_mark_dirty(page)
                force_flush = True
            page_remove_rmap(page)
            munlock_vma_folio(page, vma)
            __tlb_remove_page(tlb, page)
        elif ptent == pte_state.swap:
            swap_free(ptep.slot)
    if force_flush:
        tlb_flush_mmu_tlbonly(tlb)
    pte_unmap_unlock(mm)
    if not force_flush:
        tlb_flush_mmu_tlbonly(tlb)
    tlb_batch_pages_flush(tlb)


def do_anonymous_page(vma, addr, page):
    """A fault on an empty pte of anonymous memory, with the page that is allocated for it: 0 or an error."""
    mm = vma.vm_mm
    if mem_cgroup_charge(page, READ_ONCE(mm.memcg)):
        return -ENOMEM
    pte_offset_map_lock(mm)
    ptep = mm.pgtable.pte[addr]
    if hasattr(vma, "shared"):
        if mm.pgtable.huge or mm.pgtable.gone:  # a huge page has come meanwhile, or gone and the table with it
            pte_unmap_unlock(mm)
            folio_put(page)
            return 0
    if not pte_none(READ_ONCE(ptep.pte)):
        pte_unmap_unlock(mm)
        folio_put(page)
        return 0
    page_add_new_anon_rmap(page)
    folio_add_lru(page)
    mlock_vma_folio(page, vma)
    ptep.page = page
    set_pte(ptep, pte_state.dirty)
    pte_unmap_unlock(mm)
    return 0


def do_anonymous_zero_page(vma, addr):
    """A read fault on an empty pte of anonymous memory: it maps the zero page, which is charged to nobody and counts nowhere."""
    mm = vma.vm_mm
    pte_offset_map_lock(mm)
    ptep = mm.pgtable.pte[addr]
    if pte_none(READ_ONCE(ptep.pte)) and not (mm.pgtable.huge or mm.pgtable.gone):
        ptep.page = NULL
        ptep.special = True
        set_pte(ptep, pte_state.readonly)
    pte_unmap_unlock(mm)


def do_fault(vma, addr, write):
    """A fault on an empty pte of a shared file mapping whose page is in the cache: 0, or -EAGAIN if the page is gone."""
    page = filemap_get_entry(vma.vm_file, vma.vm_pgoff + addr - vma.vm_start)
    if not page:
        return -EAGAIN
    folio_lock(page)
    if READ_ONCE(page.mapping) != vma.vm_file:
        folio_unlock(page)
        folio_put(page)
        return -EAGAIN
    mapped = finish_fault(vma, addr, page, write)
    if write and mapped:
        folio_mark_dirty(page)
    folio_unlock(page)
    if not mapped:
        folio_put(page)
    return 0


def finish_fault(vma, addr, page, write):
    """Map a locked page of a file where the pte is still empty; give whether it was."""
    mm = vma.vm_mm
    ptep = mm.pgtable.pte[addr]
    pte_offset_map_lock(mm)
    mapped = pte_none(READ_ONCE(ptep.pte))
    if mapped:
        page_add_file_rmap(page)
        mlock_vma_folio(page, vma)
        ptep.page = page
        set_pte(ptep, pte_state.dirty if write else pte_state.readonly)
    pte_unmap_unlock(mm)
    return mapped


FAULT_AROUND_PAGES = 16


def do_fault_around(vma, addr):
    """Before a read fault: map what the cache has of an aligned window of pages that ends where the vma or its page table does. A window that would begin before
    the vma begins with it, and is as long."""
    start = max(addr - addr % FAULT_AROUND_PAGES, vma.vm_start)
    for near in range(start, min(start + FAULT_AROUND_PAGES, vma.vm_end)):
        if pte_none(READ_ONCE(vma.vm_mm.pgtable.pte[near].pte)):
            filemap_map_pages(vma, near)


def do_read_fault(vma, addr):
    """A read fault on an empty pte of a file mapping whose page is in the cache: 0, or -EAGAIN if the page is gone."""
    do_fault_around(vma, addr)
    if pte_none(READ_ONCE(vma.vm_mm.pgtable.pte[addr].pte)):
        return do_fault(vma, addr, False)
    return 0


def do_cow_fault(vma, addr, cow_page, fault):
    """A write fault on an empty pte of a private file mapping: a copy of the file's page is mapped. `fault`
    has that page cached. 0 or an error."""
    mm = vma.vm_mm
    if mem_cgroup_charge(cow_page, READ_ONCE(mm.memcg)):
        return -ENOMEM
    index = vma.vm_pgoff + addr - vma.vm_start
    error = fault(vma.vm_file, index, READ_ONCE(mm.memcg))
    if error:
        folio_put(cow_page)
        return error
    page = filemap_get_entry(vma.vm_file, index)
    if not page:
        folio_put(cow_page)
        return -EAGAIN
    folio_lock(page)
    if READ_ONCE(page.mapping) != vma.vm_file:
        folio_unlock(page)
        folio_put(page)
        folio_put(cow_page)
        return -EAGAIN
    pte_offset_map_lock(mm)
    ptep = mm.pgtable.pte[addr]
    mapped = pte_none(READ_ONCE(ptep.pte))
    if mapped:
        page_add_new_anon_rmap(cow_page)
        folio_add_lru(cow_page)
        mlock_vma_folio(cow_page, vma)
        ptep.page = cow_page
        set_pte(ptep, pte_state.dirty)
    pte_unmap_unlock(mm)
    folio_unlock(page)
    folio_put(page)
    if not mapped:
        folio_put(cow_page)
    return 0


def filemap_map_pages(vma, addr):
    """Fault-around: map a page that is in the cache if its lock is free."""
    page = filemap_get_entry(vma.vm_file, vma.vm_pgoff + addr - vma.vm_start)
    if not page:
        return
    if not folio_trylock(page):
        folio_put(page)
        return
    if hasattr(vma, "shared"):
        if page.mapping != vma.vm_file:  # truncated meanwhile
            folio_unlock(page)
            folio_put(page)
            return
    mapped = finish_fault(vma, addr, page, False)
    folio_unlock(page)
    if not mapped:
        folio_put(page)


def do_swap_page(vma, addr):
    """A fault on a swap entry whose page is in the swap cache: 0, or -EAGAIN if it is not."""
    mm = vma.vm_mm
    ptep = mm.pgtable.pte[addr]
    slot = ptep.slot
    folio = find_get_swap_page(slot)
    if not folio:
        return -EAGAIN
    folio_lock(folio)
    pte_offset_map_lock(mm)
    mapped = READ_ONCE(ptep.pte) == pte_state.swap
    if mapped:
        page_add_anon_rmap(folio)
        ptep.page = folio
        set_pte(ptep, pte_state.readonly)
        swap_free(slot)
    pte_unmap_unlock(mm)
    folio_unlock(folio)
    if not mapped:
        folio_put(folio)
    return 0


def do_swap_page_read(vma, addr, page):
    """The same for a page that may have to be read from swap, into the page that is allocated for it: 0 or an error."""
    mm = vma.vm_mm
    ptep = mm.pgtable.pte[addr]
    if READ_ONCE(ptep.pte) != pte_state.swap:
        return 0
    slot = ptep.slot
    folio = find_get_swap_page(slot)
    if folio:
        folio_put(folio)
    elif read_swap_cache_async(slot, page, mm):
        return -ENOMEM
    return do_swap_page(vma, addr)


def wp_page_copy(vma, addr, old_page, new_page):
    """Copy on write: `new_page` takes the place of `old_page` in a read-only pte. 0 or an error."""
    mm = vma.vm_mm
    if mem_cgroup_charge(new_page, READ_ONCE(mm.memcg)):
        return -ENOMEM
    ptep = mm.pgtable.pte[addr]
    pte_offset_map_lock(mm)
    copied = READ_ONCE(ptep.pte) == pte_state.readonly and ptep.page == old_page
    if copied:
        ptep_get_and_clear(ptep)
        page_add_new_anon_rmap(new_page)
        folio_add_lru(new_page)
        mlock_vma_folio(new_page, vma)
        ptep.page = new_page
        set_pte(ptep, pte_state.dirty)
        page_remove_rmap(old_page)
        munlock_vma_folio(old_page, vma)
    pte_unmap_unlock(mm)
    folio_put(old_page if copied else new_page)
    return 0


def wp_zero_page(vma, addr, new_page):
    """Copy on write of the zero page: there is nothing to copy, and nothing to uncount. 0 or an error."""
    mm = vma.vm_mm
    if mem_cgroup_charge(new_page, READ_ONCE(mm.memcg)):
        return -ENOMEM
    ptep = mm.pgtable.pte[addr]
    pte_offset_map_lock(mm)
    copied = ptep.special
    if copied:
        ptep_get_and_clear(ptep)
        ptep.special = False
        page_add_new_anon_rmap(new_page)
        folio_add_lru(new_page)
        mlock_vma_folio(new_page, vma)
        ptep.page = new_page
        set_pte(ptep, pte_state.dirty)
    pte_unmap_unlock(mm)
    if not copied:
        folio_put(new_page)
    return 0


def wp_can_reuse_anon_folio(page):
    """Whether a page that is mapped read-only can simply be written to: it was never shared, or nobody else has it any more."""
    return page.exclusive or atomic_read(page_folio(page)._refcount) == 1


def wp_page_reuse(vma, addr, page):
    """Write to the page that is mapped read-only, if it still is."""
    mm = vma.vm_mm
    pte_offset_map_lock(mm)
    ptep = mm.pgtable.pte[addr]
    same = READ_ONCE(ptep.pte) == pte_state.readonly and ptep.page == page
    if same:
        folio_get(page)
        if PageAnon(page):
            page.exclusive = True
        set_pte(ptep, pte_state.dirty)
    pte_unmap_unlock(mm)
    if same:
        if not PageAnon(page):
            folio_mark_dirty(page)
        folio_put(page)


def do_wp_page(vma, addr, new_page):
    """A write to a page that is mapped read-only, with the page that is allocated in case it must be copied: 0 or an error."""
    ptep = vma.vm_mm.pgtable.pte[addr]
    if ptep.special:
        return wp_zero_page(vma, addr, new_page)
    page = ptep.page
    if not page:
        return 0  # unmapped meanwhile: it faults again
    if vma.shared or (PageAnon(page) and wp_can_reuse_anon_folio(page)):
        wp_page_reuse(vma, addr, page)
        return 0
    return wp_page_copy(vma, addr, page, new_page)
