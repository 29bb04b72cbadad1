"""Taking an object out of a list that RCU readers walk, and freeing it (Documentation/RCU/listRCU.rst and whatisRCU.rst).

`by_call_rcu` and `by_synchronize_rcu` free it when its readers have gone. `at_once` frees it while a reader may stand on it.
`unlocked_reader` is found by a reader that does not say so.
"""
from lockverse import *


@struct
class entry:
    key: u8
    link: list_head
    rcu: rcu_head


@struct
class table:
    entries: list_head
    lock: spinlock_t


def lookup(table, key):
    found = False
    rcu_read_lock()
    for pos in list_for_each_entry_rcu(table.entries, entry, "link"):
        if pos.key == key:
            found = True
            break
    rcu_read_unlock()
    return found


def lookup_unlocked(table, key):
    for pos in list_for_each_entry_rcu(table.entries, entry, "link"):
        if pos.key == key:
            return True
    return False


def unlink(table, key):
    with table.lock:
        for pos in list_for_each_entry(table.entries, entry, "link"):
            if pos.key == key:
                list_del_rcu(pos.link)
                return pos
    return NULL


def entry_free_rcu(head):
    kfree(container_of(head, entry, "rcu"))


def remove_call_rcu(table, key):
    old = unlink(table, key)
    if old:
        call_rcu(old.rcu, entry_free_rcu)


def remove_synchronize_rcu(table, key):
    old = unlink(table, key)
    synchronize_rcu()
    kfree(old)


def remove_at_once(table, key):
    kfree(unlink(table, key))


def one_entry():
    pool(entry, 1)
    t = table()
    INIT_LIST_HEAD(t.entries)
    e = kmalloc(entry)
    e.key = 1
    list_add(e.link, t.entries)
    return t


@scheme
def by_call_rcu():
    t = one_entry()
    cpu(lookup, t, 1)
    cpu(remove_call_rcu, t, 1)
    at_rest(lambda: list_empty(t.entries), "the entry is gone")


@scheme
def by_synchronize_rcu():
    t = one_entry()
    cpu(lookup, t, 1)
    cpu(remove_synchronize_rcu, t, 1)
    at_rest(lambda: list_empty(t.entries), "the entry is gone")


@scheme
def at_once():
    t = one_entry()
    cpu(lookup, t, 1)
    cpu(remove_at_once, t, 1)


@scheme
def unlocked_reader():
    t = one_entry()
    cpu(lookup_unlocked, t, 1)
    cpu(remove_call_rcu, t, 1)
