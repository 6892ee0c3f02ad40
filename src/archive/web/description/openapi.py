"""The OpenAPI document of the HTTP door (OpenAPI 3.1), made from the route table as the capabilities are.

For everybody whose tools do not read WADL, which is most; and for a test that asks the door at random by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import orjson

from archive.web.admission import SECURE_COOKIE
from archive.web.description import (
    api,
    api_ae_titles,
    api_audit,
    api_commitments,
    api_conflicts,
    api_corrections,
    api_deletions,
    api_people,
    api_rejections,
    api_second_factor,
    api_session,
    api_shares,
    api_status,
    api_throughput,
    api_worklist,
)
from archive.web.description.parameters import VARIABLES
from archive.web.description.route import Parameter, Route, Status
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import JSON, parse
from archive.web.http.urls import ROOT

PATH = "/openapi.json"

_STANDARD = "https://dicom.nema.org/medical/dicom/current/output/chtml/part18"
_SERVICES = {
    "8": "Notifications",
    "9": "URI Service",
    "10": "Studies Service",
    "11": "Worklist Service",
    "13": "Storage Commitment Service",
}
"""The chapters of PS3.18."""
_ERROR = "text/plain"

_DATA_SET = {
    "type": "object",
    "description": "A data set in the DICOM JSON Model (PS3.18 Annex F).",
    "patternProperties": {
        "^[0-9A-F]{8}$": {
            "type": "object",
            "properties": {
                "vr": {"type": "string", "pattern": "^[A-Z]{2}$"},
                "Value": {"type": "array"},
                "BulkDataURI": {"type": "string"},
                "InlineBinary": {"type": "string"},
            },
            "required": ["vr"],
            "additionalProperties": False,
        }
    },
    "additionalProperties": False,
}
_CHECK = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "ok": {"type": "boolean"}, "reason": {"type": "string"}},
    "required": ["name", "ok", "reason"],
}
_SCHEMAS = {
    "DataSet": _DATA_SET,
    "DataSets": {"type": "array", "items": {"$ref": "#/components/schemas/DataSet"}},
    "DataSetOrList": {
        "oneOf": [
            {"$ref": "#/components/schemas/DataSet"},
            {
                "type": "array",
                "items": {"$ref": "#/components/schemas/DataSet"},
                "minItems": 1,
                "maxItems": 1,
            },
        ]
    },
    "Readiness": {
        "type": "object",
        "properties": {"ready": {"type": "boolean"}, "checks": {"type": "array", "items": _CHECK}},
        "required": ["ready", "checks"],
    },
    "Document": {"type": "object", "required": ["openapi", "info", "paths"]},
    **api.SCHEMAS,
    **api_ae_titles.SCHEMAS,
    **api_audit.SCHEMAS,
    **api_commitments.SCHEMAS,
    **api_conflicts.SCHEMAS,
    **api_corrections.SCHEMAS,
    **api_people.SCHEMAS,
    **api_deletions.SCHEMAS,
    **api_rejections.SCHEMAS,
    **api_second_factor.SCHEMAS,
    **api_session.SCHEMAS,
    **api_shares.SCHEMAS,
    **api_status.SCHEMAS,
    **api_throughput.SCHEMAS,
    **api_worklist.SCHEMAS,
}
_SECURITY_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer"},
    "tokenAsPassword": {"type": "http", "scheme": "basic"},
    "session": {"type": "apiKey", "in": "cookie", "name": SECURE_COOKIE},
}
_SIGNED_IN = (
    Status(401, "Nobody has signed in, where that has to be; or the session or token has ended."),
    Status(403, "Who has signed in has no right to this, or a page of another origin asks."),
)
_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds to wait before asking again.", "schema": {"type": "integer"}}
}
_HEADERS = {202: _RETRY_AFTER, 503: _RETRY_AFTER}


def document(routes: Sequence[Route], public_root: str) -> bytes:
    """The document; `public_root` is the URL under which the paths of the table are."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.template, _variables(route))[route.method.lower()] = _operation(route)
    described = {
        "openapi": "3.1.0",
        "info": {
            "title": "DICOM archive",
            "version": version("dicom-archive"),
            "description": "DICOMweb (DICOM PS3.18) and what this archive has beside it.",
        },
        "servers": [{"url": public_root}],
        "paths": paths,
        "components": {"schemas": _SCHEMAS, "securitySchemes": _SECURITY_SCHEMES},
    }
    return orjson.dumps(described)


