"""Subscribing on one connection: one request per kind of data, always with the complete list. Pure.

A second subscription to the same kind may replace the first or be refused, nobody knows which: so the first is
taken back before. A refusal does not say which entry is to blame: the list is halved until the bad one stands alone.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bridge.sources.cryptomus.channels import ALL, Topic

_WORDS = re.compile(r"[A-Z0-9_:]+", re.ASCII)


class Request(NamedTuple):
    """One request to the venue: its number is given when it is sent."""

    method: str
    params: tuple[str, ...]


class Outcome(NamedTuple):
    """What is settled now: heard from now on, or refused and why. ``say`` goes on with the rest."""

    say: tuple[Request, ...] = ()
    heard: tuple[Topic, ...] = ()
    refused: tuple[Topic, ...] = ()
    reason: str = ""


class Subscriptions:
    """Subscribes to one kind after the other, and waits for each answer."""

    def __init__(self, topics: Sequence[Topic]) -> None:
        kinds: dict[str, list[str]] = {}
        for kind, what in dict.fromkeys(topics):
            kinds.setdefault(kind, []).append(what)
        self._waiting = [_Kind(kind, wanted) for kind, wanted in kinds.items()]
        self._now: _Kind | None = None
        self._taken: dict[str, tuple[str, ...]] = {}

    @property
    def done(self) -> bool:
        """Nothing is left to ask for."""
        return self._now is None and not self._waiting

    @property
    def deaf(self) -> bool:
        """Each kind was asked for, and the venue took none of them."""
        return not self._taken_any and all(kind.again for kind in (self._now, *self._waiting) if kind is not None)

    @property
    def _taken_any(self) -> bool:
        return any(self._taken.values())

    def next(self) -> Outcome:
        """The first request, of the next kind."""
        self._now = self._waiting.pop(0) if self._waiting else None
        return Outcome(say=self._now.ask()) if self._now is not None else Outcome()

    def answered(self) -> Outcome:
        """The venue took what was asked last."""
        assert self._now is not None
        self._now.took()
        return self._go_on(Outcome())

    def refused(self, reason: str) -> Outcome:
        """The venue did not take what was asked last."""
        assert self._now is not None
        kind = self._now.kind
        bad = tuple(Topic(kind, what) for what in self._now.failed(reason))
        return self._go_on(Outcome(refused=bad, reason=reason))

    def unanswered(self, reason: str) -> Outcome:
        """The venue said nothing in time: its kind is given up as a whole, and once more asked for behind the others.

        What did not hear us for a while is no reason to leave a kind unheard for as long as the connection lives.
        """
        assert self._now is not None
        kind, rest = self._now.kind, self._now.abandon()
        lost = tuple(Topic(kind, what) for what in rest)
        if rest and not self._now.again:
            self._waiting.append(_Kind(kind, rest, again=True))
        return Outcome(say=self.next().say, refused=lost, reason=reason)

    def anew(self, kind: str) -> tuple[Request, ...]:
        """What makes the venue tell a kind's snapshots again; nothing where it is not subscribed to."""
        entries = self._taken.get(kind)
        return _again(kind, entries, entries) if entries else ()

    def _go_on(self, outcome: Outcome) -> Outcome:
        assert self._now is not None
        say = self._now.ask()
        if say:
            return outcome._replace(say=say)
        kind, good = self._now.kind, self._now.good
        heard = tuple(Topic(kind, what) for what in good)
        self._taken[kind] = good
        return outcome._replace(say=self.next().say, heard=heard)


class _Kind:
    """The entries of one kind: ``good`` ones, groups that are not tried yet, and the group that is asked for now.

    ``again``: they were asked for before, and nobody knows whether the venue took them.
    """

    def __init__(self, kind: str, wanted: Sequence[str], *, again: bool = False) -> None:
        self.kind = kind
        self.again = again
        # What "all" stands for needs no entry of its own, and a refusal of one must not cost the other.
        self._groups = [[ALL]] if ALL in wanted else [list(wanted)]
        self._beside = [what for what in wanted if what != ALL] if ALL in wanted else []
        self._good: list[str] = []
        self._trying: list[str] = []
        self._standing: list[str] = list(wanted) if again else []

    @property
    def good(self) -> tuple[str, ...]:
        """The entries that were taken; those that ``all`` stands for among them."""
        return (*self._good, *self._beside) if ALL in self._good else tuple(self._good)

    def ask(self) -> tuple[Request, ...]:
        """The next request; none when the venue's list is what it can be."""
        if self._groups:
            self._trying = self._groups.pop(0)
        elif self._standing == self._good:
            return ()
        else:
            self._trying = []
        return _again(self.kind, self._standing, [*self._good, *self._trying])

    def took(self) -> None:
        self._good += self._trying
        self._standing, self._trying = list(self._good), []

    def failed(self, reason: str) -> Iterator[str]:
        """The entries that are refused for good."""
        tried, self._trying, self._standing = self._trying, [], []
        said = set(_WORDS.findall(reason))
        named = [what for what in tried if what in said]
        if named and len(named) < len(tried):
            self._groups.insert(0, [what for what in tried if what not in named])
            return iter(named)
        if len(tried) > 1:
            self._groups[:0] = [tried[: len(tried) // 2], tried[len(tried) // 2 :]]
            return iter(())
        if tried == [ALL] and self._beside:
            self._groups, self._beside = [self._beside], []
        if not tried:
            tried, self._good = self._good, []
        return iter(tried)

    def abandon(self) -> tuple[str, ...]:
        """Every entry that is not refused yet: none of them is known to be heard."""
        rest = [*self.good, *self._trying, *(what for group in self._groups for what in group)]
        return tuple(dict.fromkeys([*rest, *self._beside]))


def _again(kind: str, standing: Sequence[str], wanted: Sequence[str]) -> tuple[Request, ...]:
    subscribe = Request(f"{kind}_subscribe", tuple(wanted))
    return (Request(f"{kind}_unsubscribe", tuple(standing)), subscribe) if standing else (subscribe,)
