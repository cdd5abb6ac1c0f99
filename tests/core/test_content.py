"""Content is compared as parsed values: spacing and notation are no conflict, anything else is."""

import pytest

from bridge.core.content import Content, content_digest, same_content

BASE = Content("ORDER_MATCHED", "m1", b'{"price":0.44,"shares":12}')


@pytest.mark.parametrize(
    "other",
    [
        Content("ORDER_MATCHED", "m1", b'{ "shares": 12, "price": 0.440 }'),
        Content("", "m1", b'{"price":44e-2,"shares":12.0}'),
        Content("ORDER_MATCHED", "", BASE.payload),
    ],
)
def test_spacing_notation_and_fields_not_carried_are_no_conflict(other: Content) -> None:
    assert same_content(BASE, other)
    if other.type and other.key:
        assert content_digest(BASE) == content_digest(other)


@pytest.mark.parametrize(
    "other",
    [
        Content("ORDER_PLACED", "m1", BASE.payload),
        Content("ORDER_MATCHED", "m2", BASE.payload),
        Content("ORDER_MATCHED", "m1", b'{"price":0.45,"shares":12}'),
        Content("ORDER_MATCHED", "m1", b'{"price":"0.44","shares":12}'),
        Content("ORDER_MATCHED", "m1", b'{"price":0.44,"shares":true}'),
        Content("ORDER_MATCHED", "m1", b'{"price":0.44}'),
        Content("ORDER_MATCHED", "m1", b"not json"),
    ],
)
def test_other_values_are_a_conflict(other: Content) -> None:
    assert not same_content(BASE, other)
    assert content_digest(BASE) != content_digest(other)


def test_numbers_are_compared_exactly_whatever_their_length() -> None:
    long = b'{"n":1.' + b"0" * 40 + b"1}"
    other = b'{"n":1.' + b"0" * 40 + b"2}"
    assert not same_content(Content("t", "k", long), Content("t", "k", other))
    assert same_content(Content("t", "k", b'{"n":-0.0}'), Content("t", "k", b'{"n":0}'))


def test_one_and_true_differ_and_depth_does_no_harm() -> None:
    assert not same_content(Content("t", "k", b"[1]"), Content("t", "k", b"[true]"))
    deep = b"[" * 100_000 + b"]" * 100_000
    assert not same_content(Content("t", "k", deep), Content("t", "k", b"[]"))
