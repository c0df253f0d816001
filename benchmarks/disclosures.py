"""Who was given what of one person, asked of a ledger with a million messages.

    python -m benchmarks.disclosures                    # a million messages, about ten minutes, 3 GB of disk
    python -m benchmarks.disclosures --messages 20000

The ledger is written by straight inserts: applications in batches of a thousand, each with its visa and the
entries of the journal that carrying it leaves behind (with what was disclosed), a movement and each twentieth
a complaint that name it, pages of results. Then a gateway serves it, and an auditor asks over HTTP about
persons at random, each for the first time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp

from gateway.flows.subjects import passport_index, visa_index
from gateway.ledger.sqlite.connection import migrate
from gateway.ledger.vault import Vault
from gateway.message import new_id
from gateway.values import replace
from gateway.web.authentication import PartyKeys
from gateway.web.host import WebHost
from gateway.web.operators import OperatorTokens, ensure_operator_tokens, operator_token
from gateway.web.tokens import ensure_demo_keys
from tests.pipeline.world import World, open_world
from tests.web.site import with_free_ports

SEASON: Final = 1448
STATE: Final = "UTO"
_LINES: Final = 1_000
_AT: Final = 1_795_000_000_000_000
#: Receiver, operation and fields, as carrying an application leaves them.
_SCOPES: Final = (
    ("nic", "interior.security_clearance", ["passport.number", "name.given", "name.family", "birth_date"]),
    ("passports", "interior.passport_verification", ["passport.number", "passport.expiry_date"]),
    ("foreign-affairs", "foreign_affairs.visa_issuance", ["passport.number", "name.given", "sex"]),
    ("sc-01", "results", ["line", "state", "visa.number"]),
    ("pilgrim-services", "movement.arrival", ["event_id", "application_id", "at"]),
    ("pilgrim-services", "complaint.submission", ["complaint_id", "visa_number", "text"]),
)


def passport(n: int) -> str:
    """The number of the n-th person."""
    return f"A{n:08}"


def fill(path: Path, messages: int, vault: Vault) -> int:
    """Write the ledger's file; how many applications there are."""
    database = sqlite3.connect(path, isolation_level=None)
    database.row_factory = sqlite3.Row
    migrate(database)  # type: ignore[arg-type]
    indices = _without_indices(database)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("BEGIN")
    for number, (receiver, operation, fields) in enumerate(_SCOPES, start=1):
        database.execute(
            "INSERT INTO scope (id, receiver, operation, purpose, rule, fields)"
            " VALUES (?, ?, ?, 'x', '3', ?)",
            (number, receiver, operation, json.dumps(fields)),
        )
    # An application and its movement, and a twentieth of a complaint.
    applications = round(messages / 2.05)
    for first in range(0, applications, _LINES):
        _batch(database, range(first, min(first + _LINES, applications)), vault)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{first:,} of {applications:,} applications written")
    database.execute("COMMIT")
    sys.stderr.write("\rwriting indices                          \n")
    for statement in indices:
        database.execute(statement)
    database.close()
    return applications


def _without_indices(database: sqlite3.Connection) -> list[str]:
    """Put them aside: it is faster to build each at the end."""
    found = database.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    for row in found:
        database.execute(f'DROP INDEX "{row["name"]}"')
    return [row["sql"] for row in found]


def _batch(database: sqlite3.Connection, persons: range, vault: Vault) -> None:
    batch = new_id()
    database.execute(
        "INSERT INTO batch (id, party, idempotency_key, state, intake_token, intake_until, season, mode,"
        " lines, created_at, data_key) VALUES (?, 'sc-01', ?, 'completed', '', 0, ?, 'lines', ?, ?, x'00')",
        (batch, batch, SEASON, len(persons), _AT),
    )
    rows, visas, named, journal = [], [], [], []
    for line, person in enumerate(persons, start=1):
        application, movement = new_id(), new_id()
        number = visa_index(f"{person:010}", vault)
        index = passport_index(SEASON, passport(person), STATE, vault)
        rows.append((application, "visa.application", "sc-01", batch, line, index))
        rows.append((movement, "movement.arrival", "passports", None, None, None))
        visas.append((number, application))
        named.append((number, movement))
        journal += _carried(application, batch)
        journal.append((movement, None, "received", [5]))
        if person % 20 == 0:
            complaint = new_id()
            rows.append((complaint, "complaint.submission", "sc-01", None, None, None))
            named.append((number, complaint))
            journal.append((complaint, None, "received", [6]))
    journal += [(None, batch, "give_results", [4]) for _ in range(2)]
    _insert(database, rows, visas, named, journal)


