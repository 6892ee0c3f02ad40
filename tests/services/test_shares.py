"""Shares, on both engines: what ends them, what is counted, and what an attacker with a link gets (reliability.md 3:
revocable sharing; H17)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from archive.audit import codes
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.errors import (
    ArchiveError,
    Gone,
    InvalidEntry,
    NotAuthorized,
    NotFound,
    NotSignedIn,
    OutOfResources,
)
from archive.dicom.instance import Scope
from archive.index import shares as shares_index
from archive.index.shares_schema import share, share_session
from archive.security import identity
from archive.security.actor import Actor
from archive.security.roles import Role
from archive.security.shares import DAY, Share, State, Use, Wanted, digest
from archive.services.shares import FROM_ONE_ADDRESS, Shares
from archive.settings.people import ShareSettings
from corrected import opened_archive
from held import store
from objects import new_uid, secondary_capture

MAKER = Actor("HTTP", "192.0.2.1", user="ada")
DOCTOR = Actor("HTTP", "192.0.2.9")
THIEF = Actor("HTTP", "203.0.113.5")
CODE = "123456"


@dataclass
class Clock:
    now: float = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class House:
    """Ada, who may share, a study of hers, and a clock that tests move."""

    archive: Archive
    clock: Clock
    study: str

    def shares(self, **settings: Any) -> Shares:
        """As one worker has them."""
        return Shares(self.archive.database, ShareSettings(**settings), self.archive.auditing, self.clock)

    def make(self, made_by: str = "ada", **wanted: Any) -> tuple[str, Share]:
        asked = Wanted(**{"studies": (self.study,), "recipient": "Dr X", **wanted})
        return self.shares().make(MAKER, made_by, asked, self.archive.retrieve)

    def told(self) -> list[Any]:
        self.archive.auditing.trail.flush()
        return [one.message for one in self.archive.audit_log.all()]


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 with next to no cost."""
    monkeypatch.setattr(identity, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def house(tmp_path: Path, index_url: str) -> Iterator[House]:
    with opened_archive(tmp_path, index_url) as archive:
        archive.people.add("ada", "", [Role.RADIOGRAPHER])
        image = secondary_capture(PatientID="P1")
        store(archive, image)
        yield House(archive, Clock(), image.StudyInstanceUID)


def test_a_link_opens_and_each_opening_is_a_use(house: House) -> None:
    secret, made = house.make(days=2, most_uses=2)
    shares = house.shares()
    assert shares.linked(secret) == (made, State.OPEN)
    entered, _ = shares.open(secret, "", DOCTOR)
    one, shared = shares.session(entered)
    assert (one.studies, shared.may_download, shared.recipient) == ((house.study,), False, "Dr X")
    shares.open(secret, "", DOCTOR)
    assert shares.get(made.id).uses == 2
    with pytest.raises(Gone, match="as often as it may"):
        shares.open(secret, "", DOCTOR)
    assert shares.session(entered)[0].id == made.id  # who is in stays in
    assert [used.what for used in shares.uses(made.id)] == [Use.REFUSED, Use.OPENED, Use.OPENED]
    assert {used.address for used in shares.uses(made.id)} == {DOCTOR.address}


def test_looking_at_a_link_uses_nothing(house: House) -> None:
    secret, made = house.make(most_uses=1)
    for _ in range(5):
        house.shares().linked(secret)
    assert house.shares().get(made.id).uses == 0
    assert house.shares().uses(made.id) == []


def test_of_many_who_come_at_once_only_so_many_get_in(house: House) -> None:
    secret, made = house.make(most_uses=3)
    workers = [house.shares() for _ in range(4)]

    def attempt(number: int) -> bool:
        with suppress(Gone):
            workers[number % 4].open(secret, "", replace(DOCTOR, address=f"192.0.2.{number}"))
            return True
        return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(16))) == 3
    assert house.shares().get(made.id).uses == 3


def test_what_is_revoked_is_over_at_once_in_every_worker(house: House) -> None:
    secret, made = house.make(passcode=CODE)
    entered, _ = house.shares().open(secret, CODE, DOCTOR)
    other = house.shares()
    other.session(entered)
    assert house.shares().revoke(MAKER, made.id).revoked_at == house.clock.now
    for worker in (other, house.shares()):
        with pytest.raises(NotSignedIn):
            worker.session(entered)
        with pytest.raises(Gone, match="taken back"):
            worker.open(secret, CODE, DOCTOR)
    house.clock.now += 60
    assert other.revoke(MAKER, made.id).revoked_at < house.clock.now  # once


def test_expiry_ends_link_and_session(house: House) -> None:
    secret, made = house.make(days=0.01)
    entered, _ = house.shares().open(secret, "", DOCTOR)
    house.clock.now = made.expires_at - 1
    house.shares(idle_minutes=60).session(entered)
    house.clock.now = made.expires_at
    with pytest.raises(Gone, match="expired"):
        house.shares().open(secret, "", DOCTOR)
    with pytest.raises(NotSignedIn):
        house.shares(idle_minutes=60).session(entered)


