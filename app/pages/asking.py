"""What the forms for long queries offer."""

from loopcast.config import Problem


def list_columns(problem: Problem) -> list[str]:
    """The columns of the source that a what-if may change: the target, whose prices go along, and the covariates."""
    return [problem.columns.target, *(each.column for each in problem.columns.covariates)]
