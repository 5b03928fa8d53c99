"""The problems that have schedules, read from `configs/` when launch plans are registered."""

from pathlib import Path

from loopcast.config import load_problem

GOOGLE = load_problem(Path(__file__).parents[1] / "configs" / "google.yaml")
