"""Statements: assignments, control flow, checks.

Work on variables rides along with the step before it; what is a step is decided in expressions.py and calls.py.
`with lock:` takes the lock and gives it back on every way out, after the value of a return is known, as Python does.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Final

from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.ir.reason import Reason
from lockverse.lang import guards
from lockverse.lang.structs import resolve_type

from . import calls, conditions, expressions, functions, intrinsics, lists, percpu
from .lowering import Loop, Lowering, Variable, describe
from .source import FunctionNode
from .subset import STATEMENTS
from .types import UNKNOWN, VOID, Constant, Result, Tuple, Typed, Unknown, ValueType, join


def body(f: Lowering, nodes: Sequence[ast.stmt]) -> None:
    """Lower a list of statements."""
    for index, node in enumerate(nodes):
        if index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            continue  # a docstring
        if not f.vocabulary:
            f.statement = f.compiler.table.statement(node)
        handler = _HANDLERS.get(type(node))
        if handler is None:
            name, instead = STATEMENTS.get(type(node), (type(node).__name__, ""))
            f.error("K101", node, f"{name} is not part of the language", f"`{name}` stands here", help=instead)
        else:
            handler(f, node)


# Assignments


def _assign(f: Lowering, node: ast.stmt) -> None:
    assert isinstance(node, ast.Assign)
    value = expressions.lower(f, node.value)
    for target in node.targets:
        _assign_to(f, target, value, node, node.value)


def _assign_to(f: Lowering, target: ast.expr, value: Result, node: ast.stmt, at: ast.expr) -> None:
    if isinstance(target, ast.Name):
        f.assign(target.id, value, node, at)
    elif isinstance(target, ast.Tuple):
        _unpack(f, target, value, node, at)
    elif isinstance(target, ast.Attribute | ast.Subscript):
        _store(f, target, value, at)
    else:
        f.error("K304", target, "this cannot be assigned", "not a variable, a field or an element")


def _unpack(f: Lowering, target: ast.Tuple, value: Result, node: ast.stmt, at: ast.expr) -> None:
    if isinstance(value, Typed) and isinstance(value.type, Unknown):
        items = tuple(value for _ in target.elts)
    elif isinstance(value, Tuple) and len(value.items) == len(target.elts):
        items = value.items
    else:
        given = len(value.items) if isinstance(value, Tuple) else 1
        f.error("K301", at, f"{len(target.elts)} variables take {given} value{'s' * (given != 1)}", describe(value))
        items = tuple(Typed(ops.Imm(0), UNKNOWN) for _ in target.elts)
    # `a, b = b, a`: a variable that is both read and assigned is copied out before any is overwritten.
    held = [_hold(f, item, at) if len(items) > 1 else item for item in items]
    for one, item in zip(target.elts, held, strict=True):
        _assign_to(f, one, item, node, at)


def _hold(f: Lowering, item: Typed, at: ast.expr) -> Typed:
    if not isinstance(item.value, ops.Reg) or f.build.registers[item.value.number].kind != "local":
        return item
    kind = f.build.registers[item.value.number].type
    copy = f.temp(kind)
    f.emit(ops.Copy(copy, item.value, f.at(at)))
    return Typed(copy, item.type)


def _store(f: Lowering, target: ast.Attribute | ast.Subscript, value: Result, at: ast.expr) -> None:
    found = expressions.place(f, target)
    if found is None:
        return
    address, kind = found
    if isinstance(kind, ir.StructRef | ir.Array):
        f.error("K304", target, f"`{f.text(target)}` is a whole {kind}, embedded in its owner", "it cannot be replaced",
                help="assign its fields, or make it a ptr[...]")  # fmt: skip
        return
    value = functions.pointer(f, value, kind)
    if not isinstance(value, Typed):
        f.error("K103", at, f"`{f.text(target)}` cannot hold this", describe(value))
        return
    if value.type == VOID:
        f.error("K301", at, "this call returns nothing", "and its value is stored")
        return
    source = f.coerce(value, kind, at, f"`{f.text(target)}`")
    f.step("store", "plain", address, target)
    f.store(address, source, kind, target)


def _declare(f: Lowering, node: ast.stmt) -> None:
    """`n: u8 = 0`."""
    assert isinstance(node, ast.AnnAssign)
    if not isinstance(node.target, ast.Name):
        f.error("K304", node.target, "only a variable is declared so", "a field's type stands in its struct")
        return
    if node.value is not None:
        f.assign(node.target.id, expressions.lower(f, node.value), node, node.value)


def declare_variables(f: Lowering, node: FunctionNode) -> None:
    """Enter all variables a function assigns, with the types it declares for them."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            f.variables.setdefault(part.id, Variable(UNKNOWN))
    for part in ast.walk(node):
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            kind = _annotation(f, part.annotation)
            if kind is not None:
                f.variables[part.target.id] = Variable(kind, part.annotation)


