"""What ``bridge doctor`` looks at: each check says what is so, how bad that is, and what to do about it."""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from random import SystemRandom
from typing import Literal
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.cli.show import plain, seconds
from bridge.cli.venue import opened
from bridge.clock import Clock
from bridge.config import Destination, Settings
from bridge.config.playbatman import PlayBatman as NumberedSource
from bridge.config.settings import Followed, Source
from bridge.core.channel import Channel, Repair
from bridge.core.destination import matcher
from bridge.core.errors import ConfigError, NotAtHead, VenueError
from bridge.egress import is_public
from bridge.sources.base import KeyRefused
from bridge.store.engine import require_head
from bridge.store.overview import look
from bridge.web.access import is_loopback
from bridge.web.hooks import PREFIX
from bridge.wiring.markets import delivered, open_market

VENUE_TIMEOUT_S = 15.0
RESOLVE_TIMEOUT_S = 5.0
CLOCK_SKEW_MAX_S = 5.0
LOOK_BACK = timedelta(seconds=10)
TOKEN_CHARS_MIN = 20

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line. ``todo`` is empty where nothing is to be done."""

    level: Level
    subject: str
    what: str
    todo: str = ""


def of_access(settings: Settings) -> Iterator[Check]:
    """Who can read the API."""
    if settings.api_token is not None:
        if len(settings.api_token.get_secret_value()) < TOKEN_CHARS_MIN:
            todo = f"make BRIDGE_API_TOKEN {TOKEN_CHARS_MIN} random characters or more"
            yield Check("warn", "api", "the bearer token is so short that it can be guessed", todo)
        else:
            yield Check("ok", "api", "readable with the bearer token")
    elif is_loopback(settings.host) or settings.host == "localhost":
        yield Check("ok", "api", "readable from this machine only")
    else:
        yield Check("warn", "api", "no token is set, so nobody elsewhere can read /v1", "set BRIDGE_API_TOKEN")


async def of_database(engine: AsyncEngine, clock: Clock) -> list[Check]:
    """Version, migrations, and whatever in the rows waits for a person. Raises StoreUnavailable."""
    async with engine.connect() as connection:
        version = (await connection.execute(text("SHOW server_version"))).scalar_one()
    found = [Check("ok", "database", f"PostgreSQL {version} answers")]
    try:
        await require_head(engine)
    except NotAtHead as error:
        return [*found, Check("fail", "migrations", str(error), "'bridge run' migrates by itself")]
    found.append(Check("ok", "migrations", "at head"))
    overview = await look(engine)
    for stream in overview.streams:
        if stream.suspect_at is not None:
            todo = f"'bridge epoch {stream.name} --same' or '--new', once you know"
            found.append(Check("fail", stream.name, "frozen: the venue's numbering is in doubt", todo))
    for one in overview.destinations:
        if one.state == "stopped":
            todo = f"'bridge destinations resume {one.name}' once it can take deliveries"
            found.append(Check("fail", f"destination {one.name}", f"stopped: {plain(one.reason)}", todo))
    for connection_row in overview.connections:
        if connection_row.state_at(clock.now()) == "misconfigured":
            todo = f"check sources.{connection_row.source}.api_key"
            what = f"the socket is refused: {plain(connection_row.detail)}"
            found.append(Check("fail", f"source {connection_row.source}", what, todo))
    return found


async def of_source(source: Source, clock: Clock) -> list[Check]:
    """Whether the venue answers our key, and whether all ways of hearing are configured."""
    if isinstance(source, NumberedSource):
        return [await _venue(source, clock), *_ways(source)]
    followed = [await _market(source, clock)] if source.channels else []
    return [*followed, *(_delivered(source, channel) for channel in delivered(source))]


def _delivered(source: Followed, channel: Channel) -> Check:
    """What can be said of deliveries before one comes: who is to send them where."""
    what = f"{channel.series} are taken at {PREFIX}{source.name}, the {channel.topic} to give to the venue"
    return Check("ok", f"source {source.name}", what)


async def _market(source: Followed, clock: Clock) -> Check:
    """Whether the venue's lists answer for the first channel, with this key where it is private."""
    subject, key = f"source {source.name}", f"sources.{source.name}"
    try:
        market = open_market(source, clock=clock, jitter=SystemRandom().random)
    except ConfigError as error:
        return Check("fail", subject, str(error), f"check {key}.channels")
    listed = [channel for channel in market.channels if channel.repair is Repair.HISTORY] or [*market.channels]
    now = clock.now()
    try:
        async with asyncio.timeout(VENUE_TIMEOUT_S):
            await market.recall(listed[0], now - LOOK_BACK, now)
    except TimeoutError:
        return Check("fail", subject, f"no answer within {seconds(VENUE_TIMEOUT_S)}", f"check {key}.rest_url")
    except KeyRefused as error:
        return Check("fail", subject, str(error), f"check {key}.api_key")
    except VenueError as error:
        return Check("fail", subject, str(error), f"check {key}.rest_url, and whether the venue is up")
    finally:
        await market.close()
    return Check("ok", subject, f"the venue answers; {len(market.channels)} channels are followed")


