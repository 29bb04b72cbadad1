"""Reading the textual form of a program back: the inverse of printer.py.

For tests, and for looking at what a pass does to a program written by hand. Leaves out whether the program makes
sense: the verifier says that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from .ops import Imm, Op, Reg, Value
from .program import Block, Cell, Function, Object, Pool, Program, Property, Register, Thread
from .reason import Reason
from .source import Origin, Span, Statement
from .text import DECIDES, DECISIONS, FORMS, NUMBER, STRING, TARGET, TYPE, VALUE, VALUES
from .types import Array, Bool, Enum, Field, Int, Ptr, Struct, StructRef, Type

T = TypeVar("T")
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|-?\d+(?![\w.])|[\w.\-]+|[%@!=(),\[\]])')
_INT = re.compile(r"([su])(8|16|32|64)")


class IRSyntaxError(ValueError):
    """The text is not a program: says the line and what was expected there."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


class _Line(msgspec.Struct):
    """The tokens of a line, read from left to right."""

    number: int
    tokens: list[str]
    place: int = 0

    def fail(self, expected: str) -> IRSyntaxError:
        found = self.tokens[self.place] if self.place < len(self.tokens) else "the end of the line"
        return IRSyntaxError(self.number, f"expected {expected}, found {found}")

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self, expected: str) -> str:
        if self.place >= len(self.tokens):
            raise self.fail(expected)
        self.place += 1
        return self.tokens[self.place - 1]

    def mark(self, mark: str) -> None:
        if self.peek() != mark:
            raise self.fail(f"`{mark}`")
        self.place += 1

    def word(self) -> str:
        if not re.fullmatch(r"[\w.\-]+", self.peek()):
            raise self.fail("a word")
        return self.take("a word")

    def text(self) -> str:
        if not self.peek().startswith('"'):
            raise self.fail("a string in quotes")
        return str(json.loads(self.take("a string")))

    def number_(self) -> int:
        if not re.fullmatch(r"-?\d+", self.peek()):
            raise self.fail("a whole number")
        return int(self.take("a number"))

    def listed(self, read: Callable[[], T]) -> tuple[T, ...]:
        self.mark("(")
        found: list[T] = []
        while self.peek() != ")":
            if found:
                self.mark(",")
            found.append(read())
        self.mark(")")
        return tuple(found)

    def register(self) -> Reg:
        self.mark("%")
        return Reg(self.number_())

    def value(self) -> Value:
        return self.register() if self.peek() == "%" else Imm(self.number_())

    def end(self) -> None:
        if self.place < len(self.tokens):
            raise self.fail("the end of the line")

    def type(self) -> Type:
        name = self.word()
        if name == "bool":
            return Bool()
        if name in ("enum", "function"):
            return Enum(self.text(), self.listed(self.text), name == "function")
        if name in ("ptr", "array", "percpu", "wrapping") and self.peek() == "[":
            return self._bracketed(name)
        found = _INT.fullmatch(name)
        return Int(int(found[2]), found[1] == "s") if found else StructRef(name)

    def _bracketed(self, name: str) -> Type:
        self.mark("[")
        inner = self.type()
        found: Type
        if name in ("array", "percpu"):
            self.mark(",")
            found = Array(inner, self.number_(), per_cpu=name == "percpu")
        elif name == "ptr" and isinstance(inner, StructRef | Array):
            found = Ptr(inner)
        elif name == "wrapping" and isinstance(inner, Int):
            found = Int(inner.bits, inner.signed, wraps=True)
        else:
            raise self.fail(f"a type {name} can be of")
        self.mark("]")
        return found


