"""`lockverse run`, as a user runs it: files, trees, JSON, traces, the terminal, exit codes.

Numbers are counted by hand: 3 pages are 12,288 bytes. What the kernel answers is in tests/sim against a real one. Leaves out random workloads: tests/sim/test_random.py.
"""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lockverse.sim.files import ORDER

from ..sim.compact import KEYS, OWN
from ..support import ROOT, Ran, run

MOVED = "mkcg A\nmkcg B\nflags B 3\nspawn w A\nmap w r anon 8\ntouch w r 0 3 w\nmove w B\nowners w r\ncheck\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a workload."""
    monkeypatch.chdir(tmp_path)
    Path("moved.txt").write_text(MOVED)
    return tmp_path


def test_files_of_v1() -> None:
    ran = run("run", "moved.txt")
    assert ran.code == 0 and not ran.err
    assert ran.out.startswith("mkcg A = 0\nmkcg B = 0\nflags B 3 = 0\n") and "owners w r = B/map1x3 nonex5\ncheck\n==> memory.usage_in_bytes <==\n12288\n" in ran.out
    b = ran.out.partition("==> B/memory.usage_in_bytes <==\n")[2]
    assert b.startswith("12288\n\n==> B/memory.stat <==\ncache 0\nrss 12288\n") and "\npgpgin 3\npgpgout 0\n" in b and "\ntotal_rss 12288\n" in b
    assert "==> A/memory.usage_in_bytes <==\n0\n" in ran.out


def test_files_of_v2() -> None:
    ran = run("run", "moved.txt", "--cgroup", "2")
    assert "flags B 3 = -ENOENT\n" in ran.out and "owners w r = A/map1x3 nonex5\n" in ran.out
    a = ran.out.partition("==> A/memory.current <==\n")[2]
    assert a.startswith("12288\n\n==> A/memory.stat <==\nanon 12288\nfile 0\nshmem 0\nfile_mapped 0\n") and "usage_in_bytes" not in ran.out


def test_every_statistic_has_its_line() -> None:
    for version in (1, 2):
        assert set(ORDER[version]) == set(KEYS[version]) - {"usage"} and len(set(ORDER[version])) == len(ORDER[version])
    assert ORDER[1][len(OWN[1]) :] == tuple(f"total_{one}" for one in ORDER[1][: len(OWN[1])])


def test_without_zeros() -> None:
    ran = run("run", "moved.txt", "--nonzero")
    assert "==> A/memory.stat <==\npgpgin 3\npgpgout 3\n" in ran.out and "cache" not in ran.out


def test_tree() -> None:
    text = "mkcg A\nmkcg A/B\nmkcg C\nspawn w A/B\nmap w r anon 9\ntouch w r 0 4 w\nlimit C 50\nspawn v A\nmap v r anon 9\ntouch v r 0 1 w\ncheck\nexit w\nexit v\nfile f 2\nspawn u C\nfwrite u f 0 2\nexit u\nrmcg C\ncheck\n"
    Path("t.txt").write_text(text)
    ran = run("run", "t.txt", "--tree")
    first, second = (part.splitlines() for part in ran.out.replace("check\n", "check").split("check")[1:])
    assert [line.rstrip() for line in first[:4]] == [
        ".          5 pages", "├── A      5 pages, 1 its own  [v]", "│   └── B  4 pages  [w]", "└── C      0 pages, limit 50",
    ]  # fmt: skip
    assert second == [".              2 pages", "├── A          0 pages", "│   └── B      0 pages", "└── (removed)  2 pages"]


def test_json_out_and_in() -> None:
    ran = run("run", "moved.txt", "--json")
    body = json.loads(ran.out)
    assert list(body) == ["name", "kernel", "cmdline", "cgroup_version", "ops", "results", "owners", "checkpoints"]
    assert body["ops"] == MOVED.splitlines() and body["results"] == [0] * 9 and body["owners"] == [{"op": 7, "pages": ["B/map1x3", "nonex5"]}]
    assert [(row["after_op"], row["cgroup"], row["stats"]["usage"]) for row in body["checkpoints"]] == [(8, ".", 3), (8, "A", 0), (8, "B", 3)]
    Path("moved.json").write_text(ran.out)
    assert run("run", "moved.json", "--json").out == ran.out and run("run", "moved.json").out == run("run", "moved.txt").out


