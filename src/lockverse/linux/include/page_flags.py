"""What a page is and how it is held: mapped, mapcounts, references, the folio lock.

Source: include/linux/page-flags.h, mm.h, pagemap.h, Linux 6.1. Modelled: the folio lock (PG_locked), flags that are
tested and changed in one step; folios of many pages where a page says what it is a part of. Approximated: the folio lock is a mutex, so lockdep sees it, and only who took it gives it back; it sleeps and is no
RCU reader, as there. Left out: waiting for a flag with a wait queue: whoever waits looks on until it is so.
"""

from __future__ import annotations

from lockverse.lang import (
    READ_ONCE,
    atomic_dec_and_test,
    atomic_inc,
    atomic_inc_not_zero,
    atomic_read,
    mutex_lock,
    mutex_trylock,
    mutex_unlock,
    xchg,
)


def page_mapped(page):
    """Whether some pte maps the page."""
    return atomic_read(page._mapcount) >= 0


def folio_mapped(folio):
    """Whether some pte maps the folio, or of a huge page some pmd, or some pte one of its pages."""
    if hasattr(folio, "compound_mapcount"):
        if atomic_read(folio.compound_mapcount) >= 0:
            return True
        for one in folio.pages:  # noqa: SIM110 (the language has no generators)
            if page_mapped(one):
                return True
        return False
    else:
        return page_mapped(folio)


def folio_nr_pages(folio):
    """How many small pages a folio is of: 1 in a scene, where there are no others."""
    if hasattr(folio, "nr_pages"):
        return folio.nr_pages
    else:
        return 1


def page_folio(page):
    """The folio that a page is a part of."""
    if hasattr(page, "head"):
        return page.head
    else:
        return page


def PageAnon(page):
    """Whether it is anonymous memory. Never changes while the page is in use."""
    return page.anon


def PageKsm(page):
    """Whether KSM made it, to be mapped in place of equal pages."""
    return page.ksm


def folio_lock(folio):
    """Sleep until the folio lock is free, and take it."""
    mutex_lock(folio.lock)


def folio_trylock(folio):
    """Take the folio lock if it is free; give whether it was."""
    return mutex_trylock(folio.lock)


def folio_unlock(folio):
    """Give the folio lock back."""
    mutex_unlock(folio.lock)


def folio_test_dirty(folio):
    """Whether it differs from what is on disk."""
    return READ_ONCE(folio.dirty)


def folio_test_set_dirty(folio):
    """Mark it dirty; give whether it was."""
    return xchg(folio.dirty, True)


def folio_test_clear_dirty(folio):
    """Mark it clean; give whether it was dirty."""
    return xchg(folio.dirty, False)


def folio_test_writeback(folio):
    """Whether it is being written."""
    return READ_ONCE(folio.writeback)


def folio_test_clear_lru(folio):
    """Take it for oneself, off the LRU; give whether it was on it."""
    return xchg(folio.lru, False)


def folio_get(folio):
    """Take another reference."""
    atomic_inc(folio._refcount)


def folio_try_get(folio):
    """Take a reference unless the last has gone; give whether."""
    return atomic_inc_not_zero(folio._refcount)


def put_page_testzero(page):
    """Drop a reference; give whether it was the last."""
    return atomic_dec_and_test(page._refcount)
