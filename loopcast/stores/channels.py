"""The ways to a person: a signed webhook, a Slack-compatible webhook and e-mail; `outbox` says when, and how often.

An error says what happened by a class or a number and never quotes the address or the answer, either of which may hold
a secret.
"""

import hashlib
import hmac
import json
import logging
import re
import smtplib
import socket
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate
from http.client import HTTPException
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from loopcast import __version__
from loopcast.errors import LoopcastError
from loopcast.settings import Settings
from loopcast.stores.conditions import AlertState
from loopcast.stores.messages import Message

SIGNATURE_HEADER: Final = "X-Loopcast-Signature"
PASSING_STATUSES: Final = frozenset({408, 425, 429})
"""Answers that ask for another attempt, beside those from 500 on."""
SMTP_PORTS: Final = {"smtp": 25, "starttls": 587, "smtps": 465}
GROUP_MENTION: Final = re.compile(r"@(?=(?:all|channel|everyone|here)\b)")
"""What some chats of Slack's form ring everybody's telephone for."""


log = logging.getLogger(__name__)


class DeliveryError(LoopcastError):
    """A channel did not take a message.

    Attributes:
        is_passing: Whether the same message may be taken soon; otherwise it needs another setting.
    """

    def __init__(self, sentence: str, *, is_passing: bool) -> None:
        super().__init__(sentence)
        self.is_passing = is_passing


class Channel(Protocol):
    """A way to a person."""

    @property
    def name(self) -> str:
        """As it stands in the table of deliveries."""

    def send(self, message: Message, timeout_s: float) -> None:
        """Hand a message over, with `timeout_s` for each exchange with the other side.

        Raises:
            DeliveryError: It was not taken.
        """


def open_channels(settings: Settings) -> tuple[Channel, ...]:
    """The channels that the settings name; nothing is connected yet."""
    channels: list[Channel] = []
    if settings.alert_webhook_url and settings.alert_webhook_secret:
        secret = settings.alert_webhook_secret.get_secret_value()
        channels.append(Webhook(settings.alert_webhook_url.get_secret_value(), secret))
    if settings.alert_slack_url:
        channels.append(Slack(settings.alert_slack_url.get_secret_value()))
    if settings.alert_smtp_url and settings.alert_mail_from:
        url = settings.alert_smtp_url.get_secret_value()
        channels.append(Email(url, settings.alert_mail_from, settings.alert_mail_to))
    return tuple(channels)


@dataclass(frozen=True)
class Webhook:
    """A program's address: JSON, signed so that the receiver knows who sent it, and when."""

    url: str = field(repr=False)
    secret: str = field(repr=False)
    name: str = "webhook"

    def send(self, message: Message, timeout_s: float) -> None:
        """See `Channel`."""
        body = json.dumps(message.payload).encode()
        signature = sign(self.secret, body, int(time.time()))
        _post(self.url, body, {SIGNATURE_HEADER: signature, "Idempotency-Key": message.key}, timeout_s)


@dataclass(frozen=True)
class Slack:
    """An incoming webhook of Slack, Mattermost, Rocket.Chat, or Discord with `/slack` behind its address."""

    url: str = field(repr=False)
    name: str = "slack"

    def send(self, message: Message, timeout_s: float) -> None:
        """See `Channel`."""
        text = f"*{escape_slack(message.title)}*\n{escape_slack(message.text)}"
        _post(self.url, json.dumps({"text": text}).encode(), {"Idempotency-Key": message.key}, timeout_s)


@dataclass(frozen=True)
class Email:
    """A mail server."""

    url: str = field(repr=False)
    """`smtps://` speaks TLS from the first byte, `starttls://` before anything is said, `smtp://` never."""
    sender: str
    recipients: tuple[str, ...]
    name: str = "email"

    def send(self, message: Message, timeout_s: float) -> None:
        """See `Channel`."""
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or SMTP_PORTS[parts.scheme]
        mail = compose_mail(message, self.sender, self.recipients)
        tls = ssl.create_default_context()
        try:
            with (
                smtplib.SMTP_SSL(host, port, timeout=timeout_s, context=tls)
                if parts.scheme == "smtps"
                else smtplib.SMTP(host, port, timeout=timeout_s)
            ) as server:
                if parts.scheme == "starttls":
                    server.starttls(context=tls)
                if parts.username is not None:
                    server.login(unquote(parts.username), unquote(parts.password or ""))
                refused = server.send_message(mail)
        except (smtplib.SMTPException, OSError) as exc:
            raise _describe_mail_failure(exc) from None
        if refused:  # no error: the others have the mail, and would have it twice
            log.warning("email: %d of %d recipients were refused", len(refused), len(self.recipients))


