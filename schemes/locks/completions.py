"""A completion used once, and used again (Documentation/scheduler/completion.rst, Linux 6.1).

`once` waits for a result. `stale` uses a completion again after complete_all() and forgets to reinitialise it: the second wait waits for
nobody. `fresh` does not forget. `nobody` has nobody complete it.
"""
from lockverse import *


@struct
class request:
    done: completion
    asked: u8
    answered: u8


def ask(r):
    WRITE_ONCE(r.asked, READ_ONCE(r.asked) + 1)
    wait_for_completion(r.done)
    assert READ_ONCE(r.answered) == READ_ONCE(r.asked), "this one has been answered"


def ask_twice(r):
    ask(r)
    ask(r)


def ask_twice_afresh(r):
    ask(r)
    reinit_completion(r.done)
    ask(r)


def answer(r, count):
    for i in range(count):
        while READ_ONCE(r.asked) == i:
            cpu_relax()
        WRITE_ONCE(r.answered, i + 1)
        complete_all(r.done)


@scheme
def once():
    r = request()
    cpu(ask, r)
    cpu(answer, r, 1)


@scheme
def stale():
    r = request()
    cpu(ask_twice, r)
    cpu(answer, r, 2)


@scheme
def fresh():
    r = request()
    cpu(ask_twice_afresh, r)
    cpu(answer, r, 2)


@scheme
def nobody():
    r = request()
    cpu(ask, r)
