"""Marked accesses: READ_ONCE, WRITE_ONCE, acquire and release, xchg and cmpxchg on fields, waiting for a value, the RCU accessors.

Each is one step on the place that is its first argument. The compiler knows them by their PlaceInfo; the bodies here
are what they mean under plain Python. Names and orders: Documentation/memory-barriers.txt and
tools/memory-model/Documentation/explanation.txt of Linux 6.1.

smp_cond_load_acquire() waits as a lock does: its step happens once the condition holds, so waiting costs no states. The
condition is a lambda of what was read and looks at nothing else that is shared; its parameter is the kernel's VAL.

Leaves out the reordering they forbid: the search is sequentially consistent, so nothing is reordered; and cmpxchg_double.
"""

# mypy: disable-error-code=no-any-return
# (what these functions give is the user's own type, which only the compiler knows)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .places import caller_place
from .rcu_readers import (
    check_bh_reader,
    check_protected,
    check_rcu_reader,
    check_rcu_reader_or,
    check_sched_reader,
    check_srcu_reader,
)
from .step import place_macro
from .task import wait_until


def _reader(name: str, order: str) -> Callable[[Any], Any]:
    def read(place: Any) -> Any:
        return place

    return _named(read, name, order, "read", f"Read the place in one step ({order}).")


def _dereferencer(name: str, check: Any, *, given: bool = False) -> Any:
    def read(place: Any, *more: Any) -> Any:
        check(*more)
        return place

    read.__name__ = read.__qualname__ = name
    read.__doc__ = "Read the place in one step, for following the pointer; broken where RCU does not protect it."
    return place_macro(name, "once", "read", check=check, given=given)(read)


def _writer(name: str, order: str) -> Callable[[Any, Any], None]:
    def write(place: Any, value: Any) -> None:
        caller_place().set(value)

    return _named(write, name, order, "write", f"Write `value` to the place in one step ({order}).")


def _exchanger(name: str, order: str) -> Callable[[Any, Any], Any]:
    def exchange(place: Any, value: Any) -> Any:
        found = caller_place()
        old = found.get()
        found.set(value)
        return old

    return _named(exchange, name, order, "xchg", f"Write `value` and give what was there ({order}).")


def _comparer(name: str, order: str) -> Callable[[Any, Any, Any], Any]:
    def compare_exchange(place: Any, old: Any, new: Any) -> Any:
        found = caller_place()
        current = found.get()
        if current == old:
            found.set(new)
        return current

    return _named(compare_exchange, name, order, "cmpxchg", f"Write `new` if the place holds `old`; give what was there ({order}).")


def _trier(name: str, order: str) -> Callable[[Any, Any, Any], tuple[bool, Any]]:
    def try_compare_exchange(place: Any, old: Any, new: Any) -> tuple[bool, Any]:
        found = caller_place()
        current = found.get()
        if current == old:
            found.set(new)
        return current == old, current

    doc = f"Write `new` if the place holds `old`; give whether it did, and what was there ({order})."
    return _named(try_compare_exchange, name, order, "try_cmpxchg", doc)


def _waiter(name: str, order: str) -> Callable[[Any, Callable[[Any], object]], Any]:
    def conditional_load(place: Any, condition: Callable[[Any], object]) -> Any:
        wait_until(condition(place))
        return place

    return _named(conditional_load, name, order, "cond_load", f"Wait until `condition` holds of the place; give what it holds then ({order}).")


def _named(function: Any, name: str, order: str, kind: str, doc: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return place_macro(name, order, kind)(function)


READ_ONCE = _reader("READ_ONCE", "once")
WRITE_ONCE = _writer("WRITE_ONCE", "once")
smp_load_acquire = _reader("smp_load_acquire", "acquire")
smp_store_release = _writer("smp_store_release", "release")
smp_store_mb = _writer("smp_store_mb", "full")
rcu_dereference = _dereferencer("rcu_dereference", check_rcu_reader)
rcu_dereference_bh = _dereferencer("rcu_dereference_bh", check_bh_reader)
rcu_dereference_sched = _dereferencer("rcu_dereference_sched", check_sched_reader)
rcu_dereference_raw = _reader("rcu_dereference_raw", "once")
rcu_dereference_check = _dereferencer("rcu_dereference_check", check_rcu_reader_or, given=True)
rcu_dereference_protected = _dereferencer("rcu_dereference_protected", check_protected, given=True)
srcu_dereference = _dereferencer("srcu_dereference", check_srcu_reader, given=True)
rcu_access_pointer = _reader("rcu_access_pointer", "once")
rcu_assign_pointer = _writer("rcu_assign_pointer", "release")
RCU_INIT_POINTER = _writer("RCU_INIT_POINTER", "once")

xchg = _exchanger("xchg", "full")
xchg_relaxed = _exchanger("xchg_relaxed", "relaxed")
xchg_acquire = _exchanger("xchg_acquire", "acquire")
xchg_release = _exchanger("xchg_release", "release")
cmpxchg = _comparer("cmpxchg", "full")
cmpxchg_relaxed = _comparer("cmpxchg_relaxed", "relaxed")
cmpxchg_acquire = _comparer("cmpxchg_acquire", "acquire")
cmpxchg_release = _comparer("cmpxchg_release", "release")
cmpxchg_local = _comparer("cmpxchg_local", "relaxed")
cmpxchg64 = _comparer("cmpxchg64", "full")
cmpxchg64_relaxed = _comparer("cmpxchg64_relaxed", "relaxed")
cmpxchg64_acquire = _comparer("cmpxchg64_acquire", "acquire")
cmpxchg64_release = _comparer("cmpxchg64_release", "release")
cmpxchg64_local = _comparer("cmpxchg64_local", "relaxed")
sync_cmpxchg = _comparer("sync_cmpxchg", "full")
try_cmpxchg = _trier("try_cmpxchg", "full")
try_cmpxchg_relaxed = _trier("try_cmpxchg_relaxed", "relaxed")
try_cmpxchg_acquire = _trier("try_cmpxchg_acquire", "acquire")
try_cmpxchg_release = _trier("try_cmpxchg_release", "release")
try_cmpxchg64 = _trier("try_cmpxchg64", "full")
try_cmpxchg64_relaxed = _trier("try_cmpxchg64_relaxed", "relaxed")
try_cmpxchg64_acquire = _trier("try_cmpxchg64_acquire", "acquire")
try_cmpxchg64_release = _trier("try_cmpxchg64_release", "release")

smp_cond_load_acquire = _waiter("smp_cond_load_acquire", "acquire")
smp_cond_load_relaxed = _waiter("smp_cond_load_relaxed", "relaxed")

__all__ = [name for name, value in list(globals().items()) if hasattr(value, "__lockverse_place__")]
