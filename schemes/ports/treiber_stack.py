"""Treiber's stack, and the ABA problem (Treiber, IBM RJ 5118, 1986; tags as in the IBM System/370 Principles of Operation).

A stack whose top is changed by cmpxchg. Pop reads the top and what is below it, and puts that in its place if the top is still the same.
It may be the same and not the same: popped, and pushed again, while what was below has gone. A tag that every pop counts up, in the
same word as the top, tells the two apart, as long as it does not come round meanwhile.

`tagged` has tags of `bits` bits, wide enough for what the other CPU does. Broken: `untagged`; `tag_comes_round` has a tag of one bit,
and two pops in between.

Nodes are numbers from 1, 0 is no node, and the lowest two bits of the top are a node. Left out: reordering; freeing of nodes: they are
there for ever, and a node that is taken is held by one CPU.
"""
from lockverse import *


@struct
class stack:
    top: wrapping[u16]
    next: array[u8, 4]
    held: array[bool, 4]


def push(s, node):
    top = READ_ONCE(s.top)
    ok = False
    while not ok:
        WRITE_ONCE(s.next[node], top & 3)
        ok, top = try_cmpxchg(s.top, top, top & ~3 | node)


def pop(s, bits):
    top = READ_ONCE(s.top)
    while top & 3:
        below = READ_ONCE(s.next[top & 3])
        tag = (top >> 2) + 1 & (1 << bits) - 1
        ok, now = try_cmpxchg(s.top, top, tag << 2 | below)
        if ok:
            return top & 3
        top = now
    return 0


def take(s, bits):
    node = pop(s, bits)
    if node:
        WARN_ON(READ_ONCE(s.held[node]), "two have the same node")
        WRITE_ONCE(s.held[node], True)
    return node


def one(s, bits):
    take(s, bits)


def take_two_give_one_back(s, bits):
    first = take(s, bits)
    take(s, bits)
    WRITE_ONCE(s.held[first], False)
    push(s, first)


def of_two():
    """Node 1 on node 2."""
    s = stack(top=1)
    s.next[1] = 2
    return s


def sound(s):
    return s.top & 3 == 0 or not s.held[s.top & 3]


@scheme
def tagged(bits: range(2, 4) = 2):
    s = of_two()
    cpu(one, s, bits)
    cpu(take_two_give_one_back, s, bits)
    at_rest(lambda: sound(s), "nobody holds what is on the stack")
    sometimes(lambda: s.top & 3 == 0, "the stack is empty")


@scheme
def untagged():
    s = of_two()
    cpu(one, s, 0)
    cpu(take_two_give_one_back, s, 0)
    at_rest(lambda: sound(s), "nobody holds what is on the stack")


@scheme
def tag_comes_round():
    s = of_two()
    cpu(one, s, 1)
    cpu(take_two_give_one_back, s, 1)
    at_rest(lambda: sound(s), "nobody holds what is on the stack")
