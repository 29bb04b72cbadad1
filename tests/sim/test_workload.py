"""The workload language: what each operation means, and for each code of K4 what is told, where. Near misses are read.

Places are counted in the lines given here.
"""

from __future__ import annotations

import pytest

from lockverse.diagnostics.codes import CODES
from lockverse.diagnostics.model import Diagnostic, Rejected
from lockverse.sim.names import Names
from lockverse.sim.operations import OPERATIONS, Map, Mkcg, Operation, Touch, Unmap
from lockverse.sim.workload import MOST_PAGES, MOST_SHOWN, parse, parse_line, usage

# an operation of each form, and the fields it must have
READ = [
    ("mkcg A/B", {"group": "A/B"}), ("rmcg A", {"group": "A"}), ("flags A 3", {"group": "A", "number": 3}), ("limit A -1", {"pages": -1}),
    ("limit . 0", {"group": ".", "pages": 0}), ("write A memory.force_empty 1", {"path": "memory.force_empty", "value": "1"}),
    ("sysw /proc/sys/vm/drop_caches 2", {"path": "/proc/sys/vm/drop_caches", "value": "2"}), ("sleepms 10", {"number": 10}),
    ("file f 0", {"file": "f", "pages": 0, "ramfs": False}), ("file f 9 ramfs", {"pages": 9, "ramfs": True}), ("unlink f", {"file": "f"}),
    ("truncate f 3", {"pages": 3}), ("punch f 1 2", {"offset": 1, "pages": 2}), ("spawn w A", {"worker": "w", "group": "A"}),
    ("fork w v", {"worker": "w", "new": "v"}), ("vmfork w v", {"worker": "w", "new": "v"}), ("exit w", {"worker": "w"}), ("kill w", {"worker": "w"}),
    ("move w .", {"group": "."}), ("map w r anon 5", {"kind": "anon", "pages": 5, "slot": None}),
    ("map w r shanon 5 @3", {"kind": "shanon", "slot": 3, "page": 0}),
    ("map w r file f 2 5 private @3+7", {"kind": "file", "file": "f", "offset": 2, "pages": 5, "sharing": "private", "slot": 3, "page": 7}),
    ("touch w r 1 2 w", {"offset": 1, "pages": 2, "access": "w"}), ("unmap w r", {"offset": 0, "pages": None}), ("unmap w r 1 2", {"offset": 1, "pages": 2}),
    ("mremap w r 1 2 9", {"slot": 9}), ("mprotect w r 1 2 none", {"protection": "none"}), ("fread w f 1 2", {"file": "f", "offset": 1, "pages": 2}),
    ("fwrite w f 1 2", {"worker": "w"}), ("owners w r", {"region": "r"}), ("check", {}),
    *((f"{name} w r 1 2", {"offset": 1, "pages": 2}) for name in ("dontneed", "madvfree", "remove", "hugepage", "pageout", "mlock", "munlock", "owners")),
]  # fmt: skip


def _one(line: str) -> Operation:
    found = parse_line(line, "w.txt", 1)
    assert found is not None
    return found


@pytest.mark.parametrize(("line", "fields"), READ, ids=[line for line, _ in READ])
def test_operations(line: str, fields: dict[str, object]) -> None:
    found = _one(f"  {line.replace(' ', '   ')}\t# and a comment")
    assert type(found) is OPERATIONS[line.split()[0]] and found.text == line
    assert {name: getattr(found, name) for name in fields} == fields


def test_every_operation_is_tried() -> None:
    assert {line.split()[0] for line, _ in READ} == set(OPERATIONS)


def test_every_operation_is_described() -> None:
    for one in OPERATIONS.values():
        assert one.__doc__ and usage(one), one


def test_a_file() -> None:
    workload = parse("# first\n\ncgroup v2 # and so on\nmkcg A\n\n  touch w r 0 1 r\n", "w.txt")
    assert workload.operations == (Mkcg("A"), Touch("w", "r", 0, 1, "r")) and workload.cgroup_version == 2
    assert [(one.line, one.column) for one in workload.operations] == [(4, 1), (6, 3)] and not workload.diagnostics
    place = workload.operations[1].place("access")
    assert (place.file, place.line, place.column, place.end_column) == ("w.txt", 6, 17, 18)


