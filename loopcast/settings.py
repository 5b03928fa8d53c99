"""Where a machine keeps things: the frozen `Settings`, from the environment and never from a YAML."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AliasChoices, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from loopcast.addresses import (
    Blank,
    Link,
    MailAddress,
    MailAddresses,
    MailServer,
    Names,
    Origin,
    PublicAddress,
    Secret,
    WebAddress,
)
from loopcast.errors import SettingsError
from loopcast.mistakes import describe_mistakes
from loopcast.sections.base import PositiveFloat, PositiveInt

PREFIX: Final = "LOOPCAST_"
"""Of every variable."""
NEEDED_WITH: Final = {
    "alert_webhook_url": ("alert_webhook_secret",),
    "alert_smtp_url": ("alert_mail_from", "alert_mail_to"),
    "oidc_issuer": ("oidc_client_id", "oidc_client_secret", "public_url"),
    **dict.fromkeys(("oidc_client_id", "oidc_client_secret", "oidc_default_role"), ("oidc_issuer",)),
    **dict.fromkeys(("oidc_viewers", "oidc_operators", "oidc_admins"), ("oidc_issuer",)),
}
"""What some variables need beside them: a channel of alerts, and the sign-in of people."""


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
    flyte_project: str = "loopcast"
    """Project in Flyte in which trainings are started on demand."""
    flyte_domain: str = "development"
    """Its domain."""
    evidently_url: Link = None
    """Address at which people see Evidently, as `make ui` serves it; the desk leads there."""
    seed_processes: PositiveInt = 2
    """Processes that train seeds side by side; one thread each, so at most the machine's cores."""
    champion_poll_s: PositiveFloat = 5.0
    """Seconds between two looks of a service at the champion's alias and the newest snapshot."""
    journal_max_mb: PositiveInt = 1024
    """Megabytes of answered forecasts that may wait on a service's disk for the database; beyond, none is answered."""
    forecast_retention_months: PositiveInt | None = None
    """Months after which stored forecasts are forgotten, counted from when they were made; default: never."""
    queries_open_per_owner: PositiveInt = 10
    """Long queries that one person may have waiting or running."""
    query_processes: PositiveInt = 2
    """Queries that one worker computes side by side, each in a process of its own."""
    query_timeout_s: PositiveFloat = 3600.0
    """Seconds after which an attempt at a query is given up; a training counts as one."""
    query_max_mb: PositiveInt = 4096
    """Megabytes of memory that a query may take, beyond what programs and files take that it reads."""
    query_retention_days: PositiveInt = 30
    """Days after its end when a query is forgotten with its result, and an upload after it came."""
    upload_max_mb: PositiveInt = 100
    """Megabytes of one uploaded file."""
    uploads_max_mb_per_owner: PositiveInt = 1000
    """Megabytes of uploads that are kept of one person."""
    token_requests_per_s: PositiveFloat = 100.0
    """Requests a second that one token may make of one worker of a service; bursts of twice as many."""
    require_tokens: bool = False
    """Whether a service asks for a token on loopback too, as behind a proxy on the same machine; elsewhere always."""
    public_url: Origin = None
    """Where people reach the service, such as https://forecasts.example.org; from signing in they come back there."""
    oidc_issuer: PublicAddress = None
    """OpenID provider at which people sign in, word for word as it names itself; `docs/sign-in.md` says the rest."""
    oidc_client_id: Annotated[str | None, Blank] = None
    """Name that the provider gave this service."""
    oidc_client_secret: Secret = None
    """What the service signs in with at the provider."""
    oidc_scopes: str = "openid profile email"
    """What is asked of the provider."""
    oidc_role_claim: str = "groups"
    """Claim of the ID token whose values give people their role; dots lead into objects: `realm_access.roles`."""
    oidc_viewers: Names = ()
    """Values of that claim that make a viewer, with commas between them."""
    oidc_operators: Names = ()
    """Values that make an operator."""
    oidc_admins: Names = ()
    """Values that make an admin."""
    oidc_default_role: Annotated[Literal["viewer", "operator", "admin"] | None, Blank] = None
    """Role of everybody else whom the provider knows; default: they are refused."""
    oidc_sign_out: bool = False
    """Whether who signs out here is led on to sign out at the provider."""
    session_hours: PositiveFloat = 12.0
    """Hours after which people have to sign in again, whatever they do."""
    session_idle_hours: PositiveFloat = 2.0
    """Hours without a request after which they have to."""
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
    def _check_needed(self) -> Self:
        """What belongs together is named whole or not at all, so that nobody waits for what cannot come."""
        for name, needed in NEEDED_WITH.items():
            missing = [each for each in needed if not getattr(self, each)]
            if getattr(self, name) and missing:
                raise ValueError(f"{missing[0]}: found nothing, needs a value where {PREFIX}{name.upper()} has one")
        roles = (self.oidc_viewers, self.oidc_operators, self.oidc_admins, self.oidc_default_role)
        if self.oidc_issuer and not any(roles):
            raise ValueError(
                "oidc_default_role: found nothing, and no values of a claim that give a role: nobody could "
                f"sign in; set it, or {PREFIX}OIDC_VIEWERS, _OPERATORS or _ADMINS"
            )
        if "openid" not in self.oidc_scopes.split():
            raise ValueError(f"oidc_scopes: found {self.oidc_scopes!r}, needs `openid` among them")
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
