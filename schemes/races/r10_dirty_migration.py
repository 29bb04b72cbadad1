"""R10: a dirty page is migrated before the new page is charged, and cleaned afterwards: the group's dirty counter is at -1.

No race proper: an order of things, with one CPU. The old page's group loses one, the new page has no group that could gain it, then the page is charged,
and cleaning it takes one away again. As a huge unsigned number it throttled writers. 0610c25daa3e ("memcg: fix dirty page migration", 4.3), then 6a93ca8fde3c (4.6).
"""
from lockverse import *
from lockverse.linux.boot import file_mapping, file_page, memory_cgroup, new_mm, vma_of
from lockverse.linux.include.mm_types import page, vm_area_struct
from lockverse.linux.include.mmzone import NR_FILE_DIRTY
from lockverse.linux.invariants import dirty_is_counted
from lockverse.linux.mm.migrate import unmap_and_move
from lockverse.linux.mm.page_writeback import folio_cancel_dirty
from lockverse.linux.patches.dirty_migration import migrate_folio_4_3, migrate_mapping_4_2


def migrate_and_clean(newpage, p, vmas):
    if unmap_and_move(newpage, p, vmas):
        folio_cancel_dirty(newpage)


@scheme
def dirty_page_migrates(version: Literal["4.2", "4.3", "6.1"] = "4.2"):
    if version != "6.1":
        apply(migrate_mapping_4_2)
    if version == "4.3":
        apply(migrate_folio_4_3)
    memcg = memory_cgroup()
    file = file_mapping()
    p = file_page(memcg, file)
    p.dirty = True
    memcg.state[NR_FILE_DIRTY].counter = 1
    newpage = page(_mapcount=-1)
    mm = new_mm(memcg)
    vma = vma_of(mm, file)
    vmas = array[ptr[vm_area_struct], 1]([vma])  # nobody maps it
    cpu(migrate_and_clean, newpage, p, vmas)
    at_rest(lambda: dirty_is_counted(memcg, p, newpage), "the group counts its dirty pages")
    sometimes(lambda: file.i_pages[0] == newpage, "the page is migrated")
