"""Photos: put once by a party, sealed, and named by its lines by their SHA-256."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final

from gateway.ledger.vault import Place, Vault
from gateway.message import PartyId
from gateway.pipeline.engine import Engine
from gateway.pipeline.intake import CheckedLine
from gateway.values import replace
from schemas.violation import Violation

#: What a photo is kept as.
PHOTO: Final = "photo"
#: A line, and the person it is for unless it is rejected.
Line = tuple[CheckedLine, bytes | None]
#: A photo belongs to no season: it may be named in the next one too.
_NO_SEASON: Final = 0
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


async def keep_photo(party: PartyId, sha256: str, jpeg: bytes, engine: Engine) -> bool:
    """Keep a checked photo. False when the party had put it before: then nothing is written."""
    digest = _digest(sha256, engine.vault)
    key = engine.vault.new_data_key(digest.hex(), PHOTO)
    value = {"photo": base64.b64encode(jpeg).decode("ascii")}
    return await engine.ledger.put_photo(
        party,
        digest,
        data_key=key.wrapped,
        sealed=engine.vault.seal(key, value, place=Place(party, digest.hex(), "photo", 1)),
        now=engine.now(),
    )


async def refuse_unknown_photos(lines: list[Line], party: PartyId, engine: Engine) -> list[Line]:
    """The lines; one that names a photo which its party never put, and brings none, has that fault too."""
    named = {line.line: sha256 for line, _ in lines if (sha256 := _named(line)) is not None}
    if not named:
        return lines
    digests = {sha256: _digest(sha256, engine.vault) for sha256 in named.values()}
    known = await engine.ledger.photos_known(party, list(digests.values()))
    unknown = {line for line, sha256 in named.items() if digests[sha256] not in known}
    return [
        (_with_unknown_photo(line), None) if line.line in unknown else (line, person)
        for line, person in lines
    ]


def _named(line: CheckedLine) -> str | None:
    """The digest of a photo that was put before, if the line relies on one."""
    if not isinstance(line.body, Mapping) or line.body.get("photo") is not None:
        return None
    sha256 = line.body.get("photo_sha256")
    return sha256 if isinstance(sha256, str) and _SHA256.fullmatch(sha256) else None


def _with_unknown_photo(line: CheckedLine) -> CheckedLine:
    return replace(line, violations=(*line.violations, Violation("photo_unknown", "/photo_sha256")))


def _digest(sha256: str, vault: Vault) -> bytes:
    return vault.blind_index(_NO_SEASON, "photo", sha256)
