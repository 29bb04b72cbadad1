"""The simulator, behaviour by behaviour, in the smallest workload that shows each.

Expected numbers are counted by hand from the behaviours that the recordings of a real kernel were made for (their README lists 14) and, where no recording goes, from
the sources named in a comment. Leaves out the recordings themselves (test_conformance.py) and all that a random workload would find.
"""

from __future__ import annotations

import errno

import pytest

from lockverse.lang import NULL, running
from lockverse.linux.include import mm_types
from lockverse.linux.include.memcontrol import mem_cgroup
from lockverse.linux.include.page_counter import page_counter
from lockverse.linux.mm.memcontrol_stock import MEMCG_CHARGE_BATCH
from lockverse.sim.address_space import Part, Vma
from lockverse.sim.groups import Group, PageCounter, Stock
from lockverse.sim.objects import Gather, HugePage, Inode, Page, Pte, TailPage, Task
from lockverse.sim.operations import Owners
from lockverse.sim.run import Run
from lockverse.sim.system import System
from lockverse.sim.workload import parse


def run(text: str, version: int = 1) -> Run:
    """A workload, its lines apart by semicolons; a result that is not 0 must be expected: `limit A 1 = EBUSY`."""
    made = Run(System(version), version)
    for line in text.split(";"):
        words, _, expected = line.partition("=")
        operation = parse(words.strip(), "").operations[0]
        assert made.do(operation).result == -getattr(errno, expected.strip() or "", 0), line
    return made


def row(made: Run, group: str, *keys: str) -> tuple[int, ...]:
    shown = made.machine.statistics()[group]
    return tuple(shown[key] for key in keys)


TWO = "mkcg A; mkcg B; "


def test_flag_of_the_destination() -> None:
    """Behaviours 1, 6 and 10."""
    made = run(TWO + "flags A 3; flags B 1; file f 4; spawn w A; map w r anon 5; map w s file f 0 4 shared; touch w r 0 5 w; touch w s 0 4 w; move w B; flags B 4 = EINVAL")
    assert row(made, "A", "usage", "rss", "cache", "mapped_file", "pgpgin", "pgpgout") == (4, 0, 4, 4, 9, 5)
    assert row(made, "B", "usage", "rss", "cache", "mapped_file", "pgpgin", "pgpgout") == (5, 5, 0, 0, 5, 0)


def test_a_child_takes_what_it_shares() -> None:
    """Behaviour 2."""
    made = run(TWO + "flags B 1; spawn w A; map w r anon 3; touch w r 0 3 w; fork w c; move c B; touch w r 0 1 w")
    assert made.machine.owners(Owners("w", "r")) == ["A/map1x1", "B/map2x2"]
    assert (row(made, "A", "rss"), row(made, "B", "rss")) == ((1,), (3,))  # the child still has all three


def test_the_last_of_two_writes_without_a_copy() -> None:
    made = run("mkcg A; spawn w A; map w r anon 3; touch w r 0 3 w; fork w c; touch c r 0 3 w; touch w r 0 3 w")
    assert row(made, "A", "rss", "pgpgin") == (6, 6)  # three and their copies: the parent's need none (do_wp_page)


def test_pages_that_are_not_present() -> None:
    """Behaviour 5: found by their offset, but only where there is a page table; which munmap frees when nothing is left in its 2 MiB."""
    start = TWO + "flags B 2; file f 9; spawn v A; spawn w A; fwrite v f 0 9; map w n anon 1 @40+0; map w s file f 2 4 shared @40+8"
    assert row(run(start + "; move w B"), "B", "cache") == (0,)
    assert row(run(start + "; touch w n 0 1 w; move w B"), "B", "cache") == (4,)
    assert row(run(start + "; touch w n 0 1 w; dontneed w n; move w B"), "B", "cache") == (4,)
    assert row(run(start + "; touch w n 0 1 w; unmap w n; move w B"), "B", "cache") == (4,)
    assert row(run(start + "; touch w n 0 1 w; unmap w n; unmap w s; map w s2 file f 0 9 shared @40+8; move w B"), "B", "cache") == (0,)


