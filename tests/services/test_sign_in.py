"""Signing in, sessions and tokens, on both engines: what is revoked is refused at once, and nobody guesses
(reliability.md H9, 3: strong identity)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from archive.bootstrap.building import Archive
from archive.bootstrap.opening import open_database
from archive.dicom.errors import InvalidEntry, NotFound, NotSignedIn, OutOfResources
from archive.index.people_schema import credential, person
from archive.security import identity
from archive.security.attempts import FAILURES, WAIT_SECONDS, Attempts
from archive.security.people import Kind
from archive.security.roles import RIGHTS, Right, Role, rights_of
from archive.services import sign_in as sign_in_service
from archive.services.people import DAY, People
from archive.services.sign_in import FROM_ONE_ADDRESS, MOST_WAITING, USED_SECONDS, SignIn
from archive.settings.people import SignInSettings
from corrected import opened_archive

PASSWORD = "correct horse battery"
HERE = "192.0.2.5"


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 with next to no cost: what it costs is `tests/security`'s."""
    monkeypatch.setattr(identity, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def archive(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with opened_archive(tmp_path, index_url) as opened:
        yield opened


@dataclass
class House:
    """Ada, who may see and store, and a clock that tests move."""

    archive: Archive
    clock: Clock
    people: People
    sign_in: SignIn


@pytest.fixture
def house(archive: Archive) -> House:
    clock = Clock()
    people = People(archive.database, clock)
    people.add("Ada", "Ada L.", [Role.VIEWER, Role.UPLOADER], PASSWORD)
    sign_in = SignIn(archive.database, SignInSettings(), clock, Attempts(clock))
    return House(archive, clock, people, sign_in)


def refused(house: House, secret: str, kind: Kind = Kind.SESSION) -> bool:
    try:
        house.sign_in.principal(secret, kind)
    except NotSignedIn:
        return True
    return False


def test_who_signs_in_is_known_by_the_secret(house: House) -> None:
    secret, entered = house.sign_in.enter("ADA ", PASSWORD, HERE)
    assert entered == house.sign_in.principal(secret, Kind.SESSION)
    assert (entered.name, entered.rights) == ("ada", rights_of([Role.VIEWER, Role.UPLOADER]))
    assert entered.by_cookie
    other, _ = house.sign_in.enter("ada", PASSWORD, HERE)
    house.sign_in.leave(secret)
    assert refused(house, secret)
    assert not refused(house, other)


def test_only_digests_are_kept(house: House) -> None:
    secret, _ = house.sign_in.enter("ada", PASSWORD, HERE)
    token, _ = house.people.issue("ada", "a script", 1)
    with house.archive.database.read() as connection:
        kept = str([*connection.execute(sa.select(person)), *connection.execute(sa.select(credential))])
    assert "ada" in kept
    assert not any(told in kept for told in (PASSWORD, secret, token, token.removeprefix("dat_")))
    assert PASSWORD not in repr(house.people.get("ada"))


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ada", "wrong"),
        ("ada", ""),
        ("nobody", PASSWORD),
        ("", PASSWORD),
        ("a:b", PASSWORD),
        ("ada", "x" * 5000),
    ],
)
def test_who_is_wrong_hears_the_same(house: House, name: str, password: str) -> None:
    with pytest.raises(NotSignedIn, match="name or password is wrong"):
        house.sign_in.enter(name, password, HERE)


def test_who_has_no_password_signs_in_with_none(house: House) -> None:
    house.people.add("robot", "", [Role.UPLOADER])
    for password in ("", "somebody who is not known"):
        with pytest.raises(NotSignedIn):
            house.sign_in.enter("robot", password, HERE)


def test_after_some_failures_one_has_to_wait(house: House) -> None:
    """Reliability: H17."""
    for _ in range(FAILURES):
        with pytest.raises(NotSignedIn, match="wrong"):
            house.sign_in.enter("ada", "wrong", HERE)
    with pytest.raises(NotSignedIn, match="too many"):
        house.sign_in.enter("ada", PASSWORD, HERE)
    house.sign_in.enter("ada", PASSWORD, "192.0.2.6")  # from elsewhere nobody has failed
    house.clock.now += WAIT_SECONDS
    house.sign_in.enter("ada", PASSWORD, HERE)


