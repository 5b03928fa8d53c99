"""What the happenings of a replay come to: each fault, how soon it was noticed, what was done, and what that gained."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final, NamedTuple

from loopcast.evidence.formats import align_columns, format_percent
from loopcast.health.condition import Finding
from loopcast.replay.faults import Fault, FaultKind
from loopcast.replay.outcome import Happening, Outcome, Policy, What

REACH_DAYS: Final = 126
"""Trading days for which a fault is followed, unless the next one begins before: half a year."""
LULL_DAYS: Final = 60
"""Days behind an alarm in which the same one is not counted again: the length of the window that it looks at."""
TELLS: Final[Mapping[FaultKind, frozenset[Finding]]] = {
    FaultKind.UNADJUSTED_SPLIT: frozenset({Finding.OUT_OF_RANGE}),
    FaultKind.FROZEN_FEED: frozenset({Finding.FROZEN_FEED}),
    FaultKind.MISSING_DAYS: frozenset(
        {Finding.LATE_SERIES, Finding.LATE_LABELS, Finding.MISSING_STEPS, Finding.NO_DATA, Finding.NO_LABELS}
    ),
    FaultKind.BIASED_FORECASTS: frozenset({Finding.LOCATION_DRIFTED, Finding.SKILL_LOST}),
    FaultKind.POISONED_MODEL: frozenset(
        {Finding.WIDTH_DRIFTED, Finding.COVERAGE_OFF, Finding.SKILL_LOST, Finding.WORSE_THAN_PREDECESSOR}
    ),
}
"""Findings that speak of each fault."""
NAMES: Final[Mapping[FaultKind, str]] = {
    FaultKind.UNADJUSTED_SPLIT: "split of {:g} for 1, not adjusted",
    FaultKind.FROZEN_FEED: "frozen feed",
    FaultKind.MISSING_DAYS: "missing days",
    FaultKind.BIASED_FORECASTS: "bias of {:g} deviations",
    FaultKind.POISONED_MODEL: "poisoned model, by hand",
}
POLICY_NAMES: Final[Mapping[Policy, str]] = {
    Policy.LOOP: "the loop",
    Policy.NOTHING: "doing nothing",
    Policy.QUARTERLY: "training each quarter",
}


class Incident(NamedTuple):
    """One fault and what became of it; gains are what the loop's loss is lower, as a share, until it was over."""

    number: int
    """From 1."""
    begin: date
    what: str
    noticed: date | None
    delay_days: int | None
    """Trading days from the begin to the evening on which it was noticed."""
    by: str
    done: str
    over_nothing_ratio: float
    over_quarterly_ratio: float


class Alarms(NamedTuple):
    """Alarms of one kind that no fault explains."""

    finding: Finding
    days: tuple[date, ...]
    """On which one was raised, after a lull."""


def list_incidents(outcome: Outcome) -> list[Incident]:
    """The faults of a replay, in order of time."""
    return [_follow(outcome, number, fault) for number, fault in enumerate(outcome.faults)]


def list_alarms(outcome: Outcome) -> list[Alarms]:
    """Alarms that were raised while no fault that they speak of was there, the most frequent first."""
    found: dict[Finding, list[date]] = {}
    for each in outcome.happenings:
        if each.what is not What.ALARM or each.finding is None or _is_explained(outcome, each):
            continue
        days = found.setdefault(each.finding, [])
        if not days or (each.day - days[-1]).days > LULL_DAYS:
            days.append(each.day)
    return sorted((Alarms(f, tuple(days)) for f, days in found.items()), key=lambda each: -len(each.days))


def name_fault(fault: Fault) -> str:
    """A fault in a few words.

    >>> name_fault(Fault(kind=FaultKind.BIASED_FORECASTS, begin=date(2008, 2, 1)))
    'bias of 0.5 deviations'
    """
    return NAMES[fault.kind].format(fault.amount)


def summarize_replay(outcome: Outcome) -> str:
    """The table of a replay in plain text, and how each way of running the loop did."""
    n_days = len(outcome.days)
    lines = [f"{outcome.title}: {n_days:,} trading days, {outcome.days[0]} to {outcome.days[-1]}", ""]
    if incidents := list_incidents(outcome):
        rows = [["", *HEADS], *([f"{each.number}  {each.begin}", *fill_row(each)] for each in incidents)]
        lines += [*align_columns(rows, n_left=len(HEADS) - 1), ""]
    for alarms in list_alarms(outcome):
        lines.append(f"Also told: {name_finding(alarms.finding)}, {', '.join(map(str, alarms.days))}")
    for fault in outcome.left_out:
        lines.append(f"Left out: {name_fault(fault)}, {fault.begin}, which is no day of this replay")
    skills = [["", "skill", "trainings"]]
    for policy in Policy:
        skill = format_percent(outcome.skill_ratio(policy), sign="+")
        skills.append([POLICY_NAMES[policy], skill, str(outcome.n_trainings[policy])])
    return "\n".join([*lines, "", "Loss below that of the EWMA baseline, over all days:", *align_columns(skills)])


