"""Race diagrams, whole: what a kernel developer would paste in a mail.

The mail's diagram is the one in the mail (Johannes Weiner, 7 Nov 2022), in the spelling of the scheme; the others are
written by hand from docs/reading-a-race.md.
"""

from __future__ import annotations

from pathlib import Path

from lockverse.explore.bounds import Bounds
from lockverse.report.story import tell
from lockverse.report.text import Style, draw
from lockverse.session import check, open_file, tasks
from lockverse.trace.model import Trace

from ..support import ROOT, checked


def _trace(folder: Path, body: str, scene: str) -> Trace:
    trace = checked(folder, body, scene).trace
    assert trace is not None
    return trace


def _lines(trace: Trace, *, fold: bool = True, depth: int | None = None, **style: object) -> list[str]:
    """The diagram without the first values."""
    text = draw(tell(trace, fold=fold, depth=depth), Style(**style))  # type: ignore[arg-type]
    return text.split("\n\n", 1)[-1].rstrip("\n").split("\n")


MAIL = """
memcg1.nr_mapped = 1
memcg2.nr_mapped = 0
p.mapcount = 0
p.memcg = memcg1

page_remove_rmap:                              mem_cgroup_move_account:
  if atomic_add_negative(-1, page.mapcount):
                                                 lock_page_memcg(page)
                                                 if atomic_read(page.mapcount) >= 0:  // NOT TAKEN
                                                   memcg1.nr_mapped -= 1
                                                   memcg2.nr_mapped += 1
                                                 WRITE_ONCE(page.memcg, memcg2)
    memcg = lock_page_memcg(page)
    memcg.nr_mapped -= 1                       // UNDERFLOW memcg2.nr_mapped = -1
"""


def test_the_mail() -> None:
    """Columns 0 and 47, bodies two further in, the skipped branch printed, the failing line marked: as in the mail. The
    mail's last line on the right, the unlock, is not part of a shortest race."""
    task = tasks(open_file(ROOT / "schemes" / "mail" / "rung_a.py"), None, {}, every=False)[0]
    trace = check(task, Bounds(), lambda _: None).trace
    assert trace is not None
    assert draw(tell(trace)) == MAIL.lstrip("\n")


def test_a_statement_another_cpu_splits(tmp_path: Path) -> None:
    trace = _trace(tmp_path, "def run(x):\n    x.n += 1", "x = node()\ncpu(run, x)\ncpu(run, x)\nat_rest(lambda: x.n == 2)")
    assert _lines(trace) == [
        "run (CPU0):   run (CPU1):",
        "  x.n += 1    // reads 0",
        "                x.n += 1",
        "  x.n += 1    // AT REST x.n = 1",
    ]


def test_else_and_elif(tmp_path: Path) -> None:
    body = """
        def run(x):
            if READ_ONCE(x.n) == 1:
                x.big = 1
            elif READ_ONCE(x.n) == 2:
                if x.flag:
                    x.big = 2
                else:
                    x.big = 3
            else:
                x.big = 4
    """
    trace = _trace(tmp_path, body, "x = node()\ncpu(run, x)\nalways(lambda: x.big < 4)")
    assert _lines(trace) == [
        "run:",
        "  if READ_ONCE(x.n) == 1:  // NOT TAKEN",
        "    x.big = 1",
        "  elif READ_ONCE(x.n) == 2:  // NOT TAKEN",
        "    if x.flag:",
        "      x.big = 2",
        "    else:",
        "      x.big = 3",
        "  else:",
        "    x.big = 4  // VIOLATED x.big = 4",
    ]


CALLS = """
    def low(x):
        x.slots[0] = 1
        x.slots[1] = 1


    def high(x):
        low(x)
        x.slots[2] = 1


    def run(x):
        high(x)


    def other(x):
        WARN_ON(READ_ONCE(x.slots[0]) > READ_ONCE(x.slots[1]))
"""
CALLERS = "x = node()\ncpu(run, x)\ncpu(other, x)"


def test_a_call_that_another_cpu_sees_half_done_is_opened(tmp_path: Path) -> None:
    """CPU1 warns between the two stores of `low`; CPU0 never gets on."""
    warning = "WARN_ON(READ_ONCE(x.slots[0]) > READ_ONCE(x.slots[1]))  // WARNING"
    opened = ["  high(x)", "    low(x)", "      x.slots[0] = 1"]
    left = len(opened[2]) + 3
    expected = ["run:".ljust(left) + "other:", *opened, " " * (left + 2) + warning]
    trace = _trace(tmp_path, CALLS, CALLERS)
    assert _lines(trace) == _lines(trace, depth=3) == expected


