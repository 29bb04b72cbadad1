"""Objects come from the cache when the key is the same and the file is whole; nothing about it is ever an error.

Each test has a cache of its own. Leaves out other processes: a file is renamed into place, which the system makes atomic.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lockverse.jit import cache, machine_code
from lockverse.jit.lower import lower
from lockverse.jit.machine_code import RejectedByLLVM, compile

from . import programs

TEXT = lower([programs.high])


@pytest.fixture(autouse=True)
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "lockverse"


def _works(text: str = TEXT) -> bool:
    """Compile, run; was it in the cache?"""
    library = compile(text, "quick")
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(library.address("high"))
    assert function(1 << 62, 8) == 2
    return library.from_cache


def test_hit(where: Path) -> None:
    assert not _works()
    assert _works()
    assert len(list(where.iterdir())) == 1


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda b: b"",
    "truncated": lambda b: b[:-1],
    "only the head": lambda b: b[:30],
    "a bit": lambda b: b[:-5] + bytes([b[-5] ^ 1]) + b[-4:],
    "foreign": lambda b: b"#!" + b[2:],
    "whole and no object": lambda b: cache.MAGIC + __import__("hashlib").sha256(b"no object").digest() + b"no object",
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged(where: Path, how: str) -> None:
    _works()
    (file,) = where.iterdir()
    file.write_bytes(DAMAGE[how](file.read_bytes()))
    assert not _works()
    assert _works()  # mended


def test_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    _works()
    assert not _works(TEXT + "\n; another text\n")
    assert not compile(TEXT, "fast").from_cache
    monkeypatch.setattr(machine_code, "FORMAT", "another")
    assert not _works()


def test_no_directory_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert not _works() and not _works()
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert not _works() and not _works()
    monkeypatch.setenv("XDG_CACHE_HOME", "relative: ignored")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert not _works() and _works()
    assert (tmp_path / "home" / ".cache" / "lockverse").is_dir()

    def nowhere() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", nowhere)
    assert cache.directory() is None and not _works()


def test_the_oldest_go(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "LARGEST_CACHE", 2500)
    for number in range(5):
        cache.write(f"key{number}", bytes(1000))
        for path in where.iterdir():
            if path.stem == f"key{number}":
                os.utime(path, (number, number))
    assert sorted(path.stem for path in where.iterdir()) == ["key3", "key4"]
    assert cache.read("key4") == bytes(1000) and cache.read("key0") is None


def test_what_llvm_rejects_is_our_mistake() -> None:
    with pytest.raises(RejectedByLLVM):
        compile("define i64 @f( {", "quick")
    with pytest.raises(RejectedByLLVM):
        compile("define i64 @f() {\n  %a = add i64 %b, 1\n  %b = add i64 %a, 1\n  ret i64 %a\n}", "quick")
