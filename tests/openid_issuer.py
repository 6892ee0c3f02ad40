"""An OpenID Connect issuer that does what a test wants, right or wrong, on a port of its own."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from openid_keys import CLIENT, jwk, signed
from openid_keys import claims as made


@dataclass
class Issuing:
    """What it says. `nonce` is of the sign-in that is going on; `answers` are bodies and statuses in place of right
    ones, by path; `asked` counts, `forms` are the bodies that came."""

    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=lambda: [jwk()])
    changes: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    key: tuple[str, int] = ("rsa", 0)
    asked: Counter[str] = field(default_factory=Counter)
    forms: list[tuple[dict[str, str], str]] = field(default_factory=list)
    nonce: str = ""

    def token(self, **changed: Any) -> str:
        """An access token that it gives."""
        said = {"iss": self.url, "scope": "openid", "preferred_username": "ada", **changed}
        return signed(made(**said), *self.key, typ="at+jwt")

    def id_token(self) -> str:
        """What it says of whom has signed in."""
        said = {"iss": self.url, "nonce": self.nonce, "preferred_username": "ada", "name": "Ada L."}
        return signed(made(**{**said, **self.changes}), *self.key)

    def said(self, path: str) -> Any:
        """The right answer."""
        if path == "/.well-known/openid-configuration":
            ends = {"authorization_endpoint": "/auth", "token_endpoint": "/token", "jwks_uri": "/jwks"}
            found = {name: self.url + end for name, end in ends.items()}
            return {"issuer": self.url, **found, "userinfo_endpoint": f"{self.url}/me", **self.metadata}
        if path == "/token":
            return {"access_token": "opaque", "token_type": "Bearer", "id_token": self.id_token()}
        return {"/jwks": {"keys": self.keys}, "/me": self.userinfo}[path]

    def went(self, there: str) -> dict[str, str]:
        """A browser was sent there, and its user signs in: what it comes back with."""
        sent = {name: value for name, (value,) in parse_qs(urlsplit(there).query).items()}
        assert sent["client_id"] == CLIENT
        self.nonce = sent["nonce"]
        return {"code": "a code", "state": sent["state"]}


@contextmanager
def issuing() -> Iterator[Issuing]:
    """It runs."""
    issuer = Issuing()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            issuer.asked[path] += 1
            status, body = issuer.answers.get(path) or (200, json.dumps(issuer.said(path)).encode())
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if 300 <= status < 400:
                self.send_header("Location", body.decode())
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: value for name, (value,) in parse_qs(body).items()}
            issuer.forms.append((form, self.headers.get("Authorization", "")))
            self.do_GET()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
