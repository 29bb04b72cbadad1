"""The command, as a user runs it: output, files, exit codes, and what it says when the request makes no sense."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lockverse.cli import check as check_command

from ..support import ROOT, SCHEMES, run, scheme_text

LOST = scheme_text("def run(x):\n    x.n += 1", "x = node()\ncpu(run, x)\ncpu(run, x)\nat_rest(lambda: x.n == 2, 'both count')")
HOLDS = scheme_text("def run(x):\n    atomic_inc(x.count)", "x = node()\ncpu(run, x)\ncpu(run, x)")
WRONG = scheme_text("def run(x):\n    x.m = 1")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with three schemes."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("lost", LOST), ("fine", HOLDS), ("wrong", WRONG)):
        Path(f"{name}.py").write_text(text)
    return tmp_path


def test_exit_codes() -> None:
    assert run("check", "fine.py").code == 0
    assert run("check", "lost.py").code == 1
    assert run("check", "nothing.py").code == 2
    assert run("check").code == 2
    assert run("check", "fine.py", "--max-states", "2").code == 3
    assert run("check", "wrong.py").code == 4
    assert run("check", "fine.py", "lost.py").code == 1
    assert run("check", "lost.py", "wrong.py").code == 4
    assert run("check", "lost.py", "fine.py", "--max-depth", "1").code == 3


def test_a_broken_scheme() -> None:
    ran = run("check", "lost.py")
    assert ran.out.startswith("scene: BROKEN   both count\n\nx.n = 0\n\nrun (CPU0):")
    assert "a shortest race: 4 steps, 2 context switches; 12 states, 14 transitions explored" in ran.out
    assert ran.out.endswith("replay: lockverse replay scene.trace\n")
    assert not ran.err


def test_a_pass_and_an_unknown() -> None:
    assert run("check", "fine.py").timeless == "scene: HOLDS\n\nevery interleaving explored: 4 states, 4 transitions, 0.0 s\n"
    unknown = run("check", "fine.py", "--max-states", "2")
    assert "scene: UNKNOWN   the bound of 2 states on the number of states was hit; --max-states N moves it" in unknown.out
    assert "HOLDS" not in unknown.out


def test_several_give_a_table_first() -> None:
    ran = run("check", ".")
    lines = ran.out.splitlines()
    assert lines[0].split() == ["scheme", "verdict", "states", "depth", "time"]
    assert [line.split()[:2] for line in lines[1:3]] == [["fine.py::scene", "HOLDS"], ["lost.py::scene", "BROKEN"]]
    assert "error[K202]" in ran.err and ran.code == 4


def test_one_scheme_of_a_file() -> None:
    Path("two.py").write_text(LOST + "\n\n@scheme\ndef other():\n    cpu(run, node())\n")
    assert run("check", "two.py::other").out.startswith("other: HOLDS")
    missing = run("check", "two.py::scnee")
    assert missing.code == 4 and "error[K004]" in missing.err and "did you mean `scene`?" in missing.err
    assert run("check", ".::scene").code == 2


def test_parameters() -> None:
    Path("p.py").write_text(HOLDS.replace("def scene():", "def scene(n: range(1, 4) = 2, late: bool = False):").replace("    cpu(run, x)\n    cpu(run, x)", "    for _ in range(n):\n        cpu(run, x)"))
    assert run("check", "p.py").out.startswith("scene(n=2, late=False): HOLDS")
    assert "8 states" in run("check", "p.py", "--param", "n=3").out
    table = run("check", "p.py", "--all").out.splitlines()
    assert len(table) == 9 and table[-1] == "scene holds for all its 6 choices"
    assert len(run("check", "p.py", "--all", "--param", "n=1").out.splitlines()) == 5
    wrong = run("check", "p.py", "--param", "n=9")
    assert wrong.code == 4 and "error[K007]" in wrong.err and "1, 2, 3" in wrong.err
    assert "error[K007]" in run("check", "p.py", "--param", "m=1").err
    assert run("check", "p.py", "--param", "n").code == 2


def test_json() -> None:
    ran = run("check", "lost.py", "fine.py", "wrong.py", "--json", "--no-trace")
    body = json.loads(ran.out)
    assert body["format"] == "lockverse results" and body["version"] == 1 and ran.code == 4
    lost, fine = body["results"]
    assert (lost["verdict"], lost["reason"], lost["states"], lost["transitions"], lost["context_switches"]) == ("broken", "at-rest", 12, 14, 2)
    assert [event["thread"] for event in lost["trace"]["events"]] == [0, 1, 1, 0]
    assert (fine["verdict"], fine["trace"], fine["reason"]) == ("holds", None, None)
    assert body["diagnostics"][0]["code"] == "K202" and body["diagnostics"][0]["line"] > 0
    assert not ran.err


def test_traces_are_written_and_nothing_is_lost() -> None:
    run("check", "lost.py")
    assert json.loads(Path("scene.trace").read_text())["format"] == "lockverse trace"
    Path("scene.trace").write_text("my own notes")
    ran = run("check", "lost.py")
    assert Path("scene.trace").read_text() == "my own notes" and "scene-2.trace" in ran.out
    run("check", "lost.py", "--trace-dir", "deep/er")
    assert Path("deep/er/scene.trace").exists()
    before = sorted(Path(".").iterdir())
    run("check", "lost.py", "--no-trace")
    assert sorted(Path(".").iterdir()) == before


def test_two_schemes_of_one_name_have_two_traces() -> None:
    Path("again.py").write_text(LOST)
    ran = run("check", "lost.py", "again.py")
    assert "replay scene.trace" in ran.out and "replay scene-2.trace" in ran.out
    assert json.loads(Path("scene-2.trace").read_text())["source"] == "again.py"


def test_a_trace_that_cannot_be_written_is_told() -> None:
    Path("file").write_text("")
    ran = run("check", "lost.py", "--trace-dir", "file")
    assert ran.code == 1 and "could not be written" in ran.err and "replay:" not in ran.out


def test_replay() -> None:
    run("check", "lost.py")
    ran = run("replay", "scene.trace")
    assert ran.code == 1 and ran.out.startswith("scene: BROKEN   both count") and "replayed 4 steps: as recorded" in ran.out


def test_formats() -> None:
    """As the kernel's tools have it, by `check` and by `replay`; where a format does not fit, a line says which do."""
    Path("race.py").write_text(scheme_text("def run(x):\n    x.n = 1", "x = node()\ncpu(run, x)\ncpu(run, x)"))
    rule = "=" * 66
    checked, replayed = run("check", "--format", "kcsan", "race.py"), run("replay", "--format", "kcsan", "scene.trace")
    assert checked.code == replayed.code == 1
    report = checked.out[checked.out.index(rule) : checked.out.rindex(rule)]
    assert report.startswith(f"{rule}\nBUG: KCSAN: data-race in run / run\n\nwrite to x.n of 1 bytes by task 1 on cpu 1:\n run (race.py:")
    assert report in replayed.out and "replayed 1 steps: as recorded" in replayed.out
    misfit = run("check", "--format", "lockdep", "--no-trace", "race.py")
    assert misfit.code == 1 and "\nlockdep has no report for this (data-race); formats that fit: diagram, kcsan\n" in misfit.out
    assert run("check", "--format", "diagram", "race.py").timeless == run("check", "race.py").timeless
    assert run("check", "--format", "kcsan", "fine.py").timeless == run("check", "fine.py").timeless
    assert run("check", "--format", "herd", "race.py").code == 2


