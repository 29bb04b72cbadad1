"""Loading a scheme file: it is Python, and runs as Python; what it raises is shown with the user's own frames only.

Leaves out what is in it: scheme.py.
"""

from __future__ import annotations

import importlib.util
import linecache
import sys
import sysconfig
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TypeVar

from lockverse.diagnostics.model import Diagnostic, Label, Place, Rejected

T = TypeVar("T")
_BESIDE = "__lockverse_beside__"  # marks a module that a scheme file imported from its own folder
_OURS = Path(__file__).resolve().parent.parent
_LIBRARIES = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}


def load(path: Path, shown: str) -> ModuleType:
    """The module of a scheme file, run anew. `shown` is the path as the user wrote it.

    Raises Rejected if the file cannot be read (K002), is not Python (K001) or raises (K006).
    """
    text = _read(path, shown)
    try:
        code = compile(text, str(path), "exec", dont_inherit=True)
    except (RecursionError, MemoryError):
        raise Rejected((Diagnostic("K001", "the file is nested too deeply for Python", Label(Place(shown, 0, 0, 0, 0))),)) from None
    except (SyntaxError, ValueError) as problem:
        raise Rejected((_syntax(problem, shown, text),)) from None
    linecache.checkcache(str(path))
    name = f"scheme_{path.stem}_{zlib.crc32(str(path).encode()):08x}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    with _importing_beside(path):
        guarded(lambda: exec(code, module.__dict__), shown, path)  # noqa: S102 - running the user's file is the point
    return module


def _read(path: Path, shown: str) -> str:
    try:
        return importlib.util.decode_source(path.read_bytes())
    except (OSError, UnicodeError, SyntaxError, LookupError) as problem:
        why = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        raise Rejected((Diagnostic("K002", f"{shown} cannot be read: {why}", Label(Place(shown, 0, 0, 0, 0))),)) from None


def _syntax(problem: SyntaxError | ValueError, shown: str, text: str) -> Diagnostic:
    if not isinstance(problem, SyntaxError):
        return Diagnostic("K001", f"the file is not Python: {problem}", Label(Place(shown, 1, 1, 1, 1)))
    lines = text.splitlines() or [""]
    line, column = max(problem.lineno or 1, 1), max(problem.offset or 1, 1)
    end_line, end_column = problem.end_lineno or line, problem.end_offset or column + 1
    # A SyntaxError counts characters, everything else here the bytes of the line.
    column, end_column = (_bytes(lines, at, count) for at, count in ((line, column), (end_line, end_column)))
    if (end_line, end_column) <= (line, column):
        end_line, end_column = line, column + 1
    return Diagnostic("K001", f"the file is not Python: {problem.msg}", Label(Place(shown, line, column, end_line, end_column), "here"))


def _bytes(lines: list[str], line: int, column: int) -> int:
    text = lines[min(line, len(lines)) - 1]
    return len(text[: column - 1].encode()) + 1 if column <= len(text) else len(text.encode()) + column - len(text)


@contextmanager
def _importing_beside(path: Path) -> Iterator[None]:
    """A scheme file may import its neighbours; those of another folder's files do not count as its own."""
    folder = str(path.resolve().parent)
    for name, module in list(sys.modules.items()):
        if getattr(module, _BESIDE, folder) != folder:
            del sys.modules[name]
    known = set(sys.modules)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        for name in set(sys.modules) - known:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(folder):
                setattr(sys.modules[name], _BESIDE, folder)


def guarded(action: Callable[[], T], shown: str, path: Path) -> T:
    """Run the user's code; what it raises becomes K006 with the user's frames, the last one marked."""
    try:
        return action()
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # a scheme file may raise anything, SystemExit included
        raise Rejected((_raised(problem, shown, path),)) from None


def _raised(problem: BaseException, shown: str, path: Path) -> Diagnostic:
    names = {str(path): shown}
    frames = [frame for frame in _frames(problem.__traceback__) if _is_users(frame)]
    text = "".join(traceback.format_exception_only(problem)).strip().removeprefix("lockverse.lang.errors.")
    if not frames:
        return Diagnostic("K006", text.splitlines()[0], Label(Place(shown, 0, 0, 0, 0)))
    last = frames[-1]
    place = _place(last, names)
    calls = tuple(f"called from {names.get(f.filename, f.filename)}:{f.lineno} in {f.name}: {f.line}" for f in frames[-2::-1])
    return Diagnostic("K006", text.splitlines()[0], Label(place, f"raised here, in {last.name}"), notes=calls)


def _place(frame: traceback.FrameSummary, names: dict[str, str]) -> Place:
    line, column = frame.lineno or 1, (frame.colno or 0) + 1
    end_line = frame.end_lineno or line
    return Place(names.get(frame.filename, frame.filename), line, column, end_line, (frame.end_colno or column) + 1)


def _frames(tb: TracebackType | None) -> list[traceback.FrameSummary]:
    return list(traceback.extract_tb(tb))


def _is_users(frame: traceback.FrameSummary) -> bool:
    if frame.filename.startswith("<"):
        return False
    return not Path(frame.filename).resolve().is_relative_to(_OURS) and not any(
        Path(frame.filename).resolve().is_relative_to(folder) for folder in _LIBRARIES
    )
