"""What a party may try against another, for every route of the public listener.

A probe comes with a twin: the same request, but for something that nobody owns in the place of what another
party owns. To the caller both must look the same. `PROBES` has an entry for every route; a route without one
is a route whose answers nobody has looked at.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Final
from urllib.parse import quote

import jwt

from adapters.service_centers.sample import sample_batch
from gateway.message import new_id
from gateway.soap.wsse import PASSWORD_DIGEST, WSSE, WSU
from schemas.kinds import KINDS
from tests.access.stage import (
    OTHERS,
    UNKNOWN_VISA_TYPE,
    Stage,
    Tenant,
    absent_person,
    marked,
    ndjson,
)
from tests.access.wire import Request
from tests.schemas.pictures import jpeg, sha256

Route = tuple[str, str]
Headers = tuple[tuple[str, str], ...]
#: A party that nobody has ever configured.
NOBODY: Final = "sc-99"


@dataclass(frozen=True, slots=True)
class Known:
    """A difference that the rules of the network bring with them."""

    #: Told for what is another's.
    code: str
    why: str


#: What an answer tells of others all the same, by what is tried (docs/access.md). None of these says whose it
#: is. Anything else that differs is a leak.
KNOWN: Final[Mapping[str, Known]] = {
    "person of the other": Known(
        "duplicate_application",
        "a person has one application at a time in the whole network: who holds the passport may know that",
    ),
    "group of the other": Known(
        "group_of_another_licensee",
        "trade in groups is refused by that name, and reported to the ministry",
    ),
    "agent of the other": Known(
        "agent_contract_invalid",
        "an agent whose contract does not hold is told from one whom nobody knows",
    ),
    "name of the other's package.submission": Known(
        "record_unknown", "packages have one name in the whole network"
    ),
    "name of the other's plan.submission": Known(
        "record_unknown", "plans have one name in the whole network"
    ),
    "name of the other's agent_contract.submission": Known(
        "record_unknown",
        "contracts have one name in the whole network",
    ),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A probe, its twin, and what must be there first."""

    family: str
    probe: Request
    twin: Request
    #: Sent before both, by the party that is probed.
    before: Request | None = None
    #: What an answer repeats of the request: in the probe's, in the twin's.
    repeated: tuple[str, str] = ("", "")


@dataclass
class Kept:
    """What lasts from one probe to the next."""

    #: When it was made, and a token for reading.
    tokens: dict[str, tuple[float, str]] = field(default_factory=dict)


@dataclass
class Draw:
    """What the next probe is made of."""

    stage: Stage
    random: Random
    attacker: Tenant
    victim: Tenant
    kept: Kept

    def token(self, tenant: Tenant | None = None) -> str:
        """A token for reading: it may be used again."""
        who = tenant or self.attacker
        now = datetime.now(UTC).timestamp()
        made, token = self.kept.tokens.get(who.id, (0.0, ""))
        if now - made > 60:
            token = who.token()
            self.kept.tokens[who.id] = (now, token)
        return token

    def one(self, *found: Any) -> Any:
        return self.random.choice(found)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def name(self) -> str:
        """A name that nobody has used."""
        return f"N{self.random.getrandbits(60):015x}"


Maker = Callable[[Draw], Pair]
#: Method and path of every route of the public listener.
PROBES: dict[Route, Maker] = {}


def in_order() -> list[Route]:
    """Every route; those by which an attacker's own messages grow in number come last."""
    growing = (("POST", "/v1/messages/{kind}"), ("POST", "/v1/batches"))
    return [*sorted(route for route in PROBES if route not in growing), *growing]


def probing(method: str, *paths: str) -> Callable[[Callable[[Draw, str], Pair]], Callable[[Draw, str], Pair]]:
    """Registers what makes the probes of these routes."""

    def register(make: Callable[[Draw, str], Pair]) -> Callable[[Draw, str], Pair]:
        for path in paths:
            PROBES[method, path] = lambda draw, path=path: make(draw, path)  # type: ignore[misc]
        return make

    return register


# --- who asks --------------------------------------------------------------------------------------

#: What proxies and careless servers believe.
_SPOOFED: Final = (
    "X-Party", "X-Tenant", "X-Forwarded-User", "X-Remote-User", "X-Client-Cert-Subject", "X-Original-URL",
    "X-Rewrite-URL", "X-Forwarded-For", "Forwarded", "Cookie", "From", "X-HTTP-Method-Override", "Referer",
)  # fmt: skip