def test_a_session_that_nobody_uses_ends_and_one_that_is_used_goes_on(house: House) -> None:
    secret, _ = house.make()
    entered, _ = house.shares().open(secret, "", DOCTOR)
    for _ in range(4):
        house.clock.now += 15 * 60
        house.shares(idle_minutes=20).session(entered)
    house.clock.now += 21 * 60
    with pytest.raises(NotSignedIn):
        house.shares(idle_minutes=20).session(entered)


def test_wrong_passcodes_lock_it_whatever_workers_count(house: House) -> None:
    """H17: also of attempts that come at once."""
    secret, made = house.make(passcode=CODE, most_attempts=4)
    workers = [house.shares(), house.shares()]
    entered, _ = workers[0].open(secret, CODE, DOCTOR)
    outcomes: list[type[ArchiveError]] = []
    for number in range(6):
        with pytest.raises((NotSignedIn, Gone)) as refused:
            workers[number % 2].open(secret, "wrong1", THIEF)
        outcomes.append(refused.type)
    assert outcomes == [NotSignedIn] * 4 + [Gone] * 2
    with pytest.raises(Gone, match="locked"):
        house.shares().open(secret, CODE, DOCTOR)
    assert house.shares().get(made.id).state(house.clock.now) is State.LOCKED
    house.shares().session(entered)  # a thief cannot put out who is in


def test_attempts_at_once_get_no_more_than_they_may(house: House) -> None:
    secret, made = house.make(passcode=CODE, most_attempts=3)
    workers = [house.shares() for _ in range(4)]

    def attempt(number: int) -> bool:
        try:
            workers[number % 4].open(secret, "wrong1", replace(THIEF, address=f"203.0.113.{number}"))
        except NotSignedIn:
            return True
        except (Gone, OutOfResources):
            return False
        raise AssertionError

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(16))) == 3
    assert house.shares().get(made.id).failed == 3


def test_a_right_passcode_costs_no_attempt_and_forgives_none(house: House) -> None:
    secret, made = house.make(passcode=CODE, most_attempts=2)
    for passcode in ("wrong1", CODE, CODE, CODE):
        with suppress(NotSignedIn):
            house.shares().open(secret, passcode, DOCTOR)
    assert house.shares().get(made.id).failed == 1


def test_no_passcode_is_no_attempt(house: House) -> None:
    secret, made = house.make(passcode=CODE)
    with pytest.raises(NotSignedIn, match="give it"):
        house.shares().open(secret, "", DOCTOR)
    assert house.shares().get(made.id).failed == 0


def test_who_tries_many_links_has_to_wait(house: House) -> None:
    shares = house.shares()
    for _ in range(FROM_ONE_ADDRESS):
        with pytest.raises(NotFound):
            shares.open(new_uid(), "", THIEF)
    secret, _ = house.make()
    with pytest.raises(NotSignedIn, match="try again"):
        shares.open(secret, "", THIEF)
    shares.open(secret, "", DOCTOR)


@pytest.mark.parametrize("secret", ["", "x", "x" * 10_000, "\udc80", "a\0b"])
def test_what_is_no_link_is_none(house: House, secret: str) -> None:
    with pytest.raises(NotFound):
        house.shares().open(secret, "", THIEF)
    with pytest.raises(NotSignedIn):
        house.shares().session(secret)


def test_secrets_are_not_kept(house: House) -> None:
    secret, _ = house.make(passcode=CODE)
    entered, _ = house.shares().open(secret, CODE, DOCTOR)
    with house.archive.database.read() as connection:
        kept = [*connection.execute(sa.select(share)), *connection.execute(sa.select(share_session))]
    assert digest(secret) in str(kept)
    assert not any(one in str(kept) for one in (secret, entered, CODE))
    told = str(house.told())
    assert not any(one in told for one in (secret, entered, CODE, digest(secret)))


def test_a_link_is_no_session_and_a_session_no_link(house: House) -> None:
    secret, _ = house.make()
    entered, _ = house.shares().open(secret, "", DOCTOR)
    with pytest.raises(NotSignedIn):
        house.shares().session(secret)
    with pytest.raises(NotFound):
        house.shares().open(entered, "", DOCTOR)


def test_only_what_there_is_can_be_shared(house: House) -> None:
    with pytest.raises(NotFound):
        house.make(studies=(house.study, new_uid()))
    assert house.shares().listed() == []


def test_a_study_that_is_deleted_leaves_the_share_for_good(house: House) -> None:
    other = secondary_capture(PatientID="P1")
    store(house.archive, other)
    secret, made = house.make(studies=(house.study, other.StudyInstanceUID))
    house.archive.deletion.delete(Scope((other.StudyInstanceUID,)))
    assert house.shares().get(made.id).studies == (house.study,)
    store(house.archive, other)
    assert house.shares().get(made.id).studies == (house.study,)
    house.archive.deletion.delete(Scope((house.study,)))
    with pytest.raises(Gone, match="deleted"):
        house.shares().open(secret, "", DOCTOR)


