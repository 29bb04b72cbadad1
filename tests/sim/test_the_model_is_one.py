"""The simulator and the checker run the same functions: a line broken in linux/mm/rmap.py breaks a scheme and a workload.

A copy of the package is changed, so that both commands load it from its file, as users do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..support import ROOT

SCHEME = str(ROOT / "schemes" / "ladder" / "ladder.py") + "::rung_g"
WORKLOAD = "mkcg A\nspawn w A\nfile f 4\nmap w r file f 0 4 shared\ntouch w r 0 4 w\nunmap w r\ncheck\n"


def _run(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(package)}
    return subprocess.run([sys.executable, "-m", "lockverse", *arguments], env=environment, capture_output=True, text=True, check=False, cwd=package)


@pytest.mark.parametrize("broken", [False, True])
def test_the_model_is_one(tmp_path: Path, broken: bool) -> None:
    shutil.copytree(ROOT / "src" / "lockverse", tmp_path / "lockverse", ignore=shutil.ignore_patterns("__pycache__"))
    rmap = tmp_path / "lockverse" / "linux" / "mm" / "rmap.py"
    head, found, tail = rmap.read_text().partition("def page_remove_rmap(page):")
    line = "        __mod_lruvec_page_state(page, idx, -1)\n"
    assert found and line in tail
    if broken:  # the last unmapper does not take the page out of its group's counter
        rmap.write_text(head + found + tail.replace(line, line.replace("-1", "0"), 1))
    (tmp_path / "w.txt").write_text(WORKLOAD)
    scheme, workload = _run(tmp_path, "check", SCHEME, "--no-trace"), _run(tmp_path, "run", "w.txt", "--nonzero")
    assert scheme.returncode == (1 if broken else 0), scheme.stdout + scheme.stderr
    assert workload.returncode == 0, workload.stderr
    assert ("mapped_file 16384" in workload.stdout) == broken
    assert _run(tmp_path, "run", "--random", "1").returncode == (1 if broken else 0)
