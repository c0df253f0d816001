from __future__ import annotations

import ast
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refused, Unavailable
from gateway.observe.log import JsonFormatter
from gateway.values import replace
from gateway.web.negotiation import language, media_type
from gateway.web.problems import problem_of, respond
from schemas import catalogue
from schemas.violation import Violation
from tests.web.site import CSV, JSON, Site

OFFERED = (JSON, CSV)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "en"),
        ("ar", "ar"),
        ("ar-SA, en;q=0.5", "ar"),
        ("en, ar;q=0.9", "en"),
        ("fr", "en"),
        ("fr, ar;q=0.1", "ar"),
        ("ar;q=0", "en"),
        ("*", "en"),
        ("AR", "ar"),
        (";;,,q=", "en"),
    ],
)
def test_the_language_that_is_wanted_most_is_spoken(accept: str | None, chosen: str) -> None:
    assert language(accept) == chosen


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("text/*", CSV),
        ("text/csv;q=0.1, application/json;q=0.2", JSON),
        ("application/*;q=0.1, text/csv;q=0.2", CSV),
        ("*/*, application/json;q=0", CSV),
        ("application/pdf", None),
        ("text/csv;q=0", None),
        ("", JSON),
    ],
)
def test_the_format_that_is_wanted_most_is_given(accept: str | None, chosen: str | None) -> None:
    assert media_type(accept, OFFERED) == chosen


@given(st.text())
def test_no_header_breaks_negotiation(header: str) -> None:
    assert language(header) in catalogue.LANGUAGES
    assert media_type(header, OFFERED) in (*OFFERED, None)


async def test_a_problem_says_everything_rfc_9457_and_a_caller_need(site: Site) -> None:
    answer = await site.get("/v1/batches/1")
    assert answer.json == {
        "type": f"{site.host.public_url}/problems/not_found",
        "title": "Not found",
        "status": 404,
        "detail": "There is nothing here.",
        "code": "not_found",
        "request_id": answer.headers["X-Request-Id"],
        "errors": [],
    }
    assert answer.headers["Content-Language"] == "en"


async def test_the_detail_is_arabic_when_that_is_asked_for(site: Site) -> None:
    answer = await site.get("/v1/batches/1", headers={"Accept-Language": "ar"})
    assert answer.json["detail"] == "لا يوجد شيء هنا."
    assert answer.headers["Content-Language"] == "ar"


async def test_the_type_of_a_problem_leads_to_its_page_in_both_languages(site: Site) -> None:
    kind = (await site.get("/v1/batches/1")).json["type"]
    page = await site.get(kind.removeprefix(site.host.public_url), token="")
    assert page.status == 200
    assert "There is nothing here." in page.body.decode()
    assert "لا يوجد شيء هنا." in page.body.decode()
    assert (await site.get("/problems/no_such_code", token="")).code == "not_found"


async def test_an_unknown_route_is_not_found_and_a_wrong_method_names_the_right_ones(site: Site) -> None:
    assert (await site.get("/v2/batches")).code == "not_found"
    answer = await site.call("DELETE", "/v1/batches")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["/v1/batches/1", "/nothing", "/docs", "/openapi.json", "/problems/not_found", "/v1/batches"]
)
async def test_every_answer_has_its_id_and_protecting_headers(site: Site, path: str) -> None:
    answer = await site.get(path)
    assert answer.headers["X-Request-Id"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Server" not in answer.headers


async def test_personal_answers_are_not_kept_by_caches(site: Site) -> None:
    assert (await site.get("/v1/batches/1")).headers["Cache-Control"] == "no-store"


class _Broken:
    """A ledger whose every call fails in a way that nobody expected."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Any:
        async def fail(*_args: object, **_named: object) -> None:
            raise self.error

        return fail


async def _with_ledger(site: Site, ledger: Any) -> None:
    engine = replace(site.world.engine, ledger=ledger)
    await site.host.stop()
    site.host._engine = engine
    site.host._door = replace(site.host._door, engine=engine)
    await site.host.start()


async def test_an_unexpected_error_tells_its_id_and_nothing_else(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    await _with_ledger(site, _Broken(RuntimeError("passport A1234567")))
    answer = await site.get("/v1/batches/1")
    assert (answer.status, answer.code) == (500, "internal_error")
    assert b"A1234567" not in answer.body
    assert b"RuntimeError" not in answer.body
    (record,) = [record for record in caplog.records if record.msg == "request_failed"]
    line = JsonFormatter().format(record)
    assert answer.json["request_id"] in line
    assert "A1234567" not in line


async def test_a_ledger_that_cannot_write_closes_intake_with_a_time_to_come_back(site: Site) -> None:
    await _with_ledger(site, _Broken(Unavailable("ledger_unavailable")))
    answer = await site.submit()
    assert (answer.status, answer.code) == (503, "intake_closed")
    assert int(answer.headers["Retry-After"]) > 0


async def test_an_error_in_the_middle_of_results_cuts_the_answer_visibly(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.streaming._WRITE_AT", 1)
    batch = (await site.submit(site.batch(3))).json["batch_id"]

    class Ledger:
        def __getattr__(self, name: str) -> Any:
            return getattr(site.world.engine.ledger, name)

        async def lines(self, *args: Any, after_line: int, **named: Any) -> Any:
            if after_line:
                raise RuntimeError
            return await site.world.engine.ledger.lines(*args, after_line=after_line, **named)

    await _with_ledger(site, Ledger())
    request = (
        f"GET /v1/batches/{batch}/results HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.token()}\r\n\r\n"
    )
    answer = await site.raw(request.encode())
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert not answer.endswith(b"0\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_the_log_of_a_request_has_its_route_and_no_id_or_query(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway")
    await site.get("/v1/batches/secret-1?secret=2")
    (record,) = [record for record in caplog.records if record.msg == "request"]
    line = JsonFormatter().format(record)
    assert '"route": "/v1/batches/{id}"' in line
    assert "secret" not in line


def test_a_code_without_a_text_is_still_a_refusal() -> None:
    problem = problem_of(Refused("no_such_code", violations=(Violation("no_such_code"),), status=422))
    answer = respond(problem, "1", None, "http://127.0.0.1")
    assert isinstance(answer.body, bytes)
    assert (answer.status, json.loads(answer.body)["code"]) == (422, "no_such_code")


def _codes(path: Path) -> set[str]:
    """Codes given to our own exceptions and violations in a module's text."""
    raisers = {"Refused", "Conflict", "Violation", "Problem", "Unauthenticated", "refusal"}
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in raisers]
    texts = [argument for call in named for argument in call.args if isinstance(argument, ast.Constant)]
    return {text.value for text in texts if isinstance(text.value, str) and text.value.isidentifier()}


@pytest.mark.parametrize("folder", ["gateway/web"])
def test_every_code_that_is_raised_is_in_the_catalogue(folder: str) -> None:
    found = set().union(*(_codes(path) for path in (ROOT / folder).rglob("*.py")))
    assert "unsupported_encoding" in found
    assert found - set(catalogue.CODES) == set()
