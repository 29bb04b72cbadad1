"""What the scheme asked for: always, at_rest, sometimes; and that nothing is leaked, where there are pools.

`always` is looked at in every state, the initial one among them; `at_rest` in those where every thread is at rest
(it has finished, or stands where it may stay for ever);
`sometimes` must hold in one state at least, which is known only when all have been seen. Looking at a property can
itself break a rule, such as a NULL dereference: that fails for its own reason, at that property.

Leaves out `eventually`.
"""

from __future__ import annotations

from collections.abc import Sequence

from lockverse.explore.graph import Graph
from lockverse.explore.observer import Expansion, Violation
from lockverse.ir.program import Property
from lockverse.ir.reason import LOOKED_AT_REST, Reason
from lockverse.machine.protocol import Faulted, Machine, State


class Properties:
    """Observer of all properties of a scheme, in the order they were declared."""

    def __init__(self, machine: Machine, properties: Sequence[Property]) -> None:
        self._machine = machine
        kinds = [Reason(one.kind) for one in properties]
        self._always = [index for index, kind in enumerate(kinds) if kind is Reason.ALWAYS]
        self._kinds = kinds
        self._at_rest = [index for index, kind in enumerate(kinds) if kind in LOOKED_AT_REST]
        self._unseen = [index for index, kind in enumerate(kinds) if kind is Reason.SOMETIMES]

    def on_state(self, state: State) -> Violation | None:
        """The first property that does not hold in `state`."""
        for index in tuple(self._unseen):
            found = self._machine.evaluate(state, index)
            if isinstance(found, Faulted):
                return Violation(found.reason, index, index)
            if found:
                self._unseen.remove(index)
        at_rest = self._at_rest if self._is_at_rest(state) else []
        for index in sorted([*self._always, *at_rest]):
            violation = self._violation(state, index)
            if violation is not None:
                return violation
        return None

    def _violation(self, state: State, index: int) -> Violation | None:
        found = self._machine.evaluate(state, index)
        if isinstance(found, Faulted):
            return Violation(found.reason, index, index)
        if found:
            return None
        return Violation(self._kinds[index], index, index)

    def _is_at_rest(self, state: State) -> bool:
        return all(self._machine.at_rest(state, thread) for thread in range(self._machine.threads))

    def on_expanded(self, state: State, expansion: Expansion) -> Violation | None:
        """Nothing: properties are about states."""

    def on_explored(self, graph: Graph) -> Sequence[tuple[int, Violation]]:
        """The `sometimes` no state has borne out."""
        return [(0, Violation(Reason.SOMETIMES, index, index)) for index in self._unseen]
