"""People are told once when something begins and once when it is over, whatever fails on the way."""

import json
import logging
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopcast.cli.alerts import list_alerts
from loopcast.errors import StoreError
from loopcast.settings import Settings
from loopcast.stores import outbox as outbox_module
from loopcast.stores.alerts import AlertStore
from loopcast.stores.channels import Slack, Webhook
from loopcast.stores.conditions import Alert, AlertSeverity, AlertState, Condition, compare_conditions
from loopcast.stores.decisions import Decision, DecisionKind
from loopcast.stores.failures import summarize_error, tell_failure, tell_success
from loopcast.stores.opened import Stores
from loopcast.stores.outbox import Delivery, DeliveryState, Outbox
from tests.integration.clients import wait_until
from tests.integration.receivers import Hook, run_hook

DAY_1 = datetime(2008, 9, 15, 21, tzinfo=UTC)
DAY_2, DAY_3, DAY_4 = (DAY_1 + timedelta(days=n) for n in (1, 2, 3))

SEND = """
import sys
from loopcast.stores.alerts import AlertStore
from loopcast.stores.channels import Webhook
from loopcast.stores.database import Database
from loopcast.stores.outbox import Outbox
Outbox(Database(sys.argv[1]), (Webhook(sys.argv[2], "s"),), 60).send_pending()
"""
"""A process of its own that sends what waits."""


def make_condition(subject: str = "GOOG", **changes: Any) -> Condition:
    """A drift."""
    keys: dict[str, Any] = {
        "kind": "drift", "subject": subject, "severity": AlertSeverity.WARNING, "sentence": f"{subject} drifts",
        "figures": {"distance_sd": 0.31, "p": float("nan")}, "action": "nothing", "link": "https://example.org/report",
    }  # fmt: skip
    return Condition(**keys | changes)


def make_decision(problem: str) -> Decision:
    """The promotion of a first model."""
    return Decision(
        problem=problem,
        kind=DecisionKind.PROMOTION,
        model_version="1",
        champion_before=None,
        champion_after="1",
        rule="first_model",
        reasons=(),
        figures={},
        actor="ada",
    )


@pytest.fixture(autouse=True)
def empty_outbox(database):
    """No message of another test waits."""
    with database.connect() as connection:
        connection.execute("DELETE FROM loopcast.alert_deliveries")


@pytest.fixture
def hook():
    """A receiver that is up."""
    with run_hook(Hook()) as hook:
        yield hook


@pytest.fixture
def alerts(database, hook):
    """Alerts that go to the receiver, and are tried again at once."""
    return _open(database, hook)


def _open(database, hook: Hook, timeout_s: float = 5) -> AlertStore:
    return AlertStore(database, Outbox(database, (Webhook(hook.url, "s3cret"),), timeout_s, first_wait_s=0))


def told(hook: Hook) -> list[tuple[str, str]]:
    """What the receiver was told, in order: the news and what they are about."""
    bodies = [json.loads(body) for _, body in hook.requests]
    return [(body["news"], body["subject"]) for body in bodies]


def only_delivery(alerts: AlertStore, name: str) -> Delivery:
    """The one message about the one alert of a problem."""
    (episode,) = alerts.history(name)
    (delivery,) = episode.deliveries
    return delivery


def test_a_condition_is_told_once_while_it_lasts_and_once_when_it_is_over(alerts, hook, name):
    """Four looks, of which two change something; a fifth begins a new episode."""
    for at_utc, conditions in [
        (DAY_1, [make_condition()]), (DAY_2, [make_condition(sentence="worse")]), (DAY_3, []), (DAY_4, []),
        (DAY_4 + timedelta(days=1), [make_condition()]),
    ]:  # fmt: skip
        alerts.update(name, "drift", conditions, at_utc)

    second, first = (episode.alert for episode in alerts.history(name))
    assert told(hook) == [("raised", "GOOG"), ("recovered", "GOOG"), ("raised", "GOOG")]
    assert first.model_dump(exclude={"id", "figures"}) == make_condition().model_dump(exclude={"figures"}) | {
        "problem": name, "scope": "drift", "state": AlertState.RECOVERED, "raised_at_utc": DAY_1,
        "last_seen_at_utc": DAY_2, "n_seen": 2, "recovered_at_utc": DAY_3,
    }  # fmt: skip
    assert str(first.figures) == "{'distance_sd': 0.31, 'p': nan}"
    assert (second.state, second.raised_at_utc) == (AlertState.RAISED, DAY_4 + timedelta(days=1))


