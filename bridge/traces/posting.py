"""The spans ``delivered``: one for each POST to a destination, and the header by which the destination goes on.

A POST of several entries belongs to the trace of the first that is recorded, and links to the others.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import islice

from bridge.core.delivery import Answered, MaybeSent, Outcome
from bridge.core.event import LogEntry
from bridge.core.tracing import Remote, Sampling, Trace, of_entry, of_notice, traceparent
from bridge.traces.span import Sink, TraceSpan

LINKS_MAX = 128
"""Entries of one POST that it links to; beyond them it says how many there are."""


class Posting:
    """What is said of POSTs. ``dice`` gives whole numbers below two to the power of its argument."""

    def __init__(self, sampling: Sampling, sink: Sink, dice: Callable[[int], int]) -> None:
        self._sampling = sampling
        self._sink = sink
        self._dice = dice

    def entries(self, destination: str, entries: Sequence[LogEntry], *, attempt: int, at: datetime) -> "Post":
        """A POST of ``entries``, which begins now."""
        traces = [of_entry(entry) for entry in entries]
        sampled = [trace for trace in traces if self._sampling.takes(trace)]
        if not sampled:
            return Post(traces[0])
        post = Post(sampled[0], self._sink, self._dice(64) or 1, at)
        first, last = entries[0], entries[-1]
        post.attributes |= {
            "bridge.destination": destination,
            "bridge.stream": first.stream,
            "bridge.position": first.position,
            "bridge.attempt": attempt,
        }
        if len(entries) > 1:
            post.attributes |= {
                "bridge.position_last": last.position,
                "bridge.entries": len(entries),
                "bridge.entries_recorded": len(sampled),
            }
            post.links = [Remote(*trace, is_sampled=True) for trace in islice(sampled, 1, LINKS_MAX + 1)]
        return post

    def notice(self, destination: str, stream: str, identity: str, *, attempt: int, at: datetime) -> "Post":
        """A POST of what has no place in the log. Nothing settled it, so its trace has no other root."""
        trace = of_notice(stream, identity)
        if not self._sampling.takes(trace):
            return Post(trace)
        post = Post(trace, self._sink, self._dice(64) or 1, at, is_root=True)
        post.attributes |= {
            "bridge.destination": destination,
            "bridge.stream": stream,
            "bridge.notice": identity.partition(":")[0],
            "bridge.attempt": attempt,
        }
        return post


class Post:
    """One POST under way. Where it is not recorded it only passes on the ids, and says so."""

    __slots__ = ("_at", "_is_root", "_sink", "_span_id", "_trace", "attributes", "links")

    def __init__(
        self,
        trace: Trace,
        sink: Sink | None = None,
        span_id: int = 0,
        at: datetime | None = None,
        *,
        is_root: bool = False,
    ) -> None:
        self._trace, self._sink, self._span_id, self._at, self._is_root = trace, sink, span_id, at, is_root
        self.attributes: dict[str, str | int | float | bool] = {}
        self.links: Sequence[Remote] = ()

    @property
    def traceparent(self) -> str:
        """The header's text: of this POST where it is recorded, else of the root, which is not recorded either."""
        recorded = self._sink is not None
        return traceparent(self._trace.trace_id, self._span_id if recorded else self._trace.root_id, sampled=recorded)

    def end(self, word: str, outcome: Outcome) -> None:
        """It came to ``outcome``, which is called ``word``. What the destination answered is not kept."""
        if self._sink is None or self._at is None:
            return
        error = "" if word == "accepted" else word
        if isinstance(outcome, Answered):
            self.attributes["http.response.status_code"] = outcome.status
        else:
            error = "maybe_sent" if isinstance(outcome, MaybeSent) else "not_sent"
        self.attributes["bridge.outcome"] = word
        ended_at = self._at + timedelta(seconds=outcome.latency_s)
        self._sink.put(
            TraceSpan(
                "delivered", "client", self._trace, self._at, ended_at, self.attributes, self._span_id,
                is_root=self._is_root, links=self.links, error=error,
            )
        )  # fmt: skip
