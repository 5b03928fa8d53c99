"""Each way to a person, against a real server: what arrives, what is refused, and that no secret is told."""

import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from loopcast.errors import SettingsError
from loopcast.settings import Settings, read_settings
from loopcast.stores.channels import Channel, DeliveryError, Email, Slack, Webhook, open_channels
from loopcast.stores.conditions import Alert, AlertSeverity, AlertState
from loopcast.stores.messages import Message
from loopcast.stores.outbox import attempt
from tests.integration.receivers import Hook, MailBox, make_certificate, run_hook, run_mail_server

RAISED_AT = datetime(2008, 9, 15, 21, tzinfo=UTC)
UNUSUAL = "p@ss/w:rd"
SENDER, RECIPIENTS = "loopcast@example.org", ("ada@example.org", "bob@example.org")


def make_message(news: AlertState = AlertState.RAISED, **changes: Any) -> Message:
    """That the champion of Google lost its skill."""
    keys: dict[str, Any] = {
        "problem": "google", "scope": "performance", "kind": "skill_lost", "subject": "version 3",
        "severity": AlertSeverity.CRITICAL, "sentence": "Version 3 is worse than EWMA since 12 days.",
        "figures": {"skill_ratio": -0.123456, "limit_ratio": 0.05, "p": float("nan")},
        "action": "a retraining was started", "link": "https://flyte.example.org/x",
        "raised_at_utc": RAISED_AT, "last_seen_at_utc": RAISED_AT,
    }  # fmt: skip
    alert = Alert(**keys | changes)
    if news is AlertState.RECOVERED:
        alert = alert.model_copy(update={"state": news, "n_seen": 3, "recovered_at_utc": RAISED_AT + timedelta(days=3)})
    return Message(alert=alert, news=news)


@pytest.fixture
def tls(tmp_path, monkeypatch):
    """A server's certificate, which this process trusts."""
    trusted, context = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    return context


@pytest.fixture
def strange_tls(tmp_path):
    """A server's certificate, which nobody trusts."""
    return make_certificate(tmp_path)[1]


def fail(channel: Channel, timeout_s: float = 5) -> DeliveryError:
    """How a channel does not take a message."""
    with pytest.raises(DeliveryError) as failure:
        channel.send(make_message(), timeout_s)
    return failure.value


def test_a_webhook_gets_the_alert_signed_as_the_documentation_says():
    """The receiver's six lines find the signature right, and wrong when the body or the secret is another."""
    with run_hook(Hook()) as hook:
        message = make_message()
        Webhook(hook.url, "s3cret").send(message, 5)

    ((headers, body),) = hook.requests

    def is_genuine(secret: str, body: bytes) -> bool:
        at, signature = (part.partition("=")[2] for part in headers["X-Loopcast-Signature"].split(","))
        expected = hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(signature, expected) and abs(time.time() - int(at)) < 300

    assert is_genuine("s3cret", body)
    assert not is_genuine("s3cret", body + b" ")
    assert not is_genuine("other", body)
    assert (headers["Content-Type"], headers["Idempotency-Key"]) == ("application/json", message.key)
    assert json.loads(body) == {
        "id": f"{message.alert.id}.raised", "news": "raised", "title": "CRITICAL google: skill lost (version 3)",
        "text": message.text, "problem": "google", "scope": "performance", "kind": "skill_lost", "subject": "version 3",
        "severity": "critical", "sentence": "Version 3 is worse than EWMA since 12 days.",
        "figures": {"skill_ratio": -0.123456, "limit_ratio": 0.05, "p": "NaN"}, "action": "a retraining was started",
        "link": "https://flyte.example.org/x", "raised_at_utc": "2008-09-15T21:00:00Z",
        "last_seen_at_utc": "2008-09-15T21:00:00Z", "n_seen": 1, "recovered_at_utc": None,
    }  # fmt: skip


def test_a_message_says_what_since_when_what_was_done_and_where_to_look():
    """In plain words, when it begins and when it is over."""
    assert make_message().text.splitlines() == [
        "Version 3 is worse than EWMA since 12 days.",
        "",
        "Since: 2008-09-15 21:00 UTC",
        "Figures: skill_ratio -0.1235, limit_ratio 0.05, p nan",
        "What Loopcast did: a retraining was started",
        "Where to look: https://flyte.example.org/x",
    ]
    assert make_message(AlertState.RECOVERED, figures={}, action="", link="").text.splitlines() == [
        "This is over: Version 3 is worse than EWMA since 12 days.",
        "",
        "From 2008-09-15 21:00 UTC to 2008-09-18 21:00 UTC, seen 3 x",
        "Where to look: loopcast alerts google",
    ]


def test_slack_gets_text_that_calls_nobody():
    """What a series is called cannot make a link or wake everybody up."""
    with run_hook(Hook()) as hook:
        Slack(hook.url).send(make_message(sentence="<!channel> @everyone A&B <http://x|y>", figures={}), 5)

    ((_, body),) = hook.requests
    assert json.loads(body) == {
        "text": "*CRITICAL google: skill lost (version 3)*\n"
        "&lt;!channel&gt; @\u200beveryone A&amp;B &lt;http://x|y&gt;\n\nSince: 2008-09-15 21:00 UTC\n"
        "What Loopcast did: a retraining was started\nWhere to look: https://flyte.example.org/x"
    }


