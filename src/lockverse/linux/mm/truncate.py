"""Truncation: pages of a file that are beyond its end, or in a hole, go out of the cache.

Source: mm/truncate.c, mm/shmem.c (shmem_undo_range), Linux 6.1. Modelled: the folio lock, the cancelled dirtiness, the removal. Most mappings are gone by then; `unmap` takes away those that have come since. Left
out: parts of pages, shadow entries, waiting for writeback.
"""

from __future__ import annotations

from lockverse.linux.include.page_flags import folio_lock, folio_mapped, folio_unlock

from .filemap import filemap_get_entry, filemap_remove_folio
from .page_writeback import folio_cancel_dirty
from .swap import folio_put


def truncate_inode_folio(mapping, folio, unmap):
    """Take a locked page, of that file still, out of its cache. Who has the folio lock keeps it from being mapped again."""
    if folio.mapping != mapping:
        return
    if folio_mapped(folio):
        unmap(mapping, folio.index)
    folio_cancel_dirty(folio)
    filemap_remove_folio(folio)


def truncate_inode_page(mapping, index, unmap):
    """Take the page at an offset out of the cache, if there is one."""
    folio = filemap_get_entry(mapping, index)
    if not folio:
        return
    folio_lock(folio)
    truncate_inode_folio(mapping, folio, unmap)
    folio_unlock(folio)
    folio_put(folio)