def _annotation(f: Lowering, node: ast.expr) -> ir.Scalar | None:
    names = dict(f.function.__globals__)
    closure = zip(f.function.__code__.co_freevars, f.function.__closure__ or (), strict=False)
    names.update({name: cell.cell_contents for name, cell in closure})
    try:
        value = eval(compile(ast.Expression(node), f.source.path, "eval"), names)  # noqa: S307 - the user's own file
        return calls.pointer_or_scalar(f.compiler.types.convert(resolve_type(value, names)))
    except Exception as problem:  # an annotation is the user's own code, and may raise anything
        f.error("K310", node, f"`{f.text(node)}` is not a type of the language", str(problem),
                help="a variable is one of s8..u64, bool, an Enum, ptr[STRUCT]")  # fmt: skip
        return None


def _augmented(f: Lowering, node: ast.stmt) -> None:
    """`x += e`: read x, evaluate e, write x, as Python orders it."""
    assert isinstance(node, ast.AugAssign)
    target = node.target
    if isinstance(target, ast.Name):
        old = _hold(f, expressions.typed(f, ast.copy_location(ast.Name(target.id, ast.Load()), target)), target)
        right = expressions.typed(f, node.value)
        f.assign(target.id, expressions.arithmetic(f, node.op, old, right, node), node, node)
        return
    found = expressions.place(f, target)
    if found is None:
        expressions.lower(f, node.value)
        return
    address, kind = found
    if isinstance(kind, ir.StructRef | ir.Array):
        f.error("K304", target, f"`{f.text(target)}` is a whole {kind}", "it cannot be computed with",
                help="for an atomic_t, use atomic_add(...) and its family")  # fmt: skip
        return
    loaded = f.plain_load(address, kind, target)
    result = expressions.arithmetic(f, node.op, loaded, expressions.typed(f, node.value), node)
    if not isinstance(result.type, Unknown):
        source = f.coerce(result, kind, node, f"`{f.text(target)}`")
        f.step("store", "plain", address, target)
        f.store(address, source, kind, target)


# Control flow


def _if(f: Lowering, node: ast.stmt) -> None:
    assert isinstance(node, ast.If)
    known = intrinsics.static_condition(f, node.test)
    if known is not None:
        if not f.vocabulary:
            f.compiler.table.decide(node, known)
        body(f, node.body if known else node.orelse)
        return
    yes, no, after = f.build.block(), f.build.block(), f.build.block()
    conditions.branch(f, node.test, yes, no, _outcomes(f))
    before, ends = f.assigned, []
    for block, nodes in ((yes, node.body), (no, node.orelse)):
        f.build.enter(block)
        f.assigned = before
        body(f, nodes)
        ends.append(f.assigned)
        f.jump(after, node)
    f.build.enter(after)
    f.meet(ends)


def _outcomes(f: Lowering) -> conditions.Outcomes:
    """What a branch decides for its statement: inside the vocabulary nothing, as the statement is then the user's call."""
    return conditions.UNDECIDED if f.vocabulary else conditions.DECIDES


def _no_else(f: Lowering, node: ast.For | ast.While) -> None:
    if node.orelse:
        f.error("K101", node.orelse[0], "`else` of a loop is not part of the language", "runs if the loop was not left by break",
                help="set a bool before `break` and test it after the loop")  # fmt: skip


def _while(f: Lowering, node: ast.stmt) -> None:
    assert isinstance(node, ast.While)
    _no_else(f, node)
    head, inside, leave = f.build.block(), f.build.block(), f.build.block()
    f.jump(head, node)
    f.build.enter(head)
    endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
    if endless:
        f.jump(inside, node)
    else:
        conditions.branch(f, node.test, inside, leave, _outcomes(f))
    loop = Loop(leave, head, len(f.cleanups), [None if endless else f.assigned])
    _loop_body(f, loop, inside, node)


def _loop_body(f: Lowering, loop: Loop, inside: int, node: ast.For | ast.While) -> None:
    f.build.enter(inside)
    f.loops.append(loop)
    body(f, node.body)
    f.loops.pop()
    if f.assigned is not None or not f.build.closed:
        f.jump(loop.again, node)
    f.build.enter(loop.leave)
    f.meet(loop.assigned_at_leave)


