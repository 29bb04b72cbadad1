"""What a search may or may not exercise: ways that conditions come out, handlers that fire, locks that are waited for or refused.

Leaves out which there are in a program (passes/coverage.py), and what is made of those that are not.
"""

from __future__ import annotations

from msgspec import Struct


class Way(Struct, frozen=True, order=True):
    """The condition of that statement came out as `outcome`."""

    statement: int
    outcome: bool


class Refused(Struct, frozen=True, order=True):
    """A trylock in that statement did not get its lock."""

    statement: int


class Fires(Struct, frozen=True, order=True):
    """The handler which is that thread begins."""

    thread: int


class Contended(Struct, frozen=True, order=True):
    """A thread that has its CPU waits for the lock at that address."""

    lock: int


Item = Way | Refused | Fires | Contended
