"""Faults that no file shows alone: references between files, and key files.

Each check is a function from a draft to faults; `CHECKS` lists them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from gateway.settings.document import Fault, Loc
from gateway.settings.draft import Draft
from gateway.settings.keys import key_file_fault, pair_fault
from gateway.settings.protection_checks import waiting_within_lease
from gateway.settings.soap_security import file_faults
from gateway.settings.transport_checks import (
    authorities,
    bound_certificates,
    certificates_are_asked_for,
    tls_is_used,
)
from gateway.settings.validation import suggestion
from gateway.settings.webhook_secrets import read_secrets

#: (collection of reference.yaml, key of an entry that names licensees)
_NAMES_LICENSEES: Final = (
    ("service_centers", "licensees"),
    ("agents", "licensees"),
    ("packages", "licensee"),
    ("groups", "licensee"),
)
#: (file, collection, key that is unique in it)
_UNIQUE: Final = (
    ("parties", "parties", "id"),
    ("reference", "licensees", "id"),
    ("reference", "service_centers", "id"),
    ("reference", "agents", "id"),
    ("reference", "missions", "id"),
    ("reference", "packages", "id"),
    ("reference", "groups", "number"),
)


def repeated_ids(draft: Draft) -> Iterator[Fault]:
    """Two entries of a list under one id."""
    for file, collection, key in _UNIQUE:
        seen: set[str] = set()
        for loc, entry_id in _named(draft, file, collection, key):
            if entry_id in seen:
                yield draft.fault(file, loc, f"{key} {entry_id!r} is given twice")
            seen.add(entry_id)


def parties_of_destinations(draft: Draft) -> Iterator[Fault]:
    """A destination that belongs to no party."""
    known = draft.ids("parties", "parties", "id")
    for name, destination in draft.destinations.items():
        if text := _unknown(destination.party, known, "party"):
            yield draft.fault("destinations", ("destinations", name, "party"), text)


def destinations_of_grants(draft: Draft) -> Iterator[Fault]:
    """A need-to-know list for a destination that is not configured."""
    known = draft.ids("destinations", "destinations")
    for name in draft.confidentiality.grants if draft.confidentiality else ():
        if text := _unknown(name, known, "destination"):
            yield draft.key_fault("confidentiality", ("grants", name), text)


def centers_are_parties(draft: Draft) -> Iterator[Fault]:
    """A service center of reference.yaml that could not sign in."""
    known = draft.ids("parties", "parties", "id")
    for loc, center in _named(draft, "reference", "service_centers", "id"):
        if text := _unknown(center, known, "party"):
            yield draft.fault("reference", loc, text)


def licensees_exist(draft: Draft) -> Iterator[Fault]:
    """A center, agent, package or group of a licensee that is not listed."""
    known = draft.ids("reference", "licensees", "id")
    for collection, key in _NAMES_LICENSEES:
        for loc, licensee in _named(draft, "reference", collection, key):
            if text := _unknown(licensee, known, "licensee"):
                yield draft.fault("reference", loc, text)


def no_password_in_files(draft: Draft) -> Iterator[Fault]:
    """A URL with a password in gateway.yaml: secrets are files or environment."""
    for key in ("database_url", "broker_url"):
        url = draft.documents["gateway"].get(key) if "gateway" in draft.documents else None
        if isinstance(url, str) and ":" in url.partition("://")[2].rpartition("@")[0]:
            text = f"{key} holds a password: give it as GATEWAY_{key.upper()}"
            yield draft.fault("gateway", (key,), text)


def party_keys(draft: Draft) -> Iterator[Fault]:
    """A party's key file that is missing, of another algorithm, or private and readable by others."""
    for n, party in enumerate(draft.parties):
        for m, key in enumerate(party.keys):
            if text := key_file_fault(draft.directory / key.file, key.algorithm):
                yield draft.fault("parties", ("parties", n, "keys", m, "file"), text)


def webhook_secrets(draft: Draft) -> Iterator[Fault]:
    """A webhook's secret file that is missing, readable by others, or holds no secret."""
    for n, party in enumerate(draft.parties):
        if party.webhook is None or party.webhook.secret_file is None:
            continue
        try:
            read_secrets(draft.directory / party.webhook.secret_file)
        except ValueError as error:
            yield draft.fault("parties", ("parties", n, "webhook", "secret_file"), str(error))


def tls_keys(draft: Draft) -> Iterator[Fault]:
    """A private key that is readable by others or not its certificate's."""
    for file, loc, certificate, key in _tls_pairs(draft):
        if text := pair_fault(draft.directory / certificate, draft.directory / key):
            yield draft.fault(file, loc, text)


def soap_security_files(draft: Draft) -> Iterator[Fault]:
    """A key, certificate or secret of WS-Security that can't be used."""
    for name, destination in draft.destinations.items():
        for place, text in file_faults(destination.soap_security, draft.directory):
            yield draft.fault("destinations", ("destinations", name, "soap_security", *place), text)
    for n, party in enumerate(draft.parties):
        for place, text in file_faults(party.soap_security, draft.directory):
            yield draft.fault("parties", ("parties", n, "soap_security", *place), text)


def _tls_pairs(draft: Draft) -> Iterator[tuple[str, Loc, str, str]]:
    if draft.gateway:
        listeners = draft.gateway.listeners
        for name, listener in (("public", listeners.public), ("admin", listeners.admin)):
            if listener.tls:
                place = ("listeners", name, "tls", "key")
                yield "gateway", place, listener.tls.certificate, listener.tls.key
    for name, destination in draft.destinations.items():
        tls = destination.tls
        if tls and tls.certificate and tls.key:
            yield "destinations", ("destinations", name, "tls", "key"), tls.certificate, tls.key


Check = Callable[[Draft], Iterator[Fault]]
CHECKS: tuple[Check, ...] = (
    repeated_ids,
    parties_of_destinations,
    destinations_of_grants,
    centers_are_parties,
    licensees_exist,
    no_password_in_files,
    party_keys,
    webhook_secrets,
    tls_keys,
    soap_security_files,
    authorities,
    tls_is_used,
    bound_certificates,
    certificates_are_asked_for,
    waiting_within_lease,
)


def faults(draft: Draft) -> list[Fault]:
    """All faults between the files."""
    return [fault for check in CHECKS for fault in check(draft)]


def _named(draft: Draft, file: str, collection: str, key: str) -> Iterator[tuple[Loc, str]]:
    """What that key of every entry names (one or a list), with its place."""
    entries = draft.parties if file == "parties" else getattr(draft.reference, collection, ())
    for n, entry in enumerate(entries):
        value = getattr(entry, key)
        if isinstance(value, str):
            yield (collection, n, key), value
        else:
            yield from (((collection, n, key, m), name) for m, name in enumerate(value))


def _unknown(name: str, known: frozenset[str] | None, what: str) -> str | None:
    if known is None or name in known:
        return None
    return f"unknown {what} {name!r}{suggestion(name, known)}"
