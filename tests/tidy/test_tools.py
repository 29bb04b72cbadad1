"""mypy --strict and ruff find nothing. Leaves out their settings: pyproject.toml has them."""

from __future__ import annotations

import subprocess
import sys

from ..support import ROOT


def test_mypy() -> None:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir", "/dev/null"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_ruff() -> None:
    ran = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
