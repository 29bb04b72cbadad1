"""Workloads whose workers run at once: the books agree after each schedule, a schedule can be run again, and the mail's race is found.

Whether a schedule finds a race is luck; the race is met by every second seed, so that twelve without it would be bad luck indeed. Leaves out the scheduler itself.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.diagnostics.model import Rejected
from lockverse.lang import applied, patch
from lockverse.linux.include.mmzone import NR_FILE_MAPPED
from lockverse.linux.mm import rmap
from lockverse.sim.interleaved import BooksDisagree, Interleaved
from lockverse.sim.random_runs import random_run
from lockverse.sim.run import Run
from lockverse.sim.system import System
from lockverse.sim.workload import parse

from ..support import run
from .compact import files, read
from .reference import Reference

RANDOM = [path for path in files() if path.stem.startswith("rand")]
# w unmaps the last pte of a page, again and again, while v, whose page table has none of it, moves: the page behind a pte that is not present.
RACE = (
    "mkcg A\nmkcg B\nflags A 2\nflags B 2\nfile f 2\nspawn w A\nspawn v A\nmap w r file f 0 2 shared\nmap v r file f 0 2 shared\n"
    + "touch w r 0 2 w\ntouch v r 0 2 r\ndontneed v r\n"
    + "touch w r 0 2 r\ndontneed w r\n" * 20
    + "move v B\nmove v A\n" * 10
)


def _interleaved(text: str, version: int, seed: int) -> Interleaved:
    several = Interleaved(version, seed)
    list(several.steps(parse(text, "w.txt").operations))
    return several


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("path", RANDOM, ids=lambda path: path.stem)
def test_recorded_workloads(path: Path, seed: int) -> None:
    """Each operation is still done, in the order of its worker, and no result is one that a kernel could not give."""
    recorded = read(path)
    several = _interleaved("\n".join(recorded.ops), recorded.cgroup_version, seed)
    assert several.run.recording.ops == recorded.ops
    assert all(-134 < result <= 0 for result in several.run.recording.results)


def _random(seed: int, operations: int) -> None:
    """One race is on record (docs/fidelity-linux.md): a page that is truncated between the lookup and the move takes NR_FILE_PAGES along. In some hundred
    schedules it comes once."""
    lines = random_run(seed, operations, 1, Reference)[0].recording.ops
    try:
        _interleaved("\n".join(lines), 1, seed)
    except BooksDisagree as problem:
        assert "NR_FILE_PAGES" in str(problem), seed


@pytest.mark.parametrize("seed", range(12))
def test_random_workloads(seed: int) -> None:
    _random(seed, 60)


@pytest.mark.long
@pytest.mark.parametrize("hundred", range(1, 11))
def test_hundreds_of_schedules(hundred: int) -> None:
    for seed in range(hundred * 100, hundred * 100 + 100):
        _random(seed, 80)


def test_a_seed_is_a_schedule() -> None:
    text = "\n".join(read(RANDOM[2]).ops)
    first, again, other = (_interleaved(text, 1, seed) for seed in (5, 5, 6))
    assert first.run.recording == again.run.recording and first.switches == again.switches != other.switches


def test_one_worker_is_as_ever() -> None:
    """With nobody else to go on, the answers are those of the operations in order."""
    text = "mkcg A\nmkcg B\nflags B 3\nspawn w A\nmap w r anon 9\ntouch w r 0 5 w\nowners w r\ndontneed w r 0 2\nmove w B\nowners w r\ncheck\nexit w\ncheck\n"
    ran = Run(System(1), 1)
    for operation in parse(text, "w.txt").operations:
        ran.do(operation)
    assert _interleaved(text, 1, 0).run.recording == ran.recording


def test_names_have_the_order_of_the_file() -> None:
    """What one operation makes or takes away, another finds as the file says, on every seed."""
    text = "mkcg A\nspawn w A\nvmfork w c\nfile f 4\nmap w r anon 4\ntouch c r 0 4 w\nunmap c r\nmap w r anon 2\nmap w s file f 0 4 shared\nunlink f\ntouch w s 0 4 w\nexit c\nexit w\ncheck\n"
    for seed in range(10):
        assert set(_interleaved(text, 1, seed).run.recording.results) == {0}
    failing = "mkcg A\nspawn w A\nspawn v A\nmap v r anon 4\nmap w r anon 9\nunmap w r 0 4\nmremap w r 3 4 2000\ntouch v r 0 4 w\ntouch w r 6 3 w\n"
    assert _interleaved(failing, 1, 0).run.recording.results == [0, 0, 0, 0, 0, 0, -14, 0, 0]  # what did not move has nine pages still
    with pytest.raises(Rejected):
        _interleaved("mkcg A\nspawn w A\nexit w\nexit w\n", 1, 0)


@patch(rmap.page_remove_rmap)
def _without_the_memcg_lock(page):  # type: ignore[no-untyped-def]
    """The mail's rung A, and worse: nothing keeps the page with its group between the mapcount and the counter."""
    if rmap.atomic_add_negative(-1, page._mapcount):
        rmap.__mod_lruvec_page_state(page, NR_FILE_MAPPED, -1)


def test_the_mails_race_is_found() -> None:
    def fails(seed: int) -> bool:
        try:
            _interleaved(RACE, 1, seed)
        except BooksDisagree as problem:
            return "mapped_file" in str(problem) or "NR_FILE_MAPPED" in str(problem)
        return False

    assert not any(fails(seed) for seed in range(12))
    with applied(_without_the_memcg_lock):
        assert any(fails(seed) for seed in range(12))


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "race.txt"
    path.write_text(RACE)
    fine = run("run", str(path), "--schedule", "random", "--seed", "3")
    assert fine.code == 0 and fine.out.endswith(" times another worker went on\n") and "move v B = 0\n" in fine.out
    with applied(_without_the_memcg_lock):
        broken = [ran for seed in range(12) if (ran := run("run", str(path), "--schedule", "random", "--seed", str(seed))).code == 1]
    assert broken and "the books do not agree, with --seed " in broken[0].out
    assert run("run", str(path), "--seed", "3").code == run("run", str(path), "--schedule", "random", "-i").code == 2
    assert run("run", "--random", "3", "--schedule", "random").code == 2