def parse_program(text: str) -> Program:
    """The program that `print_program` printed. Raises IRSyntaxError with the line that is wrong."""
    lines = [_tokens(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    work = _Parser(lines)
    try:
        return work.program()
    except (ValueError, KeyError) as problem:
        if isinstance(problem, IRSyntaxError):
            raise
        raise IRSyntaxError(work.line_number, str(problem)) from None


def _tokens(number: int, line: str) -> _Line:
    tokens, place = [], 0
    line = line.rstrip()
    while place < len(line):
        found = _TOKEN.match(line, place)
        if found is None:
            raise IRSyntaxError(number, f"cannot read {line[place:].strip()!r}")
        tokens.append(found[1])
        place = found.end()
    return _Line(number, tokens)


class _Parser(msgspec.Struct):
    lines: list[_Line]
    place: int = 0
    parts: dict[str, list[Any]] = msgspec.field(default_factory=dict)

    @property
    def line_number(self) -> int:
        return self.lines[min(self.place, len(self.lines)) - 1].number if self.lines else 1

    def next(self, expected: str) -> _Line:
        if self.place >= len(self.lines):
            raise IRSyntaxError(self.line_number, f"expected {expected}, found the end of the text")
        self.place += 1
        return self.lines[self.place - 1]

    def program(self) -> Program:
        line = self.next("`program`")
        line.mark("program")
        name, file = line.text(), line.text()
        line.end()
        while self.place < len(self.lines):
            line = self.next("a line")
            kind = line.word()
            reader = _READERS.get(kind)
            if reader is None:
                line.place -= 1
                raise line.fail(f"one of {', '.join(_READERS)}")
            self.parts.setdefault(kind, []).append(reader(self, line))
        get = self.parts.get
        return Program(
            name, file, {s.name: s for s in get("struct", [])}, {f.name: f for f in get("function", [])},
            tuple(get("object", [])), tuple(get("cell", [])), tuple(get("thread", [])), tuple(get("property", [])),
            tuple(get("statement", [])), tuple(get("origin", [])), self._only("tasks"), self._only("locks"),
            tuple(get("pool", [])), self._only("permanent") if get("pool") else 0,
        )  # fmt: skip

    def _only(self, kind: str) -> Any:
        found = self.parts.get(kind, [])
        if len(found) != 1:
            raise IRSyntaxError(self.line_number, f"expected one line `{kind}`, found {len(found)}")
        return found[0]

    def struct(self, line: _Line) -> Struct:
        name, size, kind = line.word(), line.number_(), line.text()
        line.end()
        fields = []
        while (line := self.next("a field or `end`")).tokens != ["end"]:
            fields.append(Field(line.word(), line.type(), line.number_()))
            line.end()
        return Struct(name, tuple(fields), size, kind)

    def function(self, line: _Line) -> Function:
        name, parameters = line.text(), line.number_()
        results = line.listed(line.type)
        marks = line.tokens[line.place :]
        registers: list[Register] = []
        blocks: list[list[Op]] = []
        while (line := self.next("a register, a block, an op or `end`")).tokens != ["end"]:
            if line.peek() == "register":
                line.place += 1
                registers.append(Register(line.text(), line.type(), line.word()))  # type: ignore[arg-type]
            elif line.peek() == "block":
                line.place += 1
                if line.number_() != len(blocks):
                    raise line.fail(f"block {len(blocks)}")
                blocks.append([])
            elif not blocks:
                raise line.fail("`block 0` before the first op")
            else:
                blocks[-1].append(_op(line))
            line.end()
        body = tuple(Block(tuple(block)) for block in blocks)
        return Function(name, parameters, tuple(registers), results, body, "observer" in marks, "primitive" in marks)  # type: ignore[arg-type]


def _op(line: _Line) -> Op:
    results: list[Reg] = []
    while line.peek() == "%":
        results.append(line.register())
        if line.peek() == ",":
            line.mark(",")
    if results:
        line.mark("=")
    name = line.word()
    if name not in FORMS:
        line.place -= 1
        raise line.fail("the name of an op")
    cls, named, given, operands = FORMS[name]
    values: dict[str, object] = {named: name} if named else {}
    if given and given[0] == "dsts":
        values["dsts"] = tuple(results)
    elif len(results) != len(given):
        raise line.fail(f"{len(given)} result(s) for `{name}`")
    else:
        values |= dict(zip(given, results, strict=True))
    for number, (part, kind) in enumerate(operands):
        if number:
            line.mark(",")
        values[part] = _operand(line, kind)
    if "reason" in values:
        values["reason"] = Reason(str(values["reason"]))
    line.mark("!")
    return cls(**values, at=line.number_())  # type: ignore[no-any-return]


def _operand(line: _Line, kind: int) -> object:
    if kind == VALUE:
        if line.peek() == "none":
            line.place += 1
            return None
        return line.value()
    if kind == DECIDES:
        word = line.word()
        found = [decision for decision, text in DECISIONS.items() if text == word]
        if not found:
            line.place -= 1
            raise line.fail("open, true or false")
        return found[0]
    if kind == TARGET:
        line.mark("@")
        return line.number_()
    readers = {VALUES: lambda: line.listed(line.value), TYPE: line.type, STRING: line.text, NUMBER: line.number_}
    return readers.get(kind, line.word)()


def _read(make: Callable[[_Line], T]) -> Callable[[_Parser, _Line], T]:
    def read(_: _Parser, line: _Line) -> T:
        found = make(line)
        line.end()
        return found

    return read


_READERS: dict[str, Callable[[_Parser, _Line], Any]] = {
    "struct": _Parser.struct,
    "function": _Parser.function,
    "cell": _read(lambda s: Cell(s.text(), s.type(), s.number_())),  # type: ignore[arg-type]
    "object": _read(lambda s: Object(s.text(), s.type(), s.number_())),
    "tasks": _read(lambda s: s.number_()),
    "locks": _read(lambda s: s.listed(s.number_)),
    "pool": _read(lambda s: Pool(s.text(), StructRef(s.word()), s.number_(), s.number_(), s.number_(), s.number_())),
    "permanent": _read(lambda s: s.number_()),
    "thread": _read(lambda s: Thread(s.number_(), s.text(), s.text(), s.listed(s.number_), s.number_(), s.word(), s.number_())),
    "property": _read(lambda s: Property(s.text(), s.text(), s.text(), s.number_())),
    "statement": _read(
        lambda s: Statement(
            s.text(), s.text(), s.number_(), s.text(), s.word(), s.number_(), s.listed(s.number_), s.listed(s.number_)
        )
    ),
    "origin": _read(
        lambda s: Origin(s.number_(), Span(s.number_(), s.number_(), s.number_(), s.number_()), s.number_())
    ),
}
