"""Nothing is called whole that could lack something unnoticed."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.completeness import IN_DOUBT, PROVEN_NOTHING, completeness

NUMBERS = st.integers(-(10**15), 10**15)


@given(begin=NUMBERS, end=NUMBERS, missing=st.integers(0, 10**15), in_doubt=st.booleans())
def test_where_a_loss_can_go_unnoticed_there_is_never_a_share(
    begin: int, end: int, missing: int, in_doubt: bool
) -> None:
    told = completeness(unnoticed="any", in_doubt=in_doubt, begin=begin, end=end, missing=missing)
    assert told == (None, "any")


@given(begin=NUMBERS, length=st.integers(1, 10**15), missing=st.integers(0, 10**15))
def test_only_what_lacks_nothing_is_whole(begin: int, length: int, missing: int) -> None:
    share, reason = completeness(unnoticed=None, in_doubt=False, begin=begin, end=begin + length, missing=missing)
    assert reason is None
    assert share is not None
    assert 0 <= share <= 1
    assert (share == 1) == (missing == 0)


def test_what_nobody_has_proven_has_no_share_but_a_reason() -> None:
    for begin, end in ((None, None), (5, None), (None, 5), (5, 5), (6, 5)):
        told = completeness(unnoticed=None, in_doubt=False, begin=begin, end=end, missing=0)
        assert told == (None, PROVEN_NOTHING)
    assert completeness(unnoticed=None, in_doubt=True, begin=1, end=9, missing=0) == (None, IN_DOUBT)
