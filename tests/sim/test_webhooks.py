"""Webhooks: three attempts and never a fourth, duplicates, reorders, odd envelopes, lost ones."""

import json

import pytest

from bridge.sim.playbatman import Delivery, Row, Signing, Venue
from tests.sim.support import START, at, venue_with


def fail_until_dropped(venue: Venue) -> list[tuple[int, int]]:
    """(second, attempt) of everything that was tried while every attempt failed."""
    tried = []
    for second in range(60):
        for delivery in venue.deliveries_due(at(second)):
            tried.append((second, delivery.attempt))
            venue.delivered(delivery, False, at(second))
    return tried


def test_a_delivery_that_fails_is_tried_three_times_and_then_dropped() -> None:
    venue = venue_with()
    venue.emit(START)
    assert fail_until_dropped(venue) == [(0, 1), (1, 2), (6, 3)]
    assert venue.pending_deliveries == 0
    assert venue.delivery_counts["dropped"] == 1


def test_the_switch_gives_a_fourth_attempt() -> None:
    venue = venue_with(webhook_attempts_max=4)
    venue.emit(START)
    assert fail_until_dropped(venue) == [(0, 1), (1, 2), (6, 3), (31, 4)]


def test_what_was_accepted_is_not_tried_again() -> None:
    venue = venue_with()
    venue.emit(START)
    first, again = venue.deliveries_due(START)[0], 0
    assert venue.pending_deliveries == 1
    venue.delivered(first, True, START)
    for second in range(60):
        again += len(venue.deliveries_due(at(second)))
    assert (again, venue.pending_deliveries) == (0, 0)


def test_a_retry_keeps_its_delivery_id_and_its_bytes() -> None:
    venue = venue_with(webhook_spaced_rate=0.5)
    venue.emit(START)
    (first,) = venue.deliveries_due(START)
    venue.delivered(first, False, START)
    (second,) = venue.deliveries_due(at(1))
    assert (second.delivery_id, second.body, second.attempt) == (first.delivery_id, first.body, 2)


def due(venue: Venue, *, count: int = 400, seconds: float = 100) -> tuple[list[Row], list[Delivery]]:
    return venue.emit(START, count), venue.deliveries_due(at(seconds))


def test_without_faults_every_row_is_delivered_once_in_order_with_the_bytes_of_the_replay() -> None:
    rows, deliveries = due(venue_with())
    assert [delivery.row for delivery in deliveries] == rows
    for row, delivery in zip(rows, deliveries, strict=True):
        told, held = json.loads(delivery.body), json.loads(row.encoded)
        assert told == {name: held[name] for name in held if name != "expiresAt"}
        assert b'"payload":' + row.payload in delivery.body


def test_lost_webhooks_are_never_attempted() -> None:
    rows, deliveries = due(venue_with(webhook_loss_rate=0.25))
    assert 240 < len(deliveries) < 360
    assert len({delivery.row.key for delivery in deliveries}) == len(deliveries) < len(rows)


def test_duplicates_come_with_a_delivery_id_of_their_own() -> None:
    rows, deliveries = due(venue_with(webhook_duplicate_rate=0.25))
    assert 440 < len(deliveries) < 560
    assert {delivery.row.key for delivery in deliveries} == {row.key for row in rows}
    assert len({delivery.delivery_id for delivery in deliveries}) == len(deliveries)


def test_reordered_webhooks_overtake_one_another_within_the_window() -> None:
    venue = venue_with(webhook_reorder_s=5.0, webhook_delay_s=2.0)
    venue.emit(START, 400)
    assert venue.deliveries_due(at(1.99)) == []
    sequences = [delivery.row.sequence for delivery in venue.deliveries_due(at(7))]
    assert sorted(sequences) == [row.sequence for row in venue.assigned()] != sequences


def test_a_webhook_waits_for_the_commit_of_its_row() -> None:
    venue = venue_with(late_commit_rate=1.0, late_commit_max_s=5.0)
    venue.emit(START, 100)
    for tenth in range(51):
        assert all(d.row.visible_at <= at(tenth / 10) for d in venue.deliveries_due(at(tenth / 10)))
    assert venue.delivery_counts["attempted"] == 100


def test_an_unnumbered_webhook_has_the_event_id_and_no_sequence() -> None:
    _, deliveries = due(venue_with(webhook_unnumbered_rate=1.0))
    for delivery in deliveries:
        told = json.loads(delivery.body)
        assert "sequence" not in told
        assert told["id"] == delivery.row.event_id


def test_a_bare_webhook_has_neither_number_nor_event_id() -> None:
    _, deliveries = due(venue_with(webhook_bare_rate=1.0))
    for delivery in deliveries:
        told = json.loads(delivery.body)
        assert set(told) == {"event", "data", "timestamp", "webhookId"}
        assert told["data"] == json.loads(delivery.row.payload)


def test_other_spacing_is_the_same_value_in_other_bytes() -> None:
    _, plain = due(venue_with())
    _, spaced = due(venue_with(webhook_spaced_rate=1.0))
    for one, other in zip(plain, spaced, strict=True):
        assert one.body != other.body
        assert json.loads(one.body) == json.loads(other.body)


def test_a_contradicting_webhook_has_the_number_of_its_row_and_another_payload() -> None:
    venue = venue_with(webhook_conflict_rate=0.2)
    _, deliveries = due(venue)
    different = {d.row.key for d in deliveries if json.loads(d.body)["payload"] != json.loads(d.row.payload)}
    assert different == venue.conflicted
    assert all(json.loads(delivery.body)["sequence"] == delivery.row.sequence for delivery in deliveries)
    assert 40 < len(different) < 130


def test_webhooks_wait_while_the_venue_is_down() -> None:
    venue = venue_with()
    venue.go_down(START, 10)
    venue.emit(at(1), 5)
    assert venue.deliveries_due(at(9.9)) == []
    assert len(venue.deliveries_due(at(10))) == 5


def test_a_receiver_gets_only_the_types_it_asked_for_from_its_registration_on() -> None:
    venue = venue_with()
    venue.emit(START, 50)
    venue.deliveries_due(START)
    wanted = venue.register("http://127.0.0.1:1/in", now=START, events=["ORDER_MATCHED"])
    rows = venue.emit(at(1), 50)
    got = [d.row for d in venue.deliveries_due(at(1)) if d.webhook == wanted]
    assert got == [row for row in rows if row.event_type == "ORDER_MATCHED"] != []


BODY = b'{"id":"9e0d","eventType":"ORDER_MATCHED","sequence":1207}'


@pytest.mark.parametrize(
    "signing, value",
    [
        (Signing(), "14df8951a0abff0e847fc40cbdf472913f9a6b5c110e8a5b3b7ddfadc72c45e7"),
        (Signing(encoding="base64"), "FN+JUaCr/w6Ef8QMvfRykT+aa1wRDopbO33frccsRec="),
        (
            Signing(content="{timestamp}.{body}", prefix="v1="),
            "v1=612a61aef0e91ceafed3bb4f5a01527e27ddf25c9fb7b41b3c04abf67caf7391",
        ),
        (Signing(key="hex"), "9c94e14208f478e15903d7d730b9328db4ca5a586674c155ad64cc8dd8081c91"),
    ],
    ids=["plain", "base64", "timestamped", "hex key"],
)
def test_each_signature_profile_gives_its_known_value(signing: Signing, value: str) -> None:
    assert signing.signature(BODY, secret="0f1e2d3c4b5a", timestamp_s=1760000000) == value
