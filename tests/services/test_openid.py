"""Signing in at an issuer, and its access tokens, on both engines: what a stranger, a thief and a wrong issuer try."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from archive.bootstrap.building import Archive
from archive.dicom.errors import InvalidEntry, NotSignedIn, OutOfResources
from archive.remote.openid import AGAIN_SECONDS, FRESH_SECONDS, MOST_BYTES, STALE_SECONDS, Issuer
from archive.security.people import Kind
from archive.security.roles import RIGHTS, Right, Role
from archive.services.openid import FLOW_SECONDS, OpenID
from archive.services.people import People
from archive.settings.people import OpenIDSettings, SignInSettings
from corrected import opened_archive
from openid_issuer import Issuing, issuing
from openid_keys import CLIENT, jwk

BACK = "https://pacs.example/sign-in/openid/return"


@dataclass
class Clock:
    """Seconds that tests add to the time of day."""

    ahead: float = 0.0

    def __call__(self) -> float:
        import time

        return time.time() + self.ahead


@dataclass
class House:
    """The archive, the issuer, and the time for keys."""

    archive: Archive
    issuer: Issuing
    settings: OpenIDSettings
    clock: Clock
    openid: OpenID
    people: People

    def again(self, **changed: Any) -> OpenID:
        """As another worker has it, or with other settings."""
        settings = replace(self.settings, **changed)
        return OpenID(self.archive.database, settings, SignInSettings(), issuer=Issuer(settings, self.clock))

    def enter(self, openid: OpenID | None = None, **said: str) -> Any:
        """Sign in; `said` is what a browser brings besides, or in place of what it should."""
        openid = openid or self.openid
        there, flow = openid.begin(BACK, "/viewer")
        return openid.end(flow.text, {**self.issuer.went(there), **said}, BACK)


@pytest.fixture
def archive(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with opened_archive(tmp_path, index_url) as opened:
        yield opened


@pytest.fixture
def house(archive: Archive) -> Iterator[House]:
    with issuing() as issuer:
        settings = OpenIDSettings(issuer=issuer.url, client_id=CLIENT, roles=("doctors=viewer",))
        clock = Clock()
        issuer.changes["roles"] = ["doctors"]
        openid = OpenID(archive.database, settings, SignInSettings(), issuer=Issuer(settings, clock))
        yield House(archive, issuer, settings, clock, openid, People(archive.database, issuer=issuer.url))


def test_signing_in_makes_a_person_and_a_session(house: House) -> None:
    entered = house.enter()
    assert (entered.principal.name, entered.onward) == ("ada", "/viewer")
    assert entered.principal.rights == RIGHTS[Role.VIEWER]
    assert entered.principal.by_cookie
    assert house.archive.sign_in.principal(entered.secret, Kind.SESSION) == entered.principal
    (ada,) = house.people.all()
    assert (ada.full_name, ada.issuer, ada.password_hash) == ("Ada L.", house.issuer.url, "")


def test_what_the_issuer_is_asked(house: House) -> None:
    """PKCE with S256 (RFC 7636), a nonce, and no secret where there is none."""
    there, flow = house.openid.begin(BACK, "")
    sent = {name: value for name, (value,) in parse_qs(urlsplit(there).query).items()}
    assert (sent["response_type"], sent["redirect_uri"], sent["scope"]) == ("code", BACK, "openid profile")
    digest = hashlib.sha256(flow.verifier.encode()).digest()
    assert sent["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert sent["code_challenge_method"] == "S256"
    assert flow.verifier not in there
    house.openid.end(flow.text, house.issuer.went(there), BACK)
    ((form, authorization),) = house.issuer.forms
    assert (form["code_verifier"], form["client_id"], authorization) == (flow.verifier, CLIENT, "")


@pytest.mark.parametrize("ways", [["client_secret_basic"], ["client_secret_post"]])
def test_a_confidential_client_gives_its_secret(house: House, tmp_path: Path, ways: list[str]) -> None:
    (tmp_path / "secret").write_text("s3cret:\n")
    house.issuer.metadata["token_endpoint_auth_methods_supported"] = ways
    house.enter(house.again(client_secret_file=str(tmp_path / "secret")))
    ((form, authorization),) = house.issuer.forms
    basic = "Basic " + base64.b64encode(f"{CLIENT}:s3cret%3A".encode()).decode()
    assert (form.get("client_secret"), authorization) in (("s3cret:", ""), (None, basic))


def test_another_worker_ends_what_one_began(house: House) -> None:
    there, flow = house.openid.begin(BACK, "")
    assert house.again().end(flow.text, house.issuer.went(there), BACK).principal.name == "ada"


def test_a_state_counts_once_and_in_its_browser(house: House) -> None:
    there, flow = house.openid.begin(BACK, "")
    said = house.issuer.went(there)
    _, of_another = house.openid.begin(BACK, "")
    for cookie in ("", "x", of_another.text, base64.urlsafe_b64encode(b"[1]").decode(), "[" * 5000):
        with pytest.raises(NotSignedIn, match="not begun in this browser"):
            house.openid.end(cookie, said, BACK)
    for wrong in ("", "another", of_another.state):
        with pytest.raises(NotSignedIn, match="not begun in this browser"):
            house.openid.end(flow.text, {**said, "state": wrong}, BACK)
    assert not house.issuer.forms
    house.openid.end(flow.text, said, BACK)
    with pytest.raises(NotSignedIn, match="not begun in this browser"):
        house.openid.end(flow.text, said, BACK)  # by an issuer that gives tokens for a code twice
    assert len(house.people.credentials()) == 1


def test_a_sign_in_does_not_take_for_ever(house: House) -> None:
    there, flow = house.openid.begin(BACK, "")
    late = replace(flow, begun_at=flow.begun_at - FLOW_SECONDS - 60)
    with pytest.raises(NotSignedIn, match="too long ago"):
        house.openid.end(late.text, house.issuer.went(there), BACK)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"nonce": "another"}, "another sign-in"),
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"aud": "another"}, "somebody else"),
        ({"exp": 1}, "expired"),
        ({"azp": "another"}, "another client"),
    ],
)
def test_a_wrong_id_token_lets_nobody_in(house: House, changes: dict[str, Any], reason: str) -> None:
    house.issuer.changes |= changes
    with pytest.raises(NotSignedIn, match=reason):
        house.enter()
    assert house.people.all() == []


def test_no_other_issuer_answers(house: House) -> None:
    """Mix-up (RFC 9207): who answers names itself, where it says that it does always."""
    with pytest.raises(NotSignedIn, match="another issuer"):
        house.enter(iss="https://evil.example")
    assert house.enter(iss=house.issuer.url)
    house.issuer.metadata["authorization_response_iss_parameter_supported"] = True
    openid = house.again()
    with pytest.raises(NotSignedIn, match="another issuer"):
        house.enter(openid)
    assert house.enter(openid, iss=house.issuer.url)


def test_what_the_issuer_refuses(house: House) -> None:
    with pytest.raises(NotSignedIn, match="not let you in"):
        house.enter(error="access_denied")
    house.issuer.answers["/token"] = 400, b'{"error": "invalid_grant", "error_description": "<b>"}'
    with pytest.raises(NotSignedIn, match="did not confirm"):
        house.enter()


def test_names_that_are_taken_are_refused(house: House) -> None:
    """Somebody at the issuer calls themselves as one here is called: that makes them nobody here."""
    house.people.add("Ada", "", [Role.ADMINISTRATOR])
    with pytest.raises(NotSignedIn, match="somebody else is called ada"):
        house.enter()
    with pytest.raises(NotSignedIn, match="somebody else is called ada"):
        house.openid.principal(house.issuer.token())
    (ada,) = house.people.all()
    assert (ada.issuer, ada.roles) == ("", frozenset({Role.ADMINISTRATOR}))
    house.issuer.changes |= {"preferred_username": "a:b"}
    with pytest.raises(NotSignedIn, match="name_claim"):
        house.enter()


def test_it_is_the_subject_that_counts(house: House) -> None:
    house.enter()
    house.issuer.changes |= {"preferred_username": "eve", "name": "Ada M."}
    assert house.enter().principal.name == "ada"  # as first known, so that the audit trail speaks of one
    assert house.people.get("ada").full_name == "Ada M."
    house.issuer.changes |= {"preferred_username": "ada", "sub": "another"}
    with pytest.raises(NotSignedIn, match="somebody else is called ada"):
        house.enter()


def test_roles_follow_the_issuer(house: House) -> None:
    house.enter()
    house.issuer.changes["roles"] = []
    assert house.enter().principal.rights == frozenset()
    assert house.people.get("ada").roles == frozenset()


def test_without_a_mapping_roles_are_given_here(house: House) -> None:
    openid = house.again(roles=())
    assert house.enter(openid).principal.rights == frozenset()
    house.people.change("ada", roles=[Role.UPLOADER])
    assert house.enter(openid).principal.rights == RIGHTS[Role.UPLOADER]
    found = openid.principal(house.issuer.token(roles=["doctors"]))
    assert found.rights == RIGHTS[Role.UPLOADER] - {Right.ACCOUNT}  # a token is not who it speaks of


def test_what_only_userinfo_says(house: House) -> None:
    house.issuer.changes |= {"preferred_username": None, "roles": None}
    house.issuer.userinfo = {"sub": "248289761001", "preferred_username": "grace", "roles": ["doctors"]}
    assert house.enter().principal.rights == RIGHTS[Role.VIEWER]
    assert house.people.get("grace").issuer
    house.issuer.userinfo["sub"] = "another"
    with pytest.raises(NotSignedIn, match="somebody else"):
        house.enter()


def test_a_disabled_or_removed_person_is_out_at_once(house: House) -> None:
    """Also with a token of the issuer that is in force."""
    secret, token = house.enter().secret, house.issuer.token(roles=["doctors"])
    assert house.openid.principal(token).may(Right.SEE)
    house.people.change("ada", disabled=True)
    for refused in (lambda: house.openid.principal(token), house.enter):
        with pytest.raises(NotSignedIn, match="disabled here"):
            refused()
    with pytest.raises(NotSignedIn):
        house.archive.sign_in.principal(secret, Kind.SESSION)
    house.people.change("ada", disabled=False)
    assert house.openid.principal(token).name == "ada"
    house.people.remove("ada")
    for refused in (lambda: house.openid.principal(token), house.enter):
        with pytest.raises(NotSignedIn, match="disabled here"):
            refused()
    (barred,) = house.people.all()
    assert (barred.full_name, barred.roles, barred.disabled) == ("", frozenset(), True)
    house.people.add("ada", "", [])  # the name is free
    house.people.remove("ada")
    house.people.remove(barred.name)
    assert house.enter().principal.name == "ada"


def test_nobody_of_an_issuer_has_a_password(house: House) -> None:
    house.enter()
    with pytest.raises(InvalidEntry, match="no password"):
        house.people.set_password("ada", "correct horse battery")
    with pytest.raises(NotSignedIn):
        house.archive.sign_in.enter("ada", "", "192.0.2.1")


def test_an_access_token_lets_in_by_itself(house: House) -> None:
    token = house.issuer.token(roles=["doctors"], scope="archive.see archive.store")
    found = house.openid.principal(token)
    assert (found.name, found.rights, found.by_cookie) == ("ada", {Right.SEE}, False)
    program = house.issuer.token(sub="ct1", client_id="ct1", scope="archive.store", preferred_username=None)
    assert (house.openid.principal(program).name, house.openid.principal(program).rights) == (
        "ct1",
        {Right.STORE},
    )
    with pytest.raises(NotSignedIn, match="somebody else"):
        house.openid.principal(house.issuer.token(aud="another"))


def test_a_view_holds_for_sessions_and_tokens_of_the_issuer(house: House) -> None:
    """What somebody sees of the studies is said here; the issuer cannot widen it by vouching for them again."""
    house.enter()
    house.people.change("ada", see=["Modality=CT"])
    view = house.people.get("ada").view
    assert view is not None
    assert house.enter().principal.view == view
    assert house.openid.principal(house.issuer.token(roles=["doctors"])).view == view
    assert house.people.get("ada").view == view


def test_keys_that_are_changed_count_within_a_minute(house: House) -> None:
    old = house.issuer.token()
    house.openid.principal(old)
    house.issuer.keys, house.issuer.key = [jwk("ec", 5)], ("ec", 5)
    house.clock.ahead = AGAIN_SECONDS + 1
    assert house.openid.principal(house.issuer.token()).name == "ada"
    with pytest.raises(NotSignedIn, match="no key"):
        house.openid.principal(old)


def test_strangers_do_not_make_us_ask_the_issuer(house: House) -> None:
    """Each unknown key asks, but for a minute no other does."""
    house.openid.principal(house.issuer.token())
    house.issuer.key = "rsa", 9
    for minute in range(3):
        for _ in range(20):
            with pytest.raises(NotSignedIn):
                house.openid.principal(house.issuer.token())
        assert house.issuer.asked["/jwks"] == 1 + minute
        house.clock.ahead += AGAIN_SECONDS + 1
    assert house.issuer.asked["/.well-known/openid-configuration"] == 1


def test_without_the_issuer_known_keys_count_for_a_day(house: House) -> None:
    token = house.issuer.token()
    house.openid.principal(token)
    nothing = 500, b"<html>"
    paths = ("/jwks", "/token", "/.well-known/openid-configuration")
    house.issuer.answers = dict.fromkeys(paths, nothing)
    house.clock.ahead = FRESH_SECONDS + 1
    assert house.openid.principal(token).name == "ada"
    with pytest.raises(OutOfResources):
        house.enter()
    with pytest.raises(OutOfResources):
        house.again().principal(token)  # a worker that has never known a key
    house.clock.ahead = STALE_SECONDS + 1
    with pytest.raises(OutOfResources):
        house.openid.principal(token)
    house.issuer.answers.clear()
    house.clock.ahead += AGAIN_SECONDS + 1
    assert house.openid.principal(token).name == "ada"


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": ""},
        {"userinfo_endpoint": "http://192.0.2.1/me"},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
    ids=str,
)
def test_what_an_issuer_may_not_say_of_itself(house: House, wrong: dict[str, Any]) -> None:
    house.issuer.metadata |= wrong
    with pytest.raises(OutOfResources):
        house.openid.begin(BACK, "")
    with pytest.raises(OutOfResources):
        house.openid.principal(house.issuer.token())


def test_no_redirect_is_followed_and_answers_are_bounded(house: House) -> None:
    for answer in ((302, f"{house.issuer.url}/me".encode()), (200, b" " * (MOST_BYTES + 1)), (200, b"[]")):
        house.issuer.answers["/.well-known/openid-configuration"] = answer
        with pytest.raises(OutOfResources):
            house.openid.begin(BACK, "")
    assert house.issuer.asked["/me"] == 0
