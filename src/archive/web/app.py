"""The HTTP door: the route table made an ASGI application over the services of one archive."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Router, WebSocketRoute
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from archive.web.description import capabilities
from archive.web.http.cors import CORS
from archive.web.http.crossing import Crossing
from archive.web.http.endpoint import Endpoint
from archive.web.http.middleware import HostGuard, Observed, SafeHeaders
from archive.web.http.urls import ROOT
from archive.web.routes import ROUTES, Route
from archive.web.ups.notifications import Connections
from archive.web.ups.subscriptions import NOTIFICATIONS

if TYPE_CHECKING:
    from archive.bootstrap import Archive

_KNOWN_METHODS = frozenset(
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"]
)


def create_app(archive: Archive) -> ASGIApp:
    """The application. It holds nothing but the archive, so one may be made in each worker."""
    http = archive.settings.http
    lane = Crossing()
    routes: list[BaseRoute] = [
        StarletteRoute(path, endpoint=Methods(Endpoint(archive, lane, methods), methods))
        for path, methods in by_path().items()
    ]
    routes.append(WebSocketRoute(NOTIFICATIONS, endpoint=Connections(archive, lane)))
    app: ASGIApp = Observed(Router(routes=routes, redirect_slashes=False, default=_not_found))
    alone = http.listen.is_loopback and not http.public_url and not http.behind_proxy
    app = HostGuard(app, loopback_only=alone)
    return SafeHeaders(CORS(app, http.cors_origins, (route.method for route in ROUTES)))


def by_path() -> dict[str, dict[str, Route]]:
    """The route table by path and method. Every resource, and the Base URI, can be asked for its capabilities."""
    table: dict[str, dict[str, Route]] = {ROOT: {}, f"{ROOT}/": {}}
    for route in ROUTES:
        table.setdefault(route.path, {})[route.method] = route
    for path, methods in table.items():
        handler = capabilities.handler(ROUTES, path)
        methods["OPTIONS"] = Route("OPTIONS", path, "RetrieveCapabilities", "8.9", handler)
    return table


class Methods:
    """Refuses the methods that a resource does not have: 405 with those that it has, or 501 for one that nothing
    here has (PS3.18 8.5)."""

    def __init__(self, app: ASGIApp, methods: Iterable[str]) -> None:
        self._app = app
        self._allowed = capabilities.allow(methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if method in self._allowed.split(", "):
            await self._app(scope, receive, send)
            return
        sentence = f"this resource can be asked for with: {self._allowed}\n"
        status = 405 if method in _KNOWN_METHODS else 501
        await PlainTextResponse(sentence, status, {"Allow": self._allowed})(scope, receive, send)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    sentence = f"there is no such resource; DICOMweb is at {ROOT}, for instance {ROOT}/studies\n"
    await PlainTextResponse(sentence, status_code=404)(scope, receive, send)
