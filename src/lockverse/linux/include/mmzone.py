"""The names of the counters that pages are accounted in.

Source: include/linux/mmzone.h (node_stat_item) and include/linux/memcontrol.h, Linux 6.1. Modelled: those that move with a page.
Left out: all that a single small page never touches (THPs, kernel stacks, workingset, NUMA).
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
    "PGPGIN", "PGPGOUT",
)  # fmt: skip
