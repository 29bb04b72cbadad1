"""Checks at a time: the same as one after another, in the same order; what goes wrong in one, and Ctrl-C. Leaves out speed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from lockverse.cli.several import in_order

from ..support import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork: checks go one after another")
CLASSICS = str(ROOT / "schemes/classics")
AT_ONCE = """
import sys
from lockverse.cli import check
check.SOON = -1.0  # from the first check on
from lockverse.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def _results(*options: str) -> list[dict[str, object]]:
    command = [sys.executable, "-c", AT_ONCE, "check", CLASSICS, "--json", "--no-trace", *options]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=300, check=False).stdout)["results"]
    return [{key: value for key, value in one.items() if key not in ("seconds", "engine")} for one in found]


def test_a_folder_is_checked_alike_with_one_process_and_with_three() -> None:
    one_by_one = _results("--jobs", "1")
    assert len(one_by_one) > 6 and {one["verdict"] for one in one_by_one} == {"holds", "broken"}
    assert _results("--jobs", "3") == one_by_one


def test_results_come_in_order_whoever_is_done_first() -> None:
    def check(number: int) -> tuple[int, int]:
        time.sleep(0.2 if number == 0 else 0.0)
        return number, os.getpid()

    told: list[int] = []
    found = list(in_order([partial(check, number) for number in range(9)], 3, told.append))
    assert [number for number, _ in found] == list(range(9))
    assert len({process for _, process in found}) == 3 and os.getpid() not in {process for _, process in found}
    assert told == sorted(told) and max(told) < 9


def test_what_a_check_raises_is_raised_here() -> None:
    here = os.getpid()

    def check() -> int:
        raise ValueError("here" if os.getpid() == here else "there")

    found = in_order([lambda: 1, check, lambda: 3], 2, lambda _: None)
    assert next(found) == 1
    with pytest.raises(ValueError, match="here"):
        next(found)


def test_a_process_that_is_killed_is_told_of() -> None:
    checks: list[Callable[[], None]] = [lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: time.sleep(60)]
    with pytest.raises(RuntimeError, match="ended with code -9"):
        list(in_order(checks, 2, lambda _: None))


@pytest.mark.parametrize("whole_group", [False, True], ids=["one process", "a terminal's"])
def test_ctrl_c_ends_all_that_run_and_begins_nothing_more(tmp_path: Path, whole_group: bool) -> None:
    text = (ROOT / "bench/models/m2_filter.py").read_text()
    for name in "abc":
        (tmp_path / f"{name}.py").write_text(text)
    command = [sys.executable, "-c", AT_ONCE, "check", str(tmp_path), "--param", "n=6", "--json", "--jobs", "2", "--no-trace"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        time.sleep(5)  # long enough for both to have begun; if not, what has not begun is not told of
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    results = json.loads(out)["results"]
    assert process.returncode == 3 and len(results) <= 2
    assert all(one["bound"] == "interrupted" and one["verdict"] == "unknown" for one in results)
