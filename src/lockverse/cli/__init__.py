"""The command `lockverse`: arguments in, printing out, exit codes. Nobody imports this room.

Exit codes: 0 holds, 1 broken, 2 a request that makes no sense, 3 unknown (a bound was hit), 4 a scheme that does not
compile or a workload that cannot be run, 70 a fault of lockverse itself (EX_SOFTWARE of sysexits.h). Of several schemes, the gravest counts.

Leaves out what the commands do: each is a file here, and session.py does the work.
"""

from __future__ import annotations

from lockverse.cli.main import main as main
