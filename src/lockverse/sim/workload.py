"""The workload language: text to operations, or diagnostics. One operation a line, `#` begins a comment.

`operations.py` has the forms that operations are written in; a word in capitals there stands for an argument, and `_ARGUMENTS` says
for each what may be written and which field it is. A line `cgroup v2` before the first operation says what the workload is for.
Everything that is wrong is collected, not only the first. Leaves out what depends on what ran before: which workers, regions,
files and groups there are is names.py's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lockverse.diagnostics.model import Diagnostic, Label, Place, Rejected
from lockverse.diagnostics.suggest import nearest

from .operations import OPERATIONS, Operation

MOST_PAGES: Final = 1 << 20  # 4 GiB: a workload is run page by page, and one that asks for more would seem to hang
MOST_SLOTS: Final = 1 << 16  # 4 TiB of address space
SLOT_PAGES: Final = 1 << 14  # a slot is 64 MiB
LARGEST: Final = (1 << 31) - 1  # what an int of the kernel holds
MOST_SHOWN: Final = 20  # diagnostics of one file: whoever has more has one cause
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_VERSIONS: Final = {"v1": 1, "v2": 2, "1": 1, "2": 2}


@dataclass(frozen=True, slots=True)
class Workload:
    """What a file says: its operations, what is wrong with it, and the cgroup version it asks for (None: it does not say)."""

    operations: tuple[Operation, ...]
    diagnostics: tuple[Diagnostic, ...] = ()
    cgroup_version: int | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a line and where it stands."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write an operation, cut into what must be there and what may be."""

    required: tuple[str, ...]
    optional: tuple[str, ...]


def parse(text: str, path: str) -> Workload:
    """The operations of a workload file."""
    operations: list[Operation] = []
    wrong: list[Diagnostic] = []
    version: int | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        words = words_of(line, path, number)
        try:
            if words and words[0].text == "cgroup":
                version = _version(words, known=version, late=bool(operations))
            elif words:
                operations.append(_operation(words))
        except Rejected as problem:
            wrong += problem.diagnostics
    if not operations and not wrong:
        wrong.append(Diagnostic("K401", "no operation in this file", Label(Place(path, 0, 0, 0, 0)), help="write one a line, such as `mkcg A`"))
    return Workload(tuple(operations), tuple(wrong[:MOST_SHOWN]), version)


def parse_line(line: str, path: str, number: int) -> Operation | None:
    """The operation of one line, None if there is none in it. Raises Rejected."""
    words = words_of(line, path, number)
    if words and words[0].text == "cgroup":
        raise _rejected("K405", "the version of cgroups is chosen before anything runs", words[0], "", "start with `--cgroup 1` or `--cgroup 2`")
    return _operation(words) if words else None


def words_of(line: str, path: str, number: int) -> list[Word]:
    """The words of a line up to its comment. Places count the bytes of UTF-8, as those of schemes do."""
    found = []
    for match in re.finditer(r"\S+", line.partition("#")[0]):
        start, end = (len(line[:one].encode()) + 1 for one in match.span())
        found.append(Word(match.group(), Place(path, number, start, number, end)))
    return found


def usage(operation: type[Operation]) -> list[str]:
    """How an operation is written, a line a form."""
    return [f"{operation.name} {form}".rstrip() for form in operation.forms]


def _version(words: Sequence[Word], *, known: int | None, late: bool) -> int:
    if len(words) != 2 or words[1].text not in _VERSIONS:
        raise _rejected("K405", "cgroups are version 1 or 2", words[-1], "", "write `cgroup v1` or `cgroup v2`")
    if late or known is not None:
        what = "after the first operation" if late else "said already"
        raise _rejected("K405", "a workload runs on one version of cgroups", words[0], what, "say it once, at the top of the file")
    return _VERSIONS[words[1].text]


def _operation(words: Sequence[Word]) -> Operation:
    first = words[0]
    kind = OPERATIONS.get(first.text)
    if kind is None:
        close = nearest(first.text, OPERATIONS)
        help_ = f"did you mean `{close}`?" if close else f"the operations are {', '.join(OPERATIONS)}"
        raise _rejected("K401", f"there is no operation `{first.text}`", first, "nothing has this name", help_)
    form = _form(kind, words)
    tokens = form.required + (form.optional if len(words) - 1 > len(form.required) else ())
    fields: dict[str, Any] = {}  # the types are those of the fields: `_ARGUMENTS` makes them
    places = {"": first.place}
    wrong: list[Diagnostic] = []
    for token, word in zip(tokens, words[1:], strict=True):
        try:
            given = _argument(token, word)
            fields |= given
            places |= dict.fromkeys(given, word.place)
        except Rejected as problem:
            wrong += problem.diagnostics
    if wrong:
        raise Rejected(tuple(wrong))
    place = first.place
    text = " ".join(word.text for word in words)
    return kind(**fields, line=place.line, column=place.column, text=text, places=places)


def form_of(text: str) -> Form:
    """A form as it is written in operations.py, cut up."""
    required, _, optional = text.partition("[")
    return Form(tuple(required.split()), tuple(optional.rstrip("]").split()))