WRONG = [
    ("K401", "spwn w A", (1, 5), "did you mean `spawn`?"), ("K401", "  xyzzy", (3, 8), "the operations are mkcg"),
    ("K402", "mkcg", (1, 5), "takes 1 argument, this gives 0"), ("K402", "exit w v", (8, 9), "one too many"),
    ("K402", "touch w r 0 1 x", (15, 16), "`r` or `w`"), ("K402", "map w r fil f 0 1 shared", (9, 12), "did you mean `file`?"),
    ("K402", "map w r file f 0 1", (18, 19), "takes 7 or 8"), ("K402", "file f 1 tmpfs", (10, 15), "`ramfs`"), ("K402", "unmap w r 1", (11, 12), "takes 2 or 4"),
    ("K402", "mprotect w r 0 1 x", (18, 19), "`none` or `r` or `rw`"), ("K402", "map w r", (7, 8), "map W R shanon N"),
    ("K403", "touch w r 0x1 1 w", (11, 14), "not a number"), ("K403", "touch w r 0 0 w", (13, 14), "out of range"),
    ("K403", "limit A -2", (9, 11), "from -1"), ("K403", f"file f {MOST_PAGES + 1}", (8, 15), "out of range"), ("K403", f"file f {'9' * 5000}", (8, 5008), "out of range"),
    ("K403", "file f ٣", (8, 10), "not a number"), ("K403", "map w r anon 1 @", (16, 17), "@SLOT+PAGE"), ("K403", "map w r anon 1 @1+16384", (16, 24), "out of range"),
    ("K403", "mremap w r 0 1 65536", (16, 21), "out of range"), ("K404", "mkcg A//B", (6, 10), "no name of a group"), ("K404", "mkcg ..", (6, 8), "no name"),
    ("K404", "spawn é A", (7, 9), "no name of a worker"), ("K404", "mkcg /A", (6, 8), "no name"),
    ("K405", "cgroup v3", (8, 10), "version 1 or 2"), ("K405", "cgroup", (1, 7), "write `cgroup v1`"), ("K405", "cgroup v1\ncgroup v1", (1, 7), "said already"),
    ("K405", "mkcg A\ncgroup v1", (1, 7), "after the first"), ("K401", "# nothing", (0, 0), "no operation in this file"),
]  # fmt: skip


def _all_of(one: Diagnostic) -> str:
    return " ".join([one.headline, one.primary.text, one.help])


@pytest.mark.parametrize(("code", "text", "columns", "words"), WRONG, ids=[f"{case[0]}-{n}" for n, case in enumerate(WRONG)])
def test_what_is_wrong(code: str, text: str, columns: tuple[int, int], words: str) -> None:
    workload = parse(text, "w.txt")
    assert [one.code for one in workload.diagnostics] == [code]
    place = workload.diagnostics[0].primary.place
    assert (place.column, place.end_column) == columns and words in _all_of(workload.diagnostics[0])


def test_all_of_it_is_told() -> None:
    assert [one.code for one in parse("touch w r a b x\nfoo\nmkcg A B", "w.txt").diagnostics] == ["K403", "K403", "K402", "K401", "K402"]
    assert len(parse("foo\n" * 1000, "w.txt").diagnostics) == MOST_SHOWN


