"""How pages are made of templates, and the headers that every one of them goes out with.

A template sees ``caller`` (None where nobody is known yet), whether they ``may_act``, ``csrf``, ``messages`` and
``now`` beside its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from bridge.clock import Clock
from bridge.store.tokens import Scope
from bridge.web.access import CALLER
from bridge.web.page import words
from bridge.web.page.static import Static

CSRF = "bridge.csrf"
"""Where in a request's scope the session's token against forged forms is."""

MESSAGES = "bridge.messages"
"""Where in it is what the request before this one left to be said."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Message(NamedTuple):
    """What an action has done, or why it has not."""

    text: str
    done: bool = True


class Item(NamedTuple):
    """A place of the navigation. ``admin``: only they may go there."""

    path: str
    name: str
    admin: bool = False


NAVIGATION = (
    Item("/", "Overview"),
    Item("/streams", "Streams"),
    Item("/destinations", "Destinations"),
    Item("/alerts", "Alerts"),
    Item("/reports", "Reports"),
    Item("/audit", "Audit", admin=True),
)


class Rendering:
    """Makes pages. All text is escaped, and a name that a template does not know is a fault."""

    def __init__(self, clock: Clock, static: Static) -> None:
        self._clock = clock
        self._environment = Environment(
            loader=PackageLoader("bridge.web.page"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(words.FILTERS)
        self._environment.globals.update(asset=static.path_of)
        for name, template in (("ui", "parts.html"), ("deliveries", "deliveries.html")):
            self._environment.globals[name] = self._environment.get_template(template).module

    def page(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        messages: Sequence[Message] = (),
        **context: object,
    ) -> Response:
        """The whole page."""
        content = self._environment.get_template(template).render(
            caller=request.scope.get(CALLER),
            may_act=may_act(request),
            csrf=request.scope.get(CSRF, ""),
            messages=[*request.scope.get(MESSAGES, ()), *messages],
            now=self._clock.now(),
            here=request.scope["path"],
            navigation=NAVIGATION,
            **context,
        )
        return Response(content, status, headers={**HEADERS, **(headers or {})}, media_type="text/html")

    def fragments(self, template: str, names: Iterable[str], **context: object) -> dict[str, str]:
        """Some blocks of a template, each by its name: what they show is the same for whoever may see the page."""
        made = self._environment.get_template(template)
        told = made.new_context({"now": self._clock.now(), **context})
        return {name: "".join(made.blocks[name](told)) for name in names}


def may_act(request: Request) -> bool:
    """Whether who asks may do more than look."""
    caller = request.scope.get(CALLER)
    return caller is not None and caller.scope.covers(Scope.OPERATE)
