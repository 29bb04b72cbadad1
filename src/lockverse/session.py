"""The one place that composes the rooms: from a target on the command line to outcomes, traces and dumps.

Nothing here prints. Raises Rejected for what is wrong with a scheme file, UsageError for what is wrong with a request.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from lockverse.check.deadlock import Deadlock
from lockverse.check.properties import Properties
from lockverse.check.spinning import Spinning
from lockverse.diagnostics.model import Diagnostic, Label, Place, Rejected, UsageError
from lockverse.diagnostics.suggest import nearest
from lockverse.engine import Options, search_all
from lockverse.explore.bounds import Bounds
from lockverse.explore.observer import Observer
from lockverse.explore.search import Failing, Progress, Result
from lockverse.frontend.load import load
from lockverse.frontend.scheme import SchemeFile, compile_scheme, schemes_in
from lockverse.ir.coverage import Contended, Fires, Item, Refused, Way
from lockverse.ir.ops import Step
from lockverse.ir.program import Linked, Program
from lockverse.ir.source import Origin, Statement
from lockverse.lang.scene import Parameter, scheme_parameters
from lockverse.machine.interpreter import Interpreter
from lockverse.machine.names import Names
from lockverse.machine.record import Ending, record, takings_of
from lockverse.passes.pipeline import link
from lockverse.passes.rest import Unclear, UnclearRest
from lockverse.report.steps import StepMark
from lockverse.report.verdict import Engine, Outcome
from lockverse.trace.model import Column, Reason, Trace, called
from lockverse.trace.serialize import FORMAT, TraceFormatError, dumps, loads
from lockverse.trace.verdict import Verdict


class Task(Struct, frozen=True):
    """One scheme to check, with one choice of its parameters."""

    file: SchemeFile
    scheme: str
    arguments: tuple[tuple[str, object], ...]

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        """The arguments as a reader writes them."""
        return tuple((name, show(value)) for name, value in self.arguments)


def show(value: object) -> str:
    """A parameter's value as it is written on a command line."""
    return value.name if isinstance(value, enum.Enum) else str(value)


# Targets


def files_of(target: str) -> tuple[list[Path], str | None]:
    """The files a target names, and the scheme after `::` if there is one. Raises UsageError if there are none."""
    name, _, scheme = target.partition("::")
    path = Path(name)
    if path.is_dir():
        if scheme:
            raise UsageError(f"{target}: a directory has no schemes of its own; name the file")
        found = [one for one in sorted(path.rglob("*.py")) if _is_scheme_file(one, path)]
        if not found:
            raise UsageError(f"{name}: no scheme file in this directory (a scheme file imports lockverse)")
        return found, None
    if not path.exists():
        raise UsageError(f"{name}: no such file or directory")
    return [path], scheme or None


def _is_scheme_file(path: Path, root: Path) -> bool:
    """Only files that mention lockverse and schemes are loaded: loading a file runs it."""
    if any(part.startswith((".", "__")) for part in path.relative_to(root).parts):
        return False
    try:
        text = path.read_bytes()
    except OSError:
        return False
    return b"lockverse" in text and b"@scheme" in text


def open_file(path: Path) -> SchemeFile:
    """Load a scheme file. Raises Rejected if it has no scheme, or cannot be loaded."""
    file = schemes_in(load(path.resolve(), str(path)), path.resolve(), str(path))
    if not file.schemes:
        raise Rejected((Diagnostic(
            "K003", "no scheme in this file", Label(Place(str(path), 0, 0, 0, 0)),
            help="mark the function that builds the scene with @scheme, or write one with `lockverse new NAME`",
        ),))  # fmt: skip
    return file


def tasks(file: SchemeFile, scheme: str | None, given: Mapping[str, str], every: bool) -> list[Task]:
    """What to check in a file: one scheme or all, with their default parameters, those `given`, or every combination.

    Raises Rejected for an unknown scheme, parameter or value.
    """
    if scheme is not None and scheme not in file.schemes:
        raise Rejected((_no_such_scheme(file, scheme),))
    names = [scheme] if scheme is not None else list(file.schemes)
    parameters = {name: _parameters(file, name) for name in names}
    known = {parameter.name for found in parameters.values() for parameter in found}
    for name in given:
        if name not in known:
            raise Rejected((_bad_parameter(file, names[0], f"no scheme here has a parameter `{name}`",
                                           f"the parameters are {', '.join(sorted(known)) or 'none'}"),))  # fmt: skip
    return [task for name in names for task in _choices(file, name, parameters[name], given, every)]


