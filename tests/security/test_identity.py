"""User identity (PS3.7 D.3.3.7): passwords and tokens, and the patience that guessing finds."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from archive.dicom.errors import CallerRefused
from archive.network.caller import JWT, SAML, USER, USER_AND_PASSCODE, Caller, UserIdentity
from archive.security import identity as identity_checks
from archive.security.ae_titles import AETitle
from archive.security.attempts import FAILURES, WAIT_SECONDS
from archive.security.identity import Identities, password_hash
from archive.security.rules import Rules
from archive.security.tokens import TokenRefused, Tokens
from archive.settings.people import TokenSettings

NOW = 1_900_000_000
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
HASH = password_hash("s3cret")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def pem(key: Any) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def jwk(key: Any, kid: str, **more: str) -> dict[str, Any]:
    algorithm = "ES256" if key is CURVE else "RS256"
    described = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {**described, "kid": kid, **more}


def token(key: Any = KEY, algorithm: str = "RS256", kid: str = "", **claims: Any) -> bytes:
    said = {"iss": "hospital", "aud": "archive", "sub": "ct", "exp": NOW + 4_000_000_000, **claims}
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(said, key, algorithm, headers={"kid": kid} if kid else None).encode()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(pem(KEY))
    return path


def tokens(**named: Any) -> Tokens:
    return Tokens(TokenSettings(**{"issuer": "hospital", "audience": "archive", **named}))


def refused(made: Tokens, text: bytes) -> TokenRefused:
    with pytest.raises(TokenRefused) as caught:
        made.subject(text)
    return caught.value


def unsigned(header: dict[str, str], text: bytes) -> bytes:
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=")
    return head + b"." + text.split(b".")[1] + b"."


def test_a_token_of_the_issuer_for_us(key_file: Path) -> None:
    assert tokens(key_file=str(key_file)).subject(token()) == "ct"


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: token(exp=1), "expired"),
        (lambda: token(nbf=NOW + 4_000_000_000), "not in force"),
        (lambda: token(iss="elsewhere"), "another issuer"),
        (lambda: token(aud="viewer"), "somebody else"),
        (lambda: token(exp=None), "lacks"),
        (lambda: token(sub=None), "lacks"),
        (lambda: token(aud=None), "lacks"),
        (lambda: token(OTHER), "signature"),
        (lambda: token()[:-8] + b"AAAAAAAA", "signature"),
        (lambda: token(algorithm="RS512"), "no key of ours"),
        (lambda: token(CURVE, "ES256"), "no key of ours"),
        (lambda: token("secret" * 8, "HS256"), "no key of ours"),
        (lambda: unsigned({"alg": "none"}, token()), "no key of ours"),
        (lambda: unsigned({"alg": "RS256"}, token()), "signature"),
        (lambda: b"no token", "no token"),
        (lambda: b"", "no token"),
        (lambda: b"a" * 70_000, "too long"),
        (lambda: b"\xff.\xff.\xff", "no token"),
    ],
)
def test_no_other_token(key_file: Path, made: Callable[[], bytes], reason: str) -> None:
    """RFC 8725: neither another algorithm nor none, whatever the header says (reliability.md H9)."""
    error = refused(tokens(key_file=str(key_file)), made())
    assert reason in error.reason
    assert error.remedy


def test_a_public_key_is_no_secret(key_file: Path) -> None:
    """The oldest trick: a token made with the public key as if it were the secret of HS256."""
    secret = base64.urlsafe_b64encode(pem(KEY))
    forged = jwt.api_jws.PyJWS().encode(token().split(b".")[1], secret, "HS256")
    assert "no key of ours" in refused(tokens(key_file=str(key_file)), forged.encode()).reason


def test_h8_where_a_token_says_its_key_is_nobody_looks(tmp_path: Path) -> None:
    """Nor is the key taken that it brings along, nor is its id a path; and its issuer is nobody's address."""
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [jwk(KEY, "new")]}))
    (tmp_path / "evil.json").write_text(json.dumps({"keys": [jwk(OTHER, "new")]}))
    made = tokens(jwks_file=str(path))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/jwks.json"
        for header in (
            {"jku": url},
            {"x5u": url, "kid": "new"},
            {"jwk": jwk(OTHER, "new")},
            {"jku": f"file://{tmp_path}/evil.json", "kid": "new"},
            {"kid": "../evil.json"},
            {"kid": "' OR 1=1 --"},
        ):
            claims = {"iss": "hospital", "aud": "archive", "sub": "ct", "exp": NOW + 4_000_000_000}
            refused(made, jwt.encode(claims, OTHER, "RS256", headers=header).encode())
        refused(made, token(iss=url))
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_key_set_chooses_by_id_and_each_key_has_its_algorithm(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys = [
        jwk(OTHER, "old"),
        jwk(KEY, "new", alg="RS256"),
        jwk(CURVE, "ec"),
        jwk(KEY, "enc", use="enc"),
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0", "alg": "HS256"},
    ]
    path.write_text(json.dumps({"keys": keys}))
    made = tokens(jwks_file=str(path))
    assert made.subject(token(kid="new")) == "ct"
    assert made.subject(token()) == "ct"
    assert made.subject(token(OTHER)) == "ct"
    assert made.subject(token(CURVE, "ES256", kid="ec")) == "ct"
    for wrong in (
        token(kid="old"),
        token(kid="gone"),
        token(kid="enc"),
        token(b"secret" * 8, "HS256", "secret"),
    ):
        refused(made, wrong)


def test_a_key_without_an_id_may_be_any_of_several(tmp_path: Path) -> None:
    """What is wrong with a token is said whichever of the keys it was made with; nothing but TokenRefused comes."""
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [jwk(OTHER, "old"), jwk(KEY, "new")]}))
    made = tokens(jwks_file=str(path))
    for key in (OTHER, KEY):
        assert "expired" in refused(made, token(key, exp=1)).reason
        assert refused(made, token(key, exp=float("inf"))).remedy


