"""Alerts as people look at them: what holds, the worst first, what is over, and who wants no notice of what."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.alert import trial
from bridge.alert.channel import Accepted, Channel
from bridge.alert.deciding import is_silenced
from bridge.operate import silencing
from bridge.operate.acting import Acting
from bridge.operate.faults import Conflict, Invalid, Unknown
from bridge.operate.silencing import HOURS_MAX
from bridge.store import alerts, notices, silences
from bridge.store.alerts import Alert
from bridge.store.notices import Told
from bridge.store.silences import Silence
from bridge.store.tokens import Scope
from bridge.web import parameters
from bridge.web.destinations import Routes
from bridge.web.operating import Operating
from bridge.web.page.asking import Done, Forms
from bridge.web.page.form import Form
from bridge.web.page.live import Context, Live

PATH = "/alerts"
FIRING_MAX = 200
ENDED_MAX = 50
SEVERAL = "*"


class Row(NamedTuple):
    """One alert. ``told`` is the newest notice of it on each channel."""

    alert: Alert
    told: Sequence[Told]
    is_silenced: bool


class AlertPages:
    """``channels`` are those of this bridge: a test goes to all of them."""

    def __init__(self, operating: Operating, live: Live, forms: Forms, channels: Sequence[Channel]) -> None:
        self._operating = operating
        self._live = live
        self._forms = forms
        self._channels = channels

    def routes(self) -> Routes:
        """By the scope that they need."""
        silence, end, test = f"{PATH}/silence", f"{PATH}/silences/{{id:int}}/end", f"{PATH}/test"
        return {
            Scope.READ: [self._live.page(PATH, "alerts.html", self.listing, blocks=("firing", "silences", "ended"))],
            Scope.OPERATE: [
                Route(silence, self.ask_silence, methods=["GET"]),
                Route(silence, self.silence, methods=["POST"]),
                Route(end, self.ask_unsilence, methods=["GET"]),
                Route(end, self.unsilence, methods=["POST"]),
                Route(test, self.ask_test, methods=["GET"]),
                Route(test, self.test, methods=["POST"]),
            ],
        }

    async def listing(self, request: Request) -> Context:
        """What holds, the worst first, then what is over, the newest first."""
        parameters.only(request)
        async with self._operating.looking() as act:
            open_now = await alerts.firing(act.conn)
            holding = await silences.holding(act.conn, now=act.now)
            firing = await alerts.listing(act.conn, resolved=False, limit=FIRING_MAX)
            ended = await alerts.ended(act.conn, limit=ENDED_MAX)
            told = await _told(act.conn, firing, holding)
        return {
            "firing": told, "more": sum(open_now.values()) - len(told), "ended": ended, "silences": holding,
            "channels": [one.name for one in self._channels],
        }  # fmt: skip

    async def ask_silence(self, request: Request, problem: str = "", status: int = 200) -> Response:
        if request.method == "GET":
            parameters.only(request, "rule", "subject")
        return self._forms.show(request, "silence.html", problem, status, back=PATH, hours_max=HOURS_MAX)

    async def silence(self, request: Request) -> Response:
        """Tell nobody of what fits, for a time."""

        async def silence(act: Acting, given: Form) -> Done:
            if not given.get("rule") and not given.get("subject"):
                raise Invalid(("", "a rule, a subject or both are needed; '*' is all of them"))
            rule, subject = given.get("rule") or SEVERAL, given.get("subject") or SEVERAL
            made = await silencing.silence(
                act, rule=rule, subject=subject, hours=_hours(given), reason=given.get("reason", "")
            )
            return Done(f"Silence {made} holds: nobody is told of {rule} on {subject} until it ends.")

        return await self._forms.grant(request, silence, self.ask_silence, to=PATH)

    async def ask_unsilence(self, request: Request, problem: str = "", status: int = 200) -> Response:
        parameters.only(request)
        async with self._operating.looking() as act:
            found = await silences.read(act.conn, _id(request))
            now = act.now
        if found is None:
            raise Unknown(f"there is no silence {_id(request)}")
        return self._forms.show(
            request, "unsilence.html", problem, status, back=PATH, silence=found, holds=found.holds(now)
        )

    async def unsilence(self, request: Request) -> Response:
        """End a silence before its time."""
        silence_id = _id(request)

        async def unsilence(act: Acting, _given: Form) -> Done:
            try:
                await silencing.unsilence(act, silence_id)
            except Unknown as error:
                # Somebody else has ended it, or its time was over: the page that asks says so.
                raise Conflict(str(error)) from None
            return Done(f"Silence {silence_id} is over: people are told again.")

        return await self._forms.grant(request, unsilence, self.ask_unsilence, to=PATH)

    async def ask_test(self, request: Request, problem: str = "", status: int = 200) -> Response:
        parameters.only(request)
        names = [one.name for one in self._channels]
        return self._forms.show(request, "alerts_test.html", problem, status, back=PATH, channels=names)

    async def test(self, request: Request) -> Response:
        """Send a test to every channel, and say who took it."""

        async def note(act: Acting, _given: Form) -> None:
            await trial.note(act, self._channels)

        async def send(_noted: object) -> Done:
            sent = await trial.send(self._channels, self._operating.clock)
            failed = [f"{name}: {one.reason}" for name, one in sent if not isinstance(one, Accepted)]
            took = ", ".join(name for name, one in sent if isinstance(one, Accepted)) or "nobody"
            text = f"The test was taken by {took}."
            return Done(text + (f" Not by {'; '.join(failed)}." if failed else ""), is_problem=bool(failed))

        return await self._forms.grant(request, note, self.ask_test, to=PATH, then=send)


async def _told(conn: AsyncConnection, found: Sequence[Alert], holding: Sequence[Silence]) -> list[Row]:
    told = await notices.of_alerts(conn, [one.id for one in found])
    return [Row(one, told.get(one.id, ()), is_silenced(one.key, holding)) for one in found]


def _id(request: Request) -> int:
    silence_id = int(request.path_params["id"])
    if silence_id > silences.ID_MAX:
        raise Unknown("there is no such silence")
    return silence_id


def _hours(given: Form) -> float:
    try:
        return float(given.get("hours", ""))
    except ValueError:
        raise Invalid(("hours", "must be a number")) from None
