"""Objects for scenes: groups, pages, mms, as a kernel would have them after a while. Not from the kernel.

Leaves out how they came about: a scene starts where its story does. What is made here is consistent: every mapped page is counted once
by its group, a file's page is in its cache and charged.
"""

from __future__ import annotations

from lockverse.linux.include.huge_mm import HPAGE_PMD_NR, compound_page
from lockverse.linux.include.memcontrol import MOVE_ANON, MOVE_FILE, mem_cgroup
from lockverse.linux.include.mm_types import (
    address_space,
    mm_of_tables,
    mm_struct,
    page,
    pte_state,
    swap_slot,
    vm_area_struct,
)
from lockverse.linux.include.mmzone import MEMCG_SWAP, NR_ANON_MAPPED, NR_ANON_THPS, NR_FILE_MAPPED, NR_FILE_PAGES
from lockverse.linux.mm.memcontrol import mc
from lockverse.linux.mm.mmu_gather import mmu_gather


def memory_cgroup(parent=None, memory=None):
    """A group, of which nothing is charged; in `memory` that kmalloc() has given, if it is to be freed."""
    made = mem_cgroup() if memory is None else memory
    made.css_refcnt.counter = 1
    made.id_ref.refs = 1
    if parent is not None:
        made.parent = parent
        made.memory.parent = parent.memory
        made.memsw.parent = parent.memsw
    return made


def _charge(memcg, pages=1):
    counter = memcg.memory
    while counter:
        counter.usage.counter += pages
        counter = counter.parent
    memcg.css_refcnt.counter += 1


def charge_memsw(memcg, nr_pages=1):
    """Let pages of a group be charged to its memory+swap counter too."""
    counter = memcg.memsw
    while counter:
        counter.usage.counter += nr_pages
        counter = counter.parent


def swap_record(memcg):
    """A slot of swap that holds a page of a group, charged to its memory+swap counter; no pte names it yet."""
    memcg.state[MEMCG_SWAP].counter += 1
    memcg.id_ref.refs += 1
    charge_memsw(memcg)
    return swap_slot(memcg=memcg)


def map_swap(mm, addr, slot):
    """Let a pte name a slot of swap."""
    mm.pgtable.pte[addr].slot = slot
    mm.pgtable.pte[addr].pte = pte_state.swap
    slot.count.counter += 1


def put_on_list(one, memcg):
    """Let a page be on the list of its group."""
    one.on_list = memcg
    memcg.lruvec.lru_size += 1


def file_mapping(can_writeback=True):
    """A file."""
    return address_space(can_writeback=can_writeback)


def file_page(memcg, mapping, index=0):
    """A page of a file, in the cache, mapped by nobody, charged to a group."""
    made = page(_mapcount=-1, _refcount=1, memcg_data=memcg, lru=True, mapping=mapping, index=index)
    mapping.i_pages[index] = made
    memcg.state[NR_FILE_PAGES].counter += 1
    _charge(memcg)
    return made


def anon_page(memcg):
    """A page of anonymous memory that some pte is going to map; or that KSM or the swap cache has, if none does."""
    _charge(memcg)
    return page(_mapcount=-1, memcg_data=memcg, lru=True, anon=True, swapbacked=True)


def huge_page(memcg):
    """A huge page of anonymous memory that some pmd is going to map."""
    _charge(memcg, HPAGE_PMD_NR)
    head, tail = (compound_page(_mapcount=-1, compound_mapcount=-1, nr_pages=HPAGE_PMD_NR, anon=True, swapbacked=True) for _ in range(2))
    head.memcg_data, head.lru = memcg, True
    head.pages[0], head.pages[1] = head, tail
    head.head = tail.head = head
    return head


def map_huge(mm, head):
    """Let a pmd map a huge page, and count it."""
    mm.pgtable.huge = head
    head._refcount.counter += 1
    head.compound_mapcount.counter += 1
    if head.compound_mapcount.counter == 0:
        head.memcg_data.state[NR_ANON_MAPPED].counter += HPAGE_PMD_NR
        head.memcg_data.state[NR_ANON_THPS].counter += HPAGE_PMD_NR


def map_page(mm, addr, one, state=pte_state.readonly):
    """Let a pte map a page, and count it."""
    mm.pgtable.pte[addr].page = one
    mm.pgtable.pte[addr].pte = state
    one._refcount.counter += 1
    one._mapcount.counter += 1
    if one._mapcount.counter == 0:
        one.memcg_data.state[NR_ANON_MAPPED if one.anon else NR_FILE_MAPPED].counter += 1


def count_by_cpu(memcg, cpu):
    """Let kernel/cgroup/rstat.py have counted one mapped page of a file for a group, on that CPU, and flushed."""
    share = memcg.vmstats_percpu[cpu]
    share.state += 1
    share.state_prev += 1
    memcg.vmstats.state_local += 1
    one = memcg
    while one:
        one.vmstats.state += 1
        one = one.parent


def change_on_cpu(memcg, cpu):
    """Let kernel/cgroup/rstat.py have counted one mapped page of a file for a group, on that CPU, and not flushed."""
    memcg.vmstats_percpu[cpu].state += 1
    one = memcg
    while not one.rstat_cpu[cpu].updated_next:
        if not one.parent:
            one.rstat_cpu[cpu].updated_next = one
            break
        above = one.parent.rstat_cpu[cpu]
        one.rstat_cpu[cpu].updated_next = above.updated_children or one.parent
        above.updated_children = one
        one = one.parent


def new_mm(memcg):
    """The address space of a process in a group, with nothing mapped."""
    return mm_struct(memcg=memcg)


def vma_of(mm, mapping=None, start=0, end=1):
    """A mapping of one page, or of more."""
    return vm_area_struct(vm_mm=mm, vm_start=start, vm_end=end, vm_file=mapping, vm_pgoff=start)


def mm_of(*vmas):
    """The mm that has these vmas, each in a page table of its own, and one task."""
    made = mm_of_tables(mm_users=1)
    for number, vma in enumerate(vmas):
        made.mmap[number] = vma
    return made


def gather(vma):
    """What the unmapping of a vma gathers its pages in."""
    return mmu_gather(mm=vma.vm_mm, start=vma.vm_start, end=vma.vm_end)


def cache_in_tlbs(mm, cpus=1):
    """Let CPUs have the first pte of an mm in their TLBs, dirty if it is dirty."""
    mm.pgtable.nr_tlbs = cpus
    for cpu in range(cpus):
        mm.pgtable.tlb[cpu].cached = mm.pgtable.pte[0].pte
        mm.pgtable.tlb[cpu].page = mm.pgtable.pte[0].page


def start_move(from_, to, precharge=1, flags=MOVE_ANON | MOVE_FILE):
    """A move of charges that can_attach has let through: `to` is charged for what may come. Gives `mc`, for the scene to keep."""
    mc.from_, mc.to, mc.precharge, mc.moved_charge, mc.moved_swap, mc.flags = from_, to, precharge, 0, 0, flags
    counter = to.memory
    while counter:
        counter.usage.counter += precharge
        counter = counter.parent
    return mc


__all__ = [
    "anon_page", "cache_in_tlbs", "change_on_cpu", "charge_memsw", "count_by_cpu", "file_mapping", "file_page", "gather", "huge_page", "map_huge", "map_page",
    "map_swap", "memory_cgroup", "mm_of", "new_mm", "put_on_list", "start_move", "swap_record", "vma_of",
]  # fmt: skip
