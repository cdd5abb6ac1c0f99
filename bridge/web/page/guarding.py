"""Who may see a page: whoever is signed in with a token that is still good, or this machine where there is no token.

Whatever is sent must come from a page of ours, and carry the mark of the session that it was shown in.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bridge.clock import Clock
from bridge.store.tokens import Scope
from bridge.web.access import CALLER, STILL, Access, Caller, Headers, Refusal, bearer
from bridge.web.page import form
from bridge.web.page.rendering import CSRF, MESSAGES, Message
from bridge.web.page.session import NOBODY, Said, Session, Sessions, drop

Endpoint = Callable[[Request], Awaitable[Response]]

SAFE = ("GET", "HEAD")
FIELD = "csrf"
NOT_OURS = "this form belongs to a session that is over: go back, load the page anew, and try again"
_SAID = "bridge.said"


@dataclass(frozen=True, slots=True)
class Visit:
    """Whose browser asks. ``is_new``: the browser does not hold this session yet."""

    caller: Caller
    session: Session
    is_new: bool = False


class Guard:
    """Turns an endpoint into one that only a caller reaches whose scope covers what it needs."""

    def __init__(self, access: Access, sessions: Sessions, clock: Clock) -> None:
        self._access = access
        self._sessions = sessions
        self._clock = clock

    def __call__(self, endpoint: Endpoint, needed: Scope) -> Endpoint:
        """The endpoint behind the guard. Who is not signed in is led to the page where one signs in.

        The endpoint raises HTTPException for those who may not, and for a form that is not ours.
        """

        async def guarded(request: Request) -> Response:
            visit = await self.visit(request)
            if isinstance(visit, Refusal):
                return _turned_away(request, visit)
            request.scope[CALLER] = visit.caller
            request.scope[STILL] = partial(self._is_still, request, visit.caller)
            request.scope[CSRF] = self._sessions.form_mark(visit.session.nonce)
            if not visit.caller.scope.covers(needed):
                raise HTTPException(
                    403, f"this needs the scope {needed}, and {visit.caller.name} has {visit.caller.scope}"
                )
            if request.method not in SAFE:
                request.scope[form.FORM] = await self._form(request, visit.session)
            return await self._answer(request, endpoint, visit)

        return guarded

    async def visit(self, request: Request) -> Visit | Refusal:
        """Who asks, as things are now. Raises StoreUnavailable."""
        headers, peer = request.scope["headers"], request.client.host if request.client else None
        if bearer(headers) is not None:
            return await self._bearer(headers, peer)
        session = self._sessions.read(request, self._clock.now())
        if session is not None and session.token_id != NOBODY:
            held = await self._access.known_by(session.token_id)
            if held is not None and self._sessions.is_of(session, held.digest):
                return Visit(held.caller, session)
        found = await self._access.tokenless(headers, peer)
        if isinstance(found, Refusal):
            return found
        if session is not None and session.token_id == NOBODY:
            return Visit(found, session)
        return Visit(found, self._sessions.begin(NOBODY, b"", self._clock.now()), is_new=True)

    async def _is_still(self, request: Request, caller: Caller) -> bool:
        visit = await self.visit(request)
        return not isinstance(visit, Refusal) and visit.caller == caller

    async def _bearer(self, headers: Headers, peer: str | None) -> Visit | Refusal:
        """A program that looks at a page. Its session is kept by nobody, so that no form of it is taken."""
        found = await self._access.caller(headers, peer)
        return (
            found
            if isinstance(found, Refusal)
            else Visit(found, self._sessions.begin(NOBODY, b"", self._clock.now()))
        )

    async def _form(self, request: Request, session: Session) -> form.Form:
        form.require_own_page(request)
        given = await form.read(request)
        if not self._sessions.is_form_mark(session.nonce, given.pop(FIELD, "")):
            raise HTTPException(403, NOT_OURS)
        return given

    async def _answer(self, request: Request, endpoint: Endpoint, visit: Visit) -> Response:
        said = self._sessions.said(request, visit.session)
        request.scope[MESSAGES] = [] if said is None else [Message(said.text, done=not said.is_problem)]
        response = await endpoint(request)
        if visit.is_new:
            self._sessions.keep(request, response, visit.session)
        if _SAID in request.scope:
            text, is_problem = request.scope[_SAID]
            self._sessions.say(request, response, Said(visit.session.nonce, text, is_problem))
        elif said is not None and response.media_type == "text/html":
            drop(request, response, "said")
        return response


def done(request: Request, path: str, text: str, *, is_problem: bool = False) -> Response:
    """On to ``path``, where the page says ``text`` once."""
    request.scope[_SAID] = text, is_problem
    return RedirectResponse(path, status_code=303)


def _turned_away(request: Request, refusal: Refusal) -> Response:
    if refusal.status != 401:
        raise HTTPException(refusal.status, refusal.detail)
    path = quote(request.scope["path"]) + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse("/login?" + urlencode({"next": path}), status_code=303)
