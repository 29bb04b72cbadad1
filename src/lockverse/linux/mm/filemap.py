"""The page cache: which page a file has at an offset.

Source: mm/filemap.c, mm/shmem.c and mm/swap_state.c (find_get_incore_page), mm/vmscan.c (__remove_mapping), Linux 6.1. Modelled: the lookup with a
reference, which holds only if the page is still there afterwards; adding with a charge; removal under the i_pages lock with the page
locked. Approximated: an array in place of the xarray. Left out: readahead, shadow entries, tags.
"""

from __future__ import annotations

from lockverse.lang import NULL, READ_ONCE, WRITE_ONCE, spin_lock_irq, spin_unlock_irq
from lockverse.linux.include.errno import EEXIST
from lockverse.linux.include.mmzone import NR_FILE_PAGES, NR_SHMEM
from lockverse.linux.include.page_flags import folio_get, folio_try_get

from . import memcontrol, swap


def filemap_get_entry(mapping, index):
    """The page at an offset, with a reference, or NULL. Without locks: looks again once it has the reference."""
    while True:
        folio = READ_ONCE(mapping.i_pages[index])
        if not folio:
            return NULL
        if not folio_try_get(folio):
            continue
        if folio == READ_ONCE(mapping.i_pages[index]):
            return folio
        swap.folio_put(folio)


def find_get_incore_page(mapping, index):
    """The page that is in memory at an offset of a file, with a reference, or NULL."""
    return filemap_get_entry(mapping, index)


def filemap_add_folio(mapping, folio, index, memcg):
    """Put a new, locked page into the cache, charged to a group; 0, or -ENOMEM; in the simulator -EEXIST if another was faster."""
    ret = memcontrol.mem_cgroup_charge(folio, memcg)
    if ret:
        return ret
    folio_get(folio)
    spin_lock_irq(mapping.i_pages_lock)
    if hasattr(mapping, "i_mmap"):
        if mapping.i_pages[index]:
            spin_unlock_irq(mapping.i_pages_lock)
            swap.folio_put(folio)
            return -EEXIST
    WRITE_ONCE(folio.mapping, mapping)
    WRITE_ONCE(mapping.i_pages[index], folio)
    memcontrol.__mod_lruvec_page_state(folio, NR_FILE_PAGES, 1)
    if folio.swapbacked:
        memcontrol.__mod_lruvec_page_state(folio, NR_SHMEM, 1)
    spin_unlock_irq(mapping.i_pages_lock)
    swap.folio_add_lru(folio)
    return 0


def filemap_remove_folio(folio):
    """Take a locked page out of the cache: truncation. Drops the cache's reference."""
    mapping = folio.mapping
    spin_lock_irq(mapping.i_pages_lock)
    memcontrol.__mod_lruvec_page_state(folio, NR_FILE_PAGES, -1)
    if folio.swapbacked:
        memcontrol.__mod_lruvec_page_state(folio, NR_SHMEM, -1)
    WRITE_ONCE(folio.mapping, NULL)
    WRITE_ONCE(mapping.i_pages[folio.index], NULL)
    spin_unlock_irq(mapping.i_pages_lock)
    swap.folio_put(folio)
