"""What must hold of each page, and of each group's pages: the invariants that schemes have of two or three, of as many as there are.

linux/invariants.py says what a page adds to a counter of its group and when a mapcount is right (I1, I2, I5, I7); here all pages of a system are
looked at and added up. The head of a huge page has mapcounts of its own kind, so of groups with one only the usage is looked at. Leaves out what is seen without looking at a page (books.py).
"""

# mypy: disable-error-code="attr-defined,index,no-untyped-call"
# (the structs of linux/ are made by the language's decorator, and its functions have no annotations)

from __future__ import annotations

from collections import Counter
from typing import Any

from lockverse.lang import atomic_long_read
from lockverse.linux.include.mmzone import NR_ANON_MAPPED, NR_FILE_MAPPED, NR_FILE_PAGES
from lockverse.linux.include.pgtable import pte_present
from lockverse.linux.invariants import anon_mapped, cached, file_mapped, mapcount_is_right, owned

from .system import System

_COUNTED = (("NR_ANON_MAPPED", NR_ANON_MAPPED, anon_mapped), ("NR_FILE_MAPPED", NR_FILE_MAPPED, file_mapped), ("NR_FILE_PAGES", NR_FILE_PAGES, cached))


def wrong_pages(system: System) -> list[str]:
    """What does not hold."""
    tables = [table for mm in system.mms() for table in mm.tables.values() if not table.huge]
    present = Counter(id(pte.page) for table in tables for pte in table.pte.values() if pte_present(pte.pte))
    of_group: dict[int, list[Any]] = {}
    found = []
    for page in system.pages():
        of_group.setdefault(id(page.memcg_data), []).append(page)
        if page.nr_pages == 1 and not mapcount_is_right(page, present[id(page)]):
            found.append(f"{page.memcg_data.path} a page has mapcount {page.mapcount()} and {present[id(page)]} ptes")
    for path, group in system.groups().items():
        pages = of_group.get(id(group), [])
        charged = sum(page.nr_pages * owned(group, page) for page in pages)
        if atomic_long_read(group.memory.usage) < charged:
            found.append(f"{path} usage {atomic_long_read(group.memory.usage)} is less than its pages, {charged}")
        for name, item, adds in _COUNTED if all(page.nr_pages == 1 for page in pages) else ():
            counted, there = atomic_long_read(group.state[item]), sum(adds(group, page) for page in pages)
            if counted != there:
                found.append(f"{path} {name} {counted} is not that of its pages, {there}")
    return found
