"""How each op is written in the textual form: one table, from which the printer prints and the parser parses.

An op is a line: its results, its name, its operands, and `!` with its origin:

    %3 = add s64 %1, 5 !12

Leaves out the lines that are no ops (structs, cells, functions): those are in printer.py and parser.py.
"""

from __future__ import annotations

from typing import Final

from . import ops

# What stands in an operand's place: a register or constant, one register, several, a type, a string, a whole number, a
# word, the number of a block (or, in linked code, of an op), or a word for what a branch decides.
VALUE, REGISTER, VALUES, TYPE, STRING, NUMBER, WORD, TARGET, DECIDES = range(9)

# name -> class, the field the name itself fills (or None), results, operands
FORMS: Final[dict[str, tuple[type, str | None, tuple[str, ...], tuple[tuple[str, int], ...]]]] = {
    "copy": (ops.Copy, None, ("dst",), (("src", VALUE),)),
    **dict.fromkeys(ops.UNARY, (ops.Unary, "op", ("dst",), (("type", TYPE), ("a", VALUE)))),
    **dict.fromkeys(ops.ARITHMETIC + ops.COMPARISON, (ops.Binary, "op", ("dst",), (("type", TYPE), ("a", VALUE), ("b", VALUE)))),
    "narrow": (ops.Narrow, None, ("dst",), (("type", TYPE), ("src", VALUE), ("what", STRING))),
    "field": (ops.Field, None, ("dst",), (("base", VALUE), ("offset", NUMBER), ("name", STRING))),
    "container": (ops.Container, None, ("dst",), (("type", TYPE), ("part", VALUE), ("offset", NUMBER), ("name", STRING))),
    "element": (ops.Element, None, ("dst",), (("base", VALUE), ("index", VALUE), ("length", NUMBER), ("stride", NUMBER))),
    "self": (ops.Self, None, ("dst",), ()),
    "lifetime": (ops.Lifetime, None, ("dst",), (("address", VALUE),)),
    "step": (ops.Step, None, (), (("kind", STRING), ("order", WORD), ("target", VALUE), ("takes", STRING), ("gives", STRING))),
    "held": (ops.Held, None, ("dst",), (("base", VALUE), ("size", NUMBER))),
    "rest": (ops.Rest, None, (), ()),
    "load": (ops.Load, None, ("dst",), (("type", TYPE), ("address", VALUE))),
    "store": (ops.Store, None, (), (("type", TYPE), ("address", VALUE), ("src", VALUE))),
    "await": (ops.Await, None, (), (("condition", VALUE),)),
    "assume": (ops.Assume, None, (), (("condition", VALUE),)),
    "check": (ops.Check, None, (), (("reason", WORD), ("condition", VALUE), ("message", STRING))),
    "choose": (ops.Choose, None, ("dst",), (("low", NUMBER), ("high", NUMBER))),
    "call": (ops.Call, None, ("dsts",), (("function", STRING), ("args", VALUES))),
    "jump": (ops.Jump, None, (), (("target", TARGET),)),
    "branch": (
        ops.Branch, None, (),
        (("condition", VALUE), ("yes", TARGET), ("no", TARGET), ("yes_decides", DECIDES), ("no_decides", DECIDES)),
    ),
    "return": (ops.Return, None, (), (("values", VALUES),)),
}  # fmt: skip

NAME_OF: Final[dict[type, str]] = {form[0]: name for name, form in FORMS.items() if form[1] is None}
DECISIONS: Final[dict[bool | None, str]] = {None: "open", True: "true", False: "false"}