def _for(f: Lowering, node: ast.stmt) -> None:
    assert isinstance(node, ast.For)
    _no_else(f, node)
    if not isinstance(node.target, ast.Name):
        f.error("K309", node.target, "a for loop has one variable", "write `for i in ...`")
        return
    if isinstance(node.iter, ast.Call) and isinstance(node.iter.func, ast.Name) and node.iter.func.id == "range":
        bounds = _range(f, node.iter)
        if bounds is not None:
            _count(f, node, *bounds, lambda counter: Typed(counter, ir.S64))
        return
    if isinstance(node.iter, ast.Call) and _intrinsic(f, node.iter) in ("for_each_possible_cpu", "for_each_online_cpu"):
        _count(f, node, ops.Imm(0), ops.Imm(f.compiler.types.cpus), 1, lambda counter: Typed(counter, ir.S64))
        return
    name = lists.loop_over(f, node.iter)
    if name:
        _for_list(f, node, lists.walk(f, node.iter, name))
        return
    _for_each(f, node)


def _range(f: Lowering, node: ast.Call) -> tuple[ops.Value, ops.Value, int] | None:
    """Start, stop and step of a range, evaluated once; the step is a constant."""
    if not intrinsics.arguments(f, node, 1, 3, "range(low, high)"):
        return None
    values = [_fixed(f, f.coerce(expressions.typed(f, one), ir.S64, one, "a bound of range"), one) for one in node.args]
    step = values[2] if len(values) == 3 else ops.Imm(1)
    if not isinstance(step, ops.Imm) or step.value == 0:
        f.error("K103", node.args[2], "the step of a range is a constant that is not 0", "this is not one")
        return None
    start, stop = (ops.Imm(0), values[0]) if len(values) == 1 else (values[0], values[1])
    return start, stop, step.value


def _fixed(f: Lowering, value: ops.Value, node: ast.AST) -> ops.Value:
    """A copy of a variable, which the loop may change; Python evaluates the bounds once."""
    return _hold(f, Typed(value, ir.S64), node).value if isinstance(node, ast.expr) else value


def _count(
    f: Lowering, node: ast.For, start: ops.Value, stop: ops.Value, step: int, item: Callable[[ops.Value], Typed]
) -> None:
    """Run the body with a hidden counter from `start` to before `stop`; `item` makes the loop's variable of it."""
    assert isinstance(node.target, ast.Name)
    counter, more = f.temp(ir.S64), f.temp(ir.Bool())
    head, inside, again, leave = (f.build.block() for _ in range(4))
    f.emit(ops.Copy(counter, start, f.at(node)))
    f.jump(head, node)
    f.build.enter(head)
    f.emit(ops.Binary(more, "lt" if step > 0 else "gt", counter, stop, ir.S64, f.at(node)))
    f.emit(ops.Branch(more, inside, leave, f.at(node), *_outcomes(f)))
    f.build.enter(again)
    f.emit(ops.Binary(counter, "add", counter, ops.Imm(step), ir.S64, f.at(node)))
    f.jump(head, node)
    f.build.enter(inside)
    loop = Loop(leave, again, len(f.cleanups), [f.assigned])
    f.assign(node.target.id, item(counter), node, node.target)
    _loop_body(f, loop, f.build.position, node)


def _for_list(f: Lowering, node: ast.For, walk: lists.Walk | None) -> None:
    """Over the objects of a list."""
    if walk is None:
        return
    assert isinstance(node.target, ast.Name)
    head, inside, again, leave = (f.build.block() for _ in range(4))
    walk.begin()
    f.jump(head, node)
    f.build.enter(head)
    f.emit(ops.Branch(walk.more(), inside, leave, f.at(node), *_outcomes(f)))
    f.build.enter(again)
    walk.next()
    f.jump(head, node)
    f.build.enter(inside)
    loop = Loop(leave, again, len(f.cleanups), [f.assigned])
    f.assign(node.target.id, walk.item(), node, node.target)
    _loop_body(f, loop, f.build.position, node)


