"""How often Python looks for garbage that refers to itself: seldom, because next to nothing here does."""

import gc

NEW_MAX = 20_000
OLDER_MAX = 20


def spare_collector() -> None:
    """Set what start-up made aside for good, and look at what is new less often. Call it once everything stands.

    A batch's events are alive all at once, so that the usual threshold of 700 is met in every transaction, for
    nothing: that was a tenth of a busy receiver's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_MAX, OLDER_MAX, OLDER_MAX)
