"""From a topic, as people configure it, to its row of the table and to the channel that is followed."""

import re
from dataclasses import dataclass
from typing import Literal

from bridge.core.channel import Channel, Model
from bridge.sources.bybit.kinds import CATEGORIES, KINDS, Form, Kind

BookPolicy = Literal["strict", "lenient"]
"""``strict``: a book's update ids grow by one. ``lenient``: they may jump, and nobody can tell a loss from that."""

_SPOKEN = tuple((re.compile(kind.pattern), kind) for kind in KINDS)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that is understood. ``key`` is its symbol, ``category`` the product it is restricted to, or ""."""

    name: str
    kind: Kind
    channel: Channel
    key: str = ""
    category: str = ""
    interval: str = ""

    @property
    def form(self) -> Form:
        return self.kind.form


def topic_of(name: str, *, category: str, book_policy: BookPolicy = "strict") -> Topic:
    """The topic ``name`` on the socket of ``category``.

    Raises:
        ValueError: not one of CATEGORIES, a topic nobody knows, or one that this category does not have.
    """
    if category not in CATEGORIES:
        raise ValueError(f"the category must be one of {', '.join(CATEGORIES)}")
    if name.startswith("dcp."):
        raise ValueError(f"{name!r} tells nothing: it arms a protection that cancels orders on disconnect")
    found = [(match, kind) for pattern, kind in _SPOKEN if (match := pattern.fullmatch(name)) is not None]
    if not found:
        raise ValueError(f"{name!r} is no channel of bybit")
    for match, kind in found:
        if kind.private or category in kind.categories:
            named = match.groupdict()
            return Topic(
                name,
                kind,
                _channel(name, kind, lenient=book_policy == "lenient"),
                key=named.get("key") or "",
                category=named.get("category") or "",
                interval=named.get("interval") or "",
            )
    raise ValueError(f"{name!r} is no channel of the category {category}")


def channel_of(name: str, *, category: str, book_policy: BookPolicy = "strict") -> Channel:
    """The channel of the topic ``name``. Raises ValueError as ``topic_of`` does."""
    return topic_of(name, category=category, book_policy=book_policy).channel


def _channel(name: str, kind: Kind, *, lenient: bool) -> Channel:
    model, unnoticed = kind.model, kind.unnoticed
    if lenient and kind.form is Form.BOOK:
        model, unnoticed = Model.MERGE, "a change that is lost on the way, until the next snapshot"
    return Channel(
        series=name,
        topic=name,
        model=model,
        repair=kind.repair,
        id_fields=kind.id_fields,
        scope=kind.scope,
        private=kind.private,
        settle_s=kind.settle_s,
        lag_s=kind.lag_s,
        reach=kind.reach,
        unnoticed=unnoticed,
    )