def _form(kind: type[Operation], words: Sequence[Word]) -> Form:
    """The form that the words are meant to be. Raises Rejected if their number fits none."""
    forms = [form_of(text) for text in kind.forms]
    form = forms[0]
    given = len(words) - 1
    if len(forms) > 1 and given > 2:  # `map`: the third word says which
        by_word = {one.required[2]: one for one in forms}
        if words[3].text not in by_word:
            close = nearest(words[3].text, by_word)
            help_ = f"did you mean `{close}`?" if close else f"a mapping is {', '.join(by_word)}"
            raise _rejected("K402", f"`{kind.name}` cannot map `{words[3].text}`", words[3], "what is mapped", help_)
        form = by_word[words[3].text]
    most = len(form.required) + len(form.optional)
    if given not in (len(form.required), most):
        takes = f"{len(form.required)}" + (f" or {most}" if form.optional else "")
        at, label = (words[most + 1], "one too many") if given > most else (words[-1], "something is missing after this")
        how = f"`{kind.name}` takes {takes} argument{'' if takes == '1' else 's'}, this gives {given}" if most else f"`{kind.name}` takes no arguments"
        chosen = usage(kind) if len(forms) > 1 and given < 3 else [usage(kind)[forms.index(form)]]
        raise _rejected("K402", how, at, label, f"write `{'` or `'.join(chosen)}`")
    return form


def _argument(token: str, word: Word) -> Mapping[str, object]:
    """The fields that a word gives where a form has `token`."""
    if token in _ARGUMENTS:
        field, read = _ARGUMENTS[token]
        return {field: read(word)}
    if token == "@SLOT+PAGE":
        return _at(word)
    if token == "ramfs":
        _choice("ramfs")(word)
        return {"ramfs": True}
    assert token in ("anon", "shanon", "file"), token
    return {"kind": token}


def _at(word: Word) -> Mapping[str, object]:
    match = re.fullmatch(r"@([0-9]{1,9})(?:\+([0-9]{1,9}))?", word.text)
    if match is None:
        raise _rejected("K403", f"`{word.text}` is no place for a region", word, "", "write `@SLOT+PAGE`, such as `@40+64`")
    slot, page = int(match[1]), int(match[2] or 0)
    if slot >= MOST_SLOTS or page >= SLOT_PAGES:
        raise _rejected("K403", f"`{word.text}` is out of range", word, "", f"a slot is 0..{MOST_SLOTS - 1}, a page in it 0..{SLOT_PAGES - 1}")
    return {"slot": slot, "page": page}


def _number(what: str, low: int, high: int) -> Callable[[Word], int]:
    def read(word: Word) -> int:
        if re.fullmatch(r"-?[0-9]+", word.text) is None:
            raise _rejected("K403", f"`{word.text}` is not a number", word, what, f"write one from {low} to {high}")
        if len(word.text) > len(str(high)) + 1 or not low <= int(word.text) <= high:
            raise _rejected("K403", f"{word.text[:30]} is out of range", word, what, f"write a number from {low} to {high}")
        return int(word.text)

    return read


def _choice(*known: str) -> Callable[[Word], str]:
    def read(word: Word) -> str:
        if word.text not in known:
            raise _rejected("K402", f"`{word.text}` cannot stand here", word, "", f"write {' or '.join(f'`{one}`' for one in known)}")
        return word.text

    return read


def _name(what: str) -> Callable[[Word], str]:
    def read(word: Word) -> str:
        if _NAME.fullmatch(word.text) is None:
            raise _rejected("K404", f"`{word.text}` is no name of a {what}", word, "", "names are of letters, digits, `_`, `-` and `.`")
        return word.text

    return read


def _group(word: Word) -> str:
    if word.text != "." and not all(_NAME.fullmatch(one) for one in word.text.split("/")):
        raise _rejected("K404", f"`{word.text}` is no name of a group", word, "", "write `A`, `A/B` for B inside A, or `.` for the top")
    return word.text


def _text(word: Word) -> str:
    return word.text


_PAGES: Final = _number("a number of pages", 0, MOST_PAGES)
_ARGUMENTS: Final[dict[str, tuple[str, Callable[[Word], object]]]] = {
    "CG": ("group", _group),
    "W": ("worker", _name("worker")),
    "NEW": ("new", _name("worker")),
    "R": ("region", _name("region")),
    "F": ("file", _name("file")),
    "OFF": ("offset", _number("a page, counted from 0", 0, MOST_PAGES)),
    "N": ("pages", _number("a number of pages", 1, MOST_PAGES)),
    "PAGES": ("pages", _PAGES),
    "PAGES|-1": ("pages", _number("a number of pages, -1 for no limit", -1, MOST_PAGES)),
    "NUMBER": ("number", _number("a number", 0, LARGEST)),
    "SLOT": ("slot", _number("a slot of 64 MiB", 0, MOST_SLOTS - 1)),
    "PATH": ("path", _text),
    "VALUE": ("value", _text),
    "r|w": ("access", _choice("r", "w")),
    "none|r|rw": ("protection", _choice("none", "r", "rw")),
    "shared|private": ("sharing", _choice("shared", "private")),
}


def _rejected(code: str, headline: str, word: Word, label: str, help_: str) -> Rejected:
    return Rejected((Diagnostic(code, headline, Label(word.place, label), help=help_),))
