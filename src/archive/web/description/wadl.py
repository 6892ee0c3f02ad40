"""A Capabilities Description (PS3.18 Annex H): a WADL document about resources, in XML or as JSON (Annex G).

The document is one tree of elements; the two encodings are two ways of writing it down. It is made from the route
table and says of each transaction what `route.About` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import orjson

from archive.web.description.parameters import CHARSET, VARIABLES
from archive.web.description.route import Parameter, Route, Status

NAMESPACE = "http://wadl.dev.java.net/2009/02"
XML_SCHEMA = "http://www.w3.org/2001/XMLSchema"

_UNIQUE = frozenset(("application", "grammars", "resources", "request", "link"))
"""Elements that their parent has once: objects in JSON, where the others are arrays (G.2). That there is one
"resources" is Annex H's word."""

_TYPES = {"string": "xs:string", "integer": "xs:int", "boolean": "xs:boolean", "number": "xs:decimal"}


@dataclass
class Element:
    """One element of WADL. Only "doc" has a text."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    text: str = ""


def description(routes: Sequence[Route], base: str, below: str, target: str) -> Element:
    """What can be done with the resource at the path `target`, and with those under it; `base` is the URL of the
    path `below`, from which paths are counted."""
    tree = _Node("")
    for route in routes:
        if route.template == target or route.template.startswith(f"{target}/"):
            tree.find(route.template.removeprefix(target)).routes.append(route)
    relative = target.removeprefix(below).lstrip("/")
    resource = _resource(tree, relative) if relative or tree.routes else None
    within = [resource] if resource else [_resource(child, child.segment) for child in tree.children.values()]
    resources = Element("resources", {"base": f"{base}/"}, within)
    return Element("application", {"xmlns": NAMESPACE, "xmlns:xs": XML_SCHEMA}, [resources])


def as_xml(element: Element) -> bytes:
    """The document."""
    return ("<?xml version='1.0' encoding='UTF-8'?>\n" + "".join(_xml(element))).encode()


def as_json(element: Element) -> bytes:
    """The same as JSON."""
    return orjson.dumps({element.name: _json(element)})


class _Node:
    """A segment of a path, and what is below it."""

    def __init__(self, segment: str) -> None:
        self.segment = segment
        self.routes: list[Route] = []
        self.children: dict[str, _Node] = {}

    def find(self, path: str) -> _Node:
        node = self
        for segment in path.strip("/").split("/") if path.strip("/") else ():
            node = node.children.setdefault(segment, _Node(segment))
        return node


def _resource(node: _Node, path: str) -> Element:
    variables = [segment[1:-1] for segment in path.split("/") if segment.startswith("{")]
    parameters = [_parameter(VARIABLES[name], style="template") for name in variables]
    methods = [_method(route) for route in node.routes]
    below = [_resource(child, child.segment) for child in node.children.values()]
    return Element("resource", {"path": path}, [*parameters, *methods, *below])


def _method(route: Route) -> Element:
    clause = f" PS3.18 {route.clause}." if route.clause else " No part of PS3.18."
    doc = _doc(route.about.summary + clause)
    request = Element("request", children=[*_parameters(route), *_representations(route.about.takes)])
    responses = [_response(route, status) for status in route.about.statuses]
    return Element("method", {"name": route.method, "id": route.name}, [doc, request, *responses])


def _parameters(route: Route) -> Iterable[Element]:
    if route.about.offers:
        options = [Element("option", {"value": offer}) for offer in route.about.offers]
        names = {"name": "Accept", "style": "header", "default": route.about.offers[0]}
        yield Element("param", names, options)
    if CHARSET in route.about.parameters:
        options = [Element("option", {"value": name}) for name in CHARSET.options]
        names = {"name": "Accept-Charset", "style": "header", "default": "UTF-8"}
        yield Element("param", names, options)
    for parameter in route.about.parameters:
        yield _parameter(parameter)
        if parameter.alias:
            yield _parameter(parameter, name=parameter.alias)


def _parameter(parameter: Parameter, *, style: str = "query", name: str = "") -> Element:
    attributes = {"name": name or parameter.name, "style": style, "type": _TYPES[parameter.type]}
    if parameter.repeating:
        attributes["repeating"] = "true"
    if style == "template":
        attributes["required"] = "true"
    options = [Element("option", {"value": value}) for value in parameter.options]
    return Element("param", attributes, [_doc(parameter.description), *options])


def _response(route: Route, status: Status) -> Element:
    names = () if status.empty else route.about.offers if status.code < 300 else ("text/plain",)
    more = route.about.offers if status.reports else ()
    return Element(
        "response", {"status": str(status.code)}, [_doc(status.meaning), *_representations((*names, *more))]
    )


def _representations(media_types: Iterable[str]) -> list[Element]:
    return [Element("representation", {"mediaType": name}) for name in media_types]


def _doc(text: str) -> Element:
    return Element("doc", {"xml:lang": "en"}, text=text.strip())


def _xml(element: Element) -> Iterable[str]:
    attributes = "".join(f" {name}={quoteattr(value)}" for name, value in element.attributes.items())
    if not element.children and not element.text:
        yield f"<{element.name}{attributes}/>"
        return
    yield f"<{element.name}{attributes}>{escape(element.text)}"
    for child in element.children:
        yield from _xml(child)
    yield f"</{element.name}>"


def _json(element: Element) -> dict[str, Any]:
    found: dict[str, Any] = {f"@{name}": value for name, value in element.attributes.items()}
    if element.text:
        found["value"] = element.text
    for child in element.children:
        if child.name in _UNIQUE:
            found[child.name] = _json(child)
        else:
            found.setdefault(child.name, []).append(_json(child))
    return found
