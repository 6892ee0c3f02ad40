"""/openapi.json, and the door asked at random by it: no 5xx, no status or media type that it does not name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis
import orjson
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from archive.dicom.attribute_ids import attribute_path
from archive.dicom.instance import Level
from archive.web import rendering_parameters
from archive.web.description import openapi, parameters
from archive.web.qido_parameters import parse
from archive.web.routes import ROUTES
from objects import ct, part10
from web_door import Door, running, settings_for

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 4
DOCUMENT = orjson.loads(openapi.document(ROUTES, "http://localhost"))

schema = schemathesis.openapi.from_dict(DOCUMENT)
_BODIES = {name for route in ROUTES for name in route.about.takes if not name.endswith("json")}


@schemathesis.serializer(*_BODIES)
def as_it_is(_context: object, value: Any) -> bytes:
    """A body of a media type that knows no JSON: whatever was made up, as its bytes."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def asked_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with running(settings_for(tmp_path_factory.mktemp("asked"))) as door:
        yield door


@pytest.fixture(scope="module")
def stored(asked_door: Door) -> dict[str, str]:
    """The path parameters of what is stored there."""
    data_set = ct()
    assert asked_door.store(part10(data_set)).status_code == 200
    return {
        "study": data_set.StudyInstanceUID,
        "series": data_set.SeriesInstanceUID,
        "instance": data_set.SOPInstanceUID,
        "frames": "1",
        "path": "7FE00010",
    }


def test_the_document_is_served(door: Door) -> None:
    """At the place where the paths of the document begin."""
    answer = door.client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert document["servers"] == [{"url": door.url}]
    assert document["openapi"].startswith("3.1")
    operations = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if method != "parameters"
    }
    assert operations == {(route.method, route.template) for route in ROUTES} - {("GET", "/openapi.json")}


@pytest.mark.parametrize("level", [Level.STUDY, Level.SERIES, Level.IMAGE])
def test_what_is_named_is_understood_and_the_other_way_round(level: Level) -> None:
    """Each parameter of a search is one of those that mean something, or an attribute under its two names."""
    described = [one for one in parameters.search(level) if not one.open_ended]
    named = {one.name for one in described}
    special = {"accept", "charset", "includefield", "limit", "offset"}
    special |= {"fuzzymatching", "emptyvaluematching", "multiplevaluematching"}
    special |= {"TimezoneOffsetFromUTC", "MaximumNumberOfRecords", "PriorRecordKey"}
    assert special <= named
    for one in described:
        if one.alias:
            assert attribute_path(one.name) == attribute_path(one.alias) is not None
        values = {"integer": "1", "boolean": "true"}
        value = "AAAAAAAAAAE=" if one.name == "PriorRecordKey" else values.get(one.type, "")
        assert parse([(one.name, value)], level, 10).warnings == ()
    assert {one.name for one in parameters.RENDERED} == {"accept", "charset", *rendering_parameters.NAMES}


def test_every_reference_leads_somewhere() -> None:
    names = {route.about.schema for route in ROUTES} - {""}
    assert names <= set(DOCUMENT["components"]["schemas"])


@schema.parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_nothing_comes_back_that_is_not_announced(
    case: schemathesis.Case, asked_door: Door, stored: dict[str, str]
) -> None:
    """Asked as it comes, and again about what is really stored."""
    case.call_and_validate(base_url=asked_door.url, checks=CHECKS)
    known = {name: stored[name] for name in case.path_parameters or {} if name in stored}
    if known and case.method != "DELETE":
        case.path_parameters = {**case.path_parameters, **known}
        case.call_and_validate(base_url=asked_door.url, checks=CHECKS)
