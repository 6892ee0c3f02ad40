"""What the pages of viewers may do in a browser: as much as they need, and nothing with any other host.

They replace the policy that forbids everything to every other answer (`http.protections`). A page that is isolated
from others (COOP, COEP) may share memory between its threads, which viewers do with volumes; and no page that opened it
can reach into it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from archive.settings.doors import Http
from archive.web.http.exchange import Asked
from archive.web.http.protections import ancestors
from archive.web.http.urls import ROOT

PATH = "/viewer"

LIGHT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Of the built-in viewer: no script but its files, none made of text."""
OHIF = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self' blob:; "
    "media-src 'self' blob:; object-src 'self' blob:; frame-src blob:; base-uri 'none'; form-action 'none'"
)
"""Of OHIF's page: its style sheets are made by scripts, documents are shown from memory."""
OHIF_WORKERS = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; connect-src 'self' data:; "
    "base-uri 'none'; form-action 'none'"
)
"""Of its scripts, where they run as workers, which have a policy of their own: the decoders of JPEG, JPEG-LS and JPEG
2000 make functions of text. They have no page, so nothing that an object says can become a script there."""

Headers = tuple[tuple[str, str], ...]


def headers(policy: str, http: Http) -> Headers:
    """The fields of an answer that is part of a viewer."""
    return (
        ("Content-Security-Policy", f"{policy}; frame-ancestors {ancestors(http.cors_origins)}"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Embedder-Policy", "require-corp"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    )


def public_path(asked: Asked) -> str:
    """The path under which the public sees us, which a proxy may have put before ours; without a slash at the end."""
    return urlsplit(asked.base_url).path.removesuffix(ROOT)
