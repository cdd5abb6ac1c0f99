"""How a venue signs its deliveries, and whether one is genuine. Pure: no clock, nothing logged.

A profile is pinned per source. ``learn`` tries every candidate, ``verify`` only ever the pinned one.
"""

import base64
import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import product
from typing import Literal

Encoding = Literal["hex", "base64"]
KeyForm = Literal["utf8", "hex"]
Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case and values, as ASGI gives them."""

_BODY, _TIMESTAMP = "{body}", "{timestamp}"
_TIMESTAMP_CHARS_MAX = 20
_MILLISECONDS_FROM = 100_000_000_000
"""A timestamp from here on counts milliseconds: in seconds it would be the year 5138."""

CANDIDATE_HEADERS = ("X-Webhook-Signature", "X-Signature", "X-Hub-Signature-256", "X-Prediction-Signature")
CANDIDATE_PREFIXES = ("", "sha256=", "v1=")
CANDIDATE_ENCODINGS: tuple[Encoding, ...] = ("hex", "base64")
CANDIDATE_KEYS: tuple[KeyForm, ...] = ("utf8", "hex")
CANDIDATE_CONTENTS = ("{body}", "{timestamp}.{body}")
CANDIDATE_TIMESTAMP_HEADERS = ("X-Webhook-Timestamp", "X-Timestamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureProfile:
    """One way to sign. ``content`` is a template over ``{timestamp}`` (the header's own text) and ``{body}``."""

    header: str = "X-Webhook-Signature"
    encoding: Encoding = "hex"
    prefix: str = ""
    content: str = _BODY
    key: KeyForm = "utf8"
    timestamp_header: str = "X-Webhook-Timestamp"
    tolerance_s: float = 300.0

    def __post_init__(self) -> None:
        if self.content.count(_BODY) != 1 or self.content.count(_TIMESTAMP) > 1:
            raise ValueError("the signed content holds {body} once and {timestamp} at most once")

    @property
    def signs_timestamp(self) -> bool:
        return _TIMESTAMP in self.content


def verify(profile: SignatureProfile, secrets: Sequence[str], headers: Headers, body: bytes, now: datetime) -> bool:
    """True if ``body`` was signed with one of ``secrets`` the way ``profile`` says, and in time.

    Takes the same time whichever secret matches. A signature, timestamp or secret that cannot be read is no
    match; a signature header that stands twice is none either.
    """
    given = _only(headers, profile.header)
    if given is None:
        return False
    stamp = _only(headers, profile.timestamp_header)
    if stamp is None:
        # Absent is legal where it is not signed; twice is not, because nobody could say which one counts.
        if profile.signs_timestamp or _has(headers, profile.timestamp_header):
            return False
    elif not _in_time(stamp, now, profile.tolerance_s):
        return False
    content = _content(profile, stamp, body)
    genuine = False
    for secret in secrets:
        genuine |= _matches(profile, secret, content, given)
    return genuine


def learn(headers: Iterable[tuple[bytes, bytes]], body: bytes, secret: str) -> list[SignatureProfile]:
    """The profiles under which one captured delivery is genuine; its age does not count.

    One that signs no timestamp says nothing of the timestamp's header: it is named if the delivery has one.
    """
    captured = [(name.lower(), value) for name, value in headers]
    found: list[SignatureProfile] = []
    for profile in _candidates(captured):
        given = _only(captured, profile.header)
        stamp = _only(captured, profile.timestamp_header)
        if given is None or (profile.signs_timestamp and stamp is None):
            continue
        if _matches(profile, secret, _content(profile, stamp, body), given):
            found.append(profile)
    return found


def _candidates(captured: Headers) -> Iterator[SignatureProfile]:
    default = next(
        (name for name in CANDIDATE_TIMESTAMP_HEADERS if _has(captured, name)), CANDIDATE_TIMESTAMP_HEADERS[0]
    )
    for header, prefix, encoding, key, content in product(
        CANDIDATE_HEADERS, CANDIDATE_PREFIXES, CANDIDATE_ENCODINGS, CANDIDATE_KEYS, CANDIDATE_CONTENTS
    ):
        for stamp_header in CANDIDATE_TIMESTAMP_HEADERS if _TIMESTAMP in content else (default,):
            yield SignatureProfile(
                header=header,
                prefix=prefix,
                encoding=encoding,
                key=key,
                content=content,
                timestamp_header=stamp_header,
            )


def _matches(profile: SignatureProfile, secret: str, content: bytes, given: bytes) -> bool:
    key = _key(secret, profile.key)
    if not key:
        return False
    digest = hmac.digest(key, content, "sha256")
    prefix = profile.prefix.encode()
    if profile.encoding == "hex":
        expected = prefix + digest.hex().encode()
        given = given[: len(prefix)] + given[len(prefix) :].lower()
    else:
        expected = prefix + base64.b64encode(digest)
    return hmac.compare_digest(expected, given)


def _key(secret: str, form: KeyForm) -> bytes:
    """The key's bytes; empty where there are none."""
    try:
        return bytes.fromhex(secret) if form == "hex" else secret.encode()
    except ValueError:
        return b""


def _content(profile: SignatureProfile, stamp: bytes | None, body: bytes) -> bytes:
    if profile.content == _BODY:
        return body
    before, after = profile.content.split(_BODY)
    text = (stamp or b"").decode("latin-1")
    return (
        before.replace(_TIMESTAMP, text).encode("latin-1", "replace")
        + body
        + after.replace(_TIMESTAMP, text).encode("latin-1", "replace")
    )


def _in_time(stamp: bytes, now: datetime, tolerance_s: float) -> bool:
    if len(stamp) > _TIMESTAMP_CHARS_MAX or not stamp.isdigit():
        return False
    at = int(stamp)
    seconds = at / 1000 if at >= _MILLISECONDS_FROM else float(at)
    return abs(now.timestamp() - seconds) <= tolerance_s


def _only(headers: Headers, name: str) -> bytes | None:
    """The value of the header, or None where it is absent or stands more than once."""
    wanted = _on_the_wire(name)
    value: bytes | None = None
    for header, given in headers:
        if header == wanted:
            if value is not None:
                return None
            value = given
    return None if value is None else value.strip()


def _has(headers: Headers, name: str) -> bool:
    wanted = _on_the_wire(name)
    return any(header == wanted for header, _ in headers)


@lru_cache(maxsize=64)
def _on_the_wire(name: str) -> bytes:
    return name.lower().encode("latin-1", "replace")
