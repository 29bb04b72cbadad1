"""c6: the mover only meets pages it found in a task's page table, under its lock, so its tests for mapped pages are redundant (Hugh Dickins).

Retracted by him on 23 Nov 2022. True for pages behind present ptes. Behind an empty pte of a file mapping, or a swap pte, the mover finds
pages that nobody maps, with one CPU alone. Runs on Linux 6.1.
"""
from lockverse import *
from lockverse.linux.include.page_flags import folio_mapped
from lockverse.linux.mm import memcontrol
from lockverse.linux.patches.posted import PRESENT_ONLY
from lockverse.linux.scenes import Memory, Scenario, move_of_charges


@patch(memcontrol.move_account_state)
def the_page_is_mapped(folio, from_, to):
    WARN_ON(not folio_mapped(folio), "the mover has found a page that is not mapped")


@scheme
def pages_found_are_mapped(present_ptes_only: bool = False, scenario: Scenario = "alone", memory: Memory = "file"):
    apply(the_page_is_mapped)
    if present_ptes_only:
        apply(PRESENT_ONLY)
    memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced = move_of_charges(memory, scenario, check_books=False)