HEADS: Final = ("what went wrong", "noticed", "by", "done", "to nothing", "to quarterly")
"""Of the columns that `fill_row` gives."""


def fill_row(incident: Incident) -> list[str]:
    """The cells of an incident behind its number and day."""
    return [
        incident.what,
        describe_delay(incident.delay_days),
        incident.by,
        incident.done,
        format_percent(incident.over_nothing_ratio, sign="+"),
        format_percent(incident.over_quarterly_ratio, sign="+"),
    ]


def describe_delay(delay_days: int | None) -> str:
    """How soon something was noticed.

    >>> describe_delay(0), describe_delay(1), describe_delay(17), describe_delay(None)
    ('the same day', 'after 1 day', 'after 17 days', 'not noticed')
    """
    if delay_days is None:
        return "not noticed"
    return f"after {delay_days} day{'' if delay_days == 1 else 's'}" if delay_days else "the same day"


def name_finding(finding: Finding) -> str:
    """A finding in words."""
    return finding.value.replace("_", " ")


def _follow(outcome: Outcome, number: int, fault: Fault) -> Incident:
    first, end = _span(outcome, number)
    told = [each for each in _within(outcome, first, end) if _speaks_of(each, fault)]
    noticed = told[0] if told else None
    days = slice(first, end)
    return Incident(
        number=number + 1,
        begin=outcome.days[first] if first < len(outcome.days) else fault.begin,
        what=name_fault(fault),
        noticed=None if noticed is None else noticed.day,
        delay_days=None if noticed is None else outcome.days.index(noticed.day) - first,
        by="–" if noticed is None else _name_notice(noticed),
        done=", ".join(_list_deeds(outcome, first, end)) or ("told" if noticed else "nothing"),
        over_nothing_ratio=outcome.gain_ratio(Policy.NOTHING, days),
        over_quarterly_ratio=outcome.gain_ratio(Policy.QUARTERLY, days),
    )


def _span(outcome: Outcome, number: int) -> tuple[int, int]:
    """Positions of the days on which a fault is followed."""
    begins = [sum(day < fault.begin for day in outcome.days) for fault in outcome.faults]
    after = [begin for begin in begins if begin > begins[number]]
    return begins[number], min([begins[number] + REACH_DAYS, len(outcome.days), *after])


def _within(outcome: Outcome, first: int, end: int) -> Iterator[Happening]:
    days = set(outcome.days[first:end])
    return (each for each in outcome.happenings if each.day in days)


def _speaks_of(happening: Happening, fault: Fault) -> bool:
    if happening.what is What.REFUSED:
        return fault.is_in_source
    return happening.what is What.ALARM and happening.finding in TELLS[fault.kind]


def _is_explained(outcome: Outcome, happening: Happening) -> bool:
    position = outcome.days.index(happening.day)
    for number, fault in enumerate(outcome.faults):
        first, end = _span(outcome, number)
        if first <= position < end and (_speaks_of(happening, fault) or _is_aftermath(happening, fault)):
            return True
    return False


def _is_aftermath(happening: Happening, fault: Fault) -> bool:
    """Whether labels or rows are late because the source was at fault."""
    return fault.is_in_source and happening.finding in TELLS[FaultKind.MISSING_DAYS]


def _name_notice(happening: Happening) -> str:
    if happening.what is What.REFUSED:
        return "ingest refused"
    return name_finding(happening.finding) if happening.finding else "–"


def _list_deeds(outcome: Outcome, first: int, end: int) -> Iterator[str]:
    refused_since: date | None = None
    for each in _within(outcome, first, end):
        match each.what:
            case What.REFUSED:
                refused_since = each.day
            case What.ACCEPTED if refused_since is not None:
                n_days = outcome.days.index(each.day) - outcome.days.index(refused_since)
                yield f"refused {n_days} days"
            case What.PROMOTED:
                yield f"retrained: version {each.version}"
            case What.REJECTED:
                yield "retrained, not promoted"
            case What.UNTRAINED:
                yield "not trained: data refused"
            case What.ROLLED_BACK:
                yield f"rolled back to {each.version}"
