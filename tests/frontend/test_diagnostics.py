"""What is wrong with a scheme: the code, the place, what to write instead. One case a code at least, and near misses.

Expected places are counted in the source given here: the body of `run` begins on line 17 of the file, column 5.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.diagnostics.codes import CODES
from lockverse.diagnostics.model import Diagnostic, Label, Place, Rejected
from lockverse.diagnostics.render import render
from lockverse.explore.bounds import Bounds
from lockverse.session import check, open_file, tasks

from ..support import HEAD, checked, rejected, scheme_text, task_of, write

FIRST = HEAD.count("\n") + 2  # the line of the first statement of `run`

# code, the statements of run, (line, column, end column) counted from the first statement, part of the help or label
CASES = [
    ("K101", "try:\n    x.n = 1\nfinally:\n    pass", (0, 5, 0), "error code"),
    ("K101", "del x", (0, 5, 10), "NULL"),
    ("K101", "global g", (0, 5, 13), "@struct"),
    ("K101", "import os", (0, 5, 14), "top of the file"),
    ("K101", "for i in range(2):\n    pass\nelse:\n    x.n = 1", (3, 9, 16), "set a bool"),
    ("K101", "match x.n:\n    case 1:\n        pass", (0, 5, 0), "if/elif/else"),
    ("K102", "k = [1, 2]", (0, 9, 15), "array"),
    ("K102", "k = {1: 2}", (0, 9, 15), "array"),
    ("K102", "k = [i for i in x.slots]", (0, 9, 29), "for loop"),
    ("K102", 'k = f"{x.n}"', (0, 9, 17), "plain strings"),
    ("K102", "k = lambda: 1", (0, 9, 18), "define the function"),
    ("K103", "x.n = 1.5", (0, 11, 14), "integer"),
    ("K103", 'x.n = "one"', (0, 11, 16), "str"),
    ("K103", "smp_mb", (0, 5, 11), "smp_mb()"),
    ("K104", "print(x.n)", (0, 5, 15), "diagram"),
    ("K104", "k = min(1, 2)", (0, 9, 18), "a if a < b else b"),
    ("K104", "k = node()", (0, 9, 15), "@scheme"),
    ("K104", "cpu(run, x)", (0, 5, 16), "builds the scene"),
    ("K106", "x.n = x.n / 2", (0, 11, 18), "//"),
    ("K106", "x.n = x.n ** 2", (0, 11, 19), "shift"),
    ("K106", "k = x.n in x.slots", (0, 9, 23), "compare with each"),
    ("K107", "helper(*x)", (0, 5, 15), "write the arguments out"),
    ("K201", "k = nod", (0, 9, 12), "`node`"),
    ("K201", "RAED_ONCE(x.n)", (0, 5, 14), "READ_ONCE"),
    ("K202", "x.m = 1", (0, 5, 8), "its fields are"),
    ("K202", "x.flg = True", (0, 5, 10), "`flag`"),
    ("K202", "k = x.lock.owner", (0, 9, 21), "spin_lock()"),
    ("K202", "x.count.counter = 1", (0, 5, 20), "atomic_read()"),
    ("K204", "x.n = k\nk = 1", (0, 11, 12), "before the branch"),
    ("K204", "while x.flag:\n    k = 1\nx.n = k", (2, 11, 12), "before the branch"),
    ("K205", "p = NULL\np.n = 1", (1, 5, 8), "ptr[TYPE]"),
    ("K301", "x.n = x", (0, 11, 12), "ptr[node]"),
    ("K301", "x.next = 1", (0, 14, 15), "ptr[node]"),
    ("K301", "x.flag = 1", (0, 14, 15), "!= 0"),
    ("K301", "k = 1\nk = x", (1, 9, 10), "two variables"),
    ("K301", "k = smp_mb()", (0, 9, 17), "returns nothing"),
    ("K301", "with x.n:\n    pass", (0, 10, 13), "u8"),
    ("K301", "k = x.n and x.flag", (0, 9, 12), "x.n != 0"),
    ("K301", "a, b = 1, 2, 3", (0, 12, 19), ""),
    ("K302", "helper()", (0, 5, 13), "missing: `x`"),
    ("K302", "helper(x, 1, 2, 3)", (0, 5, 23), "helper(x, k, loud)"),
    ("K302", "helper(x, z=1)", (0, 5, 19), "no parameter `z`"),
    ("K302", "helper(x, x=x)", (0, 5, 19), "given twice"),
    ("K302", "READ_ONCE(x.n, 1)", (0, 5, 22), "READ_ONCE(x.field)"),
    ("K303", "x.n()", (0, 5, 8), "u8"),
    ("K304", "x.lock = x.other", (0, 5, 11), "replaced"),
    ("K306", "x.n = 256", (0, 11, 14), "0..255"),
    ("K306", "k = 99999999999999999999", (0, 9, 29), "64"),
    ("K313", "x.next = kmalloc(node)", (0, 14, 27), "pool(node, 3)"),
    ("K313", "kfree(x)", (0, 5, 13), "pool(node, 3)"),
    ("K311", "x.n = 1\nrest()", (1, 5, 11), "just before the step"),
    ("K311", "while x.n == 0:\n    rest()", (0, 11, 14), "every way to the step"),
    ("K308", "k = READ_ONCE(3)", (0, 19, 20), "field"),
    ("K308", "k = READ_ONCE(x.slots)", (0, 19, 26), "scalar"),
    ("K308", "k = READ_ONCE(helper(x).n)", (0, 19, 30), "variable"),
    ("K309", "for i in x:\n    pass", (0, 14, 15), "range"),
    ("K310", "k: float = 1", (0, 8, 13), "s8..u64"),
]  # fmt: skip


def _text(inside: str) -> str:
    body = "def run(x):\n" + "\n".join("    " + line for line in inside.splitlines())
    return scheme_text(body + "\n\n\ndef helper(x, k=1, loud=False):\n    x.n = k")


@pytest.mark.parametrize(("code", "inside", "place", "words"), CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)])
def test_places(tmp_path: Path, code: str, inside: str, place: tuple[int, int, int], words: str) -> None:
    found = rejected(tmp_path, _text(inside))
    assert [one.code for one in found] == [code], [one.headline for one in found]
    where = found[0].primary.place
    assert (where.line - FIRST, where.column) == place[:2]
    assert not place[2] or where.end_column == place[2]
    everything = " ".join([found[0].headline, found[0].primary.text, found[0].help])
    assert words in everything


FINE = [
    "x.n = 255", "x.big = -1", "k: s8 = -128\nx.big = k", "x.next = NULL\nx.next = None\nx.next = x", "k = x.n != 0 and x.flag\nif k:\n    x.n = 1",
    "for s in x.slots:\n    x.n = s", "a, b = 1, 2\na, b = b, a\nx.n = a - b", "helper(x, loud=True, k=2)", "helper(k=3, x=x)",
    "if (k := x.n) > 1:\n    x.big = k", "while True:\n    if x.flag:\n        break\n    x.flag = True", "with x.lock, x.other:\n    x.n = 1",
    "k = 0\nfor i in range(3, 0, -1):\n    k += i\nassert k == 6", "ok, old = try_cmpxchg(x.n, 0, 1)\nassert ok and old == 0",
    "p = x.next\nif p:\n    p.n = 1", "x.count\nsmp_mb()", "k = 1 if x.flag else 2\nx.n = k", "assert 0 <= x.n < 5, 'in range'", "return",
]  # fmt: skip


@pytest.mark.parametrize("inside", FINE)
def test_near_misses_compile(tmp_path: Path, inside: str) -> None:
    assert checked(tmp_path, "def run(x):\n" + "\n".join("    " + one for one in inside.splitlines()) + "\n\n\ndef helper(x, k=1, loud=False):\n    x.n = k").verdict == "holds"


def test_a_file_that_is_loaded_again(tmp_path: Path) -> None:
    """Names in strings are those of the copy they stand in."""
    path = write(tmp_path, scheme_text("def run(x):\n    x.next = x"))
    first = open_file(path)
    open_file(path)
    assert check(tasks(first, None, {}, every=False)[0], Bounds(), lambda _: None).verdict == "holds"


def test_objects_the_scene_has_in_a_list(tmp_path: Path) -> None:
    scene = "xs = [node(), node()]\ncpu(run, xs[1])\nat_rest(lambda: xs[0].n == 0 and xs[1].n == 1)\nsometimes(lambda: xs[-1].n == 1)"
    outcome = checked(tmp_path, "def run(x):\n    x.n = 1", scene.replace("xs[-1]", "xs[1]"))
    assert outcome.verdict == "holds"
    assert [one.code for one in rejected(tmp_path, scheme_text("def run(x):\n    x.n = 1", scene))] == ["K306"]


def test_several_in_one_run(tmp_path: Path) -> None:
    found = rejected(tmp_path, _text("x.m = 1\nk = [1]\nx.n = 300\nnope()"))
    assert [(one.code, one.primary.place.line - FIRST) for one in found] == [("K202", 0), ("K102", 1), ("K306", 2), ("K201", 3)]


def test_one_cause_gives_one_error(tmp_path: Path) -> None:
    found = rejected(tmp_path, _text("k = nope\nx.n = k + 1\nx.big = k\nif k:\n    pass"))
    assert [one.code for one in found] == ["K201"]


def test_a_mistake_in_a_called_function_is_told_once(tmp_path: Path) -> None:
    text = scheme_text("def low(x):\n    x.m = 1\n\n\ndef run(x):\n    low(x)\n    low(x)")
    assert [one.code for one in rejected(tmp_path, text)] == ["K202"]


LISTED = "ys = [node(), node()]\ncpu(run, ys[0])\nalways(lambda: "
SCENES = [
    ("K306", f"{LISTED}ys[2].n == 0)", "has 2 elements"), ("K308", f"{LISTED}ys[ys[0].n].n == 0)", "Python list"),
    ("K005", "x = node()", "runs nothing"), ("K006", "x = node(n=300)", "300 does not fit"), ("K006", "x = node()\nnope", "nope"),
    ("K008", "x = node()\ncpu(run, 'x')", "str"), ("K008", "x = node()\ncpu('run', x)", "takes a function"),
    ("K302", "x = node()\ncpu(run)", "wrong arguments"), ("K302", "x = node()\ncpu(run, x, x)", "wrong arguments"),
    ("K305", "x = node()\ncpu(run, x)\nalways(lambda: run(x))", ""), ("K305", "x = node()\ncpu(run, x)\nalways(lambda: choose(bool))", ""),
    ("K301", "x = node()\ncpu(run, x)\nalways(bad)", "true or false"), ("K202", "x = node()\ncpu(run, x)\nat_rest(lambda: x.nn == 1)", "nn"),
    ("K008", "x = node()\ncpu(run, x)\nalways(True)", "takes a function"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "scene", "words"), SCENES, ids=[f"{n}-{c[0]}" for n, c in enumerate(SCENES)])
def test_scenes(tmp_path: Path, code: str, scene: str, words: str) -> None:
    found = rejected(tmp_path, scheme_text("def run(x):\n    x.n = 1\n\n\ndef bad():\n    return 5", scene))
    assert code in [one.code for one in found]
    assert words in " ".join(one.headline + one.primary.text for one in found)


def test_recursion_through_others(tmp_path: Path) -> None:
    found = rejected(tmp_path, scheme_text("def a(x):\n    b(x)\n\n\ndef b(x):\n    a(x)\n\n\ndef run(x):\n    a(x)"))
    assert [one.code for one in found] == ["K105"] and found[0].primary.text == "a -> b -> a"


def test_values_on_some_paths(tmp_path: Path) -> None:
    found = rejected(tmp_path, scheme_text("def f(x):\n    if x.flag:\n        return 1\n\n\ndef run(x):\n    x.n = f(x)"))
    assert [one.code for one in found] == ["K307"]


def test_returns_of_different_types(tmp_path: Path) -> None:
    """Also where the types take a second walk to settle: `k` becomes a pointer only at the end of the first."""
    for last in ("return x", "return (k := x)"):
        found = rejected(tmp_path, scheme_text(f"def run(x):\n    if x.flag:\n        return x.n\n    {last}"))
        assert [one.code for one in found] == ["K301"]
        assert [one.place.line - FIRST for one in found[0].secondary] == [1]


def test_enum_members(tmp_path: Path) -> None:
    text = "from lockverse import *\n\n\nclass m(Enum):\n    a = auto()\n\n\n@struct\nclass s:\n    m: m\n\n\ndef run(x):\n    x.m = m.b\n\n\n@scheme\ndef z():\n    cpu(run, s())\n"
    assert [one.code for one in rejected(tmp_path, text)] == ["K203"]


def test_what_a_scheme_file_raises_is_shown_with_its_own_frames(tmp_path: Path) -> None:
    found = rejected(tmp_path, scheme_text("def run(x):\n    x.n = 1\n\n\ndef build():\n    return node(n=-1)", "x = build()\ncpu(run, x)"))
    assert [one.code for one in found] == ["K006"]
    assert found[0].primary.text == "raised here, in build"
    assert len(found[0].notes) == 1 and "in scene: x = build()" in found[0].notes[0]
    assert "site-packages" not in str(found) and "session.py" not in str(found)


def test_frames_of_the_standard_library_are_left_out(tmp_path: Path) -> None:
    text = HEAD + "class m(Enum):\n    a = auto()\n\n\ndef run(x):\n    x.n = 1\n\n\n@scheme\ndef z():\n    m.a = 3\n    cpu(run, node())\n"
    found = rejected(tmp_path, text)
    assert [one.code for one in found] == ["K006"] and found[0].primary.text == "raised here, in z"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("def f(:\n", "K001"), ("\x00", "K001"), ("x = (\n", "K001"), ("raise SystemExit(3)\n", "K006"), ("import nothing_of_that_name\n", "K006"),
        ("1 / 0\n", "K006"), ("x = 1\n", "K003"), ("# coding: nonsense\n", "K002"), ("(" * 5000 + ")" * 5000, "K001"),
    ],
)  # fmt: skip
def test_files(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(Rejected) as caught:
        open_file(write(tmp_path, text))
    assert [one.code for one in caught.value.diagnostics] == [code]


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin.py"
    path.write_bytes(b"# \xe9\n")
    with pytest.raises(Rejected) as caught:
        open_file(path)
    assert caught.value.diagnostics[0].code in ("K001", "K002")


def test_deep_nesting_is_told(tmp_path: Path) -> None:
    found = rejected(tmp_path, scheme_text("def run(x):\n    x.big = " + " + ".join(["x.n"] * 900)))
    assert [one.code for one in found] == ["K102"] and "too deeply" in found[0].headline
    shallow = rejected(tmp_path, scheme_text("def run(x):\n    x.nope = " + " + ".join(["x.n"] * 20)))
    assert [one.code for one in shallow] == ["K202"]


def test_annotations_that_raise(tmp_path: Path) -> None:
    text = scheme_text("def run(x):\n    y: 1 // 0 = 3\n    x.n = y")
    assert "K310" in [one.code for one in rejected(tmp_path, text)]
    bad = scheme_text("def run(x):\n    x.n = 1").replace("def scene():", "def scene(n: 1 // 0 = 3):")
    with pytest.raises(Rejected):
        task_of(tmp_path, "from __future__ import annotations\n" + bad)


def test_render() -> None:
    text = "first\n\tsecond ünï here\n"
    place = Place("f.py", 2, 15, 2, 19)  # bytes: a tab, "second ", "ünï " of six bytes
    one = Diagnostic("K101", "what", Label(place, "this"), (Label(Place("f.py", 1, 1, 1, 6), "that"),), "do so", ("a note",))
    assert render(one, lambda _: text) == (
        "error[K101]: what\n"
        " --> f.py:2:13\n"
        "  |\n1 | first\n  | ----- that\n"
        "  |\n2 |  second ünï here\n  |             ^^^^ this\n"
        "  |\n  = note: a note\n  = help: do so\n"
    )


def test_render_without_a_file() -> None:
    one = Diagnostic("K003", "nothing", Label(Place("f.py", 0, 0, 0, 0)), help="do")
    assert render(one, lambda _: None) == "error[K003]: nothing\n --> f.py\n  |\n  = help: do\n"
    gone = Diagnostic("K003", "nothing", Label(Place("f.py", 3, 1, 3, 2), "x"))
    assert render(gone, lambda _: None) == "error[K003]: nothing\n --> f.py:3:1\n  |\n"


def test_every_code_has_a_case() -> None:
    """K004 and K007 are about the command line (tests/cli), K312 about patches (test_patches.py), K4 about workloads (tests/sim), K900 about ourselves."""
    tried = {case[0] for case in CASES} | {case[0] for case in SCENES} | {"K001", "K002", "K003", "K105", "K203", "K307"}
    assert tried | {"K004", "K007", "K312", "K900"} == {code for code in CODES if not code.startswith("K4")}
