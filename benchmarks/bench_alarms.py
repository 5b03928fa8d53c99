"""Measures how often monitoring alarms for nothing, and how soon it finds a bias, on series it was not tuned on.

The thresholds were chosen on AAPL, MSFT, IBM and GOOG and on simulated series of other seeds. Measured is on the
S&P 500 and the NASDAQ Composite (1999 to 2018), on oil (WTI, 1986 to 2018), and on simulated GARCH-t histories. The
linear head is fitted each year on all that was known, its profile is made, and it serves the year that follows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from arch.data import nasdaq, sp500, wti

from benchmarks.results import Target, format_table, format_targets, write_results
from loopcast.config import Problem, load_problem
from loopcast.features import Design, build_design
from loopcast.health.drift import measure_drift
from loopcast.health.profile import build_profile, replay_steps
from loopcast.health.skill_cusum import SkillState, average_days, start_skill, watch_skill
from loopcast.health.steps import Steps, measure_columns
from loopcast.health.sums import sum_steps
from loopcast.health.watched import Track, split_tracks
from loopcast.model.folder import FORECASTERS
from loopcast.model.forecaster import Candidate, Forecaster
from loopcast.model.split import split_walk_forward
from loopcast.panel import build_panel
from loopcast.progress import track
from loopcast.sections.data import Columns
from loopcast.sections.evidence import Backtest
from loopcast.sections.monitoring import Monitoring
from loopcast.typing import Bools, Floats, Ints

YEAR_STEPS: Final = 252
LIMITS: Final = Monitoring()
SEED: Final = 20_260
N_SIMULATED: Final = 12
SIMULATED_YEARS: Final = 4
GARCH: Final = ((0.08, 0.90, 5.0), (0.06, 0.93, 6.0), (0.10, 0.87, 8.0))
"""Weight of the last square, of the last variance, and degrees of freedom, as daily returns have them."""
BIASES: Final = (0.5, 1.0)
"""In EWMA deviations of the next change."""
BIAS_EVERY: Final = 61
"""Days between two beginnings of a bias; prime to the week and the quarter."""
HORIZON_DAYS: Final = 126

TARGETS: Final = (
    Target("drift_alarms_per_year", "drift alarms a year, nothing changed", 2, high=LIMITS.false_alarms_per_year),
    Target("false_retrainings_per_year", "retrainings a year, nothing changed", 3, high=0.12),
    Target("delay_1sd_days", "days until a bias of 1 deviation is found", 1, high=5),
    Target("delay_05sd_days", "days until a bias of 0.5 deviations is found", 1, high=20),
    Target("found_share", "share of biases found within 126 days", 3, low=1.0),
)


@dataclass(frozen=True)
class Watched:
    """One series that was watched for years; n days.

    Attributes:
        is_alarming: Whether there was a drift condition on each day, shape (n,).
        service: Steps of the forecasts that were in service.
    """

    name: str
    is_alarming: Bools
    service: Steps
    problem: Problem


def main() -> None:
    """Watch every series, print what was found, and write the figures."""
    series = [*real_series(), *simulated_series()]
    watched = [watch_series(name, panel, problem) for name, panel, problem in track(series, len(series), "Watching")]
    real, simulated = watched[:-N_SIMULATED], watched[-N_SIMULATED:]
    retrainings = {each.name: count_retrainings(each) for each in watched}
    delays = {bias: np.concatenate([measure_delays(each, bias) for each in watched]) for bias in BIASES}
    rows = [["", "years", "drift alarms", "retrainings"]]
    rows += [
        [each.name, f"{years(each):.1f}", str(count_alarms(each)), str(retrainings[each.name])] for each in watched
    ]
    print(format_table(rows))
    found = np.concatenate(list(delays.values())) <= HORIZON_DAYS
    figures = {
        "drift_alarms_per_year": round(sum(map(count_alarms, simulated)) / sum(map(years, simulated)), 3),
        "drift_alarms_per_year_real": round(sum(map(count_alarms, real)) / sum(map(years, real)), 3),
        "stated_drift_alarms_per_year": LIMITS.false_alarms_per_year,
        "false_retrainings_per_year": round(sum(retrainings.values()) / sum(map(years, watched)), 4),
        "delay_1sd_days": float(np.median(delays[1.0])),
        "delay_05sd_days": float(np.median(delays[0.5])),
        "found_share": round(float(found.mean()), 4),
        "n_years": round(sum(map(years, watched)), 1),
        "n_biases": len(found),
    }
    print(f"\n{format_targets(figures, TARGETS)}")
    write_results("alarms", figures)


def real_series() -> Iterator[tuple[str, pd.DataFrame, Problem]]:
    """Panels of the indices and of oil, each a problem of one series."""
    google = load_problem("configs/google.yaml")
    rule = Backtest(initial_steps=4 * YEAR_STEPS, refit_steps=YEAR_STEPS)
    for name, module in (("S&P 500", sp500), ("NASDAQ", nasdaq)):
        rows = module.load().rename(columns=lambda column: column.lower().replace(" ", "_"))
        rows = rows.assign(ticker=name, date=rows.index.strftime("%Y-%m-%d"))
        problem = google.model_copy(update={"forecast_series": (), "backtest": rule})
        yield name, build_panel(rows, problem).panel, problem
    prices = wti.load()["DCOILWTICO"].dropna()
    rows = pd.DataFrame({"date": prices.index.strftime("%Y-%m-%d"), "price": prices.to_numpy()})
    plain = {"forecast_series": (), "backtest": rule, "columns": Columns(timestamp="date", target="price")}
    problem = google.model_copy(update=plain)
    yield "oil", build_panel(rows, problem).panel, problem


def simulated_series() -> Iterator[tuple[str, pd.DataFrame, Problem]]:
    """Panels of stationary GARCH-t returns, in which nothing ever changes."""
    rule = Backtest(initial_steps=4 * YEAR_STEPS, refit_steps=YEAR_STEPS)
    plain = {"forecast_series": (), "backtest": rule, "columns": Columns(timestamp="date", target="price")}
    problem = load_problem("configs/google.yaml").model_copy(update=plain)
    n_steps = (4 + SIMULATED_YEARS) * YEAR_STEPS + problem.horizon
    days = pd.bdate_range("2000-01-03", periods=n_steps, tz="UTC").as_unit("us")
    for k in range(N_SIMULATED):
        changes = simulate_garch(n_steps, *GARCH[k % len(GARCH)], np.random.default_rng([SEED, k]))
        target = 100 * np.exp(changes.cumsum())
        panel = pd.DataFrame({"series_id": "price", "timestamp_utc": days, "target": target, "is_filled": False})
        yield f"simulated {k + 1}", panel, problem


def simulate_garch(n_steps: int, shock: float, memory: float, freedom: float, rng: np.random.Generator) -> Floats:
    """Changes of a GARCH(1,1) process with Student's t and a daily deviation of 2 %, shape (n_steps,)."""
    n_warm = 1000
    noise = rng.standard_t(freedom, n_steps + n_warm) * np.sqrt((freedom - 2) / freedom)
    base = variance = 4e-4
    changes = np.empty(n_steps + n_warm)
    for t, each in enumerate(noise):
        changes[t] = np.sqrt(variance) * each
        variance = base * (1 - shock - memory) + shock * changes[t] ** 2 + memory * variance
    return changes[n_warm:]


