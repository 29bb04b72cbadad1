"""What versions before and after 6.1 do otherwise, as patches over the base: `apply(delayed_rmap.PATCHES)`.

A file is a commit or a few that belong together, and says which.
"""