def test_what_comes_and_goes_around_its_threshold_is_one_episode(alerts, hook, name):
    """Gone for two days it is not over yet; gone for three it is."""
    for days, conditions in [(0, [make_condition()]), (2, []), (3, [make_condition()]), (5, []), (6, [])]:
        alerts.update(name, "drift", conditions, DAY_1 + timedelta(days=days), {"drift": timedelta(days=3)})

    assert told(hook) == [("raised", "GOOG"), ("recovered", "GOOG")]
    (episode,) = alerts.history(name)
    assert (episode.alert.n_seen, episode.alert.recovered_at_utc) == (2, DAY_1 + timedelta(days=6))


def test_the_same_look_twice_tells_and_counts_once(alerts, hook, name):
    """A monitor that runs again leaves the same state."""
    for _ in range(2):
        alerts.update(name, "drift", [make_condition()], DAY_1)

    assert told(hook) == [("raised", "GOOG")]
    assert alerts.history(name)[0].alert.n_seen == 1


def test_a_look_at_the_past_changes_nothing_about_the_present(alerts, hook, name):
    """Monitoring an old day again neither ends what is open nor begins what is over."""
    alerts.update(name, "drift", [make_condition()], DAY_2)
    alerts.update(name, "drift", [], DAY_1)
    alerts.update(name, "drift", [], DAY_4)
    alerts.update(name, "drift", [make_condition()], DAY_3)

    assert told(hook) == [("raised", "GOOG"), ("recovered", "GOOG")]


def test_scopes_and_problems_do_not_end_each_others_conditions(alerts, hook, name):
    """Each monitor answers for its own."""
    alerts.update(name, "drift", [make_condition("GOOG"), make_condition("IBM")], DAY_1)
    alerts.update(name, "quality", [], DAY_2)
    alerts.update(f"{name}-other", "drift", [], DAY_2)
    alerts.update(name, "drift", [make_condition("IBM")], DAY_2)

    assert told(hook) == [("raised", "GOOG"), ("raised", "IBM"), ("recovered", "GOOG")]


def test_a_condition_that_is_named_twice_is_refused(alerts, name):
    """Which of the two would be told?"""
    with pytest.raises(ValueError, match="found drift of GOOG twice; needs it once"):
        alerts.update(name, "drift", [make_condition(), make_condition(sentence="other")], DAY_1)

    assert alerts.history(name) == []


@given(st.lists(st.frozensets(st.sampled_from(["GOOG", "IBM", "FB"])), max_size=12))
def test_raised_minus_recovered_is_what_is_wrong_now(looks):
    """Whatever comes and goes: people who count the messages know the present, and none is told twice."""
    latest: dict[tuple[str, str], Alert] = {}
    believed: set[str] = set()
    for day, subjects in enumerate(looks):
        at_utc = DAY_1 + timedelta(days=day)
        changes = compare_conditions("p", "s", [make_condition(each) for each in sorted(subjects)], latest, at_utc)
        raised, recovered = ({alert.subject for alert in side} for side in (changes.raised, changes.recovered))
        assert raised.isdisjoint(believed)
        assert recovered <= believed
        believed = (believed | raised) - recovered
        latest |= {alert.key: alert for alert in (*changes.raised, *changes.seen, *changes.recovered)}
        assert believed == subjects


