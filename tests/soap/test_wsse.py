"""UsernameToken: who is believed, and who is not."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from gateway.errors import Refused
from gateway.soap import wsse
from gateway.soap.wsse import Freshness, PartySecrets, Proven, digest, prove, read_token
from gateway.xml import Element

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
FRESH = Freshness(timedelta(minutes=5), timedelta(seconds=5))
SECRET = b"a secret of thirty-two characters"
NEXT = b"the next secret of that same party"
KNOWN = PartySecrets({"passports": [SECRET, NEXT]})
NONCE = b"0123456789abcdef"


def written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def password(value: str, kind: str = wsse.PASSWORD_TEXT) -> str:
    return f'<w:Password Type="{kind}">{value}</w:Password>'


def nonce(value: bytes = NONCE) -> str:
    return f'<w:Nonce EncodingType="{wsse.BASE64}">{base64.b64encode(value).decode()}</w:Nonce>'


def digested(
    secret: bytes = SECRET, user: str = "passports", created: datetime = NOW, salt: bytes = NONCE
) -> str:
    made = written(created)
    return (
        f"<w:Username>{user}</w:Username>{password(digest(salt, made, secret), wsse.PASSWORD_DIGEST)}"
        f"{nonce(salt)}<u:Created>{made}</u:Created>"
    )


def security(token: str, beside: str = "") -> Element:
    return etree.fromstring(
        f'<w:Security xmlns:w="{wsse.WSSE}" xmlns:u="{wsse.WSU}">{beside}'
        f"<w:UsernameToken>{token}</w:UsernameToken></w:Security>"
    )


def authenticate(headers: Sequence[Element] | Element, *, clear: bool = False, now: datetime = NOW) -> Proven:
    blocks = [headers] if isinstance(headers, Element) else headers
    return prove(read_token(blocks, now, FRESH), KNOWN, now, FRESH, clear_allowed=clear)


def refusal(headers: Sequence[Element] | Element, *, clear: bool = False, now: datetime = NOW) -> str:
    with pytest.raises(Refused) as refused:
        authenticate(headers, clear=clear, now=now)
    return refused.value.code


def test_the_digest_is_that_of_the_profile() -> None:
    """base64(SHA-1(nonce + created + password)): checked against openssl."""
    assert digest(b"nonce123", "2026-11-22T09:00:00Z", b"password") == "hv8ZpQLw/IASKS5yR4EIYuTJkOE="


@pytest.mark.parametrize("secret", [SECRET, NEXT])
def test_a_digest_with_either_secret_proves_the_party(secret: bytes) -> None:
    proven = authenticate(security(digested(secret)))
    assert proven.party == "passports"
    assert proven.nonce_id is not None
    assert proven.ends_at > NOW + FRESH.max_age


def test_a_password_in_clear_is_taken_only_over_a_private_connection() -> None:
    token = security(f"<w:Username>passports</w:Username>{password(SECRET.decode())}")
    assert authenticate(token, clear=True).party == "passports"
    assert refusal(token, clear=False) == "password_not_protected"


def test_a_password_without_a_type_is_one_in_clear() -> None:
    token = security(f"<w:Username>passports</w:Username><w:Password>{SECRET.decode()}</w:Password>")
    assert refusal(token) == "password_not_protected"


@pytest.mark.parametrize(
    "token",
    [
        digested(b"another secret of the same length"),
        digested(user="nobody"),
        digested(user="foreign-affairs"),
        digested().replace("passports", "passports<!-- -->x"),
        digested().replace("09:00:00Z", "09:00:01Z"),
        "<w:Username>passports</w:Username>",
        password(SECRET.decode()),
        digested() + "<w:Username>passports</w:Username>",
        digested(salt=b"short"),
        digested(salt=b"x" * 200),
        digested().replace(nonce(), ""),
        digested().replace(f"<u:Created>{written(NOW)}</u:Created>", ""),
        digested().replace(written(NOW), "2026-11-22T09:00:00"),
        digested().replace(written(NOW), "2026-13-22T09:00:00Z"),
        digested().replace(base64.b64encode(NONCE).decode(), "%%%%"),
        f"<w:Username>passports</w:Username>{password('x' * 10_000)}",
    ],
)
def test_whoever_does_not_prove_it_gets_the_same_answer(token: str) -> None:
    assert refusal(security(token), clear=True) == "unauthenticated"


@pytest.mark.parametrize(
    ("made", "parts"),
    [
        (digest(b"", written(NOW), SECRET), f"<u:Created>{written(NOW)}</u:Created>"),
        (digest(NONCE, "", SECRET), nonce()),
        (digest(b"", "", SECRET), ""),
    ],
)
def test_a_digest_that_could_be_sent_again_for_ever_is_refused(made: str, parts: str) -> None:
    token = f"<w:Username>passports</w:Username>{password(made, wsse.PASSWORD_DIGEST)}{parts}"
    assert refusal(security(token)) == "unauthenticated"


def test_a_digest_is_no_password() -> None:
    """What was seen on the wire must not be of use as the secret itself."""
    seen = digest(NONCE, written(NOW), SECRET)
    token = security(f"<w:Username>passports</w:Username>{password(seen)}")
    assert refusal(token, clear=True) == "unauthenticated"


@pytest.mark.parametrize("age_s", [-6, 306, 86_400])
def test_an_old_or_early_token_is_refused(age_s: int) -> None:
    assert refusal(security(digested(created=NOW - timedelta(seconds=age_s)))) == "token_expired"


@pytest.mark.parametrize("age_s", [-5, 0, 305])
def test_clocks_may_differ_by_the_leeway(age_s: int) -> None:
    assert authenticate(security(digested(created=NOW - timedelta(seconds=age_s)))).party == "passports"


def test_a_wrong_secret_never_tells_that_the_token_is_old() -> None:
    token = security(digested(b"another secret of the same length", created=NOW - timedelta(days=1)))
    assert refusal(token) == "unauthenticated"


def test_a_nonce_has_one_name_however_it_is_written() -> None:
    spaced = digested().replace(base64.b64encode(NONCE).decode(), f"\n {base64.b64encode(NONCE).decode()} ")
    assert authenticate(security(digested())).nonce_id == authenticate(security(spaced)).nonce_id


def test_there_must_be_one_block_only() -> None:
    assert refusal([]) == "unauthenticated"
    assert refusal([security(digested()), security(digested())]) == "unauthenticated"


@pytest.mark.parametrize(
    "beside", ["<w:BinarySecurityToken/>", '<d:Signature xmlns:d="urn:d"/>', "<!-- -->", "<?x?>"]
)
def test_what_is_not_checked_is_not_passed_over(beside: str) -> None:
    assert refusal(security(digested(), beside)) == "security_unsupported"


def test_another_kind_of_password_is_not_taken_for_one_in_clear() -> None:
    token = security(f"<w:Username>passports</w:Username>{password(SECRET.decode(), 'urn:other')}")
    assert refusal(token, clear=True) == "security_unsupported"


def stamp(created: datetime, expires: datetime) -> str:
    return (
        f"<u:Timestamp><u:Created>{written(created)}</u:Created>"
        f"<u:Expires>{written(expires)}</u:Expires></u:Timestamp>"
    )


def test_a_timestamp_that_has_ended_or_not_begun_is_refused() -> None:
    minute = timedelta(minutes=1)
    assert authenticate(security(digested(), stamp(NOW, NOW + minute))).party == "passports"
    assert refusal(security(digested(), stamp(NOW - 2 * minute, NOW - minute))) == "token_expired"
    assert refusal(security(digested(), stamp(NOW + minute, NOW + 2 * minute))) == "token_expired"


def test_nothing_of_a_token_shows_in_its_repr() -> None:
    token = read_token([security(digested())], NOW, FRESH)
    assert token.password not in repr(token)