def test_trace() -> None:
    ran = run("run", "moved.txt", "--trace")
    touch = ran.out.partition("touch w r 0 3 w = 0\n")[2].partition("move w B")[0]
    assert "3  mm/rmap.py" in touch and "page_add_new_anon_rmap\n" in touch and "atomic" not in touch
    move = ran.out.partition("move w B = 0\n")[2].partition("owners")[0]
    assert "3  mm/memcontrol.py" in move and "mem_cgroup_move_account\n" in move
    assert sys.getprofile() is None


def test_results_by_their_names() -> None:
    Path("e.txt").write_text("mkcg A\nflags A 7\nspawn w A\nrmcg A\nfile f 3 ramfs\npunch f 0 1\nmkcg A\n")
    ran = run("run", "e.txt")
    assert ran.out.splitlines()[1:] == ["flags A 7 = -EINVAL", "spawn w A = 0", "rmcg A = -EBUSY", "file f 3 ramfs = 0", "punch f 0 1 = -EOPNOTSUPP", "mkcg A = -EEXIST"]


def test_requests_that_make_no_sense() -> None:
    Path("v2.txt").write_text("cgroup v2\nmkcg A\n")
    Path("bad.json").write_text('{"ops": 3}')
    for arguments, words in [
        (["run"], "run what?"), (["run", "no.txt"], "no.txt: no such file"), (["run", "v2.txt", "--cgroup", "1"], "says that it is for cgroup v2"),
        (["run", "bad.json"], "it has no list `ops`"), (["run", "moved.txt", "-i", "--json"], "-i prints each"), (["run", "moved.txt", "--operations", "3"], "is for --random"),
        (["run", "moved.txt", "--random", "3"], "makes its workload"), (["run", "moved.txt", "--cgroup", "3"], "invalid choice"),
    ]:  # fmt: skip
        ran = run(*arguments)
        assert ran.code == 2 and words in ran.err and not ran.out, arguments


def test_workloads_that_cannot_be_run() -> None:
    Path("wrong.txt").write_text("mkcg A\nspwan w A\n")
    Path("gone.txt").write_text("mkcg A\nspawn w A\nexit v\nmkcg B\n")
    Path("bytes.txt").write_bytes(b"mkcg \xff\n")
    Path("wrong.json").write_text('{"ops": ["mkcg A", "spwan w A"]}')
    for name, code, out in [
        ("wrong.txt", "K401", ""), ("wrong.json", "K401", ""), ("bytes.txt", "K002", ""), (".", "K002", ""), ("gone.txt", "K406", "mkcg A = 0\nspawn w A = 0\n"),
    ]:  # fmt: skip
        ran = run("run", name)
        assert ran.code == 4 and f"error[{code}]" in ran.err and ran.out == out and "Traceback" not in ran.err
    assert "2 | spwan w A\n" in run("run", "wrong.json").err
    assert not run("run", "gone.txt", "--json").out


