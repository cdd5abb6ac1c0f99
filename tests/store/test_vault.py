"""What is kept secret: opened by whoever has the key, and by nobody else."""

import pytest

from bridge.store.vault import NoSecretKey, Vault, WrongSecretKey, new_key

SECRET = b"whsec_do-not-show"


def test_what_was_sealed_is_opened_with_the_same_key_and_shows_nothing() -> None:
    vault = Vault([new_key()])
    sealed = vault.seal(SECRET)
    assert vault.open(sealed) == SECRET
    assert SECRET not in sealed
    assert vault.seal(SECRET) != sealed, "nobody is to see that two secrets are the same"


def test_an_older_key_still_opens_and_the_newest_seals() -> None:
    old, new = new_key(), new_key()
    sealed = Vault([old]).seal(SECRET)
    renewed = Vault([new, old]).rotate(sealed)
    assert Vault([new]).open(renewed) == SECRET
    with pytest.raises(WrongSecretKey):
        Vault([new]).open(sealed)


@pytest.mark.parametrize("at", [0, 20, 60, -8])
def test_what_was_tampered_with_is_not_opened(at: int) -> None:
    vault = Vault([new_key()])
    sealed = bytearray(vault.seal(SECRET))
    sealed[at] ^= 1
    with pytest.raises(WrongSecretKey) as refused:
        vault.open(bytes(sealed))
    assert "BRIDGE_SECRET_KEY" in str(refused.value)


def test_without_a_key_it_says_how_to_get_one() -> None:
    for act in (Vault().seal, Vault().open):
        with pytest.raises(NoSecretKey, match="bridge secrets new-key"):
            act(SECRET)


def test_no_key_shows_in_its_repr() -> None:
    key = new_key()
    assert key not in repr(Vault([key]))
