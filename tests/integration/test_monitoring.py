"""A day's monitoring on real stores: what it judges by, what it remembers, and days that lack something."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from loopcast.health.condition import Finding
from loopcast.settings import Settings
from loopcast.stores.action_log import ActionLog
from loopcast.stores.actions import ActionKind
from loopcast.stores.decisions import DecisionKind
from loopcast.stores.monitoring import JudgedDay
from loopcast.stores.monitoring_report import list_events, write_day
from loopcast.stores.opened import Stores
from loopcast.stores.profiles import name_profile, read_profile
from loopcast.stores.promotion import demote, promote
from loopcast.stores.rollups import RollUpStore
from loopcast.stores.shadow import read_shadow
from loopcast.stores.telling import list_alerts, summarize_day, tell_day
from tests.integration.models import prefer_higher
from tests.monitored import N_TRAINED, Service, make_service

LAST = N_TRAINED + 40
ALWAYS = (pd.Timestamp("2000-01-01", tz="UTC").to_pydatetime(), pd.Timestamp("2100-01-01", tz="UTC").to_pydatetime())


@pytest.fixture
def service(shared_home: Path, name: str, tmp_path: Path) -> Service:
    """A problem of one series."""
    return make_service(Stores(Settings(home=shared_home)), name[:40], tmp_path)


@pytest.fixture
def sound(service: Service) -> Service:
    """The same with a good champion, forty days of forecasts, and their actuals."""
    service.promote()
    service.forecast(N_TRAINED + 1, LAST)
    service.publish(LAST)
    return service


def findings(judged: JudgedDay) -> set[tuple[Finding, str | None]]:
    """What was found, and of which series."""
    return {(each.finding, each.series_id) for each in judged.conditions}


def read_actuals(service: Service) -> list[tuple[object, ...]]:
    """All that is known to have come true, in order."""
    with service.stores.database.connect() as connection:
        return connection.execute(
            "SELECT * FROM loopcast.actuals WHERE problem = %s ORDER BY series_id, timestamp_utc",
            [service.problem.name],
        ).fetchall()


def test_a_sound_day_is_judged_by_all_that_has_come_true(sound):
    """Forty origins, three steps each, of which the last have no actual yet."""
    judged = sound.look()

    found = judged.judgement.performance
    assert (judged.as_of, judged.model_version, findings(judged)) == (sound.day(LAST), 1, set())
    assert (found.n_steps, found.overall.n_judged, found.n_days) == (120, 117 - 3, 39)
    assert len(judged.judgement.skill.days) == 39
    assert "nothing to report" in summarize_day(judged, "", "")


def test_the_same_look_twice_comes_to_the_same(sound):
    """Nothing is counted twice, however often a run is repeated."""
    first, second = sound.look(), sound.look()

    assert str(second) == str(first)


def test_a_look_back_sees_what_was_known_then(sound):
    """Actuals that came since are not judged, nor fed to the CUSUM."""
    sound.publish(LAST - 20)
    then = sound.look(sound.day(LAST - 20))
    sound.publish(LAST)

    back = sound.look(sound.day(LAST - 20))

    assert back.judgement.skill == then.judgement.skill
    assert back.judgement.performance.overall == then.judgement.performance.overall


def test_day_by_day_the_cusum_goes_on_where_it_stood(sound):
    """Ten looks at four days each end where one look at forty does."""
    at_once = sound.look().judgement.skill.state
    other = make_service(sound.stores, f"{sound.problem.name[:38]}_b", Path(sound.problem.source.uri).parent)
    other.promote()
    other.forecast(N_TRAINED + 1, LAST)
    for step in range(N_TRAINED + 4, LAST + 1, 4):
        other.publish(step)
        found = other.look().judgement.skill.state

    assert found == at_once


def test_a_look_before_the_last_one_calls_for_nothing(service):
    """Somebody asks how it was in spring, when the CUSUM triggered; that is no reason to train in autumn."""
    service.promote(bias=-3.0)
    service.forecast(N_TRAINED + 1, LAST)
    service.publish(LAST)
    service.look()
    actions = ActionLog(service.stores.database)
    n_before = len(actions.history(service.problem.name))

    back = service.look(service.day(N_TRAINED + 10))

    assert back.judgement.verdict.needs_retraining
    assert len(actions.history(service.problem.name)) == n_before == 2


def test_lost_skill_is_told_until_the_champion_changes_or_the_cool_down_ends(service):
    """One trigger, one alert that stays; it is no second reason to train."""
    service.promote(bias=-3.0)
    service.forecast(N_TRAINED + 1, LAST)
    service.publish(LAST - 1)
    first = service.look()
    service.publish(LAST)

    second = service.look()

    assert first.judgement.verdict.needs_retraining
    assert not second.judgement.verdict.needs_retraining
    assert (Finding.SKILL_LOST, None) in findings(second)
    kinds = [each.kind for each in ActionLog(service.stores.database).history(service.problem.name)]
    assert sorted(kinds) == [ActionKind.COOL_DOWN, ActionKind.RETRAIN]


def test_without_forecasts_their_absence_is_what_is_found(service):
    """Nothing is due, nothing is judged, and nothing triggers."""
    service.promote()
    service.publish(LAST)

    judged = service.look()

    assert findings(judged) == {(Finding.NO_FORECASTS, None)}
    assert judged.judgement.performance.n_steps == 0


def test_a_new_champion_is_not_blamed_for_forecasts_that_it_was_not_asked_for(sound):
    """It came into service tonight; the one before it forecast until yesterday."""
    sound.promote(until=LAST)

    judged = sound.look()

    assert (judged.model_version, findings(judged)) == (2, set())


def test_forecasts_that_stopped_are_told_while_data_come(sound):
    """Ten days of data without a forecast."""
    sound.publish(LAST + 10)

    judged = sound.look()

    assert (Finding.NO_FORECASTS, None) in findings(judged)


def test_without_actuals_their_absence_is_found_and_nothing_is_judged(service):
    """The feed has stopped since the model was trained, and forecasts were made for days that are over."""
    service.promote()
    service.forecast(N_TRAINED, N_TRAINED)
    service.publish(N_TRAINED)

    judged = service.look(service.day(N_TRAINED + 8))

    assert {each for each, _ in findings(judged)} == {Finding.NO_LABELS, Finding.LATE_SERIES}
    assert judged.judgement.performance.label_ratio == 0.0
    assert judged.judgement.skill.days == ()


def test_with_half_the_series_the_other_half_is_judged(shared_home, name, tmp_path):
    """Two of four vanish: each is told, and the others' steps come true."""
    service = make_service(Stores(Settings(home=shared_home)), name[:40], tmp_path, n_series=4)
    service.promote()
    service.forecast(N_TRAINED + 1, LAST)
    known = service.known(LAST)
    is_there = known["series_id"].isin(["S0", "S1"]) | (known["timestamp_utc"] <= service.day(N_TRAINED + 10))
    service.publish(rows=known[is_there])

    judged = service.look()

    found = findings(judged)
    assert {(Finding.LATE_SERIES, "S2"), (Finding.LATE_SERIES, "S3"), (Finding.LATE_LABELS, None)} <= found
    assert not {series_id for _, series_id in found} & {"S0", "S1"}
    assert judged.judgement.performance.by_series["S0"].n_judged == 114
    assert not judged.judgement.verdict.needs_retraining


