"""Where a machine keeps things: the frozen `Settings`, from the environment and never from a YAML."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AliasChoices, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from loopcast.addresses import Blank, MailAddress, MailAddresses, MailServer, Secret, WebAddress
from loopcast.errors import SettingsError
from loopcast.mistakes import describe_mistakes
from loopcast.sections.base import PositiveFloat, PositiveInt

PREFIX: Final = "LOOPCAST_"
"""Of every variable."""
NEEDED_WITH: Final = {
    "alert_webhook_url": ("alert_webhook_secret",),
    "alert_smtp_url": ("alert_mail_from", "alert_mail_to"),
}
"""What each channel of alerts needs beside its address."""


class Settings(BaseSettings):
    """Where this machine keeps things; built once at an entry point and passed down."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    home: Path = Path(".loopcast")
    """Work folder of everything that a local run writes."""
    database_url: str | None = Field(default=None, repr=False)
    """PostgreSQL server; without it an embedded one runs under `home`."""
    artifacts_url: str | None = None
    """Folder or bucket (any fsspec URL) for snapshots and models; default: `home`/artifacts."""
    tracking_uri: str | None = Field(
        default=None, validation_alias=AliasChoices("LOOPCAST_TRACKING_URI", "MLFLOW_TRACKING_URI")
    )
    """MLflow server; without it MLflow runs on the same PostgreSQL, with no server."""
    actor: str | None = None
    """Who is written beside a decision; default: the Flyte execution, else the user of the machine."""
    git_commit: str | None = None
    """Commit of the code where there is no checkout, as in an image; default: what git says."""
    console_url: str | None = None
    """Address of the Flyte console, from which the link to an execution is made."""
    seed_processes: PositiveInt = 2
    """Processes that train seeds side by side; one thread each, so at most the machine's cores."""
    champion_poll_s: PositiveFloat = 5.0
    """Seconds between two looks of a service at the champion's alias and the newest snapshot."""
    journal_max_mb: PositiveInt = 1024
    """Megabytes of answered forecasts that may wait on a service's disk for the database; beyond, none is answered."""
    forecast_retention_months: PositiveInt | None = None
    """Months after which stored forecasts are forgotten, counted from when they were made; default: never."""
    token_requests_per_s: PositiveFloat = 100.0
    """Requests a second that one token may make of one worker of a service; bursts of twice as many."""
    require_tokens: bool = False
    """Whether a service asks for a token on loopback too, as behind a proxy on the same machine; elsewhere always."""
    alert_webhook_url: WebAddress = None
    """Where a signed message goes for each condition that is raised or has recovered."""
    alert_webhook_secret: Secret = None
    """What that message is signed with; `docs/alerts.md` shows how the receiver checks it."""
    alert_slack_url: WebAddress = None
    """Incoming webhook of Slack, or of a chat that takes Slack's form."""
    alert_smtp_url: MailServer = None
    """Mail server: `smtps://user:password@host:port`, `starttls://` likewise, or `smtp://` on this machine."""
    alert_mail_from: Annotated[MailAddress | None, Blank] = None
    """Sender of mails."""
    alert_mail_to: MailAddresses = ()
    """Recipients of mails, with commas between them."""
    alert_timeout_s: PositiveFloat = 10.0
    """Seconds that one channel may cost a run, all attempts together."""

    @model_validator(mode="after")
    def _check_channels(self) -> Self:
        """A channel is named whole or not at all, so that nobody waits for messages that cannot come."""
        for name, needed in NEEDED_WITH.items():
            missing = [each for each in needed if not getattr(self, each)]
            if getattr(self, name) and missing:
                raise ValueError(f"{missing[0]}: found nothing, needs a value where {PREFIX}{name.upper()} has one")
        return self

    @cached_property
    def home_path(self) -> Path:
        """The work folder, absolute."""
        return self.home.expanduser().resolve()

    @property
    def artifacts(self) -> str:
        """The artifact store's root: a folder's absolute path or a URL."""
        return self.artifacts_url or str(self.home_path / "artifacts")


def read_settings() -> Settings:
    """Return the settings that the environment gives.

    Raises:
        SettingsError: A variable has a value that cannot be.
    """
    try:
        return Settings()
    except ValidationError as exc:
        mistakes = (mistake.partition(": ") for mistake in describe_mistakes(exc))
        sentences = "; ".join(f"{PREFIX}{name.upper()}: {what}" for name, _, what in mistakes)
        raise SettingsError(f"{sentences}; correct or unset it") from exc
