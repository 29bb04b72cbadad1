"""What the frontend itself knows of the vocabulary: macros that take a place, checks, the environment's choices.

All other functions of the vocabulary are compiled from their own bodies in lang/. Leaves out their meaning under
plain Python, which is in lang/ too.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Callable
from typing import Final

from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.ir.reason import Reason
from lockverse.lang.step import PlaceInfo

from . import bit_locks, bits, calls, conditions, containers, expressions, functions, percpu, pools, sleeping, waiting
from .lowering import OBSERVER, STEPS, Lowering, describe
from .types import NOTHING, VOID, Constant, Literal, Null, Result, Tuple, Typed, Unknown, join, settled

_NOTHING_RETURNED = Typed(ops.Imm(0), VOID)


def arguments(f: Lowering, node: ast.Call, least: int, most: int, usage: str) -> bool:
    """Whether a call has as many arguments as it should, by position; complains if not."""
    if node.keywords or not least <= len(node.args) <= most or any(isinstance(a, ast.Starred) for a in node.args):
        f.error("K302", node, f"this call does not fit `{f.text(node.func)}`", "these arguments", help=f"write `{usage}`")
        return False
    return True


# Macros on places


_PLACE: Final = "x.field"
_USAGE: Final[dict[str, tuple[str, ...]]] = {
    "read": (_PLACE,), "write": (_PLACE, "value"), "xchg": (_PLACE, "value"), "cmpxchg": (_PLACE, "old", "new"),
    "try_cmpxchg": (_PLACE, "old", "new"), "cond_load": (_PLACE, "lambda VAL: condition"), **dict.fromkeys(bits.KINDS, ("nr", _PLACE)),
    **dict.fromkeys(bit_locks.SPINS, ("nr", _PLACE)), **dict.fromkeys(bit_locks.WAITS, (_PLACE, "nr", "TASK_UNINTERRUPTIBLE")), "wake_up_bit": (_PLACE, "nr"),
    **dict.fromkeys(percpu.COUNTING, (_PLACE,)), **dict.fromkeys(percpu.COMPUTING, (_PLACE, "value")),
}  # fmt: skip


def on_place(f: Lowering, info: PlaceInfo, node: ast.Call) -> Result:
    """READ_ONCE, WRITE_ONCE, xchg, cmpxchg, set_bit and their like."""
    if info.kind == "cond_read":
        fits = arguments(f, node, 2, 2, f"{info.name}(x.count, lambda VAL: condition)")
        return waiting.atomic(f, info, node) if fits else NOTHING
    usage = (*_USAGE[info.kind], *(("condition",) if info.given else ()))
    if not arguments(f, node, len(usage), len(usage), f"{info.name}({', '.join(usage)})"):
        return NOTHING
    number = bits.number(f, node) if usage[0] == "nr" else None
    target = node.args[usage.index(_PLACE)]
    if any(isinstance(part, ast.Call) for part in ast.walk(target)):
        return f.error("K308", target, f"{info.name} takes a place, with no call inside", "this calls a function",
                       help="put the result of the call in a variable first")  # fmt: skip
    found = percpu.place(f, info, target) if info.per_cpu else expressions.place(f, target)
    if found is None:
        return NOTHING
    address, kind = found
    if isinstance(kind, ir.StructRef | ir.Array):
        return f.error("K308", target, f"{info.name} takes a scalar field or element", f"this is a whole {kind}")
    if number is not None:
        operate = bit_locks.operate if info.kind in bit_locks.SPINS else bits.operate
        return operate(f, info, address, kind, number, node)
    return _PLACE_KINDS[info.kind](f, info, address, kind, node)


def _read(f: Lowering, info: PlaceInfo, address: ops.Value, kind: ir.Scalar, node: ast.Call) -> Result:
    given = {}
    if info.check is not None and info.given:
        name = info.check.__code__.co_varnames[0]
        value = expressions.typed(f, node.args[1])
        condition_ = isinstance(value.type, ir.Bool | ir.Int | Literal)
        given = {name: calls.Argument(calls.as_bool(f, value, node) if condition_ else value, node.args[1])}
    f.step(info.name, info.order, address, node)
    if info.check is not None and f.mode != OBSERVER:
        calls.emit_call(f, info.check, given, node)
    return f.load(address, kind, node)


def _write(f: Lowering, info: PlaceInfo, address: ops.Value, kind: ir.Scalar, node: ast.Call) -> Result:
    value = _operand(f, node, 1, kind)
    f.step(info.name, info.order, address, node)
    f.store(address, value, kind, node)
    return _NOTHING_RETURNED


def _operand(f: Lowering, node: ast.Call, index: int, kind: ir.Scalar) -> ops.Value:
    argument = node.args[index]
    return f.coerce(functions.operand(f, argument, kind), kind, argument, f"`{f.text(node.args[0])}`")


def _exchange(f: Lowering, info: PlaceInfo, address: ops.Value, kind: ir.Scalar, node: ast.Call) -> Result:
    value = _operand(f, node, 1, kind)
    f.step(info.name, info.order, address, node)
    old = f.load(address, kind, node)
    f.store(address, value, kind, node)
    return old


def _compare_exchange(f: Lowering, info: PlaceInfo, address: ops.Value, kind: ir.Scalar, node: ast.Call) -> Result:
    expected, value = _operand(f, node, 1, kind), _operand(f, node, 2, kind)
    f.step(info.name, info.order, address, node)
    old = f.load(address, kind, node)
    same = f.temp(ir.Bool())
    f.emit(ops.Binary(same, "eq", old.value, expected, kind, f.at(node)))
    swap, after = f.build.block(), f.build.block()
    f.emit(ops.Branch(same, swap, after, f.at(node)))
    f.build.enter(swap)
    f.store(address, value, kind, node)
    f.jump(after, node)
    f.build.enter(after)
    return old if info.kind == "cmpxchg" else Tuple((Typed(same, ir.Bool()), old))


_PLACE_KINDS: Final = {
    "read": _read, "write": _write, "xchg": _exchange, "cmpxchg": _compare_exchange, "try_cmpxchg": _compare_exchange,
    "cond_load": waiting.load, **dict.fromkeys((*bit_locks.WAITS, "wake_up_bit"), bit_locks.wait_for), **dict.fromkeys((*percpu.COUNTING, *percpu.COMPUTING), percpu.compute),
}  # fmt: skip


# Checks


def _message(f: Lowering, node: ast.expr | None, otherwise: str) -> str:
    if node is None:
        return otherwise
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    f.error("K103", node, "a message is a plain string", "this is not one", help='write it out: "..."')
    return otherwise


def check(f: Lowering, test: ast.expr, reason: Reason, message: ast.expr | None, node: ast.AST) -> None:
    """A fault of that reason where `test` is false: assert."""
    value = condition(f, test)
    f.emit(ops.Check(value, reason, _message(f, message, f.text(test)), f.at(node)))


def condition(f: Lowering, node: ast.expr) -> ops.Value:
    """Any condition, as something that can be tested."""
    if isinstance(node, ast.BoolOp):
        # An operand may be any condition here; as a value it would have to be a bool.
        return condition_value(f, node)
    return conditions.truth(f, expressions.typed(f, node), node)


def condition_value(f: Lowering, node: ast.expr) -> ops.Value:
    """Any condition as a bool."""
    result = f.temp(ir.Bool())
    yes, no, after = f.build.block(), f.build.block(), f.build.block()
    conditions.branch(f, node, yes, no, conditions.UNDECIDED)
    for block, value in ((yes, 1), (no, 0)):
        f.build.enter(block)
        f.emit(ops.Copy(result, ops.Imm(value), f.at(node)))
        f.jump(after, node)
    f.build.enter(after)
    return result


def _warn(reason: Reason) -> Callable[[Lowering, ast.Call], Result]:
    def lower(f: Lowering, node: ast.Call) -> Result:
        name = f.text(node.func)
        if not arguments(f, node, 1, 2, f"{name}(condition)"):
            return NOTHING
        value = condition(f, node.args[0])
        fine = f.temp(ir.Bool())
        f.emit(ops.Unary(fine, "not", value, ir.Bool(), f.at(node)))
        message = _message(f, node.args[1] if len(node.args) > 1 else None, f.text(node))
        f.emit(ops.Check(fine, reason, message, f.at(node)))
        return Typed(ops.Imm(0), ir.Bool())  # had it been true, the run would have ended

    return lower


def _assume(f: Lowering, node: ast.Call) -> Result:
    if arguments(f, node, 1, 1, "assume(condition)"):
        _forbid(f, node, "assume")
        f.emit(ops.Assume(condition(f, node.args[0]), f.at(node)))
    return _NOTHING_RETURNED


def _require(f: Lowering, node: ast.Call) -> Result:
    if arguments(f, node, 3, 3, 'require(condition, "reason", "message")'):
        reason = _message(f, node.args[1], "")
        value = condition(f, node.args[0])
        f.emit(ops.Check(value, Reason(reason), _message(f, node.args[2], ""), f.at(node)))
    return _NOTHING_RETURNED


def _wait_until(f: Lowering, node: ast.Call) -> Result:
    if f.mode == STEPS:
        return f.error("K104", node, "wait_until stands only in a function of the vocabulary", "a CPU cannot wait so",
                       help="loop: `while not condition: cpu_relax()`, or use a lock")  # fmt: skip
    if f.mode == OBSERVER:
        f.compiler.writes(f, node)
    elif arguments(f, node, 1, 1, "wait_until(condition)"):
        f.emit(ops.Await(condition(f, node.args[0]), f.at(node)))
    return _NOTHING_RETURNED


def _forbid(f: Lowering, node: ast.AST, what: str) -> None:
    if f.mode == OBSERVER:
        f.error("K305", node, f"a property cannot {what}", "it reads one state as a whole")


# Choices of the environment


def _choose(f: Lowering, node: ast.Call) -> Result:
    _forbid(f, node, "choose")
    if not arguments(f, node, 1, 255, "choose(range(low, high)), choose(a, b, ...), choose(bool) or choose(SomeEnum)"):
        return NOTHING
    domain = _domain(f, node)
    if domain is not None:
        low, high, kind = domain
        return _pick(f, low, high, kind, node)
    options = [expressions.typed(f, argument) for argument in node.args]
    return _choose_value(f, options, node)


def _domain(f: Lowering, node: ast.Call) -> tuple[int, int, ir.Scalar] | None:
    """The bounds and type of `choose(range(...))`, `choose(bool)`, `choose(SomeEnum)`."""
    only = node.args[0]
    if len(node.args) != 1:
        return None
    if isinstance(only, ast.Call) and isinstance(only.func, ast.Name) and only.func.id == "range":
        bounds = [expressions.typed(f, one) for one in only.args]
        values = [b.value.value for b in bounds if isinstance(b.value, ops.Imm)]
        if len(values) != len(bounds) or len(values) not in (1, 2):
            f.error("K103", only, "the range to choose from is constant", "low and high are constants here")
            return 0, 0, ir.S64
        low, high = (0, values[0]) if len(values) == 1 else (values[0], values[1])
        if low >= high:
            f.error("K306", only, "there is nothing to choose from", "this range is empty")
        return low, max(low, high - 1), ir.S64
    found = expressions.lower(f, only) if isinstance(only, ast.Name | ast.Attribute) else None
    if isinstance(found, Constant) and found.object is bool:
        return 0, 1, ir.Bool()
    if isinstance(found, Constant) and isinstance(found.object, type) and issubclass(found.object, enum.Enum):
        kind = f.compiler.types.convert(found.object)
        assert isinstance(kind, ir.Enum)
        return 0, len(kind.members) - 1, kind
    return None


def _pick(f: Lowering, low: int, high: int, kind: ir.Scalar, node: ast.Call) -> Typed:
    dst = f.temp(kind)
    f.step("choose", "plain", None, node)
    f.emit(ops.Choose(dst, low, high, f.at(node)))
    return Typed(dst, kind)


def _choose_value(f: Lowering, options: list[Typed], node: ast.Call) -> Typed:
    kind = options[0].type
    for option, argument in zip(options, node.args, strict=True):
        joined = join(kind, option.type)
        if joined is None:
            return f.error("K301", argument, "what is chosen from has one type", f"this is a {option.type}, others are a {kind}")
        kind = joined
    scalar = settled(kind)
    if scalar is None:
        return Typed(ops.Imm(0), kind) if isinstance(kind, Null) else NOTHING
    chosen = _pick(f, 0, len(options) - 1, ir.S64, node)
    result, after = f.temp(scalar), f.build.block()
    for index, option in enumerate(options):
        this, following = f.build.block(), f.build.block()
        if index == len(options) - 1:
            f.jump(this, node)
        else:
            same = f.temp(ir.Bool())
            f.emit(ops.Binary(same, "eq", chosen.value, ops.Imm(index), ir.S64, f.at(node)))
            f.emit(ops.Branch(same, this, following, f.at(node)))
        f.build.enter(this)
        f.emit(ops.Copy(result, option.value, f.at(node)))
        f.jump(after, node)
        f.build.enter(following)
    f.build.enter(after)
    return Typed(result, scalar)


# The running task, and the rest


def _current_task(f: Lowering, node: ast.Call) -> Result:
    dst = f.temp(f.compiler.task_pointer)
    f.emit(ops.Self(dst, f.at(node)))
    return Typed(dst, f.compiler.task_pointer)


def processor(f: Lowering, node: ast.AST) -> ops.Value:
    """The number of the running CPU: what its task_struct says, which nobody changes."""
    _forbid(f, node, "ask which CPU it runs on")
    self, place = f.temp(f.compiler.task_pointer), f.temp(ir.Ptr(ir.StructRef("task_struct")))
    field = f.compiler.types.structs["task_struct"].field("cpu")
    assert field is not None
    f.emit(ops.Self(self, f.at(node)))
    f.emit(ops.Field(place, self, field.offset, "task_struct.cpu", f.at(node)))
    return f.load(place, field.type, node).value  # type: ignore[arg-type]


def _smp_processor_id(f: Lowering, node: ast.Call) -> Result:
    return Typed(processor(f, node), ir.S64)


def static_condition(f: Lowering, node: ast.expr) -> bool | None:
    """What `hasattr(x, "name")`, `feature("name")` in a function of the vocabulary, what a constant argument of it says
    (`flags.may_sleep`), a parameter that is a function, or `not` of them comes to; None for any other condition."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = static_condition(f, node.operand)
        return None if inner is None else not inner
    if f.vocabulary and isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        known = f.constants.get(node.value.id)
        return bool(getattr(known.object, node.attr, False)) if isinstance(known, Constant) else None
    if isinstance(node, ast.Name) and isinstance(f.constants.get(node.id), Constant):
        return True  # a parameter that is a function
    if f.vocabulary and isinstance(node, ast.Name) and node.id in f.variables and isinstance(f.variables[node.id].type, Null):
        return False  # one that is NULL in place of a function
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        return None
    if node.func.id == "hasattr" and len(node.args) == 2:
        return _has_field(f, node)
    if not f.vocabulary:
        return None
    return _message(f, node.args[0], "") in f.compiler.features if node.func.id == "feature" else None


