"""The faults the bridge names. An outcome that is expected is a value, not one of these."""


class BridgeError(Exception):
    """A fault that the bridge can name; its text says what to do and holds no secret."""


class ConfigError(BridgeError):
    """The configuration cannot be used; ``problems`` names every reason, each with its key."""

    def __init__(self, *problems: str) -> None:
        self.problems: tuple[str, ...] = problems
        super().__init__(*problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class Overloaded(BridgeError):
    """A bounded queue is full: come back later."""


class StoreUnavailable(BridgeError):
    """The database cannot be asked at the moment."""


class StoreRefused(BridgeError):
    """The database will not take what it was given; trying again does not help."""


class NotAtHead(BridgeError):
    """The database's tables are not those of this version."""


class VenueError(BridgeError):
    """The venue could not be asked, or answered with what is no answer."""
