"""The network and its rivals: what is fitted, saved and asked for quantiles."""