BEFORE = "mkcg A\nmkcg A/B\nspawn w A\nmap w r anon 10\nfile f 5\nspawn gone A\nexit gone\nfile old 1\nunlink old\nmkcg C\nrmcg C\nmap w u anon 1\nunmap w u\nspawn x A\n"
REFUSED = [
    ("K406", "exit v", "the workers are w"), ("K406", "exit gone", "it has exited"), ("K406", "mkcg X/Y", "no group"), ("K406", "spawn v B", "no group"),
    ("K406", "move w C", "it was removed"), ("K406", "unlink g", "no file"), ("K406", "fread w old 0 1", "its name was removed"),
    ("K406", "touch w rr 0 1 r", "no region of `w`"), ("K406", "touch w u 0 1 r", "it was unmapped"), ("K406", "map x r file g 0 1 shared", "no file"),
    ("K406", "touch x r 0 1 r", "make one first: `map W R anon N`"), ("K406", "fork v y", "no worker"), ("K406", "rmcg .", "the top group stays"),
    ("K406", "limit D 1", "no group"), ("K407", "spawn w A", "already"), ("K407", "fork w w", "already"), ("K407", "vmfork w x", "already"),
    ("K407", "map w r anon 1", "already"), ("K407", "file f 1", "already"), ("K408", "touch w r 10 1 w", "pages are 0 to 9"),
    ("K408", "unmap w r 9 2", "pages 9 to 10"), ("K408", "mprotect w r 0 11 r", "has 10 pages"), ("K408", "mremap w r 5 6 3", "has 10 pages"),
]  # fmt: skip
ALLOWED = [
    "spawn gone A", "file old 1", "mkcg C", "mkcg A", "map w u anon 3", "map x r anon 3", "touch w r 9 1 w", "owners w r 0 10", "move w .", "spawn v .",
    "fwrite w f 100 10", "punch f 10 10", "map w q file f 3 10 shared", "rmcg A/B", "unmap w r",
]  # fmt: skip


def _book() -> Names:
    names = Names()
    for operation in parse(BEFORE, "w.txt").operations:
        assert names.refuse(operation) is None
        names.note(operation, 0)
    return names


@pytest.mark.parametrize(("code", "line", "words"), REFUSED, ids=[line for _, line, _ in REFUSED])
def test_names(code: str, line: str, words: str) -> None:
    found = _book().refuse(_one(line))
    assert found is not None and found.code == code and words in _all_of(found)


@pytest.mark.parametrize("line", ALLOWED)
def test_names_near_misses(line: str) -> None:
    assert _book().refuse(_one(line)) is None


def test_the_places_of_both() -> None:
    found = _book().refuse(parse_line("touch  w r  8 5 w", "w.txt", 20))  # type: ignore[arg-type]
    assert found is not None and (found.primary.place.column, found.primary.place.end_column) == (13, 16)
    taken = _book().refuse(_one("spawn w A"))
    assert taken is not None and [one.place.line for one in taken.secondary] == [3]


def test_what_failed_made_nothing() -> None:
    names = _book()
    names.note(_one("mkcg D"), -17)
    names.note(_one("exit w"), -3)
    assert "D" not in names.groups and "w" in names.workers


def test_an_address_space_that_is_shared() -> None:
    """What one task maps, the other has; a forked child has its own."""
    names = _book()
    for line in ("vmfork w v", "fork w y", "map v s anon 3", "mremap w r 2 3 9"):
        names.note(_one(line), 0)
    assert names.workers["w"] == names.workers["v"] == {"r": 3, "s": 3} and names.workers["y"] == {"r": 10}
    assert names.where == {"w": "A", "v": "A", "y": "A", "x": "A"}
    names.note(_one("move v A/B"), 0)
    names.note(_one("limit A 5"), 0)
    assert names.where["v"] == "A/B" and names.limits == {"A": 5}
    names.note(_one("limit A -1"), 0)
    assert not names.limits


def test_the_version_is_chosen_before() -> None:
    with pytest.raises(Rejected) as caught:
        parse_line("cgroup v2", "input", 1)
    assert caught.value.diagnostics[0].code == "K405" and parse_line("  # nothing", "input", 1) is None


def test_every_code_has_a_case() -> None:
    assert {case[0] for case in WRONG} | {case[0] for case in REFUSED} == {code for code in CODES if code.startswith("K4")}


def test_operations_are_values() -> None:
    """Where they stand is no part of what they are."""
    assert _one("unmap w r") == Unmap("w", "r") != Unmap("w", "r", 0, 1) and _one("map w r anon 3") == Map("w", "r", "anon", 3)
    assert hash(_one("mkcg A")) == hash(Mkcg("A"))


def test_the_language_is_documented() -> None:
    """Every form of every operation is in docs/workloads.md."""
    from ..support import ROOT

    text = (ROOT / "docs" / "workloads.md").read_text().replace("\\|", "|")
    for one in OPERATIONS.values():
        for form in usage(one):
            assert f"`{form}`" in text, form