def test_precharge_comes_in_addition() -> None:
    """Behaviour 7, under a common parent, and with a page that two ptes map: it needs two charges."""
    start = "mkcg P; mkcg P/A; mkcg P/B; flags P/B 3; file f 4; spawn w P/A; map w r file f 0 4 shared; touch w r 0 4 w; "
    assert row(run(start + "limit P 8; move w P/B"), "P/B", "usage") == (4,)
    made = run(start + "limit P 7; move w P/B = ENOMEM")
    assert (row(made, "P/A", "usage", "mapped_file"), row(made, "P/B", "usage", "pgpgin")) == ((4, 4), (0, 0))
    run(start + "map w s file f 0 4 shared; touch w s 0 4 w; limit P 11; move w P/B = ENOMEM")
    assert row(run(start + "map w s file f 0 4 shared; touch w s 0 4 w; limit P 12; move w P/B"), "P", "usage") == (4,)


def test_the_stock_keeps_nothing_from_others() -> None:
    """What is charged in advance is given back before a charge is refused, and before numbers are read (try_charge_memcg, drain_all_stock)."""
    made = run("mkcg P; mkcg P/A; mkcg P/B; limit P 70; spawn v P/A; spawn w P/B; map v r anon 1; map w s anon 80; touch v r 0 1 w")
    system = made.machine
    assert isinstance(system, System)
    assert system.groups()["P"].memory.usage.counter == MEMCG_CHARGE_BATCH
    assert made.do(parse("touch w s 0 80 w", "").operations[0]).result == -errno.ENOMEM
    assert (row(made, "P", "usage"), row(made, "P/A", "usage"), row(made, "P/B", "usage")) == ((70,), (1,), (69,))


def test_limits() -> None:
    made = run("mkcg A; spawn w A; map w r anon 9; touch w r 0 9 w; limit A 8 = EBUSY; limit A 9; dontneed w r; limit A 0; limit A -1; touch w r 0 9 w")
    assert row(made, "A", "usage") == (9,)
    assert row(run("mkcg A; spawn w A; map w r anon 9; touch w r 0 9 w; limit A 8", 2), "A", "usage") == (9,)  # memory.max is set whatever is charged


def test_owner_of_an_address_space() -> None:
    """Behaviour 8."""
    made = run(TWO + "flags B 3; spawn w A; map w r anon 9; touch w r 0 2 w; vmfork w c; move c B; touch c r 2 2 w")
    assert (row(made, "A", "rss"), row(made, "B", "rss")) == ((4,), (0,))
    made.do(parse("exit w", "").operations[0])
    made.do(parse("touch c r 4 1 w", "").operations[0])
    assert (row(made, "A", "rss"), row(made, "B", "rss")) == ((4,), (1,))


def test_huge_pages() -> None:
    """Behaviour 9; and a region that cannot hold an aligned huge page gets small ones."""
    made = run(TWO + "flags B 1; spawn w A; map w r anon 1024; hugepage w r; touch w r 0 1024 w; dontneed w r 3 1; move w B")
    keys = ("usage", "rss", "rss_huge", "pgpgin", "pgpgout")
    assert (row(made, "A", *keys), row(made, "B", *keys)) == ((512, 511, 0, 2, 1), (512, 512, 512, 1, 0))
    assert made.machine.owners(Owners("w", "r", 0, 6)) == ["A/map1x1", "uncharged/map1x2", "nonex1", "uncharged/map1x2"]
    made.do(parse("unmap w r", "").operations[0])
    assert (row(made, "A", *keys), row(made, "B", *keys)) == ((0, 0, 0, 2, 2), (0, 0, 0, 1, 1))
    assert row(run("mkcg A; spawn w A; map w r anon 511; hugepage w r; touch w r 0 1 w"), "A", "usage") == (1,)
    assert row(run("mkcg A; limit A 100; spawn w A; map w r anon 512; hugepage w r; touch w r 0 1 w"), "A", "usage", "rss_huge") == (1, 0)


