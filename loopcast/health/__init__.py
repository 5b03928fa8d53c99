"""Is the champion still good: roll-ups, data quality, drift, realised skill, and the verdict over all of them.

Pure functions over arrays and frozen configuration. What is done about a verdict stands in the workflows, where its
figures are kept in `stores`.
"""
