"""The tools: how each is found, run on a case, and read. A run is a row of stages; the last one is the search.

Every run starts in an empty folder, so that nothing is left from an earlier one. Leaves out measuring (measure.py) and
installing: a tool that is not there says how one gets it.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from .cases import BROKEN, HOLDS, LINUX, Case, defines, scheme

HERE = Path(__file__).resolve().parent
PEERS, MODELS = HERE / "peers", HERE / "models"
REFERENCE_LIMIT = 60_000  # states: what the reference engine is asked to search


@dataclass(frozen=True, slots=True)
class Stage:
    """One command of a run."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What a tool said: None for what it does not say. `cpu` and `wall` are of its search alone, if it knows better
    than its last stage's whole time."""

    verdict: str
    states: int | None = None
    transitions: int | None = None
    state_bytes: float | None = None
    cpu: float | None = None
    wall: float | None = None
    says_cpu: bool = False  # the tool tells its search's time itself: None is then "not known"
    engine: Mapping[str, object] = field(default_factory=dict)


class Unreadable(Exception):
    """A tool's output has no verdict in it: shows the end of it."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool with one choice of options."""

    name: str
    title: str
    groups: tuple[str, ...]
    missing: Callable[[], str | None]  # why it cannot run and how one gets it; None if it can
    version: Callable[[], str]
    stages: Callable[[Case], tuple[Stage, ...]]
    read: Callable[[str], Found]
    takes: Callable[[Case], bool] = lambda case: case.model != LINUX
    same_grain: bool = True
    reduces: bool = False


@cache
def _said(*command: str) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return ran.stdout + ran.stderr


def _first_line(*command: str) -> str:
    lines = [line.strip() for line in _said(*command).splitlines() if line.strip()]
    return lines[0] if lines else "-"


def _number(pattern: str, text: str) -> int | None:
    found = re.search(pattern, text)
    return int(found[1].replace(",", "")) if found else None


def _unreadable(text: str) -> Unreadable:
    return Unreadable(" / ".join(line.strip() for line in text.strip().splitlines()[-3:]) or "it said nothing")


# SPIN


def _spin_missing() -> str | None:
    absent = [program for program in ("spin", "gcc") if shutil.which(program) is None]
    return f"{' and '.join(absent)} not found: `apt-get install spin gcc`, or https://spinroot.com" if absent else None


def _spin(case: Case, *options: str) -> tuple[Stage, ...]:
    model = str(PEERS / "promela" / f"{case.model}.pml")
    slots = max(18, math.ceil(math.log2(case.states or 1 << 20)))
    compile = ("gcc", "-O2", "-DSAFETY", "-DMEMLIM=20000", *options, "-o", "pan", "pan.c")
    return (
        Stage("generate", ("spin", *defines(case), "-a", model)),
        Stage("compile", compile),
        Stage("search", ("./pan", f"-m{case.depth}", f"-w{slots}")),
    )


def read_spin(text: str) -> Found:
    """What pan said. Raises Unreadable."""
    states = _number(r"(\d+) states, stored", text)
    errors = _number(r"errors: (\d+)", text)
    if states is None or errors is None or "max search depth too small" in text or ("Search not completed" in text and not errors):
        raise _unreadable(text)
    edges = _number(r"(\d+) transitions \(", text)
    stored = re.search(r"([\d.]+)\s+actual memory usage for states", text)
    each = float(stored[1]) * 2**20 / states if stored and states > 10_000 else None
    return Found(BROKEN if errors else HOLDS, states, None if edges is None else edges - 1, each)


def _spin_version() -> str:
    return f"{_first_line('spin', '-V')}; {_first_line('gcc', '--version')}"


# rumur


def _rumur_missing() -> str | None:
    absent = [program for program in ("rumur", "gcc") if shutil.which(program) is None]
    return f"{' and '.join(absent)} not found: `apt-get install rumur gcc`, or https://github.com/Smattr/rumur" if absent else None


def _rumur(case: Case) -> tuple[Stage, ...]:
    model = str(PEERS / "murphi" / f"{case.model}.m")
    deadlock = "off" if case.ends else "stuck"
    return (
        Stage("preprocess", ("gcc", "-E", "-P", "-w", "-x", "c", *defines(case), model, "-o", "model.m")),
        Stage("generate", ("rumur", "model.m", "-o", "model.c", "--threads", "1", "--symmetry-reduction", "off",
                           "--deadlock-detection", deadlock)),
        Stage("compile", ("gcc", "-O3", "-march=native", "-w", "-o", "model", "model.c", "-lpthread")),
        Stage("search", ("./model",)),
    )  # fmt: skip


