"""The names of the counters that pages are accounted in.

Source: include/linux/mmzone.h (node_stat_item) and include/linux/memcontrol.h, Linux 6.1. Modelled: those that move with a page;
and what the simulator's groups count besides: huge pages, and the pages on the LRU's lists. A list is named by its inactive half: which half a
page is on is left out. So are kernel stacks, workingset and NUMA.
"""

from __future__ import annotations

NR_ANON_MAPPED = 0
NR_FILE_MAPPED = 1
NR_FILE_PAGES = 2
NR_FILE_DIRTY = 3
NR_WRITEBACK = 4
NR_SHMEM = 5
NR_SWAPCACHE = 6
MEMCG_SWAP = 7
PGPGIN = 8
PGPGOUT = 9

NAMES = (
    "NR_ANON_MAPPED", "NR_FILE_MAPPED", "NR_FILE_PAGES", "NR_FILE_DIRTY", "NR_WRITEBACK", "NR_SHMEM", "NR_SWAPCACHE", "MEMCG_SWAP",
    "PGPGIN", "PGPGOUT", "NR_ANON_THPS",
)  # fmt: skip

NR_ANON_THPS = 10
NR_INACTIVE_ANON = 11
NR_INACTIVE_FILE = 12
NR_UNEVICTABLE = 13
NR_COUNTERS = 14  # of a group in the simulator; one in a scheme has those of NAMES
