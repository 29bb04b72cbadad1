"""lockverse runs a locking scheme through every interleaving. A scheme file begins with `from lockverse import *`.

Only the vocabulary is imported here; the checker is `lockverse.session`, and the command is `lockverse`.
"""

from __future__ import annotations

from lockverse.lang import *  # noqa: F403
from lockverse.lang import __all__ as __all__

__version__ = "0.1.0"