def read_rumur(text: str) -> Found:
    """What a checker made by rumur said. Raises Unreadable."""
    states = _number(r"(\d+) states, \d+ rules fired", text)
    if states is None or not re.search(r"No error found|error\(s\) found", text):
        raise _unreadable(text)
    bytes_ = _number(r"rounded up to (\d+) bytes", text)
    return Found(HOLDS if "No error found" in text else BROKEN, states, _number(r"states, (\d+) rules fired", text), bytes_)


# TLC and Harmony


def _tlc_jar() -> str | None:
    jar = os.environ.get("TLA2TOOLS_JAR")
    return jar if jar and Path(jar).is_file() else None


def _tlc_missing() -> str | None:
    if shutil.which("java") is None:
        return "java not found: `apt-get install default-jre-headless`, and tla2tools.jar as below"
    if _tlc_jar() is None:
        return "tla2tools.jar not found: get it from https://github.com/tlaplus/tlaplus/releases and set TLA2TOOLS_JAR to its path"
    return None


_INVARIANTS = {"m1": ("NoUnderflow", "Quiescent"), "m2": ("Mutex",), "m3": (), "m4": ("NotTwice", "TopFree")}


def tlc_config(case: Case) -> str:
    """The configuration file TLC wants beside a model."""
    parameters = {"N": case.parameters.get("N", 0), "BUG": 0} if case.model == "m2" else case.parameters
    constants = "\n".join(f"  {name} = {value}" for name, value in parameters.items())
    invariants = "".join(f"INVARIANT {name}\n" for name in _INVARIANTS[case.model])
    return f"SPECIFICATION Spec\nCONSTANTS\n{constants}\n{invariants}"


def _tlc(case: Case) -> tuple[Stage, ...]:
    name = case.model.upper()
    copy = f"import shutil; shutil.copy({str(PEERS / 'tla' / (name + '.tla'))!r}, '.')"
    write = f"{copy}; open({name + '.cfg'!r}, 'w').write({tlc_config(case)!r})"
    no_deadlocks = ("-deadlock",) if case.ends else ()
    return (
        Stage("generate", (sys.executable, "-c", write)),
        Stage("search", ("java", "-XX:+UseParallelGC", "-cp", _tlc_jar() or "", "tlc2.TLC", "-workers", "1", *no_deadlocks, name)),
    )


def read_tlc(text: str) -> Found:
    """What TLC said. Raises Unreadable."""
    counts = re.findall(r"(\d[\d,]*) states generated.*?(\d[\d,]*) distinct states found", text)
    if not counts or not re.search(r"No error has been found|Error:", text):
        raise _unreadable(text)
    generated, distinct = (int(number.replace(",", "")) for number in counts[-1])
    return Found(HOLDS if "No error has been found" in text else BROKEN, distinct, generated - 1)


def _harmony_missing() -> str | None:
    if shutil.which("harmony") is None:
        return "harmony not found: https://harmony.cs.cornell.edu"
    return None


def _harmony(case: Case) -> tuple[Stage, ...]:
    drop = {"m4": (), "m2": ("BUG",)}.get(case.model, ())
    constants = [part for name, value in case.parameters.items() if name not in drop for part in ("-c", f"{name}={value}")]
    model = "m3once" if case.model == "m3" and not case.parameters["ASYM"] else case.model
    return (Stage("search", ("harmony", "--noweb", *constants, str(PEERS / "harmony" / f"{model}.hny"))),)


def read_harmony(text: str) -> Found:
    """What Harmony said. Raises Unreadable."""
    states = _number(r"(\d+) states", text)
    if states is None:
        raise _unreadable(text)
    return Found(HOLDS if re.search(r"[Nn]o issues", text) else BROKEN, states)


# lockverse


@cache
def lockverse_options() -> frozenset[str]:
    """The options that `lockverse check` has."""
    return frozenset(re.findall(r"--[a-z][a-z-]*", _said(sys.executable, "-m", "lockverse", "check", "--help")))


