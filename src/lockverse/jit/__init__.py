"""From a small dialect of Python to machine code: `dialect` has its primitives, `lower` compiles it to LLVM IR text,
`machine_code` makes that text callable, `cache` keeps what it made.
Leaves out what is compiled: the explorer and the schemes say that.
"""
