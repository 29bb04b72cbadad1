"""Ways to search that small schemes on the machine at hand do not take by themselves: how the table holds states, and what the processor
can do. Each is a context in which every search in machine code goes that way. Leaves out what is expected of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from lockverse.codegen import layout
from lockverse.engine import native as engine
from lockverse.explore import native, table
from lockverse.explore.table import Shape
from lockverse.jit import machine_code

SPREAD = 12  # bits of a word that are used where states are to have many words


def _sixteen_bytes(patch: pytest.MonkeyPatch) -> None:
    """States of two words, in slots of two words."""
    for name in ("SMALL", "MEDIUM"):
        patch.setattr(layout, name, 0)
    patch.setattr(table, "TWO_WORD_BITS", 0)


def _fingerprints(patch: pytest.MonkeyPatch) -> None:
    """The same, as if the two words of a slot had no room for those of a state."""
    _sixteen_bytes(patch)
    patch.setattr(table, "WIDE_BITS", 0)


def _whole(patch: pytest.MonkeyPatch) -> None:
    """States of as many words as can be, in slots that refer to them."""

    def shape_of(one: layout.Layout, exact: bool = False) -> Shape:
        return Shape(one.words, one.bits, whole=True)

    for name in ("SMALL", "MEDIUM", "WIDE"):
        patch.setattr(layout, name, 0)
    patch.setattr(layout, "WORD", SPREAD)
    for module in (native, engine):
        patch.setattr(module, "shape_of", shape_of)


def _no_pext(patch: pytest.MonkeyPatch) -> None:
    """A processor like this one that has no pext."""
    cpu, features = machine_code._host()
    patch.setattr(machine_code, "_host", lambda: (cpu, features.replace("+bmi2", "-bmi2")))


def _old_processor(patch: pytest.MonkeyPatch) -> None:
    """What every processor of this kind can do."""
    patch.setattr(machine_code, "_host", lambda: ("generic", ""))


WAYS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "16 bytes": _sixteen_bytes, "fingerprints": _fingerprints, "whole": _whole, "no pext": _no_pext, "old processor": _old_processor,
}  # fmt: skip


@contextlib.contextmanager
def way(name: str) -> Iterator[None]:
    """Search that way."""
    with pytest.MonkeyPatch.context() as patch:
        WAYS[name](patch)
        yield
