"""Error numbers, with the kernel's values.

Source: include/uapi/asm-generic/errno-base.h, errno.h. Left out: all that no function of the model gives.
"""

from __future__ import annotations

ENOENT = 2
EAGAIN = 11
ENOMEM = 12
EACCES = 13
EFAULT = 14
EBUSY = 16
EEXIST = 17
EINVAL = 22
EOPNOTSUPP = 95
