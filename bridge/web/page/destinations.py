"""Destinations as people look at them: all of them, one with its streams, its attempts, and what it has parked."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.core.event import SEQUENCE_MAX
from bridge.operate import parking, telling
from bridge.store import attempts, parked, standing
from bridge.store.attempts import Chosen
from bridge.store.tokens import Scope
from bridge.web import parameters
from bridge.web.destinations import Routes
from bridge.web.operating import Operating
from bridge.web.page.live import Context, Live
from bridge.web.page.rendering import Rendering
from bridge.web.records import OUTCOMES, PARKED_STATES, after_of, entry_of

DESTINATIONS_MAX = 50
STREAMS_MAX = 100
ATTEMPTS_MAX = 100
RECENT_MAX = 10
SHOWN = ("all", "behind", "failing")
ONE = "/destinations/{name}"


class DestinationPages:
    """Every page holds a bounded number of rows, and leads to the next ones."""

    def __init__(self, operating: Operating, rendering: Rendering, live: Live) -> None:
        self._operating = operating
        self._rendering = rendering
        self._live = live

    def routes(self) -> Routes:
        """By the scope that they need."""
        pages = [
            self._live.page("/destinations", "destinations.html", self.listing, blocks=("listing",)),
            self._live.page(ONE, "destination.html", self.show, blocks=("health", "streams", "attempts")),
            Route(f"{ONE}/attempts", self.attempts),
            Route(f"{ONE}/parked", self.parked),
            Route(f"{ONE}/parked/{{stream}}/{{position:int}}", self.entry),
        ]
        return {Scope.READ: pages}

    async def listing(self, request: Request) -> Context:
        """By name."""
        parameters.only(request, "after")
        after = parameters.text(request, "after") or ""
        async with self._operating.looking() as act:
            found = await telling.many(act, after=after, limit=DESTINATIONS_MAX + 1)
        shown, more = found[:DESTINATIONS_MAX], len(found) > DESTINATIONS_MAX
        following = shown[-1]["name"] if more else None
        return {"destinations": shown, "after": after, "following": following}

    async def show(self, request: Request) -> Context:
        """One of them: how it stands on its streams, what was tried of late, and its policy."""
        parameters.only(request, "after", "show")
        after = parameters.text(request, "after") or ""
        show = parameters.word(request, "show", SHOWN) or "all"
        async with self._operating.looking() as act:
            found = await act.known(str(request.path_params["name"]))
            told = await telling.summary(act, found)
            stands = await standing.cursors(
                act.conn,
                found.id,
                after=after,
                behind=show == "behind",
                failing=show == "failing",
                limit=STREAMS_MAX + 1,
            )
            tried = await attempts.listing(act.conn, found.id, Chosen(), limit=RECENT_MAX)
        following = stands[STREAMS_MAX - 1].stream if len(stands) > STREAMS_MAX else None
        return {
            "destination": told, "streams": stands[:STREAMS_MAX], "attempts": tried, "show": show, "choices": SHOWN,
            "after": after, "following": following,
        }  # fmt: skip

    async def attempts(self, request: Request) -> Response:
        """What was tried, the newest first."""
        parameters.only(request, "before", "stream", "outcome")
        chosen = Chosen(
            stream=parameters.text(request, "stream") or None,
            outcome=parameters.word(request, "outcome", ("", *OUTCOMES)) or None,
            before=parameters.whole(request, "before", default=None, least=1, most=SEQUENCE_MAX),
        )
        async with self._operating.looking() as act:
            found = await act.known(str(request.path_params["name"]))
            tried = await attempts.listing(act.conn, found.id, chosen, limit=ATTEMPTS_MAX + 1)
        following = tried[ATTEMPTS_MAX - 1].id if len(tried) > ATTEMPTS_MAX else None
        return self._rendering.page(
            request, "attempts.html", name=found.name, attempts=tried[:ATTEMPTS_MAX], chosen=chosen,
            outcomes=OUTCOMES, following=following,
        )  # fmt: skip

    async def parked(self, request: Request) -> Response:
        """What was laid aside, by stream and position."""
        parameters.only(request, "after", "state")
        after = after_of(request)
        state = parameters.word(request, "state", ("", *PARKED_STATES)) or None
        async with self._operating.looking() as act:
            found = await act.known(str(request.path_params["name"]))
            aside = await parked.listing(act.conn, found.id, after=after, state=state, limit=ATTEMPTS_MAX + 1)
        last = aside[ATTEMPTS_MAX - 1] if len(aside) > ATTEMPTS_MAX else None
        return self._rendering.page(
            request, "parked.html", name=found.name, entries=aside[:ATTEMPTS_MAX], state=state,
            states=PARKED_STATES, is_first=after == ("", 0),
            following=None if last is None else f"{last.stream}:{last.position}",
        )  # fmt: skip

    async def entry(self, request: Request) -> Response:
        """One entry that was laid aside, and what was tried with it."""
        parameters.only(request)
        name, stream, position = entry_of(request)
        async with self._operating.looking() as act:
            found, aside = await parking.entry(act, name, stream, position)
            chosen = Chosen(stream=stream, position=position)
            tried = await attempts.listing(act.conn, found.id, chosen, limit=RECENT_MAX)
        return self._rendering.page(request, "entry_parked.html", name=name, entry=aside, attempts=tried)
