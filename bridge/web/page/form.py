"""What a form sends: bounded, each field once, and only from a page of our own."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

from bridge.web.page.session import is_https
from bridge.web.problems import BadParameter, TooLarge

BODY_BYTES_MAX = 16 * 1024
FIELDS_MAX = 32
KIND = "application/x-www-form-urlencoded"
FORM = "bridge.form"
"""Where in a request's scope its form is, behind the guard."""

Form = Mapping[str, str]


def form_of(request: Request) -> Form:
    """What was sent, behind the guard."""
    form: Form = request.scope[FORM]
    return form


async def read(request: Request) -> dict[str, str]:
    """The fields of the form, with spaces around them gone. Raises TooLarge, BadParameter."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise TooLarge
        parts.append(part)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != KIND:
        raise BadParameter("Content-Type", f"must be {KIND}")
    try:
        given = parse_qsl(
            b"".join(parts).decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX
        )
    except ValueError:
        raise BadParameter("form", "is none that can be read") from None
    form: dict[str, str] = {}
    for name, value in given:
        if name in form:
            raise BadParameter(name[:64], "is given more than once")
        if "\0" in value:
            raise BadParameter(name[:64], "must be text")
        form[name] = value.strip()
    return form


def require_own_page(request: Request) -> None:
    """Raises HTTPException where a page of somebody else's sent it, or nobody can tell."""
    if not is_from_own_page(request):
        raise HTTPException(403, "this form was not sent by a page of the bridge: open the page, and try again")


def is_from_own_page(request: Request) -> bool:
    """Whether the browser says that a page of ours made the request. It says at least one of the two, always."""
    headers = request.headers
    origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
    known = [site == "same-origin" for site in sites] + [_is_own(request, origin) for origin in origins]
    return bool(known) and all(known)


def _is_own(request: Request, origin: str) -> bool:
    # A proxy that renames the host says which one the browser asked for; no page can make a browser say so.
    hosts = request.headers.getlist("host") + request.headers.getlist("x-forwarded-host")
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or (parts.scheme == "http" and is_https(request)):
        return False
    return any(parts.netloc.lower() == host.strip().lower() for host in hosts)
