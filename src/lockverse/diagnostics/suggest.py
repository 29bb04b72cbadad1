"""The name somebody probably meant. Leaves out names that are nothing like what was written."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None if none is close."""
    import difflib  # only where something is wrong: it is slow to load

    found = difflib.get_close_matches(name, sorted(set(known)), n=1, cutoff=0.7)
    return found[0] if found else None