@pytest.mark.parametrize(
    "text", ["{}", '{"keys": [1]}', '{"keys": null}', "[]", "", '{"keys": [{"kty": []}]}']
)
def test_a_key_set_that_is_none_is_told_of(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    assert "no keys" in refused(tokens(jwks_file=str(path)), token()).reason


def test_keys_are_rolled_over_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [jwk(KEY, "1")]}))
    made = tokens(jwks_file=str(path))
    assert made.subject(token()) == "ct"
    refused(made, token(OTHER))
    path.write_text(json.dumps({"keys": [jwk(OTHER, "second")]}))
    assert made.subject(token(OTHER)) == "ct"
    refused(made, token())
    path.unlink()
    assert "cannot be read" in refused(made, token(OTHER)).reason


def test_another_curve(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    path = tmp_path / "key.pem"
    path.write_bytes(pem(key))
    assert tokens(key_file=str(path), algorithm="EdDSA").subject(token(key, "EdDSA")) == "ct"
    assert "no keys" in refused(tokens(key_file=str(path), algorithm="RS256"), token()).reason


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ({"issuer": ""}, "tokens.issuer"),
        ({"audience": ""}, "tokens.audience"),
        ({"key_file": ""}, "neither"),
        ({"key_file": "/nowhere/key"}, "cannot be read"),
    ],
)
def test_settings_that_are_not_enough_let_nobody_in(
    key_file: Path, named: dict[str, str], reason: str
) -> None:
    made = tokens(**{"key_file": str(key_file), **named})
    assert reason in refused(made, token()).reason


def check(
    identities: Identities, rules: Rules, identity: UserIdentity | None, address: str = "192.0.2.1"
) -> bytes | None:
    entry = AETitle("CT1", "192.0.2.1", 104, rules)
    return identities.check(Caller("CT1", "ARCHIVE", address, identity=identity), entry)