def _choices(
    file: SchemeFile, scheme: str, parameters: Sequence[Parameter], given: Mapping[str, str], every: bool
) -> Iterator[Task]:
    domains: list[Sequence[object]] = []
    for one in parameters:
        if one.name in given:
            domains.append([_value(file, scheme, one, given[one.name])])
        else:
            domains.append(one.domain if every else [one.default])
    for values in itertools.product(*domains):
        yield Task(file, scheme, tuple((one.name, value) for one, value in zip(parameters, values, strict=True)))


def _value(file: SchemeFile, scheme: str, parameter: Parameter, text: str) -> object:
    for value in parameter.domain:
        if text in (show(value), repr(value)):
            return value
    choices = ", ".join(show(value) for value in parameter.domain)
    raise Rejected((_bad_parameter(file, scheme, f"parameter `{parameter.name}` has no value {text}", f"its values are {choices}"),))


def _parameters(file: SchemeFile, scheme: str) -> tuple[Parameter, ...]:
    try:
        return scheme_parameters(file.schemes[scheme])
    except Exception as problem:  # an annotation is the user's own code, and may raise anything
        raise Rejected((_bad_parameter(file, scheme, str(problem), ""),)) from None


def _bad_parameter(file: SchemeFile, scheme: str, headline: str, help: str) -> Diagnostic:
    line = file.schemes[scheme].__code__.co_firstlineno
    return Diagnostic("K007", headline, Label(Place(file.shown, line, 1, line, 1)), help=help)


def _no_such_scheme(file: SchemeFile, scheme: str) -> Diagnostic:
    close = nearest(scheme, file.schemes)
    help = f"did you mean `{close}`?" if close else f"the schemes are {', '.join(file.schemes)}"
    return Diagnostic("K004", f"there is no scheme `{scheme}` in this file", Label(Place(file.shown, 0, 0, 0, 0)), help=help)


# Compiling and checking


def program_of(task: Task) -> Program:
    """Compile a scheme. Raises Rejected with all that is wrong with it."""
    return compile_scheme(task.file, task.scheme, dict(task.arguments))


def linked_of(task: Task) -> Linked:
    """What a machine runs of a scheme. Raises Rejected with all that is wrong with it."""
    program = program_of(task)
    try:
        return link(program)
    except UnclearRest as problem:
        found = dict.fromkeys(_unclear(program, one) for one in problem.found)
        raise Rejected(tuple(sorted(found, key=lambda one: one.primary.place))) from None


def _unclear(program: Program, one: Unclear) -> Diagnostic:
    here = _place(program, one.rest)
    if one.step is None:
        return Diagnostic("K311", "no step comes after this rest()", Label(here, "at rest before what?"),
                          help="put it just before the step that the CPU may never take")  # fmt: skip
    return Diagnostic(
        "K311", "this step is come to with a rest() and without", Label(_place(program, one.step), "at rest here, or not?"),
        (Label(here, "the rest()"),), "put `rest()` where every way to the step passes it, such as the start of a `while True:`",
    )  # fmt: skip


def _place(program: Program, origin: Origin) -> Place:
    span = origin.span
    return Place(program.statements[origin.statement].file, span.line, span.column, span.end_line, span.end_column)


def check(task: Task, bounds: Bounds, progress: Callable[[Progress], None], options: Options | None = None) -> Outcome:
    """Explore every interleaving of a scheme, as far as `bounds` let."""
    linked = linked_of(task)
    options = options or Options()
    result = search_all(linked, _observers if options.spinning else _safety, bounds, progress, options)
    return _outcome(task, linked, result, options)


def _safety(machine: Interpreter) -> list[Observer]:
    """What is wrong with a state."""
    return [Properties(machine, machine.linked.program.properties), Deadlock(machine.threads)]


def _observers(machine: Interpreter) -> list[Observer]:
    """All that is looked for."""
    return [*_safety(machine), Spinning(machine.at_rest)]


def _outcome(task: Task, linked: Linked, result: Result, options: Options) -> Outcome:
    verdict = Verdict.BROKEN if result.failing else Verdict.HOLDS if result.complete else Verdict.UNKNOWN
    counts = (result.states, result.transitions, result.depth, result.completed, result.seconds)
    outcome = Outcome(
        task.scheme, task.file.shown, task.shown, verdict, *counts,
        engine=_engine_of(result), shortest=result.shortest, spinning=options.spinning, findings=options.findings, exact=options.exact,
    )  # fmt: skip
    if result.bound is not None:
        return replace(outcome, bound=result.bound.name, bound_message=result.bound.message)
    if result.failing is None:
        never = _never(linked, result.never)
        outcome = replace(outcome, never=never)
        if options.strict and never:
            message = f"{never[0]}" + (f", and {len(never) - 1} more" if len(never) > 1 else "")
            return replace(outcome, verdict=Verdict.BROKEN, reason=Reason.NEVER_EXERCISED.value, message=message)
        return outcome
    failing = result.failing
    trace = record(linked, failing.schedule, _ending(failing), task.shown)
    return replace(
        outcome, reason=failing.reason.value, message=trace.failure.message, switches=failing.switches, trace=trace,
        also=tuple(record(linked, one.schedule, _ending(one), task.shown).failure.message for one in result.also),
    )


