"""What is secret, as rows keep it: encrypted and authenticated with a key that the database never sees."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from bridge.core.errors import BridgeError

HOW = "'bridge secrets new-key' makes one, and BRIDGE_SECRET_KEY holds it"


class NoSecretKey(BridgeError):
    """There is no key to keep a secret with."""


class WrongSecretKey(BridgeError):
    """What is kept was sealed with a key that is not among those given, or was tampered with."""


def new_key() -> str:
    """A key, as it is written into the environment."""
    return Fernet.generate_key().decode()


class Vault:
    """Seals with the first of ``keys``, opens with any of them. Without a key it does neither."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        made = [Fernet(key) for key in keys]
        self._all = MultiFernet(made) if made else None

    @property
    def has_key(self) -> bool:
        return self._all is not None

    def seal(self, content: bytes) -> bytes:
        """``content`` as it may be kept. Raises NoSecretKey."""
        return self._keys().encrypt(content)

    def open(self, sealed: bytes) -> bytes:
        """What was sealed. Raises NoSecretKey, WrongSecretKey."""
        try:
            return self._keys().decrypt(sealed)
        except InvalidToken:
            raise WrongSecretKey(
                "what is kept cannot be opened: BRIDGE_SECRET_KEY lacks the key it was sealed with"
            ) from None

    def rotate(self, sealed: bytes) -> bytes:
        """The same under the newest key. Raises NoSecretKey, WrongSecretKey."""
        return self.seal(self.open(sealed))

    def _keys(self) -> MultiFernet:
        if self._all is None:
            raise NoSecretKey(f"there is no key to keep secrets with: {HOW}")
        return self._all
