"""Which engine searches, and what is done when a guess of its fails.

Small schemes are done by the reference search before LLVM is loaded. What is larger is compiled and searched in machine
code (native.py), which gives races as steps (race.py). Leaves out what a search is (explore/) and why a reduction is
right (reduction/).
"""

from __future__ import annotations

from lockverse.engine.choose import Options as Options
from lockverse.engine.choose import search as search
from lockverse.engine.choose import threads as threads
from lockverse.engine.findings import search_all as search_all