def _ending(failing: Failing) -> Ending:
    return Ending(failing.reason, failing.condition, failing.loop, failing.starter, failing.taking, failing.chain)


def _never(linked: Linked, items: Sequence[Item]) -> tuple[str, ...]:
    """What no execution does, in words: sides of conditions and trylocks in the order of the source, handlers, locks."""
    program = linked.program
    columns = [Column(one.title, one.cpu, (), one.context) for one in program.threads]
    names = Names(program).locks
    decided = {item.statement for item in items if isinstance(item, Way)}
    found: list[tuple[int, str, int, str]] = []
    for item in items:
        match item:
            case Way(statement, outcome):
                one = program.statements[statement]
                found.append((0, one.file, one.line, f"never {str(outcome).lower()}: {_shown(one)}"))
            case Refused(statement) if statement not in decided:  # else the condition it is in says so
                one = program.statements[statement]
                found.append((0, one.file, one.line, f"never fails: the trylock in {_shown(one)}"))
            case Fires(thread):
                found.append((1, "", thread, f"never fires: {called(columns, thread)}"))
            case Contended(lock):
                found.append((2, "", lock, f"never waited for: {names[lock]}"))
    return tuple(text for _, _, _, text in sorted(found))


def _shown(one: Statement) -> str:
    return f"`{one.text.rstrip(':')}` ({one.file}:{one.line})"


def _engine_of(result: Result) -> Engine:
    one = result.engine
    # Two of n states have one fingerprint of 127 bits with a chance of less than n * n / 2**128 (the birthday bound).
    omission = 0.0 if one.exact else result.states * result.states / 2.0**128
    return Engine(one.name, one.bits, one.cpu_seconds, one.compile_seconds, one.jobs, one.reductions, omission)


# Traces


def write_trace(trace: Trace, folder: Path, taken: set[str]) -> Path:
    """Write a trace to `folder`, named after its scheme. A file of that name that is no trace is left alone, and so are
    the names in `taken`, which gains the new one. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        path = folder / (f"{trace.scheme}.trace" if number == 1 else f"{trace.scheme}-{number}.trace")
        if path.name not in taken and (not path.exists() or _is_trace(path)):
            break
    taken.add(path.name)
    path.write_text(dumps(trace), encoding="utf-8")
    return path


def _is_trace(path: Path) -> bool:
    try:
        return FORMAT in path.read_bytes()[:200].decode(errors="replace")
    except OSError:
        return False


def read_trace(path: Path) -> Trace:
    """Read a trace file. Raises UsageError if it is none."""
    try:
        return loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        raise UsageError(f"{path}: cannot be read: {getattr(problem, 'strerror', None) or problem}") from None
    except TraceFormatError as problem:
        raise UsageError(f"{path}: {problem}") from None


def replay(trace: Trace, beside: Path) -> Trace:
    """Run a trace's schedule again in its scheme as it is now. The scheme's file is looked for where the trace says, then
    from the folder `beside`.

    Raises DoesNotFit if the scheme cannot follow, Rejected if it does not compile, UsageError if its file is gone.
    """
    path = next((one for one in (Path(trace.source), beside / trace.source) if one.is_file()), None)
    if path is None:
        raise UsageError(f"{trace.source}: the scheme's file is not there any more; run this where it is")
    file = open_file(path)
    found = tasks(file, trace.scheme, dict(trace.parameters), every=False)
    linked = linked_of(found[0])
    moves = [(event.thread, event.choice) for event in trace.events if event.kind != "start"]
    starter = next((event.thread for event in trace.events if event.kind == "start"), None)
    loop = trace.failure.loop
    body, rest = (moves, []) if loop is None else (moves[:loop], moves[loop:])
    own, *others = takings_of(linked, trace.failure.chain) or (None,)
    chain = tuple(zip((one.moves for one in trace.failure.chain[1:]), others, strict=False))
    ending = Ending(trace.failure.reason, trace.failure.condition, tuple(rest), starter, own, chain)
    return record(linked, body, ending, trace.parameters)


def steps_of(task: Task) -> list[StepMark]:
    """Every step of a scheme's code, by where it stands in the source."""
    linked = linked_of(task)
    marks = []
    for code in dict.fromkeys(linked.codes):
        for op in code.ops:
            if isinstance(op, Step):
                origin = linked.origins[op.at]
                statement = linked.program.statements[origin.statement]
                marks.append(StepMark(statement.file, origin.span.line, origin.span.column, op.kind))
    return marks
