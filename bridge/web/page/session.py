"""Sessions: what a browser keeps to be known again, signed, and never the token itself.

A session says which token it began with and holds a fingerprint of that token. It ends by itself, and whenever the
token is no longer good; whoever reads one has to ask for that each time.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec
from itsdangerous import BadData, URLSafeSerializer
from starlette.requests import Request
from starlette.responses import Response

from bridge.config.settings import Settings

LIFE_S = 12 * 3600
NONCE_BYTES = 16
CHARS_MAX = 4_000
SAID_CHARS_MAX = 600
NOBODY = "loopback"
"""What a session begins with where there is no token: this machine needs none, but its forms are bound to one too."""

_LABEL = b"bridge: the page, sessions and forms"

T = TypeVar("T")


class Session(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """``token_id`` is what ``Access`` knows the token by; ``nonce`` is what its forms are bound to."""

    token_id: str
    fingerprint: str
    nonce: str
    until_s: int


class Said(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What was done, for the next page that is shown in the session of this ``nonce``."""

    nonce: str
    text: str
    is_problem: bool = False


def keys_of(settings: Settings) -> list[bytes]:
    """What to sign with, the newest first: from the secret keys, else from the token, else for this process alone."""
    given = [key.get_secret_value() for key in settings.secret_key]
    if not given and settings.api_token is not None:
        given = [settings.api_token.get_secret_value()]
    if not given:
        return [secrets.token_bytes(32)]
    return [hmac.digest(key.encode(), _LABEL, hashlib.sha256) for key in given]


class Signer:
    """Signs with the first of ``keys``, and knows again what was signed with any of them."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = list(keys)

    def write(self, kind: str, value: msgspec.Struct) -> str:
        """``value`` as text that nobody else can make. It can be read by whoever has it."""
        return self._serializer(kind).dumps(msgspec.to_builtins(value))

    def read(self, kind: str, shape: type[T], given: str) -> T | None:
        """What was written as this ``kind``; None for anything else."""
        try:
            return msgspec.convert(self._serializer(kind).loads(given), shape) if len(given) <= CHARS_MAX else None
        except (BadData, msgspec.ValidationError):
            return None

    def mark(self, kind: str, about: bytes) -> str:
        """A mark that goes with ``about`` and nothing else."""
        return self._mark(self._keys[0], kind, about)

    def is_mark(self, kind: str, about: bytes, given: str) -> bool:
        """Whether ``given`` is the mark of ``about``; every answer takes the same time."""
        shown = given.encode()
        fits = [hmac.compare_digest(self._mark(key, kind, about).encode(), shown) for key in self._keys]
        return any(fits)

    def _serializer(self, kind: str) -> URLSafeSerializer:
        signing = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        # Theirs are the oldest first.
        return URLSafeSerializer(self._keys[::-1], salt=f"bridge.{kind}", signer_kwargs=signing)

    @staticmethod
    def _mark(key: bytes, kind: str, about: bytes) -> str:
        return hmac.digest(key, f"{kind}\n".encode() + about, hashlib.sha256)[:NONCE_BYTES].hex()


class Sessions:
    """Begins sessions, and knows them again."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def begin(self, token_id: str, digest: bytes, now: datetime) -> Session:
        """A session of whoever showed the token with this ``digest``."""
        until = now + timedelta(seconds=LIFE_S)
        return Session(token_id, self._signer.mark("token", digest), new_nonce(), int(until.timestamp()))

    def read(self, request: Request, now: datetime) -> Session | None:
        """The session that the browser holds, if it is one of ours and not over."""
        found = self._signer.read("session", Session, request.cookies.get(name_of(request, "session"), ""))
        return None if found is None or now.timestamp() >= found.until_s else found

    def is_of(self, session: Session, digest: bytes) -> bool:
        """Whether the session began with the token of this ``digest``."""
        return self._signer.is_mark("token", digest, session.fingerprint)

    def keep(self, request: Request, response: Response, session: Session) -> None:
        """Let the browser hold it."""
        keep(request, response, "session", self._signer.write("session", session), for_s=LIFE_S)

    def form_mark(self, nonce: str) -> str:
        """What every form carries that is shown in the session of this ``nonce``."""
        return self._signer.mark("form", nonce.encode())

    def is_form_mark(self, nonce: str, given: str) -> bool:
        return self._signer.is_mark("form", nonce.encode(), given)

    def say(self, request: Request, response: Response, said: Said) -> None:
        """Let the next page say it. A browser keeps no cookie that is too long."""
        said = msgspec.structs.replace(said, text=said.text[:SAID_CHARS_MAX])
        keep(request, response, "said", self._signer.write("said", said), for_s=60)

    def said(self, request: Request, session: Session) -> Said | None:
        """What the page before this one left to be said, in this session."""
        found = self._signer.read("said", Said, request.cookies.get(name_of(request, "said"), ""))
        return found if found is not None and found.nonce == session.nonce else None


def new_nonce() -> str:
    return secrets.token_hex(NONCE_BYTES)


def is_https(request: Request) -> bool:
    """Whether the browser speaks TLS, to us or to the proxy before us."""
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return request.url.scheme == "https" or forwarded == "https"


def name_of(request: Request, kind: str) -> str:
    """A cookie's name. Under the prefix a browser takes it from this host alone, by TLS."""
    return f"__Host-bridge_{kind}" if is_https(request) else f"bridge_{kind}"


def keep(request: Request, response: Response, kind: str, value: str, *, for_s: int) -> None:
    """Set a cookie that no script reads and no other site sends."""
    response.set_cookie(
        name_of(request, kind),
        value,
        max_age=for_s,
        path="/",
        secure=is_https(request),
        httponly=True,
        samesite="strict",
    )


def drop(request: Request, response: Response, kind: str) -> None:
    """Let the browser forget a cookie."""
    keep(request, response, kind, "", for_s=0)