def watch_series(name: str, panel: pd.DataFrame, problem: Problem) -> Watched:
    """Fit, profile and serve year after year, with a look at the drift on each day."""
    design = build_design(panel, problem)
    alarms, served = [], []
    for fold in split_walk_forward(design, problem):
        model = FORECASTERS[Candidate.LINEAR].fit(design, fold, problem)
        begin = design.timestamp_utc[fold.test[0]]
        known = panel[panel["timestamp_utc"] < pd.Timestamp(begin, tz="UTC")]
        trained = np.sort(np.r_[fold.train, fold.validation])
        profile = build_profile(known, replay(model, design, trained, problem), problem, LIMITS)
        before = np.flatnonzero(design.is_origin & (np.arange(len(design.level)) < fold.test[0]))
        live = replay(model, design, np.r_[before[-LIMITS.window_steps :], fold.test], problem)
        tracks = split_tracks(live, measure_columns(live, problem))
        [(series_id, whole)] = tracks.items()
        for n in range(LIMITS.window_steps + 1, LIMITS.window_steps + len(fold.test) + 1):
            seen = Track(whole.origin_utc[:n], {column: values[:n] for column, values in whole.values.items()})
            alarms.append(bool(measure_drift({series_id: seen}, profile, LIMITS).conditions))
        served.append((fold.test, model.quantiles(design, fold.test)))
    rows = np.concatenate([rows for rows, _ in served])
    quantiles = np.concatenate([values for _, values in served])
    return Watched(name, np.array(alarms), replay_steps(design, rows, quantiles, problem), problem)


def replay(model: Forecaster, design: Design, rows: Ints, problem: Problem) -> Steps:
    """The steps of the model's forecasts at some rows."""
    return replay_steps(design, rows, model.quantiles(design, rows), problem)


def years(watched: Watched) -> float:
    """How long the series was watched."""
    return len(watched.is_alarming) / YEAR_STEPS


def count_alarms(watched: Watched) -> int:
    """Alarms that come after at least a window without one: windows that overlap are one alarm."""
    days = np.flatnonzero(watched.is_alarming)
    return int((np.diff(days, prepend=-LIMITS.window_steps - 1) > LIMITS.window_steps).sum())


def daily_losses(steps: Steps, problem: Problem) -> pd.DataFrame:
    """Losses of the next step by day, as the CUSUM reads them."""
    return average_days(sum_steps(steps.take(steps.horizon == 1), problem))


def count_retrainings(watched: Watched) -> int:
    """Triggers of the skill CUSUM over all years."""
    days = daily_losses(watched.service, watched.problem)
    start = start_skill(np.asarray(watched.problem.quantiles))
    return len(watch_skill(start, days, LIMITS).triggers)


def measure_delays(watched: Watched, bias: float) -> Floats:
    """Days from the first biased forecast until the CUSUM triggers, infinite where it does not within half a year."""
    problem, steps = watched.problem, watched.service.take(watched.service.horizon == 1)
    right = daily_losses(steps, problem)
    delays = []
    for sign in (-1, 1):
        shift = np.exp(sign * bias * steps.ewma_deviation)[:, None]
        wrong = daily_losses(Steps(**(vars(steps) | {"quantiles": steps.quantiles * shift})), problem)
        for begin in range(YEAR_STEPS, len(right) - HORIZON_DAYS, BIAS_EVERY):
            state = state_before(right.iloc[:begin], problem)
            days = wrong.iloc[begin : begin + HORIZON_DAYS]
            watch = watch_skill(state, days, LIMITS)
            delays.append(watch.days.index(watch.triggers[0]) + 1 if watch.triggers else np.inf)
    return np.array(delays)


def state_before(days: pd.DataFrame, problem: Problem) -> SkillState:
    """What the CUSUM remembers of the days before a bias."""
    start = start_skill(np.asarray(problem.quantiles))
    return watch_skill(start, days, LIMITS).state


if __name__ == "__main__":
    main()
