"""What concerns persons, on the admin listener: reveal, disclosures, and the journal for auditors."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.message import MessageId
from gateway.pipeline.audit_entries import by_party, by_person, period
from gateway.pipeline.disclosures import Person, disclosures
from gateway.pipeline.engine import Engine
from gateway.pipeline.reveal import reveal_message
from gateway.web import query
from gateway.web.admin_answers import as_json
from gateway.web.admin_bodies import AboutPerson, EntriesAboutPerson, Passport, Reveal
from gateway.web.caller import OPERATOR, operator
from gateway.web.json_body import read
from gateway.web.streaming import stream

_LINES: Final = "application/x-ndjson"


class OperatorPersons:
    """The handlers. Each look is an entry of the journal, written before the answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("POST", "/v1/admin/messages/{id}/reveal", self.reveal),
            web.route("POST", "/v1/admin/disclosures", self.disclosures),
            web.route("GET", "/v1/admin/audit/entries", self.entries, allow_head=False),
            web.route("POST", "/v1/admin/audit/entries", self.entries_about),
        ]

    async def reveal(self, request: web.Request) -> web.Response:
        """What a message says of a person, as far as the operator's role may see it."""
        query.parameters(request)
        message_id = MessageId(query.path_id(request))
        asked = await read(request, Reveal)
        who = request[OPERATOR]
        return as_json(
            await reveal_message(message_id, who.name, who.roles, asked.reason, asked.fields, self._engine)
        )

    async def disclosures(self, request: web.Request) -> web.Response:
        """Who was given what of one person. The passport comes in the body: paths and queries get logged."""
        query.parameters(request)
        asked = await read(request, AboutPerson)
        found = await disclosures(_person(asked.passport), operator(request), asked.reason, self._engine)
        return as_json(found)

    async def entries(self, request: web.Request) -> web.StreamResponse:
        """Of a party and a period, as lines of JSON."""
        given = query.parameters(request, "party", "from", "until")
        wanted = period(given.get("from"), given.get("until"), query.word(given, "party"), self._engine)
        return await stream(request, _LINES, by_party(wanted, operator(request), self._engine))

    async def entries_about(self, request: web.Request) -> web.StreamResponse:
        """Of one person; of a party and a period too where they are given."""
        query.parameters(request)
        asked = await read(request, EntriesAboutPerson)
        wanted = period(asked.since, asked.until, asked.party, self._engine)
        who, person = operator(request), _person(asked.passport)
        return await stream(request, _LINES, by_person(wanted, person, who, asked.reason, self._engine))


def _person(passport: Passport) -> Person:
    return Person(passport.number, passport.issuing_state)
