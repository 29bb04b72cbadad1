"""The numbers of a group as the kernel's files show them.

Source: memcg_stat_show() and memory_stat_format() of mm/memcontrol.c, Linux 6.1: which lines, in which order, in bytes but for events.
Left out are the lines that say what is not modelled: of memory.stat of v1 dirty, writeback, workingset_refault_*, pgfault, pgmajfault and the
hierarchical limits; of v2 all but those of anonymous memory, of the page cache and of the lists.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Final

PAGE_SIZE: Final = 4096
_EVENTS: Final = ("pgpgin", "pgpgout")
_LISTS: Final = ("inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable")
_V1: Final = ("cache", "rss", "rss_huge", "shmem", "mapped_file", "swap", *_EVENTS, *_LISTS)
ORDER: Final = {
    1: (*_V1, *(f"total_{one}" for one in _V1)),
    2: ("anon", "file", "shmem", "file_mapped", "swapcached", "anon_thp", *_LISTS),
}  # fmt: skip
USAGE: Final = {1: "memory.usage_in_bytes", 2: "memory.current"}


def memory_stat(statistics: Mapping[str, int], version: int) -> str:
    """A group's memory.stat."""
    return "".join(f"{name} {_shown(name, statistics[name])}\n" for name in ORDER[version])


def memory_usage(statistics: Mapping[str, int]) -> str:
    """A group's memory.usage_in_bytes or memory.current."""
    return f"{statistics['usage'] * PAGE_SIZE}\n"


def _shown(name: str, value: int) -> int:
    return value if name.removeprefix("total_") in _EVENTS else value * PAGE_SIZE


def result_name(result: int) -> str:
    """A result as kernel developers write it: 0, or -EBUSY."""
    if result == 0:
        return "0"
    return "-EOPNOTSUPP" if result == -errno.EOPNOTSUPP else f"-{errno.errorcode.get(-result, str(-result))}"  # Python says ENOTSUP
