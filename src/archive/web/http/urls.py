"""Where the public sees us, and the URLs that we hand out: all of them are made here.

A configured public URL wins. Behind a proxy its Forwarded (RFC 7239) or X-Forwarded-* headers count; otherwise
nobody's do, as anyone could send them. Anyone can send them to the proxy too: of a list only the last element is
sure to be the proxy's, and where the two kinds say different things one of them is not, so neither counts. Several
proxies in a row need the configured URL. A Host header without a port gets the port of the connection when the host
is this machine: dicomweb-client leaves the port out, and no proxy stands in between there.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.types import Scope

from archive.settings.doors import Http
from archive.web.http import media_types

ROOT = "/dicom-web"
SUBSCRIBERS = f"{ROOT}/subscribers"
"""Notification Connections are opened below here, each named by the AE title of its subscriber."""

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(:\d{1,5})?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~%-]+)*/?")
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|\[::1\]", re.IGNORECASE)
_PORT = re.compile(r"[1-9]\d{0,4}", re.ASCII)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def is_host(text: str) -> bool:
    """Whether this can be a Host header (RFC 9110 7.2), and nothing cleverer."""
    return _HOST.fullmatch(text) is not None


def is_loopback_host(text: str) -> bool:
    """Whether a Host header, with or without port, names this machine."""
    found = _HOST.fullmatch(text)
    return found is not None and _LOOPBACK.fullmatch(found[1]) is not None


def public_base(
    http: Http, headers: Mapping[str, str], scheme: str, server: tuple[str, int | None] | None
) -> str:
    """The public URL of the DICOMweb root, without a slash at the end."""
    if http.public_url:
        base = http.public_url.rstrip("/")
        return base if base.endswith(ROOT) else base + ROOT
    prefix = ""
    host = headers.get("host", "")
    if http.behind_proxy:
        scheme, host, prefix = _forwarded(headers, scheme, host)
    if not is_host(host):
        host = _server_host(server)
    elif not http.behind_proxy:
        host = _with_port(host, scheme, server)
    return f"{scheme}://{host}{prefix}{ROOT}"


def came_by_tls(http: Http, scope: Scope) -> bool:
    """Whether the public reaches us by https, as far as that is known."""
    if http.public_url:
        return http.public_url.lower().startswith("https://")
    return http.behind_proxy and _forwarded_scheme(Headers(scope=scope)) == "https"


def client_address(http: Http, headers: Mapping[str, str], peer_address: str) -> str:
    """Where a request comes from: behind a proxy, the address that it has added last, if it is one."""
    said = _last(headers, "x-forwarded-for").strip("[]") if http.behind_proxy else ""
    try:
        return str(ipaddress.ip_address(said)) if said else peer_address
    except ValueError:
        return peer_address


def is_loopback_base(base: str) -> bool:
    """Whether a public URL names this machine."""
    return is_loopback_host(base.partition("://")[2].partition("/")[0])


def resource_url(base: str, *uids: str) -> str:
    """RetrieveURL of a study, of a series or of an instance, by its UIDs from the study down."""
    levels = ("studies", "series", "instances")
    return base + "".join(f"/{level}/{uid}" for level, uid in zip(levels, uids, strict=False))


def workitem_url(base: str, uid: str) -> str:
    """URL of a Workitem (PS3.18 Table 11.1.1-1)."""
    return f"{base}/workitems/{uid}"


def notification_url(base: str, ae_title: str) -> str:
    """URL at which a subscriber opens its Notification Connection: the same place over the WebSocket protocol (PS3.18
    Table 11.10.3-2)."""
    scheme, _, place = base.removesuffix(ROOT).partition("://")
    return f"{'wss' if scheme == 'https' else 'ws'}://{place}{SUBSCRIBERS}/{quote(ae_title, safe='')}"


def _forwarded(headers: Mapping[str, str], scheme: str, host: str) -> tuple[str, str, str]:
    """Scheme, host and path prefix as the proxy saw them."""
    forwarded = _forwarded_element(_last(headers, "forwarded"))
    proto = _forwarded_scheme(headers)
    named = _agreed(forwarded.get("host", ""), _last(headers, "x-forwarded-host"))
    port = _last(headers, "x-forwarded-port")
    prefix = _last(headers, "x-forwarded-prefix")
    proto = proto if proto in _DEFAULT_PORTS else scheme
    host = named if is_host(named) else host
    if _PORT.fullmatch(port) and not re.search(r":\d+$", host) and port != _DEFAULT_PORTS[proto]:
        host = f"{host}:{port}"
    return proto, host, prefix.rstrip("/") if _PREFIX.fullmatch(prefix) else ""


def _forwarded_scheme(headers: Mapping[str, str]) -> str:
    forwarded = _forwarded_element(_last(headers, "forwarded"))
    return _agreed(forwarded.get("proto", ""), _last(headers, "x-forwarded-proto")).lower()


def _agreed(one: str, other: str) -> str:
    """What the two say, or the only one that says something; empty when they disagree."""
    return (one or other) if not (one and other) or one.lower() == other.lower() else ""


def _forwarded_element(text: str) -> Mapping[str, str]:
    """An element of a Forwarded header; its syntax is that of media type parameters."""
    return media_types.parse(f"forwarded/element;{text}").parameters if text else {}


def _last(headers: Mapping[str, str], name: str) -> str:
    """The element of a list that the nearest proxy wrote."""
    return headers.get(name, "").rpartition(",")[2].strip()


def _server_host(server: tuple[str, int | None] | None) -> str:
    name, port = server or ("localhost", None)
    name = f"[{name}]" if ":" in name else name
    return f"{name}:{port}" if port else name


def _with_port(host: str, scheme: str, server: tuple[str, int | None] | None) -> str:
    port = server[1] if server else None
    if not port or str(port) == _DEFAULT_PORTS.get(scheme) or not is_loopback_host(host):
        return host
    return host if re.search(r":\d+$", host) else f"{host}:{port}"
