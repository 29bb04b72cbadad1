"""Inlining: a function without calls for each thread and each property.

Every call becomes a copy of the callee's blocks between the caller's, so that a thread's state is one position and one
set of registers. The language has no recursion, which makes this finite (Allen and Cocke, "A catalogue of optimizing
transformations", 1972, section 3, is the usual reference). Right because a callee touches no register of its caller
but the results, and its own registers are set before they are read: parameters by the call, variables to 0.

Leaves out any choice of what is worth inlining: all of it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from lockverse.ir.ops import Branch, Call, Copy, Imm, Jump, Op, Reg, Return, Value
from lockverse.ir.program import Function, Register
from lockverse.ir.source import NO_CALLER, Origin

SCENE = 0  # the origin of what no statement asked for: setting up a call


class Frame(Struct, frozen=True):
    """One call that was inlined: `parent` is the frame that called (-1 for the outermost), `registers` its own."""

    parent: int
    registers: range


class Inlined(Struct, frozen=True):
    """A function without calls. `frame_of[i]` is the frame whose code block `i` is; frame 0 is the function itself."""

    name: str
    parameters: int
    registers: tuple[Register, ...]
    blocks: tuple[tuple[Op, ...], ...]
    frames: tuple[Frame, ...]
    frame_of: tuple[int, ...]


class Origins:
    """The origins of a program, with those that inlining makes: the same statement under another caller."""

    def __init__(self, origins: tuple[Origin, ...]) -> None:
        self.all = list(origins)
        self._known: dict[tuple[int, int], int] = {}

    def under(self, origin: int, caller: int) -> int:
        """The origin `origin`, called from the origin `caller`."""
        if caller == NO_CALLER or origin == SCENE:
            return origin
        key = (origin, caller)
        if key not in self._known:
            self._known[key] = len(self.all)
            self.all.append(replace(self.all[origin], caller=caller))
        return self._known[key]


def inline(functions: Mapping[str, Function], name: str, origins: Origins) -> Inlined:
    """The function of that name with all calls inlined. `origins` gains those of the inlined ops."""
    root = functions[name]
    work = _Inliner(functions, origins)
    work.expand(root, parent=-1, caller=NO_CALLER, results=None, leave=-1)
    blocks = tuple(tuple(block) for block in work.blocks)
    return Inlined(name, root.parameters, tuple(work.registers), blocks, tuple(work.frames), tuple(work.frame_of))


class _Inliner:
    def __init__(self, functions: Mapping[str, Function], origins: Origins) -> None:
        self.functions, self.origins = functions, origins
        self.registers: list[Register] = []
        self.blocks: list[list[Op]] = []
        self.frames: list[Frame] = []
        self.frame_of: list[int] = []

    def _block(self, frame: int) -> int:
        self.blocks.append([])
        self.frame_of.append(frame)
        return len(self.blocks) - 1

    def expand(self, function: Function, parent: int, caller: int, results: tuple[Reg, ...] | None, leave: int) -> tuple[int, int]:
        """Add a copy of `function`; gives its entry block and its first register. `results` take what it returns and
        `leave` is where it goes then; None for the outermost, which returns as it is."""
        base, frame = len(self.registers), len(self.frames)
        for register in function.registers:
            self.registers.append(replace(register, kind="local") if register.kind == "param" and parent >= 0 else register)
        self.frames.append(Frame(parent, range(base, len(self.registers))))
        numbers = [self._block(frame) for _ in function.blocks]
        copy = _Copy(base, numbers, caller if function.primitive and parent >= 0 else None, caller, self.origins)
        for number, block in zip(numbers, function.blocks, strict=True):
            self._fill(number, block.ops, copy, frame, results, leave)
        return numbers[0], base

    def _fill(self, number: int, body: tuple[Op, ...], copy: _Copy, frame: int, results: tuple[Reg, ...] | None, leave: int) -> None:
        for op in body:
            made = copy.op(op)
            if isinstance(made, Call):
                after = self._block(frame)
                self.blocks[number] += self._enter(made, frame, after)
                number = after
            elif isinstance(made, Return) and results is not None:
                self.blocks[number] += [Copy(dst, value, made.at) for dst, value in zip(results, made.values, strict=True)]
                self.blocks[number].append(Jump(leave, made.at))
            else:
                self.blocks[number].append(made)

    def _enter(self, call: Call, frame: int, after: int) -> list[Op]:
        callee = self.functions[call.function]
        entry, base = self.expand(callee, frame, call.at, call.dsts, after)
        given: list[Op] = [Copy(Reg(base + i), value, SCENE) for i, value in enumerate(call.args)]
        variables = [i for i, register in enumerate(callee.registers) if register.kind == "local"]
        return [*given, *(Copy(Reg(base + i), Imm(0), SCENE) for i in variables), Jump(entry, call.at)]


class _Copy(Struct, frozen=True):
    """Copying the ops of one function to its place: registers, blocks and origins change."""

    base: int
    numbers: list[int]
    at: int | None  # the one origin of all ops, for code of the vocabulary
    caller: int
    origins: Origins

    def op(self, op: Op) -> Op:
        changed: dict[str, object] = {"at": self.at if self.at is not None else self.origins.under(op.at, self.caller)}
        for name in op.__struct_fields__:
            value = getattr(op, name)
            if isinstance(value, Reg):
                changed[name] = Reg(value.number + self.base)
            elif isinstance(value, tuple):
                changed[name] = tuple(self._value(one) for one in value)
        if isinstance(op, Jump):
            changed["target"] = self.numbers[op.target]
        elif isinstance(op, Branch):
            changed |= {"yes": self.numbers[op.yes], "no": self.numbers[op.no]}
        return replace(op, **changed)

    def _value(self, value: Value) -> Value:
        return Reg(value.number + self.base) if isinstance(value, Reg) else value
