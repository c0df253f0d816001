from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Misconfigured
from gateway.message import Micros
from gateway.settings.parties import Party, PartyKey
from gateway.web import authentication
from gateway.web.authentication import Credential, PartyKeys, Unauthenticated, use_once, verify
from gateway.web.places import Places
from gateway.web.tokens import demo_key_path, demo_public_key_path, ensure_demo_keys, sign_token
from tests.doubles import ManualClock
from tests.pipeline.world import shipped_settings
from tests.web.site import Answer, Site

PROTECTED = [
    ("POST", "/v1/batches"),
    ("GET", "/v1/batches/1"),
    ("GET", "/v1/batches/1/applications"),
    ("GET", "/v1/batches/1/results"),
    ("GET", "/v1/batches/1/rejected"),
    ("POST", "/v1/batches/1/confirm"),
    ("POST", "/v1/batches/1/cancel"),
    ("POST", "/v1/applications/1/cancel"),
]


def claims(site: Site, **changes: Any) -> dict[str, Any]:
    now = int(site.world.clock.now().timestamp())
    given = {"iss": "sc-01", "aud": "umrah-gateway", "iat": now, "exp": now + 300, "jti": "j1", **changes}
    return {name: value for name, value in given.items() if value is not ...}


def signed(site: Site, party: str = "sc-01", headers: dict[str, Any] | None = None, **changes: Any) -> str:
    key: Any = load_pem_private_key(demo_key_path(site.data, party).read_bytes(), None)
    return jwt.encode(claims(site, **changes), key, algorithm="EdDSA", headers=headers)


def unsigned(document: dict[str, Any], algorithm: str = "none") -> str:
    def part(value: dict[str, Any]) -> str:
        return jwt.utils.base64url_encode(json.dumps(value).encode()).decode()

    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(document)}."


async def refused(site: Site, token: str, code: str = "unauthenticated") -> Answer:
    answer = await site.get("/v1/batches/1", token=token)
    assert (answer.status, answer.code) == (401, code)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    return answer


@pytest.mark.parametrize(("method", "path"), PROTECTED)
async def test_no_call_goes_without_a_credential(site: Site, method: str, path: str) -> None:
    answer = await site.call(method, path, token="")
    assert (answer.status, answer.code) == (401, "unauthenticated")


@pytest.mark.parametrize(("method", "path"), PROTECTED)
@pytest.mark.parametrize("party", ["licensing", "committee", "nic"])
async def test_only_service_centers_may_use_these_calls(
    site: Site, method: str, path: str, party: str
) -> None:
    answer = await site.call(method, path, token=site.token(party))
    assert (answer.status, answer.code) == (403, "forbidden")


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic abc", "Bearer a b", "Bearer " + "a" * 5000])
async def test_what_is_no_bearer_token_is_refused(site: Site, header: str) -> None:
    answer = await site.get("/v1/batches/1", token="", headers={"Authorization": header})
    assert (answer.status, answer.code) == (401, "unauthenticated")


async def test_two_credentials_are_a_malformed_request(site: Site) -> None:
    line = f"Authorization: Bearer {site.token()}\r\n"
    answer = await site.raw(
        f"GET /v1/batches/1 HTTP/1.1\r\nHost: x\r\n{line}{line}Connection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_an_unknown_party_and_a_bad_signature_get_the_same_answer(site: Site) -> None:
    stranger = Ed25519PrivateKey.generate()
    unknown = await refused(site, jwt.encode(claims(site, iss="sc-99"), stranger, algorithm="EdDSA"))
    forged = await refused(site, jwt.encode(claims(site), stranger, algorithm="EdDSA"))
    assert {**unknown.json, "request_id": ""} == {**forged.json, "request_id": ""}
    assert _steady(unknown) == _steady(forged)


def _steady(answer: Answer) -> dict[str, str]:
    return {
        name: value for name, value in answer.headers.items() if name.lower() not in ("x-request-id", "date")
    }


async def test_a_party_cannot_sign_for_another(site: Site) -> None:
    await refused(site, signed(site, party="sc-02", iss="sc-01"))


async def test_the_algorithm_is_the_key_s_and_not_the_token_s_choice(site: Site) -> None:
    public = demo_public_key_path(site.data, "sc-01").read_bytes()
    hmac_key = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    body = unsigned(claims(site), "HS256").rstrip(".")
    confused = f"{body}.{jwt.utils.base64url_encode(hmac_key.sign(body.encode(), public)).decode()}"
    await refused(site, confused)
    await refused(site, unsigned(claims(site)))
    await refused(site, unsigned(claims(site), "EdDSA"))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-gateway"},
        {"aud": ...},
        {"exp": ...},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 10**400},
        {"exp": float("nan")},
        {"exp": -1},
        {"iss": ...},
        {"iss": ["sc-01"]},
        {"iss": 1},
    ],
)
async def test_a_claim_that_is_missing_or_wrong_is_refused(site: Site, changes: dict[str, Any]) -> None:
    try:
        token = signed(site, **changes)
    except TypeError:  # PyJWT does not let us write this one
        token = unsigned(claims(site, **changes), "EdDSA")
    await refused(site, token)


