"""Remembered moves: `expand` says of every state what the functions of the threads say, the first time and from the table.

What the functions say is the specification here; that they do what the interpreter does is in tests/machine.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from lockverse.codegen import recall
from lockverse.codegen.layout import Guesses, observe
from lockverse.codegen.model import Model, make_model
from lockverse.codegen.values import Values
from lockverse.ir.program import Linked
from lockverse.jit.machine_code import Library, brings_bits_together, compile

from .common import SMALL_MODELS, corpus, linked_text, reachable, specialised

pytestmark = pytest.mark.skipif(not brings_bits_together(), reason="this processor has no quick pext: no moves are remembered")
ROUNDS = 1_000
CHOOSING = "def run(x):\n    x.n = choose(0, 2)\n    assert x.n != 2 or not x.flag\n    x.flag = True"


class _Expander:
    """A compiled model, to call for single states."""

    def __init__(self, linked: Linked, values: Values, guesses: Guesses, *, remembering: bool) -> None:
        self.model: Model = make_model(linked, values, guesses, ROUNDS, remembering=remembering)
        self.library: Library = compile(self.model.text, "quick")
        self.expand = self.library.function("expand", 3)
        self.out = (ctypes.c_uint64 * ((self.model.successors + 1) * self.model.layout.words))()
        self.note = (ctypes.c_uint64 * self.model.note_words)()

    def __call__(self, packed: tuple[int, ...]) -> tuple[int, list[int]]:
        """What `expand` gives, and the words of the successors."""
        state = (ctypes.c_uint64 * len(packed))(*packed)
        found = self.expand(*(ctypes.addressof(one) for one in (state, self.out, self.note)))
        return found, list(self.out[: (found & 0xFFFFFF) * len(packed)])


def _compare(linked: Linked) -> tuple[int, Model]:
    """All states of a program, three times over; how many, and the model."""
    states = reachable(linked, 3_000)
    assert states
    guesses = Guesses()
    observe(guesses, linked, states)
    values = Values(linked)
    plain, remembering = (_Expander(linked, values, guesses, remembering=one) for one in (False, True))
    packed = [plain.model.layout.encode(state) for state in states]
    for _ in range(3):
        for one in packed:
            assert not isinstance(one, int)
            assert remembering(one) == plain(one)
    return len(packed), remembering.model


def _small_models() -> list[str]:
    return [name for name in corpus() if name.partition("-")[0] in SMALL_MODELS]


@pytest.mark.parametrize("most", [recall.MOST_BITS, 3])
def test_remembered_moves_are_the_moves(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Models of one word; with few bits allowed, some moves are made each time."""
    monkeypatch.setattr(recall, "MOST_BITS", most)
    tried = 0
    for name in _small_models():
        count, model = _compare(specialised(corpus()[name]))
        tried += count
        assert most == 3 or model.table_words
    assert tried > 500


def test_wide_states(tmp_path: Path) -> None:
    """States of several words: an array of 64-bit values that are all counted."""
    body = "def run(x, y):\n    x.big += 1 << 40\n    y.big += 1 << 41\n    x.next = y\n    y.n = 7 if x.big > y.big else 3"
    linked = specialised(linked_text(tmp_path, body, "x = node()\ny = node()\ncpu(run, x, y)\ncpu(run, y, x)"))
    _, model = _compare(linked)
    assert model.layout.words > 1


def test_choices_and_faults_are_not_remembered(tmp_path: Path) -> None:
    """A move that chooses, or fails, is the same each time it is asked for."""
    _compare(specialised(linked_text(tmp_path, CHOOSING, "x = node()\ncpu(run, x)\ncpu(run, x)")))