def _carried(application: str, batch: str) -> Iterator[tuple[str, str, str, list[int]]]:
    """The entries that carrying one application leaves behind."""
    yield application, batch, "released", []
    yield application, batch, "claimed", []
    yield application, batch, "intent", [1, 2, 3]
    yield application, batch, "issued", []


_MESSAGE: Final = """INSERT INTO message (id, kind, party, licensee, agent, mission, season, batch_id, line,
    passport_index, batch_reference, reference, lane, state, public_state, outcome, received_at, updated_at,
    data_key, sealed_payload, sealed_progress, versions)
    VALUES (?, ?, ?, 'LIC-1001', 'AGT-2001', 'MSN-CAI', 1448, ?, ?, ?, '', '', '', 'completed', 'issued',
    'issued', 0, 0, zeroblob(90), zeroblob(700), zeroblob(300), 'v')"""
_VISA: Final = """INSERT INTO visa (number_index, message_id, party, licensee, agent, mission, season,
    country, due_on, presence)
    VALUES (?, ?, 'sc-01', 'LIC-1001', 'AGT-2001', 'MSN-CAI', 1448, 'EGY', '2026-12-20', 'inside')"""
_AUDIT: Final = """INSERT INTO audit (chain, number, hash, at, message_id, batch_id, action, actor, detail)
    VALUES ('main', 0, zeroblob(32), ?, ?, ?, ?, 'worker', ?)"""


def _insert(
    database: sqlite3.Connection, rows: list[Any], visas: list[Any], named: list[Any], journal: list[Any]
) -> None:
    database.executemany(_MESSAGE, rows)
    database.executemany(_VISA, visas)
    database.executemany("INSERT INTO named_visa (number_index, message_id) VALUES (?, ?)", named)
    database.executemany(
        _AUDIT,
        [
            (_AT, message, batch, action, json.dumps({"disclosed": scopes}) if scopes else None)
            for message, batch, action, scopes in journal
        ],
    )


async def ask(world: World, folder: Path, persons: int, questions: int) -> list[float]:
    """How long each question took, in seconds, over HTTP."""
    settings = with_free_ports(world.engine.settings)
    world.engine = replace(world.engine, settings=settings)
    ensure_demo_keys(settings, folder)
    ensure_operator_tokens(folder)
    host = WebHost(world.engine, _no_formats(), PartyKeys.load(settings, folder), OperatorTokens.load(folder))
    await host.start()
    took = []
    try:
        headers = {"Authorization": f"Bearer {operator_token(folder, 'auditor-1')}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            for person in random.Random(7).sample(range(persons), questions):
                body = {"passport": {"number": passport(person), "issuing_state": STATE}, "reason": "asked"}
                began = time.perf_counter()
                async with session.post(f"{host.admin_url}/v1/admin/disclosures", json=body) as answer:
                    found = await answer.json()
                took.append(time.perf_counter() - began)
                given = len(found["disclosures"])
                if given < 6:  # three partners, two pages of results, the movement
                    raise AssertionError(f"{given} disclosures of a person are too few")
    finally:
        await host.stop()
    return took


def _no_formats() -> Any:
    from cli.bootstrap import FORMATS

    return FORMATS


async def measure(folder: Path, messages: int, questions: int) -> dict[str, Any]:
    """Build the ledger, ask, and tell how long it took."""
    world = await open_world(folder / "keys-only")
    await world.engine.ledger.close()
    began = time.perf_counter()
    persons = await asyncio.to_thread(fill, folder / "ledger.db", messages, world.engine.vault)
    built_s = time.perf_counter() - began
    vault = world.engine.vault
    world = await open_world(folder)
    world.engine = replace(world.engine, vault=vault)
    try:
        took = await ask(world, folder, persons, questions)
        head = await world.engine.ledger.audit_head()
    finally:
        await world.engine.ledger.close()
    return {
        "messages": messages,
        "entries": head - questions,
        "file_mb": round((folder / "ledger.db").stat().st_size / 1e6),
        "built_s": round(built_s, 1),
        "questions": questions,
        "first_ms": round(took[0] * 1000, 1),
        "median_ms": round(statistics.median(took) * 1000, 1),
        "slowest_ms": round(max(took) * 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="disclosures-") as name:
        (Path(name) / "keys-only").mkdir()
        figures = asyncio.run(measure(Path(name), given.messages, given.questions))
    text = json.dumps(figures, indent=2)
    sys.stdout.write(f"{text}\n")
    if given.json is not None:
        given.json.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