def _has_field(f: Lowering, node: ast.Call) -> bool:
    """Whether the struct that the first argument points to has a field of that name."""
    kind = expressions.typed(f, node.args[0]).type
    struct = f.compiler.types.structs[kind.target.name] if isinstance(kind, ir.Ptr) and isinstance(kind.target, ir.StructRef) else None
    return struct is not None and struct.field(_message(f, node.args[1], "")) is not None


def _feature(f: Lowering, node: ast.Call) -> Result:
    return f.error("K104", node, "feature() stands only in an `if` of the vocabulary", "here")


def _needs_feature(f: Lowering, node: ast.Call) -> Result:
    if arguments(f, node, 1, 1, 'needs_feature("name")'):
        f.compiler.wanted.add(_message(f, node.args[0], ""))
    return _NOTHING_RETURNED


def _nothing(f: Lowering, node: ast.Call) -> Result:
    arguments(f, node, 0, 0, f"{f.text(node.func)}()")
    return _NOTHING_RETURNED


def _itself(f: Lowering, node: ast.Call) -> Result:
    """Its argument."""
    return expressions.lower(f, node.args[0]) if arguments(f, node, 1, 1, f"{f.text(node.func)}(condition)") else NOTHING


def _rest(f: Lowering, node: ast.Call) -> Result:
    _forbid(f, node, "rest")
    if arguments(f, node, 0, 0, "rest()"):
        f.emit(ops.Rest(f.at(node)))
    return _NOTHING_RETURNED


