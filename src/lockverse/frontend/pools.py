"""kmalloc and kfree on the pools of a scene: which object is given out, which is taken back.

Both are parts of steps of lang/slab.py. They are written out object by object, so that every address in them is a constant.
Leaves out the check of accesses: passes/lifetimes.py.
"""

from __future__ import annotations

import ast

from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.ir.program import Pool
from lockverse.ir.reason import Reason
from lockverse.lang.scene import exhausted
from lockverse.lang.structs import declaration
from lockverse.lang.types import type_name

from . import expressions
from .lowering import Lowering, describe
from .types import VOID, Constant, Null, Result, Typed, Unknown


def allocate(f: Lowering, node: ast.Call) -> Result:
    """The free object of the pool of that struct with the lowest number."""
    kind = expressions.lower(f, node.args[0])
    if not isinstance(kind, Constant) or declaration(kind.object) is None:
        return f.error("K301", node, "kmalloc() takes a struct", describe(kind), help="n = kmalloc(node)")
    pool = f.compiler.pools.get(kind.object)  # type: ignore[call-overload]
    if pool is None:
        return no_pool(f, type_name(kind.object), node)
    result, after = f.temp(ir.Ptr(pool.type)), f.build.block()
    for address, allocated in pool.objects().items():
        take, following = f.build.block(), f.build.block()
        taken = f.load(ops.Imm(allocated), ir.Bool(), node)
        f.emit(ops.Branch(taken.value, following, take, f.at(node)))
        f.build.enter(take)
        f.store(ops.Imm(allocated), ops.Imm(1), ir.Bool(), node)
        f.emit(ops.Copy(result, ops.Imm(address), f.at(node)))
        f.jump(after, node)
        f.build.enter(following)
    message = exhausted(pool.name, kind.object, pool.count)  # type: ignore[arg-type]
    f.emit(ops.Check(ops.Imm(0), Reason.POOL_EXHAUSTED, message, f.at(node)))
    f.emit(ops.Copy(result, ops.Imm(0), f.at(node)))
    f.jump(after, node)
    f.build.enter(after)
    return Typed(result, ir.Ptr(pool.type))


def of_struct(f: Lowering, name: str) -> Pool | None:
    """The pool of a struct, if there is one."""
    return next((one for one in f.compiler.pools.values() if one.type.name == name), None)


def no_pool(f: Lowering, name: str, node: ast.AST) -> Typed:
    """Report a struct that has none."""
    return f.error("K313", node, f"there is no pool of {name}", "none is declared",
                   help=f"in the scheme, say how many there are at most: `pool({name}, 3)`")  # fmt: skip


def free(f: Lowering, node: ast.Call) -> Result:
    """Give an object back: all of it is zero then."""
    value = expressions.typed(f, node.args[0])
    if isinstance(value.type, Null | Unknown):
        return Typed(ops.Imm(0), VOID)
    if not isinstance(value.type, ir.Ptr) or not isinstance(value.type.target, ir.StructRef):
        return f.error("K301", node, "kfree() takes an object that kmalloc() gave", describe(value))
    pool = of_struct(f, value.type.target.name)
    if pool is None:
        return no_pool(f, value.type.target.name, node)
    give_back(f, value, pool, node)
    return Typed(ops.Imm(0), VOID)


def give_back(f: Lowering, value: Typed, pool: Pool, node: ast.AST) -> None:
    """Free the object of the pool that `value` points to; NULL is none."""
    after = f.build.block()
    for address, allocated in pool.objects().items():
        this, following = f.build.block(), f.build.block()
        _branch_if_equal(f, value, address, this, following, node)
        f.build.enter(this)
        name = f.compiler.memory.cells[address].name.partition(".")[0]
        taken = f.load(ops.Imm(allocated), ir.Bool(), node)
        f.emit(ops.Check(taken.value, Reason.DOUBLE_FREE, f"kfree() of {name}, which is free already", f.at(node)))
        _check_idle(f, range(address, address + pool.size), name, node)
        for cell in range(address, address + pool.size):
            if cell not in f.compiler.memory.constants:
                f.store(ops.Imm(cell), ops.Imm(0), f.compiler.memory.cells[cell].type, node)
        f.store(ops.Imm(allocated), ops.Imm(0), ir.Bool(), node)
        f.jump(after, node)
        f.build.enter(following)
    other = f.build.block()
    _branch_if_equal(f, value, 0, after, other, node)
    f.build.enter(other)
    f.emit(ops.Check(ops.Imm(0), Reason.DOUBLE_FREE, "kfree() of something that kmalloc() did not give", f.at(node)))
    f.jump(after, node)
    f.build.enter(after)


def _check_idle(f: Lowering, cells: range, name: str, node: ast.AST) -> None:
    """Nobody holds a lock in the object, and no rcu_head in it is queued: as lockdep and debug objects look at what is freed
    (debug_check_no_locks_freed() and debug_check_no_obj_freed() in mm/slub.c, Linux 6.12)."""
    memory = f.compiler.memory
    for lock in (one for one in memory.locks if one in cells):
        holder = memory.cells[lock].name.rpartition(".")[0]
        for cell in (lock, lock + 1) if memory.cells[lock + 1].name == f"{holder}.readers" else (lock,):
            _check_zero(f, cell, Reason.HELD_LOCK_FREED, f"kfree() of {name}, and {holder} is held", node)
    for number, head in enumerate(memory.heads[: f.compiler.contexts]):
        if head in cells:
            queued = f.compiler.callback_cell(number)
            _check_zero(f, queued, Reason.DOUBLE_FREE, f"kfree() of {name}, which call_rcu() or kfree_rcu() has queued", node)


def _check_zero(f: Lowering, cell: int, reason: Reason, message: str, node: ast.AST) -> None:
    kind, idle = f.compiler.memory.cells[cell].type, f.temp(ir.Bool())
    f.emit(ops.Binary(idle, "eq", f.load(ops.Imm(cell), kind, node).value, ops.Imm(0), kind, f.at(node)))
    f.emit(ops.Check(idle, reason, message, f.at(node)))


def _branch_if_equal(f: Lowering, value: Typed, address: int, yes: int, no: int, node: ast.AST) -> None:
    same = f.temp(ir.Bool())
    assert isinstance(value.type, ir.Ptr)
    f.emit(ops.Binary(same, "eq", value.value, ops.Imm(address), value.type, f.at(node)))
    f.emit(ops.Branch(same, yes, no, f.at(node)))
