"""list_head in both machines: what a list is after it was changed, what a reader sees meanwhile, which steps there are.

Expected answers are those of include/linux/list.h and rculist.h of Linux 6.12, by thinking.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.ir.ops import Step
from lockverse.reduction import REDUCTIONS

from ..codegen.common import searched, verdict
from ..support import linked_of, rejected, scheme_text, task_of
from .test_conformance import agree

HEAD = """@struct
class item:
    key: u8
    link: list_head
    rcu: rcu_head


@struct
class table:
    items: list_head
    seen: u8
    lock: spinlock_t


"""
SCENE = """pool(item, 3)
t = table()
INIT_LIST_HEAD(t.items)
for key in (1, 2):
    i = kmalloc(item)
    i.key = key
    list_add_tail(i.link, t.items)
cpu(run, t)
"""
WALK = "for pos in list_for_each_entry(t.items, item, \"link\"):\n    t.seen = t.seen * 4 + pos.key"


def text_of(lines: str, more: str = "", scene: str = SCENE) -> str:
    body = "def run(t):\n" + "\n".join("    " + line for line in lines.splitlines()) + more
    return scheme_text(body, scene).replace("@struct\nclass node", f"{HEAD}@struct\nclass node", 1)


def ends_as(folder: Path, text: str) -> str:
    """"holds", or the reason, by both engines and with all reductions; both machines agree step by step."""
    linked = linked_of(folder, text)
    found = searched(linked, "reference")
    for names in ((), REDUCTIONS):
        assert verdict(searched(linked, "native", names)) == verdict(found), names
    agree(linked, 80)
    return str(found.failing.reason) if found.failing else "holds"


NEW = "n = kmalloc(item)\nn.key = 3\n"
CHANGES = [  # what is done to the list 1, 2, and how it reads then, in base 4
    ("", 0o12), (NEW + "list_add(n.link, t.items)", 0o312), (NEW + "list_add_tail(n.link, t.items)", 0o123), (NEW + "list_add_rcu(n.link, t.items)", 0o312),
    (NEW + "list_add_tail_rcu(n.link, t.items)", 0o123), ('n = list_first_entry(t.items, item, "link")\nlist_del(n.link)\nkfree(n)', 0o2),
    ('n = list_first_entry_or_null(t.items, item, "link")\nlist_del_init(n.link)\nassert list_empty(n.link)\nkfree(n)', 0o2),
    ('n = list_entry(t.items.prev, item, "link")\nlist_del_rcu(n.link)\nkfree(n)', 0o1),
    ('for pos in list_for_each_entry_safe(t.items, item, "link"):\n    list_del(pos.link)\n    kfree(pos)\nassert list_empty(t.items)', 0),
    ('for pos in list_for_each_entry(t.items, item, "link"):\n    if pos.key == 2:\n        list_del(pos.link)\n        kfree(pos)\n        break', 0o1),
    ('for pos in list_for_each_entry(t.items, item, "link"):\n    if pos.key == 1:\n        continue\n    pos.key = 3', 0o13),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), CHANGES)
def test_changes(tmp_path: Path, lines: str, expected: int) -> None:
    base_four = int(f"{expected:o}", 4)
    assert ends_as(tmp_path, text_of(f"{lines}\n{WALK}", scene=f"{SCENE}at_rest(lambda: t.seen == {base_four})")) == "holds"


FAULTS = [
    ('for pos in list_for_each_entry(t.items, item, "link"):\n    list_del(pos.link)\n    kfree(pos)', "use-after-free"),
    ('for pos in list_for_each_entry(t.items, item, "link"):\n    list_del(pos.link)', "null-dereference"),
    ('for pos in list_for_each_entry_rcu(t.items, item, "link"):\n    pos.key = 1', "suspicious-rcu-usage"),
    ('rcu_read_lock()\nfor pos in list_for_each_entry_rcu(t.items, item, "link"):\n    pos.key = 1\nrcu_read_unlock()', "holds"),
    ('with t.lock:\n    for pos in list_for_each_entry_rcu(t.items, item, "link"):\n        pos.key = 1', "holds"),
    ('n = list_entry(t.items, item, "link")', "out-of-bounds"),  # the head is in no item
    ('n = list_first_entry(t.items, item, "link")\nlist_del(n.link)', "leak"),
    ('n = list_first_entry(t.items, item, "link")\nlist_del(n.link)\nlist_del(n.link)', "null-dereference"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), FAULTS)
def test_faults(tmp_path: Path, lines: str, expected: str) -> None:
    assert ends_as(tmp_path, text_of(lines)) == expected


def test_steps(tmp_path: Path) -> None:
    """Each access to a pointer is a step, in the kernel's order, marked where the kernel marks it."""
    linked = linked_of(tmp_path, text_of("n = kmalloc(item)\nlist_add(n.link, t.items)\nlist_del_rcu(n.link)\nkfree(n)"))
    kinds = [op.kind for op in linked.codes[0].ops if isinstance(op, Step)]
    assert kinds == ["kmalloc", "load", "store", "store", "store", "WRITE_ONCE", "load", "load", "store", "WRITE_ONCE", "store", "kfree"]