def test_data_that_are_refused_as_a_whole_are_told_and_kept_out(sound):
    """A feed whose prices became zero: the reason is found, and no actual changes."""
    broken = sound.known(LAST)
    broken.loc[broken.index[-200:], "target"] = 0.0
    sound.publish(rows=broken)
    before = read_actuals(sound)

    judged = sound.look(sound.day(LAST))

    assert (Finding.REFUSED_ROWS, None) in findings(judged)
    assert read_actuals(sound) == before


def test_a_version_without_a_profile_is_given_one_and_keeps_it(sound):
    """Trained before profiles were kept; for another window there is another."""
    version = sound.stores.registry.champion(sound.problem.name)
    limits = sound.problem.monitoring
    assert sound.stores.registry.read_text(version, name_profile(limits)) is None

    made = read_profile(sound.stores.registry, sound.stores.artifacts, version, limits)

    kept = sound.stores.registry.read_text(version, name_profile(limits))
    assert kept == made.model_dump_json()
    shorter = limits.model_copy(update={"window_steps": 40})
    assert read_profile(sound.stores.registry, sound.stores.artifacts, version, shorter).window_steps == 40


def test_a_profile_that_cannot_be_read_any_more_is_made_anew(sound):
    """A file that was damaged does not end the monitoring for good."""
    registry, limits = sound.stores.registry, sound.problem.monitoring
    version = registry.champion(sound.problem.name)
    made = read_profile(registry, sound.stores.artifacts, version, limits)
    registry.keep_text(version, name_profile(limits), made.model_dump_json()[:100])

    assert read_profile(registry, sound.stores.artifacts, version, limits) == made
    assert registry.read_text(version, name_profile(limits)) == made.model_dump_json()


