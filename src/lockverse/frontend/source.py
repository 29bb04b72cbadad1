"""Source files: their text and syntax tree, the function a code object comes from, and the table of statements.

Lines and columns are those of the file itself, never of a dedented copy. A function is found by its code object's own
positions, so several lambdas on one line are told apart. Leaves out what the names mean (`scope.py`).
"""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, FunctionType

from msgspec import Struct, field
from msgspec.structs import replace

from lockverse.diagnostics.texts import PACKAGE
from lockverse.ir.source import NO_CALLER, Origin, Span, Statement

FunctionNode = ast.FunctionDef | ast.Lambda
_COMPOUND = {ast.If: "if", ast.While: "while", ast.For: "for", ast.With: "with"}


class SourceFile(Struct):
    """A file: its path as messages show it, its text, its tree."""

    path: str
    text: str
    tree: ast.Module
    lines: list[str] = field(default_factory=list)
    functions: dict[int, ast.FunctionDef] = field(default_factory=dict)  # by their first line, decorators included
    lambdas: list[ast.Lambda] = field(default_factory=list)
    _numbered: list[str] = field(default_factory=list)  # the lines as the parser counts them: a form feed ends none

    def __post_init__(self) -> None:
        self.lines, self._numbered = self.text.splitlines(), self.text.split("\n")
        self.functions, self.lambdas = {}, []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                self.functions.setdefault(first, node)
            elif isinstance(node, ast.Lambda):
                self.lambdas.append(node)

    def snippet(self, node: ast.AST) -> str:
        """The source of a node on one line."""
        found = self._segment(node) if getattr(node, "end_lineno", None) is not None else ast.unparse(node)
        return " ".join(found.split())

    def _segment(self, node: ast.AST) -> str:
        """What ast.get_source_segment gives, without splitting the whole text each time. Columns count bytes."""
        line, column, end_line, end = _extent(node)  # type: ignore[arg-type]
        rows = [row.encode() for row in self._numbered[line - 1 : end_line]]
        rows[-1] = rows[-1][:end]
        rows[0] = rows[0][column:]
        return b"\n".join(rows).decode()


class Sources:
    """All files functions have been found in, read once each.

    `main` is the scheme file and `shown` the path the user named it by; files beside it or below are shown likewise, and those of
    lockverse from its package on.
    """

    def __init__(self, main: Path | None = None, shown: str = "") -> None:
        self._files: dict[str, SourceFile] = {}
        self._main, self._shown = main, shown

    def file(self, path: str) -> SourceFile:
        """The file of that path. Raises OSError, SyntaxError or UnicodeError if it cannot be read as Python."""
        if path not in self._files:
            with tokenize.open(path) as stream:
                text = stream.read()
            self._files[path] = SourceFile(self._named(path), text, ast.parse(text, path))
        return self._files[path]

    def _named(self, path: str) -> str:
        if Path(path).is_relative_to(PACKAGE / "lockverse"):
            return str(Path(path).relative_to(PACKAGE))
        if self._main is None or not Path(path).is_relative_to(self._main.parent):
            return path
        beside = Path(self._shown).parent / Path(path).relative_to(self._main.parent)
        return self._shown if Path(path) == self._main else str(beside)

    def find(self, function: FunctionType) -> tuple[SourceFile, FunctionNode] | None:
        """The file and node of a function, or None if its source cannot be had."""
        code = function.__code__
        try:
            source = self.file(code.co_filename)
        except (OSError, SyntaxError, UnicodeError):
            return None
        node = _find_lambda(source, code) if code.co_name == "<lambda>" else source.functions.get(code.co_firstlineno)
        return None if node is None else (source, node)


def _find_lambda(source: SourceFile, code: CodeType) -> ast.Lambda | None:
    """The lambda whose body covers all positions of the code, the innermost if several do."""
    wanted = [
        (line, column, end, end_column)
        for line, end, column, end_column in code.co_positions()
        if line is not None and end is not None and column is not None and end_column is not None and (line, column) != (end, end_column)
    ]
    best: ast.Lambda | None = None
    for node in source.lambdas:
        if node.lineno == code.co_firstlineno and _covers(node.body, wanted):
            best = node if best is None or _covers(best.body, [_extent(node)]) else best
    return best


def _extent(node: ast.expr) -> tuple[int, int, int, int]:
    return node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0


def _covers(body: ast.expr, wanted: Sequence[tuple[int, int, int, int]]) -> bool:
    line, column, end_line, end_column = _extent(body)
    return all(
        (line, column) <= (first, start) and (last, stop) <= (end_line, end_column)
        for first, start, last, stop in wanted
    )


def span_of(node: ast.AST) -> Span:
    """The span of a node, 1-based."""
    return Span(
        getattr(node, "lineno", 1),
        getattr(node, "col_offset", 0) + 1,
        getattr(node, "end_lineno", 1),
        getattr(node, "end_col_offset", 0) + 1,
    )