def test_a_mail_arrives_and_its_recovery_answers_it():
    """With sender, recipients, subject and text; the second belongs to the first."""
    raised = make_message()
    recovered = Message(alert=raised.alert, news=AlertState.RECOVERED)

    with run_mail_server(MailBox()) as box:
        channel = Email(f"smtp://127.0.0.1:{box.port}", SENDER, RECIPIENTS)
        channel.send(raised, 5)
        channel.send(recovered, 5)

    first, second = box.mails
    assert box.envelopes == [(SENDER, RECIPIENTS, False)] * 2
    assert (first["Subject"], first["To"]) == (
        "Loopcast: CRITICAL google: skill lost (version 3)", ", ".join(RECIPIENTS),
    )  # fmt: skip
    assert first.get_content().splitlines() == raised.text.splitlines()
    assert second["Subject"] == "Loopcast: RECOVERED google: skill lost (version 3)"
    assert second["In-Reply-To"] == first["Message-ID"] != second["Message-ID"]


def test_a_name_cannot_add_a_header():
    """Line breaks in what a source calls its series stay within the subject, and within the text."""
    with run_mail_server(MailBox()) as box:
        evil = "GOOG\r\nBcc: eve@example.org\r\n\r\n.\r\nMAIL FROM:<eve@example.org>"
        Email(f"smtp://127.0.0.1:{box.port}", SENDER, RECIPIENTS).send(make_message(subject=evil, sentence=evil), 5)

    (mail,) = box.mails
    assert mail["Bcc"] is None
    assert box.envelopes == [(SENDER, RECIPIENTS, False)]
    assert "GOOG Bcc: eve@example.org . MAIL FROM" in mail["Subject"]


@pytest.mark.parametrize("scheme", ["starttls", "smtps"])
def test_a_password_travels_only_encrypted(tls, scheme):
    """Whichever way TLS begins; special characters of the password survive the URL."""
    box = MailBox(user="ada", password=UNUSUAL, starts_tls=tls if scheme == "starttls" else None)

    with run_mail_server(box, tls if scheme == "smtps" else None):
        url = f"{scheme}://ada:{quote(box.password, safe='')}@127.0.0.1:{box.port}"
        Email(url, SENDER, RECIPIENTS).send(make_message(), 5)

    assert box.envelopes == [(SENDER, RECIPIENTS, True)]


@pytest.mark.parametrize("scheme", ["starttls", "smtps"])
def test_a_mail_server_with_a_strange_certificate_gets_nothing(strange_tls, scheme):
    """Neither the mail nor the password."""
    box = MailBox(user="ada", password=UNUSUAL, starts_tls=strange_tls if scheme == "starttls" else None)

    with run_mail_server(box, strange_tls if scheme == "smtps" else None):
        failure = fail(Email(f"{scheme}://ada:p@127.0.0.1:{box.port}", SENDER, RECIPIENTS))

    assert str(failure) == "not reached: SSLCertVerificationError"
    assert box.mails == []


def test_a_mail_server_without_starttls_gets_nothing():
    """Nobody between can have the mail sent in the clear by hiding the offer."""
    with run_mail_server(MailBox()) as box:
        failure = fail(Email(f"starttls://ada:p@127.0.0.1:{box.port}", SENDER, RECIPIENTS))

    assert (str(failure), failure.is_passing) == ("the server lacks STARTTLS, login or UTF-8 addresses", False)
    assert box.mails == []


def test_an_unknown_recipient_does_not_keep_the_others_from_their_mail(caplog):
    """It is logged, and sent once; where all are unknown the mail counts as not taken."""
    with run_mail_server(MailBox(refuses=RECIPIENTS[:1])) as box:
        Email(f"smtp://127.0.0.1:{box.port}", SENDER, RECIPIENTS).send(make_message(), 5)
        failure = fail(Email(f"smtp://127.0.0.1:{box.port}", SENDER, RECIPIENTS[:1]))

    assert box.envelopes == [(SENDER, RECIPIENTS[1:], False)]
    assert caplog.messages == ["email: 1 of 2 recipients were refused"]
    assert (str(failure), failure.is_passing) == ("all recipients were refused: 550", False)


def test_a_webhook_with_a_strange_certificate_gets_nothing(strange_tls):
    """TLS is verified."""
    with run_hook(Hook(), strange_tls) as hook:
        failure = fail(Webhook(hook.url.replace("http:", "https:"), "s"))

    assert str(failure) == "not reached: SSLCertVerificationError"
    assert hook.requests == []


def test_a_webhook_with_a_known_certificate_gets_the_alert(tls):
    """Over HTTPS."""
    with run_hook(Hook(), tls) as hook:
        Webhook(hook.url.replace("http:", "https:"), "s").send(make_message(), 5)

    assert len(hook.requests) == 1


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_is_not_followed(status):
    """What was signed for one receiver is not handed to another."""
    with run_hook(Hook()) as other, run_hook(Hook(status=status, location=other.url)) as hook:
        failure = fail(Webhook(hook.url, "s"))

    assert (str(failure), failure.is_passing, other.requests) == (f"answered {status}", False, [])


