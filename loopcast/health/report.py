"""The report of a day's monitoring as one HTML page that needs nothing else: no network, no script, no file beside it.

What stands where is in `monitoring.html.jinja`; its texts and cells are in `report_wording`, its figures in
`report_plots`, and how a page looks in `evidence/page.css.jinja`.
"""

from collections.abc import Iterator
from typing import Final

from loopcast.evidence.formats import format_time, name_loss_unit
from loopcast.evidence.page import Drawing, frame_figure, open_templates
from loopcast.health.condition import Condition, Severity
from loopcast.health.report_account import MonitoringAccount
from loopcast.health.report_plots import draw_columns, draw_coverage, draw_cusum, draw_skill
from loopcast.health.report_wording import (
    fill_drift,
    fill_performance,
    fill_quality,
    fill_tiles,
    name_standing,
    tell_drift,
    tell_early,
    tell_verdict,
)
from loopcast.health.steps import WATCHED

N_FIRST: Final = 4
"""Conditions that stand on the first screen."""


def render_monitoring(account: MonitoringAccount) -> str:
    """The page, readable in light and dark, on paper and on a phone; all texts are escaped."""
    template = open_templates("loopcast.health", "loopcast.evidence").get_template("monitoring.html.jinja")
    return template.render(
        account=account,
        standing=name_standing(account),
        subtitle=_write_subtitle(account),
        verdict=tell_verdict(account),
        conditions=_order_conditions(account),
        n_first=N_FIRST,
        tiles=list(fill_tiles(account)),
        performance=list(fill_performance(account)),
        early=tell_early(account),
        loss_unit=name_loss_unit(account.problem),
        drift=tell_drift(account),
        tests=list(fill_drift(account)),
        quality=list(fill_quality(account)),
        cusum=list(_draw_cusum(account)),
        horizons=list(_draw_horizons(account)),
        columns=list(_draw_columns(account)),
    )


def _order_conditions(account: MonitoringAccount) -> list[Condition]:
    """Alerts first, and what was concluded before what it was concluded from."""
    found = list(reversed(account.verdict.conditions))
    return [each for severity in (Severity.ALERT, Severity.NOTICE) for each in found if each.severity is severity]


def _write_subtitle(account: MonitoringAccount) -> str:
    since, until = (format_time(account.problem, each) for each in (account.since_utc, account.as_of))
    return f"Version {account.model_version}, {since} to {until}"


def _draw_cusum(account: MonitoringAccount) -> Iterator[Drawing]:
    if account.skill.days:
        yield frame_figure(
            "Skill CUSUM",
            "What the champion lost beyond the EWMA baseline and a floor, gathered day by day. An error that grows for "
            "both moves nothing.",
            draw_cusum(account),
        )


def _draw_horizons(account: MonitoringAccount) -> Iterator[Drawing]:
    if account.performance.overall.n_judged:
        yield frame_figure("Skill by horizon", "Share of the baseline's loss that is saved.", draw_skill(account))
        yield frame_figure(
            "Coverage by horizon", "Share of actuals inside; shaded: what is tolerated.", draw_coverage(account)
        )


def _draw_columns(account: MonitoringAccount) -> Iterator[Drawing]:
    if any(column in account.columns for column in WATCHED):
        yield frame_figure(
            "Window and training",
            "All series together, from roll-ups: shaded as in training, the line as in the window.",
            draw_columns(account),
        )
