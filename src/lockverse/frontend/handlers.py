"""The code round a handler: it waits to begin, runs the scheme's function, ends, and perhaps begins again. A kernel thread only ends.

How it begins and ends are functions of the vocabulary (lang/handlers.py). Before it begins it is at rest: nothing says that it
ever will; but one that has been asked for is not. Leaves out where it may begin: passes/contexts.py.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING

from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.lang.scene import CpuDeclaration

from .builder import Builder
from .lowering import ATOMIC, PRIMITIVE, Lowering
from .types import Result, Typed

if TYPE_CHECKING:
    from .compiler import Compiler, Instance


def handler(compiler: Compiler, cpu: CpuDeclaration, body: Instance, probe: Lowering) -> str:
    """Make the function that a handler's thread runs and give its name. Its parameters are those of `body`, the compiled
    function of the scheme; `probe` stands for that function where an origin is needed."""
    assert cpu.leave is not None
    at, build = probe.at(probe.node), Builder()
    inner = compiler.functions[body.name]
    parameters = tuple(build.register(one.name, one.type, "param") for one in inner.registers[: inner.parameters])
    left = build.register("left", ir.S64, "temp")
    more, again = build.register("more", ir.Bool(), "temp"), build.block()
    if cpu.times > 1:
        build.emit(ops.Copy(left, ops.Imm(cpu.times), at))
    build.emit(ops.Jump(again, at))
    build.enter(again)
    if cpu.enter is not None:
        build.emit(ops.Rest(at))
        _call(compiler, build, cpu, cpu.enter, probe)
    dsts = tuple(build.register(f"result{i}", kind, "temp") for i, kind in enumerate(inner.results))
    build.emit(ops.Call(dsts, body.name, parameters, at))
    _call(compiler, build, cpu, cpu.leave, probe)
    if cpu.times > 1:
        end = build.block()
        build.emit(ops.Binary(left, "sub", left, ops.Imm(1), ir.S64, at))
        build.emit(ops.Binary(more, "gt", left, ops.Imm(0), ir.S64, at))
        build.emit(ops.Branch(more, again, end, at))
        build.enter(end)
    build.emit(ops.Return((), at) if cpu.times else ops.Jump(again, at))
    name = compiler.unique(f"{body.name} as a handler")
    compiler.functions[name] = build.finish(name, (), inner.parameters, observer=False, primitive=False)
    return name


def _call(compiler: Compiler, build: Builder, cpu: CpuDeclaration, function: Callable[..., object], probe: Lowering) -> None:
    """Call how the handler begins or ends, with the object that asks for it if there is one."""
    assert isinstance(function, FunctionType)
    values: dict[str, Result] = {}
    if cpu.request is not None:
        kind = ir.Ptr(compiler.types.object_type(cpu.request))
        values = {function.__code__.co_varnames[0]: Typed(ops.Imm(compiler.memory.address(cpu.request)), kind)}
    mode = PRIMITIVE if hasattr(function, "__lockverse_step__") else ATOMIC
    instance = compiler.instance(probe, function, values, mode, probe.node)
    assert instance is not None  # the vocabulary compiles
    passed = tuple(one.value for one in values.values() if isinstance(one, Typed))
    build.emit(ops.Call((), instance.name, passed, probe.at(probe.node)))


def asked_for(compiler: Compiler, cpu: CpuDeclaration) -> int:
    """The cell that says that an IPI, a timer or a work item has been asked for (Thread.pending); 0 for what nobody asks for."""
    if cpu.request is None:
        return 0
    kind = compiler.types.object_type(cpu.request)
    assert isinstance(kind, ir.StructRef)
    field = compiler.types.structs[kind.name].field("pending")
    assert field is not None
    return compiler.memory.address(cpu.request) + field.offset
