"""What holds for all tests: a test under plain Python leaves behind what it found. Leaves out the tools of tests: support.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lockverse.lang.task import _running


@pytest.fixture(autouse=True)
def as_many_cpus_as_before() -> Iterator[None]:
    """Under plain Python there are as many CPUs as tasks have run on: those of a test are its own."""
    before = _running.cpus
    yield
    _running.cpus = before