def test_monitors_that_run_at_once_raise_one_alert(alerts, hook, name):
    """Eight report the same condition; one message is sent, by one of them."""
    conditions = [make_condition()]
    threads = [threading.Thread(target=alerts.update, args=(name, "drift", conditions, DAY_1)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert told(hook) == [("raised", "GOOG")]
    assert len(alerts.history(name)) == 1


def test_processes_that_send_at_once_send_each_message_once(database, name):
    """While one is sending, the other takes the next message, and waits for none."""
    hook = Hook()
    with run_hook(hook):
        alerts = _open(database, hook)
    alerts.update(name, "drift", [make_condition(f"S{i}") for i in range(6)], DAY_1)

    hook.delay_s = 0.05
    with run_hook(hook):
        threads = [threading.Thread(target=alerts.outbox.send_pending) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(told(hook)) == [("raised", f"S{i}") for i in range(6)]


def test_a_receiver_that_was_down_gets_each_message_once_and_in_order(database, name, caplog):
    """The alert and its recovery wait; nothing raises, and the next look at anything delivers both."""
    hook = Hook()
    with run_hook(hook):
        alerts = _open(database, hook)
    alerts.update(name, "drift", [make_condition()], DAY_1)
    alerts.update(name, "drift", [], DAY_2)
    down = alerts.history(name)[0].deliveries

    with run_hook(hook):
        alerts.update(f"{name}-other", "quality", [], DAY_3)
        alerts.outbox.send_pending()

    up = alerts.history(name)[0].deliveries
    assert told(hook) == [("raised", "GOOG"), ("recovered", "GOOG")]
    assert [(each.news, each.state, each.n_attempts) for each in down] == [
        (AlertState.RAISED, DeliveryState.PENDING, 6), (AlertState.RECOVERED, DeliveryState.PENDING, 0),
    ]  # fmt: skip
    assert down[0].last_error == "not reached: ConnectionRefusedError, Connection refused"
    assert [(each.state, each.n_attempts, each.last_error) for each in up] == [
        (DeliveryState.DELIVERED, 7, None), (DeliveryState.DELIVERED, 1, None),
    ]  # fmt: skip
    assert "s3cret" not in caplog.text + repr(down)
    assert "t0ken" not in caplog.text + repr(down)


def test_a_process_that_is_killed_while_sending_leaves_the_message_to_the_next(database, name):
    """It arrives at least once, and under the same key, by which the receiver knows that it has it."""
    hook = Hook(delay_s=30)
    with run_hook(hook):
        alerts = _open(database, hook)
    alerts.update(name, "drift", [make_condition()], DAY_1)

    with run_hook(hook):
        with subprocess.Popen([sys.executable, "-c", SEND, database.url, hook.url]) as process:
            wait_until(lambda: len(hook.requests) == 1)
            process.kill()
        hook.delay_s = 0
        _open(database, hook).outbox.send_pending()

    keys = {headers["Idempotency-Key"] for headers, _ in hook.requests}
    assert told(hook) == [("raised", "GOOG")] * 2
    assert len(keys) == 1
    assert only_delivery(alerts, name).state is DeliveryState.DELIVERED


def test_a_channel_that_hangs_holds_up_nobody_longer_than_its_time(database, hook, name):
    """The other channel is told in the same call."""
    with run_hook(Hook(delay_s=2)) as slow:
        channels = (Webhook(slow.url, "s"), Slack(hook.url))
        alerts = AlertStore(database, Outbox(database, channels, timeout_s=0.4))
        started = time.monotonic()
        alerts.update(name, "drift", [make_condition(each) for each in ("GOOG", "IBM", "FB")], DAY_1)
        took_s = time.monotonic() - started

    assert took_s < 1.5
    assert len(hook.requests) == 3
    states = {(d.channel, d.state) for episode in alerts.history(name) for d in episode.deliveries}
    assert states == {("webhook", DeliveryState.PENDING), ("slack", DeliveryState.DELIVERED)}


def test_a_message_that_is_refused_does_not_hold_up_those_behind_it(database, name):
    """A server that is there, and does not want one, may want another."""
    with run_hook(Hook(status=400)) as hook:
        alerts = _open(database, hook)
        alerts.update(name, "drift", [make_condition("GOOG"), make_condition("IBM")], DAY_1)

    assert told(hook) == [("raised", "GOOG"), ("raised", "IBM")]
    assert {d.last_error for episode in alerts.history(name) for d in episode.deliveries} == {"answered 400"}


def test_a_channel_that_failed_is_left_alone_for_a_while(database, name):
    """Unless somebody asks; so that workflows in quick succession do not use up the attempts, or wait each time."""
    hook = Hook(status=400)
    with run_hook(hook):
        alerts = AlertStore(database, Outbox(database, (Slack(hook.url),), 5))
        alerts.update(name, "drift", [make_condition()], DAY_1)
        alerts.outbox.send_pending()
        assert len(hook.requests) == 1

        alerts.outbox.send_pending(is_urgent=True)
        assert len(hook.requests) == 2


def test_what_never_arrives_is_abandoned_and_stays_visible(database, name, monkeypatch, caplog):
    """After so many attempts, or so many days; with the last error."""
    monkeypatch.setattr(outbox_module, "MAX_ATTEMPTS", 2)
    with run_hook(Hook(status=404)) as hook:
        alerts = _open(database, hook)
        alerts.update(name, "drift", [make_condition("GOOG")], DAY_1)
        alerts.update(name, "drift", [make_condition("GOOG"), make_condition("IBM")], DAY_2)
        with database.connect() as connection:
            connection.execute("UPDATE loopcast.alert_deliveries SET created_at_utc = now() - interval '8 days'")
        alerts.outbox.send_pending()

    found = {episode.alert.subject: episode.deliveries[0] for episode in alerts.history(name)}
    assert {subject: (d.state, d.n_attempts, d.last_error) for subject, d in found.items()} == {
        "GOOG": (DeliveryState.ABANDONED, 2, "answered 404"),
        "IBM": (DeliveryState.ABANDONED, 1, "answered 404"),
    }
    assert "1 messages were abandoned after 7 days" in caplog.messages


def test_without_a_channel_alerts_are_kept_and_the_log_says_that_nobody_is_told(database, name, caplog):
    """A laptop needs no server of anything."""
    alerts = AlertStore(database, Outbox(database, (), 5))

    with caplog.at_level(logging.INFO, logger="loopcast"):
        alerts.update(name, "drift", [make_condition()], DAY_1)
        alerts.update(name, "drift", [], DAY_2)

    (episode,) = alerts.history(name)
    assert (episode.alert.state, episode.deliveries) == (AlertState.RECOVERED, ())
    assert caplog.messages == [
        f"{first} {name}: drift (GOOG): GOOG drifts; no channel is set, so nobody is told: docs/alerts.md names them"
        for first in ("WARNING", "RECOVERED")
    ]


def test_an_alert_without_its_message_does_not_exist(database, name, monkeypatch):
    """Both are written, or neither: a crash between them tells nobody of what nobody will see."""
    monkeypatch.setattr(outbox_module, "POST", "INSERT INTO nowhere VALUES (%s, %s, %s)")
    alerts = _open(database, Hook(port=1))

    with pytest.raises(psycopg.errors.UndefinedTable):
        alerts.update(name, "drift", [make_condition()], DAY_1)

    assert alerts.history(name) == []


def test_text_that_postgresql_cannot_hold_is_told_all_the_same(alerts, hook, name):
    """What a source calls its series is not ours to choose."""
    alerts.update(name, "drift", [make_condition("GO\x00OG \udc80")], DAY_1)
    alerts.update(name, "drift", [make_condition("GO\x00OG \udc80")], DAY_2)

    assert told(hook) == [("raised", "GO\ufffdOG ?")]


def test_a_workflow_that_fails_is_told_once_until_it_succeeds(shared_home, hook, name):
    """Every night the same error is one message; the success afterwards is another, and a further one none."""
    settings = Settings(home=shared_home, alert_webhook_url=hook.url, alert_webhook_secret="s")  # noqa: S106
    stores = Stores(settings)

    for _ in range(3):
        tell_failure(stores, name, "forecasting", "no data", "https://flyte.example.org/x")
    tell_success(stores, name, "training")
    tell_success(stores, name, "forecasting")
    tell_success(stores, name, "forecasting")

    assert told(hook) == [("raised", "forecasting"), ("recovered", "forecasting")]
    (episode,) = stores.alerts.history(name)
    assert (episode.alert.sentence, episode.alert.n_seen) == ("The forecasting workflow failed: no data", 3)


def test_a_failure_is_told_even_while_the_database_is_away(hook, name, caplog):
    """Which is the likeliest reason of a failure; it is not recorded, and the log says so."""
    stores = Stores(
        Settings(
            database_url="postgresql://ada:s3cret@127.0.0.1:1/d", alert_webhook_url=hook.url, alert_webhook_secret="k"  # noqa: S106
        )
    )  # fmt: skip

    tell_failure(stores, name, "forecasting", "the database at 127.0.0.1:1/d does not answer")

    assert told(hook) == [("raised", "forecasting")]
    assert caplog.messages == [f"{name}: the failure of forecasting could not be recorded: StoreError"]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("", "it gave no reason"),
        ("Traceback\n  File x\n\nMessage:\n\n    ValueError: a\n   b", "ValueError: a b"),
        ("cannot reach s3://id:s3cret@host/x?key=s3cret&a=b", "cannot reach s3://…@host/x?key=…&a=b"),
        ("host=h user=u password=s3cret dbname=d", "host=h user=u password=… dbname=d"),
        ("x" * 900, "x" * 499 + "…"),
    ],
)
def test_an_error_is_told_in_one_line_without_secrets(error, sentence):
    """Whatever Flyte or a library put around it."""
    assert summarize_error(error) == sentence


def test_the_command_lists_open_alerts_first_with_their_deliveries(shared_home, database, name):
    """And sends what waits, if it is asked to."""
    hook = Hook(status=400)
    with run_hook(hook):
        settings = Settings(home=shared_home, alert_slack_url=hook.url)
        stores = Stores(settings)
        stores.alerts.update(name, "drift", [make_condition("IBM")], DAY_1)
        stores.alerts.update(name, "quality", [make_condition("GOOG", kind="late_data", action="")], DAY_1)
        stores.alerts.update(name, "quality", [], DAY_2)
        waiting = list(list_alerts(stores, name, 20))
        hook.status = 200
        sent = list(list_alerts(stores, name, 20, is_resent=True))

    assert waiting == [
        "raised     warning   2008-09-15 21:00 to now              UTC  drift (IBM), seen 1 x",
        "    - IBM drifts",
        "    - nothing",
        "    raised by slack: pending, 1 attempts: answered 400",
        "recovered  warning   2008-09-15 21:00 to 2008-09-16 21:00 UTC  late data (GOOG), seen 1 x",
        "    - GOOG drifts",
        "    raised by slack: pending, 1 attempts: answered 400",
        "    recovered by slack: pending, 0 attempts",
    ]
    assert [line for line in sent if "slack" in line] == [
        "    raised by slack: delivered, 2 attempts",
        "    raised by slack: delivered, 2 attempts",
        "    recovered by slack: delivered, 1 attempts",
    ]


def test_a_problem_without_alerts_is_no_error_and_an_unknown_one_is(shared_home, database, name):
    """Whoever asks in a script learns that all is well by the exit code too, and of a misspelt name."""
    stores = Stores(Settings(home=shared_home))
    stores.decisions.record(make_decision(name))

    assert list(list_alerts(stores, name, 20)) == [f"{name}: no alerts"]
    with pytest.raises(StoreError, match=f"nobody has no alerts; known: .*{name}"):
        list(list_alerts(stores, "nobody", 20))
