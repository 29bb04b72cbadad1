"""Dirty pages and writeback, and their counters.

Source: mm/page-writeback.c, Linux 6.1. Modelled: marking dirty, cancelling, clearing for IO with folio_mkclean, starting and ending writeback,
each with folio_memcg_lock and the i_pages lock where 6.1 has them. The end of writeback may be an interrupt's, or, where a scene has none, a CPU's of its
own. Left out: wb and node counters, tags, buffers, inodes, throttling.
"""

from __future__ import annotations

from lockverse.lang import READ_ONCE, WRITE_ONCE, spin_lock_irqsave, spin_unlock_irqrestore, xchg
from lockverse.linux.include.mmzone import NR_FILE_DIRTY, NR_WRITEBACK
from lockverse.linux.include.page_flags import (
    folio_lock,
    folio_test_clear_dirty,
    folio_test_set_dirty,
    folio_test_writeback,
    folio_unlock,
)

from .memcontrol import __mod_lruvec_page_state, folio_memcg_lock, folio_memcg_unlock
from .rmap import folio_mkclean


def folio_account_dirtied(folio, mapping):
    """Count a page that became dirty."""
    if mapping.can_writeback:
        __mod_lruvec_page_state(folio, NR_FILE_DIRTY, 1)


def folio_account_cleaned(folio, mapping):
    """Count a page that is dirty no longer."""
    if mapping.can_writeback:
        __mod_lruvec_page_state(folio, NR_FILE_DIRTY, -1)


def filemap_dirty_folio(mapping, folio):
    """Mark a page of a file dirty; give whether it was clean."""
    folio_memcg_lock(folio)
    if folio_test_set_dirty(folio):
        folio_memcg_unlock(folio)
        return False
    flags = spin_lock_irqsave(mapping.i_pages_lock)
    if READ_ONCE(folio.mapping):
        folio_account_dirtied(folio, mapping)
    spin_unlock_irqrestore(mapping.i_pages_lock, flags)
    folio_memcg_unlock(folio)
    return True


def folio_mark_dirty(folio):
    """Mark a page dirty, as what it belongs to wants it done."""
    mapping = READ_ONCE(folio.mapping)
    if mapping:
        return filemap_dirty_folio(mapping, folio)
    return not folio_test_set_dirty(folio)


def folio_cancel_dirty(folio):
    """Truncation: the page is clean, whatever is in it."""
    mapping = READ_ONCE(folio.mapping)
    folio_memcg_lock(folio)
    if folio_test_clear_dirty(folio):
        folio_account_cleaned(folio, mapping)
    folio_memcg_unlock(folio)


def folio_clear_dirty_for_io(folio, vmas):
    """Before a locked page is written: no pte stays dirty, and the page is clean; give whether it was dirty. The folio lock keeps the mover out."""
    mapping = folio.mapping
    if folio_mkclean(folio, vmas):
        folio_mark_dirty(folio)
    if folio_test_clear_dirty(folio):
        folio_account_cleaned(folio, mapping)
        return True
    return False


def folio_start_writeback(folio):
    """The page is on its way to disk."""
    mapping = READ_ONCE(folio.mapping)
    folio_memcg_lock(folio)
    if mapping and mapping.can_writeback:
        flags = spin_lock_irqsave(mapping.i_pages_lock)
        was = xchg(folio.writeback, True)
        spin_unlock_irqrestore(mapping.i_pages_lock, flags)
    else:
        was = xchg(folio.writeback, True)
    if not was:
        __mod_lruvec_page_state(folio, NR_WRITEBACK, 1)
    folio_memcg_unlock(folio)


def folio_end_writeback(folio):
    """The page has come to disk: an interrupt says so. The caller holds a reference."""
    mapping = READ_ONCE(folio.mapping)
    folio_memcg_lock(folio)
    if mapping and mapping.can_writeback:
        flags = spin_lock_irqsave(mapping.i_pages_lock)
        was = xchg(folio.writeback, False)
        spin_unlock_irqrestore(mapping.i_pages_lock, flags)
    else:
        was = xchg(folio.writeback, False)
    if was:
        __mod_lruvec_page_state(folio, NR_WRITEBACK, -1)
    folio_memcg_unlock(folio)


def folio_wait_writeback(folio):
    """Wait until the page is not being written."""
    while folio_test_writeback(folio):
        pass


def write_one_page(folio, vmas):
    """Write a page of a file if it is dirty."""
    folio_lock(folio)
    if folio_clear_dirty_for_io(folio, vmas):
        folio_start_writeback(folio)
        mapping = folio.mapping
        WRITE_ONCE(mapping.disk[folio.index], folio.data)
        folio_unlock(folio)
        folio_end_writeback(folio)
    else:
        folio_unlock(folio)
