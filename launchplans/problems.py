"""The problems that have schedules, read from `configs/` when launch plans are registered.

The YAML is an input of the registration, as the code is: a launch plan fixes the problem that it trains, and what was
registered keeps running, whatever becomes of the file, until somebody registers anew. So this one package of the
project reads files when it is imported; pods, which import only tasks and workflows, never import it.
"""

from pathlib import Path

from loopcast.config import load_problem

GOOGLE = load_problem(Path(__file__).parents[1] / "configs" / "google.yaml")
