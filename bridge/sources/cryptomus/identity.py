"""The natural ids of the venue's events: one text for one event, from a frame and from a row of a list alike.

Stamps are whole seconds, so the ids also order what bears the same second: an order's states sort as they follow
each other. Numbers come as normal forms.
"""

from datetime import datetime

from bridge.core.channel import Step

CREATED, OPEN, FINISHED = "created", "open", "finished"
_RANKS = {CREATED: 0, FINISHED: 2}
_RANK_BETWEEN = 1
_DIGEST_CHARS = 16


def trade(symbol: str, at_s: int, price: str, quantity: str, side: str) -> str:
    """Its content, because a print has no id on the socket: twins have the same one."""
    return f"{symbol}:{at_s}:{price}:{quantity}:{side}"


def order(order_id: str, word: str, filled: str) -> str:
    """A state of an order. More filled sorts later: the number of whole digits stands before them."""
    whole = len(filled.partition(".")[0])
    return f"{order_id}:{_RANKS.get(word, _RANK_BETWEEN)}{word}:{whole:02d}:{filled}"


def price(symbol: str, at_s: int, last: str) -> str:
    return f"{symbol}:{at_s}:{last}"


def state(what: str, at_s: int, digest: bytes) -> str:
    """A state that has nothing of its own to go by: its second and its content."""
    return f"{what}:{at_s}:{digest.hex()[:_DIGEST_CHARS]}"


def balance(step: Step, at: datetime) -> str:
    """A change of a wallet. The same change may come again another day: the time of its hearing tells them apart."""
    return f"{step.key}:{step.before}:{step.after}#{at:%Y%m%dT%H%M%S.%f}"


def present(what: str, at_s: int, content: str) -> str:
    """A state as a list shows it at the second ``at_s``: it sorts behind everything that was told in this second."""
    return f"~{what}:{at_s}:{content}"