def test_an_address_that_tries_many_names_has_to_wait(house: House) -> None:
    """Reliability: H17."""
    for number in range(FROM_ONE_ADDRESS):
        with pytest.raises(NotSignedIn, match="wrong"):
            house.sign_in.enter(f"name {number}", PASSWORD, HERE)
    with pytest.raises(NotSignedIn, match="too many"):
        house.sign_in.enter("ada", PASSWORD, HERE)
    house.sign_in.enter("ada", PASSWORD, "192.0.2.6")
    house.clock.now += WAIT_SECONDS
    house.sign_in.enter("ada", PASSWORD, HERE)


def test_few_wait_for_their_turn(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a flood of passwords would take all the threads that others need."""
    go, real = threading.Event(), sign_in_service.verifies
    monkeypatch.setattr(sign_in_service, "verifies", lambda kept, given: (go.wait(30), real(kept, given))[1])

    def enter(number: int) -> str:
        try:
            house.sign_in.enter("ada", PASSWORD, f"192.0.2.{number}")
        except OutOfResources:
            go.set()
            return "refused"
        return "in"

    with ThreadPoolExecutor(20) as threads:
        came = Counter(threads.map(enter, range(MOST_WAITING + 1)))
    assert came == {"in": MOST_WAITING, "refused": 1}


def test_a_session_ends_when_nobody_uses_it(house: House) -> None:
    secret, _ = house.sign_in.enter("ada", PASSWORD, HERE)
    for _ in range(5):
        house.clock.now += 59 * 60
        assert not refused(house, secret)
    house.clock.now += 61 * 60
    assert refused(house, secret)


def test_a_session_ends_however_much_it_is_used(house: House) -> None:
    secret, _ = house.sign_in.enter("ada", PASSWORD, HERE)
    for _ in range(12 * 2 - 1):
        house.clock.now += 30 * 60
        assert not refused(house, secret)
    house.clock.now += 30 * 60
    assert refused(house, secret)


def test_a_token_lasts_its_days_and_is_no_session(house: House) -> None:
    token, _ = house.people.issue("ada", "a script", 2)
    house.clock.now += 1.9 * DAY  # idle all the time
    assert house.sign_in.principal(token, Kind.TOKEN, "Ada").name == "ada"
    assert not house.sign_in.principal(token, Kind.TOKEN).by_cookie
    assert refused(house, token, Kind.SESSION)
    with pytest.raises(NotSignedIn, match="somebody else"):
        house.sign_in.principal(token, Kind.TOKEN, "eve")
    house.clock.now += 0.2 * DAY
    assert refused(house, token, Kind.TOKEN)
    assert house.people.credentials("ada") == []


def test_a_session_is_no_token(house: House) -> None:
    secret, _ = house.sign_in.enter("ada", PASSWORD, HERE)
    assert refused(house, secret, Kind.TOKEN)


def test_a_token_may_be_narrower_and_never_wider(house: House) -> None:
    narrow, _ = house.people.issue("ada", "", 1, [Role.UPLOADER])
    wide, _ = house.people.issue("ada", "", 1, [Role.ADMINISTRATOR])
    assert house.sign_in.principal(narrow, Kind.TOKEN).rights == RIGHTS[Role.UPLOADER] - {Right.ACCOUNT}
    theirs = rights_of([Role.VIEWER, Role.UPLOADER])
    assert house.sign_in.principal(wide, Kind.TOKEN).rights == theirs - {Right.ACCOUNT}


def test_revoked_at_once(house: House) -> None:
    token, _ = house.people.issue("ada", "", 1)
    (listed,) = house.people.credentials()
    assert not refused(house, token, Kind.TOKEN)
    house.people.revoke(listed.id)
    assert refused(house, token, Kind.TOKEN)
    with pytest.raises(NotFound):
        house.people.revoke(listed.id)


def test_who_is_disabled_is_out_at_once(house: House) -> None:
    secret, _ = house.sign_in.enter("ada", PASSWORD, HERE)
    token, _ = house.people.issue("ada", "", 1)
    house.people.change("ada", disabled=True)
    assert refused(house, secret)
    assert refused(house, token, Kind.TOKEN)
    with pytest.raises(NotSignedIn):
        house.sign_in.enter("ada", PASSWORD, HERE)
    with pytest.raises(NotFound, match="--enable"):
        house.people.issue("ada", "", 1)
    house.people.change("ada", disabled=False)
    assert refused(house, secret)  # what was ended stays so
    house.sign_in.enter("ada", PASSWORD, HERE)


def test_another_password_ends_sessions_and_leaves_tokens(house: House) -> None:
    secret, _ = house.sign_in.enter("ada", PASSWORD, HERE)
    token, _ = house.people.issue("ada", "", 1)
    house.people.set_password("ada", "another one entirely")
    assert refused(house, secret)
    assert not refused(house, token, Kind.TOKEN)
    with pytest.raises(NotSignedIn):
        house.sign_in.enter("ada", PASSWORD, HERE)
    house.sign_in.enter("ada", "another one entirely", HERE)


def test_other_roles_hold_at_once(house: House) -> None:
    secret, _ = house.sign_in.enter("ada", PASSWORD, HERE)
    house.people.change("ada", roles=[Role.AUDITOR])
    assert house.sign_in.principal(secret, Kind.SESSION).rights == RIGHTS[Role.AUDITOR]


def test_who_is_removed_leaves_nothing(house: House) -> None:
    secret, _ = house.sign_in.enter("ada", PASSWORD, HERE)
    house.people.remove("ADA")
    assert refused(house, secret)
    assert (house.people.all(), house.people.credentials()) == ([], [])
    with pytest.raises(NotFound):
        house.people.remove("ada")


@pytest.mark.parametrize("name", ["", "  ", "a:b", "x" * 129, "a\nb", "a\0b"])
def test_names_that_nobody_can_have(house: House, name: str) -> None:
    with pytest.raises(InvalidEntry):
        house.people.add(name, "", [Role.VIEWER], PASSWORD)


def test_a_name_is_given_once(house: House) -> None:
    with pytest.raises(InvalidEntry, match="taken"):
        house.people.add("\uff21da", "", [Role.VIEWER], PASSWORD)  # a fullwidth A
    with pytest.raises(InvalidEntry, match="at least"):
        house.people.add("bob", "", [Role.VIEWER], "short")


def test_when_it_was_used_last_is_known_to_the_minute(house: House) -> None:
    house.sign_in.enter("ada", PASSWORD, HERE)
    secret, _ = house.sign_in.enter("ada", PASSWORD, HERE, "a browser")
    house.clock.now += USED_SECONDS
    house.sign_in.principal(secret, Kind.SESSION)
    used, unused = house.people.credentials("ada")
    assert (used.label, used.used_at - unused.used_at) == ("a browser", USED_SECONDS)
    house.clock.now += 13 * 3600
    new, _ = house.sign_in.enter("ada", PASSWORD, HERE)
    house.clock.now += USED_SECONDS
    house.sign_in.principal(new, Kind.SESSION)
    with house.archive.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(credential)).scalar() == 1


def test_of_many_at_once_few_passwords_are_tried(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reliability: H17."""
    tried, begun = [], threading.Barrier(20)
    real = sign_in_service.verifies
    monkeypatch.setattr(
        sign_in_service, "verifies", lambda kept, given: (tried.append(given), real(kept, given))[1]
    )

    def guess(number: int) -> None:
        begun.wait(30)
        with pytest.raises((NotSignedIn, OutOfResources)):
            house.sign_in.enter("ada", f"guess {number}", HERE)

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(guess, range(20)))
    assert FAILURES <= len(tried) <= FAILURES + 1


def test_another_process_hears_of_it_at_once(house: House) -> None:
    database = open_database(house.archive.settings)
    there = SignIn(database, SignInSettings(), house.clock)
    secret, entered = house.sign_in.enter("ada", PASSWORD, HERE)
    assert there.principal(secret, Kind.SESSION) == replace(entered)
    house.people.change("ada", disabled=True)
    with pytest.raises(NotSignedIn):
        there.principal(secret, Kind.SESSION)
    database.close()
