"""Sizes of files and functions, and a word from each file on what it is. The limits are those of the house: a function
of more than 70 lines or a file of more than 600 is two."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

from ..support import ROOT

LONGEST_FUNCTION, LONGEST_FILE = 70, 600
FILES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")])


def _functions(path: Path) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            found.append((node.name, node.end_lineno - node.lineno + 1))
    return found


def test_functions_and_files_are_small() -> None:
    for path in FILES:
        assert len(path.read_text().splitlines()) <= LONGEST_FILE, path
        for name, lines in _functions(path):
            assert lines <= LONGEST_FUNCTION, f"{path}: {name} has {lines} lines"


def test_the_median_is_a_few_lines() -> None:
    sizes = [lines for path in (ROOT / "src").rglob("*.py") for _, lines in _functions(path)]
    assert statistics.median(sizes) <= 10


def test_files_say_what_they_are() -> None:
    for path in FILES:
        if path.read_text().strip() and path.name != "__init__.py":
            doc = ast.get_docstring(ast.parse(path.read_text()))
            assert doc, f"{path} has no docstring"
            if "src" in path.parts:
                assert len(doc.splitlines()) >= 2 or len(doc) > 60, f"{path}: say what it is and what it leaves out"


def test_public_things_have_docstrings() -> None:
    for path in sorted((ROOT / "src").rglob("*.py")):
        tree = ast.parse(path.read_text())
        for node in tree.body:
            overload = any(ast.unparse(one) == "overload" for one in getattr(node, "decorator_list", []))
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_") and not overload:
                assert ast.get_docstring(node), f"{path}: {node.name}"
                for inner in node.body if isinstance(node, ast.ClassDef) else []:
                    if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                        assert ast.get_docstring(inner), f"{path}: {node.name}.{inner.name}"


def test_no_paths_of_a_machine() -> None:
    """Nothing in the repository speaks of where it was written."""
    for path in [*FILES, *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "schemes").rglob("*.*")]:
        text = "" if "__pycache__" in path.parts else path.read_text()
        for word in ("/" + "work/", "/" + "root/", "/" + "home/"):
            assert word not in text, f"{path}: {word}"
