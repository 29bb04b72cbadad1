"""Random scheme files, from a grammar of the language: what brute force, the search and CPython are compared on.

A program is text, so that one that fails can be pasted into a file. Small on purpose: two or three threads of a few
steps, over a handful of cells. Leaves out what cannot be told apart by running it, such as memory orders.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

HEADER = '''from lockverse import *


class mode(Enum):
    idle = auto()
    busy = auto()


@struct
class node:
    x: s8
    y: u8
    flag: bool
    m: mode
    count: atomic_t
    lock: spinlock_t
    slots: array[s16, 2]
    other: ptr["node"]

'''


@dataclass
class Maker:
    """Makes one program. `locals` are the integer variables that surely have a value."""

    rng: random.Random
    budget: int
    threads: int
    rests: bool = False
    locals: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    locks: int = 0
    loops: int = 0

    def pick(self, *options: str) -> str:
        """One of the options."""
        return self.rng.choice(options)

    def place(self) -> str:
        """An integer place in memory."""
        node = self.pick("a", "a", "b", "a.other")
        return f"{node}.{self.pick('x', 'y', f'slots[{self.index()}]')}"

    def index(self) -> str:
        """An index of `slots`, nearly always inside."""
        return self.pick("0", "1", "0", "1", "0", "1", *(self.locals[:1] if self.rng.random() < 0.2 else []), "1")

    def simple(self) -> str:
        """An integer expression without a step."""
        return self.pick("0", "1", "2", *self.locals, *self.locals)

    def value(self) -> str:
        """An integer expression with at most two steps."""
        kind = self.rng.randrange(10)
        if kind < 4:
            return self.simple()
        if kind < 5:
            return f"{self.place()} {self.pick('+', '-', '*', '//', '%', '&', '|', '^')} {self.simple()}"
        if kind < 7:
            return f"READ_ONCE({self.place()})"
        if kind < 8:
            return f"({self.simple()} if {self.test()} else {self.simple()})"
        return self.pick("atomic_read(a.count)", "atomic_inc_return(a.count)", "atomic_fetch_add(2, b.count)", self.place(),
                         "helper(a, 1)", "helper(b, k=2)", "smp_processor_id()")  # fmt: skip

    def test(self) -> str:
        """A condition."""
        kind = self.rng.randrange(9)
        if kind < 3:
            return f"{self.value()} {self.pick('==', '!=', '<', '>=')} {self.simple()}"
        if kind < 4:
            return f"{self.pick('a', 'b')}.flag"
        if kind < 5:
            return f"not READ_ONCE({self.pick('a', 'b')}.flag)"
        if kind < 6:
            return f"{self.pick('a', 'b')}.flag {self.pick('and', 'or')} {self.simple()} < {self.place()}"
        if kind < 7:
            return f"a.other {self.pick('==', '!=')} {self.pick('b', 'NULL', 'a')}"
        if kind < 8:
            return f"a.m == mode.{self.pick('idle', 'busy')}"
        return self.pick("atomic_dec_and_test(a.count)", "atomic_add_negative(-1, b.count)", "0 <= a.x < 2")

    def statement(self, indent: str, depth: int) -> None:
        """One statement, simple or compound."""
        if self.budget <= 0:
            return
        self.budget -= 1
        kind = self.rng.randrange(24)
        add = lambda text: self.lines.append(indent + text)  # noqa: E731
        if kind < 5:
            add(f"{self.place()} {self.pick('=', '+=', '-=', '=')} {self.value()}")
        elif kind < 7:
            add(f"WRITE_ONCE({self.place()}, {self.value()})")
        elif kind < 10:
            name = self.pick("i", "j")
            add(f"{name} = {self.value()}")
            self.locals += [name] if name not in self.locals else []
        elif kind < 11:
            add(f"{self.pick('a', 'b')}.flag = {self.pick('True', 'False', self.test())}")
        elif kind < 12:
            add(f"{self.pick('a', 'b')}.other = {self.pick('a', 'b', 'b', 'NULL')}")
        elif kind < 13:
            add(f"a.m = mode.{self.pick('idle', 'busy')}")
        elif kind < 14:
            add(self.pick("atomic_inc(a.count)", "atomic_dec(b.count)", "atomic_set(a.count, 1)", "smp_mb()"))
        elif kind < 15:
            add(self.pick(f"assert {self.test()}", f"WARN_ON({self.test()})", f"assume({self.test()})"))
        elif kind < 16:
            add(f"j = choose({self.pick('0, 1', 'range(2)', '1, 0')})")
            self.locals += ["j"] if "j" not in self.locals else []
        elif kind < 17:
            add(self.pick("j, i = 1, 2", f"old = xchg(a.y, {self.pick('0', '1')})", "ok, old = try_cmpxchg(b.y, 0, 1)", "return"))
            if "j, i" in self.lines[-1]:
                self.locals += [name for name in ("i", "j") if name not in self.locals]
        elif depth:
            self.compound(indent, depth, kind)

    def compound(self, indent: str, depth: int, kind: int) -> None:
        """A statement with others inside."""
        inner = indent + "    "
        before = list(self.locals)
        if kind < 20:
            self.lines.append(f"{indent}if {self.test()}:")
            self.body(inner, depth - 1)
            self.locals = list(before)
            if self.rng.random() < 0.5:
                self.lines.append(f"{indent}else:")
                self.body(inner, depth - 1)
        elif kind < 22 and self.loops < 1 and not self.locks:
            self.loops += 1
            self.lines.append(f"{indent}for n in range({self.pick('2', '1', '1, 3')}):")
            self.body(inner, depth - 1)
            if self.rng.random() < 0.3:
                self.lines.append(f"{inner}if {self.test()}:")
                self.lines.append(f"{inner}    {self.pick('break', 'continue')}")
        elif kind < 23 and self.locks < 2:
            self.locks += 1
            self.lines.append(f"{indent}with {self.pick('a', 'b')}.lock:")
            self.body(inner, depth - 1)
            self.locks -= 1
        elif self.threads > 1 and self.rng.random() < 0.4:  # alone, nobody would end the wait
            waits = self.pick("READ_ONCE(b.flag)", "not b.flag", "atomic_read(a.count) < 0", "a.y == b.y")
            self.lines += [f"{indent}while {waits}:", f"{inner}cpu_relax()"]
        else:
            lock = self.pick("a", "b")
            self.lines.append(f"{indent}if spin_trylock({lock}.lock):")
            self.body(inner, depth - 1)
            self.lines.append(f"{inner}spin_unlock({lock}.lock)")
        self.locals = before

    def body(self, indent: str, depth: int) -> None:
        """One or two statements, never none."""
        before = len(self.lines)
        for _ in range(self.rng.randrange(1, 3)):
            self.statement(indent, depth)
        if len(self.lines) == before:
            self.lines.append(indent + "pass")

    def function(self, name: str, statements: int) -> None:
        """A whole function; with `rests` it mostly goes round for ever."""
        self.locals, self.locks, self.loops = [], 0, 0
        self.lines += [f"def {name}(a, b):"]
        indent, last = "    ", ""
        if self.rests and self.rng.random() < 0.8:  # with a step in it: nobody would see the end of a loop without one
            indent, last = "        ", "        smp_mb()"
            self.lines += ["    while True:", *["        rest()"] * (self.rng.random() < 0.8)]
        before = len(self.lines)
        for _ in range(statements):
            self.statement(indent, 2)
        if len(self.lines) == before:
            self.lines.append(f"{indent}pass")
        self.lines += [last] * bool(last)
        self.lines += ["", ""]


def program(seed: int, threads: int = 2, statements: int = 3, *, rests: bool = False) -> str:
    """A random scheme file with one scheme, `scheme_under_test`; with `rests`, of CPUs that loop and may rest."""
    rng = random.Random(seed)
    maker = Maker(rng, budget=statements + 2, threads=threads, rests=rests)
    maker.lines += ["def helper(n, k):", "    if n.flag:", "        return n.y + k", "    n.flag = k > 1", "    return k", "", ""]
    for number in range(threads):
        maker.budget = statements + 2
        maker.function(f"thread{number}", statements)
    start = f"node(x={rng.randrange(-2, 3)}, y={rng.randrange(3)}, flag={rng.random() < 0.5}, count={rng.randrange(-1, 2)})"
    properties = [
        "    always(lambda: a.x < 3)",
        "    at_rest(lambda: a.slots[0] + b.slots[1] < 2, \"sum\")",
        "    sometimes(lambda: b.flag)",
        "    always(lambda: atomic_read(a.count) >= -2 and b.m == mode.idle)",
    ]
    cpus = [f"    cpu(thread{number}, {maker.pick('a, b', 'b, a', 'a, b=b')})" for number in range(threads)]
    scene = ["@scheme", "def scheme_under_test():", f"    a = {start}", "    b = node(y=1)", "    a.other = b", f"    b.other = {maker.pick('a', 'b', 'NULL')}"]
    chosen = [one for one in properties if rng.random() < 0.3]
    return HEADER + "\n" + "\n".join([*maker.lines, *scene, *cpus, *chosen]) + "\n"


SECTIONS = [("local_irq_disable()", "local_irq_enable()"), ("preempt_disable()", "preempt_enable()"), ("local_bh_disable()", "local_bh_enable()")]


def contextual(seed: int) -> str:
    """A random program whose threads share CPUs, with sections in which something is disabled."""
    rng = random.Random(seed)
    text = program(seed, 2 + seed % 2, 2)
    number = 0

    def where(found: re.Match[str]) -> str:
        nonlocal number
        number += 1
        if number == 1:
            return f"    c = cpu({found[1]})"
        kind = rng.choice(["task", "interrupt", "softirq", "nmi", "task", "interrupt"])
        return f"    {kind}({found[1]}, on=c)" if rng.random() < 0.8 else f"    cpu({found[1]})"

    def section(found: re.Match[str]) -> str:
        off, on = rng.choice(SECTIONS)
        return f"    {off}\n{found[0]}\n    {on}" if rng.random() < 0.3 else found[0]

    text = re.sub(r"^    cpu\((.*)\)$", where, text, flags=re.M)
    return re.sub(r"^    [ab][.\w\[\]]* [-+]?= .*$", section, text, flags=re.M)
