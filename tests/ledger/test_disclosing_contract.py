"""What every backend promises of persons: who was given what, and the journal by person, party and period."""

from __future__ import annotations

from gateway.ledger.journal import GIVE_REJECTED, Entry
from gateway.ledger.port import EntriesWanted, Ledger
from gateway.message import Disclosure, Micros, PartyId
from gateway.states import State
from gateway.values import replace
from tests.doubles import ManualClock
from tests.ledger.records import PARTY, accept, claim, intent_move, line, now, opening, rejected

PERSON, OTHER, THIRD = b"person", b"other", b"third"
CALL = Disclosure("foreign-affairs", "issue", ("passport.number",), "Issuing", "3")
RESULTS = Disclosure("sc-01", "results", ("line", "state"), "Own", "3")
EVER = EntriesWanted(Micros(0), Micros(2**53))


async def batch_of_three(ledger: Ledger, clock: ManualClock) -> str:
    """Two applications, and a third line that was rejected."""
    batch = opening(clock)
    await ledger.begin_batch(batch)
    lines = [line(batch, n, clock, passport_key=who) for n, who in enumerate((PERSON, OTHER), start=1)]
    third = rejected(line(batch, 3, clock, passport_key=THIRD))
    await ledger.add_lines(
        batch.batch_id, batch.intake_token, [*lines, third], rejected, intake_until=now(clock, s=60)
    )
    await accept(ledger, batch, clock, 3)
    await ledger.sweep(now=now(clock), release=10)
    return batch.batch_id


async def given(ledger: Ledger, *persons: bytes) -> list[tuple[str, Disclosure | None]]:
    return [(one.entry.action, one.disclosure) for one in await ledger.disclosures(persons)]


async def test_a_person_s_messages_are_found_with_their_places(ledger: Ledger, clock: ManualClock) -> None:
    batch = await batch_of_three(ledger, clock)
    (found,) = await ledger.about([THIRD])
    assert (found.kind, found.party, found.batch_id, found.line) == ("visa.application", PARTY, batch, 3)
    assert (found.state, found.rejected) == (State.COMPLETED, True)
    assert [one.line for one in await ledger.about([PERSON, OTHER, b"nobody"])] == [1, 2]
    assert await ledger.about([]) == []


async def test_what_was_given_is_told_of_those_it_was_about(ledger: Ledger, clock: ManualClock) -> None:
    batch = await batch_of_three(ledger, clock)
    (first,) = [one for one in await claim(ledger, clock) if one.line == 1]
    intent = intent_move(first, clock)
    await ledger.apply(replace(intent, attempts=[replace(intent.attempts[0], disclosed=CALL)]))
    page = Entry(now(clock), "give_results", "sc-01", batch_id=batch, detail={"lines": [2, 3]})
    await ledger.note(page, disclosed=[RESULTS])
    await ledger.note(Entry(now(clock), GIVE_REJECTED, "sc-01", batch_id=batch), disclosed=[RESULTS])
    assert await given(ledger, PERSON) == [("carried", CALL)]
    assert await given(ledger, OTHER) == [("give_results", RESULTS)]
    assert await given(ledger, THIRD) == [("give_results", RESULTS), (GIVE_REJECTED, RESULTS)]
    assert await given(ledger, b"nobody") == []


async def test_a_lease_that_ended_tells_that_something_may_have_been_given(
    ledger: Ledger, clock: ManualClock
) -> None:
    await batch_of_three(ledger, clock)
    await claim(ledger, clock)
    clock.pass_by(seconds=61)
    await ledger.sweep(now=now(clock), release=10)
    assert await given(ledger, PERSON) == [("lease_ended", None)]


async def test_entries_are_found_by_party_period_and_person(ledger: Ledger, clock: ManualClock) -> None:
    batch = await batch_of_three(ledger, clock)
    middle = now(clock, s=30)
    clock.pass_by(seconds=60)
    await ledger.note(Entry(now(clock), "reveal", "operator-1"), disclosed=[CALL])
    last = await ledger.audit_head()

    async def actions(wanted: EntriesWanted) -> list[str]:
        pages = [await ledger.entries(wanted, after=after, span=2) for after in range(0, last, 2)]
        return [row.entry.action for page in pages for row in page]

    everything = await actions(EVER)
    assert len(everything) == last
    assert everything[-1] == "reveal"
    assert await actions(replace(EVER, since=middle)) == ["scope", "reveal"]
    assert await actions(replace(EVER, until=middle)) == everything[:-2]
    assert await actions(replace(EVER, party=PartyId("foreign-affairs"))) == ["reveal"]
    assert await actions(replace(EVER, party=PartyId("operator-1"))) == ["reveal"]
    assert set(await actions(replace(EVER, party=PARTY))) == set(everything[:-2])
    about = await ledger.entries_about([PERSON], EVER)
    ids = {one.id for one in await ledger.about([PERSON])}
    assert about and all(row.entry.message_id in ids or row.entry.batch_id == batch for row in about)
    assert await ledger.entries_about([PERSON], replace(EVER, party=PartyId("sc-02"))) == []


async def test_scopes_and_configurations_are_told_by_number(ledger: Ledger) -> None:
    digest = "0" * 64
    for at in (1, 2):
        entry = Entry(Micros(at), "configuration", "gateway", detail={"files": {"a.yaml": digest}})
        await ledger.configured({"a.yaml": (digest, "text")}, entry)
    assert [row.entry.at for row in await ledger.configurations()] == [1, 2]
    await ledger.note(Entry(Micros(3), "x", "y"), disclosed=[CALL, RESULTS])
    *_, row = await ledger.journal(after=0, limit=100)
    assert list((await ledger.scopes(row.scopes)).values()) == [CALL, RESULTS]
    assert await ledger.scopes([]) == {}
