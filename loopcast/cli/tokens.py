"""Commands about tokens: who may ask the service for what, and until when."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import typer

from loopcast.cli.audit import record_act
from loopcast.cli.opening import name_problems, open_stores
from loopcast.errors import SettingsError

tokens = typer.Typer(name="tokens", help="Create, list and revoke the tokens of the service.", no_args_is_help=True)


@tokens.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="What it is for, such as dashboards.")],
    role: Annotated[
        Literal["viewer", "operator", "admin"],
        typer.Option(help="What it allows; each role also what those before it do."),
    ] = "viewer",
    problem: Annotated[list[str] | None, typer.Option(help="Problem it may ask about; repeat for more.")] = None,
    all_problems: Annotated[bool, typer.Option("--all-problems", help="Let it ask about every problem.")] = False,
    expires_days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days until it expires; default: never.")
    ] = None,
) -> None:
    """Create a token of the service and show its secret, this once."""
    from loopcast.stores.audit import Act
    from loopcast.stores.lineage import read_actor
    from loopcast.stores.tokens import Role

    if bool(problem) == all_problems:
        raise SettingsError(
            f"{name}: found {'both' if problem else 'neither'} --problem and --all-problems, needs one of them, "
            "so that it is clear what the token may ask about"
        )
    stores = open_stores()
    unknown = sorted(set(problem or ()).difference(stores.decisions.problems()))
    if unknown:
        raise SettingsError(f"{name}: no model of {', '.join(unknown)} was trained here; {name_problems(stores)}")
    expires_at_utc = None if expires_days is None else datetime.now(UTC) + timedelta(days=expires_days)
    token, secret = stores.tokens.create(name, read_actor(stores.settings), Role(role), problem or (), expires_at_utc)
    record_act(
        stores, Act.TOKEN_CREATED, str(token.id),
        name=name, role=role, problems=", ".join(token.problems) or "all",
        expires="never" if expires_at_utc is None else f"{expires_at_utc:%Y-%m-%d}",
    )  # fmt: skip
    typer.echo(secret)
    typer.echo(
        f"This is the secret of {token.name}, token {token.id}; it is not shown again. Send it with each request as "
        "`Authorization: Bearer SECRET`.",
        err=True,
    )


@tokens.command("list")
def list_tokens() -> None:
    """List all tokens of the service, the oldest first, without their secrets."""
    now_utc = datetime.now(UTC)
    found = open_stores().tokens.list_all()
    for token in found:
        if token.revoked_at_utc is not None:
            state = f"revoked {token.revoked_at_utc:%Y-%m-%d}"
        elif token.expires_at_utc is not None:
            state = f"{'expires' if token.is_active(now_utc) else 'expired'} {token.expires_at_utc:%Y-%m-%d}"
        else:
            state = "does not expire"
        typer.echo(
            f"{token.id}  {token.name:<20} {token.role:<8} of {', '.join(token.problems) or 'all problems'}, "
            f"made {token.created_at_utc:%Y-%m-%d} by {token.owner}, {state}"
        )
    if not found:
        typer.echo("no tokens; `loopcast tokens create NAME --all-problems` makes one")


@tokens.command("revoke")
def revoke_token(token_id: Annotated[UUID, typer.Argument(help="Its id, as `loopcast tokens list` shows it.")]) -> None:
    """End a token; services notice within seconds."""
    from loopcast.stores.audit import Act

    stores = open_stores()
    token = stores.tokens.revoke(token_id)
    record_act(stores, Act.TOKEN_REVOKED, str(token_id), name=token.name, owner=token.owner)
    typer.echo(f"{token.name}: revoked {token.revoked_at_utc:%Y-%m-%d %H:%M} UTC")
