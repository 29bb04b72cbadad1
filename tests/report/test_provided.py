"""`holds provided that ...`: exactly the choices that hold, in few words. Expected texts were written down from truth tables by hand."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from lockverse.report.provided import conditions, provided
from lockverse.report.verdict import Outcome
from lockverse.trace.verdict import Verdict

SCENARIOS = ("alone", "here", "elsewhere", "ksm")


def outcome(verdict: Verdict, **parameters: str) -> Outcome:
    return Outcome("rung", "rung.py", tuple(parameters.items()), verdict, 1, 1, 1, 1, 0.0)


def table(holds: object, unknown: object = None, **domains: tuple[str, ...]) -> list[Outcome]:
    """All choices; those of which `holds` says so hold."""
    assert callable(holds)
    found = []
    for values in itertools.product(*domains.values()):
        chosen = dict(zip(domains, values, strict=True))
        verdict = Verdict.HOLDS if holds(**chosen) else Verdict.BROKEN
        found.append(outcome(Verdict.UNKNOWN if callable(unknown) and unknown(**chosen) else verdict, **chosen))
    return found


def test_one_condition() -> None:
    two = ("False", "True")
    assert provided(table(lambda a, b: a == "True" and b == "False", a=two, b=two)) == ["rung holds provided that a and not b"]
    assert provided(table(lambda a, b: b == "True", a=two, b=two)) == ["rung holds provided that b"]
    assert provided(table(lambda s, b: s != "ksm", s=SCENARIOS, b=two)) == ["rung holds provided that s is not ksm"]
    assert provided(table(lambda s, b: s in ("alone", "here"), s=SCENARIOS, b=two)) == ["rung holds provided that s is one of alone, here"]
    assert provided(table(lambda n: n in "123", n=tuple("12345"))) == ["rung holds provided that n is none of 4, 5"]


def test_several_conditions() -> None:
    found = provided(table(lambda s, b: b == "True" or s == "alone", s=SCENARIOS, b=("False", "True")))
    assert found == ["rung holds provided that", "  b, or", "  s is alone"]


def test_all_or_none() -> None:
    assert provided(table(lambda b: True, b=("False", "True"))) == ["rung holds for all its 2 choices"]
    assert provided(table(lambda b: False, b=("False", "True"))) == ["rung is broken for all its 2 choices"]
    assert provided(table(lambda b: True, b=("True",))) == []


def test_what_is_not_decided_does_not_hold() -> None:
    found = provided(table(lambda s: True, lambda s: s == "ksm", s=SCENARIOS))
    assert found == ["rung holds provided that s is not ksm", "rung is not decided for 1 of its 4 choices"]
    assert provided(table(lambda s: False, lambda s: s == "ksm", s=SCENARIOS)) == ["rung is not decided for 1 of its 4 choices"]


@given(st.lists(st.booleans(), min_size=24, max_size=24))
def test_exactly_the_choices_that_hold(truth: list[bool]) -> None:
    """Of any function of three parameters: every choice that holds meets a condition, no other does."""
    domains = (SCENARIOS, ("False", "True"), ("1", "2", "3"))
    every = [
        outcome(Verdict.HOLDS if holds else Verdict.BROKEN, s=s, b=b, n=n)
        for holds, (s, b, n) in zip(truth, itertools.product(*domains), strict=True)
    ]
    found = conditions(every)
    for one in every:
        chosen = dict(one.parameters)
        met = any(all(chosen[name] in may for name, may in cube.items()) for cube in found)
        assert met == (one.verdict is Verdict.HOLDS)
