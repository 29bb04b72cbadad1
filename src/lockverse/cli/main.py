"""The command line: its grammar, and what happens when something goes wrong.

What only some commands need is loaded where it is used: `run` works without the checker. Leaves out the commands themselves.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from lockverse import __version__
from lockverse.diagnostics.model import Rejected, UsageError

from .output import Exit, complain, complain_of

EPILOG = """exit codes: 0 holds, 1 broken, 2 wrong usage, 3 unknown (a bound was hit),
4 the scheme does not compile or the workload cannot be run, 70 a fault of lockverse itself"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    if arguments is None:
        gc.freeze()  # what is loaded stays to the end: not looked at by each collection, a small check is 10 ms shorter
    parsed = _parser(sys.argv[1:] if arguments is None else arguments).parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names may be in letters the terminal does not have
    try:
        return int(parsed.run(parsed))
    except UsageError as problem:
        complain(str(problem))
        return Exit.USAGE
    except Rejected as problem:
        complain_of(problem.diagnostics)
        return Exit.REJECTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `| head` is no fault
        return Exit.HOLDS
    except KeyboardInterrupt:
        complain("interrupted")
        return Exit.UNKNOWN
    except Exception as problem:
        return _our_fault(problem)


def _our_fault(problem: Exception) -> int:
    """A fault of ours says that it is ours, and where, without a traceback (LOCKVERSE_DEBUG=1 shows it)."""
    import traceback  # slow to load, and mostly not needed

    last = traceback.extract_tb(problem.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    text = " ".join(str(problem).split())
    complain(f"error[K900]: this is a fault of lockverse, not of your scheme: {type(problem).__name__} at {where}: {text}")
    complain("please report it with the scheme; nothing it printed before this is a verdict")
    if os.environ.get("LOCKVERSE_DEBUG"):
        traceback.print_exception(problem)
    return Exit.OURS


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The grammar. Only the commands that `arguments` may mean have theirs: making all of them takes as long as a check."""
    parser = argparse.ArgumentParser(
        prog="lockverse", description="Runs a locking scheme through every interleaving.", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"lockverse {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, (file, help_, fill) in _COMMANDS.items():
        one = commands.add_parser(name, help=help_)
        one.set_defaults(run=_runner(file))
        if name in arguments:
            fill(one)
    return parser


def _runner(file: str) -> Callable[[argparse.Namespace], int]:
    """Runs the command of that file, which is loaded only then."""

    def run(options: argparse.Namespace) -> int:
        return int(importlib.import_module(f"lockverse.cli.{file}").run(options))

    return run


def _list(one: argparse.ArgumentParser) -> None:
    one.add_argument("targets", nargs="+", metavar="TARGET", help="a scheme file or a directory of them")


def _new(one: argparse.ArgumentParser) -> None:
    one.add_argument("name", metavar="NAME", help="the scheme's name; writes NAME.py")


def _check(one: argparse.ArgumentParser) -> None:
    one.add_argument("targets", nargs="+", metavar="TARGET", help="FILE, FILE::SCHEME or a directory")
    one.add_argument("--all", action="store_true", help="every combination of the schemes' parameters")
    one.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a value for a scheme's parameter")
    one.add_argument("--json", action="store_true", help="results as JSON")
    one.add_argument("--trace-dir", default=".", metavar="DIR", help="where traces of broken schemes are written (default: here)")
    one.add_argument("--no-trace", action="store_true", help="write no traces")
    _diagram(one)
    _engine(one)
    from msgspec.structs import fields

    from lockverse.explore.bounds import Bounds

    group = one.add_argument_group("bounds", "hitting one gives the verdict unknown and exit code 3; `none` lifts it")
    for field in fields(Bounds):
        group.add_argument(
            f"--max-{field.name}", type=_bound(field.name), default=field.default, metavar="N",
            help=f"{_BOUNDS[field.name]} (default: {'none' if field.default is None else format(field.default, ',')})",
        )  # fmt: skip


_BOUNDS = {
    "states": "distinct states", "depth": "steps of one execution", "seconds": "seconds of searching",
    "memory": "MiB of memory of this process", "ops": "operations inside one step",
}  # fmt: skip


def _engine(one: argparse.ArgumentParser) -> None:
    from lockverse.reduction import REDUCTIONS

    group = one.add_argument_group("the engine", "the verdict depends on none of these but --no-spinning and --no-findings, the counts on --reduce")
    group.add_argument(
        "--engine", choices=("auto", "reference", "native"), default="auto",
        help="the reference search, machine code, or (default) the one and, for larger schemes, the other",
    )  # fmt: skip
    group.add_argument(
        "--reduce", type=_reductions, default=REDUCTIONS, metavar="LIST",
        help=f"interleavings that need not be run: all (default), none, or some of {','.join(REDUCTIONS)}",
    )  # fmt: skip
    group.add_argument("--no-spinning", action="store_true", help="do not look for endless spinning")
    group.add_argument("--strict", action="store_true", help="a scheme is broken if a condition never comes out one way, a handler never fires, or a lock is never waited for")
    group.add_argument("--no-findings", action="store_true", help="do not look for data races and for locks taken in a wrong order or context")
    group.add_argument("--exact", action="store_true", help="tell states of more than 127 bits apart by all of them too, not by fingerprints: takes their size of memory more")
    group.add_argument("--jobs", type=_positive, default=0, metavar="N", help="threads that search, or schemes at a time (default: one a core, 8 at most)")


def _reductions(text: str) -> tuple[str, ...]:
    from lockverse.reduction import REDUCTIONS

    given = {"all": REDUCTIONS, "none": ()}.get(text, tuple(text.split(",")))
    for name in given:
        if name not in REDUCTIONS:
            raise argparse.ArgumentTypeError(f"no reduction is called {name!r}: write all, none, or some of {','.join(REDUCTIONS)}")
    return tuple(name for name in REDUCTIONS if name in given)


def _bound(name: str) -> Callable[[str], float | int | None]:
    def number(text: str) -> float | int | None:
        if text == "none" and name != "ops":
            return None
        value = float(text) if name == "seconds" else int(text.replace(",", "").replace("_", ""))
        if value <= 0:
            raise argparse.ArgumentTypeError("a bound is above 0")
        return value

    number.__name__ = "number"  # argparse names the type in its message
    return number


def _replay(one: argparse.ArgumentParser) -> None:
    one.add_argument("trace", metavar="TRACE", help="a trace file that `check` wrote")
    _diagram(one)


def _dump(one: argparse.ArgumentParser) -> None:
    from lockverse.passes.pipeline import STAGES

    one.add_argument("target", metavar="TARGET", help="FILE or FILE::SCHEME")
    what = one.add_mutually_exclusive_group(required=True)
    what.add_argument("--steps", action="store_true", help="the source with a mark at every step")
    what.add_argument("--ir", action="store_true", help="the intermediate representation, as the machine runs it")
    what.add_argument("--after", choices=STAGES, help="the intermediate representation after that pass")


def _diagram(one: argparse.ArgumentParser) -> None:
    from lockverse.report.formats import FORMATS
    from lockverse.report.text import WIDTH

    one.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="the race as a diagram, or as that tool of the kernel reports it")
    group = one.add_argument_group("the diagram")
    group.add_argument("--depth", type=_positive, metavar="N", help="levels of calls shown (default: where it matters)")
    group.add_argument("--columns", choices=("auto", "function", "cpu"), default="auto", help="what heads a column")
    group.add_argument("--tabs", action="store_true", help="separate columns by tabs, for a mail")
    group.add_argument("--width", type=_positive, default=WIDTH, metavar="N", help=f"wrap statements to fit (default: {WIDTH}; a mail has 75)")
    group.add_argument("--no-fold", action="store_true", help="show steps that have no part in the race too")
    group.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colour (default: on a terminal)")


def _run(one: argparse.ArgumentParser) -> None:
    one.add_argument("workload", nargs="?", metavar="WORKLOAD", help="a file of operations, or a recording as JSON")
    one.add_argument("--cgroup", type=int, choices=(1, 2), metavar="1|2", help="the version of cgroups, if the workload does not say (default: 1)")
    one.add_argument("-i", "--interactive", action="store_true", help="read operations from the terminal; after those of WORKLOAD, if one is given")
    one.add_argument("--random", type=int, metavar="SEED", help="make a workload, run it, and look after each operation whether the books agree")
    one.add_argument("--schedule", choices=("random",), help="run what several workers do at once, interleaved at the steps of the checker; needs no order but that of each worker")
    one.add_argument("--seed", type=int, metavar="N", help="which schedule (default: 0)")
    one.add_argument("--operations", type=_positive, metavar="N", help="so many operations of a random workload (default: 60)")
    group = one.add_argument_group("what is printed")
    group.add_argument("--tree", action="store_true", help="the groups as a tree with their charges, in place of the kernel's files")
    group.add_argument("--nonzero", action="store_true", help="leave out lines of memory.stat that are 0")
    group.add_argument("--trace", action="store_true", help="which of the kernel's functions ran for each operation, and how often")
    group.add_argument("--json", action="store_true", help="all answers as JSON, as recordings of a real kernel have them")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


_positive.__name__ = "number"

_COMMANDS: Final[dict[str, tuple[str, str, Callable[[argparse.ArgumentParser], None]]]] = {
    "check": ("check", "explore every interleaving: holds, or the shortest race as a diagram", _check),
    "run": ("run", "run a workload in the modelled kernel and print the groups' memory.stat", _run),
    "replay": ("replay", "run a recorded race again in the scheme as it is now", _replay),
    "dump": ("dump", "show a scheme's steps, or its intermediate representation", _dump),
    "list": ("listing", "list the schemes in files or directories", _list),
    "new": ("new", "write a small scheme to start from", _new),
}
