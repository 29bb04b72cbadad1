"""Finding, under plain Python, the place that `WRITE_ONCE(page.memcg, v)` names.

Python passes a macro the value of `page.memcg`, not the place. The caller's instruction has a source position; the
call there is parsed once, and the argument's base (`page`) is evaluated again in the caller's variables. A place is
therefore a chain of names, fields and indices, with no call in it, as the compiler demands too.

Leaves out callers without source, such as code typed into an old shell: NoPlace says so.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Callable
from functools import lru_cache
from itertools import islice
from types import CodeType, FrameType
from typing import Any

from .errors import SchemeError
from .structs import Array, declaration


class NoPlace(SchemeError):
    """The argument of a macro is no place, or the source of the call cannot be had."""


class Place:
    """A field of an object, or an element of an array."""

    __slots__ = ("_key", "_owner", "_subscript")

    def __init__(self, owner: Any, key: Any, *, subscript: bool) -> None:
        self._owner, self._key, self._subscript = owner, key, subscript

    @property
    def kind(self) -> object:
        """The declared type of what is there."""
        if isinstance(self._owner, Array):
            return self._owner.type.element
        declared = declaration(type(self._owner))
        return None if declared is None else declared.fields.get(self._key)

    def on(self, cpu: int) -> Place:
        """The same of that CPU, if it is a field of per-cpu data."""
        per_cpu = isinstance(self._owner, Array) and not self._subscript
        return Place(self._owner[cpu], self._key, subscript=False) if per_cpu else self

    def get(self) -> Any:
        """What is there."""
        return self._owner[self._key] if self._subscript else getattr(self._owner, self._key)

    def set(self, value: Any) -> None:
        """Put something there."""
        if self._subscript:
            self._owner[self._key] = value
        else:
            setattr(self._owner, self._key, value)


def caller_place(argument: int = 0, depth: int = 2) -> Place:
    """The place that is that argument of the call `depth` frames up. Raises NoPlace."""
    frame = sys._getframe(depth)
    find = _finder(frame.f_code, frame.f_lasti, argument)
    return find(frame)


@lru_cache(maxsize=4096)
def _finder(code: CodeType, instruction: int, argument: int) -> Callable[[FrameType], Place]:
    """What finds the place for one call site."""
    target = _argument(code, instruction, argument)
    if isinstance(target, ast.Attribute):
        owner = _evaluator(target.value, code)
        name = target.attr
        return lambda frame: Place(owner(frame), name, subscript=False)
    if isinstance(target, ast.Subscript):
        owner, index = _evaluator(target.value, code), _evaluator(target.slice, code)
        return lambda frame: Place(owner(frame), index(frame), subscript=True)
    raise NoPlace(f"`{ast.unparse(target)}` is not a place in memory: a place is a field `x.f` or an element `a[i]`")


def _evaluator(node: ast.expr, code: CodeType) -> Callable[[FrameType], Any]:
    if any(isinstance(part, ast.Call) for part in ast.walk(node)):
        raise NoPlace(f"`{ast.unparse(node)}` calls a function: put the result in a variable first")
    if isinstance(node, ast.Name):
        name = node.id
        if name in code.co_varnames or name in code.co_freevars or name in code.co_cellvars:
            return lambda frame: frame.f_locals[name]
    compiled = compile(ast.Expression(node), code.co_filename, "eval")
    return lambda frame: eval(compiled, frame.f_globals, frame.f_locals)  # noqa: S307 - the caller's own expression


def _argument(code: CodeType, instruction: int, argument: int) -> ast.expr:
    position = next(islice(code.co_positions(), instruction // 2, None))
    line, end_line, column, end_column = position
    for node in ast.walk(_tree(code.co_filename)):
        if isinstance(node, ast.Call) and len(node.args) > argument:
            here = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
            if here == (line, end_line, column, end_column):
                return node.args[argument]
    raise NoPlace(f"the source of the call at {code.co_filename}:{line} cannot be had; put the function in a file")


@lru_cache(maxsize=64)
def _tree_of(text: str) -> ast.Module:
    return ast.parse(text)


def _tree(path: str) -> ast.Module:
    return _tree_of("".join(linecache.getlines(path)))
