"""Object files kept between runs, under `$XDG_CACHE_HOME/lockverse`, or `~/.cache/lockverse`.

A file is a magic, the SHA-256 of the object, and the object; its name is the key. Nothing here fails: a file that is
foreign, damaged or unreadable is not there, and one that cannot be written is not kept. Another process may write or
remove files at any time. Leaves out what a key is made of: `machine_code` knows what an object depends on.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

MAGIC = b"lockverse object 1\n"
SUFFIX = ".object"
LARGEST_CACHE = 64 << 20  # bytes: thousands of objects of 10 kB; the oldest go first


def directory() -> Path | None:
    """Where the files are; None where nobody has a home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # the specification: a relative one is to be ignored
        return Path(base) / "lockverse"
    try:
        return Path.home() / ".cache" / "lockverse"
    except RuntimeError:
        return None


def read(key: str) -> bytes | None:
    """The object kept under a key."""
    where = directory()
    if where is None:
        return None
    try:
        text = (where / (key + SUFFIX)).read_bytes()
    except (OSError, ValueError):
        return None
    head = len(MAGIC) + hashlib.sha256().digest_size
    digest, made = text[len(MAGIC) : head], text[head:]
    if not text.startswith(MAGIC) or digest != hashlib.sha256(made).digest():
        return None
    return made


def write(key: str, made: bytes) -> None:
    """Keep an object. Written beside and renamed, so that a reader sees a whole file or none."""
    where = directory()
    if where is None:
        return
    with contextlib.suppress(OSError, ValueError):
        where.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=where, prefix=key[:8], suffix=".temporary")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(MAGIC + hashlib.sha256(made).digest() + made)
            os.replace(temporary, where / (key + SUFFIX))
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        _trim(where)


def _trim(where: Path) -> None:
    """Drop the oldest files until the rest is small enough; temporary files that a killed process left are among them."""
    files = []
    for path in where.iterdir():
        if path.suffix in (SUFFIX, ".temporary"):
            with contextlib.suppress(OSError):
                found = path.stat()
                files.append((found.st_mtime, found.st_size, path))
    size = sum(file[1] for file in files)
    for _, bytes_, path in sorted(files):
        if size <= LARGEST_CACHE:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            size -= bytes_
