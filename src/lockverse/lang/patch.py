"""Patches: `@patch(page_remove_rmap)` above a function says that it stands for page_remove_rmap in a scene that applies it.

A series is a list of patches, oldest first; it may hold lists. Of two patches of one function the later counts. What a patch
replaces is left as it is: another scene runs it. Leaves out what compiles them (frontend/scheme.py).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any, TypeVar

from .errors import WrongType

F = TypeVar("F", bound=Callable[..., Any])


def patch(target: Callable[..., Any]) -> Callable[[F], F]:
    """Mark a function as a patch of another. It takes the same parameters."""

    def decorate(function: F) -> F:
        setattr(function, "__lockverse_patch__", target)  # noqa: B010
        return function

    return decorate


def flattened(patches: object) -> Iterator[FunctionType]:
    """The patches of a series, in order. Raises WrongType for what is none."""
    if isinstance(patches, list | tuple):
        for one in patches:
            yield from flattened(one)
    elif isinstance(patches, FunctionType) and hasattr(patches, "__lockverse_patch__"):
        yield patches
    else:
        raise WrongType(f"{getattr(patches, '__name__', repr(patches))} is no patch: a patch is a function marked @patch(...), or a list of them")


def replacements(patches: object) -> dict[FunctionType, FunctionType]:
    """What a series replaces by what."""
    return {one.__lockverse_patch__: one for one in flattened(patches)}  # type: ignore[attr-defined]


@contextmanager
def applied(*patches: object) -> Iterator[None]:
    """Run what is inside with these patches (plain Python only): every module that names a replaced function names the new one."""
    changed: list[tuple[dict[str, Any], str, object]] = []
    new = replacements(patches)
    try:
        for module in list(sys.modules.values()):
            names = getattr(module, "__dict__", {})
            for name, value in list(names.items()):
                if isinstance(value, FunctionType) and value in new:
                    changed.append((names, name, value))
                    names[name] = new[value]
        yield
    finally:
        for names, name, value in changed:
            names[name] = value
