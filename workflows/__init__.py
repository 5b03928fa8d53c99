"""In which order: one workflow a file, wiring only."""