def test_a_call_another_cpu_comes_between_is_opened(tmp_path: Path) -> None:
    body = """
        def add(x):
            old = READ_ONCE(x.n)
            WRITE_ONCE(x.n, old + 1)


        def run(x):
            add(x)
    """
    trace = _trace(tmp_path, body, "x = node()\ncpu(run, x)\ncpu(run, x)\nat_rest(lambda: x.n == 2)")
    left = len("    WRITE_ONCE(x.n, old + 1)") + 3
    assert _lines(trace) == [
        "run (CPU0):".ljust(left) + "run (CPU1):",
        "  add(x)",
        "    old = READ_ONCE(x.n)".ljust(left) + "// reads 0",
        " " * left + "  add(x)",
        "    WRITE_ONCE(x.n, old + 1)".ljust(left) + "// AT REST x.n = 1",
    ]


def test_a_call_that_has_returned_is_one_line(tmp_path: Path) -> None:
    body = CALLS.replace("READ_ONCE(x.slots[0]) > READ_ONCE(x.slots[1])", "READ_ONCE(x.slots[2])")
    assert _lines(_trace(tmp_path, body, CALLERS))[1] == "  high(x)"
    body = body.replace("WARN_ON(READ_ONCE(x.slots[2]))", "WARN_ON(READ_ONCE(x.slots[2]) and READ_ONCE(x.slots[0]))")
    assert _lines(_trace(tmp_path, body, CALLERS))[1] == "  high(x)"


def test_three_columns(tmp_path: Path) -> None:
    body = "def run(x, i):\n    x.slots[i] = 1"
    scene = "x = node()\nfor i in range(3):\n    cpu(run, x, i)\nalways(lambda: x.slots[0] + x.slots[1] + x.slots[2] < 3)"
    assert _lines(_trace(tmp_path, body, scene)) == [
        "CPU0             CPU1             CPU2",
        "----             ----             ----",
        "x.slots[i] = 1",
        "                 x.slots[i] = 1",
        "                                  x.slots[i] = 1  // VIOLATED x.slots[2] = 1",
    ]


def test_four_columns_by_function(tmp_path: Path) -> None:
    body = "def run(x, i):\n    atomic_inc(x.count)"
    scene = "x = node()\nfor i in range(4):\n    cpu(run, x, i)\nalways(lambda: atomic_read(x.count) < 4)"
    lines = _lines(_trace(tmp_path, body, scene), headers="function")
    assert lines[0] == "run (CPU0):             run (CPU1):             run (CPU2):             run (CPU3):"
    assert [line.index("atomic") for line in lines[1:]] == [2, 26, 50, 74]


def test_tabs(tmp_path: Path) -> None:
    trace = _trace(tmp_path, "def run(x):\n    x.n += 1", "x = node()\ncpu(run, x)\ncpu(run, x)\nat_rest(lambda: x.n == 2)")
    assert _lines(trace, tabs=True) == [
        "run (CPU0):\trun (CPU1):", "  x.n += 1\t// reads 0", "\t\t  x.n += 1", "  x.n += 1\t// AT REST x.n = 1",
    ]  # fmt: skip


def test_loops(tmp_path: Path) -> None:
    body = """
        def run(x):
            for i in range(3):
                x.slots[i] = 1
            while READ_ONCE(x.n) == 0:
                x.n = 1
            assert x.flag
    """
    assert _lines(_trace(tmp_path, body, "x = node()\ncpu(run, x)"), fold=False) == [
        "run:", "  for i in range(3):  // i = 0", "    x.slots[i] = 1", "  for i in range(3):  // i = 1", "    x.slots[i] = 1",
        "  for i in range(3):  // i = 2", "    x.slots[i] = 1", "  while READ_ONCE(x.n) == 0:", "    x.n = 1",
        "  while READ_ONCE(x.n) == 0:  // ENDS", "  assert x.flag  // ASSERTION FAILS",
    ]  # fmt: skip
    assert _lines(_trace(tmp_path, body, "x = node()\ncpu(run, x)"))[:4] == [
        "run:", "  for i in range(3):  // i = 0", "    x.slots[i] = 1", "  ... 2 more times round",
    ]  # fmt: skip


def test_what_never_happens_has_no_columns(tmp_path: Path) -> None:
    trace = _trace(tmp_path, "def run(x):\n    x.n = 1", "x = node()\ncpu(run, x)\nsometimes(lambda: x.n == 2)")
    assert draw(tell(trace)) == "x.n = 0\n"


def test_a_loop_variable_that_nobody_reads(tmp_path: Path) -> None:
    body = "def run(x):\n    for _ in range(1):\n        x.n += 1\n    assert x.flag"
    assert _lines(_trace(tmp_path, body, "x = node()\ncpu(run, x)"))[1] == "  for _ in range(1):"


