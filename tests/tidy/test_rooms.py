"""Who imports whom: the table in ARCHITECTURE.md, held to the imports there are."""

from __future__ import annotations

import ast
import re

from ..support import ROOT

SOURCE = ROOT / "src" / "lockverse"


def _allowed() -> dict[str, set[str]]:
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", (ROOT / "ARCHITECTURE.md").read_text(), re.M)
    allowed = {room: set(re.findall(r"`(\w+)`", may)) for room, may in rows}
    everything = set(allowed)
    allowed["session"] = everything - {"cli", "session"}
    allowed["cli"] = everything - {"cli"}
    return allowed


def _imports() -> dict[str, set[str]]:
    """For each room, the rooms its files import."""
    found: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        room = parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module] if node.module != "lockverse" else [f"lockverse.{a.name}" for a in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1, f"{path}: relative imports stay inside the room"
            found.setdefault(room, set()).update(n.split(".")[1] for n in names if n.startswith("lockverse."))
    return found


def test_rooms_import_along_the_arrows() -> None:
    allowed, found = _allowed(), _imports()
    rooms = {room for room in found if room not in ("__init__", "__main__")}
    assert rooms == set(allowed), "ARCHITECTURE.md lists every room and no other"
    for room in sorted(rooms):
        extra = found[room] - allowed[room] - {room, "__version__"}
        assert not extra, f"{room} may not import {', '.join(sorted(extra))}: see ARCHITECTURE.md"


def test_every_arrow_is_used() -> None:
    found = _imports()
    for room, may in _allowed().items():
        if room not in ("session", "cli"):
            assert may <= found[room], f"{room} is allowed {may - found[room]} and does not need it"


def test_words_have_rooms() -> None:
    """The kernel's subject stays in schemes."""
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text().lower()
        if path.relative_to(SOURCE).parts[0] in ("explore", "check", "passes"):
            assert "memcg" not in text and "folio" not in text, path


def test_only_the_command_prints() -> None:
    for path in sorted(SOURCE.rglob("*.py")):
        if path.relative_to(SOURCE).parts[0] != "cli":
            for node in ast.walk(ast.parse(path.read_text())):
                printing = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
                assert not printing, f"{path}: only cli/ prints"
