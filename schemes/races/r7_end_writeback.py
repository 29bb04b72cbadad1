"""R7 and R8: the end of writeback looks for the page's group when truncation, or migration, has uncharged the page.

An interrupt clears PG_writeback; whoever waited for that frees the page, which uncharges it; the interrupt then wants the group. 3.18-rc found the page charged
to nobody and left the counter as it was, one too high (R8: d7365e783edb, "mm: memcontrol: fix missed end-writeback page accounting"); 4.12 followed a NULL
pointer (R7: 739f79fc9db1, 4.13, takes the group once, at lock time). Since 5.11 the caller holds a reference (073861ed77b6). The interrupt is a CPU of its
own here. The uncharging side is truncation.
"""
from lockverse import *
from lockverse.linux.boot import file_mapping, file_page, memory_cgroup
from lockverse.linux.include.mmzone import NR_WRITEBACK
from lockverse.linux.include.page_flags import folio_get, folio_lock, folio_unlock
from lockverse.linux.invariants import writeback_is_counted
from lockverse.linux.mm.filemap import filemap_remove_folio
from lockverse.linux.mm.page_writeback import folio_end_writeback, folio_wait_writeback
from lockverse.linux.mm.swap import folio_put
from lockverse.linux.patches.end_writeback import end_writeback_3_18, end_writeback_4_12, end_writeback_4_13


def truncate(p):
    folio_get(p)  # the lookup's
    folio_lock(p)
    folio_wait_writeback(p)
    filemap_remove_folio(p)
    folio_unlock(p)
    folio_put(p)


def end_of_io(p):
    folio_end_writeback(p)


def end_of_io_with_reference(p):
    folio_end_writeback(p)
    folio_put(p)


@scheme
def truncated_meanwhile(version: Literal["3.18-rc", "4.12", "4.13", "5.11"] = "4.12"):
    if version == "3.18-rc":
        apply(end_writeback_3_18)
    if version == "4.12":
        apply(end_writeback_4_12)
    if version == "4.13":
        apply(end_writeback_4_13)
    memcg = memory_cgroup()
    file = file_mapping()
    p = file_page(memcg, file)
    p.writeback = True
    memcg.state[NR_WRITEBACK].counter = 1
    if version == "5.11":
        p._refcount.counter += 1
    cpu(end_of_io_with_reference if version == "5.11" else end_of_io, p)
    cpu(truncate, p)
    at_rest(lambda: writeback_is_counted(memcg, p), "the group counts its pages that are being written")
    sometimes(lambda: p.memcg_data == NULL, "the page is uncharged")
