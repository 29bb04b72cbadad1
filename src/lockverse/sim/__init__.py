"""The simulator: the workload language, and what stands round `linux/` when a workload is run.

Directories of cgroups, processes, address spaces, files and system calls are here; everything that touches a page's books is
`linux/`'s own function. Leaves out interleavings (operations run one after the other), how anything is printed, and the checker.
"""
