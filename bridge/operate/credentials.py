"""The sealed part of a destination: where it is, and the secrets that sign what it is sent."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self
from urllib.parse import urlsplit

import msgspec

from bridge.core.signing import encode_secret
from bridge.store.vault import Vault, WrongSecretKey

SECRET_BYTES = 32


class Signing(msgspec.Struct, frozen=True):
    """One secret, ``whsec_...``. ``until`` is when it is no longer used; None: it is the newest."""

    key: str
    until: datetime | None = None

    def __repr__(self) -> str:
        return f"Signing(until={self.until})"


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    url: str
    secrets: tuple[Signing, ...]


def new_secret() -> str:
    """A signing secret, as it is written into a consumer's configuration."""
    return encode_secret(secrets.token_bytes(SECRET_BYTES))


def shown(url: str) -> str:
    """``url`` without what may be a credential in it: no user, no query."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """``secrets`` are the newest first."""

    url: str = field(repr=False)
    secrets: tuple[Signing, ...] = field(repr=False)

    @classmethod
    def opened(cls, vault: Vault, name: str, sealed: bytes) -> Self:
        """Raises NoSecretKey, WrongSecretKey: also where this was sealed for another destination."""
        found = msgspec.json.decode(vault.open(sealed), type=_Sealed)
        if found.name != name:
            raise WrongSecretKey(f"what is kept for the destination {name} was sealed for another one")
        return cls(found.url, found.secrets)

    def sealed(self, vault: Vault, name: str) -> bytes:
        """Raises NoSecretKey."""
        return vault.seal(msgspec.json.encode(_Sealed(name, self.url, self.secrets)))

    def valid(self, now: datetime) -> tuple[str, ...]:
        """The secrets to sign with, the newest first."""
        return tuple(one.key for one in self.secrets if one.until is None or now < one.until)

    def rotated(self, key: str, *, overlap_s: float, now: datetime) -> "Credentials":
        """With a new secret; the one before it is good for ``overlap_s`` more, and none that is older."""
        until = now + timedelta(seconds=overlap_s)
        former = tuple(Signing(one.key, until) for one in self.secrets if one.until is None and overlap_s > 0)
        return Credentials(self.url, (Signing(key), *former))
