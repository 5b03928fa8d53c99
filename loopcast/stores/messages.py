"""What is said about an alert, in plain words; how it travels stands in `channels`."""

import json
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel

from loopcast.evidence.record import RECORD
from loopcast.stores.conditions import Alert, AlertState

MAX_TEXT_CHARACTERS: Final = 3000
"""A Slack block holds as many; whoever wants more opens the report."""


class Message(BaseModel):
    """That an alert was raised, or that it has recovered."""

    model_config = RECORD

    alert: Alert
    news: AlertState

    @property
    def key(self) -> str:
        """The same whenever the message is sent again: by this a receiver knows what it had already."""
        return f"{self.alert.id}.{self.news}"

    @property
    def title(self) -> str:
        """One line, without control characters."""
        is_raised = self.news is AlertState.RAISED
        first = self.alert.severity.upper() if is_raised else "RECOVERED"
        about = f" ({self.alert.subject})" if self.alert.subject else ""
        return one_line(f"{first} {self.alert.problem}: {self.alert.kind.replace('_', ' ')}{about}")

    @property
    def text(self) -> str:
        """What, since when, on which figures, what was done about it, and where to look."""
        alert = self.alert
        lines = [alert.sentence, ""]
        if self.news is AlertState.RAISED:
            lines.append(f"Since: {_write_moment(alert.raised_at_utc)}")
        else:
            ended = alert.recovered_at_utc or alert.last_seen_at_utc
            lines[0] = f"This is over: {alert.sentence}"
            lines.append(f"From {_write_moment(alert.raised_at_utc)} to {_write_moment(ended)}, seen {alert.n_seen} x")
        if alert.figures:
            figures = ", ".join(f"{name} {value:.4g}" for name, value in alert.figures.items())
            lines.append(f"{'Figures' if self.news is AlertState.RAISED else 'Figures then'}: {figures}")
        if alert.action:
            lines.append(f"What Loopcast did: {alert.action}")
        lines.append(f"Where to look: {alert.link or f'loopcast alerts {alert.problem}'}")
        text = "\n".join(lines)
        return text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[: MAX_TEXT_CHARACTERS - 1]}…"

    @property
    def payload(self) -> dict[str, Any]:
        """The message for a program: every field of the alert as JSON, with the words for a person beside them."""
        fields = json.loads(self.alert.model_dump_json(exclude={"id", "state"}))
        return {"id": self.key, "news": str(self.news), "title": self.title, "text": self.text, **fields}


def one_line(text: str) -> str:
    r"""The text with each run of blanks and control characters as one blank.

    >>> one_line("drift\r\nBcc: everybody@example.org\x1b[0m ")
    'drift Bcc: everybody@example.org [0m'
    """
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _write_moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
