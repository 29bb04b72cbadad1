"""A counter of pages that counts for all groups above it too.

Source: include/linux/page_counter.h, Linux 6.1. Modelled: usage, the limit, the parent. Left out: min, low, watermark, failcnt.
"""

from __future__ import annotations

from lockverse.lang import atomic_long_t, ptr, s64, struct

PAGE_COUNTER_MAX = 1 << 40


@struct
class page_counter:
    """`usage` pages are charged here or below; no more than `max` may be."""

    usage: atomic_long_t
    max: s64 = PAGE_COUNTER_MAX
    parent: ptr[page_counter]
