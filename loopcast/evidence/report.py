"""The report of a training as one HTML page that needs nothing else: no network, no script, no file beside it.

What stands where is in `report.html.jinja`; here are the texts, cells and figures that it sets.
"""

import math
from collections.abc import Iterator

from loopcast.evidence.account import Account, CandidateEvidence
from loopcast.evidence.formats import (
    format_chance,
    format_gain,
    format_loss,
    format_percent,
    format_ratio,
    format_time,
    name_candidate,
    name_loss_unit,
    name_steps,
)
from loopcast.evidence.page import Drawing, Tile, frame_figure, open_templates
from loopcast.evidence.plots import (
    draw_calibration,
    draw_explanation,
    draw_fan,
    draw_horizons,
    draw_learning,
    draw_track,
)
from loopcast.evidence.wording import tell


def render_html(account: Account) -> str:
    """The page, readable in light and dark, on paper and on a phone; all texts are escaped."""
    template = open_templates("loopcast.evidence").get_template("report.html.jinja")
    return template.render(
        account=account,
        standing=_name_standing(account),
        subtitle=_write_subtitle(account),
        story=" ".join(tell(account)).replace(" %", "\N{NO-BREAK SPACE}%"),
        tiles=list(_fill_tiles(account)),
        forecasts=list(_draw_forecasts(account)),
        calibration=list(_draw_calibration(account)),
        learning=list(_draw_learning(account)),
        loss_unit=name_loss_unit(account.problem),
        rows=[
            (candidate.name, name_candidate(candidate.name), _fill_row(account, candidate))
            for candidate in account.ranking
        ],
        data=_list_data(account),
    )


def _name_standing(account: Account) -> tuple[str, str]:
    """The gate's decision as a CSS class and in words."""
    if account.verdict is None:
        return "open", "not judged yet"
    return ("good", "promoted") if account.verdict.is_promoted else ("bad", "not promoted")


def _write_subtitle(account: Account) -> str:
    last = format_time(account.problem, account.history["timestamp_utc"].iloc[-1])
    steps = name_steps(account.problem, len(account.fan))
    return f"{name_candidate(account.offered)} for {account.series_id}, {steps} ahead of {last}"


def _fill_tiles(account: Account) -> Iterator[Tile]:
    offer = account.offer
    for name, result in (("EWMA", offer.vs_ewma), ("GARCH(1,1)-t", offer.vs_garch)):
        if result is not None:
            gain, t = format_gain(result)
            yield Tile(f"Gain on {name}", gain, f"t = {t}, {format_chance(result.p_value)}")
    for interval in (offer.score.interval_80, offer.score.interval_95):
        nominal = format_percent(interval.nominal_ratio, digits=0)
        yield Tile(f"{nominal} interval held", format_percent(interval.coverage_ratio), f"should hold {nominal}")
    yield Tile("Point error to persistence", format_ratio(offer.score.mae_ratio), "1: as good as no change")


def _draw_forecasts(account: Account) -> Iterator[Drawing]:
    yield frame_figure(
        "The next forecast",
        "Shaded: where the value will lie with 80 % and with 95 % probability, if the model is calibrated.",
        draw_fan(account),
    )
    if not account.track.empty:
        steps = name_steps(account.problem, int(account.track["horizon"].max()))
        yield frame_figure(
            "What it would have said before",
            f"Forecasts made {steps} before, out of sample, over what came true. About one in twenty should fall "
            "outside the 95 % interval.",
            draw_track(account),
        )


def _draw_calibration(account: Account) -> Iterator[Drawing]:
    yield frame_figure(
        "Calibration",
        "On the diagonal, a quantile is what it says. A flatter line means intervals that are too wide.",
        draw_calibration(account),
    )
    yield frame_figure(
        "By horizon", "Coverage against nominal (dashed), and how wide the intervals are.", draw_horizons(account)
    )


def _draw_learning(account: Account) -> Iterator[Drawing]:
    if not account.learning_curves.empty:
        yield frame_figure(
            "Learning curves", "One pair of lines per seed; the best epoch is kept.", draw_learning(account)
        )
    if account.explanation is not None:
        yield frame_figure(
            "What widens or narrows the intervals",
            "Percent of the mean absolute Shapley value, by feature and by how many steps back.",
            draw_explanation(account),
        )


def _fill_row(account: Account, candidate: CandidateEvidence) -> list[str]:
    """Cells behind the candidate's name, in the order of the template's head."""
    score, problem = candidate.score, account.problem
    direction = format_percent(score.direction_ratio)
    return [
        format_loss(problem, score.pinball),
        *format_gain(candidate.vs_ewma),
        *format_gain(candidate.vs_garch),
        format_percent(score.interval_80.coverage_ratio),
        format_percent(score.interval_95.coverage_ratio),
        format_loss(problem, score.interval_80.winkler),
        format_loss(problem, score.interval_95.winkler),
        format_ratio(score.mae_ratio),
        format_ratio(score.mase),
        f"{direction[:-2]} ± {100 * score.direction_se:.1f}" if math.isfinite(score.direction_ratio) else direction,
    ]


def _list_data(account: Account) -> dict[str, str]:
    data, problem = account.snapshot, account.problem
    return {
        "Source": problem.source.uri,
        "Snapshot, SHA-256": data.sha256,
        "Rows": f"{data.n_rows:,} of {data.n_series} series",
        "Span": f"{format_time(problem, data.first_utc)} to {format_time(problem, data.last_utc)}",
        "Refused rows": f"{data.n_refused:,}",
    }
