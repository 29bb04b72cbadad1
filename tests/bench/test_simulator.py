"""The simulator's bench runs, and a page costs microseconds: less than a millisecond for all that is done to it, however slow the machine.

Leaves out what it costs exactly: the bench says that.
"""

from __future__ import annotations

import pytest
from bench.simulator import CASES, Case, main, seconds

PAGES = 500


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_page_costs_microseconds(case: Case) -> None:
    assert min(seconds(case, PAGES) for _ in range(2)) / PAGES < 0.001


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--pages", "20", "--repeat", "1"]) == 0
    assert capsys.readouterr().out.startswith("| 20 pages | seconds | microseconds a page |\n")
    with pytest.raises(SystemExit):
        main(["--pages", "0"])
