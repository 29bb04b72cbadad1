"""All that waits and all that is waited for, other than a spinlock_t: the names of its families in one list.

Leaves out what they mean: each family has a file of its own.
"""

from __future__ import annotations

from . import (
    bit_lock,
    completions,
    dec_and_lock,
    folio,
    guards,
    kthreads,
    llist,
    local_locks,
    lockdep,
    mutexes,
    raw_spinlock,
    rwlock,
    rwlock_forms,
    rwsem,
    semaphores,
    seqlock,
    seqlock_forms,
    timeouts,
    wait,
)
from .bit_lock import *
from .completions import *
from .dec_and_lock import *
from .folio import *
from .guards import *
from .kthreads import *
from .llist import *
from .local_locks import *
from .lockdep import *
from .mutexes import *
from .raw_spinlock import *
from .rwlock import *
from .rwlock_forms import *
from .rwsem import *
from .semaphores import *
from .seqlock import *
from .seqlock_forms import *
from .timeouts import *
from .wait import *

FAMILIES = (
    bit_lock, completions, dec_and_lock, folio, guards, kthreads, llist, local_locks, lockdep, mutexes, raw_spinlock, rwlock, rwlock_forms, rwsem,
    semaphores, seqlock, seqlock_forms, timeouts, wait,
)  # fmt: skip
__all__ = [name for family in FAMILIES for name in family.__all__]
