"""What the kernel has in mm/."""

# rmap.py and page_writeback.py need each other: whoever comes first, this order of loading works.
from . import page_writeback as page_writeback