READER = """


def reader(t):
    rcu_read_lock()
    for pos in list_for_each_entry_rcu(t.items, item, "link"):
        assert pos.key > 0
    rcu_read_unlock()
"""
REMOVE = 'n = list_first_entry(t.items, item, "link")\nlist_del_rcu(n.link)\nkfree_rcu(n)'


def test_a_reader_meets_changes(tmp_path: Path) -> None:
    """An object is whole when it can be found, and found or not, it leads on when it is taken out."""
    scene = SCENE + "cpu(reader, t)"
    assert ends_as(tmp_path, text_of(REMOVE, READER, scene)) == "holds"
    assert ends_as(tmp_path, text_of(REMOVE.replace("_rcu(n.link)", "(n.link)"), READER, scene)) == "null-dereference"
    assert ends_as(tmp_path, text_of(REMOVE.replace("kfree_rcu(n)", "kfree(n)"), READER, scene)) == "use-after-free"
    assert ends_as(tmp_path, text_of(NEW + "list_add_rcu(n.link, t.items)", READER, scene)) == "holds"
    late = "n = kmalloc(item)\nlist_add_rcu(n.link, t.items)\nn.key = 3"
    assert ends_as(tmp_path, text_of(late, READER, scene)) == "assertion"
    assert ends_as(tmp_path, text_of(NEW + "list_add(n.link, t.items)", READER, scene)) == "holds"  # no reordering is looked at


def test_diagnostics(tmp_path: Path) -> None:
    lines = {
        'list_for_each_entry(t.items, item, "link")': "K104", 'for pos in list_for_each_entry(t, item, "link"):\n    pass': "K301",
        "for pos in list_for_each_entry(t.items, item):\n    pass": "K302", 'for pos in list_for_each_entry(t.items, item, "lonk"):\n    pass': "K202",
        'for pos in list_for_each_entry(t.items, table, "lock"):\n    pass': "K301",
    }  # fmt: skip
    for line, code in lines.items():
        assert [one.code for one in rejected(tmp_path, text_of(line))] == [code], line


def test_the_races_are_readable(tmp_path: Path) -> None:
    """The loop's variable is told by the object it has come to."""
    from lockverse.explore.bounds import Bounds
    from lockverse.report.story import tell
    from lockverse.report.text import draw
    from lockverse.session import check

    text = text_of(REMOVE.replace("kfree_rcu(n)", "kfree(n)"), READER, SCENE + "cpu(reader, t)")
    trace = check(task_of(tmp_path, text), Bounds(), lambda _: None).trace
    assert trace is not None
    drawn = draw(tell(trace))
    assert "// pos = item#0" in drawn and "USE AFTER FREE item#0" in drawn and "rcu item" not in drawn
