"""lockverse beside other model checkers, on the same models: `python -m bench`.

README.md says how to run it and what each column means. Leaves out installing anything.
"""