@pytest.mark.parametrize(
    ("issued", "expires"),
    [(-400, -100), (-305, -6), (0, 301), (0, 3600), (-3600, 200), (10, 300), (..., 306), (..., -6)],
)
async def test_a_token_outside_its_time_or_valid_for_too_long_is_expired(
    site: Site, issued: Any, expires: int
) -> None:
    now = int(site.world.clock.now().timestamp())
    iat = issued if issued is ... else now + issued
    await refused(site, signed(site, iat=iat, exp=now + expires), "token_expired")


@pytest.mark.parametrize(("issued", "expires"), [(0, 300), (-295, 5), (-300, -4), (4, 304), (..., 300)])
async def test_a_token_within_its_time_and_leeway_is_good(site: Site, issued: Any, expires: int) -> None:
    now = int(site.world.clock.now().timestamp())
    iat = issued if issued is ... else now + issued
    assert (await site.get("/v1/batches/1", token=signed(site, iat=iat, exp=now + expires))).status == 404


async def test_a_token_not_yet_valid_is_refused(site: Site) -> None:
    now = int(site.world.clock.now().timestamp())
    await refused(site, signed(site, nbf=now + 100), "token_expired")


async def test_a_get_may_use_its_token_again(site: Site) -> None:
    token = site.token()
    for _ in range(2):
        assert (await site.get("/v1/batches/1", token=token)).status == 404


async def test_a_token_is_used_up_by_a_post(site: Site) -> None:
    token = site.token()
    assert (await site.submit(token=token, key="k1")).status == 202
    answer = await site.submit(token=token, key="k2")
    assert (answer.status, answer.code) == (401, "token_replayed")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert (await site.get("/v1/batches/1", token=token)).status == 404


async def test_the_same_token_may_repeat_the_same_request(site: Site) -> None:
    token, body = site.token(), site.batch(1)
    first = await site.submit(body, token=token)
    again = await site.submit(body, token=token)
    assert (again.status, again.body) == (202, first.body)
    # And the same key with another payload is told apart in admission, not let through.
    other = await site.submit(site.batch(2), token=token)
    assert (other.status, other.code) == (409, "idempotency_key_reused")


async def test_a_token_taken_for_one_path_does_not_serve_another(site: Site) -> None:
    token = site.token()
    batch = (await site.submit(token=token, key="k")).json["batch_id"]
    headers = {"Idempotency-Key": "k"}
    answer = await site.post(f"/v1/batches/{batch}/cancel", token=token, headers=headers)
    assert (answer.status, answer.code) == (401, "token_replayed")


async def test_a_post_without_a_key_cannot_be_repeated_with_the_same_token(site: Site) -> None:
    batch = (await site.submit()).json["batch_id"]
    token = site.token()
    assert (await site.post(f"/v1/batches/{batch}/cancel", token=token)).status == 200
    answer = await site.post(f"/v1/batches/{batch}/cancel", token=token)
    assert (answer.status, answer.code) == (401, "token_replayed")


@pytest.mark.parametrize("jti", [..., "", "a b", "x" * 129])
async def test_a_post_needs_a_token_with_an_id(site: Site, jti: Any) -> None:
    answer = await site.submit(token=signed(site, jti=jti))
    assert (answer.status, answer.code) == (401, "unauthenticated")


async def test_a_used_token_stays_used_until_it_can_no_longer_be_shown(site: Site) -> None:
    token = site.token()
    assert (await site.submit(token=token, key="k1")).status == 202
    site.world.clock.pass_by(seconds=304)
    answer = await site.submit(token=token, key="k2")
    assert answer.code == "token_replayed"
    site.world.clock.pass_by(seconds=1)
    assert (await site.submit(token=token, key="k2")).code == "token_expired"


@pytest.mark.parametrize("used", [True, False])
async def test_a_token_that_ends_while_its_request_stands_in_line_is_not_taken(
    site: Site, monkeypatch: pytest.MonkeyPatch, used: bool
) -> None:
    token = site.token()
    assert (await site.submit(token=token if used else None, key="k1")).status == 202
    site.world.clock.pass_by(seconds=304)
    enter = Places.soon

    @asynccontextmanager
    async def after_a_while(self: Places, *given: Any) -> AsyncIterator[None]:
        async with enter(self, *given):
            site.world.clock.pass_by(seconds=1)
            yield

    monkeypatch.setattr(Places, "soon", after_a_while)
    answer = await site.submit(token=token, key="k2")
    assert (answer.status, answer.code) == (401, "token_expired")


