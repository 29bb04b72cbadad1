"""Source files: pieces of text by the syntax tree, held to Python's own; functions by their code objects."""

from __future__ import annotations

import ast

import pytest

from lockverse.frontend.source import SourceFile

from ..support import SCHEMES

ODD = "x = '\u00fcn\u00ef'; y = ('\u00e9',\n   '\u00f6\x0c', 3) + z\n\x0cw = (2,\n\x0c 3)\nv = 'a' \\\n  'b'"


@pytest.mark.parametrize("text", [ODD, *(path.read_text() for path in SCHEMES)], ids=lambda text: text[:12])
def test_snippets_are_those_of_python(text: str) -> None:
    source = SourceFile("f.py", text, ast.parse(text))
    for node in ast.walk(source.tree):
        if hasattr(node, "lineno"):
            expected = ast.get_source_segment(text, node)
            assert expected is not None
            assert source.snippet(node) == " ".join(expected.split())


def test_a_node_without_a_place() -> None:
    assert SourceFile("f.py", "", ast.parse("")).snippet(ast.Name("x")) == "x"


def test_decorators_count() -> None:
    text = "@d\ndef f():\n    pass\n\n\ndef g(): return lambda: 1\n"
    source = SourceFile("f.py", text, ast.parse(text))
    assert {line: node.name for line, node in source.functions.items()} == {1: "f", 6: "g"}
    assert [node.lineno for node in source.lambdas] == [6]
