"""The vocabulary a scheme is written in: `from lockverse import *`.

Plain Python that runs under CPython as it stands; imports no other room. Leaves out what memory may reorder (docs/fidelity.md).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal

from . import (
    access,
    atomics,
    barriers,
    bits,
    context,
    handlers,
    lists,
    locks,
    percpu_data,
    percpu_refcount,
    rcu,
    rcu_callbacks,
    refcount,
    slab,
    spinlock,
    spinlock_forms,
    srcu,
)
from .access import *
from .atomics import *
from .barriers import *
from .bits import *
from .context import *
from .environment import (
    BUG_ON,
    VM_BUG_ON,
    VM_WARN_ON,
    VM_WARN_ON_ONCE,
    WARN_ON,
    WARN_ON_ONCE,
    assume,
    barrier,
    choose,
    cpu_relax,
    data_race,
    likely,
    rest,
    unlikely,
)
from .handlers import *
from .lists import *
from .locks import *
from .null import NULL
from .patch import applied, patch
from .percpu_data import *
from .percpu_refcount import *
from .rcu import *
from .rcu_callbacks import *
from .refcount import *
from .scene import (
    always,
    apply,
    at_rest,
    cpu,
    interrupt,
    ipi,
    kthread,
    nmi,
    pool,
    scheme,
    softirq,
    sometimes,
    task,
    timer,
    work,
)
from .slab import *
from .spinlock import *
from .spinlock_forms import *
from .srcu import *
from .structs import container_of, struct
from .task import num_online_cpus, num_possible_cpus, running, smp_processor_id, task_struct
from .types import array, function, percpu, ptr, s8, s16, s32, s64, u8, u16, u32, u64, wrapping

__all__ = [
    "BUG_ON", "Enum", "Literal", "NULL", "VM_BUG_ON", "VM_WARN_ON", "VM_WARN_ON_ONCE", "WARN_ON", "WARN_ON_ONCE", "always", "applied", "apply", "array", "assume", "at_rest",
    "auto", "barrier", "choose", "container_of", "cpu", "cpu_relax", "data_race", "function", "interrupt", "ipi", "kthread", "likely", "nmi",
    "num_online_cpus", "num_possible_cpus", "patch", "percpu", "pool", "ptr", "rest", "running", "s16", "s32",
    "s64", "s8", "scheme", "smp_processor_id", "softirq", "sometimes", "struct", "task", "task_struct", "timer",
    "u16", "u32", "u64", "u8", "unlikely", "work", "wrapping",
    *access.__all__, *atomics.__all__, *barriers.__all__, *bits.__all__, *context.__all__, *handlers.__all__, *lists.__all__,
    *locks.__all__, *percpu_data.__all__, *percpu_refcount.__all__, *rcu.__all__, *rcu_callbacks.__all__, *refcount.__all__,
    *slab.__all__, *spinlock.__all__, *spinlock_forms.__all__, *srcu.__all__,
]  # fmt: skip