class StatementTable:
    """The statements of all compiled functions, and the origins of their ops. A function's statements are entered
    once, however many times it is compiled."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.origins: list[Origin] = []
        self._entered: dict[ast.AST, int] = {}
        self._origins: dict[Origin, int] = {}
        self._decided: dict[int, set[bool]] = {}

    def decide(self, node: ast.If, known: bool) -> None:
        """A branch was decided while compiling."""
        self._decided.setdefault(self._entered[node], set()).add(known)

    def finished(self) -> tuple[Statement, ...]:
        """All statements, for readers: a branch that was always decided in the same way is not there, but what it came to is."""
        found = list(self.statements)
        for place, ways in reversed(self._decided.items()):
            if len(ways) == 1 and not found[place].text.startswith("elif"):
                self._resolve(found, place, True in ways)
        return tuple(found)

    def _resolve(self, found: list[Statement], place: int, known: bool) -> None:
        one = found[place]
        taken = one.body if known else one.orelse
        for inner in taken:
            if found[inner].text.startswith("elif"):  # at the depth of its `if` already
                found[inner] = replace(found[inner], text=found[inner].text.removeprefix("el"))
            else:
                _raise(found, inner)
        found[place] = replace(one, body=(), orelse=())
        for number, other in enumerate(found):
            if place in other.body or place in other.orelse:
                body, orelse = (tuple(new for old in some for new in (taken if old == place else (old,))) for some in (other.body, other.orelse))
                found[number] = replace(other, body=body, orelse=orelse)

    def enter(self, source: SourceFile, name: str, node: FunctionNode) -> None:
        """Enter the statements of a function; a lambda's body counts as one statement."""
        if isinstance(node, ast.Lambda):
            if node.body not in self._entered:
                line = node.body.lineno
                self._add(node.body, Statement(name, source.path, line, source.snippet(node.body), "simple", 0))
            return
        if node.body[0] not in self._entered:
            self._enter_all(source, name, node.body, 0)

    def _add(self, node: ast.AST, statement: Statement) -> int:
        self._entered[node] = len(self.statements)
        self.statements.append(statement)
        return self._entered[node]

    def _enter_all(self, source: SourceFile, name: str, body: Sequence[ast.stmt], depth: int) -> tuple[int, ...]:
        return tuple(self._enter_one(source, name, node, depth) for node in body)

    def _enter_one(self, source: SourceFile, name: str, node: ast.stmt, depth: int) -> int:
        kind = _COMPOUND.get(type(node), "simple")
        text = source.snippet(node) if kind == "simple" else _header(source, node)
        place = self._add(node, Statement(name, source.path, node.lineno, text, kind, depth))
        if kind != "simple":
            body = self._enter_all(source, name, getattr(node, "body", []), depth + 1)
            rest = getattr(node, "orelse", [])
            chained = len(rest) == 1 and _is_elif(source, rest[0])
            orelse = self._enter_all(source, name, rest, depth if chained else depth + 1)
            self.statements[place] = Statement(name, source.path, node.lineno, text, kind, depth, body, orelse)
        return place

    def statement(self, node: ast.AST) -> int:
        """The index of a statement that was entered."""
        return self._entered[node]

    def body(self, node: FunctionNode) -> tuple[int, ...]:
        """The statements directly in a function that was entered."""
        nodes = [node.body] if isinstance(node, ast.Lambda) else node.body
        return tuple(self._entered[one] for one in nodes)

    def origin(self, statement: int, node: ast.AST) -> int:
        """The index of the origin of an op that comes from `node` inside `statement`."""
        origin = Origin(statement, span_of(node), NO_CALLER)
        if origin not in self._origins:
            self._origins[origin] = len(self.origins)
            self.origins.append(origin)
        return self._origins[origin]


def _raise(found: list[Statement], place: int) -> None:
    """A statement and all inside it stand in a block less."""
    one = found[place]
    found[place] = replace(one, depth=one.depth - 1)
    for inner in (*one.body, *one.orelse):
        _raise(found, inner)


def _is_elif(source: SourceFile, node: ast.stmt) -> bool:
    line = source.lines[node.lineno - 1].encode()
    return isinstance(node, ast.If) and line[node.col_offset : node.col_offset + 4] == b"elif"


def _header(source: SourceFile, node: ast.stmt) -> str:
    """The source of a compound statement up to its colon."""
    first: ast.stmt = node.body[0]  # type: ignore[attr-defined]
    lines = source.lines[node.lineno - 1 : first.lineno]
    if first.lineno == node.lineno:
        lines[0] = lines[0].encode()[: first.col_offset].decode()
    else:
        lines.pop()
    lines[0] = lines[0].encode()[node.col_offset :].decode()
    text = " ".join(line.split("#")[0].strip() for line in lines).strip()
    return text if text.endswith(":") else text[: text.rfind(":") + 1]
