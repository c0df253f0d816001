"""Signed messages that were tampered with: every attack of the tests of WS-Security, over a real socket.

Foreign Affairs signs what it sends to the second gateway; its certificate is pinned there. An attacker has a
good message of theirs and changes what the signature does not cover, or the key's holder signs what our
policy does not take. Certificates of the connection need a listener with TLS and have tests of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from lxml import etree

from gateway.soap.envelope import DIALECTS, SOAP_12, Dialect
from tests.hostile.door import SIGNING, capacity, signed_call
from tests.hostile.row import Act, Row, Told
from tests.hostile.site import Site
from tests.hostile.soap_rows import fault_in
from tests.soap import signed
from tests.web.test_soap_services import HEADER

_SECTION: Final = "Signatures, certificates"
_HEADER: Final = HEADER.replace(">passports<", ">foreign-affairs<").replace(
    ">movement.arrival<", ">mission.capacity<"
)
#: A mission that no good call names: if it comes out, the attacker's Body was read.
_EVIL: Final = "MSN-EVL-XXX"
#: Without a signature in its place another proof is looked for.
_UNSIGNED: Final = (signed.signature_taken_off, signed.signature_moved_out_of_the_block)


def _attacked(attack: signed.Attack) -> Callable[[Site], Act]:
    def prepare(site: Site) -> Act:
        return _calls(site, lambda dialect: _spoilt(attack, dialect))

    return prepare


def _spoilt(attack: signed.Attack, dialect: Dialect) -> bytes:
    by = signed.Sender(SIGNING, dialect, datetime.now(UTC))
    root = by.signed(_HEADER, capacity())
    attack(root, by, etree.fromstring(capacity(mission=_EVIL)))
    return signed.sent(root)


def _again(site: Site) -> Act:
    """The very bytes that were taken a moment ago."""

    def taken(dialect: Dialect) -> bytes:
        sent = signed.Sender(SIGNING, dialect, datetime.now(UTC)).signed(_HEADER, capacity())
        assert signed_call(site, signed.sent(sent), dialect).status == 200
        return signed.sent(sent)

    return _calls(site, taken)


def _old(site: Site) -> Act:
    then = datetime(2026, 1, 2, tzinfo=UTC)
    return _calls(
        site, lambda dialect: signed.sent(signed.Sender(SIGNING, dialect, then).signed(_HEADER, capacity()))
    )


def _by_another(site: Site) -> Act:
    other = signed.key("nobody known", "ecdsa")
    now = datetime.now(UTC)
    return _calls(
        site, lambda dialect: signed.sent(signed.Sender(other, dialect, now).signed(_HEADER, capacity()))
    )


def _calls(site: Site, make: Callable[[Dialect], bytes]) -> Act:
    sent = [(make(dialect), dialect) for dialect in DIALECTS]

    def act() -> Told:
        answers = {dialect.version: signed_call(site, body, dialect) for body, dialect in sent}
        faults = {version: fault_in(answer) for version, answer in answers.items()}
        same = len({fault.rpartition(" ")[2] for fault in faults.values()}) == 1
        told = faults[SOAP_12.version] if same else str(faults)
        return Told(told, b"".join(answer.raw for answer in answers.values()))

    return act


def _rows() -> Iterator[Row]:
    def row(name: str, prepare: Callable[[Site], Act], code: str, *, refused: bool = True) -> Row:
        answer = f"400 Sender {code.upper()}"
        return Row(
            _SECTION, name, prepare, answer, hasty=True, door="signed", refused=refused, canaries=(_EVIL,)
        )

    for attack, code in signed.ATTACKS.items():
        found = "security_unsupported" if attack in _UNSIGNED else code
        yield row(attack.__name__.replace("_", " "), _attacked(attack), found)
    yield row("a signed message once more", _again, "token_replayed")
    yield row("a Timestamp of long ago", _old, "token_expired")
    yield row("signed by nobody known", _by_another, "signature_invalid")
    replies = "[replies that are signed](../tests/soap/test_signed_replies.py)"
    yield Row(_SECTION, "a partner's reply that is not signed, or signed by another", tried_by=replies)
    tls = "[client certificates](../tests/web/transport)"
    yield Row(_SECTION, "a certificate of nobody known, of another party, past its end", tried_by=tls)


ROWS: Final = tuple(_rows())
