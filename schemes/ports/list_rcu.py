"""A list under RCU: add and delete while others walk it (include/linux/rculist.h of Linux 6.1; McKenney and Slingwine, PDCS 1998).

Writers exclude each other by a lock, readers take none. list_add_rcu() makes the new entry ready and then lets the list lead to it;
list_del_rcu() lets the list lead past an entry and leaves that entry's own next pointer as it is, for those who stand on it. It may be
freed when they are gone: after a grace period.

`add_and_delete` is the algorithm: a walk meets no entry that is freed, all entries that stay, and comes to an end. Broken: `freed_at_once`
frees without call_rcu(); `poisoned` uses the list_del() of ordinary lists, which poisons the entry's next pointer; `added_too_early`
lets the list lead to an entry that does not lead on yet.

Left out: reordering, against which rcu_assign_pointer() has its release and rcu_dereference() its dependency. The poison is NULL. The
vocabulary has these lists; here they are written out.
"""
from lockverse import *


@struct
class entry:
    next: ptr["entry"]
    prev: ptr["entry"]
    number: u8
    rcu: rcu_head


@struct
class rcu_list:
    head: entry
    lock: spinlock_t


def list_add_rcu(new, prev):
    next = prev.next
    new.next = next
    new.prev = prev
    rcu_assign_pointer(prev.next, new)
    next.prev = new


def list_add_too_early(new, prev):
    next = prev.next
    rcu_assign_pointer(prev.next, new)
    WRITE_ONCE(new.next, next)
    new.prev = prev
    next.prev = new


def list_del_rcu(e):
    next, prev = e.next, e.prev
    next.prev = prev
    WRITE_ONCE(prev.next, next)
    e.prev = NULL


def list_del_poisons(e):
    list_del_rcu(e)
    WRITE_ONCE(e.next, NULL)


def walk(l):
    """A bit for each entry that was met."""
    met = 0
    rcu_read_lock()
    pos = rcu_dereference(l.head.next)
    while pos != l.head:
        met |= 1 << pos.number
        pos = rcu_dereference(pos.next)
    rcu_read_unlock()
    return met


def reader(l):
    assert walk(l) & 5 == 5, "what stays in the list is met"


def adder(l, new, add):
    with l.lock:
        add(new, l.head)


def free_entry(head):
    kfree(container_of(head, entry, "rcu"))


def deleter(l, e, delete):
    with l.lock:
        delete(e)
    call_rcu(e.rcu, free_entry)


def deleter_at_once(l, e):
    with l.lock:
        list_del_rcu(e)
    kfree(e)


def allocated():
    """Three entries and one to add."""
    pool(entry, 4)
    entries = [kmalloc(entry) for _ in range(4)]
    for number in range(4):
        entries[number].number = number
    return entries


def linked(entries):
    """A list of these entries, in this order."""
    l = rcu_list()
    circle = [l.head, *entries]
    for e, next in zip(circle, [*circle[1:], circle[0]]):
        e.next, next.prev = next, e
    return l


@scheme
def add_and_delete(readers: range(1, 3) = 1):
    a, b, c, new = allocated()
    l = linked([a, b, c])
    for _ in range(readers):
        cpu(reader, l)
    cpu(deleter, l, b, list_del_rcu)
    cpu(adder, l, new, list_add_rcu)
    at_rest(lambda: l.head.next == new and new.next == a and a.next == c, "one more, and one less")


@scheme
def freed_at_once():
    a, b, c, new = allocated()
    l = linked([a, b, c, new])
    cpu(reader, l)
    cpu(deleter_at_once, l, b)


@scheme
def poisoned():
    a, b, c, new = allocated()
    l = linked([a, b, c, new])
    cpu(reader, l)
    cpu(deleter, l, b, list_del_poisons)


@scheme
def added_too_early():
    a, b, c, new = allocated()
    l = linked([a, b, c])
    cpu(reader, l)
    cpu(adder, l, new, list_add_too_early)
