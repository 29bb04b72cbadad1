"""Migration: another page takes a page's place, in its cache and in the ptes.

Source: mm/migrate.c, mm/rmap.c (try_to_migrate), mm/memcontrol.c (mem_cgroup_migrate), Linux 6.1. Modelled: the isolation, both folio locks, migration entries, the
frozen references, the raw move of PG_dirty, the charge of the new page before the old one is uncharged. Approximated: one page, whose mappings are
given; a page of a file. Left out: movement between zones (its counters are per node), buffers, asynchronous modes, device memory.
"""

from __future__ import annotations

from lockverse.lang import NULL, READ_ONCE, WRITE_ONCE, atomic_cmpxchg, atomic_set, spin_lock_irq, spin_unlock_irq
from lockverse.linux.include.mm_types import pte_state
from lockverse.linux.include.page_flags import (
    folio_get,
    folio_lock,
    folio_mapped,
    folio_test_clear_dirty,
    folio_test_set_dirty,
    folio_trylock,
    folio_unlock,
)  # fmt: skip
from lockverse.linux.include.pgtable import pte_offset_map_lock, pte_unmap_unlock, set_pte

from .memcontrol import commit_charge, css_get, folio_memcg
from .page_counter import page_counter_charge
from .page_writeback import folio_wait_writeback
from .rmap import page_add_file_rmap, try_to_migrate_one
from .swap import folio_add_lru, folio_isolate_lru, folio_put, folio_putback_lru


def remove_migration_ptes(vmas, old, new):
    """Let the migration entries of `old` map `new`, which is locked."""
    for vma in vmas:
        mm = vma.vm_mm
        ptep = mm.pgtable.pte[vma.vm_start]
        pte_offset_map_lock(mm)
        if READ_ONCE(ptep.pte) == pte_state.migration and ptep.page == old:
            folio_get(new)
            page_add_file_rmap(new)
            ptep.page = new
            set_pte(ptep, pte_state.readonly)
        pte_unmap_unlock(mm)


def folio_migrate_mapping(mapping, newfolio, folio):
    """Put a page into the cache in place of another, if nobody else has a reference to that; give whether. Both are locked."""
    spin_lock_irq(mapping.i_pages_lock)
    if atomic_cmpxchg(folio._refcount, 2, 0) != 2:  # the cache's and the isolation's
        spin_unlock_irq(mapping.i_pages_lock)
        return False
    WRITE_ONCE(newfolio.mapping, mapping)
    folio_get(newfolio)
    if folio_test_clear_dirty(folio):
        folio_test_set_dirty(newfolio)
    WRITE_ONCE(mapping.i_pages[folio.index], newfolio)
    atomic_set(folio._refcount, 1)
    spin_unlock_irq(mapping.i_pages_lock)
    return True


def mem_cgroup_migrate(old, new):
    """Charge a new page to the old one's group, even over its limit. The old one stays charged until it is freed."""
    memcg = folio_memcg(old)
    if not memcg:
        return
    page_counter_charge(memcg.memory, 1)
    css_get(memcg)
    commit_charge(new, memcg)


def migrate_folio(newfolio, folio):
    """Move what a page is to another; give whether that was done. Both are locked."""
    mapping = folio.mapping
    if not folio_migrate_mapping(mapping, newfolio, folio):
        return False
    WRITE_ONCE(newfolio.data, folio.data)
    mem_cgroup_migrate(folio, newfolio)
    WRITE_ONCE(folio.mapping, NULL)
    return True


def unmap_and_move(newfolio, folio, vmas):
    """Migrate a page of a file; give whether that was done."""
    if not folio_isolate_lru(folio):
        return False
    if not folio_trylock(folio):
        folio_putback_lru(folio)
        return False
    folio_wait_writeback(folio)
    folio_lock(newfolio)
    for vma in vmas:
        try_to_migrate_one(vma, folio)
    moved = not folio_mapped(folio) and migrate_folio(newfolio, folio)
    remove_migration_ptes(vmas, folio, newfolio if moved else folio)
    folio_unlock(newfolio)
    folio_unlock(folio)
    if moved:
        folio_add_lru(newfolio)
        folio_put(folio)
    else:
        folio_putback_lru(folio)
    return moved
