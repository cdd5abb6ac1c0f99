"""From a host name to a connected socket: every address is looked at before it is used, and used as it was looked at.

The name is resolved once for a connection and the connection is made to the address itself, so nothing that a
name server says afterwards can lead it elsewhere.
"""

import asyncio
import ipaddress
import socket

CONNECT_S = 10.0
"""For one address, so that a silent one leaves time for the next."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL = ipaddress.IPv6Network("2000::/3")
"""The only part of IPv6 that is handed out for the internet."""
_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocols between neighbours, and where some clouds keep what a machine may know of itself
        "168.63.129.16/32",  # a cloud's own services behind an address that looks public
        "192.88.99.0/24",  # relays of 6to4
        "2001::/23",  # protocols again, Teredo among them
        "3fff::/20",  # for documentation
    )
)
"""What Python, or one of its versions, counts as public and we do not."""


class Unconnected(OSError):
    """No connection, for a reason of our own. The text may be shown."""


def is_public(address: str) -> bool:
    """Whether ``address`` (IPv4 or IPv6, as text) is one of the public internet.

    An IPv6 address that stands for an IPv4 one (mapped, 6to4, NAT64) is judged by that one. One that carries an
    IPv4 address in any other way (compatible, Teredo) is not public.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = _inner(parsed)
        if inner is not None:
            return is_public(str(inner))
        if parsed not in _GLOBAL:
            return False
    if any(parsed in network for network in _SPECIAL):
        return False
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


async def connect(host: str, port: int, *, allow_private: bool) -> socket.socket:
    """A socket connected to the first address of ``host`` that takes it.

    Raises:
        socket.gaierror: the name has no address.
        OSError: what the last address answered; Unconnected where it may not be connected to.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failed: OSError = Unconnected("the name has no address")
    for family, kind, protocol, _name, address in found:
        if not allow_private and not is_public(str(address[0])):
            failed = Unconnected(f"{address[0]} is not a public address")
            continue
        try:
            return await _connect(socket.socket(family, kind, protocol), address)
        except OSError as error:
            failed = error
    raise failed


async def _connect(made: socket.socket, address: tuple[object, ...]) -> socket.socket:
    """``made``, connected; closed if that fails."""
    try:
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(CONNECT_S):
            await asyncio.get_running_loop().sock_connect(made, address)
    except BaseException:
        made.close()
        raise
    return made
