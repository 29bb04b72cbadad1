"""Under which of its parameters a scheme holds, in a few words: `holds provided that scenario is one of alone, ksm`.

The choices that hold are covered by as few conditions as a greedy search finds, each as wide as it can be made without taking in one that
does not: prime implicants of a function of many-valued variables (Rudell and Sangiovanni-Vincentelli, "Multiple-valued minimization
for PLA optimization", IEEE TCAD 1987, section II), of which the widest are taken first and then told as shortly as can be. What is printed is true of exactly the
choices that were checked. Leaves out choices that were not: they count for nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from lockverse.trace.verdict import Verdict

from .verdict import Outcome

Choice: TypeAlias = tuple[str, ...]  # a value for each parameter
Cube: TypeAlias = tuple[frozenset[str], ...]  # for each parameter, the values it may have

MOST_ORDERS: Final = 24  # orders of parameters in which conditions are widened
BOOLS: Final = frozenset(("True", "False"))


def provided(outcomes: Sequence[Outcome]) -> list[str]:
    """Lines about each scheme of which several choices were checked, in the order of the schemes; none of others."""
    return [line for (_, scheme), several in _several(outcomes) for line in _scheme(scheme, several)]


def as_json(outcomes: Sequence[Outcome]) -> list[Mapping[str, object]]:
    """For each scheme of which several choices were checked: `holds_provided_that`, any of these conditions (see `conditions`)."""
    return [{"scheme": scheme, "file": file, "holds_provided_that": conditions(several)} for (file, scheme), several in _several(outcomes)]


def _several(outcomes: Sequence[Outcome]) -> list[tuple[tuple[str, str], list[Outcome]]]:
    """The outcomes of each scheme that has several, by file and name."""
    schemes: dict[tuple[str, str], list[Outcome]] = {}
    for one in outcomes:
        schemes.setdefault((one.file, one.scheme), []).append(one)
    return [(key, several) for key, several in schemes.items() if len(several) > 1]


def conditions(outcomes: Sequence[Outcome]) -> list[dict[str, list[str]]]:
    """The conditions under which one scheme holds, any of which is enough: for each parameter that matters to it, the values it may have."""
    names = [name for name, _ in outcomes[0].parameters]
    domains = _domains(outcomes)
    return [
        {name: [one for one in domain if one in may] for name, domain, may in zip(names, domains, cube, strict=True) if may != frozenset(domain)}
        for cube in _cover(*_sides(outcomes), domains)
    ]


def _scheme(scheme: str, outcomes: Sequence[Outcome]) -> list[str]:
    holds, others = _sides(outcomes)
    unknown = sum(one.verdict is Verdict.UNKNOWN for one in outcomes)
    undecided = [f"{scheme} is not decided for {unknown} of its {len(outcomes)} choices"] if unknown else []
    if not others:
        return [f"{scheme} holds for all its {len(outcomes)} choices"]
    if not holds:
        return undecided or [f"{scheme} is broken for all its {len(outcomes)} choices"]
    domains = {name: domain for (name, _), domain in zip(outcomes[0].parameters, _domains(outcomes), strict=True)}
    found = [" and ".join(_condition(name, may, domains[name]) for name, may in one.items()) for one in conditions(outcomes)]
    if len(found) == 1:
        return [f"{scheme} holds provided that {found[0]}", *undecided]
    lines = [f"  {text}, or" for text in found[:-1]] + [f"  {found[-1]}"]
    return [f"{scheme} holds provided that", *lines, *undecided]


def _condition(name: str, may: Sequence[str], domain: Sequence[str]) -> str:
    if set(domain) <= BOOLS:
        return name if may == ["True"] else f"not {name}"
    if len(may) > len(domain) / 2:
        wrong = [one for one in domain if one not in may]
        return f"{name} is not {wrong[0]}" if len(wrong) == 1 else f"{name} is none of {', '.join(wrong)}"
    return f"{name} is {may[0]}" if len(may) == 1 else f"{name} is one of {', '.join(may)}"


def _sides(outcomes: Sequence[Outcome]) -> tuple[list[Choice], list[Choice]]:
    """The choices that hold, and those that do not or of which that is not known."""
    sides: tuple[list[Choice], list[Choice]] = ([], [])
    for one in outcomes:
        sides[one.verdict is not Verdict.HOLDS].append(tuple(value for _, value in one.parameters))
    return sides


def _domains(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """The values of each parameter that occur, in their order."""
    columns = zip(*(one.parameters for one in outcomes), strict=True)
    return [list(dict.fromkeys(value for _, value in column)) for column in columns]


def _cover(holds: Sequence[Choice], others: Sequence[Choice], domains: Sequence[Sequence[str]]) -> list[Cube]:
    orders = list(itertools.islice(itertools.permutations(range(len(domains))), MOST_ORDERS))
    widened = {_widened(choice, order, others, domains): None for choice in holds for order in orders}
    left, cover = set(holds), []
    while left:
        best = max(widened, key=lambda cube: (sum(_within(one, cube) for one in left), -_words(cube, domains)))
        left = {one for one in left if not _within(one, best)}
        cover.append(best)
    for number, cube in enumerate(cover):
        others_say = [*cover[:number], *cover[number + 1 :]]
        cover[number] = _shortened(cube, [one for one in holds if not any(_within(one, other) for other in others_say)], domains)
    return cover


def _shortened(cube: Cube, mine: Sequence[Choice], domains: Sequence[Sequence[str]]) -> Cube:
    """The cube without what makes it longer to read, as long as it has the choices that no other has."""
    for at, may in enumerate(cube):
        for value in may:
            shorter = (*cube[:at], cube[at] - {value}, *cube[at + 1 :])
            if _words(shorter, domains) < _words(cube, domains) and all(_within(one, shorter) for one in mine):
                cube = shorter
    return cube


def _widened(choice: Choice, order: Sequence[int], others: Sequence[Choice], domains: Sequence[Sequence[str]]) -> Cube:
    """The choice with parameter after parameter let have all values that take in none of the others."""
    cube = [frozenset((value,)) for value in choice]
    for at in order:
        for value in domains[at]:
            wider = [*cube[:at], cube[at] | {value}, *cube[at + 1 :]]
            if not any(_within(one, wider) for one in others):
                cube = wider
    return tuple(cube)


def _within(choice: Choice, cube: Sequence[frozenset[str]]) -> bool:
    return all(value in may for value, may in zip(choice, cube, strict=True))


def _words(cube: Cube, domains: Sequence[Sequence[str]]) -> int:
    """How much there is to read."""
    return sum(min(len(may), len(domain) - len(may)) for may, domain in zip(cube, domains, strict=True))

