"""Shares of who may see less than when they shared, on both engines: a link shows no more than its maker sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from archive.audit import codes
from archive.bootstrap.building import Archive
from archive.dicom.errors import Gone, NotSignedIn
from archive.dicom.instance import Scope
from archive.security.actor import Actor
from archive.security.roles import Role
from archive.security.shares import State, Wanted
from corrected import opened_archive
from held import store
from objects import secondary_capture

MAKER, DOCTOR = Actor("HTTP", "192.0.2.1", user="ada"), Actor("HTTP", "192.0.2.9")
MARY = ["institution=St. Mary*"]


@dataclass
class House:
    """Ada, who may share, and two studies, of St. Mary and of Holy Cross."""

    archive: Archive
    mary: str
    cross: str

    def make(self, *studies: str, made_by: str = "ada") -> tuple[str, int]:
        wanted = Wanted(studies or (self.mary, self.cross), "Dr X", may_download=True)
        secret, made = self.archive.shares.make(MAKER, made_by, wanted, self.archive.retrieve)
        return secret, made.id

    def opened(self, secret: str) -> str:
        return self.archive.shares.open(secret, "", DOCTOR)[0]

    def seen(self, session: str) -> list[str]:
        """What who came by the share finds, of both studies."""
        view = self.archive.shares.principal(session).view
        assert view is not None
        retrieve = self.archive.seen_by(view).retrieve
        return [uid for uid in (self.mary, self.cross) if retrieve.instances(Scope((uid,)))]


@pytest.fixture
def house(tmp_path: Path, index_url: str) -> Iterator[House]:
    with opened_archive(tmp_path, index_url) as archive:
        archive.people.add("ada", "", [Role.RADIOGRAPHER])
        uids = []
        for institution in ("St. Mary's", "Holy Cross"):
            image = secondary_capture(InstitutionName=institution)
            store(archive, image)
            uids.append(image.StudyInstanceUID)
        yield House(archive, *uids)


def test_a_share_follows_what_its_maker_sees(house: House) -> None:
    secret, number = house.make()
    session, people = house.opened(secret), house.archive.people
    assert house.seen(session) == [house.mary, house.cross]
    people.change("ada", see=MARY)
    assert house.seen(session) == [house.mary], "with the next request"
    one = house.archive.shares.get(number)
    assert (one.shown, one.hidden) == ((house.mary,), {house.cross})
    assert house.archive.shares.state_of(one) is State.OPEN
    assert house.seen(house.opened(secret)) == [house.mary]
    people.change("ada", see=())
    assert house.seen(session) == [house.mary, house.cross], "and comes back with the view"


def test_of_nothing_that_its_maker_sees_it_opens_no_more(house: House) -> None:
    secret, number = house.make(house.cross)
    session = house.opened(secret)
    house.archive.people.change("ada", see=MARY)
    shares = house.archive.shares
    assert shares.state_of(shares.get(number)) is State.HIDDEN
    with pytest.raises(NotSignedIn):
        shares.principal(session)
    with pytest.raises(Gone, match="may not see what was shared"):
        house.opened(secret)
    assert shares.linked(secret)[1] is State.HIDDEN
    assert [one.id for one in shares.listed("ada")] == [number]
    house.archive.people.change("ada", see=())
    assert house.seen(house.opened(secret)) == [house.cross]


def test_a_study_may_come_into_view_and_leave_it(house: House) -> None:
    """It is asked each time what the maker sees, not kept: by what is said in a study as well."""
    secret, _ = house.make(house.cross)
    house.archive.people.change("ada", see=["modality=CT"])
    with pytest.raises(Gone):
        house.opened(secret)
    store(house.archive, secondary_capture(StudyInstanceUID=house.cross, Modality="CT"))
    assert house.seen(house.opened(secret)) == [house.cross]


def test_a_download_under_way_ends_with_what_it_shows(house: House) -> None:
    secret, _ = house.make()
    shares, session = house.archive.shares, house.opened(secret)
    shared = shares.principal(session).share
    assert shared is not None
    shares.check_session(shared)
    house.archive.people.change("ada", see=MARY)
    with pytest.raises(NotSignedIn):
        shares.check_session(shared)
    again = shares.principal(session).share
    assert again is not None
    shares.check_session(again)  # one that began since then shows only what it may


def test_who_sees_nothing_shows_nothing(house: House) -> None:
    secret, _ = house.make()
    house.archive.people.change("ada", see=["study=1.2.3"])
    with pytest.raises(Gone):
        house.opened(secret)


@pytest.mark.parametrize("end", ["disable", "remove", "role"])
def test_shares_of_who_is_gone_show_nothing(house: House, end: str) -> None:
    """Also where they have a view, and where a role that shares comes back to who has one."""
    secret, _ = house.make()
    session, people = house.opened(secret), house.archive.people
    people.change("ada", see=MARY)
    if end == "remove":
        people.remove("ada")
    else:
        people.change("ada", disabled=end == "disable", roles=[Role.VIEWER] if end == "role" else None)
    with pytest.raises(NotSignedIn):
        house.seen(session)
    with pytest.raises(Gone):
        house.opened(secret)
    if end == "role":
        people.change("ada", roles=[Role.RADIOGRAPHER])
        assert house.seen(session) == [house.mary]


def test_shares_of_the_machine_itself_have_no_maker_with_a_view(house: House) -> None:
    secret, _ = house.make(made_by="command line: root")
    house.archive.people.change("ada", see=MARY)
    assert house.seen(house.opened(secret)) == [house.mary, house.cross]


def test_the_record_of_taking_it_back_names_all_of_it(house: House) -> None:
    _, number = house.make()
    house.archive.people.change("ada", see=MARY)
    house.archive.shares.revoke(MAKER, number)
    house.archive.auditing.trail.flush()
    told = [
        one.message for one in house.archive.audit_log.all() if codes.OBJECT_SECURITY in one.message.types
    ]
    assert house.cross in repr(told[-1])
