"""The sections of a problem's YAML, each threshold with its reason beside it; `config` puts them together."""
