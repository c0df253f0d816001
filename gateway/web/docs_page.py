"""`/docs`: the OpenAPI document as one page for people. No script, no download; its own style by hash."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from schemas.catalogue import Entry

Node = Mapping[str, Any]

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2b28; --soft: #5c6b67; --page: #fbfaf6; --card: #fff;
  --line: #e0ddd2; --accent: #0f6b4f; --code: #f3f1ea; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9e4; --soft: #9aa8a2; --page: #121715;
  --card: #1a211e; --line: #2d3733; --accent: #5cc49c; --code: #222a27; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.6 system-ui, sans-serif; }
main, header { max-width: 58rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.9rem; margin: .5rem 0 0; }
h2 { margin: 2.5rem 0 .5rem; border-bottom: 2px solid var(--accent); }
h3 { margin: 0 0 .25rem; font-size: 1.05rem; }
h4 { margin: 1rem 0 .25rem; font-size: .8rem; text-transform: uppercase; letter-spacing: .05em;
  color: var(--soft); }
a { color: var(--accent); }
nav ul { columns: 2; padding-left: 1.2rem; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.25rem;
  margin: 1rem 0; }
code, pre { font: .85rem/1.5 ui-monospace, monospace; background: var(--code); border-radius: 6px; }
code { padding: .1rem .3rem; }
pre { padding: .75rem 1rem; overflow-x: auto; margin: .5rem 0; max-height: 26rem; }
pre code { padding: 0; background: none; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
td:first-child code { white-space: nowrap; }
main { padding-top: 0; }
.several { width: 40%; }
td, th { text-align: left; padding: .35rem .75rem .35rem 0; border-top: 1px solid var(--line);
  vertical-align: top; }
tr:first-child td { border-top: 0; }
details { margin: .4rem 0; }
summary { cursor: pointer; color: var(--accent); }
.verb { font: 700 .75rem ui-monospace, monospace; color: var(--card); background: var(--accent);
  border-radius: 5px; padding: .15rem .45rem; margin-right: .5rem; }
.soft { color: var(--soft); }
@media (max-width: 40rem) { nav ul { columns: 1; } }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
#: The Content-Security-Policy of these pages: nothing but their own style.
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

_START: Final = """umrah-gateway token --party sc-01      # a bearer token, good for five minutes
TOKEN=$(umrah-gateway token --party sc-01)"""


def docs_page(document: Node) -> str:
    """The whole interface on one page."""
    info = document["info"]
    return _page(info["title"], "".join(_body(document)))


def problem_page(entry: Entry) -> str:
    """What one code means, in both languages."""
    body = (
        f"<header><p class=soft>Problem</p><h1>{escape(entry.title)}</h1></header><main><article>"
        f"<p><code>{escape(entry.code)}</code></p><p>{escape(entry.en)}</p>"
        f'<p lang="ar" dir="rtl">{escape(entry.ar)}</p></article><p><a href="/docs">All calls</a></p></main>'
    )
    return _page(entry.title, body)


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def _body(document: Node) -> Iterator[str]:
    info = document["info"]
    yield f"<header><p class=soft>Version {escape(info['version'])}</p><h1>{escape(info['title'])}</h1>"
    yield f"<p>{_text(info['description'])}</p>"
    yield '<p>For machines: <a href="/openapi.json">openapi.json</a></p></header><main>'
    yield from _contents(document)
    token = document["components"]["securitySchemes"]["token"]
    yield f"<h2>Who is calling</h2><p>{_text(token['description'])}</p>{_code(_START)}"
    for tag in document["tags"]:
        yield f"<h2>{escape(tag['name'])}</h2><p class=soft>{_text(tag['description'])}</p>"
        for path, method, operation in _operations(document):
            if operation["tags"] == [tag["name"]]:
                yield from _operation(document, path, method, operation)
    yield "<h2>Shapes</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield from _shape(name, schema)
    yield "</main>"


def _operations(document: Node) -> Iterator[tuple[str, str, Node]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _contents(document: Node) -> Iterator[str]:
    yield "<nav>"
    for tag in document["tags"]:
        yield f"<h4>{escape(tag['name'])}</h4><ul>"
        for path, method, operation in _operations(document):
            if operation["tags"] == [tag["name"]]:
                name = escape(operation["operationId"])
                yield f'<li><a href="#{name}">{method.upper()} {escape(path)}</a></li>'
        yield "</ul>"
    yield "</nav>"


def _operation(document: Node, path: str, method: str, operation: Node) -> Iterator[str]:
    yield f'<article id="{escape(operation["operationId"])}"><h3><span class=verb>{method.upper()}</span>'
    yield f"<code>{escape(path)}</code></h3><p>{_text(operation['summary'])}.</p>"
    yield f"<p class=soft>{_text(operation['description'])}</p>" if "description" in operation else ""
    yield from _parameters(document, operation.get("parameters", ()))
    yield "<h4>Try it</h4>" + _code(_curl(document, path, method, operation))
    content = operation.get("requestBody", {}).get("content", {})
    if "$ref" in content.get("application/json", {}).get("schema", {}):
        yield f"<p>Fields: {_kind(content['application/json']['schema'])}</p>"
    yield from _examples("Body", content)
    yield from _answers(document, operation["responses"])
    yield "</article>"


def _parameters(document: Node, parameters: Any) -> Iterator[str]:
    if not parameters:
        return
    yield "<h4>Parameters</h4><table>"
    for parameter in (_resolved(document, given) for given in parameters):
        need = " (required)" if parameter.get("required") else ""
        yield f"<tr><td><code>{escape(parameter['name'])}</code></td>"
        yield f"<td class=soft>{parameter['in']}{need}</td><td>{_text(parameter.get('description', ''))}"
        yield f" {_kind(parameter['schema'])}</td></tr>"
    yield "</table>"


def _answers(document: Node, responses: Node) -> Iterator[str]:
    yield "<h4>Answers</h4><table>"
    for statuses, given in _alike(responses):
        response = _resolved(document, given)
        kinds = {_kind(content.get("schema", {})) for content in response.get("content", {}).values()}
        shown = " ".join(f"<code>{status}</code>" for status in statuses)
        yield f"<tr><td class=several>{shown}</td><td>{_text(response['description'])}"
        yield f" {' '.join(sorted(kinds))}</td></tr>"
    yield "</table>"
    yield from _examples("Answer", responses["200"].get("content", {}))


def _alike(responses: Node) -> Iterator[tuple[list[str], Node]]:
    """Answers with the statuses that share them, in the order of the first."""
    found: list[tuple[list[str], Node]] = []
    for status, given in responses.items():
        statuses = next((known for known, answer in found if "$ref" in given and answer == given), None)
        if statuses is None:
            found.append(([status], given))
        else:
            statuses.append(status)
    return iter(found)


def _examples(what: str, content: Node) -> Iterator[str]:
    for media, body in content.items():
        if "example" in body:
            example = body["example"]
            text = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
            yield f"<details><summary>{what} as {escape(media)}</summary>{_code(text)}</details>"


def _curl(document: Node, path: str, method: str, operation: Node) -> str:
    url = document["servers"][0]["url"] + re.sub(r"\{(\w+)\}", lambda found: f"${found[1].upper()}", path)
    needed = [one["name"] for one in operation.get("parameters", ()) if _in_query(one)]
    url += "?" + "&".join(f"{name}=${name.upper()}" for name in needed) if needed else ""
    lines = [f'curl "{url}"']
    if method != "get":
        lines[0] = f'curl -X {method.upper()} "{url}"'
    if operation.get("security") != []:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    body = operation.get("requestBody", {}).get("content", {})
    if "image/jpeg" in body:
        lines += ['-H "Content-Type: image/jpeg"', "--data-binary @photo.jpg"]
    elif "text/csv" in body:
        lines += [
            '-H "Idempotency-Key: $(sha256sum < batch.csv | cut -c1-64)"',
            '-H "Content-Type: text/csv"',
        ]
        lines.append("--data-binary @batch.csv")
    elif body:
        lines += ['-H "Content-Type: application/json"', "--data-binary @message.json"]
    return " \\\n  ".join(lines)


def _in_query(parameter: Node) -> bool:
    return parameter.get("in") == "query" and bool(parameter.get("required"))


def _shape(name: str, schema: Node) -> Iterator[str]:
    yield f'<article id="shape-{escape(name)}"><h3>{escape(name)}</h3>'
    yield f"<p>{_text(schema.get('description', ''))}</p>" if "description" in schema else ""
    parts = [schema, *schema.get("allOf", ())]
    properties = {key: value for part in parts for key, value in part.get("properties", {}).items()}
    required = {key for part in parts for key in part.get("required", ())}
    if not properties:
        yield f"<p>{_kind(schema) or ' '.join(_kind(part) for part in parts)}</p>"
    else:
        yield "<table>"
        for key, value in properties.items():
            need = "required" if key in required else ""
            yield f"<tr><td><code>{escape(key)}</code></td><td class=soft>{need}</td>"
            yield f"<td>{_text(value.get('description', ''))} {_kind(value)}</td></tr>"
        yield "</table>"
    yield "</article>"


def _kind(schema: Node) -> str:
    """A schema in a few words, with a link to a named one."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#shape-{name}">{name}</a>'
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(filter(None, (_kind(part) for part in schema[several])))
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    kinds = schema.get("type", "")
    named = escape(" or ".join(kinds) if isinstance(kinds, list) else str(kinds))
    pattern = (
        f" <code>{escape(schema['pattern'])}</code>" if len(schema.get("pattern", "")) in range(1, 60) else ""
    )
    return f"<span class=soft>{named}</span>{pattern}" if named else ""


def _resolved(document: Node, node: Node) -> Node:
    if "$ref" not in node:
        return node
    *_, group, name = node["$ref"].split("/")
    found: Node = document["components"][group][name]
    return found


def _text(text: str) -> str:
    """Escaped, with `code` marked."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _code(text: str) -> str:
    return f"<pre><code>{escape(text)}</code></pre>"
