"""The modelled kernel: the page accounting of Linux's memory controller, laid out as a kernel checkout.

Files and functions have the kernel's names and stand in the kernel's order; the words are ours, and no text of the kernel is in
them. Linux 6.1 is the base; what later versions changed are patches over it (`patches/`). docs/fidelity-linux.md says for each file
what it leaves out and what it approximates.
"""
