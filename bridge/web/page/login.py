"""Signing in with an API token, and out again."""

import re
from math import ceil

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bridge.clock import Clock
from bridge.store.tokens import Scope
from bridge.web.access import Access, Refusal
from bridge.web.page import form
from bridge.web.page.guarding import FIELD, NOT_OURS, Guard
from bridge.web.page.rendering import Rendering
from bridge.web.page.session import Sessions, drop, keep, name_of, new_nonce
from bridge.web.page.throttle import Throttle, peer_of

PATH = "/login"
HOME = "/"
OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]{0,2000}")
"""A path of this server, and nothing that a browser could take for a host: no backslash, no space, nothing hidden."""
NOT_GOOD = "This token is not good: it is not known here, has expired, or was revoked."
FORM_LIFE_S = 3600

log = structlog.get_logger()


class Login:
    """The pages where one signs in and out. ``guard`` says who is in already."""

    def __init__(self, access: Access, sessions: Sessions, guard: Guard, clock: Clock, rendering: Rendering) -> None:
        self._access = access
        self._sessions = sessions
        self._guard = guard
        self._clock = clock
        self._rendering = rendering
        self._throttle = Throttle()

    def routes(self) -> list[Route]:
        """Open to everybody but the way out."""
        return [
            Route(PATH, self.show, methods=["GET"]),
            Route(PATH, self.sign_in, methods=["POST"]),
            Route("/logout", self._guard(self.sign_out, Scope.READ), methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The form, for whom it is of use."""
        wanted = own_path(request.query_params.get("next"))
        visit = await self._guard.visit(request)
        if not isinstance(visit, Refusal):
            return RedirectResponse(wanted, status_code=303)
        if visit.status != 401:
            raise HTTPException(visit.status, visit.detail)
        return self._form(request, wanted)

    async def sign_in(self, request: Request) -> Response:
        """Begin a session for whoever shows a good token."""
        peer = peer_of(request)
        wait_s = self._throttle.wait_s(peer, self._clock.monotonic())
        if wait_s > 0:
            log.warning("login.throttled", peer=peer)
            return self._too_often(request, wait_s)
        form.require_own_page(request)
        given = await form.read(request)
        wanted = own_path(given.get("next"))
        nonce = request.cookies.get(name_of(request, "login"), "")
        if not nonce or not self._sessions.is_form_mark(nonce, given.get(FIELD, "")):
            raise HTTPException(403, NOT_OURS)
        held = await self._access.held(given.get("token", "").encode())
        # Asked again, and nothing is waited for until it is counted: many may have come here side by side.
        wait_s = self._throttle.wait_s(peer, self._clock.monotonic())
        if wait_s > 0:
            log.warning("login.throttled", peer=peer)
            return self._too_often(request, wait_s)
        if held is None:
            self._throttle.fail(peer, self._clock.monotonic())
            log.warning("login.refused", peer=peer)
            return self._form(request, wanted, problem=NOT_GOOD, status=401)
        self._throttle.welcome(peer)
        log.info("login.accepted", token=held.caller.name, scope=held.caller.scope.value, peer=peer)
        response = RedirectResponse(wanted, status_code=303)
        self._sessions.keep(request, response, self._sessions.begin(held.id, held.digest, self._clock.now()))
        drop(request, response, "login")
        return response

    async def sign_out(self, request: Request) -> Response:
        """Let the browser forget the session."""
        response = RedirectResponse(PATH, status_code=303)
        drop(request, response, "session")
        drop(request, response, "said")
        return response

    def _form(self, request: Request, wanted: str, *, problem: str = "", status: int = 200) -> Response:
        """The form, bound to a cookie of its own: a session that the browser does not send along a link stays."""
        nonce = request.cookies.get(name_of(request, "login"), "") or new_nonce()
        response = self._rendering.page(
            request, "login.html", status=status, wanted=wanted, problem=problem,
            mark=self._sessions.form_mark(nonce), came_by_link=_came_by_link(request),
        )  # fmt: skip
        keep(request, response, "login", nonce, for_s=FORM_LIFE_S)
        return response

    def _too_often(self, request: Request, wait_s: float) -> Response:
        seconds = ceil(wait_s)
        problem = f"Too many tokens that were not good. Try again in {seconds} seconds."
        response = self._form(request, HOME, problem=problem, status=429)
        response.headers["Retry-After"] = str(seconds)
        return response


def _came_by_link(request: Request) -> bool:
    """Whether somebody else's page led here: the browser has then held back the session that it may have."""
    return request.headers.get("sec-fetch-site") in ("cross-site", "same-site")


def own_path(given: str | None) -> str:
    """Where to go after signing in: the path that was asked for, if it is one of ours."""
    return given if given is not None and OWN_PATH.fullmatch(given) and not given.startswith(PATH) else HOME
