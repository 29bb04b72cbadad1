"""The dining philosophers (Dijkstra, EWD 310, 1971), who dine for ever, at the grain of the peers' m3.

All right-handed they deadlock; with one who is left-handed they cannot. Leaves out eating: it touches nothing shared.
"""
# ruff: noqa: F403, F405
from lockverse import *


def dine(first, second):
    while True:
        rest()
        spin_lock(first)
        spin_lock(second)
        spin_unlock(second)
        spin_unlock(first)


@scheme
def left_handed(n: range(2, 17) = 4):
    forks = [spinlock_t() for _ in range(n)]
    for i in range(n - 1):
        cpu(dine, forks[i], forks[i + 1])
    cpu(dine, forks[0], forks[n - 1])


@scheme
def right_handed(n: range(2, 17) = 4):
    forks = [spinlock_t() for _ in range(n)]
    for i in range(n):
        cpu(dine, forks[i], forks[(i + 1) % n])
