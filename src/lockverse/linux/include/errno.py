"""Error numbers, with the kernel's values.

Source: include/uapi/asm-generic/errno-base.h. Left out: all that no function of the model gives.
"""

from __future__ import annotations

EAGAIN = 11
ENOMEM = 12
EBUSY = 16
EINVAL = 22
