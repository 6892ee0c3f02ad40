"""Tokens of an issuer: what is accepted, and what attackers have tried on others (RFC 8725; issue 7: one algorithm per
key, no `jku`)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.errors import ConfigurationError
from archive.security.openid import Checks, UnknownKey, keys_of, rights
from archive.security.roles import ALL_RIGHTS, RIGHTS, Right, Role
from archive.security.tokens import TokenRefused
from archive.settings.people import TOKEN_ALGORITHMS, OpenIDSettings
from openid_keys import CLIENT, ISSUER, NONCE, claims, half_hash, jwk, public_pem, raw, signed

SETTINGS = OpenIDSettings(issuer=ISSUER, client_id=CLIENT, roles=("doctors=viewer", "doctors=uploader"))
CHECKS = Checks(SETTINGS)
KEYS = keys_of({"keys": [jwk("rsa"), jwk("ec"), jwk("ed")]}, SETTINGS.algorithms)


def id_claims(**changed: Any) -> dict[str, Any]:
    return claims(**{"nonce": NONCE, **changed})


def access_claims(**changed: Any) -> dict[str, Any]:
    return claims(**{"scope": "openid archive.see", **changed})


def entered(token: str, access_token: str = "opaque", checks: Checks = CHECKS) -> Any:
    return checks.id_token(token, KEYS, NONCE, access_token)


def let_in(token: str, checks: Checks = CHECKS, keys: Any = KEYS) -> Any:
    return checks.access_token(token, keys)


@pytest.mark.parametrize("kind", ["rsa", "ec", "ed"])
def test_tokens_of_each_kind_of_key(kind: str) -> None:
    assert entered(signed(id_claims(), kind))["sub"] == "248289761001"
    assert let_in(signed(access_claims(), kind, typ="at+jwt"))["sub"] == "248289761001"


WRONG = [
    ({"exp": int(time.time()) - 3600}, "expired"),
    ({"nbf": int(time.time()) + 36000}, "not in force yet"),
    ({"iat": int(time.time()) + 36000}, "not in force yet"),
    ({"iss": "https://evil.example"}, "another issuer"),
    ({"iss": f"{ISSUER}/"}, "another issuer"),
    ({"aud": "another"}, "somebody else"),
    ({"aud": []}, "lacks"),
    ({"exp": None}, "lacks"),
    ({"iat": None}, "lacks"),
    ({"iss": None}, "lacks"),
    ({"aud": None}, "lacks"),
    ({"sub": None}, "lacks"),
    ({"sub": ""}, "whose"),
    ({"sub": 5}, "not valid"),
    ({"exp": "soon"}, "not valid"),
    ({"iat": True}, "whose"),
]


@pytest.mark.parametrize(("changed", "reason"), WRONG)
def test_a_token_that_is_not_for_us_now_is_refused(changed: dict[str, Any], reason: str) -> None:
    for check, payload in ((entered, id_claims(**changed)), (let_in, access_claims(**changed))):
        with pytest.raises(TokenRefused, match=reason):
            check(signed(payload))


def test_clocks_may_differ_a_little() -> None:
    let_in(signed(access_claims(exp=int(time.time()) - 10, nbf=int(time.time()) + 10)))


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
def test_no_signature_is_none(name: str) -> None:
    token = raw({"alg": name, "kid": "rsa0"}, access_claims())
    for spelled in (token, token.rstrip("."), f"{token}AAAA"):
        with pytest.raises(TokenRefused):
            let_in(spelled)


@pytest.mark.parametrize("header", [{"kid": "rsa0"}, {}])
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "RS256"])
def test_a_public_key_is_no_secret(header: dict[str, str], algorithm: str) -> None:
    """CVE-2015-9235 and its like: HMAC with what everybody has."""
    for secret in (public_pem(), public_pem().strip(), b""):
        with pytest.raises(TokenRefused):
            let_in(raw({"alg": algorithm, **header}, access_claims(), secret))


def test_a_key_has_one_algorithm() -> None:
    """An RSA key that is for RS256 checks no PS256, although it could."""
    with pytest.raises(TokenRefused):
        let_in(signed(access_claims(), algorithm="PS256"))
    keys = keys_of({"keys": [jwk(alg="PS256")]}, SETTINGS.algorithms)
    assert let_in(signed(access_claims(), algorithm="PS256"), keys=keys)
    with pytest.raises(TokenRefused):
        let_in(signed(access_claims()), keys=keys)


def test_only_accepted_algorithms_count() -> None:
    checks = Checks(OpenIDSettings(issuer=ISSUER, client_id=CLIENT, algorithms=("ES256",)))
    assert let_in(signed(access_claims(), "ec"), checks)
    with pytest.raises(TokenRefused, match="algorithm"):
        let_in(signed(access_claims()), checks)
    assert keys_of({"keys": [jwk("rsa"), jwk("ec")]}, ("ES256",)) == keys_of(
        {"keys": [jwk("ec")]}, ("ES256",)
    )
    assert not any(name.startswith("HS") or name == "none" for name in TOKEN_ALGORITHMS)


@pytest.mark.parametrize(
    "planted",
    [
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/certificate"},
        {"jwk": jwk("rsa", 9)},
        {"x5c": ["MIIB"]},
    ],
    ids=lambda one: next(iter(one)),
)
def test_a_token_does_not_bring_its_key(planted: dict[str, Any]) -> None:
    for kid in ("rsa9", "rsa0", None):
        with pytest.raises(TokenRefused):
            let_in(signed(access_claims(), "rsa", 9, **planted, kid=kid))
    let_in(signed(access_claims(), **planted))  # not heeded, not minded


def test_an_unknown_key_is_told_from_a_wrong_signature() -> None:
    with pytest.raises(UnknownKey):
        let_in(signed(access_claims(), "rsa", 9))
    with pytest.raises(TokenRefused) as refused:
        let_in(signed(access_claims(), "rsa", 9, kid="rsa0"))
    assert not isinstance(refused.value, UnknownKey)


def test_without_a_key_id_each_key_of_the_algorithm_is_tried() -> None:
    keys = keys_of({"keys": [jwk("rsa", 1), jwk("rsa")]}, SETTINGS.algorithms)
    assert let_in(signed(access_claims(), kid=None), keys=keys)
    with pytest.raises(UnknownKey):
        let_in(signed(access_claims(), "rsa", 9, kid=None), keys=keys)


def test_what_is_critical_and_not_understood_is_refused() -> None:
    with pytest.raises(TokenRefused):
        let_in(signed(access_claims(), crit=["exp"], exp=1))


def test_a_sign_in_has_its_nonce() -> None:
    for wrong in ("another", None, 5):
        with pytest.raises(TokenRefused, match="another sign-in"):
            entered(signed(id_claims(nonce=wrong)))


@pytest.mark.parametrize(("kind", "digest"), [("rsa", "sha256"), ("ec", "sha256"), ("ed", "sha512")])
def test_the_access_token_is_of_the_same_sign_in(kind: str, digest: str) -> None:
    assert entered(signed(id_claims(at_hash=half_hash("opaque", digest)), kind))
    with pytest.raises(TokenRefused, match="access token of another"):
        entered(signed(id_claims(at_hash=half_hash("another", digest)), kind))


@pytest.mark.parametrize(
    ("changed", "accepted"),
    [
        ({"azp": CLIENT}, True),
        ({"azp": "another"}, False),
        ({"aud": [CLIENT]}, True),
        ({"aud": [CLIENT, "another"]}, False),
        ({"aud": [CLIENT, "another"], "azp": CLIENT}, True),
        ({"iat": int(time.time()) - 3600, "exp": int(time.time()) + 36000}, False),
    ],
)
def test_an_id_token_was_made_for_us_a_moment_ago(changed: dict[str, Any], accepted: bool) -> None:
    if accepted:
        assert entered(signed(id_claims(**changed)))
        return
    with pytest.raises(TokenRefused):
        entered(signed(id_claims(**changed)))


@pytest.mark.parametrize(
    ("said", "headers", "accepted"),
    [
        (dict(scope="openid"), {}, True),
        (dict(scp="archive.see"), {}, True),
        (dict(typ="Bearer"), {}, True),
        (dict(typ="Bearer", nonce=NONCE), {}, True),
        (dict(), {"typ": "at+jwt"}, True),
        (dict(), {"typ": "application/at+JWT"}, True),
        (dict(), {}, False),
        (dict(nonce=NONCE), {}, False),
        (dict(nonce=NONCE, at_hash="x"), {}, False),
        (dict(scope="openid", at_hash="x"), {}, False),
        (dict(typ="ID", scope="openid"), {}, False),
        (dict(typ="Refresh", scope="openid"), {}, False),
        (dict(scope="openid", events={}), {}, False),
        (dict(scope="openid"), {"typ": "logout+jwt"}, False),
        (dict(scope="openid"), {"typ": "dpop+jwt"}, False),
        (dict(scope="openid", cnf={"jkt": "x"}), {"typ": "at+jwt"}, False),
    ],
)
def test_an_id_token_is_no_access_token(
    said: dict[str, Any], headers: dict[str, str], accepted: bool
) -> None:
    if accepted:
        assert let_in(signed(claims(**said), **headers))
        return
    with pytest.raises(TokenRefused):
        let_in(signed(claims(**said), **headers))


def test_an_access_token_is_no_id_token() -> None:
    with pytest.raises(TokenRefused, match="no ID token"):
        entered(signed(id_claims(), typ="at+jwt"))


def test_access_tokens_have_an_audience_of_their_own_where_one_is_set() -> None:
    checks = Checks(OpenIDSettings(issuer=ISSUER, client_id=CLIENT, audience="https://pacs.example"))
    assert let_in(signed(claims(aud="https://pacs.example")), checks)
    for audience in (CLIENT, "https://pacs.example/", None):
        with pytest.raises(TokenRefused):
            let_in(signed(access_claims(aud=audience)), checks)


@pytest.mark.parametrize(
    ("claim", "said", "expected"),
    [
        ("", {"roles": ["doctors", "others"]}, {Role.VIEWER, Role.UPLOADER}),
        ("", {"groups": ["doctors"]}, {Role.VIEWER, Role.UPLOADER}),
        ("", {"groups": ["doctors"], "roles": []}, set()),
        ("realm_access.roles", {"realm_access": {"roles": ["doctors"]}}, {Role.VIEWER, Role.UPLOADER}),
        (
            "https://pacs.example/roles",
            {"https://pacs.example/roles": "doctors"},
            {Role.VIEWER, Role.UPLOADER},
        ),
        ("realm_access.roles", {"realm_access": "doctors", "roles": ["doctors"]}, set()),
        ("", {"roles": ["administrator", "viewer", "DOCTORS", ["doctors"], None, {"doctors": 1}]}, set()),
        ("", {"roles": {"doctors": True}}, set()),
        ("", {}, set()),
    ],
)
def test_roles_are_those_that_the_settings_name(
    claim: str, said: dict[str, Any], expected: set[Role]
) -> None:
    checks = Checks(OpenIDSettings(issuer=ISSUER, client_id=CLIENT, roles=SETTINGS.roles, roles_claim=claim))
    assert checks.roles(claims(**said)) == expected


def test_without_a_mapping_roles_are_given_here() -> None:
    checks = Checks(OpenIDSettings(issuer=ISSUER, client_id=CLIENT))
    assert checks.roles(claims(roles=["administrator"])) is None


@pytest.mark.parametrize("entry", ["doctors=god", "doctors", "doctors="])
def test_a_role_that_there_is_not_is_refused(entry: str) -> None:
    with pytest.raises(ConfigurationError, match=r"openid\.roles"):
        Checks(OpenIDSettings(issuer=ISSUER, client_id=CLIENT, roles=(entry,)))


VIEWER = frozenset({Role.VIEWER})


@pytest.mark.parametrize(
    ("said", "roles", "expected"),
    [
        ({}, VIEWER, RIGHTS[Role.VIEWER] - {Right.ACCOUNT}),
        ({"scope": "openid profile"}, VIEWER, RIGHTS[Role.VIEWER] - {Right.ACCOUNT}),
        ({"scope": "archive.account"}, frozenset(Role), set()),
        ({"scope": "archive.account", "client_id": "ct1", "sub": "ct1"}, frozenset(), set()),
        ({"scope": "archive.see archive.delete"}, VIEWER, {Right.SEE}),
        ({"scope": "archive.store"}, VIEWER, set()),
        ({"scope": "archive.nothing"}, VIEWER, set()),
        ({"scp": ["archive.see", 5]}, VIEWER, {Right.SEE}),
        ({"scope": "archive.administer archive.see"}, frozenset(), set()),
        ({"scope": "archive.store", "client_id": "ct1", "sub": "ct1"}, frozenset(), {Right.STORE}),
        ({"scope": "archive.store", "azp": "ct1", "sub": "ct1"}, frozenset(), {Right.STORE}),
        ({"scope": "archive.store", "client_id": "ct1"}, frozenset(), set()),
        ({"scope": "archive.store archive.see", "client_id": "ct1", "sub": "ct1"}, VIEWER, {Right.SEE}),
        ({"client_id": "ct1", "sub": "ct1"}, frozenset(), set()),
    ],
)
def test_scopes_narrow_and_give_to_programs_alone(
    said: dict[str, Any], roles: frozenset[Role], expected: set[Right]
) -> None:
    found = rights(claims(**said), roles)
    assert found == expected
    assert found <= ALL_RIGHTS


@pytest.mark.parametrize(
    "left_out",
    [
        jwk(use="enc"),
        jwk(key_ops=["encrypt"]),
        jwk(alg="HS256"),
        jwk(alg="none"),
        jwk("ec", alg="RS256"),
        jwk("short"),
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "oct", "k": "c2VjcmV0", "alg": "RS256"},
        {"kty": "RSA", "n": "!", "e": "AQAB"},
        {"kty": ["RSA"]},
        {},
        None,
        "x",
    ],
)
def test_what_is_no_key_of_ours_is_left_out(left_out: Any) -> None:
    found = keys_of({"keys": [left_out, jwk("ec", 3)]}, SETTINGS.algorithms)
    assert [key.id for key in found] == ["ec3"]


@given(document=st.recursive(st.none() | st.text() | st.integers(), lambda c: st.dictionaries(st.text(), c)))
def test_a_document_that_holds_no_keys(document: Any) -> None:
    assert keys_of(document, SETTINGS.algorithms) == ()


@given(token=st.text(alphabet='abcXYZ019-_.={}"', max_size=80) | st.text(max_size=40))
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(TokenRefused):
        let_in(token)


def test_a_token_that_is_too_long_or_too_deep_is_refused() -> None:
    with pytest.raises(TokenRefused):
        let_in(signed(access_claims(more="x" * 20000)))
    deep = raw({"alg": "RS256", "kid": "rsa0"}, {})
    body = "W1tb" * 3000  # [[[…
    with pytest.raises(TokenRefused):
        let_in(f"{deep.split('.')[0]}.{body}.AAAA")
    with pytest.raises(TokenRefused):
        let_in(f"{body}.{body}.AAAA")
