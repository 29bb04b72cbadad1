"""Which interleavings need not be run, and why: dependence.py has the argument.

REDUCTIONS are their names, as a user asks for them: `dead` forgets registers that are not read again, `local` merges steps
on what is one thread's own, `locks` those that locks protect, `symmetry` takes states that differ by
which of some equal threads is which for one. Leaves out the search.
"""

from __future__ import annotations

from typing import Final

REDUCTIONS: Final = ("dead", "local", "locks", "symmetry")
