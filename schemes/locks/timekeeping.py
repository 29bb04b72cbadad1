"""printk() inside the section of a seqcount's writer ("timekeeping: use printk_deferred when holding timekeeping seqlock",
6d9bcb621b0b, Linux 3.17).

Printing wakes a task, which may start a timer, which reads the time: a reader inside the section that it waits for the end
of. `printk` never gets out of it; `deferred` prints when the section is over.
"""
from lockverse import *


@struct
class timekeeper:
    lock: raw_spinlock_t
    seq: seqcount_t
    sec: u32
    nsec: u32


def ktime_get(tk):
    while True:
        seq = read_seqcount_begin(tk.seq)
        sec = tk.sec
        nsec = tk.nsec
        if not read_seqcount_retry(tk.seq, seq):
            break
    return sec == nsec


def tick(tk):
    tk.sec += 1
    tk.nsec += 1


def tick_and_print(tk):
    with tk.lock:
        write_seqcount_begin(tk.seq)
        tick(tk)
        ktime_get(tk)
        write_seqcount_end(tk.seq)


def tick_and_print_later(tk):
    with tk.lock:
        write_seqcount_begin(tk.seq)
        tick(tk)
        write_seqcount_end(tk.seq)
    ktime_get(tk)


def reader(tk):
    assert ktime_get(tk), "seconds and nanoseconds of one moment"


@scheme
def printk():
    tk = timekeeper()
    cpu(tick_and_print, tk)
    cpu(reader, tk)


@scheme
def deferred():
    tk = timekeeper()
    cpu(tick_and_print_later, tk)
    cpu(reader, tk)
