"""Truncation: pages of a file that are beyond its end, or in a hole, go out of the cache.

Source: mm/truncate.c, mm/shmem.c (shmem_undo_range), Linux 6.1. Modelled: the folio lock, the cancelled dirtiness, the removal. The mappings are gone by then. Left
out: parts of pages, shadow entries, waiting for writeback.
"""

from __future__ import annotations

from lockverse.linux.include.page_flags import folio_lock, folio_unlock

from .filemap import filemap_get_entry, filemap_remove_folio
from .page_writeback import folio_cancel_dirty
from .swap import folio_put


def truncate_inode_folio(mapping, folio):
    """Take a locked page, of that file still, out of its cache."""
    if folio.mapping != mapping:
        return
    folio_cancel_dirty(folio)
    filemap_remove_folio(folio)


def truncate_inode_page(mapping, index):
    """Take the page at an offset out of the cache, if there is one."""
    folio = filemap_get_entry(mapping, index)
    if not folio:
        return
    folio_lock(folio)
    truncate_inode_folio(mapping, folio)
    folio_unlock(folio)
    folio_put(folio)
