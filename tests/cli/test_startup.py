"""What a command loads: itself, and no other command. A cold check is mostly loading."""

from __future__ import annotations

import subprocess
import sys

from ..support import ROOT

SCRIPT = """
import sys
from lockverse.cli.main import main
main(["check", "schemes/classics/lost_update.py", "--no-trace"])
print(sorted(name for name in sys.modules if name.startswith("lockverse.cli.")), file=sys.stderr)
print([name for name in ("difflib", "lockverse.ir.parser", "lockverse.ir.printer") if name in sys.modules], file=sys.stderr)
"""


def test_only_the_command_that_runs() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stderr.splitlines() == ["['lockverse.cli.check', 'lockverse.cli.main', 'lockverse.cli.output', 'lockverse.cli.races']", "[]"]

RUN = """
import sys
from lockverse.cli.main import main
main(["run", "workloads/fork.txt"])
print(sorted({name.split(".")[1] for name in sys.modules if name.startswith("lockverse.")}), file=sys.stderr)
print([name for name in ("difflib", "llvmlite", "readline", "lockverse.cli.terminal", "lockverse.sim.generate") if name in sys.modules], file=sys.stderr)
"""


def test_a_workload_needs_no_checker() -> None:
    ran = subprocess.run([sys.executable, "-c", RUN], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stderr.splitlines() == ["['cli', 'diagnostics', 'lang', 'linux', 'sim']", "[]"]