async def test_a_certificate_is_not_used_up_and_a_token_not_at_its_very_end() -> None:
    party, now = SETTINGS.parties[0], Micros(1_000)

    class Remembering:
        asked = 0

        async def use_token(self, *_given: Any, **_options: Any) -> bool:
            self.asked += 1
            return True

    ledger: Any = Remembering()
    await use_once(Credential(party, None, now, by_certificate=True), "", ledger, now)
    with pytest.raises(Unauthenticated, match="token_expired"):
        await use_once(Credential(party, "j", now), "", ledger, now)
    assert ledger.asked == 0
    await use_once(Credential(party, "j", Micros(now + 1)), "", ledger, now)
    assert ledger.asked == 1


async def test_a_refusal_by_headers_does_not_use_the_token_up(site: Site) -> None:
    token = site.token()
    assert (await site.submit(token=token, media="text/plain", body=b"a")).status == 415
    assert (await site.submit(token=token)).status == 202


# --- keys ---------------------------------------------------------------------------------------


def test_demo_keys_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    settings = shipped_settings()
    ensure_demo_keys(settings, tmp_path)
    private = demo_key_path(tmp_path, "sc-01")
    before = private.read_bytes()
    assert private.stat().st_mode & 0o777 == 0o600
    ensure_demo_keys(settings, tmp_path)
    assert private.read_bytes() == before


def test_a_lost_public_half_is_made_again(tmp_path: Path) -> None:
    ensure_demo_keys(shipped_settings(), tmp_path)
    public = demo_public_key_path(tmp_path, "sc-01")
    before = public.read_bytes()
    public.unlink()
    ensure_demo_keys(shipped_settings(), tmp_path)
    assert public.read_bytes() == before


def test_a_key_file_that_is_no_key_stops_the_start(tmp_path: Path) -> None:
    ensure_demo_keys(shipped_settings(), tmp_path)
    demo_public_key_path(tmp_path, "sc-01").write_text("nonsense")
    with pytest.raises(Misconfigured):
        PartyKeys.load(shipped_settings(), tmp_path)


def test_while_a_key_is_changed_both_are_good_whatever_their_algorithms(tmp_path: Path) -> None:
    old, new = Ed25519PrivateKey.generate(), generate_private_key(SECP256R1())
    for name, key in (("old", old), ("new", new)):
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pub").write_bytes(pem)
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / f"{name}.pem").write_bytes(secret)
    keys = (PartyKey(file="old.pub", algorithm="EdDSA"), PartyKey(file="new.pub", algorithm="ES256"))
    party = Party(id="sc-01", kind="service_center", name_en="a", name_ar="b", keys=keys)
    settings = shipped_settings().model_copy(update={"parties": (party,), "directory": tmp_path})
    known = PartyKeys.load(settings, tmp_path)
    now = ManualClock().now()
    for name in ("old", "new"):
        token = sign_token(tmp_path / f"{name}.pem", "sc-01", "umrah-gateway", 300, now)
        assert verify(token, known, settings, now).party_id == "sc-01"
        with pytest.raises(Unauthenticated):
            verify(token, known, settings, now + timedelta(hours=1))


def test_a_token_that_was_proven_is_proven_by_these_keys_only_and_no_other_token_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, now = shipped_settings(), ManualClock().now()
    ensure_demo_keys(settings, tmp_path)
    token = sign_token(demo_key_path(tmp_path, "sc-01"), "sc-01", "umrah-gateway", 300, now)
    key = load_pem_public_key(demo_public_key_path(tmp_path, "sc-01").read_bytes())
    known = PartyKeys({"sc-01": (key,)})  # type: ignore[dict-item]
    proofs: list[str] = []
    real = authentication._proven_claims
    monkeypatch.setattr(
        authentication, "_proven_claims", lambda token, *given: (proofs.append(token), real(token, *given))[1]
    )
    for _ in range(3):
        assert verify(token, known, settings, now).party_id == "sc-01"
    assert proofs == [token]
    head, body, signature = token.split(".")
    forged = f"{head}.{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            verify(forged, known, settings, now)
    with pytest.raises(Unauthenticated):
        verify(token, PartyKeys({}), settings, now)
    assert proofs == [token, forged, forged, token]


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.hex()))
def test_no_text_makes_verification_fail_in_another_way(token: str) -> None:
    with pytest.raises(Unauthenticated):
        verify(token, PartyKeys({}), SETTINGS, ManualClock().now())


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_no_claims_make_verification_fail_in_another_way(value: Any) -> None:
    for name in ("iss", "aud", "exp", "iat", "nbf", "jti"):
        document = {"iss": "sc-01", "aud": "umrah-gateway", "exp": 1, name: value}
        with pytest.raises(Unauthenticated):
            verify(unsigned(document, "EdDSA"), PartyKeys({}), SETTINGS, ManualClock().now())


SETTINGS = shipped_settings()
