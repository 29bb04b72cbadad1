"""R2: the first version of the fix of R1: a page counts as mapped while its anon_vma is gone already.

Unmerged; found by Hugh Dickins in November 2022. The reverse mapping takes "the page is still mapped", seen under the anon_vma's lock, as proof that the anon_vma is
alive: unmapping drops the mapcount before it frees the anon_vma, and the free waits for the lock. With the mapcount dropped only after the
page tables were taken down, it is no proof. What was merged never delays anonymous pages. `freed` marks what kmem_cache_free() would give back; the memory
stays an anon_vma for the length of an RCU read section. Left out: the walk itself, reference counts, forks.
"""
from lockverse import *


@struct
class anon_vma:
    rwsem: spinlock_t
    freed: bool


@struct
class page:
    mapcount: atomic_t
    mapping: ptr[anon_vma]


def page_mapped(page):
    return atomic_read(page.mapcount) >= 0


def anon_vma_free(anon_vma):
    if spin_is_locked(anon_vma.rwsem):
        spin_lock(anon_vma.rwsem)
        spin_unlock(anon_vma.rwsem)
    WRITE_ONCE(anon_vma.freed, True)


def exit_mmap(page, anon_vma):
    atomic_dec(page.mapcount)
    anon_vma_free(anon_vma)


@patch(exit_mmap)
def exit_mmap_delays_rmap(page, anon_vma):
    anon_vma_free(anon_vma)
    atomic_dec(page.mapcount)


def folio_referenced(page):
    rcu_read_lock()
    if page_mapped(page):
        found = page.mapping
        if spin_trylock(found.rwsem):
            if page_mapped(page):
                VM_BUG_ON(READ_ONCE(found.freed), "the anon_vma is used after it was freed")
            spin_unlock(found.rwsem)
    rcu_read_unlock()


@scheme
def referenced_while_exiting(delayed: bool = True, walkers: range(1, 4) = 1):
    if delayed:
        apply(exit_mmap_delays_rmap)
    av = anon_vma()
    p = page(mapcount=0, mapping=av)
    cpu(exit_mmap, p, av)
    for _ in range(walkers):
        cpu(folio_referenced, p)