@pytest.mark.parametrize(
    ("ended", "state"),
    [
        (lambda people: people.change("ada", disabled=True), State.REVOKED),
        (lambda people: people.remove("ada"), State.REVOKED),
        (lambda people: people.change("ada", roles=[Role.VIEWER]), State.ORPHANED),
    ],
)
def test_the_shares_of_who_is_out_end(house: House, ended: Any, state: State) -> None:
    secret, made = house.make()
    _, mine = house.make(made_by="command line: root")
    entered, _ = house.shares().open(secret, "", DOCTOR)
    ended(house.archive.people)
    assert house.shares().get(made.id).state(house.clock.now) is state
    with pytest.raises(Gone):
        house.shares().open(secret, "", DOCTOR)
    with pytest.raises(NotSignedIn):
        house.shares().session(entered)
    assert house.shares().get(mine.id).state(house.clock.now) is State.OPEN


def test_another_of_the_same_name_has_no_shares_back(house: House) -> None:
    secret, _ = house.make()
    house.archive.people.remove("ada")
    house.archive.people.add("ada", "", [Role.RADIOGRAPHER])
    with pytest.raises(Gone):
        house.shares().open(secret, "", DOCTOR)


def test_who_may_not_sign_in_shares_nothing(house: House) -> None:
    house.archive.people.change("ada", disabled=True)
    with pytest.raises(NotAuthorized):
        house.make()


@pytest.mark.parametrize(
    "wrong",
    [
        {"studies": ()},
        {"recipient": " "},
        {"recipient": "a\nb"},
        {"purpose": "x" * 201},
        {"days": 0},
        {"days": 91},
        {"days": float("nan")},
        {"passcode": "12345"},
        {"passcode": "x" * 101},
        {"most_uses": -1},
        {"most_attempts": 0},
    ],
)
def test_what_cannot_be_wanted(house: House, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidEntry):
        house.make(**wrong)


def test_one_has_ones_own(house: House) -> None:
    _, made = house.make()
    shares = house.shares()
    assert [one.id for one in shares.listed("ada")] == [made.id]
    assert shares.listed("bob") == []
    with pytest.raises(NotFound):
        shares.get(made.id, "bob")
    with pytest.raises(NotFound):
        shares.revoke(MAKER, made.id, "bob")
    assert shares.get(made.id).revoked_at == 0


def test_a_download_is_listed_once_in_a_while(house: House) -> None:
    secret, made = house.make(may_download=True)
    entered, _ = house.shares().open(secret, "", DOCTOR)
    _, shared = house.shares().session(entered)
    for _ in range(3):
        house.shares().downloads(shared, DOCTOR.address)
    house.clock.now += DAY / 24
    house.shares().downloads(shared, DOCTOR.address)
    assert [used.what for used in house.shares().uses(made.id)].count(Use.DOWNLOADED) == 2


def test_refusals_do_not_fill_the_index(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares_index, "MOST_REFUSALS", 3)
    secret, made = house.make()
    house.shares().revoke(MAKER, made.id)
    for _ in range(6):
        with pytest.raises(Gone):
            house.shares().open(secret, "", THIEF)
    assert len(house.shares().uses(made.id)) == 3


def test_what_happens_is_in_the_audit_trail(house: House) -> None:
    """Making and revoking change who may see a study (110135), and name study and patient; opening is signing in."""
    secret, made = house.make(purpose="second opinion")
    house.shares().open(secret, "", DOCTOR)
    house.shares().revoke(MAKER, made.id)
    with pytest.raises(Gone):
        house.shares().open(secret, "", DOCTOR)
    told = house.told()
    changed = [one for one in told if codes.OBJECT_SECURITY in one.types]
    assert len(changed) == 2
    for one, word in zip(changed, ("made", "revoked"), strict=True):
        assert one.requestor.UserID == "ada"
        assert one.study_instance_uids == (house.study,)
        assert one.patient_ids == ("P1",)
        assert (one.subjects[0].ParticipantObjectID, word) == (made.user, word)
        assert f"share {made.id} {word}: for Dr X" in str(one.subjects[0].details)
    entered = [one for one in told if one.event == codes.USER_AUTHENTICATION]
    assert [(one.requestor.UserID, one.requestor.UserName, one.outcome) for one in entered] == [
        (made.user, "Dr X", 0),
        (made.user, "Dr X", 4),
    ]


def test_it_is_one_archive(house: House) -> None:
    """What one process shares another one opens."""
    secret, _ = house.make()
    other = building.build(house.archive.settings)
    try:
        assert other.shares.linked(secret)[0].recipient == "Dr X"
    finally:
        other.close()
