"""docs/the-mail.md is true to the runs: each line's command gives the verdict it says, for the reason it says.

Leaves out lines of `--all` unless the run is long: there all choices are run.
"""

from __future__ import annotations

import re
import shlex

import pytest

from lockverse.session import tasks

from ..support import ROOT, run
from .test_schemes import _verdict

TEXT = (ROOT / "docs" / "the-mail.md").read_text()
LINES = re.findall(r"^- `lockverse (check [^`]+)`: (HOLDS|BROKEN)(?:, (.*))?$", TEXT, re.M)
PROVIDED = re.findall(r"^- `lockverse (check [^`]+ --all)`: (holds provided that .*)$", TEXT, re.M)


def test_every_line_is_one() -> None:
    assert len(LINES) > 40 and len(PROVIDED) > 10
    assert len(LINES) + len(PROVIDED) == len(re.findall(r"^- ", TEXT, re.M))


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


@pytest.mark.parametrize(("command", "verdict", "message"), LINES)
def test_commands(command: str, verdict: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    first = run(*shlex.split(command), "--no-trace").out.splitlines()[0]
    assert verdict in first
    assert first.endswith(message or "HOLDS")


@pytest.mark.long
@pytest.mark.parametrize(("command", "provided"), PROVIDED)
def test_conditions(command: str, provided: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    said = run(*shlex.split(command), "--no-trace").out
    assert " ".join(line.strip() for line in said.splitlines()).replace(", or ", "; or ").count(provided) == 1