def _data_race(f: Lowering, node: ast.Call) -> Result:
    """Its accesses race with nobody."""
    if not arguments(f, node, 1, 1, "data_race(x)"):
        return NOTHING
    before, f.excused = f.excused, True
    value = expressions.lower(f, node.args[0])
    f.excused = before
    return value


def _only_in_with(f: Lowering, node: ast.Call) -> Result:
    usage = "with scoped_guard(rwsem_read, x.sem): ..., and read_lock, write_lock and rwsem_write as well"
    return f.error("K104", node, "scoped_guard() stands only in a `with`, and names a way to hold a lock", "here", help=usage)


def _only_in_loop(f: Lowering, node: ast.Call) -> Result:
    return f.error("K104", node, f"{f.text(node)} stands only in a for loop", "here", help=f"for one in {f.text(node)}: ...")


def length(f: Lowering, node: ast.Call) -> Result:
    """`len(array)`: a constant."""
    if not arguments(f, node, 1, 1, "len(array)"):
        return NOTHING
    value = expressions.lower(f, node.args[0])
    if isinstance(value, Typed) and isinstance(value.type, ir.Ptr) and isinstance(value.type.target, ir.Array):
        return Typed(ops.Imm(value.type.target.length), Literal())
    if isinstance(value, Typed) and isinstance(value.type, Unknown):
        return value
    return f.error("K301", node.args[0], "`len` takes an array", describe(value))


