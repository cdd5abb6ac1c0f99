"""What is on record, by HTTP: attempts to deliver, entries that were parked, and who did what."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.core.event import SEQUENCE_MAX
from bridge.operate import parking
from bridge.operate.acting import Acting
from bridge.operate.faults import Invalid, Unknown
from bridge.store import attempts, audit, parked
from bridge.store.attempts import Chosen
from bridge.store.managed import Managed
from bridge.store.tokens import Scope
from bridge.web import parameters
from bridge.web.destinations import Routes, text_of
from bridge.web.operating import Answer, Given, Operating
from bridge.web.problems import BadParameter

LIMIT_DEFAULT = 100
OUTCOMES = ("accepted", "refused", "unknown")
PARKED_STATES = ("parked", "due", "redelivered", "discarded")


class Records:
    """A page holds at most ``page_max``."""

    def __init__(self, operating: Operating, *, page_max: int) -> None:
        self._operating = operating
        self._page_max = page_max

    def routes(self) -> Routes:
        """By the scope that they need."""
        aside = "/destinations/{name}/parked"
        one = f"{aside}/{{stream}}/{{position:int}}"
        return {
            Scope.READ: [
                Route("/destinations/{name}/attempts", self.attempts),
                Route(aside, self.parked),
                Route(one, self.entry),
            ],
            Scope.OPERATE: [
                Route(f"{aside}/redeliver", self.redeliver_all, methods=["POST"]),
                Route(f"{one}/redeliver", self.redeliver, methods=["POST"]),
                Route(f"{one}/discard", self.discard, methods=["POST"]),
            ],
            Scope.ADMIN: [Route("/audit", self.audit)],
        }

    async def attempts(self, request: Request) -> Response:
        """The newest first; ``next`` is what to give as ``before`` for older ones, null where there are none."""
        parameters.only(request, "before", "limit", "stream", "position", "outcome", "since", "until")
        chosen = Chosen(
            stream=parameters.text(request, "stream"),
            position=parameters.whole(request, "position", default=None, least=1, most=SEQUENCE_MAX),
            outcome=parameters.word(request, "outcome", OUTCOMES),
            since=parameters.moment(request, "since"),
            until=parameters.moment(request, "until"),
            before=parameters.whole(request, "before", default=None, least=1, most=SEQUENCE_MAX),
        )
        limit = self._limit(request)
        async with self._operating.transaction(request) as act:
            found = await _destination(act, request)
            told = await attempts.listing(act.conn, found.id, chosen, limit=limit)
        return Answer({"attempts": told, "next": told[-1].id if len(told) == limit else None}).response()

    async def parked(self, request: Request) -> Response:
        """By stream and position; ``next`` is what to give as ``after`` for those that follow, or null."""
        parameters.only(request, "after", "limit", "state")
        after = after_of(request)
        state = parameters.word(request, "state", PARKED_STATES)
        limit = self._limit(request)
        async with self._operating.transaction(request) as act:
            found = await _destination(act, request)
            told = await parked.listing(act.conn, found.id, after=after, state=state, limit=limit)
        next_after = f"{told[-1].stream}:{told[-1].position}" if len(told) == limit else None
        return Answer({"parked": told, "next": next_after}).response()

    async def entry(self, request: Request) -> Response:
        """One entry that was parked."""
        parameters.only(request)
        async with self._operating.transaction(request) as act:
            _, found = await parking.entry(act, *entry_of(request))
        return Answer(found).response()

    async def redeliver(self, request: Request) -> Response:
        """Send it again, out of its turn."""

        async def redeliver(act: Acting, given: Given) -> Any:
            _nothing(given)
            await parking.redeliver(act, *entry_of(request))
            return (await parking.entry(act, *entry_of(request)))[1]

        return await self._operating.act(request, redeliver, status=202)

    async def redeliver_all(self, request: Request) -> Response:
        """Send everything again that is parked."""

        async def redeliver_all(act: Acting, given: Given) -> Any:
            _nothing(given)
            return {"entries": await parking.redeliver_all(act, str(request.path_params["name"]))}

        return await self._operating.act(request, redeliver_all, status=202)

    async def discard(self, request: Request) -> Response:
        """Give it up for good; a ``reason`` is needed."""

        async def discard(act: Acting, given: Given) -> Any:
            _nothing({name: value for name, value in given.items() if name != "reason"})
            reason = text_of(given, "reason")
            if reason is None:
                raise Invalid(("reason", "is missing"))
            await parking.discard(act, *entry_of(request), reason=reason)
            return (await parking.entry(act, *entry_of(request)))[1]

        return await self._operating.act(request, discard)

    async def audit(self, request: Request) -> Response:
        """The newest first; ``next`` is what to give as ``before`` for older ones, null where there are none."""
        parameters.only(request, "before", "limit", "subject")
        before = parameters.whole(request, "before", default=None, least=1, most=SEQUENCE_MAX)
        subject = parameters.text(request, "subject")
        limit = self._limit(request)
        async with self._operating.transaction(request) as act:
            told = await audit.listing(act.conn, before=before, subject=subject, limit=limit)
        deeds = [deed._asdict() for deed in told]
        return Answer({"audit": deeds, "next": told[-1].id if len(told) == limit else None}).response()

    def _limit(self, request: Request) -> int:
        return parameters.limit(request, default=LIMIT_DEFAULT, most=self._page_max)


async def _destination(act: Acting, request: Request) -> Managed:
    return await act.known(str(request.path_params["name"]))


def entry_of(request: Request) -> tuple[str, str, int]:
    """Destination, stream and position that a path names. Raises Unknown for a position that there cannot be."""
    position = int(request.path_params["position"])
    if position > SEQUENCE_MAX:
        raise Unknown("there is no such entry")
    return str(request.path_params["name"]), str(request.path_params["stream"]), position


def after_of(request: Request) -> tuple[str, int]:
    """Behind which stream and position a page begins. Raises BadParameter."""
    given = parameters.text(request, "after")
    stream, _, position = (given or ":0").rpartition(":")
    if not position.isascii() or not position.isdigit() or int(position) > SEQUENCE_MAX:
        raise BadParameter("after", "must be what 'next' was")
    return stream, int(position)


def _nothing(given: Given) -> None:
    if given:
        raise Invalid(*((str(name)[:64], "is no field known here") for name in given))
