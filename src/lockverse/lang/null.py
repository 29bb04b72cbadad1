"""NULL: the pointer to nothing.

It is false, equal only to itself, and reading or writing a field through it raises NullDereference, as it is a fault
in a search. Leaves out ERR_PTR and other encodings of errors in pointers.
"""

from __future__ import annotations

from typing import NoReturn

from .errors import NullDereference


class Null:
    """The type of NULL; there is one instance."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NULL"

    def __getattr__(self, name: str) -> NoReturn:
        # Names of Python's own protocols (copying, pickling, displays) are not fields of anybody's struct.
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        raise NullDereference(f"NULL dereference: reading field `{name}` of NULL")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise NullDereference(f"NULL dereference: writing field `{name}` of NULL")

    def __getitem__(self, index: object) -> NoReturn:
        raise NullDereference(f"NULL dereference: element {index} of NULL")

    def __call__(self, *arguments: object) -> NoReturn:
        raise NullDereference("NULL dereference: NULL is called")

    def __copy__(self) -> Null:
        return self

    def __deepcopy__(self, memo: object) -> Null:
        return self


NULL = Null()