@pytest.mark.parametrize(("status", "is_passing"), [(400, False), (404, False), (429, True), (500, True), (503, True)])
def test_only_what_may_pass_is_worth_another_attempt(status, is_passing):
    """A wrong address stays wrong; a server that is busy does not stay so."""
    with run_hook(Hook(status=status)) as hook:
        failure = fail(Webhook(hook.url, "s"))
        n_attempts, _ = attempt(Webhook(hook.url, "s"), make_message(), time.monotonic() + 20)

    assert (str(failure), failure.is_passing) == (f"answered {status}", is_passing)
    assert n_attempts == (3 if is_passing else 1)


def test_a_hanging_channel_costs_no_more_than_its_time():
    """All attempts together."""
    with run_hook(Hook(delay_s=1.0)) as hook:
        started = time.monotonic()
        n_attempts, failure = attempt(Webhook(hook.url, "s"), make_message(), started + 0.3)
        took_s = time.monotonic() - started

    assert (n_attempts, failure.is_passing) == (1, True)
    assert took_s < 0.8


def test_no_secret_is_in_an_error(caplog):
    """However a channel fails; the answer of a mail server that repeats the password is not quoted."""
    with run_hook(Hook(status=403)) as hook, run_mail_server(MailBox(user="ada", password=UNUSUAL)) as box:
        failures = [
            fail(Webhook(hook.url, "s3cret")),
            fail(Slack(hook.url)),
            fail(Email(f"smtp://ada:s3cret@127.0.0.1:{box.port}", SENDER, RECIPIENTS)),
        ]
        channels = repr([Webhook(hook.url, "s3cret"), Slack(hook.url), Email("smtp://a:s3cret@h", SENDER, ())])
    failures.append(fail(Slack(hook.url)))

    assert [str(failure) for failure in failures] == [
        "answered 403", "answered 403", "answered 535 (SMTPAuthenticationError)",
        "not reached: ConnectionRefusedError, Connection refused",
    ]  # fmt: skip
    told = channels + caplog.text + "".join(map(repr, (*failures, *(failure.__cause__ for failure in failures))))
    assert "s3cret" not in told
    assert "t0ken" not in told


def test_the_environment_names_the_channels(monkeypatch):
    """Each by itself or all together; a variable that is set to nothing counts as not set."""
    for name, value in {
        "WEBHOOK_URL": "https://example.org/hook", "WEBHOOK_SECRET": "s3cret", "SLACK_URL": "",
        "SMTP_URL": "smtps://ada:s3cret@example.org", "MAIL_FROM": SENDER, "MAIL_TO": ", ".join(RECIPIENTS),
    }.items():  # fmt: skip
        monkeypatch.setenv(f"LOOPCAST_ALERT_{name}", value)

    settings = read_settings()

    assert open_channels(settings) == (
        Webhook("https://example.org/hook", "s3cret"),
        Email("smtps://ada:s3cret@example.org", SENDER, RECIPIENTS),
    )
    assert "s3cret" not in f"{settings!r} {settings.model_dump()}"


def test_one_channel_is_enough():
    """Each is there by its own variables; without any there is none."""
    assert open_channels(Settings(alert_slack_url="https://example.org/x")) == (Slack("https://example.org/x"),)
    assert open_channels(Settings()) == ()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"SLACK_URL": "http://example.org/s3cret"}, "SLACK_URL: found an address without TLS, needs https://"),
        ({"WEBHOOK_URL": "https://example.org:s3cret/"}, "WEBHOOK_URL: cannot be read; needs https://host/path"),
        ({"WEBHOOK_URL": "https://example.org/s3cret\nx"}, "WEBHOOK_URL: cannot be read"),
        ({"WEBHOOK_URL": "https://example.org/s3cret"}, "WEBHOOK_SECRET: found nothing, needs a value where "),
        ({"SMTP_URL": "smtp://ada:s3cret@example.org"}, "SMTP_URL: found an address without TLS, needs smtps://user"),
        ({"SMTP_URL": "smtps://ada:s3cret@example.org", "MAIL_FROM": SENDER}, "MAIL_TO: found nothing, needs a value"),
        ({"MAIL_TO": "ada@example.org, bob"}, "MAIL_TO[1]: found 'bob', needs name@example.org"),
        ({"MAIL_FROM": "a@b\r\nBcc: c@d"}, "MAIL_FROM: found "),
    ],
)
def test_a_channel_that_cannot_be_is_refused_without_its_secret(monkeypatch, variables, sentence):
    """When the settings are read, not when the first alert is due."""
    for name, value in variables.items():
        monkeypatch.setenv(f"LOOPCAST_ALERT_{name}", value)

    with pytest.raises(SettingsError) as refusal:
        read_settings()

    assert str(refusal.value).startswith(f"LOOPCAST_ALERT_{sentence}")
    assert "s3cret" not in f"{refusal.value} {refusal.value.__cause__}"
