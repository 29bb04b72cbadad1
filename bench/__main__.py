"""`python -m bench`: all tools on all cases in one run, and the report.

Writes results/results.md, results/results.json and the charts. Leaves out installing tools: one that is not there is
named, with how one gets it. Exit codes: 0 done, 1 a count or a verdict is wrong or nothing could be run, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from .cases import CASES
from .report import Session, charts, counts_report, markdown
from .runner import Run, run_all
from .startup import CASE, startup_tools
from .tools import TOOLS, Tool

RESULTS = Path(__file__).resolve().parent / "results"
_BIG = ("A2", "B2", "C4")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _names(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Run lockverse and other model checkers on the same models.")
    parser.add_argument("--repeat", type=int, metavar="N", help="runs of each tool on each case (default: 5; with --quick: 1)")
    parser.add_argument("--cases", type=_names, metavar="NAMES", help="only these, with commas between: A0,C1 (S0 is the start-up case)")
    parser.add_argument("--tools", type=_names, metavar="NAMES", help="only these, with commas between: spin,lockverse-1")
    parser.add_argument("--quick", action="store_true", help=f"one run of each, without {', '.join(_BIG)}")
    parser.add_argument("--limit", type=float, default=900.0, metavar="SECONDS", help="wall time of one run (default: 900)")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help="where the results go (default: bench/results)")
    parser.add_argument("--list", action="store_true", help="show cases and tools, and which tools are there")
    return parser


def _chosen(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Check the names and numbers, and fill in what was not said. Ends with code 2 on a mistake."""
    for what, known in (("cases", [*(case.name for case in CASES), CASE.name]), ("tools", [*(tool.name for tool in TOOLS), "python"])):
        for name in getattr(options, what) or ():
            if name not in known:
                parser.error(f"--{what}: there is no {what[:-1]} `{name}`; there are {', '.join(known)}")
    options.repeat = options.repeat if options.repeat is not None else 1 if options.quick else 5
    if options.repeat < 1:
        parser.error("--repeat: at least 1")
    if not options.limit > 0:
        parser.error("--limit: more than 0 seconds")
    if options.cases is None:
        options.cases = [case.name for case in (*CASES, CASE) if not (options.quick and case.name in _BIG)]


def _facts(tools: Sequence[Tool], before: str) -> dict[str, str]:
    versions = dict.fromkeys(tool.version() for tool in tools)
    return {
        "processor": f"{_processor()}, {os.cpu_count()} seen",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "load (1, 5, 15 minutes)": f"before {before}; after {_load()}",
        "versions": "; ".join(versions),
    }


def _load() -> str:
    return " ".join(f"{one:.2f}" for one in os.getloadavg())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor() or "unknown")


def _list(absent: dict[str, str]) -> None:
    for case in (*CASES, CASE):
        sys.stdout.write(f"{case.name:4} {case.title} ({', '.join(case.groups)})\n")
    sys.stdout.write("\n")
    for tool in TOOLS:
        sys.stdout.write(f"{tool.name:20} {tool.title}: {absent.get(tool.name, 'is there')}\n")


def _write(session: Session, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"results.md": markdown(session), **charts(session)}
    raw = {"facts": session.facts, "absent": session.absent, "repeat": session.repeat, "limit": session.limit,
           "runs": [run.as_json() for run in session.runs]}  # fmt: skip
    pages["results.json"] = json.dumps(raw, indent=1) + "\n"
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


def _run(options: argparse.Namespace, absent: dict[str, str]) -> Session:
    wanted = options.tools
    there = [tool for tool in TOOLS if tool.name not in absent and (wanted is None or tool.name in wanted)]
    before = _load()
    runs: list[Run] = []
    cases = [case for case in CASES if case.name in options.cases]
    runs += run_all(there, cases, options.repeat, options.limit, _say)
    beside = [tool for tool in startup_tools() if tool.missing() is None and (wanted is None or tool.name in wanted)]
    if CASE.name in options.cases:
        runs += run_all(beside, [CASE], options.repeat, options.limit, _say)
    return Session(runs, _facts(there, before), absent, options.repeat, options.limit)


def _end(*_: object) -> None:
    """Leave as an exception does, so that a tool that is running is ended too; a second signal changes nothing."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; gives the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _chosen(parser, options)
    absent = {tool.name: why for tool in TOOLS if (why := tool.missing()) is not None}
    if options.list:
        _list(absent)
        return 0
    for name, why in absent.items():
        if options.tools is None or name in options.tools:
            _say(f"not run: {name}: {why}")
    signal.signal(signal.SIGTERM, _end)
    session = _run(options, absent)
    if not session.runs:
        _say("nothing was run: no chosen tool is there, or none takes these cases")
        return 1
    _write(session, options.out)
    _say(f"results: {os.path.relpath(options.out / 'results.md')}")
    wrong = [line for line in counts_report(session.runs) if "MUST NOT" in line or "the verdict is" in line]
    for line in wrong:
        _say(line)
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
