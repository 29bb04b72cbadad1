"""R13: the reference that a swap record holds of its group comes too late.

A swap slot says which group its contents are charged to, and holds a reference of that group's id. When charges move, the slot goes over to the new
group at once; references and counters were to be put right at the end of the move. But the process has moved already: it may swap the page in meanwhile,
which drops the reference that the slot has not got yet, and with it the last of a living group. The reference is therefore not put off
(mm/memcontrol.c, Linux 6.1, mem_cgroup_move_charge_pte_range() and the comment at mem_cgroup_move_swap_account()): it is taken right after the slot goes over. In this
model that leaves a window of a few instructions, and only a reference taken before closes it; what else may keep the swap-in away in the kernel is not modelled:
the pte lock of the walk does not, as swap-in gives the slot's charge back before it takes that. Left out: the walk, the counters of memory and swap.
"""
from lockverse import *


@struct
class mem_cgroup:
    id_ref: refcount_t


@struct
class swap_slot:
    memcg: ptr[mem_cgroup]


def mem_cgroup_id_put(memcg):
    if refcount_dec_and_test(memcg.id_ref):
        WARN_ON(True, "the id of a living group is given back")


def mem_cgroup_move_swap_account(slot, from_, to, right_after):
    if cmpxchg(slot.memcg, from_, to) == from_:
        if right_after:
            refcount_inc(to.id_ref)
        return 1
    return 0


def mem_cgroup_move_charge(slot, from_, to, before, right_after):
    if before:
        refcount_inc(to.id_ref)
    moved = mem_cgroup_move_swap_account(slot, from_, to, right_after)
    if moved:  # mem_cgroup_clear_mc()
        if not before and not right_after:
            refcount_inc(to.id_ref)
        mem_cgroup_id_put(from_)
    elif before:
        mem_cgroup_id_put(to)


def mem_cgroup_swapin_uncharge_swap(slot):
    memcg = xchg(slot.memcg, NULL)
    if memcg:
        mem_cgroup_id_put(memcg)


@scheme
def swapped_in_while_moved(reference: Literal["at the end", "right after", "before"] = "at the end"):
    from_ = mem_cgroup(id_ref=2)
    to = mem_cgroup(id_ref=1)
    slot = swap_slot(memcg=from_)
    cpu(mem_cgroup_move_charge, slot, from_, to, reference == "before", reference == "right after")
    cpu(mem_cgroup_swapin_uncharge_swap, slot)
    at_rest(lambda: refcount_read(from_.id_ref) == 1 and refcount_read(to.id_ref) == 1, "each group has its own reference left")
    sometimes(lambda: slot.memcg == to, "the slot goes over")
