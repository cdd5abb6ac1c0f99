"""What operators do to a destination, each act on a page of its own that says what it will do before it is done."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.alert.words import many
from bridge.config.shapes import Destination
from bridge.core.event import SEQUENCE_MAX
from bridge.egress import Egress
from bridge.operate import destinations, parking, rewinding, telling, testing
from bridge.operate.acting import Acting
from bridge.operate.faults import Invalid
from bridge.operate.rewinding import Moved, Target
from bridge.store.tokens import Scope
from bridge.web import parameters
from bridge.web.destinations import REASON_CHARS_MAX, Routes
from bridge.web.operating import Operating
from bridge.web.page.asking import Done, Forms
from bridge.web.page.form import Form
from bridge.web.page.words import segment
from bridge.web.records import entry_of

PREVIEW_STREAMS_MAX = 100
TARGETS = ("position", "sequence", "time", "beginning")
REWIND_FIELDS = ("stream", "to", "position", "sequence", "epoch", "time")


class DestinationActs:
    """``egress`` is what a test goes out by."""

    def __init__(self, operating: Operating, forms: Forms, egress: Egress) -> None:
        self._operating = operating
        self._forms = forms
        self._egress = egress

    def routes(self) -> Routes:
        """By the scope that they need."""
        one = "/destinations/{name}"
        aside = f"{one}/parked"
        entry = f"{aside}/{{stream}}/{{position:int}}"
        pages = {
            f"{one}/pause": (self.ask_pause, self.pause),
            f"{one}/resume": (self.ask_resume, self.resume),
            f"{one}/test": (self.ask_test, self.test),
            f"{one}/rewind": (self.ask_rewind, self.rewind),
            f"{aside}/redeliver": (self.ask_redeliver_all, self.redeliver_all),
            f"{entry}/redeliver": (self.ask_redeliver, self.redeliver),
            f"{entry}/discard": (self.ask_discard, self.discard),
        }
        asking = [Route(path, ask, methods=["GET"]) for path, (ask, _) in pages.items()]
        return {Scope.OPERATE: asking + [Route(path, act, methods=["POST"]) for path, (_, act) in pages.items()]}

    async def ask_pause(self, request: Request, problem: str = "", status: int = 200) -> Response:
        return await self._ask(request, "pause.html", problem, status)

    async def pause(self, request: Request) -> Response:
        """Deliver nothing more until somebody resumes."""
        name = _name(request)

        async def pause(act: Acting, given: Form) -> Done:
            await destinations.pause(act, name, reason=_reason(given))
            return Done(f"{name} is paused: nothing more is delivered to it until somebody resumes it.")

        return await self._forms.grant(request, pause, self.ask_pause, to=_page_of(name))

    async def ask_resume(self, request: Request, problem: str = "", status: int = 200) -> Response:
        return await self._ask(request, "resume.html", problem, status)

    async def resume(self, request: Request) -> Response:
        """Deliver again, at once, from where it stopped."""
        name = _name(request)

        async def resume(act: Acting, _given: Form) -> Done:
            await destinations.resume(act, name)
            return Done(f"{name} is resumed: it is delivered to again, from where it stopped.")

        return await self._forms.grant(request, resume, self.ask_resume, to=_page_of(name))

    async def ask_test(self, request: Request, problem: str = "", status: int = 200) -> Response:
        return await self._ask(request, "test.html", problem, status)

    async def test(self, request: Request) -> Response:
        """Send a signed bridge.test at once, and say what was answered."""
        name = _name(request)

        async def aim(act: Acting, _given: Form) -> object:
            return await testing.aim(act, name)

        async def send(destination: object) -> Done:
            assert isinstance(destination, Destination)
            return _said(name, await testing.send(destination, self._egress, now=self._operating.clock.now()))

        return await self._forms.grant(request, aim, self.ask_test, to=_page_of(name), then=send)

    async def ask_rewind(self, request: Request, problem: str = "", status: int = 200) -> Response:
        """Where to; and, once that is said, what it would move."""
        if request.method == "GET":
            parameters.only(request, *REWIND_FIELDS)
        name, preview = _name(request), None
        async with self._operating.looking() as act:
            told = await telling.summary(act, await act.known(name))
            given = dict(request.query_params)
            if "to" in given and not problem:
                try:
                    preview = await rewinding.preview(
                        act, name, _target(given), stream=_stream(given), limit=PREVIEW_STREAMS_MAX
                    )
                except Invalid as error:
                    problem, status = f"{error}.", 422
        return self._forms.show(
            request, "rewind.html", problem, status, destination=told, preview=preview, targets=TARGETS,
            sums=None if preview is None else _sums(preview.moves),
        )  # fmt: skip

    async def rewind(self, request: Request) -> Response:
        """Deliver next what was chosen."""
        name = _name(request)

        async def rewind(act: Acting, given: Form) -> Done:
            moved = await rewinding.rewind(act, name, _target(given), stream=_stream(given))
            again, over = _sums(moved)
            streams = moved[0].stream if len(moved) == 1 else f"{len(moved):,} streams"
            return Done(f"{name} was moved on {streams}: {_entries(again)} sent again, {_entries(over)} passed over.")

        return await self._forms.grant(request, rewind, self.ask_rewind, to=_page_of(name))

    async def ask_redeliver_all(self, request: Request, problem: str = "", status: int = 200) -> Response:
        return await self._ask(request, "redeliver_all.html", problem, status)

    async def redeliver_all(self, request: Request) -> Response:
        """Send everything again that is parked."""
        name = _name(request)

        async def redeliver_all(act: Acting, _given: Form) -> Done:
            entries = await parking.redeliver_all(act, name)
            return Done(f"What is parked is sent to {name} again: {_entries(entries)}.")

        return await self._forms.grant(request, redeliver_all, self.ask_redeliver_all, to=f"{_page_of(name)}/parked")

    async def ask_redeliver(self, request: Request, problem: str = "", status: int = 200) -> Response:
        return await self._ask_entry(request, "redeliver.html", problem, status)

    async def redeliver(self, request: Request) -> Response:
        """Send it again, out of its turn."""
        name, stream, position = entry_of(request)

        async def redeliver(act: Acting, _given: Form) -> Done:
            await parking.redeliver(act, name, stream, position)
            return Done(f"Entry {position:,} of {stream} is sent to {name} again.")

        return await self._forms.grant(request, redeliver, self.ask_redeliver, to=_entry_page(request))

    async def ask_discard(self, request: Request, problem: str = "", status: int = 200) -> Response:
        return await self._ask_entry(request, "discard.html", problem, status)

    async def discard(self, request: Request) -> Response:
        """Give it up for good."""
        name, stream, position = entry_of(request)

        async def discard(act: Acting, given: Form) -> Done:
            reason = _reason(given)
            if reason is None:
                raise Invalid(("reason", "is missing"))
            await parking.discard(act, name, stream, position, reason=reason)
            return Done(f"Entry {position:,} of {stream} is discarded: {name} will not get it.")

        return await self._forms.grant(request, discard, self.ask_discard, to=_entry_page(request))

    async def _ask(self, request: Request, template: str, problem: str, status: int) -> Response:
        parameters.only(request)
        async with self._operating.looking() as act:
            told = await telling.summary(act, await act.known(_name(request)))
        return self._forms.show(request, template, problem, status, destination=told, back=_page_of(told["name"]))

    async def _ask_entry(self, request: Request, template: str, problem: str, status: int) -> Response:
        parameters.only(request)
        name, stream, position = entry_of(request)
        async with self._operating.looking() as act:
            _, entry = await parking.entry(act, name, stream, position)
        return self._forms.show(request, template, problem, status, name=name, entry=entry, back=_entry_page(request))


def _name(request: Request) -> str:
    return str(request.path_params["name"])


def _page_of(name: str) -> str:
    return f"/destinations/{segment(name)}"


def _entry_page(request: Request) -> str:
    name, stream, position = entry_of(request)
    return f"{_page_of(name)}/parked/{segment(stream)}/{position}"


def _reason(given: Form) -> str | None:
    reason = given.get("reason", "")
    if len(reason) > REASON_CHARS_MAX or not reason.isprintable():
        raise Invalid(("reason", f"must be one line of at most {REASON_CHARS_MAX} printable characters"))
    return reason or None


def _stream(given: Form) -> str | None:
    return given.get("stream", "").strip() or None


def _target(given: Form) -> Target:
    """What is to be delivered next. Raises Invalid."""
    match given.get("to"):
        case "position":
            return Target(position=_number(given, "position"))
        case "sequence":
            epoch = _number(given, "epoch") if given.get("epoch", "").strip() else None
            return Target(sequence=_number(given, "sequence"), epoch=epoch)
        case "time":
            return Target(time=_time(given))
        case "beginning":
            return Target(beginning=True)
        case _:
            raise Invalid(("to", f"must be one of {', '.join(TARGETS)}"))


def _number(given: Form, name: str) -> int:
    text = given.get(name, "").strip().replace(",", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= SEQUENCE_MAX):
        raise Invalid((name, f"must be a whole number from 0 to {SEQUENCE_MAX}"))
    return int(text)


def _time(given: Form) -> datetime:
    """A time; in UTC where it names no zone."""
    try:
        at = datetime.fromisoformat(given.get("time", "").strip())
        return at if at.utcoffset() is not None else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Invalid(("time", "must be a time in UTC, such as 2026-01-31T12:00")) from None


def _entries(count: int) -> str:
    return many(count, "entry", "entries")


def _sums(moves: list[Moved]) -> tuple[int, int]:
    """How many entries are delivered again, and how many are passed over."""
    return sum(max(0, one.was - one.position) for one in moves), sum(max(0, one.position - one.was) for one in moves)


def _said(name: str, tested: testing.Tested) -> Done:
    took = f"after {tested.latency_ms:,.0f} ms"
    said = f": {tested.said[:200]}" if tested.said else ""
    match tested.outcome:
        case "accepted":
            return Done(f"{name} has accepted the test: it answered {tested.status} {took}{said}.")
        case "refused":
            return Done(f"{name} has refused the test: it answered {tested.status} {took}{said}.", is_problem=True)
        case "unsent":
            return Done(f"The test did not get to {name}{said}.", is_problem=True)
        case _:
            return Done(f"Nobody knows whether {name} has the test, {took}{said}.", is_problem=True)
