"""Who may use the API for administrators: asked before every one of its handlers.

Who has signed in was asked for the right before (`web.admission`). Where nobody signs in, only this machine may:
whoever is let through by a proxy may look at studies, which does not make an administrator. A page of another origin
may change nothing, also where it may read answers (`http.cors_origins`): any program of this machine can serve a page,
and a browser sends its requests.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive
    from archive.settings.doors import Http

_READS = frozenset(("GET", "HEAD", "OPTIONS"))

_BY_PROXIES = re.compile(
    r"forwarded|via|x-forwarded.*|x-original-.*|x-real-ip|x-proxyuser-ip"
    r"|(x-|true-|cf-|x-cluster-|x-envoy-)?(client|connecting|external)-(ip|address)"
)
"""Headers of a proxy that nobody has told us of: whoever asks through it is not here."""

Handler = Callable[[Any, Asked], Any]


def guarded(handler: Handler) -> Handler:
    """The handler, for administrators only. Raises RequestRefused (403)."""

    def asked_by_an_administrator(archive: Archive, asked: Asked) -> Any:
        check(archive.settings.http, asked)
        return handler(archive, asked)

    return asked_by_an_administrator


def for_sharing(handler: Handler) -> Handler:
    """The handler, for who has signed in and has the right to it; where nobody signs in, as for administrators. Raises
    RequestRefused (403)."""

    def asked_by_a_person(archive: Archive, asked: Asked) -> Any:
        if asked.principal.name:
            check_page(archive.settings.http, asked)
        else:
            check(archive.settings.http, asked)
        return handler(archive, asked)

    return asked_by_a_person


def check(http: Http, asked: Asked) -> None:
    """Raises RequestRefused (403) unless this request may use the API."""
    if http.administration == "off":
        raise RequestRefused("the administrator has set http.administration to off", 403)
    signed_in = bool(asked.principal.name)
    if http.administration == "local" and not signed_in and not _from_this_machine(http, asked):
        raise RequestRefused(
            "administration without sign-in is for this machine only, without a proxy; http.administration = "
            '"on" opens it to everybody whom the proxy lets in',
            403,
        )
    check_page(http, asked)


def check_page(http: Http, asked: Asked) -> None:
    """Raises RequestRefused (403) where a page of another origin would change something."""
    if asked.method not in _READS and not own_page(http, asked):
        raise RequestRefused("a page of another origin may change nothing here", 403)


def _from_this_machine(http: Http, asked: Asked) -> bool:
    if http.behind_proxy or http.public_url or not http.listen.is_loopback:
        return False
    if any(_BY_PROXIES.fullmatch(name.replace("_", "-")) for name in asked.headers):
        return False
    try:
        return ipaddress.ip_address(asked.peer_address).is_loopback
    except ValueError:
        return False


def own_page(http: Http, asked: Asked) -> bool:
    """Whether no page asks, or one of ours, or one whose origin the administrator has named."""
    origin = asked.headers.get("origin", "").lower()
    if not origin:
        return True
    base = urlsplit(asked.base_url.lower())
    named = {one.rstrip("/").lower() for one in http.cors_origins}
    return origin == f"{base.scheme}://{base.netloc}" or origin in named - {"*", "null"}
