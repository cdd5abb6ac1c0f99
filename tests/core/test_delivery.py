from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bridge.core.delivery import Advance, Answered, MaybeSent, NotSent, Outcome, Retry, Stop, decide
from bridge.core.destination import DestinationPolicy, chooser, matcher
from bridge.core.event import Kind
from tests.core.test_envelope import ENTRY, GAP

NOW = datetime(2026, 2, 18, 23, 0, 0, tzinfo=UTC)
POLICY = DestinationPolicy("ledger", "https://ledger.example/hook?token=t0ken", (b"s3cret" * 5,))


def answered(status: int, retry_after_s: float | None = None) -> Answered:
    return Answered(status, retry_after_s, "", 0.01)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_accepted(status: int) -> None:
    assert decide(answered(status), failures=3, now=NOW, policy=POLICY, jitter=0.5) == Advance()


def test_410_stops_the_destination() -> None:
    assert isinstance(decide(answered(410), failures=0, now=NOW, policy=POLICY, jitter=0.5), Stop)


@pytest.mark.parametrize(
    "outcome",
    [answered(status) for status in (301, 302, 307, 400, 401, 404, 408, 409, 429, 500, 502, 503)]
    + [NotSent("refused", 0.0), MaybeSent("timeout", 15.0)],
)
def test_everything_else_is_tried_again_however_often_it_failed(outcome: Outcome) -> None:
    for failures, wait_s in ((0, 0.5), (2, 2.0), (1000, 150.0)):
        decision = decide(outcome, failures=failures, now=NOW, policy=POLICY, jitter=0.5)
        assert isinstance(decision, Retry)
        assert decision.at == NOW + timedelta(seconds=wait_s)


def test_retry_after_lengthens_the_wait_and_never_shortens_it() -> None:
    longer = decide(answered(429, 60), failures=0, now=NOW, policy=POLICY, jitter=0.5)
    shorter = decide(answered(429, 1), failures=9, now=NOW, policy=POLICY, jitter=0.5)
    assert isinstance(longer, Retry)
    assert isinstance(shorter, Retry)
    assert longer.at == NOW + timedelta(seconds=60)
    assert shorter.at == NOW + timedelta(seconds=150)


def test_a_policy_shows_neither_its_secrets_nor_its_url() -> None:
    assert "s3cret" not in repr(POLICY)
    assert "t0ken" not in repr(POLICY)


def test_globs_choose_by_the_whole_name_and_by_case() -> None:
    takes = matcher(["pb.*", "bybit.orders"])
    assert [takes(name) for name in ("pb.events", "bybit.orders", "bybit.orders2", "PB.events", "xpb.events")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert not matcher([])("pb.events")


def test_a_type_filter_leaves_out_events_but_never_what_the_bridge_itself_tells() -> None:
    wants = chooser(replace(POLICY, types=("TRADE_*",)))
    assert not wants(ENTRY)
    assert wants(replace(ENTRY, type="TRADE_SETTLED"))
    assert wants(GAP)
    assert not wants(replace(ENTRY, kind=Kind.RECOVERED))
