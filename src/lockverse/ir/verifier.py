"""What every program of the IR must be: checked after the frontend and after the passes, so that a mistake of ours is
found where it was made and not as a wrong verdict.

`verify_program` looks at functions that call each other, `verify_code` at linked code. Leaves out what the types of
the frontend already rule out for the user, such as which struct has which fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, get_args

from . import ops
from .contexts import CONTEXTS
from .ops import Reg
from .program import Code, Function, Program, Register
from .types import Bool, Enum, Int, Ptr, Scalar


class MalformedIR(Exception):
    """The IR breaks one of its rules: a fault of ours, with the function, the op and the rule."""


def verify_program(program: Program) -> None:
    """Raise MalformedIR unless the program keeps all rules."""
    for key, function in program.functions.items():
        if key != function.name:
            raise MalformedIR(f"{key}: the function there is called {function.name}")
        _Checker(program, function).run()
    _no_recursion(program)
    _scene(program)


def verify_code(code: Code, program: Program, origins: int) -> None:
    """Raise MalformedIR unless linked code keeps all rules; `origins` is how many there are."""
    if len(code.keep) != len(code.ops) or not code.ops or not isinstance(code.ops[-1], ops.Terminator):
        raise MalformedIR(f"{code.name}: linked code ends in a terminator and has a keep set an op")
    for pc, op in enumerate(code.ops):
        where = f"{code.name}, op {pc} ({type(op).__name__})"
        if isinstance(op, ops.Call):
            raise MalformedIR(f"{where}: linked code has no calls")
        if isinstance(op, ops.Rest):
            raise MalformedIR(f"{where}: linked code marks its steps instead")
        if any(not 0 <= target < len(code.ops) for target in _targets(op)):
            raise MalformedIR(f"{where}: goes where there is no op")
        if not 0 <= op.at < origins:
            raise MalformedIR(f"{where}: there is no origin {op.at}")
        _registers_exist(where, op, code.registers)
        if any(not 0 <= register < len(code.registers) for register in code.keep[pc]):
            raise MalformedIR(f"{where}: keeps a register that does not exist")


def _targets(op: ops.Op) -> tuple[int, ...]:
    if isinstance(op, ops.Jump):
        return (op.target,)
    return (op.yes, op.no) if isinstance(op, ops.Branch) else ()


def _registers_exist(where: str, op: ops.Op, registers: Sequence[Register]) -> None:
    for register in _all_registers(op):
        if not 0 <= register.number < len(registers):
            raise MalformedIR(f"{where}: there is no register %{register.number}")


_FIELDS: Final[dict[type, tuple[str, ...]]] = {kind: kind.__struct_fields__ for kind in get_args(ops.Op)}


def _all_registers(op: ops.Op) -> Iterator[Reg]:
    for name in _FIELDS[type(op)]:
        value = getattr(op, name)
        yield from (one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, Reg))


def _written(op: ops.Op) -> tuple[Reg, ...]:
    if isinstance(op, ops.Call):
        return op.dsts
    dst = getattr(op, "dst", None)
    return (dst,) if isinstance(dst, Reg) else ()


class _Checker:
    """The rules for one function."""

    def __init__(self, program: Program, function: Function) -> None:
        self.program, self.function = program, function
        self.block = self.place = 0

    def fail(self, rule: str) -> MalformedIR:
        return MalformedIR(f"{self.function.name}, block {self.block}, op {self.place}: {rule}")

    def run(self) -> None:
        function = self.function
        if not function.blocks:
            raise self.fail("a function has at least one block")
        if function.parameters > len(function.registers):
            raise self.fail("the parameters are the first registers")
        for self.block, block in enumerate(function.blocks):
            if not block.ops or not isinstance(block.ops[-1], ops.Terminator):
                raise self.fail("a block ends in a terminator")
            for self.place, op in enumerate(block.ops):
                if isinstance(op, ops.Terminator) and self.place != len(block.ops) - 1:
                    raise self.fail("only the last op of a block is a terminator")
                self._op(op)
            self._steps(block.ops)
        self._defined()

    def _op(self, op: ops.Op) -> None:
        where = f"{self.function.name}, block {self.block}, op {self.place}"
        _registers_exist(where, op, self.function.registers)
        if any(not 0 <= target < len(self.function.blocks) for target in _targets(op)):
            raise self.fail("goes to a block that does not exist")
        if not 0 <= op.at < len(self.program.origins):
            raise self.fail(f"there is no origin {op.at}")
        if self.function.observer and isinstance(op, ops.Step | ops.Rest | ops.Store | ops.Await | ops.Assume | ops.Choose):
            raise self.fail(f"an observer has no {type(op).__name__}")
        if isinstance(op, ops.Held) and not self.function.observer:
            raise self.fail("only an observer asks what threads refer to")
        self._names(op)
        self._types(op)
        if isinstance(op, ops.Call):
            self._call(op)
        if isinstance(op, ops.Return) and len(op.values) != len(self.function.results):
            raise self.fail(f"returns {len(op.values)} values of {len(self.function.results)}")

    def _names(self, op: ops.Op) -> None:
        if isinstance(op, ops.Unary) and op.op not in ops.UNARY:
            raise self.fail(f"there is no unary {op.op}")
        if isinstance(op, ops.Binary) and op.op not in ops.ARITHMETIC + ops.COMPARISON:
            raise self.fail(f"there is no binary {op.op}")
        if isinstance(op, ops.Step) and op.order not in ops.ORDERS:
            raise self.fail(f"there is no order {op.order}")
        if isinstance(op, ops.Step) and (op.takes not in ops.TAKES or op.gives not in ops.GIVES):
            raise self.fail(f"no step takes a lock {op.takes or 'not'}, and gives it back {op.gives or 'not'}")
        if isinstance(op, ops.Step) and op.rest:
            raise self.fail("a step is marked before the calls are inlined")
        if isinstance(op, ops.Step) and op.holds:
            raise self.fail("what a step's thread refers to is noted in linked code")
        if isinstance(op, ops.Container) and op.type.name not in self.program.structs:
            raise self.fail(f"there is no struct {op.type}")
        if isinstance(op, ops.Choose) and op.low > op.high:
            raise self.fail("nothing to choose from")

    def _call(self, op: ops.Call) -> None:
        callee = self.program.functions.get(op.function)
        if callee is None:
            raise self.fail(f"there is no function {op.function}")
        if len(op.args) != callee.parameters:
            raise self.fail(f"{op.function} takes {callee.parameters} arguments, this gives {len(op.args)}")
        if len(op.dsts) != len(callee.results):
            raise self.fail(f"{op.function} gives {len(callee.results)} results, this takes {len(op.dsts)}")
        if self.function.observer and not callee.observer:
            raise self.fail(f"an observer calls {op.function}, which is none")

    # Types

    def _types(self, op: ops.Op) -> None:
        if isinstance(op, ops.Copy):
            self._fits(op.src, self._type(op.dst))
        elif isinstance(op, ops.Load):
            self._fits(op.dst, op.type)
        elif isinstance(op, ops.Store):
            self._fits(op.src, op.type)
        elif isinstance(op, ops.Binary) and op.op in ops.ARITHMETIC and not isinstance(op.type, Int):
            if not (isinstance(op.type, Bool) and op.op in ("and", "or", "xor")):
                raise self.fail("arithmetic is on integers")
        elif isinstance(op, ops.Call):
            callee = self.program.functions.get(op.function)
            if callee is not None:
                for value, register in zip(op.args, callee.registers, strict=False):
                    self._fits(value, register.type)
                for dst, kind in zip(op.dsts, callee.results, strict=False):
                    self._fits(dst, kind)
        elif isinstance(op, ops.Return):
            for value, kind in zip(op.values, self.function.results, strict=False):
                self._fits(value, kind)

    def _type(self, register: Reg) -> Scalar:
        return self.function.registers[register.number].type

    def _fits(self, value: ops.Value, kind: Scalar) -> None:
        if isinstance(value, Reg):
            found = self._type(value)
            if not _alike(found, kind):
                raise self.fail(f"%{value.number} is a {found}, and a {kind} is needed")
        elif isinstance(kind, Int) and not kind.holds(value.value):
            raise self.fail(f"{value.value} is no {kind}")
        elif isinstance(kind, Bool) and value.value not in (0, 1):
            raise self.fail(f"{value.value} is no bool")

    # Order

    def _steps(self, block: Iterable[ops.Op]) -> None:
        """Within a block: nothing writes between a Step and its Await, and a Choose follows its own Step."""
        wrote = False
        last: ops.Op | None = None
        for self.place, op in enumerate(block):
            if isinstance(op, ops.Step):
                wrote = False
            elif isinstance(op, ops.Store):
                wrote = True
            elif isinstance(op, ops.Await) and wrote:
                raise self.fail("something is written between the step and its await")
            elif isinstance(op, ops.Choose) and not (isinstance(last, ops.Step) and last.kind == "choose"):
                raise self.fail("a choose follows its own step")
            last = op

    def _defined(self) -> None:
        """Parameters are defined, variables start as 0; a temporary is written on every path before it is read."""
        blocks = self.function.blocks
        start = frozenset(n for n, r in enumerate(self.function.registers) if r.kind != "temp" or n < self.function.parameters)
        known: list[frozenset[int] | None] = [None] * len(blocks)
        known[0] = start
        waiting = [0]
        while waiting:
            self.block = waiting.pop()
            defined = known[self.block]
            assert defined is not None
            for place, op in enumerate(blocks[self.block].ops):
                self.place = place
                written = {register.number for register in _written(op)}
                for register in _all_registers(op):
                    if register.number not in defined and register.number not in written:
                        raise self.fail(f"%{register.number} may be read before it is written")
                defined |= written
            for target in _targets(blocks[self.block].ops[-1]):
                before = known[target]
                after = defined if before is None else defined & before
                if after != before:
                    known[target] = after
                    waiting.append(target)


def _alike(a: Scalar, b: Scalar) -> bool:
    """Whether a value of the one type can stand for the other: all integers and bools are numbers."""
    number = (Int, Bool)
    if isinstance(a, number) and isinstance(b, number):
        return True
    if isinstance(a, Enum) or isinstance(b, Enum):
        return a == b
    return isinstance(a, Ptr) and isinstance(b, Ptr) and a == b


def _no_recursion(program: Program) -> None:
    done: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> None:
        if name in path:
            raise MalformedIR(f"{' -> '.join([*path, name])}: a function calls itself")
        if name in done:
            return
        path.append(name)
        for block in program.functions[name].blocks:
            for op in block.ops:
                if isinstance(op, ops.Call):
                    visit(op.function)
        path.pop()
        done.add(name)

    for name in program.functions:
        visit(name)


def _scene(program: Program) -> None:
    for thread in program.threads:
        function = program.functions.get(thread.function)
        if function is None or function.parameters != len(thread.arguments):
            raise MalformedIR(f"thread {thread.cpu}: {thread.function} does not take its arguments")
        if function.observer or not 0 < thread.task < len(program.cells):
            raise MalformedIR(f"thread {thread.cpu}: runs an observer, or has no task")
        if thread.context not in CONTEXTS:
            raise MalformedIR(f"thread {thread.cpu}: there is no context {thread.context}")
    for one in program.properties:
        function = program.functions.get(one.function)
        if function is None or not function.observer or function.parameters or function.results != (Bool(),):
            raise MalformedIR(f"property {one.message!r}: {one.function} is no observer that gives a bool")
    for thing, address in [*((o.name, o.address) for o in program.objects), *(("a lock", lock) for lock in program.locks)]:
        if not 0 < address < len(program.cells):
            raise MalformedIR(f"{thing} is at {address}, outside memory")
    _pools(program)


def _pools(program: Program) -> None:
    """Objects and the cells that say whether they are allocated lie in memory, each by itself."""
    if program.pools and not (0 < program.permanent < len(program.cells) and program.cells[program.permanent].initial == 1):
        raise MalformedIR("there are pools and no cell that is always 1")
    taken = {program.permanent}
    for pool in program.pools:
        mine = [*range(pool.first, pool.first + pool.count * pool.size), *range(pool.allocated, pool.allocated + pool.count)]
        if min(mine) <= 0 or max(mine) >= len(program.cells):
            raise MalformedIR(f"pool {pool.name} is outside memory")
        if len(set(mine)) < len(mine) or taken & set(mine):
            raise MalformedIR(f"pool {pool.name} lies over another")
        taken |= set(mine)
