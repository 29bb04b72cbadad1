"""`python -m lockverse`: the command, where its script is not on the path.

Leaves out everything: cli/main.py has it.
"""

from __future__ import annotations

import sys

from lockverse.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
