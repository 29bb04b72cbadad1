"""TLB shootdown: a page may be freed only when no CPU can write to it through a cached translation.

The unmapping CPU clears the pte, asks the others by IPI to drop what they have cached, waits until they have, and frees the page
(arch/x86/mm/tlb.c and mm/mmu_gather.c, Linux 6.1). `early` frees before the flush; `wait=False` does not wait for it.
`irqs_off` sends the IPIs with interrupts disabled, as two CPUs that do so wait for each other for ever (kernel/smp.c warns).
"""
from lockverse import *


@struct
class mm_struct:
    pte_present: bool
    page_in_use: bool
    cached: bool
    csd: call_single_data_t
    back: call_single_data_t


def flush_tlb_func(mm):
    WRITE_ONCE(mm.cached, False)


def unmap(mm, early, wait):
    WRITE_ONCE(mm.pte_present, False)
    if early:
        WRITE_ONCE(mm.page_in_use, False)
    smp_call_function_single(mm.csd, wait)
    if not early:
        WRITE_ONCE(mm.page_in_use, False)


def store(mm):
    if not READ_ONCE(mm.cached):
        if not READ_ONCE(mm.pte_present):
            return
        WRITE_ONCE(mm.cached, True)
    WARN_ON(not READ_ONCE(mm.page_in_use), "a store to a page that is free")


def user(mm):
    local_irq_disable()  # the hardware's walk and the store after it are not divided by an interrupt of this CPU
    store(mm)
    local_irq_enable()


@scheme
def shootdown(early: bool = False, wait: bool = True):
    mm = mm_struct(pte_present=True, page_in_use=True)
    cpu(unmap, mm, early, wait)
    task1 = cpu(user, mm)
    ipi(mm.csd, flush_tlb_func, mm, on=task1)
    at_rest(lambda: not mm.cached and not mm.page_in_use, "nothing is cached of a page that is free")
    sometimes(lambda: mm.cached, "the translation is cached")


def flush(csd, irqs_off):
    if irqs_off:
        local_irq_disable()
    smp_call_function_single(csd, True)
    if irqs_off:
        local_irq_enable()


@scheme
def both_ways(irqs_off: bool = False):
    mm = mm_struct()
    task0 = cpu(flush, mm.csd, irqs_off)
    task1 = cpu(flush, mm.back, irqs_off)
    ipi(mm.csd, flush_tlb_func, mm, on=task1)
    ipi(mm.back, flush_tlb_func, mm, on=task0)
