"""What a URL comes to: where to connect, and the bytes of a request. Nothing of it goes into any text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from bridge import __version__

_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_AS_THEY_ARE = "/%:@!$&'()*+,;=~"
"""Signs of a path that mean themselves, or are escaped already."""


class Unsendable(ValueError):
    """There is no request to be made of what was given. The text may be shown."""


class Origin(NamedTuple):
    """What connections are kept by. ``host`` is ASCII, an IPv6 address without brackets."""

    tls: bool
    host: str
    port: int
    allow_private: bool


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests for one URL go. ``head`` is what all of them begin with, up to the body's length."""

    origin: Origin
    head: bytes = field(repr=False)

    def request(self, headers: Mapping[str, str], body: bytes) -> bytes:
        """A whole request. ``headers`` are sent as they are; those of the message's framing are ours to make.

        Raises:
            Unsendable: a header would not stay on its line, or is not Latin-1.
        """
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if lines.count("\r") != len(headers) or lines.count("\n") != len(headers) or "\0" in lines:
            raise Unsendable("a header cannot be sent")
        try:
            return b"%b%d\r\n%b\r\n%b" % (self.head, len(body), lines.encode("latin-1"), body)
        except UnicodeEncodeError:
            raise Unsendable("a header cannot be sent") from None


def target(url: str, *, allow_private: bool) -> Target:
    """The target that ``url`` names.

    Raises:
        Unsendable: it is no http or https URL with a host, or holds a user name; or it is an http URL, and only
            public addresses are allowed.
    """
    try:
        parts = urlsplit(url)
        usual = _PORTS[parts.scheme]
        port = parts.port or usual
        host, written = _host(parts.hostname or "")
    except (ValueError, KeyError):
        raise Unsendable("the URL cannot be used") from None
    if parts.port == 0 or parts.username is not None or parts.password is not None:
        raise Unsendable("the URL cannot be used")
    if parts.scheme == "http" and not allow_private:
        raise Unsendable("plain http is for private addresses, which are not allowed here")
    path = quote(parts.path or "/", safe=_AS_THEY_ARE)
    query = f"?{quote(parts.query, safe=_AS_THEY_ARE + '?')}" if parts.query else ""
    authority = written if port == usual else f"{written}:{port}"
    head = f"POST {path}{query} HTTP/1.1\r\nhost: {authority}\r\nuser-agent: bridge/{__version__}\r\ncontent-length: "
    return Target(Origin(parts.scheme == "https", host, port, allow_private), head.encode("ascii"))


def _host(name: str) -> tuple[str, str]:
    """The host as it is looked up, and as it is written in a request."""
    if ":" in name:
        address, _, zone = name.partition("%")
        if zone and not _NAME.fullmatch(zone):
            raise ValueError("not the zone of an address")
        return name, f"[{IPv6Address(address)}]"
    host = name.encode("idna").decode("ascii")
    if not _NAME.fullmatch(host):
        raise ValueError("not the name of a host")
    return host, host
