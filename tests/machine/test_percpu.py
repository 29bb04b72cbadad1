"""Per-cpu data, compiled: both engines. Expected values and counts by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..support import linked_of, rejected
from .vocabulary import ends, on_both

HEAD = """from lockverse import *


@struct
class stat:
    faults: u8
    state: array[s64, 2]
    next: ptr["stat"]


@struct
class group:
    count: percpu[s8]
    stats: percpu[stat]
    link: ptr[percpu[stat]]
    locks: percpu[spinlock_t]
    hits: percpu[atomic_t]
    rows: percpu[array[u8, 2]]
    one: ptr[percpu[s8]]
    n: u8


total = percpu[u8]()


def sum_of(g):
    found = 0
    for cpu in for_each_possible_cpu():
        found += per_cpu(g.count, cpu)
    return found


"""


def file(body: str, scene: str = "g = group()\ncpu(run, g)\ncpu(run, g)") -> str:
    """A scheme file: the lines of run(), or whole functions, and of the scheme."""
    inside = body if body.startswith("def ") else "def run(g):\n" + "\n".join(f"    {line}" for line in body.splitlines())
    return f"{HEAD}{inside}\n\n\n@scheme\ndef scene():\n" + "\n".join(f"    {line}" for line in scene.splitlines()) + "\n"


TWO = "g = group()\ncpu(run, g)\ncpu(run, g)\n"
VALUES = [
    ("this_cpu_add(g.count, 3)\nthis_cpu_sub(g.count, 1)", "g.count[0] == 2 and g.count[1] == 2 and sum_of(g) == 4"),
    ("this_cpu_write(g.count, smp_processor_id() + 1)", "g.count[0] == 1 and per_cpu(g.count, 1) == 2"),
    ("assert this_cpu_inc_return(g.count) == 1\nassert this_cpu_xchg(g.count, 5) == 1\nassert this_cpu_cmpxchg(g.count, 5, 6) == 5", "sum_of(g) == 12"),
    ("this_cpu_or(g.count, 12)\nthis_cpu_and(g.count, 10)\nassert this_cpu_read(g.count) == 8", "sum_of(g) == 16"),
    ("__this_cpu_inc(g.count)\n__this_cpu_add(g.count, 4)\n__this_cpu_dec(g.count)\n__this_cpu_sub(g.count, 1)", "sum_of(g) == 6"),
    ("this_cpu_inc(g.stats.faults)\nthis_cpu_add(g.stats.state[1], 4)", "g.stats[0].faults == 1 and g.stats[1].state[1] == 4 and g.stats[1].state[0] == 0"),
    ("p = this_cpu_ptr(g.stats)\np.faults += 2\nraw_cpu_ptr(g.stats).faults += 1", "g.stats[0].faults == 3 and per_cpu_ptr(g.stats, 1).faults == 3"),
    ("g.link = g.stats\nthis_cpu_inc(g.link.faults)", "g.stats[0].faults == 1 and g.stats[1].faults == 1"),
    ("atomic_inc(this_cpu_ptr(g.hits))\nwith this_cpu_ptr(g.locks):\n    pass", "atomic_read(g.hits[1]) == 1"),
    ("this_cpu_inc(g.rows[1])\nassert this_cpu_ptr(g.rows)[1] == 1", "g.rows[1][1] == 1 and g.rows[0][0] == 0"),
    ("this_cpu_inc(total)\nassert len(g.count) == 2 == num_possible_cpus() == num_online_cpus()", "total[0] == 1 and total[1] == 1"),
    ("this_cpu_ptr(g.stats).next = per_cpu_ptr(g.stats, 1 - smp_processor_id())\nthis_cpu_inc(g.stats.next.faults)", "g.stats[0].faults == 1 and g.stats[1].faults == 1"),
    ("g.one = g.count\nthis_cpu_inc(g.one)\nassert this_cpu_read(g.one) == 1", "sum_of(g) == 2"),
    ("for v in g.count:\n    assert v == 0\nfor cpu in for_each_online_cpu():\n    assert per_cpu(g.count, cpu) == 0", "sum_of(g) == 0"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "rest"), VALUES)
def test_values(tmp_path: Path, body: str, rest: str) -> None:
    assert ends(tmp_path, file(body, f"{TWO}at_rest(lambda: {rest})")) == "holds"


def test_the_other_side(tmp_path: Path) -> None:
    """The table can fail."""
    body = "this_cpu_inc(g.count)"
    assert ends(tmp_path, file(body, TWO + "at_rest(lambda: g.count[0] == 2)")) == "at-rest"
    assert ends(tmp_path, file("cpu = smp_processor_id()\nWRITE_ONCE(g.count[cpu], 3)", TWO + "at_rest(lambda: sum_of(g) == 6)")) == "holds"


def test_one_step_or_two(tmp_path: Path) -> None:
    """By hand. On different CPUs nothing meets: k steps each make (k + 1) ** 2 states. A plain operation is two steps, and what
    another CPU writes between them is lost; this_cpu_inc() is one."""
    atomic = on_both(tmp_path, file("this_cpu_inc(g.count)"))
    plain = on_both(tmp_path, file("__this_cpu_inc(g.count)"))
    assert (atomic.states, plain.states, atomic.failing, plain.failing) == (4, 9, None, None)
    other = "def run(g):\n    {0}(g.count)\n\n\ndef reset(g):\n    g.count[0] = 5"
    scene = "g = group()\ncpu(run, g)\ncpu(reset, g)\nat_rest(lambda: g.count[0] == 5 or g.count[0] == 6)"
    assert ends(tmp_path, file(other.format("this_cpu_inc"), scene)) == "holds"
    assert ends(tmp_path, file(other.format("__this_cpu_inc"), scene)) == "at-rest"


def test_tasks_of_one_cpu(tmp_path: Path) -> None:
    """They share its element, and one may be preempted in the middle of a plain operation."""
    scene = "g = group()\nfirst = cpu(run, g)\ntask(run, g, on=first)\nalways(lambda: num_possible_cpus() == 1)\nat_rest(lambda: g.count[0] == 2)"
    assert ends(tmp_path, file("this_cpu_inc(g.count)", scene)) == "holds"
    assert ends(tmp_path, file("__this_cpu_inc(g.count)", scene)) == "at-rest"
    assert ends(tmp_path, file("preempt_disable()\n__this_cpu_inc(g.count)\npreempt_enable()", scene)) == "holds"


def test_faults(tmp_path: Path) -> None:
    assert ends(tmp_path, file("this_cpu_add(g.count, 127 + g.n)")) == "holds"
    assert ends(tmp_path, file("this_cpu_add(g.count, 128 + g.n)")) == "overflow"
    assert ends(tmp_path, file("g.count[g.n + 1] = 1")) == "holds"
    assert ends(tmp_path, file("g.count[g.n + 2] = 1")) == "out-of-bounds"
    assert ends(tmp_path, file("this_cpu_inc(g.link.faults)")) == "null-dereference"


def test_names_and_cells(tmp_path: Path) -> None:
    """One element a CPU, called by its number."""
    cells = [cell.name for cell in linked_of(tmp_path, file("this_cpu_inc(g.count)", TWO + "cpu(run, g)")).program.cells]
    assert [name for name in cells if name.startswith("g.count")] == ["g.count[0]", "g.count[1]", "g.count[2]"]
    assert "g.stats[2].state[1]" in cells and "total[0]" not in cells


def test_allocated_in_the_scene(tmp_path: Path) -> None:
    """An object that kmalloc() gives there has its parts before it is known how many CPUs there are."""
    scene = "pool(group, 1)\ng = kmalloc(group)\nh = group(link=g.stats)\ng.stats[1].faults = 3\ncpu(run, g)\ncpu(run, g)\nat_rest(lambda: g.stats[0].faults == 1 and g.stats[1].faults == 4)"
    assert ends(tmp_path, file("this_cpu_inc(g.stats.faults)", scene)) == "holds"


def test_diagnostics(tmp_path: Path) -> None:
    for line, code in (
        ("this_cpu_inc(g.n)", "K308"), ("this_cpu_inc(g)", "K308"), ("this_cpu_inc(g.stats)", "K308"), ("this_cpu_inc(g.locks)", "K308"),
        ("this_cpu_add(g.count)", "K302"), ("this_cpu_inc(g.stats.nothing)", "K202"), ("x = g.stats.faults", "K202"), ("g.count = 1", "K304"),
        ("g.count += 1", "K304"), ("x = this_cpu_ptr(g.count)", "K301"), ("x = per_cpu_ptr(g.count, 0)", "K301"), ("x = per_cpu(g.n, 0)", "K301"),
        ("x = for_each_possible_cpu()", "K104"), ("this_cpu_inc(g.link.next)", "K308"), ("this_cpu_inc(5)", "K308"), ("this_cpu_inc(percpu)", "K308"), ("x = per_cpu(nothing, 0)", "K201"), ("g.count[2] = 1", "K306"), ("this_cpu_inc(this_cpu_ptr(g.stats).faults)", "K308"),
    ):  # fmt: skip
        assert [one.code for one in rejected(tmp_path, file(line))] == [code], line
    assert [one.code for one in rejected(tmp_path, file("g.n = 1", TWO + "always(lambda: this_cpu_read(g.count) == 0)"))] == ["K305"]
    wrong = rejected(tmp_path, file("g.n = 1", "g = group(count=[1, 2, 3])\ncpu(run, g)\ncpu(run, g)"))
    assert [one.code for one in wrong] == ["K008"] and "the last CPU is 1" in wrong[0].headline
    assert [one.code for one in rejected(tmp_path, file("g.n = 1", "g = group()\ncpu(run, g)\nn = num_possible_cpus()"))] == ["K006"]
