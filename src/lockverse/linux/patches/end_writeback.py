"""How the end of writeback found the group of its page, before 5.11.

Source: mm/page-writeback.c (test_clear_page_writeback), mm/memcontrol.c. 3.18-rc skips a page that is charged to nobody; 4.12 does not ask; 739f79fc9db1
("mm: memcontrol: fix NULL pointer crash in test_clear_page_writeback()", 4.13) takes the group once, with the lock; 073861ed77b6 (5.11) has the caller hold a
reference, so that the page is not uncharged. Modelled: that. Leaves out what page_writeback.py does.
"""

from __future__ import annotations

from lockverse.lang import patch, xchg
from lockverse.linux.include.mmzone import NR_WRITEBACK
from lockverse.linux.mm import page_writeback
from lockverse.linux.mm.memcontrol import (
    __folio_memcg_unlock,
    __mod_memcg_state,
    folio_memcg,
    folio_memcg_lock,
    folio_memcg_unlock,
)


@patch(page_writeback.folio_end_writeback)
def end_writeback_3_18(folio):
    """The page has come to disk. Counted if it is still charged."""
    folio_memcg_lock(folio)
    if xchg(folio.writeback, False):
        memcg = folio_memcg(folio)
        if memcg:
            __mod_memcg_state(memcg, NR_WRITEBACK, -1)
    folio_memcg_unlock(folio)


@patch(page_writeback.folio_end_writeback)
def end_writeback_4_12(folio):
    """The page has come to disk. Counted for whatever group it is charged to now."""
    folio_memcg_lock(folio)
    if xchg(folio.writeback, False):
        __mod_memcg_state(folio_memcg(folio), NR_WRITEBACK, -1)
    folio_memcg_unlock(folio)


@patch(page_writeback.folio_end_writeback)
def end_writeback_4_13(folio):
    """The page has come to disk. Counted for the group it was charged to when the lock was taken."""
    folio_memcg_lock(folio)
    memcg = folio_memcg(folio)
    if xchg(folio.writeback, False) and memcg:
        __mod_memcg_state(memcg, NR_WRITEBACK, -1)
    __folio_memcg_unlock(memcg)
