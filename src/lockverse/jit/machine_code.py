"""LLVM IR text to callable machine code, by llvmlite, with objects kept in the cache.

llvmlite is imported when code is first compiled or loaded: it costs more than all else here. LLVM's verifier sees every
module, on the way to an object. Left out: writing IR, and calling: a `Library` gives addresses and ctypes functions.

Measured (CPU seconds, one core of an EPYC with Zen 4 cores, llvmlite 0.50; the kernel is the search's, two words a state):
to import and set up llvmlite 0.024 (0.04 to 0.1 with its file not in memory); to compile with `quick` 0.073, `fast` 0.19,
`full` 0.53; to load the object from the cache 0.001, and to lower the text that its key is made of 0.015.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import itertools
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from . import cache

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT = "1"  # of what goes into a key, and of the passes below: change it with them
CODE_LEVELS = {"quick": 0, "fast": 1, "full": 2}  # of LLVM's code generator
Level = Literal["quick", "fast", "full"]

_numbers = itertools.count()


class RejectedByLLVM(Exception):
    """LLVM did not take IR text that we wrote: a mistake of ours."""


class Library(Struct, frozen=True):
    """Loaded machine code: it stays loaded as long as this object lives."""

    _tracker: Any  # llvmlite has no types
    _jit: Any
    from_cache: bool

    def address(self, name: str) -> int:
        """Where an exported function is."""
        return int(self._tracker[name])

    def function(self, name: str, arguments: int) -> Callable[..., int]:
        """The function to call from Python; it keeps the library alive, and a call releases the interpreter's lock."""
        kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * arguments)
        function: Callable[..., int] = kind(self.address(name))
        function.library = self  # type: ignore[attr-defined]  # so that the code lives as long as what calls it
        return function


def compile(text: str, level: Level, exports: tuple[str, ...] | None = None) -> Library:
    """Compile IR text, or take its object from the cache, and load it. `exports` are the functions to have addresses of:
    all that the text defines and does not keep internal, if not given."""
    return compile_written(lambda: text, text, level, exported(text) if exports is None else exports)


def compile_written(write: Callable[[], str], source: str, level: Level, exports: tuple[str, ...]) -> Library:
    """The same for text that is only written if its object is not in the cache, where it is known by `source`: all that the text is
    made from."""
    found = _kept(source, level, exports)
    if found is not None:
        return found
    made = _object(write(), level)
    cache.write(_key(source, level), made)
    return _load(made, exports, from_cache=False)


def compile_soon(write: Callable[[], str], source: str, best: Level, exports: tuple[str, ...]) -> tuple[Library, bool]:
    """The same at the level `best` if that object is in the cache; else code that is slower, and there in a fraction of the time. Whether
    it is the best."""
    found = _kept(source, best, exports)
    return (found, True) if found is not None else (compile_written(write, source, "quick", exports), best == "quick")


def _kept(source: str, level: Level, exports: tuple[str, ...]) -> Library | None:
    """The object that is in the cache."""
    kept = cache.read(_key(source, level))
    if kept is None:
        return None
    try:
        return _load(kept, exports, from_cache=True)
    except RuntimeError:  # whole, and still not an object that LLVM takes
        return None


def exported(text: str) -> tuple[str, ...]:
    """The functions that IR text defines and does not keep internal."""
    heads = (line for line in text.splitlines() if line.startswith("define i64 @"))
    return tuple(line[len("define i64 @") : line.index("(")] for line in heads)


def _key(text: str, level: Level) -> str:
    llvm, (cpu, features) = _llvm(), _host()
    import llvmlite  # type: ignore[import-untyped]

    parts = (FORMAT, llvmlite.__version__, str(llvm.llvm_version_info), llvm.get_process_triple(), cpu, features, level, text)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@functools.cache
def _llvm() -> Any:
    import llvmlite.binding as llvm  # type: ignore[import-untyped]

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@functools.cache
def _host() -> tuple[str, str]:
    """The processor and what it can do."""
    llvm = _llvm()
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def brings_bits_together() -> bool:
    """Whether the processor has pext, and not as a loop over the bits, as AMD's had it before Zen 3."""
    cpu, features = _host()
    return "+bmi2" in features.split(",") and cpu not in ("bdver4", "znver1", "znver2")


def _machine(level: int) -> Any:
    llvm, (cpu, features) = _llvm(), _host()
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(cpu=cpu, features=features, opt=level)


@functools.cache
def _jit() -> Any:
    return _llvm().create_lljit_compiler(_machine(0))


def _object(text: str, level: Level) -> bytes:
    llvm = _llvm()
    machine = _machine(CODE_LEVELS[level])
    try:
        module = llvm.parse_assembly(text)
        module.verify()
    except RuntimeError as error:
        raise RejectedByLLVM(f"LLVM rejects IR of ours: {error}") from error
    module.triple = llvm.get_process_triple()
    module.data_layout = str(machine.target_data)
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    passes = builder.getModulePassManager() if level == "full" else _few_passes(llvm, level)
    passes.run(module, builder)
    module.verify()
    return bytes(machine.emit_object(module))


def _few_passes(llvm: Any, level: Level) -> Any:
    """What does most of the work of -O2 in a fraction of its time."""
    passes = llvm.create_new_module_pass_manager()
    steps: list[Callable[[], None]] = [passes.add_always_inliner_pass, passes.add_sroa_pass, passes.add_simplify_cfg_pass]
    if level == "fast":
        steps += [passes.add_instruction_combine_pass, passes.add_simplify_cfg_pass]
    for step in steps:
        step()
    return passes


def _load(made: bytes, names: tuple[str, ...], from_cache: bool) -> Library:
    # The process is there for memset and its like, which LLVM's passes may call.
    builder = _llvm().JITLibraryBuilder().add_object_img(made).add_current_process()
    for name in names:
        builder.export_symbol(name)
    jit = _jit()
    return Library(builder.link(jit, f"lockverse.{next(_numbers)}"), jit, from_cache)
