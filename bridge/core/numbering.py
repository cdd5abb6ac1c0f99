"""Whether a venue restarted its numbers, judged by what it still has against what is stored."""

from enum import StrEnum


class Numbering(StrEnum):
    """SAME: the numbering goes on. RESTARTED: another life of it. UNCLEAR: the answer does not say."""

    SAME = "same"
    RESTARTED = "restarted"
    UNCLEAR = "unclear"


def judge_numbering(*, same: int, other: int, head_below_frontier: bool, suspect_after: int) -> Numbering:
    """From one look at the oldest retained rows.

    ``same`` of them are stored as they are, ``other`` are stored with other content, and
    ``head_below_frontier`` says that the newest retained number is one that was passed before.
    """
    if same and not other:
        return Numbering.SAME
    if other and same:
        return Numbering.SAME if same > other else Numbering.UNCLEAR
    if head_below_frontier or other >= suspect_after:
        return Numbering.RESTARTED
    return Numbering.UNCLEAR
