"""Ways to search that small schemes on the machine at hand do not take by themselves: how the table holds states, and what the processor
can do. In the context of one, every search in machine code goes that way. Leaves out what they are: bench/ways.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from bench.ways import WAYS as MEASURED

from lockverse.codegen import layout

WAYS = tuple(name for name in MEASURED if name != "whole, two words")
SPREAD = 12  # bits of a word that are used where states are whole, so that they have several words


@contextlib.contextmanager
def way(name: str) -> Iterator[None]:
    """Search that way."""
    with pytest.MonkeyPatch.context() as patch:
        MEASURED[name](patch.setattr)
        if name == "whole":
            for size in ("SMALL", "MEDIUM", "WIDE"):
                patch.setattr(layout, size, 0)
            patch.setattr(layout, "WORD", SPREAD)
        yield
