"""docs/the-mail.md is true to the runs: each line's command gives the verdict it says, for the reason it says.

Here the lines are held to what is expected of the schemes, which other tests run; in the long run the commands themselves are run.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from lockverse.session import tasks

from ..support import ROOT, run
from .test_schemes import _verdict

LINES = re.findall(r"^- `lockverse (check [^`]+)`: (HOLDS|BROKEN)(?:, (.*))?$", (ROOT / "docs" / "the-mail.md").read_text(), re.M)


def test_every_line_is_one() -> None:
    assert len(LINES) == len(re.findall(r"^- ", (ROOT / "docs" / "the-mail.md").read_text(), re.M)) > 40


@pytest.mark.parametrize(("command", "verdict", "message"), LINES)
def test_lines_say_what_is_expected(command: str, verdict: str, message: str) -> None:
    from lockverse.session import files_of, open_file

    words = shlex.split(command)
    given = dict(word.split("=", 1) for word in words[2:] if "=" in word)
    (path,), scheme = files_of(str(ROOT / words[1]))
    (task,) = tasks(open_file(path), scheme, given, every=False)
    if "lockverse.linux" in path.read_text():
        assert _verdict(task) == verdict.lower()
    assert bool(message) == (verdict == "BROKEN")


@pytest.mark.long
@pytest.mark.parametrize(("command", "verdict", "message"), LINES)
def test_commands(command: str, verdict: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    first = run(*shlex.split(command), "--no-trace").out.splitlines()[0]
    assert verdict in first
    assert first.endswith(message or "HOLDS")