def handler(routes: Sequence[Route]) -> Callable[[Any, Asked], Answer]:
    """A handler that answers with the document of these routes."""

    @lru_cache(maxsize=4)
    def made(public_root: str) -> bytes:
        return document(routes, public_root)

    return lambda _archive, asked: Answer(200, JSON, made(asked.base_url.removesuffix(ROOT)))


def _variables(route: Route) -> dict[str, Any]:
    described = [_parameter(VARIABLES[name]) | {"in": "path", "required": True} for name in route.variables]
    return {"parameters": described} if described else {}


def _operation(route: Route) -> dict[str, Any]:
    about = route.about
    made: dict[str, Any] = {
        "operationId": route.name,
        "summary": about.summary,
        "tags": [
            _SERVICES.get(
                route.clause.partition(".")[0], "Extensions" if about.extension else "Administration"
            )
        ],
        "parameters": [_parameter(one) | {"in": "query"} for one in about.parameters],
        "responses": {str(status.code): _response(route, status) for status in _statuses(route)},
    }
    if route.clause:
        url = (
            f"{_STANDARD}/sect_{route.clause}.html"
            if "." in route.clause
            else f"{_STANDARD}/chapter_{route.clause}.html"
        )
        made["externalDocs"] = {"description": f"PS3.18 {route.clause}", "url": url}
    if route.right is not None:
        made["security"] = [{}, *({name: []} for name in _SECURITY_SCHEMES)]
    if about.takes:
        content = {name: _referred(about.takes_schema) or _binary(name) for name in about.takes}
        made["requestBody"] = {"required": True, "content": content}
    return made


def _statuses(route: Route) -> list[Status]:
    """All that this transaction may answer, by number."""
    known = {status.code: status for status in (*_SIGNED_IN, *route.about.statuses)}
    if route.right is None:
        return list(route.about.statuses)
    return [known[code] for code in sorted(known)]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described = (
        f"{parameter.description} Also as {parameter.alias}." if parameter.alias else parameter.description
    )
    clause = f" PS3.18 {parameter.clause}." if parameter.clause else ""
    made: dict[str, Any] = {"name": parameter.name, "description": described + clause}
    if parameter.open_ended:
        free = {"type": "object", "additionalProperties": {"type": "string"}}
        return made | {"schema": free, "style": "form", "explode": True}
    if parameter.repeating:
        return made | {
            "schema": {"type": "array", "items": _schema(parameter)},
            "style": "form",
            "explode": True,
        }
    return made | {"schema": _schema(parameter)}


def _schema(parameter: Parameter) -> dict[str, Any]:
    facts = {
        "type": parameter.type,
        "pattern": parameter.pattern,
        "enum": list(parameter.options) if parameter.type == "string" else (),
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
    }
    return {name: fact for name, fact in facts.items() if fact not in ("", None, (), [])}


def _response(route: Route, status: Status) -> dict[str, Any]:
    made: dict[str, Any] = {"description": status.meaning}
    if status.code in _HEADERS:
        made["headers"] = _HEADERS[status.code]
    content = dict(_content(route, status))
    return made | {"content": content} if content else made


def _content(route: Route, status: Status) -> Iterable[tuple[str, Any]]:
    if status.empty:
        return
    if status.code >= 300:
        yield _ERROR, {"schema": {"type": "string"}}
    if status.code < 300 or status.reports:
        for name in route.about.offers:
            yield name, _described(route, name)


def _described(route: Route, name: str) -> dict[str, Any]:
    schema = route.about.schema if parse(name).name.endswith("json") else ""
    return _referred(schema) or _binary(name)


def _referred(schema: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{schema}"}} if schema else {}


def _binary(name: str) -> dict[str, Any]:
    return {"schema": {"type": "string", "contentMediaType": name}}
