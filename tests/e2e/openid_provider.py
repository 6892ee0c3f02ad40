"""oidc-provider of npm, certified by the OpenID Foundation: a real issuer on this machine.

It is called `localhost` and the archive 127.0.0.1: for a browser these are two sites, as they are in a hospital.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt

from npm_packages import installed
from openid_keys import private_key

SCRIPT = Path(__file__).with_name("openid_provider.mjs")
PROVIDER = ("oidc-provider", "9.13.3")
AUDIENCE = "https://pacs.example"


def key(number: int) -> dict[str, Any]:
    """One of its keys, with the private half."""
    made = jwt.get_algorithm_by_name("RS256").to_jwk(private_key("rsa", number), as_dict=True)
    made.pop("key_ops", None)
    return {**made, "kid": f"rsa{number}", "use": "sig", "alg": "RS256"}


@dataclass
class Provider:
    """It runs."""

    process: subprocess.Popen[str]
    url: str = ""

    def say(self, **changed: Any) -> str:
        """Change its settings; it begins anew, at the same address. What it answers."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(changed) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer, "the provider has ended"
        return answer

    def token(self, scope: str = "archive.see", audience: str = AUDIENCE) -> str:
        """An access token that a program gets for itself."""
        basic = base64.b64encode(b"research:secret").decode()
        form = {"grant_type": "client_credentials", "scope": scope, "resource": audience}
        answer = httpx.post(f"{self.url}/token", data=form, headers={"Authorization": f"Basic {basic}"})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def asked(self, path: str) -> int:
        """How often something was asked of it."""
        return int(httpx.get(f"{self.url}/asked").json().get(path, 0))


@contextmanager
def provider(node: str, log: Path, **settings: Any) -> Iterator[Provider]:
    """Raises PackageMissing."""
    command = [node, str(SCRIPT), str(installed(*PROVIDER))]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        running = Provider(process)
        try:
            first = {"jwks": {"keys": [key(0)]}, "redirects": ["http://127.0.0.1/return"], "userinfo": False}
            running.url = running.say(**{**first, **settings})
            yield running
        finally:
            process.kill()
