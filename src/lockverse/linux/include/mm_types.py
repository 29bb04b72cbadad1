"""struct page, page tables, address spaces, mms and vmas.

Source: include/linux/mm_types.h, page-flags.h, fs.h, Linux 6.1. Modelled: small pages; a folio is its page, so `page` and `folio`
name the same thing; page tables of one level with one pte lock each; mmap_lock, where an mm has more than one. Approximated: each page flag is a field of its own rather than
a bit of one word; what tag of `mapping` a page has (anonymous, KSM) are two fields that never change; a pte is two fields, its state
and what it points to, of which the second is written only under the pte lock while the state says none. Left out: compound pages, zones, nodes.
"""

from __future__ import annotations

from lockverse.lang import Enum, array, atomic_t, auto, mutex, ptr, rw_semaphore, spinlock_t, struct, u8

from .memcontrol import mem_cgroup, obj_cgroup

PTRS_PER_PTE = 2  # a page table has room for so many; a vma says how many of them it covers
NR_CACHED = 2  # pages an address space can hold
NR_TLBS = 2  # CPUs whose TLBs a scene can have
NR_TABLES = 2  # page tables of an mm that has more than one


@struct
class address_space:
    """What caches a file: the page of each offset. The i_pages lock guards the array."""

    i_pages_lock: spinlock_t
    i_pages: array[ptr[page], NR_CACHED]
    can_writeback: bool
    disk: array[u8, NR_CACHED]  # what is on disk, per offset


@struct
class page:
    """A page, which is a folio too. `lock` is PG_locked."""

    _mapcount: atomic_t
    _refcount: atomic_t
    memcg_data: ptr[mem_cgroup]
    objcg: ptr[obj_cgroup]  # from 7.1 on, in place of memcg_data
    lock: mutex
    lru: bool
    on_list: ptr[mem_cgroup]  # whose list it is on, where mm/lruvec.py is applied
    dirty: bool
    writeback: bool
    swapcache: bool
    swapbacked: bool
    anon: bool
    ksm: bool
    mapping: ptr[address_space]
    index: u8
    data: u8  # what is in it


class pte_state(Enum):
    """What a pte can be. A present one is read-only, writable and clean, or writable and dirty."""

    none = auto()
    readonly = auto()
    writable = auto()
    dirty = auto()
    swap = auto()
    migration = auto()
    device_private = auto()


@struct
class swap_slot:
    """A slot of swap: the page that is cached for it, the group its contents are charged to, and how many ptes name it."""

    folio: ptr[page]
    memcg: ptr[mem_cgroup]
    count: atomic_t


@struct
class pte_t:
    """A page-table entry: its state, and the page or the swap slot it points to."""

    pte: pte_state
    page: ptr[page]
    slot: ptr[swap_slot]


@struct
class tlb_entry:
    """What one CPU's TLB holds of one pte: nothing, or a copy of it. `insn` is held for the length of an instruction
    that uses it, since an IPI to flush it is taken between two instructions."""

    insn: spinlock_t
    cached: pte_state
    page: ptr[page]


@struct
class page_table:
    """One page of ptes and its lock."""

    ptl: spinlock_t
    pte: array[pte_t, PTRS_PER_PTE]
    nr_tlbs: u8  # so many CPUs may have its first pte in their TLBs
    tlb: array[tlb_entry, NR_TLBS]


@struct
class mm_struct:
    """An address space of tasks: the group that mm->owner is in, and its page table."""

    memcg: ptr[mem_cgroup]
    pgtable: page_table


@struct
class vm_area_struct:
    """A mapping: the ptes vm_start to vm_end of an mm, of a file from offset vm_pgoff, or of none."""

    vm_mm: ptr[mm_struct]
    vm_start: u8
    vm_end: u8
    vm_file: ptr[address_space]
    vm_pgoff: u8


@struct
class mm_of_tables:
    """An mm with several page tables, each with a pte lock of its own. Each is an mm_struct here, and `mmap` has the vma that lies in it, or
    NULL (docs/decisions/0011). `mm_users` are the tasks, and who else must not see it go."""

    mmap_lock: rw_semaphore
    mmap: array[ptr[vm_area_struct], NR_TABLES]
    mm_users: atomic_t
