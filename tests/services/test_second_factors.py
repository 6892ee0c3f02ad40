"""Second factors on both engines: a code is asked for after the password, and accepted once; nobody guesses (H17)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from archive.audit import codes as audit_codes
from archive.bootstrap.building import Archive
from archive.dicom.errors import ArchiveError, CodeNeeded, InvalidEntry, NotFound, NotSignedIn
from archive.index.people_schema import recovery_code, second_factor
from archive.security import identity
from archive.security.attempts import FAILURES, WAIT_SECONDS, Attempts
from archive.security.people import Kind
from archive.security.roles import Right, Role
from archive.security.second_factor import RECOVERY_CODES, STEP_SECONDS
from archive.services.people import People
from archive.services.second_factors import SETTING_UP_SECONDS, SecondFactors
from archive.services.sign_in import SignIn
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
    monkeypatch.setattr(identity, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def archive(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with opened_archive(tmp_path, index_url) as opened:
        yield opened


@dataclass
class House:
    """Ada, who has a second factor; Bob, who has none; and a clock that tests move."""

    archive: Archive
    clock: Clock
    people: People
    factors: SecondFactors
    secret: str = ""
    recovery: tuple[str, ...] = ()

    def sign_in(self, required: str = "optional") -> SignIn:
        """That of a process that has just begun."""
        settings = SignInSettings(second_factor=required)
        factors = SecondFactors(self.archive.database, settings, self.clock, self.archive.auditing)
        return SignIn(self.archive.database, settings, self.clock, Attempts(self.clock), factors)

    def code(self, steps: int = 0) -> str:
        """What the device shows, whose clock is so many steps fast."""
        return pyotp.TOTP(self.secret).at(int(self.clock.now) + steps * STEP_SECONDS)

    def wrong(self) -> str:
        right = {self.code(steps) for steps in (-1, 0, 1)}
        return next(code for code in ("000000", "111111", "222222", "333333") if code not in right)


@pytest.fixture
def house(archive: Archive) -> House:
    clock = Clock()
    people = People(archive.database, clock)
    people.add("Ada", "Ada L.", [Role.ADMINISTRATOR], PASSWORD)
    people.add("bob", "", [Role.VIEWER], PASSWORD)
    factors = SecondFactors(archive.database, SignInSettings(), clock, archive.auditing)
    house = House(archive, clock, people, factors)
    house.secret = factors.begin("Ada")
    house.recovery = tuple(factors.confirm("Ada", house.code()))
    clock.now += STEP_SECONDS
    return house


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(ArchiveError) as told:
        act()
    return told.value.reason


def test_a_code_is_asked_for_after_the_password(house: House) -> None:
    sign_in = house.sign_in()
    with pytest.raises(CodeNeeded):
        sign_in.enter("ada", PASSWORD, HERE)
    assert "name or password" in refused(lambda: sign_in.enter("ada", "wrong", HERE, code=house.code()))
    assert "code is wrong" in refused(lambda: sign_in.enter("ada", PASSWORD, HERE, code=house.wrong()))
    _, entered = sign_in.enter("ada", PASSWORD, HERE, code=house.code())
    assert Right.ADMINISTER in entered.rights
    assert not entered.must_enrol
    sign_in.enter("bob", PASSWORD, HERE)  # who has none is asked for none
    assert (house.people.get("ada").has_second_factor, house.people.get("bob").has_second_factor) == (
        True,
        False,
    )


def test_a_code_is_accepted_once(house: House) -> None:
    """RFC 6238 5.2; neither is one before it."""
    sign_in, code, before = house.sign_in(), house.code(), house.code(-1)
    sign_in.enter("ada", PASSWORD, HERE, code=code)
    assert "used before" in refused(lambda: sign_in.enter("ada", PASSWORD, HERE, code=code))
    assert "used before" in refused(lambda: house.sign_in().enter("ada", PASSWORD, HERE, code=before))
    house.clock.now += STEP_SECONDS
    sign_in.enter("ada", PASSWORD, HERE, code=house.code())


def test_the_code_that_confirmed_is_used(house: House) -> None:
    assert "used before" in refused(lambda: house.sign_in().enter("ada", PASSWORD, HERE, code=house.code(-1)))


@pytest.mark.parametrize("steps", [-2, -1, 1, 2])
def test_clocks_may_differ_by_a_step(house: House, steps: int) -> None:
    house.clock.now += 10 * STEP_SECONDS
    if abs(steps) == 1:
        house.sign_in().enter("ada", PASSWORD, HERE, code=house.code(steps))
    else:
        assert "wrong" in refused(
            lambda: house.sign_in().enter("ada", PASSWORD, HERE, code=house.code(steps))
        )


def test_of_two_at_once_one_gets_in(house: House) -> None:
    code = house.code()

    def enter(_: int) -> bool:
        try:
            house.sign_in().enter("ada", PASSWORD, HERE, code=code)
        except NotSignedIn:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(enter, range(4))) == 1


def test_codes_are_not_guessed(house: House) -> None:
    """Reliability: H17. The password alone between them, or another address, makes no difference."""
    sign_in = house.sign_in()
    for number in range(FAILURES):
        refused(lambda n=number: sign_in.enter("ada", PASSWORD, f"192.0.2.{n}", code=house.wrong()))  # type: ignore[misc]
        with pytest.raises(CodeNeeded):
            sign_in.enter("ada", PASSWORD, HERE)
    assert "too many" in refused(lambda: sign_in.enter("ada", PASSWORD, HERE, code=house.code()))
    assert "too many" in refused(lambda: sign_in.enter("ada", PASSWORD, HERE, code=house.recovery[0]))
    house.clock.now += WAIT_SECONDS
    refused(lambda: sign_in.enter("ada", PASSWORD, HERE, code=house.wrong()))
    assert "too many" in refused(lambda: sign_in.enter("ada", PASSWORD, HERE, code=house.code()))
    house.clock.now += WAIT_SECONDS
    sign_in.enter("ada", PASSWORD, HERE, code=house.code())


def test_wrong_codes_count_as_wrong_passwords(house: House) -> None:
    sign_in = house.sign_in()
    for _ in range(FAILURES):
        refused(lambda: sign_in.enter("ada", PASSWORD, HERE, code=house.wrong()))
    assert "wrong passwords" in refused(lambda: sign_in.enter("ada", PASSWORD, HERE))


def test_a_recovery_code_is_used_once(house: House) -> None:
    sign_in = house.sign_in()
    assert len(house.recovery) == RECOVERY_CODES
    sign_in.enter("ada", PASSWORD, HERE, code=house.recovery[3].upper())
    assert "used before" in refused(lambda: sign_in.enter("ada", PASSWORD, HERE, code=house.recovery[3]))
    assert "wrong" in refused(lambda: sign_in.enter("ada", PASSWORD, HERE, code="aaaa-aaaa-aaaa-aaaa"))
    sign_in.enter("ada", PASSWORD, HERE, code=house.recovery[4])
    assert house.factors.standing("ada").left == RECOVERY_CODES - 2


def test_recovery_codes_are_of_one_person(house: House) -> None:
    secret = house.factors.begin("bob")
    house.factors.confirm("bob", pyotp.TOTP(secret).at(int(house.clock.now)))
    assert "wrong" in refused(lambda: house.sign_in().enter("bob", PASSWORD, HERE, code=house.recovery[0]))


def test_it_is_in_effect_when_a_code_has_shown_it(house: House) -> None:
    secret = house.factors.begin("bob")
    sign_in = house.sign_in()
    mine, _ = sign_in.enter("bob", PASSWORD, HERE)
    other, _ = sign_in.enter("bob", PASSWORD, HERE)
    token, _ = house.people.issue("bob", "", 1)
    assert "wrong" in refused(lambda: house.factors.confirm("bob", house.wrong()))
    code = pyotp.TOTP(secret).at(int(house.clock.now))
    house.factors.confirm("bob", code, mine)
    assert sign_in.principal(mine, Kind.SESSION).name == "bob"
    assert sign_in.principal(token, Kind.TOKEN).name == "bob"
    refused(lambda: sign_in.principal(other, Kind.SESSION))  # it was begun without a code
    assert "nothing was begun" in refused(lambda: house.factors.confirm("bob", code))
    assert "already" in refused(lambda: house.factors.begin("bob"))


def test_what_is_begun_is_for_a_quarter_of_an_hour(house: House) -> None:
    first, second = house.factors.begin("bob"), house.factors.begin("bob")
    assert first != second
    house.clock.now += SETTING_UP_SECONDS + 1
    code = pyotp.TOTP(second).at(int(house.clock.now))
    assert "anew" in refused(lambda: house.factors.confirm("bob", code))
    assert "anew" in refused(lambda: house.factors.confirm("nobody", code))


def test_it_is_taken_off(house: House) -> None:
    house.factors.remove("ADA")
    house.sign_in().enter("ada", PASSWORD, HERE)
    with pytest.raises(NotFound):
        house.factors.remove("ada")
    with pytest.raises(NotFound):
        house.factors.begin("nobody")
    with house.archive.database.read() as connection:
        for table in (second_factor, recovery_code):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 0


def test_it_goes_with_who_has_it(house: House) -> None:
    house.people.add("carl", "", [Role.ADMINISTRATOR], PASSWORD)
    house.people.remove("ada")
    house.people.add("ada", "", [Role.VIEWER], PASSWORD)
    house.sign_in().enter("ada", PASSWORD, HERE)


@pytest.mark.parametrize(
    ("required", "ada", "bob"),
    [("optional", False, False), ("administrators", True, False), ("everybody", True, True)],
)
def test_who_needs_one_may_do_nothing_before(house: House, required: str, ada: bool, bob: bool) -> None:
    house.factors.remove("ada")
    sign_in = house.sign_in(required)
    for name, must in (("ada", ada), ("bob", bob)):
        secret, entered = sign_in.enter(name, PASSWORD, HERE)
        assert entered.must_enrol == must
        assert entered == sign_in.principal(secret, Kind.SESSION)
        assert (entered.rights == {Right.ACCOUNT}) == must
        token, _ = house.people.issue(name, "", 1)
        assert not sign_in.principal(token, Kind.TOKEN).must_enrol  # it is about passwords
    secret, _ = sign_in.enter("bob", PASSWORD, HERE)
    house.factors.confirm("bob", pyotp.TOTP(house.factors.begin("bob")).at(int(house.clock.now)), secret)
    assert Right.SEE in sign_in.principal(secret, Kind.SESSION).rights


def test_who_comes_from_an_issuer_has_none_here(house: House) -> None:
    from archive.index import people as kept
    from archive.security.people import Person

    one = Person("eve", "", frozenset({Role.ADMINISTRATOR}), issuer="https://login.example", subject="1")
    house.archive.database.write(lambda c: kept.add(c, one, 0.0))
    with pytest.raises(InvalidEntry, match=r"login\.example"):
        house.factors.begin("eve")
    everybody = SecondFactors(house.archive.database, SignInSettings(second_factor="everybody"), house.clock)
    assert not everybody.standing("eve").required
    assert everybody.standing("bob").required


def test_recovery_codes_are_kept_as_digests_and_nothing_shows_the_secret(house: House) -> None:
    with house.archive.database.read() as connection:
        kept = str([*connection.execute(sa.select(recovery_code))])
        factor = repr(connection.execute(sa.select(second_factor.c.last_step)).all())
    assert not any(code in kept or code.replace("-", "") in kept for code in house.recovery)
    assert house.secret not in factor + repr(house.people.get("ada"))


def test_each_change_is_recorded(house: House) -> None:
    house.sign_in().enter("ada", PASSWORD, HERE, code=house.recovery[0])
    house.factors.remove("ada")
    said = [
        one.message
        for one in house.archive.audit_log.all()
        if one.message.types and one.message.types[0] == audit_codes.USER_SECURITY_CHANGED
    ]
    assert [one.outcome_text for one in said] == [
        "ada: a second factor was set up",
        "ada: a recovery code was used, 9 are left",
        "ada: the second factor was taken off",
    ]
    told = str(said)
    assert not any(secret in told for secret in (house.secret, *house.recovery))
