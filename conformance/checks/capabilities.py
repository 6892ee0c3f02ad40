"""Retrieve Capabilities: what a server says of itself (PS3.18 8.9, Annexes G and H)."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

from conformance.client import JSON as DICOM_JSON
from conformance.client import Answer
from conformance.registry import check
from conformance.verdicts import Failed, Level, Skipped, expect
from conformance.world import World

WADL = "application/vnd.sun.wadl+xml"
JSON = "application/json"
NAMESPACE = "{http://wadl.dev.java.net/2009/02}"
MANDATORY = {
    "studies": {"GET", "POST"},
    "studies/{}": {"GET", "POST"},
    "studies/{}/metadata": {"GET"},
    "studies/{}/rendered": {"GET"},
    "studies/{}/series": {"GET"},
    "studies/{}/instances": {"GET"},
    "studies/{}/series/{}": {"GET"},
    "studies/{}/series/{}/metadata": {"GET"},
    "studies/{}/series/{}/rendered": {"GET"},
    "studies/{}/series/{}/instances": {"GET"},
    "studies/{}/series/{}/instances/{}": {"GET"},
    "studies/{}/series/{}/instances/{}/metadata": {"GET"},
    "studies/{}/series/{}/instances/{}/rendered": {"GET"},
    "studies/{}/series/{}/instances/{}/frames/{}": {"GET"},
    "studies/{}/series/{}/instances/{}/frames/{}/rendered": {"GET"},
    "series": {"GET"},
    "instances": {"GET"},
}


def _options(w: World, accept: str) -> Answer:
    """OPTIONS on the base URI; without its last slash where that answers 404 or 405."""
    answer = w.client.send("OPTIONS", "/", accept)
    return answer if answer.status not in (404, 405) else w.client.send("OPTIONS", "", accept)


def _offered(w: World) -> None:
    if w.once("capabilities", lambda: _options(w, WADL).status) != 200:
        raise Skipped("no capabilities, which CAP.1 says already")


@check("CAP.1", "OPTIONS on the base URI gives a WADL document", "8.9, 8.9.4, Annex H")
def wadl(w: World) -> None:
    """All RESTful services shall implement this transaction (8.9), on the base URI, with or without its last slash."""
    answer = _options(w, WADL).must(200).must_be(WADL)
    expect(_root(answer).tag == f"{NAMESPACE}application", f"the root element is {_root(answer).tag}")


def _root(answer: Answer) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(answer.body)  # noqa: S314 (of a server under test; expat bounds entities)
    except ElementTree.ParseError as problem:
        raise Failed(f"the WADL is not well formed: {problem}") from None


def _resources(w: World) -> ElementTree.Element:
    _offered(w)
    found = _root(_options(w, WADL).must(200)).findall(f"{NAMESPACE}resources")
    expect(len(found) == 1, f"{len(found)} resources elements in application, not one")
    return found[0]


def _methods(element: ElementTree.Element, above: str = "") -> dict[str, set[str]]:
    """Methods by path, with every template written as {}."""
    found: dict[str, set[str]] = {}
    for child in element.findall(f"{NAMESPACE}resource"):
        steps = [step for step in child.get("path", "").split("/") if step]
        path = "/".join(
            [*([above] if above else []), *("{}" if step.startswith("{") else step for step in steps)]
        )
        names = {method.get("name", "") for method in child.findall(f"{NAMESPACE}method")}
        found[path] = found.get(path, set()) | names
        for below, more in _methods(child, path).items():
            found[below] = found.get(below, set()) | more
    return found


@check("CAP.2", "the same as JSON", "8.9.4, Annex G")
def as_json(w: World) -> None:
    _offered(w)
    found = _options(w, JSON).must(200).must_be(JSON).json()
    expect(isinstance(found, dict), "the JSON is no object")
    application = found.get("application", found)
    expect("resources" in application, "the JSON has no resources")
    resources = application["resources"]
    inner = resources[0] if isinstance(resources, list) else resources
    expect(
        "@base" in inner and isinstance(inner.get("resource"), list),
        "resources lacks @base, or an array resource",
    )


@check("CAP.3", "*/* gives one of the two", "8.9.1.3, 8.7.7")
def wildcard(w: World) -> None:
    _offered(w)
    _options(w, "*/*").must(200).must_be(WADL, JSON)


@check("CAP.4", "resources has the base URI of the service", "Annex H")
def base(w: World) -> None:
    address = _resources(w).get("base", "")
    expect(address.startswith(("http://", "https://")), f"base is {address!r}")
    w.get(address.rstrip("/") + "/studies?limit=1", DICOM_JSON).must(200, 204)


@check("CAP.5", "every mandatory resource and its methods", "Table H-1, Table 10.3-2")
def mandatory(w: World) -> None:
    found = _methods(_resources(w))
    missing = [
        f"{'/'.join(sorted(names))} {path}"
        for path, names in MANDATORY.items()
        if names - found.get(path, set())
    ]
    expect(not missing, f"{len(missing)} missing: {', '.join(missing[:4])}")


@check("CAP.6", "media types of what is answered", "Annex H")
def representations(w: World) -> None:
    resources = _resources(w)
    kinds = {
        one.get("mediaType", "").partition(";")[0] for one in resources.iter(f"{NAMESPACE}representation")
    }
    expect("application/dicom+json" in kinds, f"application/dicom+json is not among {len(kinds)} media types")


@check("CAP.7", "every resource that is declared answers to OPTIONS or GET", "Annex H", Level.OPTIONAL)
def no_empty_promises(w: World) -> None:
    for path, names in _methods(_resources(w)).items():
        if "GET" in names and "{" not in path and "commitment" not in path:
            answer = w.get(f"/{path}?limit=1", "*/*")
            expect(
                answer.status < 500 and answer.status not in (404, 405, 501),
                f"{path} answers {answer.status}",
            )


@check("CAP.8", "a type that is not offered: 406", "8.9.3.1, 8.7.8.1")
def not_acceptable(w: World) -> None:
    _offered(w)
    answer = _options(w, "text/csv")
    answer.must(406) if w.strict else answer.must(200, 406)


@check(
    "CAP.9", "a preflight of a browser is no request for capabilities", "what browsers send", Level.EXTENSION
)
def preflight(w: World) -> None:
    headers: dict[str, Any] = {"Origin": "https://viewer.example", "Access-Control-Request-Method": "GET"}
    answer = w.client.send("OPTIONS", "/studies", "*/*", headers)
    expect(answer.status < 500, f"status {answer.status}")
    if "access-control-allow-origin" not in answer.headers:
        raise Skipped("other origins are not allowed")
    expect("access-control-allow-methods" in answer.headers, "no Access-Control-Allow-Methods")
