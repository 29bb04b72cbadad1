"""What a search may or may not exercise: ways that conditions come out, handlers that fire, locks that are waited for or refused.

Leaves out which there are in a program (passes/coverage.py), and what is made of those that are not.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Way:
    """The condition of that statement came out as `outcome`."""

    statement: int
    outcome: bool


@dataclass(frozen=True, slots=True, order=True)
class Refused:
    """A trylock in that statement did not get its lock."""

    statement: int


@dataclass(frozen=True, slots=True, order=True)
class Fires:
    """The handler which is that thread begins."""

    thread: int


@dataclass(frozen=True, slots=True, order=True)
class Contended:
    """A thread that has its CPU waits for the lock at that address."""

    lock: int


Item = Way | Refused | Fires | Contended