INTRINSICS: Final[dict[str, Callable[[Lowering, ast.Call], Result]]] = {
    "current_task": _current_task, "all_tasks": _only_in_loop, "wait_until": _wait_until, "require": _require,
    "assume": _assume, "choose": _choose, "cpu_relax": _nothing, "barrier": _nothing, "data_race": _data_race,
    "per_cpu": percpu.per_cpu, "per_cpu_ptr": percpu.per_cpu, "this_cpu_ptr": percpu.this_cpu_ptr, "raw_cpu_ptr": percpu.this_cpu_ptr,
    "num_possible_cpus": percpu.count, "num_online_cpus": percpu.count, "for_each_possible_cpu": _only_in_loop,
    "for_each_online_cpu": _only_in_loop,
    "scoped_guard": _only_in_with, "container_of": containers.container_of, "rest": _rest, "feature": _feature, "needs_feature": _needs_feature, "smp_processor_id": _smp_processor_id,
    "allocate": pools.allocate, "free": pools.free, "run_callbacks": _nothing, "callback_contexts": _only_in_loop,
    "WARN_ON": _warn(Reason.WARNING), "WARN_ON_ONCE": _warn(Reason.WARNING),
    "VM_WARN_ON": _warn(Reason.WARNING), "VM_WARN_ON_ONCE": _warn(Reason.WARNING), "likely": _itself, "unlikely": _itself,
    "BUG_ON": _warn(Reason.BUG), "VM_BUG_ON": _warn(Reason.BUG), **sleeping.INTRINSICS,
}  # fmt: skip
