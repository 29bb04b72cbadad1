"""What is done to a whole mm under its mmap_lock: munmap, MADV_DONTNEED, faults, fork's copy, exit.

Source: mm/mmap.c, mm/madvise.c, kernel/fork.c (dup_mmap, mmput), Linux 6.1. Modelled: how each holds mmap_lock, and that a vma is out of the mm before its ptes are emptied. Munmap as a
system call gives up the write lock for the read lock before that (dd2283f2605e, 4.20); what replaces a mapping does not. Approximated: a vma of an mm_of_tables goes as a whole; fork's child
has one page table, which is charged as a page where the kernel charges it as kmem. Left out: the free of page tables, merging, splitting, mlock, userfaultfd. The
simulator has its own way through these (sim/address_space.py), with more vmas.
"""

from __future__ import annotations

from lockverse.lang import (
    NULL,
    READ_ONCE,
    SINGLE_DEPTH_NESTING,
    atomic_dec_and_test,
    down_read,
    down_write,
    down_write_nested,
    downgrade_write,
    up_read,
    up_write,
)  # fmt: skip
from lockverse.linux.include.errno import EFAULT, ENOMEM
from lockverse.linux.include.mm_types import NR_TABLES

from .memcontrol import try_charge
from .memory import copy_pte_range, do_fault, zap_pte_range


def vm_munmap(mm, number, tlb, downgrade):
    """Unmap a vma, which nobody finds any more once its ptes are emptied. With `downgrade` those who hold mmap_lock for reading go on meanwhile."""
    down_write(mm.mmap_lock)
    vma = mm.mmap[number]
    mm.mmap[number] = NULL
    if downgrade:
        downgrade_write(mm.mmap_lock)
    zap_pte_range(tlb, vma)
    if downgrade:
        up_read(mm.mmap_lock)
    else:
        up_write(mm.mmap_lock)


def madvise_dontneed(mm, number, tlb):
    """MADV_DONTNEED: empty the ptes of a vma, which stays."""
    down_read(mm.mmap_lock)
    zap_pte_range(tlb, mm.mmap[number])
    up_read(mm.mmap_lock)


def handle_mm_fault(mm, number, write):
    """A fault at the first address of a vma of a file: 0 or an error."""
    down_read(mm.mmap_lock)
    vma = mm.mmap[number]
    error = do_fault(vma, vma.vm_start, write) if vma else -EFAULT
    up_read(mm.mmap_lock)
    return error


def dup_mmap(mm, number, child, child_vma):
    """Fork: the child gets a copy of a vma's ptes, in a page table that is charged to the group of the parent. 0 or -ENOMEM."""
    down_write(mm.mmap_lock)
    down_write_nested(child.mmap_lock, SINGLE_DEPTH_NESTING)
    vma = mm.mmap[number]
    table = vma.vm_mm
    error = try_charge(READ_ONCE(table.memcg), 1)
    if not error:
        copy_pte_range(child_vma, vma)
    up_write(child.mmap_lock)
    up_write(mm.mmap_lock)
    return -ENOMEM if error else 0


def exit_mmap(mm, tlbs):
    """The last user of an mm has gone: unmap all. Others may still hold mmap_lock, if not for long."""
    down_read(mm.mmap_lock)
    for number in range(NR_TABLES):
        vma = mm.mmap[number]
        if vma:
            zap_pte_range(tlbs[number], vma)
    up_read(mm.mmap_lock)
    down_write(mm.mmap_lock)
    for number in range(NR_TABLES):
        mm.mmap[number] = NULL
    up_write(mm.mmap_lock)


def mmput(mm, tlbs):
    """Drop a user of an mm; the last one unmaps all."""
    if atomic_dec_and_test(mm.mm_users):
        exit_mmap(mm, tlbs)
