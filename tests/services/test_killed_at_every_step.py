"""Killed at every step of everything that changes what is stored (reliability.md 4.3, I1 to I7).

Each of these things is done once to its end, which shows the points that it passes; then as often as there are points,
and killed at the first, the second, and so on (where one is passed many times, at its first and its last). After each
death every fact is what it was before, or what it is at the end; no bytes that are safe both before and at the end are
ever away; whatever something points to is there; and doing it again leads to the same end. `test_crashes_of_*` ask more
of some of these steps, on both engines.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import generate_uid as new_uid

import crash_while
import crashes
from archive.bootstrap import preparing
from archive.bootstrap.building import Archive
from archive.dicom.errors import ArchiveError
from archive.services.conflicts import Decision
from corrected import DOE, of, whose
from held import aside, settle_down, store, stored, version_of
from objects import mr, part10, secondary_capture
from rejecting_here import held, reject, series_of, store_all
from rejection_notes import PATIENT_SAFETY, rejection_note
from reliability import failpoints, on_disk

Facts = dict[tuple[str, str], object]
Order = dict[str, Any]


def facts(archive: Archive) -> Facts:
    """What anybody can learn of the archive: what is shown, kept aside, held; of every byte it is read that it is
    there."""
    found: Facts = {("shown", uid): said for uid, said in stored(archive).items()}
    found |= {("aside", one.kept_sha256): one.state for one in aside(archive).values()}
    found |= {("held", uid): said for uid, said in held(archive).items()}
    found |= {("note", one.note.stored.SOPInstanceUID): one.state for one, _ in archive.rejections.last()}
    return found


def patients(archive: Archive) -> Facts:
    """Of what is corrected the bytes are others each time: whose it is counts."""
    return {("whose", uid): said for uid, said in whose(archive).items()}


def names(archive: Archive) -> Facts:
    """The same of what is coerced: the moment of that is in it."""
    return dict.fromkeys(facts(archive), "there")


@dataclass(frozen=True)
class Deed:
    """Something that is done. `prepare` makes what has to be there, and gives the order. `objects`: of so many the
    bytes may be left by a death, which nothing points to."""

    prepare: Callable[[Archive, Path], Order]
    do: tuple[str, ...]
    policy: str = "reject"
    objects: int = 1
    facts: Callable[[Archive], Facts] = facts
    settings: dict[str, Any] = field(default_factory=dict)


def file_of(folder: Path, data_set: Any) -> str:
    path = folder / f"{data_set.SOPInstanceUID}.dcm"
    path.write_bytes(part10(data_set))
    return str(path)


def a_new_one(_: Archive, folder: Path) -> Order:
    return {"file": file_of(folder, secondary_capture())}


def a_known_one(archive: Archive, folder: Path) -> Order:
    one = secondary_capture()
    store(archive, one)
    return {"file": file_of(folder, one)}


def another_version(archive: Archive, folder: Path) -> Order:
    one = secondary_capture()
    store(archive, one)
    return {"file": file_of(folder, version_of(one))}


def several(archive: Archive, folder: Path) -> Order:
    first, *others = series_of(4)
    store(archive, first)
    return {"files": [file_of(folder, one) for one in (first, *others)]}


def one_to_be_shaped(_: Archive, folder: Path) -> Order:
    return {"file": file_of(folder, mr(PatientID="7"))}


def a_conflict(archive: Archive, _: Path) -> Order:
    one = secondary_capture()
    store(archive, one)
    return {"number": store(archive, version_of(one)).conflict_id}


def a_study(archive: Archive, _: Path) -> Order:
    return {"study": store_all(archive, series_of(2))[0].StudyInstanceUID}


def a_patient(archive: Archive, _: Path) -> Order:
    study = new_uid()
    store_all(archive, [of(DOE, "Doe", study), of(DOE, "Doe", study)])
    return {}


def a_note(archive: Archive, folder: Path) -> Order:
    series = store_all(archive, series_of(2))
    return {"file": file_of(folder, rejection_note(PATIENT_SAFETY, series))}


def what_is_rejected(archive: Archive, _: Path) -> Order:
    return {"number": reject(archive, PATIENT_SAFETY, store_all(archive, series_of(2)))}


def what_is_to_be_kept(archive: Archive, _: Path) -> Order:
    references = [(one.SOPClassUID, one.SOPInstanceUID) for one in store_all(archive, series_of(2))]
    return {"references": references, "transaction": new_uid()}


def nothing(archive: Archive, _: Path) -> Order:
    (archive.settings.data / "spool" / "left.part").touch()
    return {}


SHAPED = {
    "coercion_rules": [{"prefix": {"PatientID": "GH-"}}],
    "compression": [{"transfer_syntax": "RLELossless"}],
}

DEEDS = {
    "store": Deed(a_new_one, ("store",)),
    "store again": Deed(a_known_one, ("store",)),
    "store together": Deed(several, ("store together",), objects=4),
    "store what is shaped": Deed(one_to_be_shaped, ("store",), facts=names, settings=SHAPED),
    "refuse a version": Deed(another_version, ("store",)),
    "keep a version": Deed(another_version, ("store",), "keep"),
    "replace by a version": Deed(another_version, ("store", "settle"), "replace"),
    "keep a conflict": Deed(another_version, ("store",), "conflict"),
    "accept": Deed(a_conflict, (Decision.ACCEPT.value, "settle"), "conflict", objects=0),
    "drop": Deed(a_conflict, (Decision.DROP.value, "settle"), "conflict", objects=0),
    "delete": Deed(a_study, ("delete", "settle"), objects=0),
    "correct": Deed(a_patient, ("merge", "settle"), objects=2, facts=patients),
    "reject": Deed(a_note, ("store",)),
    "take back": Deed(what_is_rejected, ("restore", "settle"), objects=0),
    "drop what is rejected": Deed(what_is_rejected, ("drop rejected", "settle"), objects=0),
    "commit": Deed(what_is_to_be_kept, ("commit to", "settle"), objects=0),
    "spool and sweep": Deed(nothing, ("spool", "settle"), objects=0),
}


class Ground:
    """What is there before the deed, in a folder that is copied for each time that it is done."""

    def __init__(self, folder: Path, deed: Deed) -> None:
        self._folder, self._deed, self._copies = folder, deed, 0
        self._order = {"index": "", "policy": deed.policy, "settings": deed.settings, "do": list(deed.do)}
        order = {**self._order, "data": str(folder / "first")}
        preparing.prepare(crash_while.settings_of(order))
        archive = crash_while.opened(order)
        try:
            self._order |= deed.prepare(archive, folder)
            settle_down(archive)
            self.before = deed.facts(archive)
        finally:
            archive.close()

    def copy(self) -> Order:
        """The order to do it on a copy."""
        self._copies += 1
        data = self._folder / f"copy-{self._copies}"
        shutil.copytree(self._folder / "first", data)
        return {**self._order, "data": str(data)}


@contextmanager
def opened(order: Order) -> Iterator[Archive]:
    archive = crash_while.opened(order)
    try:
        yield archive
    finally:
        archive.close()


def digests(found: Facts) -> set[object]:
    """Of all bytes that are safe."""
    return {said for (kind, _), said in found.items() if kind in ("shown", "held")} | {
        name for kind, name in found if kind == "aside"
    }


def check_files(archive: Archive, most_orphans: int) -> None:
    """Nothing is pointed to that is not there, and no more is there than the dead one may have left."""
    with archive.database.read() as connection:
        pointed_to = set(on_disk.pointed_to(connection))
        leaving = set(on_disk.to_be_removed(connection))
    files = set(archive.store.keys())
    assert pointed_to <= files
    assert len(files - pointed_to - leaving) <= most_orphans


@pytest.mark.parametrize("name", DEEDS)
def test_killed_at_every_step(tmp_path: Path, name: str) -> None:
    deed = DEEDS[name]
    ground = Ground(tmp_path, deed)
    done = crashes.crash(order := ground.copy())
    assert done.returncode == crash_while.NEVER_REACHED, done.stderr
    assert done.passed
    with opened(order) as archive:
        settle_down(archive)
        after = deed.facts(archive)
    for step in sorted(telling(done.passed)):
        ended = crashes.crash({**(order := ground.copy()), "step": step})
        assert ended.was_killed, (step, ended)
        with opened(order) as archive:
            check_between(deed, archive, ground.before, after)
            do_again(deed, archive, order, after)
            check_files(archive, deed.objects)
        shutil.rmtree(order["data"])


def telling(passed: list[str]) -> set[int]:
    """The first and the last time that each point is passed: those between would show the same of another object."""
    first = {name: number for number, name in reversed([*enumerate(passed, 1)])}
    return {*first.values(), *{name: number for number, name in enumerate(passed, 1)}.values()}


def check_between(deed: Deed, archive: Archive, before: Facts, after: Facts) -> None:
    now = deed.facts(archive)
    for fact in {*now, *before, *after}:
        assert now.get(fact) in (before.get(fact), after.get(fact)), fact
    if deed.facts is facts:
        assert digests(now) >= digests(before) & digests(after)
    check_files(archive, deed.objects)


def do_again(deed: Deed, archive: Archive, order: Order, after: Facts) -> None:
    """As who asked for it does, who heard nothing. What is done already may be refused then."""
    settle_down(archive)
    if deed.facts(archive) != after:
        with suppress(ArchiveError):
            crash_while.act(archive, order)
        settle_down(archive)
    assert deed.facts(archive) == after
    archive.store.sweep(0)
    assert not list((archive.settings.data / "spool").iterdir())


def test_every_point_is_passed_by_something(tmp_path: Path) -> None:
    """A point to which nothing comes proves nothing: it is to be taken away, or a deed is missing here."""
    passed: set[str] = set()
    for number, deed in enumerate(DEEDS.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        passed.update(crashes.crash(Ground(folder, deed).copy()).passed)
    assert passed == set(failpoints.names())
