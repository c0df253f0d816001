"""Faults of the transport that no file shows alone: certificates that can't be read, or prove nobody."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.settings.certificates import read_certificates
from gateway.settings.document import Fault, Loc
from gateway.settings.draft import Draft


def authorities(draft: Draft) -> Iterator[Fault]:
    """A bundle of trusted authorities that is missing or holds no certificate."""
    for file, loc, name in _authorities(draft):
        try:
            read_certificates(draft.directory / name)
        except ValueError as error:
            yield draft.fault(file, loc, str(error))


def _authorities(draft: Draft) -> Iterator[tuple[str, Loc, str]]:
    if draft.gateway:
        listeners = draft.gateway.listeners
        for name, listener in (("public", listeners.public), ("admin", listeners.admin)):
            if listener.tls and listener.tls.client_ca:
                yield "gateway", ("listeners", name, "tls", "client_ca"), listener.tls.client_ca
    for name, destination in draft.destinations.items():
        if destination.tls and destination.tls.ca:
            yield "destinations", ("destinations", name, "tls", "ca"), destination.tls.ca


def tls_is_used(draft: Draft) -> Iterator[Fault]:
    """TLS files for a partner that is called without TLS."""
    for name, destination in draft.destinations.items():
        if destination.tls and not destination.url.startswith("https://"):
            yield draft.fault(
                "destinations", ("destinations", name, "url"), "tls is given, but url is not https"
            )


def bound_certificates(draft: Draft) -> Iterator[Fault]:
    """A party's certificate that can't be read, or that is bound a second time."""
    owner: dict[str, str] = {}
    for n, party in enumerate(draft.parties):
        for m, bound in enumerate(party.certificates):
            loc = ("parties", n, "certificates", m, "sha256" if bound.sha256 else "file")
            try:
                sha256 = bound.sha256 or _only(draft, bound.file or "")
            except ValueError as error:
                yield draft.fault("parties", loc, str(error))
                continue
            if sha256 in owner:
                yield draft.fault("parties", loc, f"this certificate is bound to {owner[sha256]} already")
            owner.setdefault(sha256, party.id)


def _only(draft: Draft, name: str) -> str:
    path = draft.directory / name
    found = read_certificates(path)
    if len(found) != 1:
        raise ValueError(f"file {path} holds more than one certificate: bind one")
    return found[0].sha256


def certificates_are_asked_for(draft: Draft) -> Iterator[Fault]:
    """A certificate that could never be shown, because the public listener asks for none."""
    if draft.gateway is None:
        return
    tls = draft.gateway.listeners.public.tls
    if tls is not None and tls.client_ca is not None:
        return
    for n, party in enumerate(draft.parties):
        if party.certificates:
            text = "certificates are given, but listeners.public.tls.client_ca in gateway.yaml is not"
            yield draft.key_fault("parties", ("parties", n, "certificates"), text)
