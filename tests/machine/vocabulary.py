"""A piece of vocabulary on both engines: one search each, state for state, and the verdict with every reduction.

Leaves out expectations: those stand in the tests.
"""

from __future__ import annotations

from pathlib import Path

from lockverse.explore.search import Result
from lockverse.reduction import REDUCTIONS

from ..codegen.common import counts, searched, verdict
from ..support import linked_of
from .test_conformance import agree


def on_both(folder: Path, text: str) -> Result:
    """What the interpreter's search of the only scheme of a text finds, once the native engine has found the same."""
    linked = linked_of(folder, text)
    agree(linked)
    found = searched(linked, "reference")
    assert counts(searched(linked, "native")) == counts(found)
    assert verdict(searched(linked, "native", REDUCTIONS)) == verdict(found)
    return found


def ends(folder: Path, text: str) -> str:
    """The reason a scheme is broken for on both engines, or "holds"."""
    found = on_both(folder, text)
    return "holds" if found.failing is None else found.failing.reason.value
