"""Treiber's stack (IBM RJ 5118, 1986) with a tag on the top, whose nodes are popped and pushed back, as the peers' m4.

Reading top and tag is one step, and so is the compare-and-swap of both. `own` is a ghost: a node that was popped and
not pushed yet. Leaves out the ABA race: without tags it is another model.
"""
# ruff: noqa: F403, F405
from lockverse import *
from lockverse.lang.environment import require
from lockverse.lang.step import step

MOST = 5  # nodes; node 0 is none


@struct
class stack:
    top: u8
    tag: u8
    next: array[u8, MOST]
    own: array[bool, MOST]


@step("once")
def read_top(s):
    return s.top, s.tag


@step("full")
def swap_out(s, top, tag, following):
    """Make `following` the top if top and tag are what was read, and the old top this CPU's own."""
    if s.top != top or s.tag != tag:
        return False
    s.top = following
    s.tag = s.tag + 1
    require(not s.own[top], "assertion", "a node is owned once")
    s.own[top] = True
    require(not s.own[following], "assertion", "the top is nobody's own")
    return True


@step("full")
def swap_in(s, top, tag, node):
    """Make this CPU's own node the top if top and tag are what was read."""
    if s.top != top or s.tag != tag:
        return False
    s.top = node
    s.own[node] = False
    return True


def pop(s):
    while True:
        top: u8 = 0
        tag: u8 = 0
        following: u8 = 0
        top, tag = read_top(s)
        if top == 0:
            return 0
        following = READ_ONCE(s.next[top])
        if swap_out(s, top, tag, following):
            return top


def push(s, node: u8):
    while True:
        top: u8 = 0
        tag: u8 = 0
        top, tag = read_top(s)
        WRITE_ONCE(s.next[node], top)
        if swap_in(s, top, tag, node):
            return


def pop_and_push(s, rounds: u8):
    r: u8 = 0
    while r < rounds:
        node: u8 = pop(s)
        if node != 0:
            push(s, node)
            node = 0
        r += 1


@scheme
def treiber(cpus: range(1, 6) = 2, nodes: range(1, MOST) = 2, rounds: range(1, 5) = 1):
    s = stack(top=1)
    for i in range(1, nodes):
        s.next[i] = i + 1
    for _ in range(cpus):
        cpu(pop_and_push, s, rounds)