def test_removed_groups() -> None:
    """Behaviours 4 and 11."""
    made = run(TWO + "flags B 3; mkcg A/C; spawn w A/C; map w r anon 4; touch w r 0 4 w; rmcg A/C = EBUSY; rmcg A = EBUSY; move w A; rmcg A/C; move w B")
    assert (row(made, "A", "usage", "rss", "total_rss"), row(made, "B", "usage")) == ((4, 0, 4), (0,))
    assert made.machine.owners(Owners("w", "r")) == ["A/map1x4"]
    made.do(parse("exit w", "").operations[0])
    assert row(made, "A", "usage", "total_rss", "total_pgpgin", "total_pgpgout") == (0, 0, 4, 4)


def test_faults_of_files() -> None:
    """Behaviour 13."""
    made = run("mkcg A; file f 40; spawn w A; map w r file f 0 40 shared; touch w r 0 1 r; touch w r 1 1 w; fwrite w f 2 38; touch w r 20 1 r")
    assert row(made, "A", "cache", "shmem", "mapped_file") == (40, 40, 18)
    assert row(run("mkcg A; file f 4; spawn w A; map w r file f 0 4 private; touch w r 0 4 w"), "A", "usage", "cache", "rss") == (8, 4, 4)
    assert row(run("mkcg A; spawn w A; map w r anon 4; touch w r 0 4 r"), "A", "usage") == (0,)


def test_locked_and_lazily_freed() -> None:
    made = run("mkcg A; spawn w A; map w r anon 8; touch w r 0 2 w; mlock w r 0 4; dontneed w r 0 4 = EINVAL; madvfree w r 4 4; fork w c")
    assert row(made, "A", "rss", "unevictable") == (4, 4)
    made.do(parse("munlock w r", "").operations[0])
    made.do(parse("madvfree w r 0 3", "").operations[0])
    assert row(made, "A", "rss", "unevictable", "inactive_anon", "inactive_file") == (4, 0, 1, 3)


@pytest.mark.parametrize("huge", ["", "hugepage w r; "])
def test_mremap_keeps_the_books(huge: str) -> None:
    made = run(f"mkcg A; spawn w A; map w r anon 1024; {huge}touch w r 0 1024 w; mremap w r 256 512 60")
    assert row(made, "A", "rss", "total_rss") == (1024, 1024)
    assert made.machine.owners(Owners("w", "r"))[0].startswith(("A/map1", "uncharged/map1"))
    made.do(parse("exit w", "").operations[0])
    assert row(made, "A", "usage", "rss") == (0, 0)


def test_what_is_not_there() -> None:
    run("mkcg A; mkcg A = EEXIST; file g 3 ramfs; spawn w A; map w r file g 0 4 shared; touch w r 0 4 r = EFAULT; punch g 0 1 = EOPNOTSUPP; mprotect w r 0 1 r; touch w r 0 1 w = EFAULT")
    run("mkcg P; mkcg P/A; flags P 1 = ENOENT; spawn w P = EBUSY; spawn w P/A; move w P = EBUSY", 2)


def test_objects_have_what_the_structs_have() -> None:
    """The simulator's objects stand in for structs: a field that a struct gets must get a value here too."""
    system = System(1)
    task = Task("w", 2, system.cgroups.top)
    with running(task):
        pass
    head = HugePage()
    vma = Vma(system, 0, 1, None, 0, shared=False)  # type: ignore[arg-type]
    pairs = [
        (Page(), mm_types.page), (head, mm_types.page), (TailPage(head), mm_types.page), (Pte(), mm_types.pte_t), (Inode(1), mm_types.address_space),
        (vma, mm_types.vm_area_struct), (Part(vma, NULL, 0, 1), mm_types.vm_area_struct), (Group(".", None, Stock()), mem_cgroup),
        (PageCounter(NULL), page_counter),
    ]  # fmt: skip
    tails = {"writeback", "swapcache", "objcg", "index", "data", "on_list"}  # of which only the head has one
    for one, struct in pairs:
        assert isinstance(one, struct)
        for name in struct.__lockverse_struct__.fields:
            assert hasattr(one, name) or (isinstance(one, TailPage) and name in tails), (type(one), name)
    assert set(Gather.__lockverse_struct__.fields) == {"mm", "start", "end", "nr", "pages", "delayed"}
