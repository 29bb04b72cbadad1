"""What the kernel has in include/linux: types, and the small functions that every file uses."""