def _bearer(token: str) -> Headers:
    return (("Authorization", f"Bearer {token}"),)


def _credential(draw: Draw, *, once: bool) -> tuple[str, Headers, Headers]:
    """A name for it, and the headers of probe and twin. `once`: for a request that changes something."""

    def good(**claims: Any) -> str:
        return draw.attacker.token(**claims) if once or claims else draw.token()

    if not draw.chance(0.3):
        return "own", _bearer(good()), _bearer(good())
    victim = draw.victim
    match draw.random.randrange(12):
        case 0:
            return "none", (), ()
        case 1:  # the other's name under one's own key
            return (
                "iss of the other",
                _bearer(draw.attacker.token(iss=victim.id)),
                _bearer(draw.attacker.token(iss=NOBODY)),
            )
        case 2:
            return "sub of the other", _bearer(good(sub=victim.id)), _bearer(good(sub=NOBODY))
        case 3:
            said = dict.fromkeys(("party", "tenant", "azp", "client_id", "act", "on_behalf_of"), victim.id)
            absent = dict.fromkeys(said, NOBODY)
            return "claims of the other", _bearer(good(**said)), _bearer(good(**absent))
        case 4:
            return (
                "key id of the other",
                _bearer(_named_key(draw, victim.id)),
                _bearer(_named_key(draw, NOBODY)),
            )
        case 5:
            return "unsigned", _bearer(_unsigned(victim.id)), _bearer(_unsigned(NOBODY))
        case 6:
            return "public key as a secret", _bearer(_hmac(draw, victim.id)), _bearer(_hmac(draw, NOBODY))
        case 7:
            two = (*_bearer(draw.attacker.token(iss=victim.id)), *_bearer(good()))
            absent_two = (*_bearer(draw.attacker.token(iss=NOBODY)), *_bearer(good()))
            return "two credentials", two, absent_two
        case 8:
            basic = base64.b64encode(f"{victim.id}:{victim.id}".encode()).decode()
            nobodys = base64.b64encode(f"{NOBODY}:{NOBODY}".encode()).decode()
            return "basic", (("Authorization", f"Basic {basic}"),), (("Authorization", f"Basic {nobodys}"),)
        case 9:  # a token id is one party's own: the other's use of it means nothing
            used = next((each for each in victim.jtis if each not in draw.attacker.borrowed), draw.name())
            draw.attacker.borrowed.add(used)
            return "token id of the other", _bearer(draw.attacker.token(jti=used)), _bearer(good())
        case 10:
            expired = {"iat": 1_700_000_000, "exp": 1_700_000_200}
            return "expired", _bearer(draw.attacker.token(**expired)), _bearer(draw.attacker.token(**expired))
        case _:
            header = draw.one(*_SPOOFED)
            shown = {"Forwarded": "for={0};by={0}", "Cookie": "party={0}; session={0}"}.get(header, "{0}")
            return (
                f"{header} of the other",
                (*_bearer(good()), (header, shown.format(victim.id))),
                (*_bearer(good()), (header, shown.format(NOBODY))),
            )


def _named_key(draw: Draw, party: str) -> str:
    claims = jwt.decode(draw.attacker.token(iss=party), options={"verify_signature": False})
    return jwt.encode(claims, draw.attacker.key, algorithm="EdDSA", headers={"kid": party})


def _part(document: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def _said(party: str) -> dict[str, Any]:
    now = int(datetime.now(UTC).timestamp())
    return {"iss": party, "aud": "umrah-gateway", "iat": now, "exp": now + 240, "jti": new_id()}


def _unsigned(party: str) -> str:
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(_said(party))}."


