"""`make bench-NAME` prints a table and writes `results/NAME.json`; docs/benchmarks.md says how to read them."""
