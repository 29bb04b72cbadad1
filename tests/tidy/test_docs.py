"""The documentation runs: every Python block is a scheme file or compiles, every console block prints what it shows.

A ```python block is written to my.py, or to the file that a comment `<!-- file: name.py -->` above it names; the
```console blocks after it run there. A ```workload block is a file of operations, my.txt if no comment names it. Seconds are not compared. ```sh blocks are for the reader's shell: README's are
run by .ci/run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lockverse.diagnostics.codes import CODES

from ..support import ROOT, run

DOCS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "tests" / "README.md"]
BLOCK = re.compile(r"(?:<!-- file: (\S+) -->\n)?```(\w+)\n(.*?)^```$", re.M | re.S)


def _timeless(text: str) -> str:
    return re.sub(r"\d+\.\d s\b", "0.0 s", text).strip()


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_blocks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("schemes", "workloads"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for file, language, text in BLOCK.findall(path.read_text()):
        if language == "python":
            Path(file or "my.py").write_text(text)
            if "klingon" not in text and "def run(c)\n" not in text:  # two that show what is not Python
                compile(text, "block", "exec")
        elif language == "workload":
            Path(file or "my.txt").write_text(text)
        elif language == "console":
            for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
                command, _, expected = part.partition("\n")
                program, *arguments = command.split()
                assert program == "lockverse", command
                assert _timeless(run(*arguments).timeless) == _timeless(expected), f"{path.name}: {command}"
        else:
            assert language in ("sh", "text", "toml"), f"{path.name}: nobody runs a block of {language}"


def test_every_fence_is_a_known_block() -> None:
    for path in DOCS:
        text = path.read_text()
        assert text.count("```") == 2 * len(BLOCK.findall(text)), path.name


def test_shell_blocks_are_shell() -> None:
    for path in DOCS:
        for _, language, text in BLOCK.findall(path.read_text()):
            if language == "sh":
                assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0, text


def test_readme_has_two_commands() -> None:
    blocks = [text for _, language, text in BLOCK.findall((ROOT / "README.md").read_text()) if language == "sh"]
    assert len(blocks) == 2
    assert "lockverse check schemes/mail/rung_a.py" in blocks[0] and "pytest" in blocks[1]


def test_a_section_a_code() -> None:
    sections = dict(re.findall(r"^## (K\d+): (.*)$", (ROOT / "docs" / "errors.md").read_text(), re.M))
    assert sections == CODES


def test_every_code_is_used() -> None:
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py") if path.name != "codes.py")
    unused = [code for code in CODES if f'"{code}"' not in source and f"[{code}]" not in source]
    assert not unused
    assert set(re.findall(r'"(K\d{3})"', source)) <= set(CODES)


def test_links_lead_somewhere() -> None:
    for path in DOCS:
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
            if not target.startswith("http"):
                assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_reasons_are_documented() -> None:
    from lockverse.ir.reason import Reason

    text = (ROOT / "docs" / "language.md").read_text()
    for reason in Reason:
        word = reason.value.replace("-", "_") if reason in (Reason.ALWAYS, Reason.AT_REST, Reason.SOMETIMES) else reason.value
        assert f"`{word}" in text, reason


def test_vocabulary_is_documented() -> None:
    """Every name that a scheme imports is in docs/language.md; the atomics' families are there by their stems."""
    from lockverse.lang import __all__ as names

    text = (ROOT / "docs" / "language.md").read_text()
    for name in names:
        stem = re.sub(r"^atomic(64|_long)?_", "", name)
        stem = re.sub(r"_(relaxed|acquire|release)$", "", stem) if name.startswith(("atomic", "xchg", "cmpxchg", "try_")) else stem
        stem = stem.removeprefix("fetch_") if stem != "fetch_add_unless" else stem
        known = re.search(rf"`[^`\n]*\b({re.escape(stem)}|{re.escape(name)})\b[^`\n]*`", text)
        assert known, name