def _hmac(draw: Draw, party: str) -> str:
    """Signed with the public key's own text, as if it were a shared secret."""
    path = draw.stage.data / "keys" / "parties" / f"{draw.victim.id}.pub.pem"
    text = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(_said(party))}"
    made = hmac.new(path.read_bytes(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


# --- ids in paths ----------------------------------------------------------------------------------

Mutation = Callable[[str], str]
_MUTATIONS: Final[Mapping[str, Mutation]] = {
    "upper case": str.upper,
    "without hyphens": lambda id: id.replace("-", ""),
    "in braces": lambda id: f"%7B{id}%7D",
    "escaped": lambda id: "".join(f"%{ord(each):02x}" for each in id),
    "space after": lambda id: f"{id}%20",
    "space before": lambda id: f"%20{id}",
    "slash after": lambda id: f"{id}/",
    "slash before": lambda id: f"/{id}",
    "climbing": lambda id: f"x/../{id}",
    "climbing, escaped": lambda id: f"x%2f..%2f{id}",
    "null after": lambda id: f"{id}%00",
    "parameters": lambda id: f"{id};party=sc-01",
    "extension": lambda id: f"{id}.json",
    "line feed": lambda id: f"{id}%0d%0aX-Party:%20sc-01",
    "wildcard": lambda id: f"{id[:18]}%25",
    "one too short": lambda id: id[:-1],
    "one too long": lambda id: f"{id}0",
    "quoted": lambda id: f"{id}'%20OR%20'1'='1",
    # Of the last character, whichever it is: an id without a certain one would stay as it is.
    "full width": lambda id: f"{id[:-1]}{quote(chr(0xFEE0 + ord(id[-1])))}",
    "two": lambda id: f"{id},{id}",
    "fragment": lambda id: f"{id}%23",
    "bad UTF-8": lambda id: f"{id}%ff",
}
_LANGUAGES: Final = ("", "ar", "en", "ar-SA,en;q=0.1", "*")
_ACCEPTED: Final = (
    "",
    "*/*",
    "application/json",
    "text/csv",
    "application/xml",
    "application/x-ndjson",
    "a/b",
)
_OTHER_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "SEARCH")


def _mutated(draw: Draw, id: str, absent: str) -> tuple[str, str, str]:
    if not draw.chance(0.3):
        return "", id, absent
    name = draw.one(*_MUTATIONS)
    return f", {name}", _MUTATIONS[name](id), _MUTATIONS[name](absent)


def _owned(draw: Draw, own_sort: list[str]) -> tuple[str, str]:
    """An id that is not the attacker's to see here, and what it is."""
    if draw.chance(0.7):
        return "id of the other", draw.one(*own_sort)
    if draw.chance(0.6):
        return "id of the other, another sort", draw.one(*draw.victim.ids)
    third = draw.stage.tenants["committee" if draw.attacker.id == "licensing" else "licensing"]
    return "id of the ministry", draw.one(*third.ids)


def _asked(draw: Draw, *queries: str) -> str:
    if draw.chance(0.15):
        strange = draw.one("?party={0}", "?tenant={0}&x=1", "?id={0}", "?access_token=x")
        return str(strange).format(draw.victim.id)
    return str(draw.one("", *queries))


def _manners(draw: Draw) -> Headers:
    """What else a request may say; the same in probe and twin."""
    named = {"Accept-Language": draw.one(*_LANGUAGES), "Accept": draw.one(*_ACCEPTED)}
    return tuple((name, value) for name, value in named.items() if value and draw.chance(0.4))


def _by_id(draw: Draw, method: str, path: str, own_sort: list[str], *queries: str) -> Pair:
    """Somebody else's id against an absent one, by whoever asks, in whatever form."""
    if draw.chance(0.08):
        draw.attacker = draw.stage.tenants[draw.one(*OTHERS)]
    what, id = _owned(draw, own_sort)
    how, found, absent = _mutated(draw, id, new_id())
    if draw.chance(0.05):
        other = draw.one(*(each for each in _OTHER_METHODS if each != method))
        method, how = other, f"{how}, {other}"
    once = method not in ("GET", "HEAD")
    who, credential, nobodys = _credential(draw, once=once)
    query, manners = _asked(draw, *queries), _manners(draw)
    if once and draw.chance(0.3):
        manners = (*manners, ("Idempotency-Key", draw.one(*draw.victim.keys)))
    return Pair(
        f"{what}{how}; {who}",
        Request(method, path.format(id=found) + query, (*credential, *manners)),
        Request(method, path.format(id=absent) + query, (*nobodys, *manners)),
    )


@probing("GET", "/v1/batches/{id}", "/v1/batches/{id}/results", "/v1/batches/{id}/rejected")
def _read_batch(draw: Draw, path: str) -> Pair:
    return _by_id(draw, "GET", path, draw.victim.batches)


@probing("GET", "/v1/batches/{id}/applications")
def _page(draw: Draw, path: str) -> Pair:
    queries = (
        "?state=issued",
        "?state=none",
        "?cursor=1",
        "?cursor=x",
        "?limit=1",
        "?limit=0",
        "?cursor=0&limit=9",
    )
    return _by_id(draw, "GET", path, draw.victim.batches, *queries)


@probing("POST", "/v1/batches/{id}/confirm", "/v1/batches/{id}/cancel")
def _change_batch(draw: Draw, path: str) -> Pair:
    return _by_id(draw, "POST", path, draw.victim.batches)


@probing("POST", "/v1/applications/{id}/cancel")
def _cancel(draw: Draw, path: str) -> Pair:
    return _by_id(draw, "POST", path, draw.victim.applications)


@probing("GET", "/v1/messages/{id}")
def _message(draw: Draw, path: str) -> Pair:
    return _by_id(draw, "GET", path, [*draw.victim.messages, *draw.victim.applications])


# --- what is sent ----------------------------------------------------------------------------------


def _post(target: str, draw: Draw, body: bytes, media: str, key: str, headers: Headers = ()) -> Request:
    credential = headers or _bearer(draw.attacker.token())
    named = (("Content-Type", media), ("Idempotency-Key", key))
    return Request("POST", target, (*credential, *named), body)


def _own_batch(draw: Draw, who: Tenant | None = None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A header and two lines of the attacker's own, for persons whom nobody submitted."""
    tenant = who or draw.attacker
    seed = draw.random.randrange(10**9)
    header, lines = sample_batch(2, seed, datetime.now(UTC).date(), clean=True, center=tenant.id)
    made = [
        absent_person(marked(line, "Nobody", f"R-{number}"), draw.random) for number, line in enumerate(lines)
    ]
    return {**header, "batch_reference": "own"}, made


def _rejected(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Taken, and over at once: no partner is asked."""
    return [{**line, "visa_type": UNKNOWN_VISA_TYPE} for line in lines]


@probing("POST", "/v1/batches")
def _submit(draw: Draw, path: str) -> Pair:
    header, lines = _own_batch(draw)
    match draw.random.randrange(9):
        case 0:
            return _key_of_the_other(draw, path, header, lines)
        case 1:
            return _photo_of_the_other(draw, path, header, lines)
        case 2:
            return _batch_in_the_others_name(draw, path, lines)
        case 3:
            return _header_of_the_other(draw, path, header, lines)
        case 4:
            said = {"batch_reference": draw.victim.submitted[0][0]["batch_reference"]}
            reference = {"reference": draw.victim.submitted[0][1][0]["reference"]}
            named = ndjson({**header, **said}, [{**line, **reference} for line in lines[:1]])
            return _dry(draw, path, "references of the other", named, ndjson(header, lines[:1]))
        case 5:
            who, credential, nobodys = _credential(draw, once=True)
            body, key = ndjson(header, lines), draw.one(*draw.victim.keys)
            return Pair(
                f"key of the other, dry run; {who}",
                _post(f"{path}?dry_run=true", draw, body, "application/x-ndjson", key, credential),
                _post(f"{path}?dry_run=true", draw, body, "application/x-ndjson", draw.name(), nobodys),
            )
        case 6:
            return _person_of_the_other(draw, path, header, lines)
        case 7:
            query = f"?party={draw.victim.id}"
            body = ndjson(header, lines)
            return Pair(
                "query of the other",
                _post(path + query, draw, body, "application/x-ndjson", draw.name()),
                _post(f"{path}?party={NOBODY}", draw, body, "application/x-ndjson", draw.name()),
            )
        case _:
            extra = draw.one("party", "center_id", "tenant")
            return _dry(
                draw, path, f"{extra} of the other in the header",
                ndjson({**header, extra: draw.victim.id}, lines), ndjson({**header, extra: NOBODY}, lines),
            )  # fmt: skip


def _dry(draw: Draw, path: str, family: str, body: bytes, absent: bytes) -> Pair:
    target = f"{path}?dry_run=true{draw.one('', '&mode=all_or_nothing')}"
    return Pair(
        family,
        _post(target, draw, body, "application/x-ndjson", draw.name()),
        _post(target, draw, absent, "application/x-ndjson", draw.name()),
    )


def _key_of_the_other(draw: Draw, path: str, header: dict[str, Any], lines: list[dict[str, Any]]) -> Pair:
    """The other has just used this key: for the same bytes but for whom they are, or for others."""
    key = draw.name()
    theirs_header, theirs = _own_batch(draw, draw.victim)
    before = _post(
        path, draw, ndjson(theirs_header, _rejected(theirs)), "application/x-ndjson", key,
        _bearer(draw.victim.token()),
    )  # fmt: skip
    body = ndjson(header, _rejected(lines))
    return Pair(
        "key that the other has used",
        _post(path, draw, body, "application/x-ndjson", key),
        _post(path, draw, body, "application/x-ndjson", draw.name()),
        before,
    )


def _photo_of_the_other(draw: Draw, path: str, header: dict[str, Any], lines: list[dict[str, Any]]) -> Pair:
    known = sha256(draw.one(*draw.victim.photos))
    absent = hashlib.sha256(draw.name().encode()).hexdigest()
    return _dry(
        draw, path, "photo of the other",
        ndjson(header, [{**line, "photo_sha256": known} for line in lines]),
        ndjson(header, [{**line, "photo_sha256": absent} for line in lines]),
    )  # fmt: skip


def _person_of_the_other(draw: Draw, path: str, header: dict[str, Any], lines: list[dict[str, Any]]) -> Pair:
    """Somebody for whom the other has asked for a visa, with that passport in hand."""
    theirs = draw.one(*draw.victim.submitted)[1][0]
    passport = {**lines[0]["passport"], "number": theirs["passport"]["number"]}
    passport["issuing_state"] = theirs["passport"]["issuing_state"]
    same = {**lines[0], "nationality": theirs["nationality"], "passport": passport}
    stranger = {
        **same,
        "passport": {**passport, "number": absent_person(theirs, draw.random)["passport"]["number"]},
    }
    return _dry(draw, path, "person of the other", ndjson(header, [same]), ndjson(header, [stranger]))


def _batch_in_the_others_name(draw: Draw, path: str, lines: list[dict[str, Any]]) -> Pair:
    """As it was sent by the other, and the same for a batch that nobody sent."""
    header, theirs = draw.one(*draw.victim.submitted)
    strangers = [absent_person(line, draw.random) for line in theirs]
    renamed = {**header, "batch_reference": draw.name()}
    return _dry(draw, path, "batch of the other", ndjson(header, theirs), ndjson(renamed, strangers))


def _header_of_the_other(draw: Draw, path: str, header: dict[str, Any], lines: list[dict[str, Any]]) -> Pair:
    name, absent = draw.one(
        ("agent_id", "AGT-9999"), ("package_id", "PKG-9999"), ("group_number", "GRP-9999"),
        ("licensee_id", "LIC-9999"),
    )  # fmt: skip
    theirs = draw.victim.submitted[0][0][name]
    return _dry(
        draw, path, f"{name.partition('_')[0]} of the other",
        ndjson({**header, name: theirs}, lines), ndjson({**header, name: absent}, lines),
    )  # fmt: skip


#: Kinds that a center sends, and the field that names one of them.
_NAMED: Final[Mapping[str, str]] = {
    "readiness.report": "report_id",
    "compliance.report": "report_id",
    "case.report": "case_id",
    "complaint.submission": "complaint_id",
    "package.submission": "package_id",
    "plan.submission": "plan_id",
    "agent_contract.submission": "contract_id",
}
_LEFT_OUT: Final = {"group_number": None, "visa_numbers": None, "visa_number": None}


def _body(kind: str, tenant: Tenant, **changes: Any) -> bytes:
    licensee = {"licensee_id": f"LIC-{1000 + tenant.number}"}
    left_out = {"package_id": None} if kind == "compliance.report" else {}
    example = KINDS[kind].example
    agent = {"agent_id": f"AGT-{2000 + tenant.number}"} if "agent_id" in example else {}
    body = {**example, **_LEFT_OUT, **left_out, **licensee, **agent, **changes}
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


@probing("POST", "/v1/messages/{kind}")
def _send(draw: Draw, path: str) -> Pair:
    match draw.random.randrange(6):
        case 0 | 1:
            return _name_of_the_other(draw)
        case 2:
            return _message_in_the_others_name(draw)
        case 3:
            return _named_in_a_message(draw)
        case 4:
            return _kind_of_the_ministry(draw)
        case _:
            return _key_of_the_others_message(draw)


def _messages(draw: Draw, kind: str, body: bytes, absent: bytes, family: str, **more: Any) -> Pair:
    target, media = f"/v1/messages/{kind}", "application/json"
    return Pair(
        family,
        _post(target, draw, body, media, draw.name()),
        _post(target, draw, absent, media, draw.name()),
        **more,
    )


def _name_of_the_other(draw: Draw) -> Pair:
    """The other has just sent a message of this name; one's own of the same name is one's own."""
    kind, name = draw.one(*_NAMED), draw.name()
    field_name = _NAMED[kind]
    before = _post(
        f"/v1/messages/{kind}", draw, _body(kind, draw.victim, **{field_name: name}), "application/json",
        draw.name(), _bearer(draw.victim.token()),
    )  # fmt: skip
    return _messages(
        draw, kind, _body(kind, draw.attacker, **{field_name: name}),
        _body(kind, draw.attacker, **{field_name: draw.name()}), f"name of the other's {kind}", before=before,
    )  # fmt: skip


def _message_in_the_others_name(draw: Draw) -> Pair:
    """What the other sent, word for word, against the same under a name that was never used."""
    kind = draw.one(*_NAMED)
    sent = draw.victim.sent[kind]
    if kind == "complaint.submission":  # anyone may complain of any licensee
        kind = "case.report"
        sent = draw.victim.sent[kind]
    absent = {**sent, _NAMED[kind]: draw.name()}
    return _messages(
        draw, kind, json.dumps(sent).encode(), json.dumps(absent).encode(), "message of the other"
    )


def _named_in_a_message(draw: Draw) -> Pair:
    """A visa, a package or a group of the other, named in a report of one's own."""
    what = draw.one("visa", "package", "group", "pilgrim")
    if what == "visa":
        named = ({"visa_numbers": [draw.one(*draw.victim.visas)]}, {"visa_numbers": [_absent_visa(draw)]})
        kind = "compliance.report"
    elif what == "pilgrim":
        named = ({"visa_number": draw.one(*draw.victim.visas)}, {"visa_number": _absent_visa(draw)})
        kind = draw.one("case.report", "complaint.submission")
    elif what == "package":
        named = ({"package_id": draw.victim.submitted[0][0]["package_id"]}, {"package_id": "PKG-9999"})
        kind = "compliance.report"
    else:
        named = ({"group_number": draw.victim.submitted[0][0]["group_number"]}, {"group_number": "GRP-9999"})
        kind = "compliance.report"
    theirs, absent = named
    id = _NAMED[kind]
    return _messages(
        draw, kind, _body(kind, draw.attacker, **{id: draw.name()}, **theirs),
        _body(kind, draw.attacker, **{id: draw.name()}, **absent), f"{what} of the other",
    )  # fmt: skip


def _absent_visa(draw: Draw) -> str:
    return f"9{draw.random.randrange(10**9):09}"


def _kind_of_the_ministry(draw: Draw) -> Pair:
    """Kinds that a center may not send, about the other; kinds that there are not."""
    kind = draw.one(*(name for name in KINDS if "service_center" not in KINDS[name].senders), "no.such.kind")
    named = {"licensee_id": f"LIC-{1000 + draw.victim.number}", "center_id": draw.victim.id}
    absent = {"licensee_id": "LIC-9999", "center_id": NOBODY}
    example = KINDS[kind].example if kind in KINDS else {}
    return _messages(
        draw, kind, json.dumps({**example, **named}).encode(), json.dumps({**example, **absent}).encode(),
        "kind of the ministry",
    )  # fmt: skip


def _key_of_the_others_message(draw: Draw) -> Pair:
    kind, key = "case.report", draw.name()
    body, absent = (_body(kind, draw.attacker, case_id=draw.name()) for _ in range(2))
    target = f"/v1/messages/{kind}"
    theirs = _body(kind, draw.victim, case_id=draw.name())
    return Pair(
        "key that the other has used",
        _post(target, draw, body, "application/json", key),
        _post(target, draw, absent, "application/json", draw.name()),
        _post(target, draw, theirs, "application/json", key, _bearer(draw.victim.token())),
    )


# --- what is meant for a party ---------------------------------------------------------------------


@probing("GET", "/v1/notifications")
def _notifications(draw: Draw, path: str) -> Pair:
    """From a cursor of the other's on: one's own that follow it, as from one's own cursor before it."""
    theirs = draw.one(*draw.victim.cursors)
    own = max((each for each in draw.attacker.cursors if each <= theirs), default=0)
    limit = f"&limit={draw.one(1, 2, 100, 1000)}"
    who, credential, nobodys = _credential(draw, once=False)
    manners = _manners(draw)
    return Pair(
        f"cursor of the other; {who}",
        Request("GET", f"{path}?cursor={theirs}{limit}", (*credential, *manners)),
        Request("GET", f"{path}?cursor={own}{limit}", (*nobodys, *manners)),
        repeated=(f'"cursor": "{theirs}"', f'"cursor": "{own}"'),  # where nothing follows
    )


@probing("POST", "/v1/notifications/confirm")
def _confirm(draw: Draw, path: str) -> Pair:
    """A cursor of the other's, against a number that is no one's, on the same side of one's own last."""
    theirs, last = draw.one(*draw.victim.cursors), max(draw.attacker.cursors)
    nobodys_number = draw.random.randrange(10**6, 10**9) if theirs > last else 0
    who, credential, nobodys = _credential(draw, once=True)
    return Pair(
        f"cursor of the other; {who}",
        Request("POST", f"{path}?cursor={theirs}", credential),
        Request("POST", f"{path}?cursor={nobodys_number}", nobodys),
    )


# --- photos, reports, documents --------------------------------------------------------------------


@probing("PUT", "/v1/photos/{sha256}")
def _photo(draw: Draw, path: str) -> Pair:
    media = (("Content-Type", "image/jpeg"),)

    def put(photo: bytes, digest: str, headers: Headers) -> Request:
        return Request("PUT", path.format(sha256=digest), (*headers, *media), photo)

    picture, stranger = (jpeg(fill=os.urandom(32), size_bytes=_PHOTO_BYTES) for _ in range(2))
    if draw.chance(0.2):  # the other has just put it
        return Pair(
            "photo of the other",
            put(picture, sha256(picture), _bearer(draw.attacker.token())),
            put(stranger, sha256(stranger), _bearer(draw.attacker.token())),
            put(picture, sha256(picture), _bearer(draw.victim.token())),
            repeated=(sha256(picture), sha256(stranger)),
        )
    known, absent = sha256(draw.one(*draw.victim.photos)), hashlib.sha256(draw.name().encode()).hexdigest()
    how, found, missing = _mutated(draw, known, absent)
    who, credential, nobodys = _credential(draw, once=True)
    return Pair(
        f"digest of the other{how}; {who}", put(picture, found, credential), put(picture, missing, nobodys)
    )


_PHOTO_BYTES: Final = len(jpeg(0, b"")) + 320


@probing("GET", "/v1/reports/visa-flow", "/v1/reports/season")
def _report(draw: Draw, path: str) -> Pair:
    """No center is told: not whether there is anything, not for which licensee, day or season."""
    who, credential, nobodys = _credential(draw, once=False)
    query, absent = draw.one(
        ("", ""), ("?season=1448", "?season=1300"), ("?from=2026-11-22", "?from=1999-01-01"),
        ("?licensee_id=LIC-1001", "?licensee_id=LIC-9999"), ("?season=x", "?season=y"),
    )  # fmt: skip
    manners = _manners(draw)
    return Pair(
        f"report; {who}",
        Request("GET", path + query, (*credential, *manners)),
        Request("GET", path + absent, (*nobodys, *manners)),
    )


@probing("GET", "/openapi.json", "/docs")
def _document(draw: Draw, path: str) -> Pair:
    """The same for everybody."""
    who, credential, _ = _credential(draw, once=False)
    query = _asked(draw)
    return Pair(f"document; {who}", Request("GET", path + query, credential), Request("GET", path + query))


@probing("GET", "/v1/checkpoint")
def _checkpoint(draw: Draw, path: str) -> Pair:
    """The same for every party, whoever is named."""
    who, credential, nobodys = _credential(draw, once=False)
    query, absent = draw.one(("", ""), (f"?party={draw.victim.id}", f"?party={NOBODY}"))
    return Pair(
        f"checkpoint; {who}", Request("GET", path + query, credential), Request("GET", path + absent, nobodys)
    )


@probing("GET", "/problems/{code}")
def _problem(draw: Draw, path: str) -> Pair:
    code, absent = draw.one(*draw.victim.ids, draw.victim.id, *draw.victim.visas), draw.name()
    how, found, missing = _mutated(draw, code, absent)
    who, credential, nobodys = _credential(draw, once=False)
    return Pair(
        f"id of the other{how}; {who}",
        Request("GET", path.format(code=found), credential),
        Request("GET", path.format(code=missing), nobodys),
    )


# --- the doors of systems --------------------------------------------------------------------------

_SOAP: Final = ("/soap/movements", "/soap/capacity", "/soap/attestations")


@probing("GET", *_SOAP)
def _contract(draw: Draw, path: str) -> Pair:
    query, absent = draw.one(
        ("?wsdl", "?WSDL"), ("", "?"), (f"?{draw.victim.id}", f"?{NOBODY}"),
        (f"?xsd={draw.victim.batches[0]}", f"?xsd={new_id()}"),
        ("?../../../data/keys/parties/sc-02.pem", "?../../../data/keys/parties/sc-99.pem"),
        (f"?../v1/batches/{draw.victim.batches[0]}", f"?../v1/batches/{new_id()}"),
    )  # fmt: skip
    who, credential, nobodys = _credential(draw, once=False)
    return Pair(
        f"contract; {who}", Request("GET", path + query, credential), Request("GET", path + absent, nobodys)
    )


@probing("POST", *_SOAP)
def _call(draw: Draw, path: str) -> Pair:
    """A center at a system's door, in its own name or another's; a system at the other system's door."""
    owner = "passports" if path == "/soap/movements" else "foreign-affairs"
    other = "foreign-affairs" if owner == "passports" else "passports"
    visa, absent_visa = draw.one(*draw.victim.visas), _absent_visa(draw)
    match draw.random.randrange(5):
        case 0:
            who, credential, nobodys = _credential(draw, once=True)
            family, probe, twin = f"bearer token; {who}", "", ""
        case 1:
            family, credential, nobodys = "system's name, wrong secret", (), ()
            probe, twin = _username(owner, "x" * 43), _username(NOBODY, "x" * 43)
        case 2:
            family, credential, nobodys = "the other's name", (), ()
            probe, twin = _username(draw.victim.id, "x" * 43), _username(NOBODY, "x" * 43)
        case 3:
            family, credential, nobodys = "system at another's door", (), ()
            probe, twin = (_username(other, draw.stage.secrets[other]) for _ in range(2))
        case _:
            family, credential, nobodys = "without a name", (), ()
            probe, twin = "", ""
    return Pair(
        family,
        _envelope(path, probe, visa, credential, draw.victim.messages[0]),
        _envelope(path, twin, absent_visa, nobodys, new_id()),
    )


def _username(party: str, secret: str) -> str:
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    nonce = os.urandom(16)
    made = hashlib.sha1(nonce + created.encode() + secret.encode(), usedforsecurity=False).digest()
    return (
        f'<w:Security xmlns:w="{WSSE}" xmlns:u="{WSU}"><w:UsernameToken><w:Username>{party}</w:Username>'
        f'<w:Password Type="{PASSWORD_DIGEST}">{base64.b64encode(made).decode()}</w:Password>'
        f"<w:Nonce>{base64.b64encode(nonce).decode()}</w:Nonce><u:Created>{created}</u:Created>"
        "</w:UsernameToken></w:Security>"
    )


def _envelope(path: str, security: str, visa: str, headers: Headers, event: str) -> Request:
    if path == "/soap/movements":
        body = (
            '<NotifyArrival xmlns="urn:umrah:gateway:movements:v1">'
            f"<event_id>{event}</event_id><visa_number>{visa}</visa_number><at>2026-11-22T11:58:03+03:00</at>"
            "<port>JED</port></NotifyArrival>"
        )
    elif path == "/soap/capacity":
        body = (
            '<PublishMissionCapacity xmlns="urn:umrah:gateway:capacity:v1">'
            "<mission_id>MSN-IDN-JKT</mission_id><version>3</version><window><opens>2026-12-01</opens><closes>2026-12-31</closes></window>"
            "<ceiling>1</ceiling></PublishMissionCapacity>"
        )
    else:
        body = (
            f'<NotifyAttestation xmlns="urn:umrah:gateway:attestations:v1"><contract_id>{event}</contract_id>'
            "<version>1</version><decision>ATTESTED</decision><decided_at>2026-11-22T08:00:00Z</decided_at>"
            "<reference>ATT-1</reference></NotifyAttestation>"
        )
    envelope = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<s:Header>{security}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
    named = (("Content-Type", "text/xml; charset=utf-8"), ("SOAPAction", '""'))
    return Request("POST", path, (*headers, *named), envelope.encode())
