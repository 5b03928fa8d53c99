"""Addresses in settings, checked when those are read; what may hold a secret is never quoted."""

import ipaddress
import re
from typing import Annotated, Any, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

MAIL_SCHEMES: Final = ("smtps", "starttls", "smtp")
MAIL_ADDRESS: Final = re.compile(r"[^@\s<>,;:\"]+@[^@\s<>,;:\"]+")


def _read_blank_as_none(value: Any) -> Any:
    """What a variable that is set to nothing means."""
    return None if isinstance(value, str) and not value.strip() else value


def _split_list(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _check_web_address(secret: SecretStr | None) -> SecretStr | None:
    if secret is not None and not _is_private(_split(secret, "https://host/path")):
        raise ValueError("found an address without TLS, needs https://host/path, or http:// on this machine")
    return secret


def _check_public_address(address: str | None) -> str | None:
    if address is not None:
        parts = _split(SecretStr(address), "https://host/path")
        if not _is_private(parts) or parts.query or parts.fragment or parts.username:
            raise ValueError(f"found {address!r}, needs https://host/path, or http:// on this machine")
    return address


def _check_link(address: str | None) -> str | None:
    if address is not None:
        parts = _split(SecretStr(address), "https://host/path")
        if parts.scheme not in {"http", "https"} or parts.username or parts.query or parts.fragment:
            raise ValueError("found an address that no browser should be led to, needs https://host/path")
    return None if address is None else address.rstrip("/")


def _check_origin(address: str | None) -> str | None:
    if _check_public_address(address) is None:
        return None
    parts = urlsplit(str(address))
    if parts.path.strip("/"):
        raise ValueError(f"found {address!r}, needs https://host alone, because the pages lie at its root")
    netloc = parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")
    return f"{parts.scheme}://{netloc}"


def _check_mail_server(secret: SecretStr | None) -> SecretStr | None:
    if secret is not None:
        form = "smtps://user:password@host:465 or starttls://user:password@host:587"
        parts = _split(secret, form)
        if parts.scheme not in MAIL_SCHEMES or (parts.scheme == "smtp" and not is_loopback(parts.hostname or "")):
            raise ValueError(f"found an address without TLS, needs {form}, or smtp:// on this machine")
    return secret


def _check_mail_address(address: str) -> str:
    if not MAIL_ADDRESS.fullmatch(address):
        raise ValueError(f"found {address!r}, needs name@example.org")
    return address


def _split(secret: SecretStr, form: str) -> SplitResult:
    text = secret.get_secret_value()
    try:
        parts = urlsplit(text)
        is_readable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_readable = False
    if not is_readable or not text.isprintable() or " " in text:
        raise ValueError(f"cannot be read; needs {form}, with %40 for @ and %2F for / inside a password") from None
    return parts


def _is_private(parts: SplitResult) -> bool:
    """Whether nobody on the way reads what is sent there."""
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def is_loopback(host: str) -> bool:
    """Whether what is sent there stays on this machine.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "example.org", "10.0.0.1")]
    [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Blank = BeforeValidator(_read_blank_as_none)
Secret = Annotated[SecretStr | None, Blank]
WebAddress = Annotated[SecretStr | None, Blank, AfterValidator(_check_web_address)]
PublicAddress = Annotated[str | None, Blank, AfterValidator(_check_public_address)]
"""Of another service; nothing secret is in it, and it stays as it was written, because it is compared."""
Link = Annotated[str | None, Blank, AfterValidator(_check_link)]
"""To which pages lead people; nothing is sent there."""
Origin = Annotated[str | None, Blank, AfterValidator(_check_origin)]
"""Scheme, host and port, as a browser writes them."""
MailServer = Annotated[SecretStr | None, Blank, AfterValidator(_check_mail_server)]
MailAddress = Annotated[str, AfterValidator(_check_mail_address)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_list)]
"""With commas between them."""
MailAddresses = Annotated[tuple[MailAddress, ...], NoDecode, BeforeValidator(_split_list)]
