"""Keys of an issuer, made for tests, and tokens signed with them: right ones, and what attackers would send."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER = "https://login.example"
CLIENT = "archive"
NONCE = "a nonce"


@cache
def private_key(kind: str = "rsa", number: int = 0) -> Any:
    """A key of this kind; each number is another."""
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if kind == "short":
        return rsa.generate_private_key(public_exponent=65537, key_size=1024)
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else ed25519.Ed25519PrivateKey.generate()


def jwk(kind: str = "rsa", number: int = 0, **members: Any) -> dict[str, Any]:
    """The public half, as a JWK Set has it."""
    algorithm = {"rsa": "RS256", "short": "RS256", "ec": "ES256", "ed": "EdDSA"}[kind]
    made = jwt.get_algorithm_by_name(algorithm).to_jwk(private_key(kind, number).public_key(), as_dict=True)
    made.pop("key_ops", None)
    return {**made, "kid": f"{kind}{number}", **members}


def public_pem(kind: str = "rsa", number: int = 0) -> bytes:
    """The public half, as anybody has it."""
    return (
        private_key(kind, number)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def claims(**changed: Any) -> dict[str, Any]:
    """Those of a token in force; what is changed to None is not there."""
    now = int(time.time())
    made = {"iss": ISSUER, "aud": CLIENT, "sub": "248289761001", "iat": now, "exp": now + 300, **changed}
    return {name: value for name, value in made.items() if value is not None}


def signed(
    payload: dict[str, Any],
    kind: str = "rsa",
    number: int = 0,
    algorithm: str = "",
    **headers: Any,
) -> str:
    """A token signed with one of the keys. What is None is not in the header."""
    chosen = algorithm or {"rsa": "RS256", "short": "RS256", "ec": "ES256", "ed": "EdDSA"}[kind]
    header = {"kid": f"{kind}{number}", **headers}
    kept = {name: value for name, value in header.items() if value is not None}
    return jwt.encode(payload, private_key(kind, number), algorithm=chosen, headers=kept)


def raw(header: dict[str, Any], payload: dict[str, Any], secret: bytes | None = None) -> str:
    """A token that no library makes: signed with HMAC-SHA256, or with nothing."""
    parts = [_encoded(json.dumps(part).encode()) for part in (header, payload)]
    body = ".".join(parts)
    mac = hmac.new(secret, body.encode(), hashlib.sha256).digest() if secret is not None else b""
    return f"{body}.{_encoded(mac)}"


def half_hash(text: str, name: str = "sha256") -> str:
    """As `at_hash` is made."""
    digest = hashlib.new(name, text.encode()).digest()
    return _encoded(digest[: len(digest) // 2])


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
