"""Why an operator's wish is not granted. Each text may be shown."""

from bridge.core.errors import BridgeError


class Unknown(BridgeError):
    """There is nothing of that name."""


class Conflict(BridgeError):
    """It cannot be done as things are."""


class Invalid(BridgeError):
    """What was given cannot be used; ``problems`` names every reason, each with its field."""

    def __init__(self, *problems: tuple[str, str]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{field}: {what}" if field else what for field, what in problems))
