"""The simulator: its language, what it answers against what a real kernel answered, random workloads."""
