"""Retrieve Capabilities (PS3.18 8.9, annexes G and H) and what N15 asks of methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lxml import etree

from archive.web.description.parameters import VARIABLES
from archive.web.http.urls import ROOT
from archive.web.routes import ROUTES
from web_door import Door

WADL = "application/vnd.sun.wadl+xml"
NAMESPACE = "{http://wadl.dev.java.net/2009/02}"


def concrete(path: str) -> str:
    """The path with something in its braces."""
    for name, value in {"{frames}": "1", "{path:path}": "7FE00010"}.items():
        path = path.replace(name, value)
    return (
        path.replace("{study}", "1.2")
        .replace("{series}", "1.3")
        .replace("{instance}", "1.4")
        .replace("{transaction}", "1.5")
    )


def described(application: Any) -> Iterator[tuple[str, str]]:
    """Method and path of everything in a document."""

    def below(resource: Any, path: str) -> Iterator[tuple[str, str]]:
        path = f"{path}/{resource.get('path')}"
        for method in resource.findall(f"{NAMESPACE}method"):
            yield method.get("name"), path
        for child in resource.findall(f"{NAMESPACE}resource"):
            yield from below(child, path)

    (resources,) = application.findall(f"{NAMESPACE}resources")
    for resource in resources.findall(f"{NAMESPACE}resource"):
        yield from below(resource, "")


@pytest.mark.parametrize("path", [ROOT, f"{ROOT}/"])
def test_the_base_uri_describes_every_resource(door: Door, path: str) -> None:
    """Annex H: one "resources" with the base, the tree of resources below it, and everything that we route."""
    answer = door.client.options(path, headers={"Accept": WADL})
    assert (answer.status_code, answer.headers["content-type"]) == (200, WADL)
    application = etree.fromstring(answer.content)
    assert application.tag == f"{NAMESPACE}application"
    assert application.find(f"{NAMESPACE}resources").get("base") == f"{door.base}/"
    expected = {
        (route.method, route.template.removeprefix(ROOT)) for route in ROUTES if route.path.startswith(ROOT)
    }
    assert sorted(described(application)) == sorted(expected)


def test_the_search_is_described_as_in_the_example(door: Door) -> None:
    """PS3.18 B.26: each key by keyword and by tag, includefield repeating, types of XML Schema."""
    application = etree.fromstring(door.client.options(f"{ROOT}/studies").content)
    method = application.find(f".//{NAMESPACE}method[@id='SearchStudies']")
    parameters = {one.get("name"): one for one in method.iter(f"{NAMESPACE}param")}
    assert {"PatientName", "00100010", "StudyInstanceUID", "0020000D", "limit", "fuzzymatching"} <= set(
        parameters
    )
    assert parameters["limit"].get("type") == "xs:int"
    assert parameters["includefield"].get("repeating") == "true"
    accepted = [one.get("value") for one in parameters["Accept"].findall(f"{NAMESPACE}option")]
    assert parameters["Accept"].get("default") == accepted[0] == "application/dicom+json"
    assert 'multipart/related; type="application/dicom+xml"' in accepted


@pytest.mark.parametrize("media_type", ["application/json", "application/dicom+json"])
def test_json_is_the_same_document(door: Door, media_type: str) -> None:
    """Annex G: unique elements are objects, repeatable ones arrays, attributes have an at sign."""
    in_xml = etree.fromstring(door.client.options(f"{ROOT}/", headers={"Accept": WADL}).content)
    answer = door.client.options(f"{ROOT}/", headers={"Accept": media_type})
    assert answer.headers["content-type"] == media_type

    def as_json(element: Any) -> dict[str, Any]:
        names = {"{http://www.w3.org/XML/1998/namespace}lang": "xml:lang"}
        found: dict[str, Any] = {f"@{names.get(name, name)}": text for name, text in element.attrib.items()}
        if element.text:
            found["value"] = element.text
        for child in element:
            name = etree.QName(child).localname
            if name in ("resources", "request"):
                found[name] = as_json(child)
            else:
                found.setdefault(name, []).append(as_json(child))
        return found

    application = answer.json()["application"]
    application.pop("@xmlns")
    application.pop("@xmlns:xs")
    assert application == as_json(in_xml)


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
def test_n15_every_resource_says_what_can_be_done_with_it(door: Door, path: str) -> None:
    """OPTIONS gives Allow and a description of the resource and those below it; another method 405 and Allow."""
    methods = {route.method for route in ROUTES if route.path == path}
    allowed = methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    answer = door.client.options(concrete(path))
    assert answer.status_code == 200
    assert set(answer.headers["allow"].split(", ")) == allowed
    target = next(route.template for route in ROUTES if route.path == path)
    below = ROOT if target.startswith(ROOT) else ""
    found = {(method, below + place) for method, place in described(etree.fromstring(answer.content))}
    expected = {
        (route.method, route.template)
        for route in ROUTES
        if route.template == target or route.template.startswith(f"{target}/")
    }
    assert found == expected
    other = next(method for method in ("PATCH", "PUT", "POST") if method not in allowed)
    refused = door.client.request(other, concrete(path))
    assert refused.status_code == 405
    assert set(refused.headers["allow"].split(", ")) == allowed
    assert allowed & set(refused.text.replace(",", " ").split()) == allowed


def test_n15_a_method_that_nothing_here_has(door: Door) -> None:
    answer = door.client.request("PROPFIND", f"{ROOT}/studies")
    assert answer.status_code == 501
    assert "GET" in answer.headers["allow"]


def test_a_description_can_be_kept(door: Door) -> None:
    """Table 8.9.3-1: 304 for If-None-Match."""
    answer = door.client.options(f"{ROOT}/studies")
    again = door.client.options(f"{ROOT}/studies", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_what_the_next_request_accepts_is_no_obstacle(open_door: Callable[..., Door]) -> None:
    """Example B.15 sends the Accept header of the request that is to follow; in strict mode that is 406."""
    accept = {"Accept": 'multipart/related; type="application/dicom+xml"'}
    lenient = open_door()
    assert lenient.client.options(f"{ROOT}/", headers=accept).headers["content-type"] == WADL


def test_strict_negotiation(open_door: Callable[..., Door]) -> None:
    strict = open_door(http__strict=True)
    assert strict.client.options(f"{ROOT}/", headers={"Accept": "image/png"}).status_code == 406
    assert strict.client.options(f"{ROOT}/", headers={"Accept": WADL}).status_code == 200


def test_every_transaction_is_described() -> None:
    """Whoever adds a route describes it, and every variable of its path."""
    for route in ROUTES:
        assert route.about.summary, route.name
        assert {status.code for status in route.about.statuses} >= {421, 500, 503}, route.name
        assert any(status.code < 300 or status.code in (302, 303) for status in route.about.statuses), (
            route.name
        )
        assert set(route.variables) <= set(VARIABLES), route.name
        assert bool(route.about.takes) == route.takes_body, route.name
        answered = any(status.code < 300 and not status.empty for status in route.about.statuses)
        told = answered or any(status.reports for status in route.about.statuses)
        assert answered <= bool(route.about.offers) <= told, route.name
        assert bool(route.clause) != route.about.extension or not route.path.startswith(ROOT), route.name
