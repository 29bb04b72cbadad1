"""How a dirty page was migrated before 4.6: its dirty counter went with it, at a moment when the new page was not charged yet.

Source: mm/migrate.c (migrate_page_move_mapping). 0610c25daa3e ("memcg: fix dirty page migration", 4.3) charges the new page first; 6a93ca8fde3c (4.6)
leaves the counters of the group alone. Modelled: the two orders. Leaves out what migrate.py does.
"""

from __future__ import annotations

from lockverse.lang import WRITE_ONCE, atomic_cmpxchg, atomic_set, patch, spin_lock_irq, spin_unlock_irq
from lockverse.linux.include.mmzone import NR_FILE_DIRTY
from lockverse.linux.include.page_flags import folio_get, folio_test_clear_dirty, folio_test_set_dirty
from lockverse.linux.mm import migrate
from lockverse.linux.mm.memcontrol import __mod_lruvec_page_state, commit_charge, folio_memcg


@patch(migrate.folio_migrate_mapping)
def migrate_mapping_4_2(mapping, newfolio, folio):
    """Put a page into the cache in place of another, and count it dirty in its place."""
    spin_lock_irq(mapping.i_pages_lock)
    if atomic_cmpxchg(folio._refcount, 2, 0) != 2:
        spin_unlock_irq(mapping.i_pages_lock)
        return False
    WRITE_ONCE(newfolio.mapping, mapping)
    folio_get(newfolio)
    if folio_test_clear_dirty(folio):
        folio_test_set_dirty(newfolio)
        __mod_lruvec_page_state(folio, NR_FILE_DIRTY, -1)
        __mod_lruvec_page_state(newfolio, NR_FILE_DIRTY, 1)
    WRITE_ONCE(mapping.i_pages[folio.index], newfolio)
    atomic_set(folio._refcount, 1)
    spin_unlock_irq(mapping.i_pages_lock)
    return True


@patch(migrate.migrate_folio)
def migrate_folio_4_3(newfolio, folio):
    """Move what a page is to another, which belongs to the old one's group from the start."""
    mapping = folio.mapping
    commit_charge(newfolio, folio_memcg(folio))
    if not migrate.folio_migrate_mapping(mapping, newfolio, folio):
        return False
    WRITE_ONCE(newfolio.data, folio.data)
    migrate.mem_cgroup_migrate(folio, newfolio)
    return True
