"""What must hold of the books: I1 to I8, each for one group, one page or one counter at a time. Not from the kernel.

Never a sum over groups: charges that are moved wrong come in pairs of one too many and one too few, and cancel. Most hold at rest,
when no CPU is inside a code path. A group's functions take up to three pages: all there are in the scene. Leaves out I6 (nothing that was freed
is used), which is checked without being asked.
"""

from __future__ import annotations

from lockverse.lang import NULL, atomic_long_read, atomic_read, ptr, refcount_read
from lockverse.linux.include.mm_types import page, pte_state, swap_slot
from lockverse.linux.include.mmzone import (
    MEMCG_SWAP,
    NR_ANON_MAPPED,
    NR_ANON_THPS,
    NR_FILE_DIRTY,
    NR_FILE_MAPPED,
    NR_FILE_PAGES,
    NR_SWAPCACHE,
    NR_WRITEBACK,
)


def _counts(memcg, p: ptr[page]):
    return p and p.memcg_data == memcg


def file_mapped(memcg, p: ptr[page]):
    """1 if it is a page of a file that is charged to the group and that some pte maps."""
    return 1 if p and p.memcg_data == memcg and not p.anon and atomic_read(p._mapcount) >= 0 else 0


def anon_mapped(memcg, p: ptr[page]):
    """1 if it is an anonymous page that is charged to the group and that some pte maps."""
    return 1 if p and p.memcg_data == memcg and p.anon and atomic_read(p._mapcount) >= 0 else 0


def _dirty(memcg, p: ptr[page]):
    return 1 if p and p.memcg_data == memcg and not p.anon and p.dirty and p.mapping and p.mapping.can_writeback else 0


def _writeback(memcg, p: ptr[page]):
    return 1 if p and p.memcg_data == memcg and p.writeback else 0


def cached(memcg, p: ptr[page]):
    """1 if it is a page in the page cache that is charged to the group."""
    return 1 if p and p.memcg_data == memcg and not p.anon and p.mapping else 0


def _swapcached(memcg, p: ptr[page]):
    return 1 if p and p.memcg_data == memcg and p.swapcache else 0


def file_mapped_is_counted(memcg, p, q: ptr[page] = NULL, r: ptr[page] = NULL):
    """I1, file pages: a group's NR_FILE_MAPPED is the number of its pages that some pte maps."""
    return atomic_long_read(memcg.state[NR_FILE_MAPPED]) == file_mapped(memcg, p) + file_mapped(memcg, q) + file_mapped(memcg, r)


def anon_mapped_is_counted(memcg, p, q: ptr[page] = NULL, r: ptr[page] = NULL):
    """I1, anonymous pages: a group's NR_ANON_MAPPED is the number of its pages that some pte maps."""
    return atomic_long_read(memcg.state[NR_ANON_MAPPED]) == anon_mapped(memcg, p) + anon_mapped(memcg, q) + anon_mapped(memcg, r)


def dirty_is_counted(memcg, p, q: ptr[page] = NULL, r: ptr[page] = NULL):
    """I2: a group's NR_FILE_DIRTY is the number of its dirty pages."""
    return atomic_long_read(memcg.state[NR_FILE_DIRTY]) == _dirty(memcg, p) + _dirty(memcg, q) + _dirty(memcg, r)


def writeback_is_counted(memcg, p, q: ptr[page] = NULL, r: ptr[page] = NULL):
    """I2: a group's NR_WRITEBACK is the number of its pages that are being written."""
    return atomic_long_read(memcg.state[NR_WRITEBACK]) == _writeback(memcg, p) + _writeback(memcg, q) + _writeback(memcg, r)


def file_pages_are_counted(memcg, p, q: ptr[page] = NULL, r: ptr[page] = NULL):
    """I2: a group's NR_FILE_PAGES is the number of its pages in the page cache."""
    return atomic_long_read(memcg.state[NR_FILE_PAGES]) == cached(memcg, p) + cached(memcg, q) + cached(memcg, r)


def swapcache_is_counted(memcg, p, q: ptr[page] = NULL, r: ptr[page] = NULL):
    """I2: a group's NR_SWAPCACHE is the number of its pages in the swap cache."""
    return atomic_long_read(memcg.state[NR_SWAPCACHE]) == _swapcached(memcg, p) + _swapcached(memcg, q) + _swapcached(memcg, r)


def file_mapped_sum_is_right(a, b, p):
    """I3, weaker: over both groups the page is counted once if it is mapped. Every race of the mover leaves this whole."""
    total = atomic_long_read(a.state[NR_FILE_MAPPED]) + atomic_long_read(b.state[NR_FILE_MAPPED])
    return total == (1 if atomic_read(p._mapcount) >= 0 else 0)


def usage_covers_pages(memcg, p, q: ptr[page] = NULL, r: ptr[page] = NULL):
    """I5: as many pages are charged to a group without children as are its own, or more while a move is going on."""
    return atomic_long_read(memcg.memory.usage) >= owned(memcg, p) + owned(memcg, q) + owned(memcg, r)


