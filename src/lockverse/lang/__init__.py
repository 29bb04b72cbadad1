"""The vocabulary a scheme is written in: `from lockverse import *`.

Plain Python that runs under CPython as it stands; imports no other room. Leaves out locks other than spinlocks,
contexts and lifetimes, which come with the kernel's full vocabulary.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal

from . import access, atomics, lists, rcu, rcu_callbacks, slab, srcu
from .access import *
from .atomics import *
from .barriers import smp_mb, smp_mb__after_atomic, smp_mb__before_atomic, smp_rmb, smp_wmb
from .context import might_sleep, preempt_disable, preempt_enable
from .environment import BUG_ON, VM_BUG_ON, WARN_ON, WARN_ON_ONCE, assume, barrier, choose, cpu_relax, data_race, rest
from .lists import *
from .null import NULL
from .rcu import *
from .rcu_callbacks import *
from .scene import always, at_rest, cpu, pool, scheme, sometimes
from .slab import *
from .spinlock import spin_is_locked, spin_lock, spin_trylock, spin_unlock, spinlock_t
from .srcu import *
from .structs import container_of, struct
from .task import running, smp_processor_id, task_struct
from .types import array, ptr, s8, s16, s32, s64, u8, u16, u32, u64, wrapping

__all__ = [
    "BUG_ON", "Enum", "Literal", "NULL", "VM_BUG_ON", "WARN_ON", "WARN_ON_ONCE", "always", "array", "assume", "at_rest",
    "auto", "barrier", "choose", "container_of", "cpu", "cpu_relax", "data_race", "might_sleep", "pool", "preempt_disable", "preempt_enable", "ptr", "rest", "running",
    "s16", "s32", "s64", "s8", "scheme", "smp_mb", "smp_mb__after_atomic", "smp_mb__before_atomic", "smp_processor_id",
    "smp_rmb", "smp_wmb", "sometimes", "spin_is_locked", "spin_lock", "spin_trylock", "spin_unlock", "spinlock_t", "struct",
    "task_struct", "u16", "u32", "u64", "u8", "wrapping",
    *access.__all__, *atomics.__all__, *lists.__all__, *rcu.__all__, *rcu_callbacks.__all__, *slab.__all__, *srcu.__all__,
]  # fmt: skip
