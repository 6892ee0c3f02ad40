"""The HTTP door: the route table made an ASGI application over the services of one archive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from archive.web import admission
from archive.web.description import capabilities
from archive.web.http.cors import CORS
from archive.web.http.crossing import Crossing
from archive.web.http.endpoint import Endpoint
from archive.web.http.exchange import Answer, text
from archive.web.http.middleware import Surroundings, send_answer
from archive.web.http.protections import Protections
from archive.web.http.routing import Paths
from archive.web.http.urls import ROOT
from archive.web.routes import ROUTES, Route
from archive.web.ups.notifications import Connections
from archive.web.ups.subscriptions import NOTIFICATIONS

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

_KNOWN_METHODS = frozenset(
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"]
)


def create_app(archive: Archive) -> ASGIApp:
    """The application. It holds nothing but the archive, so one may be made in each worker."""
    http = archive.settings.http
    lane = Crossing()
    resources = {
        path: Resource(Endpoint(archive, lane, methods), methods) for path, methods in by_path().items()
    }
    cors = CORS(http.cors_origins, (route.method for route in ROUTES))
    served = Resources(resources, Connections(archive, lane))
    return Surroundings(served, cors, Protections(http), loopback_only=admission.is_private(http))


def by_path() -> dict[str, dict[str, Route]]:
    """The route table by path and method. Every resource, and the Base URI, can be asked for its capabilities."""
    table: dict[str, dict[str, Route]] = {ROOT: {}, f"{ROOT}/": {}}
    for route in ROUTES:
        table.setdefault(route.path, {})[route.method] = route
    for path, methods in table.items():
        handler = capabilities.handler(ROUTES, path)
        methods["OPTIONS"] = Route("OPTIONS", path, "RetrieveCapabilities", "8.9", handler, right=None)
    return table


class Resource:
    """What is at one path. Refuses the methods that it does not have: 405 with those that it has, or 501 for one that
    nothing here has (PS3.18 8.5)."""

    def __init__(self, endpoint: ASGIApp, methods: Mapping[str, Route]) -> None:
        self._endpoint = endpoint
        self._allow = capabilities.allow(methods)
        self._allowed = frozenset(self._allow.split(", "))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in self._allowed:
            await self._endpoint(scope, receive, send)
        else:
            await send_answer(self._refusal(scope["method"]), scope, send)

    def _refusal(self, method: str) -> Answer:
        sentence = f"this resource can be asked for with: {self._allow}"
        return text(405 if method in _KNOWN_METHODS else 501, sentence, ("Allow", self._allow))


class Resources:
    """Finds what a request is for. `notifications` takes the WebSockets."""

    def __init__(self, resources: Mapping[str, ASGIApp], notifications: ASGIApp) -> None:
        self._resources = Paths(resources)
        self._web_sockets = Paths({NOTIFICATIONS: notifications})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        paths = self._web_sockets if scope["type"] == "websocket" else self._resources
        found = paths.find(scope["path"])
        if found is None:
            sentence = f"there is no such resource; DICOMweb is at {ROOT}, for instance {ROOT}/studies"
            await send_answer(text(404, sentence), scope, send)
            return
        app, scope["path_params"] = found
        await app(scope, receive, send)
