"""What a workload answered: the results of its operations, who owned which pages, the numbers at each checkpoint.

The same shape serves for what a real kernel answered and for what the simulator does, and the JSON is that of the recordings, so that
either can be read by whatever reads the other. Statistics are in pages. Leaves out running, comparing (conformance.py), printing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Statistics = Mapping[str, Mapping[str, int]]  # of each group: the pages (or events) by the names of the kernel's files


class NotARecording(Exception):
    """The text is not a recording: says why."""


@dataclass(slots=True)
class Recording:
    """A workload with its answers. `owners` and `checkpoints` are by the index of their operation."""

    name: str
    cgroup_version: int
    kernel: str = ""
    cmdline: str = ""
    ops: list[str] = field(default_factory=list)
    results: list[int] = field(default_factory=list)
    owners: dict[int, list[str]] = field(default_factory=dict)
    checkpoints: dict[int, Statistics] = field(default_factory=dict)

    def numbers(self) -> int:
        """How many statistics the checkpoints have."""
        return sum(len(row) for groups in self.checkpoints.values() for row in groups.values())


def dumps(one: Recording) -> str:
    """As JSON, a line an answer."""
    owners = [json.dumps({"op": op, "pages": pages}) for op, pages in one.owners.items()]
    rows = [
        json.dumps({"after_op": op, "cgroup": group, "stats": row}) for op, groups in one.checkpoints.items() for group, row in groups.items()
    ]  # fmt: skip
    head = ("name", "kernel", "cmdline", "cgroup_version", "ops", "results")
    parts = [f'"{name}": {json.dumps(getattr(one, name))}' for name in head]
    for name, lines in (("owners", owners), ("checkpoints", rows)):
        body = ",\n".join(lines)
        parts.append(f'"{name}": [\n{body}\n]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def loads(text: str) -> Recording:
    """Read JSON. Raises NotARecording; what is left out of answers is empty, since a workload alone may be given."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise NotARecording(f"it is not JSON: {problem}") from None
    if not isinstance(body, dict) or not isinstance(body.get("ops"), list):
        raise NotARecording("it has no list `ops`")
    try:
        return _recording(body)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise NotARecording(f"its shape is not that of a recording: {type(problem).__name__} {problem}") from None


def _recording(body: dict[str, object]) -> Recording:
    """The types of JSON are checked where they are used: a wrong one raises TypeError, KeyError, ValueError or AttributeError."""
    ops, version = body["ops"], body.get("cgroup_version", 1)
    if not isinstance(ops, list) or not all(isinstance(op, str) and "\n" not in op for op in ops) or version not in (1, 2):
        raise ValueError("`ops` has lines of text, `cgroup_version` is 1 or 2")
    one = Recording(str(body.get("name", "")), 2 if version == 2 else 1, str(body.get("kernel", "")), str(body.get("cmdline", "")), ops)
    results, owners, rows = (_list(body.get(name, [])) for name in ("results", "owners", "checkpoints"))
    one.results = [int(result) for result in results]
    one.owners = {int(owner["op"]): [str(page) for page in owner["pages"]] for owner in owners}
    checkpoints: dict[int, dict[str, Mapping[str, int]]] = {}
    for row in rows:
        checkpoints.setdefault(int(row["after_op"]), {})[str(row["cgroup"])] = {str(key): int(value) for key, value in row["stats"].items()}
    one.checkpoints.update(checkpoints)
    return one


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value
