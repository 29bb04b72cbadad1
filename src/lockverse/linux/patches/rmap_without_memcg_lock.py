"""6.3: no folio_memcg_lock in rmap. Otherwise the functions are 6.1's.

Source: mm/rmap.c, c7c3dec1c9db ("mm: rmap: remove lock_page_memcg()", 6.3). Modelled: the three functions that had it. Left out: THPs.
"""

from __future__ import annotations

from lockverse.lang import atomic_add_negative, atomic_inc_and_test, patch
from lockverse.linux.include.mmzone import NR_ANON_MAPPED, NR_FILE_MAPPED
from lockverse.linux.include.page_flags import PageAnon
from lockverse.linux.mm import rmap
from lockverse.linux.mm.memcontrol import __mod_lruvec_page_state


@patch(rmap.page_add_anon_rmap)
def page_add_anon_rmap(page):
    """Count a pte that maps an anonymous page, KSM's or not."""
    if atomic_inc_and_test(page._mapcount):
        __mod_lruvec_page_state(page, NR_ANON_MAPPED, 1)


@patch(rmap.page_add_file_rmap)
def page_add_file_rmap(page):
    """Count a pte that maps a page of a file."""
    if atomic_inc_and_test(page._mapcount):
        __mod_lruvec_page_state(page, NR_FILE_MAPPED, 1)


@patch(rmap.page_remove_rmap)
def page_remove_rmap(page):
    """Count a pte that maps the page no longer."""
    if atomic_add_negative(-1, page._mapcount):
        idx = NR_ANON_MAPPED if PageAnon(page) else NR_FILE_MAPPED
        __mod_lruvec_page_state(page, idx, -1)


PATCHES = [page_add_anon_rmap, page_add_file_rmap, page_remove_rmap]