def usage_is_exact(memcg, p, q: ptr[page] = NULL, r: ptr[page] = NULL):
    """I5, after a move: just as many."""
    return atomic_long_read(memcg.memory.usage) == owned(memcg, p) + owned(memcg, q) + owned(memcg, r)


def pages_mapped(head):
    """How many of the two pages of a huge page are mapped, by ptes or by a pmd."""
    if atomic_read(head.compound_mapcount) >= 0:
        return 2
    return (1 if atomic_read(head.pages[0]._mapcount) >= 0 else 0) + (1 if atomic_read(head.pages[1]._mapcount) >= 0 else 0)


def huge_anon_is_counted(memcg, head):
    """I1 of a huge page, the only one of a scene: its group's NR_ANON_MAPPED is how many of its pages are mapped."""
    return atomic_long_read(memcg.state[NR_ANON_MAPPED]) == (pages_mapped(head) if head.memcg_data == memcg else 0)


def anon_thps_are_counted(memcg, head):
    """I1 of a huge page: its group's NR_ANON_THPS is its pages if some pmd maps it."""
    huge = head.memcg_data == memcg and atomic_read(head.compound_mapcount) >= 0
    return atomic_long_read(memcg.state[NR_ANON_THPS]) == (2 if huge else 0)


def maps_huge(mm, head):
    """1 if a pmd maps the huge page."""
    return 1 if mm.pgtable.huge == head else 0


def huge_mapcounts_are_right(head, pmds, first, second):
    """I7 of a huge page that so many pmds map, and so many ptes its first and its second page (`maps`)."""
    pmds_as_one = 1 if head.double_map else 0
    small = atomic_read(head.pages[0]._mapcount) == first + pmds_as_one - 1 and atomic_read(head.pages[1]._mapcount) == second + pmds_as_one - 1
    return atomic_read(head.compound_mapcount) == pmds - 1 and small


def references_are_exact(memcg, p, q: ptr[page] = NULL, r: ptr[page] = NULL):
    """Each page of a group, none of which has gone yet, holds one reference of it, and the group has one of its own."""
    return atomic_long_read(memcg.css_refcnt) == 1 + owned(memcg, p) + owned(memcg, q) + owned(memcg, r)


def recorded(memcg, slot: ptr[swap_slot]):
    """1 if what is in a slot of swap is charged to the group."""
    return 1 if slot and slot.memcg == memcg else 0


def memsw_is_exact(memcg, p, q: ptr[page] = NULL, slot: ptr[swap_slot] = NULL, other: ptr[swap_slot] = NULL):
    """I5 for cgroup v1's memory+swap: a group without children is charged for its pages and for its swap records, and for no more."""
    return atomic_long_read(memcg.memsw.usage) == owned(memcg, p) + owned(memcg, q) + recorded(memcg, slot) + recorded(memcg, other)


def swap_is_counted(memcg, slot, other: ptr[swap_slot] = NULL):
    """A group's MEMCG_SWAP is the number of its swap records, each of which holds a reference of its id, which has one besides."""
    count = recorded(memcg, slot) + recorded(memcg, other)
    return atomic_long_read(memcg.state[MEMCG_SWAP]) == count and refcount_read(memcg.id_ref) == 1 + count


def lists_are_right(memcg, p, q: ptr[page] = NULL):
    """The pages on a group's list are its own, and its size is their number."""
    return memcg.lruvec.lru_size == _listed(memcg, p) + _listed(memcg, q)


def is_on_its_list(memcg, p):
    """A page of a group that is on a list is on the list of that group."""
    return not p.lru or p.on_list == memcg


def _listed(memcg, p: ptr[page]):
    return 1 if p and p.on_list == memcg else 0


def owned(memcg, p: ptr[page]):
    """1 if the page is charged to the group."""
    return 1 if p and p.memcg_data == memcg else 0


def maps(mm, addr, p):
    """1 if a pte maps the page."""
    pte = mm.pgtable.pte[addr].pte
    present = pte == pte_state.readonly or pte == pte_state.writable or pte == pte_state.dirty or pte == pte_state.device_private
    return 1 if present and mm.pgtable.pte[addr].page == p else 0


def mapcount_is_right(p, present):
    """I7: a page's mapcount is one less than the number of ptes that map it (`maps`), when no pte lock is held."""
    return atomic_read(p._mapcount) == present - 1


def maps_dirty(mm, addr, p):
    """1 if a pte maps the page and is dirty."""
    return 1 if mm.pgtable.pte[addr].pte == pte_state.dirty and mm.pgtable.pte[addr].page == p else 0


def nothing_is_lost(p, dirty):
    """I8: a page of a file that is clean, of whose ptes none is dirty (`maps_dirty`), is on disk as it is in memory. At rest no
    TLB has what its pte has not."""
    return p.dirty or dirty > 0 or p.mapping.disk[p.index] == p.data
