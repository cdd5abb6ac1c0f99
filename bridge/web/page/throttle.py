"""How often somebody may guess: failures of one address, and of all of them, by a clock that only grows."""

from collections import OrderedDict
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from starlette.requests import Request

PROXIES = [
    ip_network(network)
    for network in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "::1",
        "fc00::/7",
        "fe80::/10",
    )
]
"""Where a proxy of our own may be."""
PEERS_MAX = 1_000
PEER_FAILURES_MAX = 5
PEER_FORGIVEN_S = 30.0
ALL_FAILURES_MAX = 100
ALL_FORGIVEN_S = 1.0


class Failures:
    """At most ``most`` of them at once; one is forgiven every ``forgiven_s``."""

    def __init__(self, most: int, forgiven_s: float) -> None:
        self._most = most
        self._forgiven_s = forgiven_s
        self._count = 0.0
        self._as_of = 0.0

    def wait_s(self, now: float) -> float:
        """How long until one more is allowed; 0.0: now."""
        self._forgive(now)
        return max(0.0, (self._count - self._most + 1) * self._forgiven_s)

    def add(self, now: float) -> None:
        self._forgive(now)
        self._count = min(float(self._most), self._count + 1)

    def _forgive(self, now: float) -> None:
        passed = max(0.0, now - self._as_of)
        self._count = max(0.0, self._count - passed / self._forgiven_s)
        self._as_of = max(self._as_of, now)


class Throttle:
    """Failures by peer. Of more than ``PEERS_MAX`` the one that has failed least lately is forgotten: the limit on
    all of them together is what holds against many addresses. It holds nobody back who has signed in before, or
    whoever guesses from many addresses keeps everybody out."""

    def __init__(self) -> None:
        self._all = Failures(ALL_FAILURES_MAX, ALL_FORGIVEN_S)
        self._peers: OrderedDict[str, Failures] = OrderedDict()
        self._welcome: OrderedDict[str, None] = OrderedDict()

    def wait_s(self, peer: str, now: float) -> float:
        """How long the peer has to wait before it may try; 0.0: not at all."""
        known = self._peers.get(peer)
        alone_s = 0.0 if known is None else known.wait_s(now)
        return alone_s if peer in self._welcome else max(self._all.wait_s(now), alone_s)

    def welcome(self, peer: str) -> None:
        """The peer has shown a good token."""
        self._welcome[peer] = None
        self._welcome.move_to_end(peer)
        if len(self._welcome) > PEERS_MAX:
            self._welcome.popitem(last=False)

    def fail(self, peer: str, now: float) -> None:
        """The peer has guessed wrong."""
        self._all.add(now)
        known = self._peers.pop(peer, None) or Failures(PEER_FAILURES_MAX, PEER_FORGIVEN_S)
        known.add(now)
        self._peers[peer] = known
        if len(self._peers) > PEERS_MAX:
            self._peers.popitem(last=False)


def peer_of(request: Request) -> str:
    """Who is counted: an address, or a network of IPv6, of which one host has as many as it likes.

    Behind a proxy on a private address it is who the proxy says it is; anybody else may write what they like.
    """
    peer = request.client.host if request.client else ""
    forwarded = request.headers.getlist("x-forwarded-for")
    address = _address(peer)
    if forwarded and address is not None and any(address in network for network in PROXIES):
        address = _address(forwarded[-1].rpartition(",")[2].strip())
    return str(IPv6Network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)


def _address(given: str) -> IPv4Address | IPv6Address | None:
    """An IPv4 one in an IPv6 dress counts as what it is. Some proxies add a port."""
    try:
        address = ip_address(given)
    except ValueError:
        try:
            address = ip_address(urlsplit(f"//{given}").hostname or "")
        except ValueError:
            return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
