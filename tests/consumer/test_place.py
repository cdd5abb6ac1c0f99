"""Which entries are new, which are missing, and that the place holds over a restart."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.consumer import Altered, Entry, Place, Skipped
from tests.consumer.bodies import log, read

PAYLOADS = [b"%d" % number for number in range(1, 13)]
LOG = log(PAYLOADS, told=[4])
ENTRIES = [read(entry) for entry in LOG]


def filtered(*positions: int) -> list[Entry]:
    """The entries at these positions as a destination gets them that takes no others."""
    return [read(LOG[position - 1], previous=before) for before, position in pairwise((0, *positions))]


def test_entries_are_taken_in_order_each_once() -> None:
    new, place = Place().take(ENTRIES[:5])
    assert ([one.position for one in new], place.position, place.chain) == ([1, 2, 3, 4, 5], 5, LOG[4].chain.hex())
    new, place = place.take(ENTRIES[2:7])
    assert ([one.position for one in new], place.position) == ([6, 7], 7)
    assert place.take(ENTRIES[:7]) == ([], place)


def test_the_place_holds_as_text() -> None:
    place = Place().take(ENTRIES[:3]).place.take([ENTRIES[6]], by_key=True).place
    assert len(place.ahead) == 1
    assert Place.loads(place.dumps()) == place
    assert Place.loads(None) == Place()
    with pytest.raises(ValueError, match="truncated"):
        Place.loads("{")


def test_what_was_sent_before_and_is_not_here_is_named() -> None:
    place = Place().take(ENTRIES[:3]).place
    with pytest.raises(Skipped) as wrong:
        place.take(ENTRIES[4:6])
    assert (wrong.value.stream, wrong.value.position, wrong.value.previous) == ("pb.events", 3, 4)


def test_the_chain_must_lead_from_what_is_here_to_what_comes() -> None:
    place = Place().take(ENTRIES[:3]).place
    for forged in (
        replace(ENTRIES[3], chain=ENTRIES[4].chain),
        replace(ENTRIES[3], sequence=7),
        replace(ENTRIES[3], epoch=2),
        replace(ENTRIES[3], digest=ENTRIES[4].digest),
    ):
        with pytest.raises(Altered, match="from position 3 to 4"):
            place.take([forged])


def test_another_log_under_the_same_name_is_noticed() -> None:
    other = [read(entry) for entry in log(PAYLOADS[::-1])]
    place = Place().take(ENTRIES[:3]).place
    with pytest.raises(Altered, match="another chain value"):
        place.take([other[2]])
    with pytest.raises(Altered, match="does not lead"):
        place.take([other[3]])


def test_what_a_filter_leaves_out_is_not_missing_unless_everything_is_to_come() -> None:
    some = filtered(2, 3, 7, 8)
    new, place = Place().take(some)
    assert ([one.position for one in new], place.position) == ([2, 3, 7, 8], 8)
    with pytest.raises(Altered, match="from position 2 to 3"):
        Place().take([some[0], replace(some[1], chain=some[2].chain)])
    with pytest.raises(Skipped):
        Place().take(some, every=True)
    with pytest.raises(Skipped):
        Place().take([some[1]])


def test_an_entry_out_of_its_turn_is_passed_on_and_moves_nothing() -> None:
    place = Place().take(ENTRIES[:6]).place
    aside = read(LOG[2], previous=None)
    assert place.take([aside]) == ([aside], place)


@given(st.permutations(ENTRIES), st.integers(0, 2**32))
def test_by_key_any_order_with_any_repetition_ends_at_the_same_place_with_each_entry_once(
    order: list[Entry], seed: int
) -> None:
    dice = Random(seed)
    place, taken = Place(), []
    for entry in order:
        again = [entry] * dice.randint(1, 2)
        new, place = Place.loads(place.dumps()).take(again, by_key=True)
        taken += [one.position for one in new]
    assert sorted(taken) == list(range(1, 13))
    assert place == Place(12, LOG[-1].chain.hex())


def test_a_new_destination_may_join_a_log_whose_beginning_is_deleted() -> None:
    with pytest.raises(Skipped):
        Place().take(ENTRIES[5:7])
    joined = Place.joining(ENTRIES[5])
    assert (joined.position, joined.chain, Place.loads(joined.dumps())) == (5, None, joined)
    new, place = joined.take(ENTRIES[4:7], every=True)
    assert ([one.position for one in new], place.chain) == ([6, 7], LOG[6].chain.hex())
    with pytest.raises(Altered):
        joined.take([ENTRIES[5], replace(ENTRIES[6], chain=ENTRIES[7].chain)])


def test_by_key_the_place_stays_before_what_is_missing_until_that_is_given_up() -> None:
    place = Place().take([*ENTRIES[:2], *ENTRIES[5:]], by_key=True).place
    assert (place.position, [one.position for one in place.ahead]) == (2, [6, 7, 8, 9, 10, 11, 12])
    assert place.passing(5, LOG[4].chain.hex()) == Place(12, LOG[-1].chain.hex())
    with pytest.raises(Altered):
        place.passing(5, LOG[3].chain.hex())


def test_by_key_what_was_parked_closes_its_hole_when_it_comes() -> None:
    place = Place().take([*ENTRIES[:2], *ENTRIES[3:]], by_key=True).place
    new, place = place.take([read(LOG[2], previous=None)], by_key=True)
    assert ([one.position for one in new], place) == ([3], Place(12, LOG[-1].chain.hex()))
