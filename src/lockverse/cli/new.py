"""`lockverse new`: a small scheme to start from, complete and broken, so that the first check shows a race.

Leaves out overwriting anything.
"""

from __future__ import annotations

import argparse
import keyword
from pathlib import Path

from lockverse.diagnostics.model import UsageError

from .output import Exit, say

_TEMPLATE = '''"""Two CPUs count the same event. Check it with `lockverse check NAME.py`: one of the two can be lost."""
from lockverse import *


@struct
class counter:
    n: u32
    lock: spinlock_t


def count(c):
    c.n += 1  # a load and a store: two steps. Try it inside `with c.lock:`


@scheme
def NAME():
    c = counter(n=0)

    cpu(count, c)
    cpu(count, c)

    at_rest(lambda: c.n == 2, "both events are counted")
'''


def run(options: argparse.Namespace) -> int:
    """Run the command; gives the exit code."""
    name: str = options.name.removesuffix(".py")
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"{options.name}: a scheme's name is a Python name, such as my_scheme")
    path = Path(f"{name}.py")
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(_TEMPLATE.replace("NAME", name))
    except FileExistsError:
        raise UsageError(f"{path} is there already; it was left as it is") from None
    except OSError as problem:
        raise UsageError(f"{path} cannot be written: {problem.strerror}") from None
    say(f"wrote {path}; now: lockverse check {path}")
    return Exit.HOLDS
