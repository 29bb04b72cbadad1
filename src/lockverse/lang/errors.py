"""What goes wrong when a scheme's functions run as ordinary Python, and what a scene's declarations can get wrong.

Each corresponds to a fault of the search (`ir/reason.py`). Leaves out positions: Python's traceback has them.
"""

from __future__ import annotations


class SchemeError(Exception):
    """Anything the vocabulary finds wrong while it runs as ordinary Python."""


class NullDereference(SchemeError, AttributeError):
    """A field of NULL was read or written."""


class Overflow(SchemeError, OverflowError):
    """A value does not fit the integer type it is stored in."""


class WrongType(SchemeError, TypeError):
    """A value of the wrong type is stored in a field, or passed to the vocabulary."""


class NoSuchField(SchemeError, AttributeError):
    """A struct has no field of that name."""


class OutOfBounds(SchemeError, IndexError):
    """An array has no such element."""


class WouldBlock(SchemeError):
    """The step waits for another task, and under plain Python there is none that could let it go on."""


class CheckFailed(SchemeError):
    """A rule of the vocabulary is broken: `reason` is its name, as in `ir/reason.py`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class AssumptionFailed(SchemeError):
    """`assume()` was given something false: this is not an execution to look at."""


class NotInScheme(SchemeError):
    """A declaration such as cpu() or always() was called outside a @scheme function."""
