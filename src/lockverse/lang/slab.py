"""kmalloc and kfree: objects that come and go, out of pools that a scene declares.

`pool(node, 3)` in a scheme says that there is room for three objects of the struct at once. kmalloc() gives the free one with
the lowest number, and kfree() gives it back, in one step each. A free object is all zero: so is what kmalloc() gives, as
kzalloc()'s is in the kernel, and reads of what nobody has written yet are not found. Allocations do not fail: a pool that is too small
is a fault that says so. Names and flags: include/linux/slab.h and gfp_types.h, Linux 6.12; that kfree(NULL) is nothing,
mm/slub.c there.

An object that is given out again soon is where its stale pointers lead, as with SLUB's free lists; a pointer used after that is not told from a good one. Leaves
out sizes in bytes, arrays, and the check of an access, which is made by the compiler (passes/lifetimes.py).
"""

# mypy: disable-error-code="no-any-return"
# (what these functions give is the user's own type, which only the compiler knows)

from __future__ import annotations

from typing import Any

from msgspec import Struct

from .context import check_may_sleep
from .errors import CheckFailed
from .null import NULL
from .scene import from_pool
from .step import intrinsic, step
from .structs import is_free, make_free, zeroed


class Gfp(Struct, frozen=True, eq=False):
    """Flags of an allocation: whether it may sleep. They are known while a scheme is compiled."""

    name: str
    may_sleep: bool


GFP_KERNEL = Gfp("GFP_KERNEL", may_sleep=True)
GFP_ATOMIC = Gfp("GFP_ATOMIC", may_sleep=False)


# Parts of steps


@intrinsic
def allocate(kind: Any) -> Any:
    """The next object of the pool of that struct. Inside a step."""
    found = from_pool(kind)
    return zeroed(kind) if found is None else found


@intrinsic
def free(object: Any) -> None:
    """Give an object back to its pool. Inside a step."""
    if object is not NULL and object is not None:
        if is_free(object):
            raise CheckFailed("double-free", "kfree() of an object that is free already")
        make_free(object)


# Steps


@step("plain")
def kmalloc(kind: Any, flags: Any = GFP_KERNEL) -> Any:
    """An object of the struct `kind`, all zero. GFP_KERNEL may sleep, GFP_ATOMIC does not."""
    if flags.may_sleep:
        check_may_sleep()
    return allocate(kind)


@step("plain")
def kzalloc(kind: Any, flags: Any = GFP_KERNEL) -> Any:
    """As kmalloc()."""
    if flags.may_sleep:
        check_may_sleep()
    return allocate(kind)


@step("plain")
def kfree(object: Any) -> None:
    """Give an object back. NULL is none."""
    free(object)


__all__ = [
    "GFP_ATOMIC", "GFP_KERNEL", "kfree", "kmalloc", "kzalloc",
]  # fmt: skip
