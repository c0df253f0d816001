"""Signatures and client certificates need keys and listeners of their own, and have tests of their own."""

from __future__ import annotations

from typing import Final

from tests.hostile.row import Row

_CALLS: Final = "[calls that are signed](../tests/web/test_signed_calls.py)"
_REPLIES: Final = "[replies that are signed](../tests/soap/test_signed_replies.py)"
_TLS: Final = "[client certificates](../tests/web/test_tls.py)"

ROWS: Final = tuple(
    Row("Signatures, certificates", name, tried_by=where)
    for name, where in (
        ("wrapped signature, in every shape", _CALLS),
        ("unsigned Body where it must be signed", _CALLS),
        ("old Timestamp, and one of the future", _CALLS),
        ("a signed message once more", _CALLS),
        ("a partner's reply that is not signed, or signed by another", _REPLIES),
        ("a certificate of nobody known, of another party, past its end", _TLS),
    )
)
