"""Mutants of the modelled kernel: one lock, barrier, RCU section, grace period or trylock taken out.

A mutant is made from the source of a function: both ends of a pair go, a trylock becomes a success that takes nothing. It is applied as a
patch of whatever the scheme runs. Leaves out which must break: test_mutants.py.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from lockverse.frontend.source import Sources
from lockverse.lang import scene as lang_scene
from lockverse.lang.patch import replacements
from lockverse.lang.structs import Array

PAIRS = {
    "spin_lock": "spin_unlock", "mutex_lock": "mutex_unlock", "folio_lock": "folio_unlock", "folio_trylock": "folio_unlock", "lock_page_memcg": "unlock_page_memcg",
    "folio_memcg_lock": "folio_memcg_unlock", "pte_offset_map_lock": "pte_unmap_unlock", "rcu_read_lock": "rcu_read_unlock",
    "down_read": "up_read", "down_read_trylock": "up_read", "down_write": "up_write",
    "mutex_trylock": "mutex_unlock",
    "spin_lock_irq": "spin_unlock_irq", "spin_lock_irqsave": "spin_unlock_irqrestore", "raw_spin_lock_irqsave": "raw_spin_unlock_irqrestore",
}  # fmt: skip
ALONE = ("smp_mb", "synchronize_rcu")
_numbers = itertools.count()


@dataclass(frozen=True)
class Mutant:
    """What is taken out: calls by their text, of each function."""

    parts: tuple[tuple[FunctionType, tuple[str, ...]], ...]

    @property
    def name(self) -> str:
        """For a test's name, and for the list of excuses."""
        function, calls = self.parts[0]
        return f"{function.__name__}: {calls[0]}"


def reached(scene: lang_scene.Scene) -> list[FunctionType]:
    """All functions of the model that a scene's CPUs can call, in place of what they replace."""
    new = replacements(scene.patches)
    has = fields(scene)
    found: dict[FunctionType, None] = {}
    waiting = [cpu.function for cpu in scene.cpus]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, FunctionType) or (one.__module__ or "").startswith("lockverse.lang"):
            continue
        one = new.get(one, one)
        if one not in found:
            found[one] = None
            waiting += _called(one, has)
    return sorted(found, key=lambda one: (one.__module__, one.__code__.co_firstlineno))


def fields(scene: lang_scene.Scene) -> set[str]:
    """The names of all fields of the structs that a scene's CPUs are given, or that these lead to."""
    found: set[str] = set()
    seen: dict[int, Any] = {}
    waiting: list[Any] = [argument for cpu in scene.cpus for argument in (*cpu.args, *cpu.kwargs.values())]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        if isinstance(one, Array):
            waiting += one
        elif hasattr(type(one), "__lockverse_struct__"):
            names = list(type(one).__lockverse_struct__.fields)
            found.update(names)
            waiting += [getattr(one, name) for name in names]
    return found


class _Scene(ast.NodeTransformer):
    """What a scene has of a function: where it asks for a field with hasattr, that may be one of other structs only, as those of the simulator."""

    def __init__(self, has: set[str]) -> None:
        self.has = has

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        asks = isinstance(node.test, ast.Call) and isinstance(node.test.func, ast.Name) and node.test.func.id == "hasattr"
        if not asks:
            return node
        assert isinstance(node.test, ast.Call) and isinstance(node.test.args[1], ast.Constant)
        return node.body if node.test.args[1].value in self.has else node.orelse or [ast.Pass()]


def _of_a_scene(function: FunctionType, has: set[str]) -> ast.AST:
    found = Sources().find(function)
    assert found is not None
    return _Scene(has).visit(ast.parse(ast.unparse(found[1])))


def _called(function: FunctionType, has: set[str]) -> list[Any]:
    nodes = list(ast.walk(_of_a_scene(function, has)))
    texts = [node.id for node in nodes if isinstance(node, ast.Name)] + [node.attr for node in nodes if isinstance(node, ast.Attribute)]
    names = [function.__globals__.get(name) for name in texts]
    modules = [one for one in names if isinstance(one, ModuleType)]
    return names + [getattr(module, name, None) for module in modules for name in texts]


def mutants(function: FunctionType, has: set[str]) -> Iterator[Mutant]:
    """All mutants of one function, in a scene whose structs have these fields."""
    calls = [(node.func.id, ast.unparse(node)) for node in ast.walk(_of_a_scene(function, has)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    texts = {text for _, text in calls}
    for name, text in dict.fromkeys(calls):
        if name in ALONE:
            yield Mutant(((function, (text,)),))
        if name in PAIRS:
            other = PAIRS[name] + text.removeprefix(name)
            other = other.replace(")", ", flags)") if name.endswith("_irqsave") else other
            if other in texts:
                yield Mutant(((function, (text, other)),))


class _Remove(ast.NodeTransformer):
    def __init__(self, calls: tuple[str, ...]) -> None:
        self.calls = calls

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return ast.Pass() if ast.unparse(node.value) in self.calls else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        return ast.Constant(True) if ast.unparse(node) in self.calls else self.generic_visit(node)


def mutated(function: FunctionType, calls: tuple[str, ...], folder: Path) -> FunctionType:
    """The function without these calls, as a patch of what it stands for."""
    found = Sources().find(function)
    assert found is not None and isinstance(found[1], ast.FunctionDef)
    node = found[1]
    made = ast.FunctionDef(node.name, node.args, [_Remove(calls).visit(ast.parse(ast.unparse(one)).body[0]) for one in node.body], [], None)
    path = folder / f"mutant{next(_numbers)}.py"
    path.write_text(ast.unparse(ast.fix_missing_locations(made)) + "\n")
    code = compile(path.read_text(), str(path), "exec")
    inner = next(one for one in code.co_consts if hasattr(one, "co_code"))
    new = FunctionType(inner, function.__globals__, function.__name__, function.__defaults__)
    new.__module__ = function.__module__
    setattr(new, "__lockverse_patch__", getattr(function, "__lockverse_patch__", function))  # noqa: B010
    return new


@contextmanager
def mutation(mutant: Mutant, folder: Path) -> Iterator[None]:
    """Build scenes with a mutant in them."""
    patches = [mutated(function, calls, folder) for function, calls in mutant.parts]
    build = lang_scene.build

    def built(*arguments: Any) -> lang_scene.Scene:
        scene = build(*arguments)
        scene.patches.extend(patches)
        return scene

    lang_scene.build = built
    try:
        yield
    finally:
        lang_scene.build = build
