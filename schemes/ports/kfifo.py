"""The ring buffer of kfifo (include/linux/kfifo.h of Linux 6.1; Lamport, "Proving the correctness of multiprocess programs", 1977).

Two indices that only grow: `in` is where the next element goes, `out` where the next one comes from, each taken modulo the size. With
one writer and one reader nobody needs a lock, since each index has one CPU that changes it: the writer stores the element and then
moves `in`, the reader takes the element and then moves `out`.

`one_reader_one_writer` is the algorithm: all elements arrive, once and in order. Its indices start just below their largest value,
so they wrap. Broken: `index_before_data` moves `in` first, and the reader takes what is not there yet; `two_writers` is outside
what kfifo allows without a lock, and both put their element in the same slot.

Left out: reordering, against which the kernel has an smp_wmb() before each index moves; indices wider than a byte. The kernel reads
and moves the indices by plain accesses, though the other side reads them at the same time: they are marked here. The elements are
marked too, so that in the broken variants it is an element that is wrong, and not only a race on its slot.
"""
from lockverse import *

SIZE = 2


@struct
class kfifo:
    in_: wrapping[u8]
    out: wrapping[u8]
    data: array[u8, 2]


def kfifo_is_full(fifo):
    return READ_ONCE(fifo.in_) - READ_ONCE(fifo.out) > SIZE - 1


def kfifo_put(fifo, val):
    if kfifo_is_full(fifo):
        return False
    in_ = READ_ONCE(fifo.in_)
    WRITE_ONCE(fifo.data[in_ & SIZE - 1], val)
    smp_wmb()
    WRITE_ONCE(fifo.in_, in_ + 1)
    return True


def kfifo_put_index_first(fifo, val):
    if kfifo_is_full(fifo):
        return False
    in_ = READ_ONCE(fifo.in_)
    WRITE_ONCE(fifo.in_, in_ + 1)
    WRITE_ONCE(fifo.data[in_ & SIZE - 1], val)
    return True


def kfifo_get(fifo):
    """The next element, or 0 if there is none."""
    out = READ_ONCE(fifo.out)
    if READ_ONCE(fifo.in_) == out:
        return 0
    val = READ_ONCE(fifo.data[out & SIZE - 1])
    smp_wmb()
    WRITE_ONCE(fifo.out, out + 1)
    return val


def writer(fifo, first, last, put):
    for val in range(first, last + 1):
        while not put(fifo, val):
            cpu_relax()


def reader(fifo, last):
    for expected in range(1, last + 1):
        val = 0
        while val == 0:
            val = kfifo_get(fifo)
        assert val == expected, "elements arrive in order"


@scheme
def one_reader_one_writer(elements: range(1, 6) = 4):
    fifo = kfifo(in_=254, out=254)
    cpu(writer, fifo, 1, elements, kfifo_put)
    cpu(reader, fifo, elements)
    at_rest(lambda: fifo.in_ == fifo.out, "nothing is left")
    if elements > 1:
        sometimes(lambda: fifo.in_ - fifo.out == SIZE, "the buffer is full")


@scheme
def index_before_data():
    fifo = kfifo(in_=254, out=254)
    fifo.data[0] = fifo.data[1] = 9
    cpu(writer, fifo, 1, 1, kfifo_put_index_first)
    cpu(reader, fifo, 1)


@scheme
def two_writers():
    fifo = kfifo(in_=254, out=254)
    cpu(writer, fifo, 1, 1, kfifo_put)
    cpu(writer, fifo, 2, 2, kfifo_put)
    at_rest(lambda: fifo.in_ - fifo.out == 2, "both elements are there")
