"""A timer whose function no execution runs, as nobody arms it: the scheme holds, and says nothing of it (`--strict` fails).

Leaves out what the timer is for.
"""

from lockverse import *


@struct
class device:
    n: u8


def handle(d):
    WRITE_ONCE(d.n, 1)


def arm(t, wanted: bool):
    smp_mb()
    if wanted:
        mod_timer(t)


@scheme
def handler(armed: bool = False):
    d = device()
    t = timer_list()
    c = cpu(arm, t, armed)
    timer(t, handle, d, on=c)