def test_replay_of_a_scheme_that_changed() -> None:
    run("check", "lost.py")
    Path("lost.py").write_text(LOST.replace("    x.n += 1", "    with x.lock:\n        x.n += 1"))
    ran = run("replay", "scene.trace")
    assert ran.code == 3
    assert "the race no longer fits" in ran.out and "step 2 of 4 was load of CPU1" in ran.out and "CPU1 has to wait at spin_lock()" in ran.out
    Path("lost.py").write_text(LOST.replace("x.n == 2", "x.n >= 0"))
    assert "it does not end in at-rest any more" in run("replay", "scene.trace").out
    Path("lost.py").write_text(LOST.replace("    x.n += 1", "    # a comment\n    x.n += 1"))
    moved = run("replay", "scene.trace")
    assert moved.code == 1 and "have changed since it was recorded" in moved.out


def test_replay_from_another_folder(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    run("check", "lost.py")
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert run("replay", "../scene.trace").code == 1


def test_replay_of_nonsense() -> None:
    Path("bad.trace").write_text("{}")
    for arguments, words in [(("replay", "no.trace"), "cannot be read"), (("replay", "bad.trace"), "not a trace of lockverse")]:
        ran = run(*arguments)
        assert ran.code == 2 and words in ran.err
    run("check", "lost.py")
    Path("lost.py").unlink()
    assert "is not there any more" in run("replay", "scene.trace").err


def test_dump() -> None:
    steps = run("dump", "--steps", "lost.py")
    assert steps.code == 0 and "**     x.n += 1  # load, store" in steps.out
    assert 'step "load", plain' in run("dump", "--ir", "lost.py").out
    assert run("dump", "--after", "frontend", "lost.py").out.startswith('program "scene" "lost.py"')
    assert "calls inlined" in run("dump", "--after", "inline", "lost.py").out
    assert run("dump", "--after", "keep", "lost.py").out == run("dump", "--ir", "lost.py").out
    assert run("dump", "lost.py").code == 2 and run("dump", "--ir", "wrong.py").code == 4 and run("dump", "--ir", ".").code == 2


def test_new() -> None:
    ran = run("new", "mine")
    assert ran.code == 0 and "lockverse check mine.py" in ran.out
    assert run("check", "mine.py").code == 1
    before = Path("mine.py").read_text()
    again = run("new", "mine")
    assert again.code == 2 and "left as it is" in again.err
    assert Path("mine.py").read_text() == before
    for name in ("two words", "for", "1st", "a/b"):
        assert run("new", name).code == 2


def test_list() -> None:
    Path("p.py").write_text('"""What it is.\n\nMore."""\n' + HOLDS.replace("def scene():", "def scene(n: range(1, 3) = 2):"))
    assert run("list", "p.py").out == "p.py::scene  What it is.\n    n: one of 1, 2; 2 if nothing is said\n"
    assert run("list", ".").code == 0 and run("list", "no").code == 2


def test_diagram_options() -> None:
    assert "CPU0       CPU1" in run("check", "lost.py", "--columns", "cpu").out
    assert "\t" in run("check", "lost.py", "--tabs").out
    assert "\x1b[" in run("check", "lost.py", "--color", "always").out
    assert "\x1b[" not in run("check", "lost.py").out
    assert run("check", "lost.py", "--depth", "0").code == 2


def test_bounds_on_the_command_line() -> None:
    assert run("check", "fine.py", "--max-states", "none").code == 0
    for wrong in ("0", "-1", "many"):
        ran = run("check", "fine.py", "--max-states", wrong)
        assert ran.code == 2 and "Traceback" not in ran.err
    assert run("check", "fine.py", "--max-seconds", "0.000001").code == 3


def test_a_directory_loads_only_scheme_files() -> None:
    Path("setup.py").write_text("raise SystemExit('this was run')\n")
    Path(".hidden").mkdir()
    Path(".hidden/x.py").write_text(LOST)
    ran = run("check", ".", "--no-trace")
    assert "this was run" not in ran.err and ran.out.splitlines()[0].startswith("scheme") and ".hidden" not in ran.out
    Path("empty").mkdir()
    assert run("check", "empty").code == 2


def test_a_fault_of_ours_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a mistake")

    monkeypatch.setattr(check_command, "check", broken)
    ran = run("check", "lost.py")
    assert ran.code == 70 and "error[K900]: this is a fault of lockverse" in ran.err and "Traceback" not in ran.err


def _process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    known = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-m", "lockverse", *arguments], capture_output=True, env=known, check=False)


def test_two_hash_seeds_give_the_same_bytes() -> None:
    files = [str(path) for path in SCHEMES]  # those over the modelled kernel take long
    results = []
    for seed in ("1", "2"):
        ran = _process("check", "--json", "--trace-dir", f"traces{seed}", *files, PYTHONHASHSEED=seed)
        body = json.loads(ran.stdout)
        for one in body["results"]:
            del one["seconds"]
            one["engine"] = {name: value for name, value in one["engine"].items() if not name.endswith("_seconds")}
            one["trace_file"] = one["trace_file"] and Path(one["trace_file"]).name
        texts = {path.name: path.read_bytes() for path in Path(f"traces{seed}").iterdir()}
        steps = _process("dump", "--ir", files[0], PYTHONHASHSEED=seed).stdout
        results.append((body, texts, steps, ran.stderr))
    assert results[0] == results[1]


def test_a_pipe_that_closes_early_is_no_fault() -> None:
    command = f"{sys.executable} -m lockverse check lost.py | head -1"
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert ran.stdout == "scene: BROKEN   both count\n" and "Traceback" not in ran.stderr


def test_version() -> None:
    from lockverse import __version__

    assert run("--version").out == f"lockverse {__version__}\n"


FILTER = str(ROOT / "bench" / "models" / "m2_filter.py") + "::filter"


def test_engines_give_the_same() -> None:
    run("check", "lost.py", "--engine", "reference", "--trace-dir", "one")
    run("check", "lost.py", "--engine", "native", "--reduce", "dead,symmetry", "--jobs", "2", "--trace-dir", "two")
    assert Path("one/scene.trace").read_bytes() == Path("two/scene.trace").read_bytes()
    assert run("check", "fine.py", "--engine", "native", "--reduce", "none").timeless == run("check", "fine.py").timeless


def test_engine_options_that_make_no_sense() -> None:
    for wrong in (("--engine", "fast"), ("--reduce", "dead,alive"), ("--reduce", ""), ("--jobs", "0"), ("--jobs", "two")):
        ran = run("check", "fine.py", *wrong)
        assert ran.code == 2 and wrong[0] in ran.err and "Traceback" not in ran.err
    assert "write all, none, or some of dead,local,locks,symmetry" in run("check", "fine.py", "--reduce", "alive").err


def test_a_pass_says_what_was_left_out() -> None:
    reduced = run("check", "fine.py", "--engine", "native", "--reduce", "symmetry", "--no-spinning").timeless
    assert reduced == (
        "scene: HOLDS\n\nevery interleaving accounted for: 3 states, 3 transitions after reduction (symmetry), 0.0 s; --reduce none for all of them\n"
        "endless spinning was not looked for (--no-spinning)\n"
    )
    assert "not looked for" in run("check", "fine.py", "--no-spinning").out


def test_engine_as_json() -> None:
    fine = json.loads(run("check", "fine.py", "--json", "--engine", "native", "--reduce", "symmetry", "--jobs", "2", "--no-spinning").out)["results"][0]
    assert (fine["shortest"], fine["spinning"]) == (True, False)
    engine = fine["engine"]
    assert (engine["name"], engine["jobs"], engine["reductions"], engine["omission_probability"]) == ("native", 2, ["symmetry"], 0.0)
    assert 0 < engine["bits"] <= 64 and engine["compile_seconds"] > 0 and engine["cpu_seconds"] >= 0
    reference = json.loads(run("check", "fine.py", "--json").out)["results"][0]
    assert (reference["engine"]["name"], reference["engine"]["reductions"], reference["spinning"]) == ("reference", [], True)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_progress_and_interrupting_machine_code() -> None:
    """On a terminal it tells how far it is; Ctrl-C gives a verdict, and no traceback."""
    terminal, side = os.openpty()
    command = [sys.executable, "-m", "lockverse", "check", FILTER, "--param", "n=6", "--engine", "native"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=side) as process:
        os.close(side)
        told = b""
        while told.count(b"MiB") < 3:
            told += os.read(terminal, 4096)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        out = process.stdout.read().decode()
        while process.poll() is None or select.select([terminal], [], [], 0)[0]:
            try:
                told += os.read(terminal, 4096)
            except OSError:  # the other side is closed
                break
    os.close(terminal)
    assert process.returncode == 3
    assert re.search(rb"filter: [\d,]+ states, [\d,]+/s, depth \d+, [\d,]+ to go there, [\d,]+ MiB", told)
    assert out.startswith("filter(n=6): UNKNOWN   interrupted before every interleaving was explored\n\nnot every interleaving was explored: ")
    assert b"Traceback" not in told and "Traceback" not in out
