"""One child process, measured: wall and CPU seconds, peak memory, what it said, and whether a time limit ended it.

CPU seconds and memory are those the kernel keeps for the child and all of its own children (os.wait4). A child's peak
memory counts from before its exec, so no figure is below this process's own size; that is some 20 MB.
Leaves out what the child's words mean: tools.py knows.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measured:
    """What one child took. `code` is its exit code, negative for a signal; `timed_out` says that the limit ended it."""

    wall: float
    cpu: float
    peak_bytes: int
    code: int
    timed_out: bool
    output: str


def measure(command: Sequence[str], folder: Path, limit: float) -> Measured:
    """Run a command in `folder`, for `limit` seconds of wall time at most. Raises OSError if it cannot be started."""
    with tempfile.TemporaryFile() as out:
        started = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        end = _Limit(child.pid, limit)
        status, usage = end.wait()
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)  # it is reaped: subprocess must not wait for it
        out.seek(0)
        text = out.read().decode(errors="replace")
    return Measured(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, child.returncode, end.reached, text)


class _Limit:
    """Waits for a child that leads its own process group, and kills the group when its time is over."""

    def __init__(self, pid: int, seconds: float) -> None:
        self.pid, self.reached = pid, False
        self._gone = False
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._kill)

    def wait(self) -> tuple[int, os.struct_rusage]:  # type: ignore[name-defined]
        self._timer.start()
        try:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        except BaseException:  # the bench itself is to end: nothing of it stays behind
            self._kill()
            raise
        finally:
            self._timer.cancel()
        with self._lock:  # not reaped yet, so the number is still this child's
            self._gone = True
        _, status, usage = os.wait4(self.pid, 0)
        return status, usage

    def _kill(self) -> None:
        with self._lock:
            if not self._gone:
                self.reached = True
                os.killpg(self.pid, signal.SIGKILL)