PASSWORD = Rules(identity="password", user="ct", password_hash=HASH)
RIGHT = UserIdentity(USER_AND_PASSCODE, b"ct", b"s3cret")


@pytest.mark.parametrize(
    "identity",
    [
        None,
        UserIdentity(USER, b"ct"),
        UserIdentity(SAML, b"ct", b"s3cret"),
        UserIdentity(USER_AND_PASSCODE, b"ct", b"S3cret"),
        UserIdentity(USER_AND_PASSCODE, b"ct", b""),
        UserIdentity(USER_AND_PASSCODE, b"mr", b"s3cret"),
        UserIdentity(USER_AND_PASSCODE, b"\xff", b"\xff"),
    ],
)
def test_a_password(identity: UserIdentity | None) -> None:
    identities = Identities(tokens())
    assert check(identities, Rules(), identity) is None
    assert check(identities, PASSWORD, RIGHT) == b""
    with pytest.raises(CallerRefused) as caught:
        check(identities, PASSWORD, identity)
    error = caught.value
    assert (error.result, error.source, error.diagnostic) == (1, 2, 1)
    assert "s3cret" not in repr(error)
    assert "s3cret" not in repr(RIGHT)


def test_a_token_for_an_ae_title(key_file: Path) -> None:
    identities = Identities(tokens(key_file=str(key_file)))
    given = UserIdentity(JWT, token())
    assert check(identities, Rules(identity="token"), given) == b""
    assert check(identities, Rules(identity="token", user="ct"), given) == b""
    for rules, identity in [
        (Rules(identity="token", user="mr"), given),
        (Rules(identity="token"), UserIdentity(JWT, token(OTHER))),
        (Rules(identity="token"), RIGHT),
        (Rules(identity="token"), None),
    ]:
        with pytest.raises(CallerRefused) as caught:
            check(identities, rules, identity)
        assert (caught.value.result, caught.value.source, caught.value.diagnostic) == (1, 2, 1)


def test_guessing_has_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """H17. The right one as well, so that nobody learns by it; elsewhere the same AE title is not held up."""
    clock = Clock()
    identities = Identities(tokens(), clock)
    wrong = UserIdentity(USER_AND_PASSCODE, b"ct", b"wrong")
    for _ in range(FAILURES):
        with pytest.raises(CallerRefused):
            check(identities, PASSWORD, wrong)
    with pytest.raises(CallerRefused) as caught:
        check(identities, PASSWORD, RIGHT)
    assert (caught.value.result, caught.value.source, caught.value.diagnostic) == (2, 3, 1)
    assert check(identities, PASSWORD, RIGHT, "192.0.2.2") == b""
    clock.now += WAIT_SECONDS
    assert check(identities, PASSWORD, RIGHT) == b""
    with pytest.raises(CallerRefused, match="wrong"):
        check(identities, PASSWORD, wrong)


def test_guessing_with_many_connections_at_a_time_has_to_wait_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each waits for its turn; when that comes, those before it have used up the patience."""
    begun, computed = threading.Barrier(4 * FAILURES), []

    def slow(*_: object) -> bool:
        computed.append(1)
        time.sleep(0.05)
        return False

    monkeypatch.setattr(identity_checks, "verifies", slow)
    identities = Identities(tokens(), Clock())

    def guess(_: int) -> int:
        begun.wait(30)
        with pytest.raises(CallerRefused) as caught:
            check(identities, PASSWORD, UserIdentity(USER_AND_PASSCODE, b"ct", b"wrong"))
        return caught.value.result

    with ThreadPoolExecutor(begun.parties) as threads:
        results = list(threads.map(guess, range(begun.parties)))
    assert len(computed) <= FAILURES + 1
    assert results.count(2) == len(results) - len(computed)


def test_a_hash_that_is_none_lets_nobody_in() -> None:
    with pytest.raises(CallerRefused):
        check(Identities(tokens()), Rules(identity="password", user="ct", password_hash="x"), RIGHT)
