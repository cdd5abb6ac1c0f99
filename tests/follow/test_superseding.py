"""A listed state stands for what was missed. No I/O."""

from datetime import UTC, datetime, timedelta

from bridge.core.channel import Channel, Model, Repair, Told
from bridge.core.event import Event, Kind, digest_of
from bridge.core.timeline import micros
from bridge.follow.limits import FollowLimits
from bridge.follow.timed import TimedStream
from bridge.sources.market import Recalled

ZERO = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
ZERO_US = micros(ZERO)
SECOND_US = 1_000_000
TICKER = Channel(
    series="ticker", topic="ticker", model=Model.STATE, repair=Repair.SNAPSHOT, id_fields=("ts",), scope="symbol",
    settle_s=0.0, unnoticed="any",
)  # fmt: skip


def state(second: float) -> Told:
    payload = b'{"at":%d}' % int(second * 1000)
    at = ZERO + timedelta(seconds=second)
    return Told("ticker", Event(f"t{second:g}", "ticker", "", payload, digest_of(payload), None, at))


def test_a_state_that_was_listed_late_is_told_behind_the_gap_and_before_what_is_newer() -> None:
    stream = TimedStream("po.ticker", 1, TICKER, FollowLimits(pad_s=1.0))
    stream.subscribed(ZERO_US - SECOND_US)  # it hears from ZERO on
    stream.live(state(0.5))
    stream.alive(ZERO_US + SECOND_US)
    stream.unheard()
    stream.subscribed(ZERO_US + 3 * SECOND_US)
    stream.live(state(3.5))  # while its connection is too young to prove anything
    hole = stream.hole(ZERO_US + 5 * SECOND_US)
    assert hole is not None
    listed = Recalled((state(2),), complete_from=None, superseding=True)
    assert stream.answered(hole, listed, asked_us=ZERO_US + 5 * SECOND_US) is None, "and need not be asked for again"
    stream.alive(ZERO_US + 6 * SECOND_US)
    chapter = stream.chapter(100)
    assert chapter is not None
    told = [saying.event.event_id if saying.event else saying.kind for saying in chapter.sayings]
    assert told == ["t0.5", Kind.GAP, "t2", "t3.5"]
