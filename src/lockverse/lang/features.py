"""What of the vocabulary's inner state a scheme needs: what it does not use costs it no state and no step.

`feature(name)` in an `if` of the vocabulary is decided while a scheme is compiled; `needs_feature(name)` asks for one, and the
scheme is then compiled again with it. The features are

- `preempt_count`: tasks count what keeps them from sleeping. Asked for by all that can sleep.
- `shared_cpus`: tasks share a CPU; `interrupts`: there are softirq or hardirq handlers. Asked for by the scene.
- `rcu`: grace periods are waited for, so whatever keeps a CPU from a quiescent state counts as a reader.
- `call_rcu`: callbacks are queued, and each rcu_head has a context that runs its own.
- `rcu_barrier`: somebody waits for callbacks.

Leaves out the compiler's part: frontend/statements.py.
"""

from __future__ import annotations

from .step import intrinsic


@intrinsic
def feature(name: str) -> bool:
    """Whether the scheme needs that feature. Under plain Python all are there."""
    return bool(name)


@intrinsic
def needs_feature(name: str) -> None:
    """Ask for a feature."""