def _typed(text: str, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> Ran:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    return run("run", "-i", *arguments)


def test_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal: no prompt, the same answers, and what is wrong does not end it."""
    ran = _typed("mkcg A\n\n# nothing\nspawn w B\nfoo\nspawn w A\ntree\nquit\nmkcg C\n", monkeypatch=monkeypatch)
    assert ran.code == 0 and ran.out == "mkcg A = 0\nspawn w A = 0\n.      0 pages\n└── A  0 pages  [w]\n"
    assert "input:4:9" in ran.err and "error[K401]: there is no operation `foo`\n --> input:5:1" in ran.err


def test_the_session_in_the_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of docs/workloads.md; answers and complaints go to two streams, so their order is not compared."""
    text = (ROOT / "docs" / "workloads.md").read_text().partition("$ lockverse run -i\n")[2].partition("```")[0]
    banner, *lines = text.splitlines()
    typed = "\n".join(line.removeprefix("> ") for line in lines if line.startswith("> "))
    ran = _typed(typed, monkeypatch=monkeypatch)
    assert sorted([*ran.out.splitlines(), *ran.err.splitlines()]) == sorted(line for line in lines if not line.startswith("> "))
    assert banner.startswith("cgroup v1; `help`")


def test_typed_after_a_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = _typed("owners w r 0 1", "moved.txt", "--tree", monkeypatch=monkeypatch)
    assert ran.out.endswith("└── B  3 pages  [w]\nowners w r 0 1 = B/map1x1\n")


def test_help(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = _typed("help\nhelp touch\nhelp tuch\nhelp nothing_like_it\ncgroup v2\n", monkeypatch=monkeypatch)
    assert "mremap W R OFF N SLOT" in ran.out and "tree  " in ran.out
    assert "\ntouch W R OFF N r|w\n\nRead or write a byte of each page" in ran.out
    assert "there is no operation `tuch`; did you mean `touch`?\nthere is no operation `nothing_like_it`\n" in ran.out
    assert "error[K405]" in ran.err and "--cgroup 2" in ran.err


def _child(*arguments: str, **streams: object) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TERM": "dumb"}
    return subprocess.Popen([sys.executable, "-m", "lockverse", *arguments], env=environment, **streams)  # type: ignore[call-overload,no-any-return]


class _Terminal:
    """What a child wrote to its terminal, read as far as is asked for."""

    def __init__(self, fd: int) -> None:
        self._fd, self._rest = fd, b""

    def until(self, words: bytes) -> None:
        deadline = time.monotonic() + 20
        while words not in self._rest:
            assert time.monotonic() < deadline, self._rest
            if select.select([self._fd], [], [], 1)[0]:
                self._rest += os.read(self._fd, 4096)
        self._rest = self._rest.partition(words)[2]

    def type(self, text: bytes) -> None:
        os.write(self._fd, text)


def test_on_a_terminal() -> None:
    """A prompt, Ctrl-C that drops the line, Ctrl-D that ends."""
    ours, theirs = pty.openpty()
    child = _child("run", "-i", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    terminal = _Terminal(ours)
    try:
        terminal.until(b"> ")
        terminal.type(b"mkcg A\n")
        terminal.until(b"mkcg A = 0")
        terminal.until(b"> ")
        terminal.type(b"spawn w")
        terminal.until(b"spawn w")
        time.sleep(0.5)  # a signal that comes between two waits for input is seen after the next key only
        child.send_signal(signal.SIGINT)
        terminal.until(b"> ")
        terminal.type(b"check\n")
        terminal.until(b"A/memory.stat")
        terminal.until(b"> ")
        terminal.type(b"\x04")
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.wait()
        os.close(ours)


def test_interrupted_without_a_terminal() -> None:
    child = _child("run", "-i", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdin and child.stdout
    child.stdin.write(b"mkcg A\n")
    child.stdin.flush()
    assert child.stdout.readline() == b"mkcg A = 0\n"
    time.sleep(0.5)  # until it reads again: within an operation the answer is that of all commands, 3
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert child.returncode == 0 and not err and out == b"\n"


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "workloads").glob("*.txt")))
def test_the_workloads_to_look_at(name: str) -> None:
    ran = run("run", str(ROOT / "workloads" / name))
    assert ran.code == 0 and not ran.err
    comments = [line for line in (ROOT / "workloads" / name).read_text().splitlines() if "-E" in line]
    for line in comments:  # what a comment says of an operation's answer
        op, _, said = line.partition("#")
        assert f"{op.strip()} = {said.split('-E')[0] and '-E' + said.split('-E')[1].split(':')[0].split(' ')[0]}" in ran.out