def sign(secret: str, body: bytes, at_s: int) -> str:
    """The value of the signature header: the time, and the HMAC of time and body.

    Args:
        secret: What sender and receiver share.
        body: As it is sent.
        at_s: Seconds since 1970; the receiver refuses what is old, so that nothing can be played to it again.

    >>> sign("secret", b"{}", 1221480000)
    't=1221480000,v1=d5daf639161a7cfa2bdd12010450da8e0f8ae2c8709376cb8640baaff534ab23'
    """
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def escape_slack(text: str) -> str:
    """The text with nothing in it that Slack would take for a link, a mention or a call of everybody.

    >>> escape_slack("<!channel> AT&T > GOOG")
    '&lt;!channel&gt; AT&amp;T &gt; GOOG'
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return GROUP_MENTION.sub("@\u200b", text)


def compose_mail(message: Message, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """The message as a mail; a recovery answers the mail that it ends, so that programs show both together."""
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = f"Loopcast: {message.title}"
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{message.key}@loopcast>"
    mail["Auto-Submitted"] = "auto-generated"
    if message.news is AlertState.RECOVERED:
        raised = Message(alert=message.alert, news=AlertState.RAISED)
        mail["In-Reply-To"] = mail["References"] = f"<{raised.key}@loopcast>"
    mail.set_content(message.text)
    return mail


class _RefuseRedirects(urllib.request.HTTPRedirectHandler):
    """What was signed for one address is not handed to another."""

    def redirect_request(self, *_: object) -> None:
        """No request: the answer that redirects is an error."""


def _post(url: str, body: bytes, headers: dict[str, str], timeout_s: float) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": f"loopcast/{__version__}", **headers}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310  the settings allow http(s) alone
    try:
        with urllib.request.build_opener(_RefuseRedirects).open(request, timeout=timeout_s):
            pass
    except urllib.error.HTTPError as exc:
        exc.close()
        is_passing = exc.code >= 500 or exc.code in PASSING_STATUSES
        raise DeliveryError(f"answered {exc.code}", is_passing=is_passing) from None
    except (OSError, HTTPException) as exc:  # URLError, timeouts and TLS among them
        raise DeliveryError(f"not reached: {_name_cause(exc)}", is_passing=True) from None


def _describe_mail_failure(exc: smtplib.SMTPException | OSError) -> DeliveryError:
    if isinstance(exc, smtplib.SMTPRecipientsRefused):
        codes = sorted({code for code, _ in exc.recipients.values()})
        sentence = f"all recipients were refused: {', '.join(map(str, codes))}"
        return DeliveryError(sentence, is_passing=max(codes) < 500)
    if isinstance(exc, smtplib.SMTPResponseException):
        return DeliveryError(f"answered {exc.smtp_code} ({type(exc).__name__})", is_passing=exc.smtp_code < 500)
    if isinstance(exc, smtplib.SMTPNotSupportedError):
        return DeliveryError("the server lacks STARTTLS, login or UTF-8 addresses", is_passing=False)
    return DeliveryError(f"not reached: {_name_cause(exc)}", is_passing=True)


def _name_cause(exc: BaseException) -> str:
    """The class of the error that led to another, with its words where they are the system's own."""
    cause = exc.reason if isinstance(exc, urllib.error.URLError) and isinstance(exc.reason, OSError) else exc
    is_of_system = type(cause).__module__ == "builtins" or isinstance(cause, socket.gaierror)
    words = cause.strerror if isinstance(cause, OSError) and is_of_system else None
    return type(cause).__name__ + (f", {words}" if words else "")