def test_a_statement_is_not_shown_before_its_step(tmp_path: Path) -> None:
    """What a function does for its operands belongs to the step, not to the one before."""
    body = """
        def more(k):
            if k > 3:
                return 0
            return k + 1


        def run(x):
            k = READ_ONCE(x.n)
            WRITE_ONCE(x.n, more(k))
    """
    trace = _trace(tmp_path, body, "x = node()\ncpu(run, x)\ncpu(run, x)\nat_rest(lambda: x.n == 2)")
    left = len("  WRITE_ONCE(x.n, more(k))") + 3
    assert _lines(trace) == [
        "run (CPU0):".ljust(left) + "run (CPU1):",
        "  k = READ_ONCE(x.n)".ljust(left) + "// reads 0",
        " " * left + "  k = READ_ONCE(x.n)",
        " " * left + "  WRITE_ONCE(x.n, more(k))",
        "  WRITE_ONCE(x.n, more(k))   // AT REST x.n = 1",
    ]


def test_what_has_no_part_is_folded(tmp_path: Path) -> None:
    body = """
        def run(x):
            x.slots[0] = 1
            x.slots[1] = 1
            k = 4
            x.slots[2] = k
            x.n += 1
    """
    scene = "x = node()\ny = node()\nx.next = y\ncpu(run, x)\ncpu(other, x)\nat_rest(lambda: x.n == 2)"
    trace = _trace(tmp_path, body + "\n\n        def other(x):\n            x.n += 1\n", scene)
    assert [line for line in _lines(trace) if "..." in line] == ["  ..."]
    assert not any("slots" in line for line in _lines(trace))
    assert any("slots" in line for line in _lines(trace, fold=False))


def test_deadlock(tmp_path: Path) -> None:
    body = "def up(x):\n    with x.lock:\n        spin_lock(x.other)\n\n\ndef down(x):\n    with x.other:\n        spin_lock(x.lock)"
    lines = draw(tell(_trace(tmp_path, body, "x = node()\ncpu(up, x)\ncpu(down, x)"))).split("\n")
    left = len("    spin_lock(x.other)") + 3
    assert lines == [
        "up:".ljust(left) + "down:",
        "  with x.lock:",
        " " * left + "  with x.other:",
        "    spin_lock(x.other)   // WAITS FOR x.other, held by CPU1",
        " " * left + "    spin_lock(x.lock)  // WAITS FOR x.lock, held by CPU0",
        "", " *** DEADLOCK ***", "",
    ]  # fmt: skip


def test_spinning(tmp_path: Path) -> None:
    body = "def run(x):\n    x.n = 1\n    while READ_ONCE(x.big) == 0:\n        cpu_relax()"
    assert _lines(_trace(tmp_path, body, "x = node()\ncpu(run, x)")) == [
        "run:", "  x.n = 1", "  [ from here on for ever ]", "  while READ_ONCE(x.big) == 0:",
    ]  # fmt: skip


def test_long_statements_are_wrapped_only_when_they_must(tmp_path: Path) -> None:
    name = "a_rather_long_name_for_a_parameter_of_a_function"
    body = f"def run(x, {name}):\n    WRITE_ONCE(x.big, {name} + {name} - {name})\n    WARN_ON(READ_ONCE(x.big) == {name})"
    lines = _lines(_trace(tmp_path, body, "x = node()\ncpu(run, x, 3)\ncpu(run, x, 4)"))
    assert len(lines[0]) < 110
    assert "".join("".join(lines).split()).count(name) == 4  # nothing is lost


def test_a_width_that_can_be_had_is_had(tmp_path: Path) -> None:
    task = tasks(open_file(ROOT / "schemes" / "mail" / "rung_a.py"), None, {}, every=False)[0]
    trace = check(task, Bounds(), lambda _: None).trace
    assert trace is not None
    for width in (100, 75):
        text = draw(tell(trace), Style(width=width))
        statements = [line.split("  //")[0] for line in text.split("\n")]
        assert max(len(line.rstrip()) for line in statements) <= width
    assert "  if atomic_add_negative(-1,\n      page.mapcount):\n" in draw(tell(trace), Style(width=75))


def test_a_width_that_cannot_be_had_cuts_nothing_to_pieces(tmp_path: Path) -> None:
    """Statements stay in one line, or are wrapped at 48, and never right after an `=`."""
    word = "a_name_of_which_nothing_can_be_cut_off_to_make_it_fit"
    body = f"def run(x, {word}, b):\n    c = {word} + READ_ONCE(x.n)\n    x.big = b + b + b + b + b + b + b + b + b + b + c\n    assert x.flag"
    lines = _lines(_trace(tmp_path, body, "x = node()\ncpu(run, x, 1, 1)"), width=40)
    assert lines == [
        "run:", f"  c = {word}", "      + READ_ONCE(x.n)", "  x.big = b + b + b + b + b + b + b + b + b + b", "      + c",
        "  assert x.flag  // ASSERTION FAILS",
    ]  # fmt: skip


def test_colour_is_asked_for(tmp_path: Path) -> None:
    trace = _trace(tmp_path, "def run(x):\n    assert x.flag", "x = node()\ncpu(run, x)")
    assert "\x1b" not in draw(tell(trace))
    assert "\x1b[31;1m" in draw(tell(trace), Style(colour=True))
