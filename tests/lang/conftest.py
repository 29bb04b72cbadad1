"""Each test of the vocabulary under plain Python has a boot task of its own: a call that breaks a rule leaves its counts behind."""

from __future__ import annotations

import sys

import pytest

import lockverse.lang  # noqa: F401 - which has a function of the module's name

task = sys.modules["lockverse.lang.task"]


@pytest.fixture(autouse=True)
def _boot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "_running", task._Running())
