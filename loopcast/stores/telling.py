"""What people are told of a day's monitoring: its conditions as alerts, and a summary in a few lines."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from loopcast.evidence.formats import format_percent
from loopcast.health.condition import LINGER, LINGERING, Finding, Severity
from loopcast.stores.conditions import AlertSeverity, Condition
from loopcast.stores.monitoring import JudgedDay

if TYPE_CHECKING:
    from loopcast.stores.opened import Stores

SCOPE: Final = "monitoring"
"""Of its alerts."""
CRITICAL: Final = frozenset({
    Finding.NO_CHAMPION, Finding.NO_DATA, Finding.DATA_REFUSED, Finding.NO_FORECASTS, Finding.NO_LABELS,
    Finding.SKILL_LOST, Finding.WORSE_THAN_PREDECESSOR,
})  # fmt: skip
"""Findings with which forecasts are missing, or should not be acted on."""
ACTIONS: Final = {
    Finding.SKILL_LOST: "Loopcast trains a challenger, which the gate judges as any other",
    Finding.WORSE_THAN_PREDECESSOR: "Loopcast puts the version before it back into service",
}
"""What is done about a finding."""
MOST_SERIES: Final = 5
"""Series with one finding that are told one by one."""
LINGERS: Final = {finding.value: LINGER for finding in LINGERING}


def tell_day(stores: "Stores", judged: JudgedDay, link: str) -> int:
    """Tell people what is new and what is over, once, and return how many conditions are open.

    Args:
        link: The report or the execution; empty for none.
    """
    conditions = bundle_series(list(list_alerts(judged, link)))
    stores.alerts.update(judged.problem, SCOPE, conditions, judged.as_of, LINGERS)
    return len(conditions)


def list_alerts(judged: JudgedDay, link: str) -> Iterator[Condition]:
    """The conditions that somebody must be told of; what only stands in the report is left out."""
    verdict = None if judged.judgement is None else judged.judgement.verdict
    is_acted_on = {
        Finding.SKILL_LOST: verdict is not None and verdict.needs_retraining,
        Finding.WORSE_THAN_PREDECESSOR: verdict is not None and verdict.needs_rollback,
    }
    for each in judged.conditions:
        if each.severity is Severity.ALERT:
            yield Condition(
                kind=each.finding.value,
                subject=each.series_id or "",
                severity=AlertSeverity.CRITICAL if each.finding in CRITICAL else AlertSeverity.WARNING,
                sentence=each.sentence,
                figures=each.figures,
                action=ACTIONS.get(each.finding, "") if is_acted_on.get(each.finding) else "",
                link=link,
            )


def bundle_series(conditions: Sequence[Condition]) -> list[Condition]:
    """The conditions, with one in the place of many series that show the same: a feed that stops is one message.

    Where they are many, the first stands for the others with its sentence and figures.
    """
    by_kind: dict[str, list[Condition]] = {}
    for each in conditions:
        by_kind.setdefault(each.kind, []).append(each)
    bundled: list[Condition] = []
    for alike in by_kind.values():
        series = [each.subject for each in alike if each.subject]
        if len(series) <= MOST_SERIES or len(series) < len(alike):
            bundled += alike
            continue
        names = ", ".join(series[:MOST_SERIES])
        sentence = f"{len(series)} series, such as {names}. {alike[0].sentence}"
        bundled.append(alike[0].model_copy(update={"subject": "", "sentence": sentence}))
    return bundled


def summarize_day(judged: JudgedDay, report: str, action: str) -> str:
    """The day in a few lines for a terminal.

    Args:
        report: Where it lies, empty for nowhere.
        action: What was done, empty for nothing.
    """
    lines = [f"{judged.problem} as of {judged.as_of:%Y-%m-%d %H:%M} UTC"]
    if judged.judgement is not None:
        found = judged.judgement.performance
        lines[0] += f", version {judged.model_version} in service"
        skill = format_percent(found.overall.skill_ratio) if found.overall.n_judged else "not known yet"
        lines.append(f"{found.n_steps:,} steps in the window, {found.overall.n_judged:,} came true; skill {skill}")
    lines += [f"- {each.sentence}" for each in judged.conditions] or ["- nothing to report"]
    lines += [f"Done: {action or 'nothing'}"]
    lines += [f"Report: {report}"] if report else []
    return "\n".join(lines)
