"""Each association over a real index: what is kept of those that are refused, and what a flood of them may cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from archive.bootstrap.building import Archive
from archive.dicom.errors import (
    ArchiveError,
    CallerRefused,
    Gone,
    InstanceConflict,
    MissingAttribute,
    NotAuthorized,
    OutOfResources,
)
from archive.dicom.instance import Source
from archive.network.caller import USER_AND_PASSCODE, Caller, UserIdentity
from archive.security.admission import IPAddress
from archive.security.identity import Identities, password_hash
from archive.security.rules import Rules
from archive.security.tokens import Tokens
from archive.services.admission import Admissions
from archive.services.host_names import HostNames
from archive.services.refusals import REFUSALS_PER_SECOND, Instance, Refusals
from archive.services.seats import Seats
from archive.settings.people import TokenSettings

STRANGER = "192.0.2.9"


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def admissions(archive: Archive, clock: Clock | None = None, **options: Any) -> tuple[Admissions, Refusals]:
    refusals = Refusals(archive.database, clock or Clock())
    seats = Seats(archive.settings.run_folder / "seats")
    identities = Identities(Tokens(TokenSettings()), clock or Clock())
    return Admissions(archive.ae_titles, refusals, seats, identities, **options), refusals


def refuse(door: Admissions, calling: str, address: str = STRANGER, **more: Any) -> CallerRefused:
    with pytest.raises(CallerRefused) as refused:
        door.admit(Caller(calling, "ARCHIVE", address, **more))
    return refused.value


def counted(refusals: Refusals) -> dict[str, int]:
    return {one.refused.calling: one.times for one in refusals.associations(1000)}


def test_a_refusal_is_kept_with_what_would_let_the_caller_in(archive: Archive) -> None:
    """And doing it lets the caller in, at once."""
    door, refusals = admissions(archive)
    refuse(door, "CT1")
    (kept,) = refusals.associations()
    assert kept.refused.reason == "the calling AE title is not known"
    assert kept.refused.remedy == f"archive ae add CT1 {STRANGER} 104"
    archive.ae_titles.add("CT1", STRANGER, 104)
    guest = door.admit(Caller("CT1", "ARCHIVE", STRANGER))
    assert guest.entry == archive.ae_titles.get("CT1")


def test_the_same_refusal_is_written_once_a_second_and_counted(archive: Archive) -> None:
    clock = Clock()
    door, refusals = admissions(archive, clock)
    for _ in range(50):
        refuse(door, "STRANGER")
    assert counted(refusals) == {"STRANGER": 1}
    clock.now += 1
    refuse(door, "STRANGER")
    assert counted(refusals) == {"STRANGER": 51}


def test_a_flood_of_different_refusals_is_not_all_written(archive: Archive) -> None:
    clock, commits = Clock(), []
    door, refusals = admissions(archive, clock)
    engine = archive.database._writer._connections.engine  # type: ignore[attr-defined]
    sa.event.listen(engine, "commit", lambda _: commits.append(1))
    for second in range(3):
        for number in range(100):
            refuse(door, f"S{second}-{number}")
        clock.now += 1
    assert len(commits) == len(counted(refusals)) == 3 * REFUSALS_PER_SECOND


def test_a_limit_of_associations_frees_its_seats(archive: Archive) -> None:
    """dimse.md 1.1, max associations per AE: rejected-transient, local limit exceeded (PS3.8 9.3.4)."""
    door, _ = admissions(archive)
    archive.ae_titles.add("CT1", STRANGER, 104, Rules(maximum_associations=2))
    guests = [door.admit(Caller("CT1", "ARCHIVE", STRANGER)) for _ in range(2)]
    error = refuse(door, "CT1")
    assert (error.result, error.source, error.diagnostic) == (2, 3, 2)
    assert error.remedy == "archive ae set CT1 --maximum-associations 3"
    guests[0].seat.leave()
    door.admit(Caller("CT1", "ARCHIVE", STRANGER)).seat.leave()
    for guest in guests:
        guest.seat.leave()


def test_a_user_identity_that_is_asked_for(archive: Archive) -> None:
    """PS3.7 D.3.3.7: rejected-permanent by the provider, ACSE related; the answer is empty for a password."""
    door, _ = admissions(archive)
    rules = Rules(identity="password", user="ct", password_hash=password_hash("secret"))
    archive.ae_titles.add("CT1", STRANGER, 104, rules)
    wrong = UserIdentity(USER_AND_PASSCODE, b"ct", b"wrong", True)
    for identity in (None, wrong):
        error = refuse(door, "CT1", identity=identity)
        assert (error.result, error.source, error.diagnostic) == (1, 2, 1)
    right = UserIdentity(USER_AND_PASSCODE, b"ct", b"secret", True)
    assert door.admit(Caller("CT1", "ARCHIVE", STRANGER, identity=right)).identity_answer == b""


def test_an_identity_that_is_not_asked_for_is_not_confirmed(archive: Archive) -> None:
    door, _ = admissions(archive)
    identity = UserIdentity(USER_AND_PASSCODE, b"ct", b"anything", True)
    guest = door.admit(Caller("ANY", "ARCHIVE", "127.0.0.1", identity=identity))
    assert (guest.entry, guest.identity_answer) == (None, None)


def test_a_seat_is_not_taken_by_who_is_refused(archive: Archive) -> None:
    door, _ = admissions(archive)
    rules = Rules(maximum_associations=1, identity="password", user="ct", password_hash=password_hash("s"))
    archive.ae_titles.add("CT1", STRANGER, 104, rules)
    refuse(door, "CT1")
    identity = UserIdentity(USER_AND_PASSCODE, b"ct", b"s")
    door.admit(Caller("CT1", "ARCHIVE", STRANGER, identity=identity)).seat.leave()


def test_this_machine_may_be_a_stranger_too(archive: Archive) -> None:
    door, _ = admissions(archive, trust_this_machine=False)
    assert refuse(door, "ANY", "127.0.0.1").diagnostic == 3


def test_an_association_waits_for_a_name_only_once(archive: Archive) -> None:
    """Though the one answer is too old, or none has come, when the refusal is put into words."""
    asked: list[str] = []

    def resolve(name: str) -> frozenset[IPAddress]:
        asked.append(name)
        raise OSError

    names = HostNames(resolve, iter(range(0, 100_000, 1000)).__next__)
    archive.ae_titles.add("CT1", "ct1.example", 104)
    door, _ = admissions(archive, host_names=names)
    refuse(door, "CT1")
    assert asked == ["ct1.example"]


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (OutOfResources("full"), "storage.minimum_free_bytes"),
        (MissingAttribute("no Study Instance UID"), "[coercion]"),
        (InstanceConflict("taken"), "archive ae set CT1 --duplicates"),
        (NotAuthorized("no right", "archive ae set CT1 --allow store"), "archive ae set CT1 --allow store"),
        (Gone("gone"), "deleted"),
        (ArchiveError("?"), "log"),
    ],
)
def test_a_refused_object_is_kept_with_what_would_let_it_in(
    archive: Archive, error: ArchiveError, remedy: str
) -> None:
    archive.ae_titles.add("CT1", STRANGER, 104)
    refusals = archive.refusals
    what = Instance("1.2.3", "1.2.3.4", "1.2.840.10008.1.2")
    refusals.keep_object(what, Source("DIMSE", STRANGER, "CT1"), "A700", error)
    (kept,) = refusals.objects()
    assert remedy in kept.refused.remedy
    assert (kept.SOPInstanceUID, kept.refused.status, kept.times) == ("1.2.3.4", "A700", 1)


@pytest.mark.parametrize(
    ("title", "remedy"),
    [
        ("NEW1", f"archive ae add NEW1 {STRANGER} 104 --duplicates conflict"),
        ("ct 1", f"archive ae add 'ct 1' {STRANGER} 104 --duplicates conflict"),
        ("-x", f"archive ae add UNNAMED {STRANGER} 104 --alias=-x --duplicates conflict"),
    ],
)
def test_a_title_that_has_no_entry_is_to_be_added_with_its_rule(
    archive: Archive, title: str, remedy: str
) -> None:
    """`ae set` would only say that there is no such AE title: from this machine and by STOW-RS anybody may send."""
    archive.refusals.keep_object(
        Instance("1.2.3"), Source("DIMSE", STRANGER, title), "0111", InstanceConflict("taken")
    )
    archive.refusals.keep_object(
        Instance("1.2.4"), Source("DIMSE", STRANGER, title), "0124", NotAuthorized("no right")
    )
    no_right, taken = (kept.refused.remedy for kept in archive.refusals.objects())
    assert taken == f"archive conflicts list; for the next ones: {remedy}"
    assert no_right == remedy.removesuffix(" --duplicates conflict")


def test_an_index_that_cannot_take_a_refusal_does_not_change_it(archive: Archive) -> None:
    door, refusals = admissions(archive)
    archive.database.close()
    (archive.settings.data / "index.sqlite").rename(archive.settings.data / "away")
    refusals.keep_association(Caller("CT1", "ARCHIVE", STRANGER), "not known")
    refusals.keep_object(Instance(), Source("DIMSE"), "A700", OutOfResources("full"))
    with pytest.raises(OutOfResources):
        door.admit(Caller("CT1", "ARCHIVE", STRANGER))