async def _venue(source: NumberedSource, clock: Clock) -> Check:
    subject, key = f"source {source.name}", f"sources.{source.name}"
    try:
        async with asyncio.timeout(VENUE_TIMEOUT_S), opened(source, clock) as venue:
            page = await venue.replay.page(since=None, limit=1)
    except TimeoutError:
        return Check("fail", subject, f"no answer within {seconds(VENUE_TIMEOUT_S)}", f"check {key}.rest_url")
    except KeyRefused as error:
        return Check("fail", subject, str(error), f"check {key}.api_key")
    except VenueError as error:
        return Check("fail", subject, str(error), f"check {key}.rest_url, and whether the venue is up")
    skew_s = 0.0 if page.venue_now is None else (clock.now() - page.venue_now).total_seconds()
    if abs(skew_s) > CLOCK_SKEW_MAX_S:
        what = f"the replay answers, but our clocks are {seconds(abs(skew_s))} apart"
        return Check("warn", subject, what, "set this machine's clock: signatures carry the time")
    return Check("ok", subject, "the replay answers with this key")


def _ways(source: NumberedSource) -> Iterator[Check]:
    subject, key = f"source {source.name}", f"sources.{source.name}"
    if source.webhook is None:
        yield Check("warn", subject, "takes no webhooks", f"'bridge webhook register', then {key}.webhook.secret")
    else:
        count = len(source.webhook.secrets)
        yield Check("ok", subject, f"webhooks are verified with {count} secret{'s' if count > 1 else ''}")
    if source.ws_url is None:
        yield Check("warn", subject, "listens to no socket", f"set {key}.ws_url")
    elif not source.markets:
        yield Check("warn", subject, "the socket subscribes to no market", f"set {key}.markets")
    else:
        yield Check("ok", subject, f"the socket subscribes to {len(source.markets)} markets")


async def of_destination(destination: Destination, streams: list[str]) -> list[Check]:
    """Whether the name leads somewhere that may be delivered to, and whether there is anything to deliver."""
    found = [await _resolved(destination)]
    wants = matcher(destination.streams)
    if not any(wants(stream) for stream in streams):
        subject, todo = f"destination {destination.name}", f"check destinations.{destination.name}.streams"
        found.append(Check("warn", subject, "its globs fit no stream of a configured source", todo))
    return found


async def _resolved(destination: Destination) -> Check:
    subject, key = f"destination {destination.name}", f"destinations.{destination.name}"
    parts = urlsplit(destination.url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        return Check("fail", subject, "its name is not resolved in time", "check this machine's name server")
    except OSError:
        return Check("fail", subject, "its name cannot be resolved", f"check {key}.url")
    inward = [str(address[0]) for *_, address in found if not is_public(str(address[0]))]
    if inward and not destination.allow_private:
        todo = f"set {key}.allow_private = true if that is meant"
        return Check("fail", subject, f"its name leads to {inward[0]}, which is not public", todo)
    if parts.scheme == "http" and not inward:
        return Check("warn", subject, "delivered to without TLS", f"use https in {key}.url")
    return Check("ok", subject, "its name resolves")
