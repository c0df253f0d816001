"""By what the messages about a person are found again: blind indices, never the values themselves."""

from __future__ import annotations

from gateway.ledger.vault import Vault
from gateway.message import Body

#: A movement names a visa by its number alone: the season that it is of is not known then.
_ANY_SEASON = 0


def normalised(number: str, issuing_state: str) -> tuple[str, str]:
    """One spelling of a passport, that of `schemas.application.person_fields`: upper case, no filler."""
    return number.upper().replace("<", ""), issuing_state.upper()


def passport_index(season: int, number: str, issuing_state: str, vault: Vault) -> bytes:
    """Of a passport's number and issuing state, both normalised (upper case, no filler)."""
    return vault.blind_index(season, "passport", number, issuing_state)


def visa_index(visa_number: str, vault: Vault) -> bytes:
    """Of a visa's number."""
    return vault.blind_index(_ANY_SEASON, "visa", visa_number)


def visas_named(body: Body, vault: Vault) -> tuple[bytes, ...]:
    """Of every visa that a message names, each once."""
    named = (body.get("visa_number"), *(body.get("visa_numbers") or ()))
    return tuple(dict.fromkeys(visa_index(number, vault) for number in named if isinstance(number, str)))