def _for_each(f: Lowering, node: ast.For) -> None:
    """Over the elements of an array: scalars are loaded, a step each; of objects the variable is a pointer."""
    tasks = _tasks(f, node.iter)
    if tasks is not None:
        array = ir.Array(f.compiler.task_pointer.target, len(tasks))
        base: ops.Value = ops.Imm(f.compiler.tasks + tasks.start * f.compiler.task_size)
    else:
        value = expressions.lower(f, node.iter)
        if isinstance(value, Typed) and isinstance(value.type, Unknown):
            return
        if not isinstance(value, Typed) or not isinstance(value.type, ir.Ptr) or not isinstance(value.type.target, ir.Array):
            f.error("K309", node.iter, "a for loop runs over a range or an array", describe(value), help="for i in range(n): ...")
            return
        array, base = value.type.target, value.value

    def item(counter: ops.Value) -> Typed:
        return expressions.from_place(f, expressions.element(f, base, array, counter, node.iter), array.element, node.iter)

    _count(f, node, ops.Imm(0), ops.Imm(array.length), 1, item)


def _tasks(f: Lowering, node: ast.expr) -> range | None:
    """The numbers of the tasks that `all_tasks()` or `callback_contexts()` names; None for anything else."""
    named = _intrinsic(f, node) if isinstance(node, ast.Call) else ""
    whole = range(f.compiler.task_count)
    return {"all_tasks": whole, "callback_contexts": whole[len(whole) - f.compiler.contexts :]}.get(named)


def _intrinsic(f: Lowering, node: ast.Call) -> str:
    """The name of the intrinsic that is called, or nothing."""
    if not isinstance(node.func, ast.Name) or node.func.id in f.variables:
        return ""
    target = f.lookup(node.func)
    return getattr(target.object, "__lockverse_intrinsic__", "") if isinstance(target, Constant) else ""


def _break(f: Lowering, node: ast.stmt) -> None:
    loop = f.loops[-1]
    _clean_up(f, loop.cleanups)
    loop.assigned_at_leave.append(f.assigned)
    f.jump(loop.leave, node)
    f.assigned = None


def _continue(f: Lowering, node: ast.stmt) -> None:
    loop = f.loops[-1]
    _clean_up(f, loop.cleanups)
    f.jump(loop.again, node)
    f.assigned = None


def _clean_up(f: Lowering, down_to: int) -> None:
    """Give back the locks of the `with` blocks that are being left, innermost first."""
    pending = f.cleanups[down_to:]
    kept = list(f.cleanups)
    while pending:
        del f.cleanups[-1]
        pending.pop()()
    f.cleanups[:] = kept


def _return(f: Lowering, node: ast.stmt) -> None:
    assert isinstance(node, ast.Return)
    values: tuple[Typed, ...] = ()
    if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
        found = expressions.lower(f, node.value)
        if isinstance(found, Constant):
            f.error("K103", node.value, "this cannot be returned", describe(found))
            found = Typed(ops.Imm(0), UNKNOWN)
        values = found.items if isinstance(found, Tuple) else () if found.type == VOID else (found,)
    values = tuple(_hold(f, value, node) for value in values) if f.cleanups else values  # type: ignore[arg-type]
    give_back(f, values, node)


def give_back(f: Lowering, values: tuple[Typed, ...], node: ast.AST) -> None:
    """End the function with these values."""
    _clean_up(f, 0)
    _record_results(f, values, node)
    kinds = f.results or []
    known = [value.value for value, kind in zip(values, kinds, strict=False) if f.result_type(kind) is not None]
    f.emit(ops.Return(tuple(known), f.at(node)))
    f.assigned = None


def _record_results(f: Lowering, values: tuple[Typed, ...], node: ast.AST) -> None:
    kinds = [value.type for value in values]
    f.returns.append(node)
    if f.results is None:
        f.results = kinds
        return
    joined = [join(a, b) for a, b in zip(f.results, kinds, strict=False)]
    if len(kinds) != len(f.results) or None in joined:
        _inconsistent(f, kinds, node)
    elif joined != f.results:
        f.results = [kind for kind in joined if kind is not None]
        f.changed = True


def _inconsistent(f: Lowering, kinds: list[ValueType], node: ast.AST) -> None:
    first = f.returns[0]
    if not kinds or not f.results:
        at = node if not kinds else first
        f.error("K307", at, f"`{f.node_name}` returns a value on another path, and nothing here", "nothing is returned",
                secondary=(f.label(first if at is node else node, "the other return"),))  # fmt: skip
    else:
        f.error("K301", node, f"`{f.node_name}` returns different types", "does not match the other return",
                secondary=(f.label(first, "the other return"),))  # fmt: skip


# The rest


