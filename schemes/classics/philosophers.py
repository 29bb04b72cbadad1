"""The dining philosophers (Dijkstra, EWD 310, 1971): each needs both forks beside him.

All right-handed, they can each hold one fork and wait for the next: deadlock. With forks taken in one order they cannot.
"""
from lockverse import *


def dine(first, second):
    spin_lock(first)
    spin_lock(second)
    spin_unlock(second)
    spin_unlock(first)


@scheme
def right_handed(n: range(2, 5) = 3):
    forks = [spinlock_t() for _ in range(n)]
    for i in range(n):
        cpu(dine, forks[i], forks[(i + 1) % n])


@scheme
def in_order(n: range(2, 5) = 3):
    forks = [spinlock_t() for _ in range(n)]
    for i in range(n):
        low, high = sorted((i, (i + 1) % n))
        cpu(dine, forks[low], forks[high])
