"""An answer in JSON."""

import msgspec
from starlette.responses import Response


def told(value: object) -> Response:
    """``value`` as an answer; times in RFC 3339, bytes are not meant."""
    return Response(msgspec.json.encode(value), media_type="application/json")
