"""Whatever an operator sends is answered with a code that is documented: never with a failure of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest

from gateway import web
from gateway.errors import Refused
from gateway.web import json_body
from gateway.web.admin_bodies import AdminBody
from gateway.web.admin_reconcile import Listed, PartnersList
from schemas.catalogue import CODES
from schemas.structure import FINDINGS, examine, shapes
from tests.schemas.test_application_structure import possible_errors
from tests.web.site import Site

BECAUSE = {"reason": "asked by the center"}
#: Of each of JSON's types one or more, some of which no text and no number can be.
VALUES = [
    *("null", "true", "1", "1.5", "-1", "1e400", "9" * 30, '"x"', '""', '"\\ud800"', '"a\\u0000"'),
    *("[]", '["\\ud800"]', "[[]]", "{}", '{"\\ud800":1}', '{"zz":1}'),
]
#: Fields that hold several texts.
LISTS = {"fields"}


def _models() -> Iterator[type[AdminBody]]:
    """Those of every module, wherever one is written down."""
    for module in iter_modules(web.__path__):
        import_module(f"{web.__name__}.{module.name}")
    waiting = AdminBody.__subclasses__()
    while waiting:
        model = waiting.pop()
        waiting += model.__subclasses__()
        yield model


#: A partner's list is read in another way, and refused as a whole.
MODELS = sorted({*_models()} - {Listed, PartnersList}, key=lambda model: model.__name__)
EACH = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)


@EACH
def test_every_error_that_the_body_of_a_request_can_raise_has_a_code_of_ours(model: type[AdminBody]) -> None:
    assert possible_errors(model) <= FINDINGS.keys()


@EACH
def test_whatever_comes_is_named_by_code_and_place(model: type[AdminBody]) -> None:
    fields = [field.alias or name for name, field in model.model_fields.items()]
    texts = [f'{{"{name}":{value}}}' for name in fields for value in VALUES]
    for text in [*VALUES, *texts]:
        try:
            record, faults = examine(model, json_body._parse(text.encode()))
        except Refused as refused:
            assert refused.code in CODES
            continue
        assert record is None or not faults
        for fault in faults.values():
            assert fault.code in CODES
            json.dumps([fault.pointer, dict(fault.params)], ensure_ascii=False).encode()


@EACH
def test_a_text_has_a_shape_that_says_where_it_is_wrong(model: type[AdminBody]) -> None:
    for path in shapes(model):
        value: Any = ["\ud800"] if path in LISTS else "\ud800"
        for name in reversed(path.split(".")):
            value = {name: value}
        _, faults = examine(model, value)
        places = {fault.pointer: (fault.code, dict(fault.params)) for fault in faults.values()}
        place = f"/{path.replace('.', '/')}" + ("/0" if path in LISTS else "")
        assert places[place] == ("invalid_format", {"position": 1})


@pytest.mark.parametrize(
    ("change", "code", "place"),
    [
        ({"dry_run": "yes"}, "wrong_type", "/dry_run"),
        ({"dry_run": 1}, "wrong_type", "/dry_run"),
        ({"\ud800": 1}, "unknown_field", ""),
        ({"filter": {"state": "ready", "\ud800": 1}}, "unknown_field", "/filter"),
        ({"reason": "\ud800"}, "invalid_format", "/reason"),
    ],
)
async def test_an_operator_is_told_what_is_wrong_with_a_body(
    site: Site, change: dict[str, Any], code: str, place: str
) -> None:
    bulk = {"filter": {"party": "sc-01", "state": "ready"}, **BECAUSE, **change}
    answer = await site.admin_post("/v1/admin/cancel", bulk)
    assert (answer.status, answer.code) == (422, "request_invalid")
    assert [(error["code"], error["pointer"]) for error in answer.json["errors"]] == [(code, place)]
