"""The document as one page to read: plain HTML, no script, nothing from elsewhere."""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from html import escape
from typing import Any

from service.html_page import HtmlPage
from service.http.endpoint import Endpoint
from service.openapi.document import document
from service.openapi.schemas import Schema

Document = dict[str, Any]

EXAMPLE_BASE = "http://127.0.0.1:8080"

PAGE = HtmlPage("service.openapi", "page")
_METHODS = ("get", "post", "put", "delete")
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_CODE = re.compile(r"`(.+?)`", re.DOTALL)
_REF = re.compile(r"&quot;#/components/schemas/(\w+)&quot;")


@lru_cache(maxsize=1)
def page_bytes(endpoints: tuple[Endpoint, ...]) -> bytes:
    """The page; the same bytes in every process of a version."""
    described = document(endpoints)
    by_tag = _by_tag(described)
    return PAGE.render(
        title=escape(described["info"]["title"]),
        version=escape(described["openapi"]),
        text=_paragraphs(described["info"]["description"]),
        example_base=EXAMPLE_BASE,
        contents="\n".join(_contents(tag, found) for tag, found in by_tag.items()),
        operations="\n".join(_group(described, tag, found) for tag, found in by_tag.items()),
        schemas="\n".join(_schema(n, s) for n, s in described["components"]["schemas"].items()),
    )


Found = list[tuple[str, str, dict[str, Any]]]
"""Method, path, and the operation."""


def _by_tag(described: Document) -> dict[str, Found]:
    groups: dict[str, Found] = {tag["name"]: [] for tag in described["tags"]}
    for path, item in described["paths"].items():
        for method in _METHODS:
            if operation := item.get(method):
                groups[operation["tags"][0]].append((method.upper(), path, operation))
    return groups


def _contents(tag: str, found: Found) -> str:
    items = "".join(
        f'<li><a href="#{escape(o["operationId"])}">{escape(o["summary"])}</a></li>'
        for _, _, o in found
    )
    return f"<h3>{escape(tag)}</h3><ul>{items}</ul>"


def _group(described: Document, tag: str, found: Found) -> str:
    name = escape(tag)
    articles = "\n".join(_article(described, *one) for one in found)
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{name}</h2>{articles}</section>'


def _article(described: Document, method: str, path: str, operation: dict[str, Any]) -> str:
    scopes = [s for needed in operation["security"] for s in needed["bearer"]]
    shown = " or ".join(f"<code>{escape(scope)}</code>" for scope in scopes)
    scope = f"<p>Scope: {shown}</p>" if scopes else ""
    return (
        f'<article id="{escape(operation["operationId"])}"><h3>{escape(operation["summary"])}</h3>'
        f'<p class="path"><span class="method {method}">{method}</span>{escape(path)}</p>'
        f"{_paragraphs(operation['description'])}{scope}"
        f"{_parameters(described, path, operation)}{_body(operation)}"
        f"<h4>Try it</h4>{_code(_curl(described, method, path, operation))}"
        f"{_responses(described, operation)}</article>"
    )


def _parameters(described: Document, path: str, operation: dict[str, Any]) -> str:
    everything = described["paths"][path]["parameters"] + operation["parameters"]
    rows = []
    for parameter in (_resolve(described, p) for p in everything):
        cells = (f"<code>{escape(parameter['name'])}</code>", parameter["in"])
        rows.append((*cells, _inline(parameter["description"])))
    return _table("Parameters", ("Name", "In", "Meaning"), rows)


def _body(operation: dict[str, Any]) -> str:
    body = operation.get("requestBody")
    if body is None:
        return ""
    kinds = " or ".join(
        f"{_named(media['schema'])} as <code>{escape(kind)}</code>"
        for kind, media in body["content"].items()
    )
    example = _example(body["content"]["application/json"])
    return f"<h4>Body</h4><p>{kinds}.</p>{_code(_pretty(example)) if example else ''}"


def _responses(described: Document, operation: dict[str, Any]) -> str:
    rows, examples = [], []
    for status, response in operation["responses"].items():
        resolved = _resolve(described, response)
        media = resolved.get("content", {})
        shown = "<br>".join(
            f"<code>{escape(kind)}</code> {_named(one['schema'])}" for kind, one in media.items()
        )
        rows.append((status, _inline(resolved["description"]), shown))
        for one in media.values():
            examples += [
                _folded(_example_title(status, name, example), example["value"])
                for name, example in one.get("examples", {}).items()
            ]
    table = _table("Answers", ("Status", "Meaning", "Body"), rows)
    return f"{table}<h4>Examples</h4>{''.join(examples)}" if examples else table


def _example_title(status: str, name: str, example: dict[str, Any]) -> str:
    headers = f", {example['summary']}" if "summary" in example else ""
    return f"{status} {name}{headers}"


def _folded(title: str, value: object) -> str:
    text = value if isinstance(value, str) else _pretty(value)
    return f"<details><summary>{escape(title)}</summary>{_code(text)}</details>"


def _curl(described: Document, method: str, path: str, operation: dict[str, Any]) -> str:
    filled = path
    for parameter in described["paths"][path]["parameters"]:
        filled = filled.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
    words = ["curl"] + (["-X", method] if method != "GET" else [])
    if list(operation["responses"].get("200", {}).get("content", ())) == ["text/event-stream"]:
        words.append("-N")
    lines = [" ".join([*words, f'"$BASE{filled}"'])]
    if operation["security"]:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    body = operation.get("requestBody")
    value = _example(body["content"]["application/json"]) if body else None
    if value:
        lines += ["-H 'Content-Type: application/json'", f"-d {_quoted(json.dumps(value))}"]
    return " \\\n  ".join(lines)


def _example(media: dict[str, Any]) -> Any:
    (example,) = media["examples"].values()
    return example["value"]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _schema(name: str, schema: Schema) -> str:
    shown = _REF.sub(r'&quot;<a href="#schema-\1">\1</a>&quot;', escape(_pretty(schema)))
    return (
        f'<article id="schema-{escape(name)}"><h3>{escape(name)}</h3>'
        f"{_paragraphs(schema.get('description', ''))}"
        f'<pre tabindex="0"><code>{shown}</code></pre></article>'
    )


def _named(schema: Schema) -> str:
    """A schema by the names of what it is made of."""
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if options := schema.get("anyOf"):
        return " or ".join(_named(option) for option in options)
    if schema.get("type") == "array":
        return f"list of {_named(schema['items'])}"
    return escape(schema["type"])


def _resolve(described: Document, part: dict[str, Any]) -> dict[str, Any]:
    for name in part.get("$ref", "").split("/")[1:]:
        described = described[name]
    return described if "$ref" in part else part


def _table(title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col">{h}</th>' for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    return (
        f'<h4>{title}</h4><div class="scroll" tabindex="0" role="region" aria-label="{title}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.strip().split("\n\n") if part)


def _inline(text: str) -> str:
    marked = _CODE.sub(r"<code>\1</code>", escape(text))
    return _BOLD.sub(r"<strong>\1</strong>", marked)


def _code(text: str) -> str:
    return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