def _lockverse_missing(*options: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        if "--json" not in lockverse_options():
            return "lockverse does not run in this Python: `pip install .` in the project's folder"
        absent = [option for option in options if option not in lockverse_options()]
        return f"this lockverse has no option {', '.join(absent)} yet" if absent else None

    return missing


def _lockverse(*options: str) -> Callable[[Case], tuple[Stage, ...]]:
    def stages(case: Case) -> tuple[Stage, ...]:
        file, name, parameters = scheme(case)
        given = [part for key, value in parameters.items() for part in ("--param", f"{key}={value}")]
        bounds = [part for bound in ("states", "seconds", "memory", "depth") for part in (f"--max-{bound}", "none")]
        target = f"{MODELS / file}::{name}"
        return (Stage("search", (sys.executable, "-m", "lockverse", "check", target, *given, *bounds, "--json", "--no-trace", *options)),)

    return stages


def _optional(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def read_lockverse(text: str) -> Found:
    """What `lockverse check --json` said. Raises Unreadable."""
    start = text.find("{")
    try:
        results = json.JSONDecoder().raw_decode(text[start:])[0]["results"] if start >= 0 else []
    except (ValueError, KeyError):
        raise _unreadable(text) from None
    if len(results) != 1 or results[0]["verdict"] not in (HOLDS, BROKEN):
        raise _unreadable(str(results[0].get("bound_message")) if results else text)
    one = results[0]
    engine = one.get("engine") or {}
    bits = _optional(engine.get("bits"))
    packed = None if bits is None else math.ceil(bits / 8)
    return Found(
        one["verdict"], one.get("states"), one.get("transitions"), _optional(engine.get("bytes_per_state")) or packed,
        _optional(engine.get("cpu_seconds")), _optional(one.get("seconds")), True, engine,
    )  # fmt: skip


def _lockverse_version() -> str:
    return _first_line(sys.executable, "-m", "lockverse", "--version")


def _reference(case: Case) -> tuple[Stage, ...]:
    return _lockverse(*(("--engine", "reference", "--reduce", "none") if "--engine" in lockverse_options() else ()))(case)


def _small(case: Case) -> bool:
    """Whether the reference engine does that in seconds."""
    return (case.states or 10**9) <= REFERENCE_LIMIT or case.name in ("L1", "C3")


_NATIVE = ("--engine", "native")


def _lockverse_tool(name: str, title: str, groups: tuple[str, ...], *options: str, **more: Any) -> Tool:
    needed = [option for option in options if option.startswith("--")]
    known: dict[str, Any] = {"takes": lambda case: True} | more
    return Tool(name, title, groups, _lockverse_missing(*needed), _lockverse_version, _lockverse(*options), read_lockverse, **known)


_ALL = ("raw", "verdict", "growth")
TOOLS = (
    Tool("spin", "SPIN, depth first, no reduction", ("raw", "growth"), _spin_missing, _spin_version,
         lambda case: _spin(case, "-DNOREDUCE"), read_spin),
    _lockverse_tool("lockverse-1", "lockverse, native, no reduction, 1 thread", ("raw", "growth"), *_NATIVE, "--reduce", "none", "--no-spinning", "--jobs", "1"),
    Tool("spin-bfs", "SPIN, breadth first, no reduction", ("raw",), _spin_missing, _spin_version,
         lambda case: _spin(case, "-DNOREDUCE", "-DBFS"), read_spin),
    _lockverse_tool("lockverse-2", "lockverse, native, no reduction, 2 threads", ("raw",), *_NATIVE, "--reduce", "none", "--no-spinning", "--jobs", "2"),
    Tool("rumur", "rumur, no symmetry, 1 thread", _ALL, _rumur_missing, lambda: _first_line("rumur", "--version"), _rumur, read_rumur),
    Tool("tlc", "TLC, 1 worker", ("raw", "verdict"), _tlc_missing, lambda: _first_line("java", "-version"), _tlc, read_tlc),
    Tool("harmony", "Harmony (its own grain)", ("verdict",), _harmony_missing, lambda: _first_line("harmony", "--version"), _harmony,
         read_harmony, same_grain=False, reduces=True),
    Tool("spin-por", "SPIN, depth first, partial-order reduction", ("verdict", "growth"), _spin_missing, _spin_version,
         _spin, read_spin, reduces=True),
    Tool("spin-bfs-por", "SPIN, breadth first, partial-order reduction: a shortest race", ("verdict",), _spin_missing, _spin_version,
         lambda case: _spin(case, "-DBFS"), read_spin, takes=lambda case: case.verdict == BROKEN, reduces=True),
    _lockverse_tool("lockverse", "lockverse as it comes", ("verdict", "growth"), reduces=True,
                    takes=lambda case: "--engine" in lockverse_options() or _small(case)),
    Tool("lockverse-reference", "lockverse, reference engine (small cases only)", ("raw", "growth"),
         _lockverse_missing(), _lockverse_version,
         _reference,
         read_lockverse, takes=_small),
)  # fmt: skip
