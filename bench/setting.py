"""The bridge's configuration in measurements, and the secrets that all parts agree on."""

import base64

from bridge.sim.playbatman import API_KEY

SECRET = "0f" * 32
KEY = bytes(range(32))
HOOK = "/in/pb"
NUMBERINGS: dict[str, dict[str, object]] = {"without holes": {"contiguous": True}, "with holes": {}}
"""The venue's faults for each way to number: three operators share the counter that has holes."""


def config(
    venue_port: int, *, consumer_port: int | None = None, replay: str = "", taking: str = "batch_max = 1"
) -> str:
    """One source, and a destination where there is somebody to take; ``taking`` says how it does."""
    text = f"""
[sources.pb]
venue = "playbatman"
rest_url = "http://127.0.0.1:{venue_port}"
api_key = "{API_KEY}"

[sources.pb.webhook]
secret = "{SECRET}"

[sources.pb.replay]
{replay}
"""
    if consumer_port is not None:
        text += f"""
[destinations.ledger]
url = "http://127.0.0.1:{consumer_port}/hooks"
secret = "whsec_{base64.b64encode(KEY).decode()}"
streams = ["pb.events"]
allow_private = true
{taking}
"""
    return text
