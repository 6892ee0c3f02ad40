"""The HTTP door: the route table made an ASGI application over the services of one archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse
from starlette.routing import Route as StarletteRoute
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from archive.web.cors import CORS
from archive.web.crossing import Crossing
from archive.web.endpoint import Endpoint
from archive.web.middleware import HostGuard, Observed, SafeHeaders
from archive.web.routes import ROUTES, Route
from archive.web.urls import ROOT

if TYPE_CHECKING:
    from archive.bootstrap import Archive


def create_app(archive: Archive) -> ASGIApp:
    """The application. It holds nothing but the archive, so one may be made in each worker."""
    http = archive.settings.http
    lane = Crossing()
    routes = [
        StarletteRoute(path, endpoint=Endpoint(archive, lane, methods), methods=list(methods))
        for path, methods in by_path().items()
    ]
    app: ASGIApp = Observed(Router(routes=routes, redirect_slashes=False, default=_not_found))
    alone = http.listen.is_loopback and not http.public_url and not http.behind_proxy
    app = HostGuard(app, loopback_only=alone)
    return SafeHeaders(CORS(app, http.cors_origins, (route.method for route in ROUTES)))


def by_path() -> dict[str, dict[str, Route]]:
    """The route table by path and method, so that a wrong method is answered 405 with all right ones."""
    table: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        table.setdefault(route.path, {})[route.method] = route
    return table


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    sentence = f"there is no such resource; DICOMweb is at {ROOT}, for instance {ROOT}/studies\n"
    await PlainTextResponse(sentence, status_code=404)(scope, receive, send)
