"""Destinations by HTTP: those of the file can be looked at, paused, rewound and tested, the others also changed."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.core.event import SEQUENCE_MAX
from bridge.egress import Egress
from bridge.operate import destinations, rewinding, telling, testing
from bridge.operate.acting import Acting
from bridge.operate.faults import Invalid
from bridge.operate.rewinding import Target
from bridge.store.tokens import Scope
from bridge.web import parameters
from bridge.web.operating import Answer, Given, Operating
from bridge.web.problems import BadParameter

LIMIT_DEFAULT = 100
REASON_CHARS_MAX = 500

Routes = dict[Scope, list[Route]]


class Destinations:
    """A page holds at most ``page_max``. ``egress`` is what a test goes out by."""

    def __init__(self, operating: Operating, egress: Egress, *, page_max: int) -> None:
        self._operating = operating
        self._egress = egress
        self._page_max = page_max

    def routes(self) -> Routes:
        """By the scope that they need."""
        one = "/destinations/{name}"
        return {
            Scope.READ: [Route("/destinations", self.listing), Route(one, self.show)],
            Scope.OPERATE: [
                Route(f"{one}/pause", self.pause, methods=["POST"]),
                Route(f"{one}/resume", self.resume, methods=["POST"]),
                Route(f"{one}/rewind", self.rewind, methods=["POST"]),
                Route(f"{one}/test", self.test, methods=["POST"]),
            ],
            Scope.ADMIN: [
                Route("/destinations", self.create, methods=["POST"]),
                Route(one, self.update, methods=["PATCH"]),
                Route(one, self.delete, methods=["DELETE"]),
                Route(f"{one}/rotate", self.rotate, methods=["POST"]),
            ],
        }

    async def listing(self, request: Request) -> Response:
        """In the order of their names; ``next`` is what to give as ``after`` for those that follow."""
        parameters.only(request, "after", "limit")
        after = parameters.text(request, "after") or ""
        limit = parameters.limit(request, default=LIMIT_DEFAULT, most=self._page_max)
        async with self._operating.transaction(request) as act:
            found = await telling.many(act, after=after, limit=limit)
        return Answer({"destinations": found, "next": found[-1]["name"] if found else after}).response()

    async def show(self, request: Request) -> Response:
        """One of them, and how it stands on its streams, a page of them."""
        parameters.only(request, "after", "limit")
        after = parameters.text(request, "after") or ""
        limit = parameters.limit(request, default=telling.STREAMS_MAX, most=self._page_max)
        async with self._operating.transaction(request) as act:
            return Answer(await telling.one(act, _name(request), after=after, limit=limit)).response()

    async def create(self, request: Request) -> Response:
        """Make one. A secret that is made for it is told in this answer and never again."""

        async def create(act: Acting, given: Given) -> Any:
            made = await destinations.create(act, given)
            return await _with_secret(act, made)

        return await self._operating.act(request, create, status=201)

    async def update(self, request: Request) -> Response:
        """Change the fields that are given."""

        async def update(act: Acting, given: Given) -> Any:
            await destinations.update(act, _name(request), given)
            return await telling.one(act, _name(request))

        return await self._operating.act(request, update)

    async def delete(self, request: Request) -> Response:
        """Forget it, how far it was, and what it parked."""

        async def delete(act: Acting, given: Given) -> None:
            _fields(given)
            await destinations.delete(act, _name(request))

        return await self._operating.act(request, delete, status=204)

    async def pause(self, request: Request) -> Response:
        """Deliver nothing more until somebody resumes; a ``reason`` may be given."""

        async def pause(act: Acting, given: Given) -> Any:
            _fields(given, "reason")
            await destinations.pause(act, _name(request), reason=text_of(given, "reason"))
            return await telling.one(act, _name(request))

        return await self._operating.act(request, pause)

    async def resume(self, request: Request) -> Response:
        """Deliver again, at once, from where it stopped."""

        async def resume(act: Acting, given: Given) -> Any:
            _fields(given)
            await destinations.resume(act, _name(request))
            return await telling.one(act, _name(request))

        return await self._operating.act(request, resume)

    async def rewind(self, request: Request) -> Response:
        """Deliver next what has the position, the sequence or the time that is given, or what is the oldest."""

        async def rewind(act: Acting, given: Given) -> Any:
            _fields(given, "stream", "position", "sequence", "epoch", "time", "beginning")
            moved = await rewinding.rewind(act, _name(request), _target(given), stream=text_of(given, "stream"))
            return {"moved": moved}

        return await self._operating.act(request, rewind)

    async def test(self, request: Request) -> Response:
        """Send a signed bridge.test at once, and tell what was answered."""

        async def aim(act: Acting, given: Given) -> Any:
            _fields(given)
            return await testing.aim(act, _name(request))

        async def send(destination: Any) -> Any:
            return await testing.send(destination, self._egress, now=self._operating.clock.now())

        return await self._operating.act(request, aim, then=send)

    async def rotate(self, request: Request) -> Response:
        """Sign with a new secret; with the former one too for ``overlap_s``."""

        async def rotate(act: Acting, given: Given) -> Any:
            _fields(given, "secret", "overlap_s")
            overlap_s = given.get("overlap_s", destinations.OVERLAP_S)
            if isinstance(overlap_s, bool) or not isinstance(overlap_s, int | float):
                raise Invalid(("overlap_s", "must be a number"))
            made = await destinations.rotate(
                act, _name(request), secret=text_of(given, "secret"), overlap_s=overlap_s
            )
            return await _with_secret(act, made)

        return await self._operating.act(request, rotate)


async def _with_secret(act: Acting, made: destinations.Shown) -> dict[str, Any]:
    told = await telling.one(act, made.name)
    return told if made.secret is None else {**told, "secret": made.secret}


def _name(request: Request) -> str:
    return str(request.path_params["name"])


def _fields(given: Given, *known: str) -> None:
    unknown = [(str(name)[:64], "is no field known here") for name in given if name not in known]
    if unknown:
        raise Invalid(*unknown)


def text_of(given: Given, name: str) -> str | None:
    """A field that is text, or is not there."""
    value = given.get(name)
    if value is not None and (not isinstance(value, str) or "\0" in value or not 0 < len(value) <= REASON_CHARS_MAX):
        raise Invalid((name, f"must be text of at most {REASON_CHARS_MAX} characters"))
    return value


def _target(given: Given) -> Target:
    try:
        found = msgspec.convert(given, _Target)
        time = None if found.time is None else parameters.moment_of(found.time, "time")
    except (msgspec.ValidationError, BadParameter) as error:
        raise Invalid(("", str(error))) from None
    return Target(
        position=found.position, sequence=found.sequence, epoch=found.epoch, time=time, beginning=found.beginning
    )


class _Target(msgspec.Struct, frozen=True):
    position: int | None = None
    sequence: int | None = None
    epoch: int | None = None
    time: str | None = None
    beginning: bool = False
    stream: str | None = None

    def __post_init__(self) -> None:
        for number in (self.position, self.sequence, self.epoch):
            if number is not None and not 0 <= number <= SEQUENCE_MAX:
                raise ValueError(f"a number must be from 0 to {SEQUENCE_MAX}")
