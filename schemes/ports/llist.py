"""The lock-free list (lib/llist.c and include/linux/llist.h of Linux 6.1; Ying, 2011).

A single pointer to the first node. llist_add() links a node in front with a cmpxchg, llist_del_all() takes the whole list with
an xchg: any number of CPUs may do either. llist_del_first() takes the first node with a cmpxchg from that node to the next one, and
only one CPU may do that at a time.

`del_all` and `one_consumer` are what the header allows. Broken: `add_by_store` links without the cmpxchg, and a node that was
added meanwhile is lost. `two_consumers` has two CPUs in llist_del_first(), one of which adds a node back: the other has seen that
node first with a next one that is gone by now, and its cmpxchg succeeds all the same (the ABA problem). The list then leads to a
node that somebody holds.

Left out: reordering. The kernel's `new->next = first` is plain; with two consumers one of them may just read it, and that is a data
race before it is an ABA. Here the store is marked, so that the list itself is what breaks.
"""
from lockverse import *


@struct
class llist_node:
    next: ptr["llist_node"]
    held: bool


@struct
class llist_head:
    first: ptr[llist_node]


def llist_add(new, head):
    first = READ_ONCE(head.first)
    while True:
        WRITE_ONCE(new.next, first)
        ok, first = try_cmpxchg(head.first, first, new)
        if ok:
            return first == NULL


def llist_add_by_store(new, head):
    first = READ_ONCE(head.first)
    WRITE_ONCE(new.next, first)
    WRITE_ONCE(head.first, new)
    return first == NULL


def llist_del_all(head):
    return xchg(head.first, NULL)


def llist_del_first(head):
    entry = smp_load_acquire(head.first)
    while entry != NULL:
        next = READ_ONCE(entry.next)
        ok, entry_now = try_cmpxchg(head.first, entry, next)
        if ok:
            return entry
        entry = entry_now
    return entry


def take(node):
    WARN_ON(READ_ONCE(node.held), "somebody holds this node already")
    WRITE_ONCE(node.held, True)


def produce(head, node, add):
    add(node, head)


def consume_all(head):
    node = llist_del_all(head)
    while node != NULL:
        take(node)
        node = READ_ONCE(node.next)


def consume_first(head, times):
    for _ in range(times):
        node = llist_del_first(head)
        if node != NULL:
            take(node)


def consume_and_add_back(head):
    node = llist_del_first(head)
    if node != NULL:
        take(node)
        other = llist_del_first(head)
        if other != NULL:
            take(other)
        WRITE_ONCE(node.held, False)
        llist_add(node, head)


def length(head):
    count = 0
    node = head.first
    while node != NULL:
        count += 1
        node = node.next
    return count


@scheme
def del_all(producers: range(1, 4) = 2, consumers: range(1, 3) = 1):
    head = llist_head()
    nodes = [llist_node() for _ in range(3)]
    for node in nodes[:producers]:
        cpu(produce, head, node, llist_add)
    for _ in range(consumers):
        cpu(consume_all, head)
    first, second, third = nodes
    at_rest(lambda: length(head) + first.held + second.held + third.held == producers, "no node is lost")
    sometimes(lambda: length(head) == producers, "all nodes are in the list")
    sometimes(lambda: first.held, "a node is consumed")


@scheme
def one_consumer(producers: range(1, 4) = 2):
    head = llist_head()
    nodes = [llist_node() for _ in range(3)]
    for node in nodes[:producers]:
        cpu(produce, head, node, llist_add)
    cpu(consume_first, head, 2)
    first, second, third = nodes
    at_rest(lambda: length(head) + first.held + second.held + third.held == producers, "no node is lost")
    sometimes(lambda: first.held and length(head) == producers - 1, "a node is consumed")


@scheme
def add_by_store():
    head = llist_head()
    first, second = llist_node(), llist_node()
    cpu(produce, head, first, llist_add_by_store)
    cpu(produce, head, second, llist_add_by_store)
    at_rest(lambda: length(head) == 2, "no node is lost")


@scheme
def two_consumers():
    a, b = llist_node(), llist_node()
    a.next = b
    head = llist_head(first=a)
    cpu(consume_first, head, 1)
    cpu(consume_and_add_back, head)
    at_rest(lambda: head.first == NULL or not head.first.held, "nobody holds what is in the list")
