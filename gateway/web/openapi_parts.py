"""What the parts of the OpenAPI document are built of: operations, parameters, answers, schemas."""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

REFERENCE: Final = "#/components/schemas/{model}"
JSON: Final = "application/json"
TIME: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}

PARAMETERS: Final[Schema] = {
    "id": {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "As given out by the gateway. Another party's id answers 404, as an absent one does.",
        "schema": {"type": "string", "maxLength": 64},
    },
    "key": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "1 to 255 visible ASCII characters, new for each batch, such as the file's SHA-256.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    },
    "language": {
        "name": "Accept-Language",
        "in": "header",
        "description": "ar or en: the language of a problem's detail.",
        "schema": {"type": "string", "examples": ["ar", "en"]},
    },
}


def operation(name: str, summary: str, tag: str) -> Schema:
    return {"operationId": name, "summary": summary, "tags": [tag]}


def read(name: str, summary: str, schema: str, tag: str = "Batches") -> Schema:
    parameters = [{"$ref": f"#/components/parameters/{name}"} for name in ("id", "language")]
    return {
        **operation(name, summary, tag),
        "parameters": parameters,
        "responses": {"200": answer("Found.", schema), **refusals(401, 403, 404, 503)},
    }


def query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def header(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "header", "schema": schema}


def answer(description: str, schema: str) -> Schema:
    return {
        "description": description,
        "content": {JSON: {"schema": {"$ref": REFERENCE.format(model=schema)}}},
    }


def refusals(*statuses: int) -> Schema:
    return {str(status): {"$ref": "#/components/responses/problem"} for status in statuses}


def object_of(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def ref(model: str) -> Schema:
    return {"$ref": REFERENCE.format(model=model)}


def list_of(model: str) -> Schema:
    return {"type": "array", "items": ref(model)}