def test_in_shadow_the_predecessor_forecasts_what_it_would_have(sound):
    """Its sums are those of the forecasts that it stored when it was asked."""
    sound.promote(bias=0.5)
    sound.forecast(N_TRAINED + 1, LAST)
    sound.look()
    champion = sound.stores.registry.champion(sound.problem.name)

    shadow = read_shadow(sound.stores, sound.problem, champion, sound.known(LAST), sound.day(LAST))

    rollups = RollUpStore(sound.stores.database)
    stored = rollups.read_sums(sound.problem.name, 1, *ALWAYS)
    pd.testing.assert_frame_equal(
        shadow.predecessor[shadow.predecessor["n_judged"] > 0].reset_index(drop=True),
        stored[stored["n_judged"] > 0].reset_index(drop=True),
        rtol=1e-9,
    )
    assert set(shadow.champion["model_version"]) == {2}


def test_a_predecessor_that_cannot_be_asked_stops_nothing(sound, caplog):
    """Its files are gone from the store: the champion is judged alone."""
    sound.promote()
    sound.forecast(N_TRAINED + 1, LAST)
    before = sound.stores.registry.version(sound.problem.name, 1)
    folder = Path(sound.stores.registry.client.get_run(before.run_id).info.artifact_uri.removeprefix("file://"))
    (folder / "model" / "data" / "forecaster" / "forecaster.json").unlink()

    judged = sound.look()

    assert (judged.model_version, judged.judgement.shadow) == (2, None)
    assert "cannot be asked in shadow" in caplog.text


def test_weights_that_were_taken_back_are_not_promoted_by_a_mere_re_run(sound):
    """Neither under their number nor, trained again on the same data, under another; a person may put them back."""
    registry, problem = sound.stores.registry, sound.problem.name
    second = sound.promote(until=N_TRAINED + 20)
    demote(registry, problem, "it does worse", "ada", from_version=second)

    again = promote(registry, problem, second, prefer_higher(second), "re-run")
    third = sound.promote(until=N_TRAINED + 20)

    assert (again.kind, again.rule, again.champion_after) == (DecisionKind.REJECTION, "taken_back", "1")
    assert "taken out of service" in again.reasons[0]
    assert (third, registry.champion(problem).version) == (3, 1)
    demote(registry, problem, "it was right after all", "ada", to_version=second)
    assert registry.champion(problem).version == second
    fourth = sound.promote(until=N_TRAINED + 30)
    assert registry.champion(problem).version == fourth


def test_the_page_shows_what_was_decided_and_done(service, tmp_path):
    """Decisions, triggers, cool-downs and alerts, in one list; the page of a day is one file."""
    service.promote(bias=-3.0)
    service.forecast(N_TRAINED + 1, LAST)
    service.publish(LAST)
    judged = service.look()
    tell_day(service.stores, judged, "")

    first, second = (write_day(service.stores, service.problem, judged, tmp_path / "pages") for _ in range(2))

    assert first == second
    assert [each.name for each in first.parent.iterdir()] == [f"{judged.as_of:%Y-%m-%d}.html"]
    kinds = {each.kind for each in list_events(service.stores, service.problem.name, 20)}
    assert {"promotion", "retrain called for", "cool down begins", "alert raised"} <= kinds


def test_alerts_say_what_is_done(service):
    """A training is announced where skill is lost, and what only stands in the report is not told."""
    service.promote(bias=-3.0)
    service.forecast(N_TRAINED + 1, LAST)
    service.publish(LAST)

    alerts = {each.kind: each for each in list_alerts(service.look(), "reports/page.html")}

    assert "trains a challenger" in alerts["skill_lost"].action
    assert alerts["skill_lost"].link == "reports/page.html"
    assert np.isfinite(alerts["skill_lost"].figures["statistic"])
