"""As the folder of that name in a kernel checkout."""
