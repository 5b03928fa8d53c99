"""Measures how much better than its rivals the LSTM forecasts Google's problem, in the walk forward of its YAML.

Every candidate is refitted every half year on what was known then, and judged on the half year that follows, for the
four stocks that are old enough. The figures are those that a training shows in its report; nothing is tuned for them.
"""

import time
from typing import Final

from benchmarks.results import Target, format_table, format_targets, write_results
from loopcast.config import Problem, load_problem
from loopcast.evidence.account import CandidateEvidence
from loopcast.evidence.backtest import backtest_panel
from loopcast.evidence.comparison import Comparison
from loopcast.evidence.formats import format_gain, format_loss, format_percent, name_candidate, name_loss_unit
from loopcast.model.forecaster import Candidate
from loopcast.panel import build_panel
from loopcast.settings import Settings
from loopcast.stores.sources import read_source

TARGETS: Final = (
    Target("skill_vs_ewma_pct", "skill against EWMA, %", 2, low=1.5),
    Target("t_vs_ewma", "  t", 1, low=4),
    Target("skill_vs_garch_pct", "skill against GARCH-t, %", 2, low=1.2),
    Target("t_vs_garch", "  t", 1, low=3),
    Target("coverage_80", "coverage of the 80 % interval", 3, low=0.78, high=0.82),
    Target("coverage_95", "coverage of the 95 % interval", 3, low=0.935, high=0.965),
)


def main() -> None:
    """Run the walk forward, print every candidate, and write the LSTM's figures."""
    problem = load_problem("configs/google.yaml")
    panel = build_panel(read_source(problem), problem).panel
    started = time.perf_counter()
    evidence = backtest_panel(panel, problem, Settings().seed_processes).evidence
    print(f"Walk forward in {time.perf_counter() - started:.0f} s\n")

    ranking = sorted(evidence.candidates, key=lambda candidate: candidate.score.pinball)
    header = ["", name_loss_unit(problem), "vs EWMA", "t", "vs GARCH", "t", "in 80 %", "in 95 %"]
    print(format_table([header, *(describe_candidate(candidate, problem) for candidate in ranking)]))
    figures = take_figures(next(candidate for candidate in ranking if candidate.name == Candidate.LSTM))
    print(f"\nThe LSTM over {figures['n_dates']} dates:\n{format_targets(figures, TARGETS)}")
    write_results("skill", figures)


def describe_candidate(candidate: CandidateEvidence, problem: Problem) -> list[str]:
    """A line of the table."""
    return [
        name_candidate(candidate.name),
        format_loss(problem, candidate.score.pinball),
        *format_gain(candidate.vs_ewma),
        *format_gain(candidate.vs_garch),
        format_percent(candidate.score.interval_80.coverage_ratio),
        format_percent(candidate.score.interval_95.coverage_ratio),
    ]


def take_figures(candidate: CandidateEvidence) -> dict[str, float]:
    """What is written to the results, of a candidate that was compared with both baselines."""
    ewma, garch = _require(candidate.vs_ewma), _require(candidate.vs_garch)
    return {
        "skill_vs_ewma_pct": round(100 * ewma.gain_ratio, 3),
        "t_vs_ewma": round(ewma.t_statistic, 2),
        "skill_vs_garch_pct": round(100 * garch.gain_ratio, 3),
        "t_vs_garch": round(garch.t_statistic, 2),
        "coverage_80": round(candidate.score.interval_80.coverage_ratio, 4),
        "coverage_95": round(candidate.score.interval_95.coverage_ratio, 4),
        "n_dates": candidate.score.n_dates,
    }


def _require(comparison: Comparison | None) -> Comparison:
    assert comparison is not None, "only a baseline is not compared with itself"
    return comparison


if __name__ == "__main__":
    main()