def _expression(f: Lowering, node: ast.stmt) -> None:
    assert isinstance(node, ast.Expr)
    if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return
    value = expressions.lower(f, node.value)
    if isinstance(value, Constant) and isinstance(value.object, FunctionType):
        f.error("K103", node, "this names a function and does not call it", describe(value), help=f"write `{f.text(node)}()`")


def _assert(f: Lowering, node: ast.stmt) -> None:
    assert isinstance(node, ast.Assert)
    intrinsics.check(f, node.test, Reason.ASSERTION, node.msg, node)


def _pass(f: Lowering, node: ast.stmt) -> None:
    """Nothing."""


def _with(f: Lowering, node: ast.stmt) -> None:
    """`with lock:` for every type that says what takes it and what gives it back."""
    assert isinstance(node, ast.With)
    entered, statement = 0, f.statement
    for item in node.items:
        if item.optional_vars is not None:
            f.error("K101", item.optional_vars, "`with ... as` is not part of the language", "a lock gives no value")
        found = _held_by(f, item.context_expr)
        if found is None:
            continue
        value, take, give = found
        flags = _call_guard(f, take, (value,), item.context_expr)
        with_flags = (value, flags) if give.__code__.co_argcount > 1 else (value,)
        f.cleanups.append(_giving_back(f, give, with_flags, item.context_expr, statement))
        entered += 1
    body(f, node.body)
    reached = f.assigned is not None
    for _ in range(entered):
        give_last = f.cleanups.pop()
        if reached:
            give_last()


def _held_by(f: Lowering, node: ast.expr) -> tuple[Result, FunctionType, FunctionType] | None:
    """The lock that a `with` holds, what takes it and what gives it back; None if it holds none, which is reported."""
    named = _named_guard(f, node) if isinstance(node, ast.Call) else None
    if named is not None:
        assert isinstance(node, ast.Call)
        own = hasattr(named.take, "__lockverse_own_cpu__")
        value = percpu.argument(f, node.args[1]) if own else expressions.lower(f, node.args[1])
        return value, named.take, named.give  # type: ignore[return-value]
    value = expressions.lower(f, node)
    found = f.compiler.guard(value)
    if found is not None:
        return value, *found
    if not (isinstance(value, Typed) and isinstance(value.type, Unknown)):
        f.error("K301", node, "`with` takes a lock", describe(value), help=_two_ways(f, value, node))
    return None


def _named_guard(f: Lowering, node: ast.Call) -> guards.Guard | None:
    """The guard that `scoped_guard(rwsem_read, lock)` names; None for any other call, and for one that names none."""
    target = expressions.lower(f, node.func) if isinstance(node.func, ast.Name) else None
    if not isinstance(target, Constant) or target.object is not guards.scoped_guard:
        return None
    if len(node.args) != 2 or node.keywords:
        return None
    name = expressions.lower(f, node.args[0])
    return guards.guard_of(name.object) if isinstance(name, Constant) else None


def _two_ways(f: Lowering, value: Result, node: ast.expr) -> str:
    """What to write for a lock that can be held in two ways."""
    kind = value.type.target if isinstance(value, Typed) and isinstance(value.type, ir.Ptr) else None
    names = {"rwlock_t": "read_lock", "rw_semaphore": "rwsem_read"}
    name = names.get(kind.name) if isinstance(kind, ir.StructRef) else None
    return f"`with scoped_guard({name}, {f.text(node)}):`" if name else ""


def _giving_back(f: Lowering, give: FunctionType, values: tuple[Result, ...], node: ast.expr, statement: int) -> Callable[[], None]:
    """The way out of a `with`: wherever it happens, it belongs to the `with` itself."""

    def give_back() -> None:
        before, f.statement = f.statement, statement
        _call_guard(f, give, values, node)
        f.statement = before

    return give_back


def _call_guard(f: Lowering, function: FunctionType, values: tuple[Result, ...], node: ast.expr) -> Result:
    names = function.__code__.co_varnames
    return calls.emit_call(f, function, {name: calls.Argument(value, node) for name, value in zip(names, values, strict=False)}, node)


_HANDLERS: Final[dict[type[ast.stmt], Callable[[Lowering, ast.stmt], None]]] = {
    ast.Assign: _assign, ast.AnnAssign: _declare, ast.AugAssign: _augmented, ast.If: _if, ast.While: _while, ast.For: _for,
    ast.Break: _break, ast.Continue: _continue, ast.Return: _return, ast.Expr: _expression, ast.Assert: _assert,
    ast.Pass: _pass, ast.With: _with,
}  # fmt: skip
