"""Is every canary where the policy lets it be, and nowhere else? And is it there, wherever it was sent?"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.canary.capture import Capture, Item
from tests.canary.marks import Source, Token
from tests.canary.players import Sown
from tests.canary.policy import Lists, meanings, told_as
from tests.canary.search import found_in, found_raw

#: What is asked of a destination, by the action or path that the proxy saw.
OPERATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "CheckClearance": ("interior.security_clearance",),
    "InquireClearance": (),
    "VerifyPassport": ("interior.passport_verification",),
    "ReportOverstay": ("interior.overstay_report",),
    "IssueVisa": ("foreign_affairs.visa_issuance",),
    "GetVisaStatus": (),
    "CancelVisa": ("foreign_affairs.visa_cancellation",),
    "AttestAgentContract": ("foreign_affairs.contract_attestation",),
    "/gosi/v1/certificates/check": ("registries.gosi_certificate",),
    "/dues/v1/standings/check": ("registries.dues",),
    "/iata/v1/memberships/check": ("registries.iata_membership",),
    "/banks/v1/accounts/check": ("registries.bank_account",),
    "/banks/v1/guarantees/check": ("registries.bank_guarantee",),
}
_HOLDS: Final = {"nic": "interior.licensee_hold_nic", "passports": "interior.licensee_hold_passports"}
#: What a partner named itself goes back to it.
_OWN_REFERENCE: Final = {("nic", "InquireClearance"): ("interior.security_clearance", "reference")}
#: Every call of these says for whom it is made, and nothing else.
_HEADER_ONLY: Final = {
    "InquireClearance": "interior.security_clearance",
    "GetVisaStatus": "foreign_affairs.visa_issuance",
}
_PUBLIC: Final = "public"


@dataclass(frozen=True, slots=True)
class Leak:
    """A canary where it must not be."""

    channel: str
    receiver: str
    what: str
    sources: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.channel} {self.receiver} {self.what}: {', '.join(self.sources)}"


@dataclass(slots=True)
class Verdict:
    """What was found out."""

    leaks: list[Leak] = field(default_factory=list)
    #: (channel, receiver, kind or operation, path) with how often it was seen where it may be.
    seen: dict[tuple[str, str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    looked_at: dict[str, int] = field(default_factory=lambda: defaultdict(int))


@dataclass(slots=True)
class Judge:
    """Looks at a capture with the lists at hand."""

    lists: Lists
    sown: Sown
    #: Kind of party by id.
    sorts: Mapping[str, str]
    verdict: Verdict = field(default_factory=Verdict)

    def judge(self, capture: Capture) -> Verdict:
        for item in capture.items:
            self.verdict.looked_at[item.channel] += 1
            _JUDGED[item.channel](self, item)
        return self.verdict

    def nothing_but_public(self, channel: str, name: str, data: bytes) -> None:
        """No restricted or secret canary in there, in whatever form."""
        self.verdict.looked_at[channel] += 1
        self._refuse(Item(channel, "", name, b""), found_raw(data, self.sown.garden.sown), _is_public)

    def nothing(self, channel: str, name: str, data: bytes) -> None:
        """No canary at all."""
        self.verdict.looked_at[channel] += 1
        self._refuse(Item(channel, "", name, b""), found_raw(data, self.sown.garden.sown), lambda _: False)

    # partners

    def partner(self, item: Item) -> None:
        found = self._found(item.body)
        operations = operations_of(item)
        for token in found:
            self._one(item, token, lambda source: self._to_partner(item, operations, source))
        for operation in operations:
            for token in found:
                for source in self._sources(token):
                    if path := self.lists.partner_path(item.receiver, operation, source):
                        self.verdict.seen["partner", item.receiver, operation, path] += 1

    def _to_partner(self, item: Item, operations: Iterable[str], source: Source) -> bool:
        if (source.kind, source.path) == _OWN_REFERENCE.get((item.receiver, item.what)):
            return True
        operation = _HEADER_ONLY.get(item.what)
        if operation is not None:
            path = self.lists.partner_path(item.receiver, operation, source)
            return path is not None and path.startswith("batch.")
        return self._own_message(item, source) and self.lists.to_partner(item.receiver, operations, source)

    def _own_message(self, item: Item, source: Source) -> bool:
        """Whether it belongs to the message that the call is for, as far as it belongs to one."""
        of_person = source.kind == "visa.application" and source.path != "mahram.reference"
        return not of_person or self.sown.ids.get(source.message, item.message_id) == item.message_id

    # parties

    def answer(self, item: Item) -> None:
        path = item.what.partition("?")[0]
        if path == "/v1/notifications" and item.body.startswith(b'{"notifications"'):
            self._notifications(item)
        elif path.startswith("/v1/reports/"):
            self._event(item, _REPORTS[path], item.body)
        else:
            self._refuse(item, self._found(item.body), lambda source: self._own(item, source))
            self._count_results(item)

    def _own(self, item: Item, source: Source) -> bool:
        """A party is told of its own messages what results of them may hold; their ids stand in paths."""
        if source.sender not in (item.receiver, ""):
            return False
        sort = self.sorts[item.receiver]
        if item.what.endswith("/rejected") and source.kind == "visa.application":
            return "application" in self.lists.results[sort]
        return self.lists.in_results(sort, source) or (
            source.kind == "visa.batch" and source.level == _PUBLIC and "batch" in item.what
        )

    def _count_results(self, item: Item) -> None:
        for token in self._found(item.body):
            for source in self._sources(token):
                if self.lists.in_results(self.sorts[item.receiver], source):
                    self.verdict.seen["result", self.sorts[item.receiver], source.kind, source.path] += 1

    def _notifications(self, item: Item) -> None:
        page = json.loads(item.body)
        for event in page["notifications"]:
            data = event.pop("data")
            self._event(item, event["kind"], _written(data))
            self._refuse(item, self._found(_written(event)), _is_public)

    def queue(self, item: Item) -> None:
        """An event from the broker, its kind `what`; sealed ones come opened, and once more as they were."""
        if item.what.startswith("raw "):
            self._refuse(item, self._found(item.body), _is_public)
        else:
            self._event(item, item.what, item.body)

    def _event(self, item: Item, kind: str, data: bytes) -> None:
        sort = self.sorts[item.receiver]
        for token in self._found(data):
            self._one(
                item, token, lambda source: self.lists.in_event(item.receiver, sort, kind, source), kind
            )
            told = self.lists.told(item.receiver, sort, kind)
            for source in self._sources(token):
                for found, path in meanings(source):
                    if found == kind and path in told:
                        self.verdict.seen["event", item.receiver, kind, path] += 1

    # everything else

    def public(self, item: Item) -> None:
        self._refuse(item, self._found(item.body), _is_public)

    def blank(self, item: Item) -> None:
        self._refuse(item, self._found(item.body), lambda _: False)

    # parts

    def _found(self, body: bytes) -> set[Token]:
        return found_in(body, self.sown.garden.sown)

    def _sources(self, token: Token) -> set[Source]:
        return self.sown.garden.sown[token]

    def _refuse(self, item: Item, found: Iterable[Token], allowed: Any) -> None:
        for token in found:
            self._one(item, token, allowed)

    def _one(self, item: Item, token: Token, allowed: Any, what: str = "") -> None:
        sources = self._sources(token)
        if not any(allowed(source) for source in sources):
            named = tuple(sorted({f"{source.kind} {source.path}" for source in sources}))
            self.verdict.leaks.append(Leak(item.channel, item.receiver, what or item.what, named))


_JUDGED: Final = {
    "partner": Judge.partner,
    "answer": Judge.answer,
    "queue": Judge.queue,
    "webhook": Judge.public,
    "operator": Judge.public,
    "command": Judge.public,
    "metrics": Judge.blank,
}
_REPORTS: Final = {"/v1/reports/season": "season.report", "/v1/reports/visa-flow": "visa_flow.report"}


def operations_of(item: Item) -> tuple[str, ...]:
    """What a partner is asked by a captured call."""
    if item.what == "CheckLicenseeHold":
        return (_HOLDS[item.receiver],)
    return OPERATIONS[item.what]


def _is_public(source: Source) -> bool:
    return source.level == _PUBLIC


def _written(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def expected(lists: Lists, sown: Sown, receivers: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """Every cell of the policy that a canary was sown for: it must have been seen there."""
    stands_for = {
        meaning for sources in sown.garden.sown.values() for source in sources for meaning in told_as(source)
    }
    for destination, operations in lists.grants.items():
        for operation, fields in operations.items():
            kinds = lists.routed.get(operation, frozenset())
            for path in fields:
                if any((kind, path) in stands_for for kind in kinds):
                    yield "partner", destination, operation, path
    for receiver, kinds_told in lists.events.items():
        for kind, fields in kinds_told.items():
            for party in [receiver] if receiver in receivers else []:
                yield from (("event", party, kind, path) for path in fields if (kind, path) in stands_for)
    for sort, fields in lists.results.items():
        for path in fields:
            if ("visa.result", path) in stands_for:
                yield "result", sort, "visa.result", path
            if ("visa.application", path) in stands_for:
                yield "result", sort, "visa.application", path
