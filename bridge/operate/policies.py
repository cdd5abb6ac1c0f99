"""From what was given to a destination as it is delivered to, and to what may be shown of it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from bridge.config.shapes import Destination, Policy
from bridge.operate.credentials import Credentials
from bridge.operate.faults import Invalid
from bridge.store.managed import Managed
from bridge.store.vault import Vault

OWN = ("url", "secret")
"""What may be given beside the fields of the policy."""
_HIDDEN = {"name", "url", "secrets"}


def built(name: str, given: Mapping[str, Any]) -> Destination:
    """The destination that the API is to make of ``given``, its url and secrets among it.

    Raises:
        Invalid: with every problem. No text quotes what was given.
    """
    allowed = {*Policy.model_fields, *OWN}
    unknown = [(str(key)[:64], _why_not(str(key))) for key in given if key not in allowed]
    problems = [*unknown, *((key, "must not hold a NUL") for key, value in given.items() if _holds_nul(value))]
    try:
        made = Destination.model_validate({**{key: given[key] for key in given if key in allowed}, "name": name})
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        problems += [(_dotted(one["loc"]), _said(one["msg"])) for one in found]
        raise Invalid(*problems) from None
    if not made.url.startswith("https://"):
        problems.append(("url", "must start with https://: only the file may name another"))
    if problems:
        raise Invalid(*problems)
    return made


def public(destination: Destination) -> dict[str, Any]:
    """What may be shown of its policy."""
    return destination.model_dump(mode="json", exclude=_HIDDEN)


def fields(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a kept policy that can be given again."""
    return {name: value for name, value in policy.items() if name in Policy.model_fields}


def delivered(found: Managed, vault: Vault, now: datetime) -> Destination:
    """A destination that the API made, with the secrets that are good now.

    Raises:
        NoSecretKey, WrongSecretKey: its sealed part cannot be opened.
        Invalid: this version knows no such policy.
    """
    assert found.sealed is not None
    opened = Credentials.opened(vault, found.name, found.sealed)
    return built(found.name, {**fields(found.policy), "url": opened.url, "secret": opened.valid(now)})


def _holds_nul(value: object) -> bool:
    """Whether there is one in a text or in a list of texts: Postgres takes none."""
    return any(isinstance(text, str) and "\0" in text for text in (value if isinstance(value, list) else [value]))


def _why_not(key: str) -> str:
    return "only the file may say so" if key == "allow_private" else "is no field known here"


def _dotted(steps: Iterable[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def _said(text: str) -> str:
    text = text.removeprefix("Value error, ").replace("Input should", "should", 1)
    return text.replace("tuple", "list")
