"""The cases: a model, its parameters, what every tool must find, and how each tool is told the parameters.

The counts of distinct states are those of an executable reference of the models and of SPIN; that of C4, which SPIN was not run on to its
end, follows from those of the smaller ones of its model by the recurrence that they keep, a(n) = 3 a(n-1) + a(n-2). `depth` is the length of
the longest path that SPIN's depth-first search needs, rounded up. Leaves out the tools' commands: tools.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HOLDS, BROKEN = "holds", "broken"
BEFORE, AFTER = 0, 1  # the peers' VARIANT of m1
LINUX = "linux"  # schemes/ladder/sizes.py and movers.py: the modelled kernel's whole move of charges


@dataclass(frozen=True, slots=True)
class Case:
    """One model with its parameters as the peers name them, and what is known of it."""

    name: str
    model: str  # m1, m2, m3 or m4; or LINUX, which no other tool has
    parameters: Mapping[str, int]
    verdict: str
    states: int | None  # without reductions; None if the search ends early
    depth: int
    title: str
    groups: tuple[str, ...]

    @property
    def ends(self) -> bool:
        """Whether its threads end, so that a state without successors is no deadlock."""
        return self.model in ("m1", "m4")


def mail(u: int, a: int, p: int, v: int, variant: int = BEFORE, *, for_ever: bool = False) -> dict[str, int]:
    """The parameters of m1; what goes on for ever has the pte lock on both sides."""
    more = dict.fromkeys(("PTET", "PTEM", "LOOP"), int(for_ever))
    return {"U": u, "A": a, "P": p, "V": v, "VARIANT": variant, **more}


def treiber(t: int, k: int, r: int) -> dict[str, int]:
    """The parameters of m4."""
    return {"T": t, "K": k, "R": r, "TAGGED": 1}


_ALL, _VERDICT, _GROWTH = ("raw", "verdict"), ("verdict",), ("growth",)

CASES = (
    Case("L1", "m1", mail(1, 0, 1, 1, AFTER), BROKEN, None, 1000, "the mail's race", _VERDICT),
    Case("L2", "m1", mail(1, 0, 1, 1), HOLDS, 22, 1000, "the same, lock before", _ALL),
    Case("A0", "m1", mail(2, 1, 2, 2), HOLDS, 3_056, 1000, "mail, U2 A1 P2 V2", _ALL),
    Case("A1", "m1", mail(4, 4, 3, 2), HOLDS, 1_292_832, 1000, "mail, U4 A4 P3 V2", _ALL),
    Case("A2", "m1", mail(3, 3, 3, 3, AFTER, for_ever=True), HOLDS, 12_641_184, 6_000_000, "mail, U3 A3 P3 V3, ptl, for ever", _ALL),
    Case("X1", "m1", mail(4, 4, 3, 2, AFTER), BROKEN, None, 1000, "A1 with the lock after the mapcount", _VERDICT),
    Case("B1", "m2", {"N": 4}, HOLDS, 176_027, 200_000, "filter lock, 4 CPUs", (*_ALL, *_GROWTH)),
    Case("B2", "m2", {"N": 5}, HOLDS, 19_289_605, 4_000_000, "filter lock, 5 CPUs", (*_ALL, *_GROWTH)),
    Case("C1", "m3", {"N": 10, "ASYM": 1}, HOLDS, 102_571, 120_000, "philosophers, 10", (*_ALL, *_GROWTH)),
    Case("C2", "m3", {"N": 12, "ASYM": 1}, HOLDS, 1_118_878, 1_200_000, "philosophers, 12", (*_ALL, *_GROWTH)),
    Case("C3", "m3", {"N": 10, "ASYM": 0}, BROKEN, None, 120_000, "philosophers, 10, all right-handed", _VERDICT),
    Case("C4", "m3", {"N": 15, "ASYM": 1}, HOLDS, 40_310_664, 43_000_000, "philosophers, 15", ("raw",)),
    Case("D1", "m4", treiber(4, 3, 1), HOLDS, 199_075, 1000, "Treiber stack, T4 K3 R1", _ALL),
    Case("D2", "m4", treiber(3, 3, 3), HOLDS, 2_682_816, 1000, "Treiber stack, T3 K3 R3", _ALL),
    *(Case(f"K{number}", LINUX, given, HOLDS, None, 1000, f"linux 6.1, a whole move of charges, {title}", _VERDICT)
      for number, (title, given) in enumerate((
          ("1 unmapper", {"others": 1}), ("3 unmappers", {"others": 3}), ("2 unmappers, 2 pages", {"others": 2, "pages": 2}),
          ("2 unmappers, 2 moves, exit", {"others": 2, "groups": 3, "exits": 1}),
          ("2 movers, 2 unmappers, 2 pages", {"movers": 2, "others": 2, "pages": 2})), 1)),
    Case("B0", "m2", {"N": 3}, HOLDS, 2_054, 1000, "filter lock, 3 CPUs", _GROWTH),
    *(Case(f"P{n}", "m3", {"N": n, "ASYM": 1}, HOLDS, states, max(1000, states), f"philosophers, {n}", _GROWTH)
      for n, states in ((4, 79), (5, 261), (6, 862), (7, 2_847), (8, 9_403), (9, 31_056), (11, 338_769))),
    *(Case(f"M{n}", "m1", mail(n, n, 2, 1), HOLDS, states, 1000, f"mail, U{n} A{n} P2 V1", _GROWTH)
      for n, states in ((1, 228), (2, 1_472), (3, 7_828), (4, 39_776), (5, 199_172), (6, 986_240))),
)  # fmt: skip

GROWTH = {
    "mail's scheme, U tasks that unmap and U that map, 2 pages": ("U", ("M1", "M2", "M3", "M4", "M5", "M6")),
    "filter lock, N CPUs": ("N", ("B0", "B1", "B2")),
    "philosophers, N": ("N", ("P4", "P5", "P6", "P7", "P8", "P9", "C1", "P11", "C2")),
}


def initial_mapcounts(case: Case) -> list[int]:
    """How many tasks have each page mapped at first."""
    pages = case.parameters["P"]
    return [len(range(page, case.parameters["U"], pages)) for page in range(pages)]


def defines(case: Case) -> list[str]:
    """The -D options of the peers' models that go through a C preprocessor."""
    found = [f"-D{name}={value}" for name, value in case.parameters.items()]
    if case.model == "m1":
        counts = initial_mapcounts(case)
        found.append("-DINIT_MC={" + ",".join(map(str, counts)) + "}")
        found.append(f"-DINIT_NR={{{sum(count > 0 for count in counts)},0}}")
    if case.model == "m4":
        nodes = case.parameters["K"]
        found.append("-DNEXT={0," + ",".join(str(i + 1 if i < nodes else 0) for i in range(1, nodes + 1)) + "}")
    return found


def scheme(case: Case) -> tuple[str, str, dict[str, int]]:
    """The same for lockverse: the file in models/, the scheme, and its parameters."""
    given = case.parameters
    if case.model == LINUX:
        file, name = ("movers.py", "two_movers") if given.get("movers") == 2 else ("sizes.py", "moves")
        return f"../../schemes/ladder/{file}", name, {one: bool(value) if one == "exits" else value for one, value in given.items() if one != "movers"}
    if case.model == "m1":
        names = {"unmappers": "U", "mappers": "A", "pages": "P", "movers": "V"}
        name = "for_ever" if given["LOOP"] else "before" if given["VARIANT"] == BEFORE else "after"
        return "m1_mail.py", name, {name: given[peer] for name, peer in names.items()}
    if case.model == "m2":
        return "m2_filter.py", "filter", {"n": given["N"]}
    if case.model == "m3":
        return "m3_philosophers.py", "left_handed" if given["ASYM"] else "right_handed", {"n": given["N"]}
    return "m4_treiber.py", "treiber", {"cpus": given["T"], "nodes": given["K"], "rounds": given["R"]}
