"""Per-cpu data under plain Python: expected values by hand, meanings from Documentation/core-api/this_cpu_ops.rst of Linux 6.1."""

from __future__ import annotations

from typing import Any

import pytest

from lockverse import (
    __this_cpu_add,
    __this_cpu_dec,
    __this_cpu_inc,
    __this_cpu_read,
    __this_cpu_sub,
    __this_cpu_write,
    array,
    cpu,
    for_each_online_cpu,
    for_each_possible_cpu,
    num_online_cpus,
    num_possible_cpus,
    per_cpu,
    per_cpu_ptr,
    percpu,
    ptr,
    raw_cpu_ptr,
    running,
    s8,
    s64,
    scheme,
    struct,
    task_struct,
    this_cpu_add,
    this_cpu_add_return,
    this_cpu_and,
    this_cpu_cmpxchg,
    this_cpu_dec,
    this_cpu_dec_return,
    this_cpu_inc,
    this_cpu_inc_return,
    this_cpu_or,
    this_cpu_ptr,
    this_cpu_read,
    this_cpu_sub,
    this_cpu_sub_return,
    this_cpu_write,
    this_cpu_xchg,
    u8,
)
from lockverse.lang.errors import NotInScheme, OutOfBounds, Overflow, WrongType
from lockverse.lang.scene import build
from lockverse.lang.task import cpu_count


@struct
class stat:
    faults: u8
    state: array[s64, 2]


@struct
class group:
    count: percpu[s8]
    stats: percpu[stat]
    link: ptr[percpu[stat]]  # type: ignore[valid-type]


shared: Any = percpu[s64](5)


def on(number: int) -> Any:
    return running(task_struct(pid=number, cpu=number))


def test_each_cpu_has_its_own() -> None:
    one: Any = group()
    this_cpu_add(one.count, 3)
    with on(1):
        this_cpu_sub(one.count, 2)
        this_cpu_inc(one.stats.faults)
        this_cpu_write(one.stats.state[1], 7)
        assert this_cpu_read(one.count) == -2 and this_cpu_ptr(one.stats) is one.stats[1] is raw_cpu_ptr(one.stats)
    assert (one.count[0], one.count[1], per_cpu(one.count, 1)) == (3, -2, -2)
    assert (one.stats[0].faults, one.stats[1].faults, list(per_cpu_ptr(one.stats, 1).state)) == (0, 1, [0, 7])
    one.link = one.stats
    this_cpu_dec(one.link.state[0])
    assert list(one.stats[0].state) == [-1, 0]


def test_values() -> None:
    one: Any = group(count=4)
    assert (this_cpu_add_return(one.count, 2), this_cpu_sub_return(one.count, 1), this_cpu_inc_return(one.count), this_cpu_dec_return(one.count)) == (6, 5, 6, 5)
    assert this_cpu_xchg(one.count, 12) == 5 and this_cpu_cmpxchg(one.count, 12, 10) == 12 and this_cpu_cmpxchg(one.count, 12, 11) == 10
    this_cpu_and(one.count, 6)
    this_cpu_or(one.count, 1)
    assert this_cpu_read(one.count) == 3
    __this_cpu_add(one.count, 2)
    __this_cpu_sub(one.count, 4)
    __this_cpu_inc(one.count)
    assert __this_cpu_read(one.count) == 2
    __this_cpu_dec(one.count)
    assert one.count[0] == 1
    __this_cpu_write(one.count, 127)
    with pytest.raises(Overflow):
        this_cpu_inc(one.count)


def test_made_with_values() -> None:
    one: Any = group(count=[1, 2], stats=[stat(faults=3)])
    assert [one.count[n] for n in range(3)] == [1, 2, 0] and (one.stats[0].faults, one.stats[1].faults) == (3, 0)
    assert group(count=7).count[5] == 7 and percpu[stat]()[2].faults == 0
    with pytest.raises(WrongType):
        group(count="x").count[0]
    with pytest.raises(OutOfBounds):
        one.count[-1]
    with pytest.raises(OutOfBounds):
        one.count[64]
    with pytest.raises(WrongType):
        one.count = 5


def test_cpus() -> None:
    one: Any = group()
    with cpu_count(3):
        assert num_possible_cpus() == num_online_cpus() == len(one.count) == 3
        for number in for_each_possible_cpu():
            one.count[number] = number
        assert sum(per_cpu(one.count, number) for number in for_each_online_cpu()) == 3 == sum(one.count)
    with cpu_count(1):
        with on(4):
            assert num_possible_cpus() == 5
        assert num_possible_cpus() == 5


@scheme
def example() -> None:
    shared[1] = 9
    this_cpu_inc(shared)
    cpu(test_cpus)


@scheme
def too_early() -> None:
    num_possible_cpus()


def test_scenes() -> None:
    """What a scheme does to per-cpu data of its module is undone; it cannot ask how many CPUs there will be."""
    scene = build(example, {})
    assert (shared[0], shared[1]) == (6, 9)
    scene.restore()
    assert (shared[0], shared[1]) == (5, 5)
    with pytest.raises(NotInScheme):
        build(too_early, {})
