"""History walked through day by day, as the loop would have lived it: with faults that are put in, and without.

All of it runs in memory, on a source that was read once: a walk is a question about what would have been, and nothing
of it may reach the registry or the tables of what is in service. What is decided, it decides by the same functions.
"""
