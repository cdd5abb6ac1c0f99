"""Forms that ask before something is done: shown, granted once, and told of on the next page.

What is done is what the API does, by the same acts. A form that is sent twice is granted once.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bridge.operate.acting import Acting
from bridge.operate.faults import Conflict, Invalid
from bridge.store.vault import NoSecretKey, WrongSecretKey
from bridge.web.operating import Asked, Kept, Operating
from bridge.web.page.form import Form, form_of
from bridge.web.page.guarding import done
from bridge.web.page.rendering import Rendering
from bridge.web.page.session import new_nonce

ONCE = "once"
"""The field that makes a form one of its own, however often it is sent."""
UNDER_WAY = "This form was sent a moment ago, and what it asks for is under way."


class Done(msgspec.Struct, frozen=True):
    """What was done, as a sentence; or what came of it, where that is not what was wished for."""

    text: str
    is_problem: bool = False


Act = Callable[[Acting, Form], Awaitable[Any]]
Then = Callable[[Any], Awaitable[Done]]
Show = Callable[[Request, str, int], Awaitable[Response]]
"""Shows a form, with what was wrong with it, and the status."""


class Forms:
    """Shows forms and grants them."""

    def __init__(self, operating: Operating, rendering: Rendering) -> None:
        self._operating = operating
        self._rendering = rendering

    def show(self, request: Request, template: str, problem: str, status: int, **context: Any) -> Response:
        """A form; what was filled in before is in it again."""
        filled: Form = form_of(request) if request.method == "POST" else request.query_params
        return self._rendering.page(
            request, template, status=status, problem=problem, filled=filled, once=new_nonce(), **context
        )

    async def grant(self, request: Request, act: Act, show: Show, *, to: str, then: Then | None = None) -> Response:
        """Do what the form asks for and go on to the page ``to``; or show the form again, with what is wrong.

        ``act`` returns a ``Done``, or what ``then`` makes one of, outside of any transaction.
        """
        form = form_of(request)
        said = msgspec.json.encode(sorted((name, value) for name, value in form.items() if name != ONCE))
        asked = Asked.of(request, said, form.get(ONCE, ""))
        try:
            answer = await self._operating.once(request, asked, lambda acting: act(acting, form), then=then)
        except Invalid as error:
            return await show(request, _sentence(str(error)), 422)
        except (Conflict, NoSecretKey, WrongSecretKey) as error:
            return await show(request, _sentence(str(error)), 409)
        except HTTPException as error:
            return await show(request, UNDER_WAY if error.status_code == 409 else error.detail, error.status_code)
        if isinstance(answer, Kept):
            before = msgspec.json.decode(answer.content, type=Done)
            return done(
                request, to, f"This form was sent before, and is not done twice. {before.text}", is_problem=True
            )
        assert isinstance(answer.told, Done)
        return done(request, to, answer.told.text, is_problem=answer.told.is_problem)


def _sentence(text: str) -> str:
    return f"Not done: {text}."
