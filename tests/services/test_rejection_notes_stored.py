"""Rejection notes (dimse.md 1.5 IOCM; IHE RAD TF-3 4.66): what they hide, what they must not be fooled by, and what
comes afterwards. On both engines."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.errors import ArchiveError, Gone, InstanceConflict, MissingAttribute, ObjectMismatch
from archive.dicom.instance import Scope
from archive.dicom.receiving.commitment import COMMITTED, NO_SUCH_OBJECT_INSTANCE, Reference
from archive.index import schema
from archive.services.conflicts import Decision
from archive.services.receipts import COERCED
from archive.services.rejections import Fate, Reason
from held import SCANNER, digest, store, stored, version_of
from objects import new_uid, secondary_capture
from rejecting_here import check_all, fates, held, reject, series_of, shown, store_all, uids
from rejection_notes import (
    OF_INTEREST,
    PATIENT_SAFETY,
    QUALITY,
    RETENTION,
    WORKLIST_ENTRY,
    code,
    content_item,
    evidence,
    rejection_note,
)
from suites.sqlite import prepare

HIDING = (QUALITY, PATIENT_SAFETY, WORKLIST_ENTRY, RETENTION)
OpenArchive = Callable[..., Archive]


@pytest.fixture
def open_archive(tmp_path: Path, index_url: str) -> Iterator[OpenArchive]:
    """An archive with these settings."""
    with ExitStack() as stack:

        def opened(**more: Any) -> Archive:
            overrides = {"index.url": index_url, "storage.minimum_free_bytes": 0}
            overrides |= {name.replace("__", "."): value for name, value in more.items()}
            settings = replace(config.load(environment={}, overrides=overrides), data=tmp_path / "data")
            prepare(settings)
            archive = building.build(settings)
            stack.callback(archive.close)
            return archive

        yield opened


@pytest.fixture
def here(open_archive: OpenArchive) -> Archive:
    return open_archive()


def counts(archive: Archive) -> list[tuple[int, int]]:
    """Series and instances of each study, as queries answer."""
    with archive.database.read() as connection:
        columns = (schema.study.c.number_of_series, schema.study.c.number_of_instances)
        return [tuple(row) for row in connection.execute(schema.sa.select(*columns))]


@pytest.mark.parametrize("title", HIDING)
def test_a_note_hides_what_it_refers_to_and_itself(here: Archive, title: str) -> None:
    series = store_all(here, series_of(3))
    number = reject(here, title, series[:2])
    assert shown(here) == uids(series[2:])
    assert counts(here) == [(1, 1)]
    assert held(here) == {one.SOPInstanceUID: digest(one) for one in series[:2]}
    assert set(fates(here, number).values()) == {Fate.HELD}
    check_all(here)


def test_a_study_that_is_rejected_whole_is_gone(here: Archive) -> None:
    """410 rather than 404 (PS3.18 8.5), and no patient or study without instances."""
    series = store_all(here, series_of(2))
    reject(here, PATIENT_SAFETY, series)
    assert (shown(here), counts(here)) == ([], [])
    assert isinstance(here.retrieve.missing(Scope((series[0].StudyInstanceUID,))), Gone)
    check_all(here)


def test_shown_for_quality_reasons_where_the_site_wants_it(open_archive: OpenArchive) -> None:
    """Regular use (4.66.4.1.3): the note is an object like others. Safety is no matter of settings."""
    here = open_archive(rejection__quality="show")
    series = store_all(here, series_of(2))
    note = rejection_note(QUALITY, series)
    store(here, note)
    assert shown(here) == uids([*series, note])
    assert here.rejections.last() == []
    with pytest.raises(InstanceConflict, match=r"rejection\.quality"):
        here.rejections.reject(Scope((series[0].StudyInstanceUID,)), Reason.QUALITY, SCANNER)
    reject(here, PATIENT_SAFETY, series)
    assert shown(here) == [note.SOPInstanceUID]


def test_a_note_that_was_shown_takes_effect_when_it_comes_again(open_archive: OpenArchive) -> None:
    series = series_of(2)
    note = rejection_note(QUALITY, series[:1])
    before = open_archive(rejection__quality="show")
    store_all(before, [*series, note])
    after = open_archive()
    assert not store(after, note).already_there
    assert shown(after) == uids(series[1:])
    check_all(after)


@pytest.mark.parametrize("title", [QUALITY, PATIENT_SAFETY, WORKLIST_ENTRY])
def test_what_was_rejected_is_not_taken_again(here: Archive, title: str) -> None:
    """4.66.4.2.3.1, 4.66.4.3.3: neither the same bytes nor another version, by whatever policy."""
    (one,) = store_all(here, series_of(1))
    reject(here, title, [one])
    for version in (one, version_of(one)):
        with pytest.raises(InstanceConflict, match="rejected by a rejection note"):
            store(here, version)
    assert shown(here) == []
    assert held(here) == {one.SOPInstanceUID: digest(one)}
    check_all(here)


@pytest.mark.parametrize("policy", ["keep", "replace", "conflict"])
def test_no_policy_for_duplicates_lets_it_in_again(open_archive: OpenArchive, policy: str) -> None:
    here = open_archive(dimse__duplicates=policy)
    (one,) = store_all(here, series_of(1))
    reject(here, PATIENT_SAFETY, [one])
    with pytest.raises(InstanceConflict, match="rejected"):
        store(here, one)
    assert shown(here) == []
    check_all(here)


def test_what_the_time_was_over_for_is_stored_anew(here: Archive) -> None:
    """4.66.4.4.3: the rejection is no longer in force then."""
    (one,) = store_all(here, series_of(1))
    number = reject(here, RETENTION, [one])
    assert not store(here, one).warning
    assert shown(here) == uids([one])
    done = here.rejections.restore(number, "test")
    assert (done.number, done.failed) == (1, {})
    assert shown(here) == uids([one])
    check_all(here)


def test_what_comes_after_its_note_is_held(here: Archive) -> None:
    """Its sender hears a warning: the bytes are safe, and nobody will find them."""
    early, late = series_of(2)
    store(here, early)
    number = reject(here, PATIENT_SAFETY, [early, late])
    assert fates(here, number)[late.SOPInstanceUID] == Fate.AWAITED
    receipt = store(here, late)
    assert (receipt.warning, receipt.kept_aside, receipt.conflict_id) == (COERCED, True, number)
    assert len(receipt.remark) <= 64
    assert str(number) in receipt.remark
    assert shown(here) == []
    assert set(fates(here, number).values()) == {Fate.HELD}
    with pytest.raises(InstanceConflict, match="rejected"):
        store(here, late)
    check_all(here)


def test_the_same_instance_elsewhere_is_not_what_a_note_waits_for(here: Archive) -> None:
    expected, other = series_of(2)
    number = reject(here, PATIENT_SAFETY, [expected])
    store(here, version_of(expected, StudyInstanceUID=new_uid(), SeriesInstanceUID=new_uid()))
    store(here, other)
    assert shown(here) == uids([expected, other])
    assert fates(here, number) == {expected.SOPInstanceUID: Fate.AWAITED}


def test_the_same_note_again_is_there_already(here: Archive) -> None:
    series = store_all(here, series_of(2))
    note = rejection_note(QUALITY, series[:1])
    assert not store(here, note).already_there
    assert store(here, note).already_there
    assert len(here.rejections.last()) == 1
    with pytest.raises(InstanceConflict, match="other content"):
        store(here, version_of(note, ContentTime="111111"))
    assert shown(here) == uids(series[1:])
    check_all(here)


def test_two_notes_about_the_same_instance(here: Archive) -> None:
    """As long as one of them stands it is hidden."""
    series = store_all(here, series_of(2))
    first = reject(here, QUALITY, series)
    second = reject(here, PATIENT_SAFETY, series[:1])
    assert fates(here, second) == {series[0].SOPInstanceUID: Fate.HELD}
    here.rejections.restore(first, "test")
    assert shown(here) == uids(series[1:])
    assert held(here) == {series[0].SOPInstanceUID: digest(series[0])}
    with pytest.raises(InstanceConflict, match="rejected"):
        store(here, series[0])
    here.rejections.restore(second, "test")
    assert shown(here) == uids(series)
    check_all(here)


def test_the_second_note_taken_back_first(here: Archive) -> None:
    series = store_all(here, series_of(1))
    first, second = reject(here, QUALITY, series), reject(here, PATIENT_SAFETY, series)
    here.rejections.restore(second, "test")
    assert shown(here) == []
    here.rejections.restore(first, "test")
    assert shown(here) == uids(series)
    check_all(here)


@pytest.mark.parametrize(
    "title",
    [
        code(OF_INTEREST, "DCM", "Of Interest"),
        code(QUALITY, "99LOCAL", "Rejected for Quality Reasons"),
        code("113040", "DCM", "Lossy Compression"),
    ],
    ids=["of interest", "other scheme", "other code"],
)
def test_other_key_object_selections_are_stored(here: Archive, title: Dataset) -> None:
    series = store_all(here, series_of(1))
    note = rejection_note(QUALITY, series, ConceptNameCodeSequence=[title])
    store(here, note)
    assert shown(here) == uids([*series, note])


def test_a_title_of_several_codes_is_no_title(here: Archive) -> None:
    series = store_all(here, series_of(1))
    titles = [code(OF_INTEREST, "DCM", "Of Interest"), code(QUALITY, "DCM", "x")]
    store(here, rejection_note(QUALITY, series, ConceptNameCodeSequence=titles))
    assert len(shown(here)) == 2


def test_another_object_with_such_a_title_rejects_nothing(here: Archive) -> None:
    series = store_all(here, series_of(1))
    other = secondary_capture(ConceptNameCodeSequence=[code(QUALITY, "DCM", "x")])
    other.CurrentRequestedProcedureEvidenceSequence = evidence(series)
    store(here, other)
    assert shown(here) == uids([*series, other])


def refused(archive: Archive, note: Dataset, kind: type[ArchiveError] = ObjectMismatch) -> str:
    """A note that is refused changes nothing; why it was."""
    before = stored(archive)
    with pytest.raises(kind) as caught:
        store(archive, note)
    assert stored(archive) == before
    assert archive.rejections.last() == []
    check_all(archive)
    return caught.value.reason


def test_a_note_about_another_patient(here: Archive) -> None:
    series = store_all(here, series_of(1))
    assert "patient" in refused(here, rejection_note(PATIENT_SAFETY, series, PatientID="SOMEBODY-ELSE"))


def test_a_note_about_another_patient_s_study_besides(here: Archive) -> None:
    """Also where it does not say whose it is."""
    mine, theirs = store_all(here, series_of(1)), store_all(here, series_of(1, PatientID="OTHER"))
    assert "patient" in refused(here, rejection_note(PATIENT_SAFETY, [*mine, *theirs]))
    assert "patient" in refused(here, rejection_note(PATIENT_SAFETY, [*mine, *theirs], PatientID=""))


def test_a_note_about_an_awaited_instance_of_another_patient_s_study(here: Archive) -> None:
    there, missing = series_of(2, PatientID="OTHER")
    store(here, there)
    assert "patient" in refused(here, rejection_note(PATIENT_SAFETY, [missing], PatientID="MINE"))


def test_several_studies_of_one_patient(here: Archive) -> None:
    first, second = store_all(here, series_of(2)), store_all(here, series_of(2))
    number = reject(here, WORKLIST_ENTRY, [*first, second[0]])
    assert shown(here) == uids(second[1:])
    here.rejections.restore(number, "test")
    assert shown(here) == uids([*first, *second])
    check_all(here)


@pytest.mark.parametrize(
    "wrong",
    [
        {"StudyInstanceUID": "1.2.3"},
        {"SeriesInstanceUID": "1.2.3"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_note_that_says_another_place(here: Archive, wrong: dict[str, str]) -> None:
    (one,) = store_all(here, series_of(1))
    refused(here, rejection_note(PATIENT_SAFETY, [version_of(one, **wrong)]))


def lacking(note: Dataset, *path: str) -> Dataset:
    """The note without the attribute at the end of the path, which goes by first items."""
    made = copy.deepcopy(note)
    item = made
    for keyword in path[:-1]:
        item = item[keyword].value[0]
    del item[path[-1]]
    return made


EVIDENCE = "CurrentRequestedProcedureEvidenceSequence"
SERIES, SOPS = "ReferencedSeriesSequence", "ReferencedSOPSequence"


@pytest.mark.parametrize(
    "path",
    [
        (EVIDENCE,),
        (EVIDENCE, "StudyInstanceUID"),
        (EVIDENCE, SERIES),
        (EVIDENCE, SERIES, "SeriesInstanceUID"),
        (EVIDENCE, SERIES, SOPS, "ReferencedSOPInstanceUID"),
        (EVIDENCE, SERIES, SOPS, "ReferencedSOPClassUID"),
    ],
    ids=lambda path: path[-1],
)
def test_a_note_with_partial_references(here: Archive, path: tuple[str, ...]) -> None:
    note = rejection_note(PATIENT_SAFETY, store_all(here, series_of(1)))
    with_nothing_in_content = lacking(note, "ContentSequence")
    refused(here, lacking(with_nothing_in_content, *path), MissingAttribute)


def test_a_note_whose_two_lists_differ(here: Archive) -> None:
    series = store_all(here, series_of(2))
    refused(here, rejection_note(QUALITY, series, ContentSequence=[content_item(series[0])]))
    refused(here, rejection_note(QUALITY, series[:1], ContentSequence=[content_item(one) for one in series]))


def test_a_note_about_single_frames(here: Archive) -> None:
    (one,) = store_all(here, series_of(1))
    note = rejection_note(QUALITY, [one], ContentSequence=[content_item(one, ReferencedFrameNumber=[1])])
    assert "frames" in refused(here, note)


def test_a_note_that_names_an_instance_twice(here: Archive) -> None:
    (one,) = store_all(here, series_of(1))
    elsewhere = version_of(one, SeriesInstanceUID=new_uid())
    refused(here, rejection_note(QUALITY, [one, elsewhere]))
    reject(here, QUALITY, [one, one])
    assert shown(here) == []


def test_a_note_about_itself_alone(here: Archive) -> None:
    note = rejection_note(QUALITY, series_of(1))
    for keyword, value in ((EVIDENCE, evidence([note])), ("ContentSequence", [content_item(note)])):
        setattr(note, keyword, value)
    refused(here, note, MissingAttribute)


def test_a_note_about_itself_besides(here: Archive) -> None:
    (one,) = store_all(here, series_of(1))
    note = rejection_note(QUALITY, [one])
    note.CurrentRequestedProcedureEvidenceSequence = evidence([one, note])
    note.ContentSequence = [content_item(one)]
    store(here, note)
    assert shown(here) == []
    assert list(fates(here, 1)) == [one.SOPInstanceUID]


def test_commitment_is_given_to_the_note_and_not_to_what_it_rejects(here: Archive) -> None:
    (one,) = store_all(here, series_of(1))
    note = rejection_note(PATIENT_SAFETY, [one])
    store(here, note)
    asked = [Reference(each.SOPClassUID, each.SOPInstanceUID) for each in (one, note)]
    verdicts = here.commitment.request(new_uid(), asked, SCANNER)
    assert verdicts is not None
    assert [each.failure_reason for each in verdicts] == [NO_SUCH_OBJECT_INSTANCE, COMMITTED]


def test_a_conflict_about_a_rejected_instance_cannot_be_accepted(open_archive: OpenArchive) -> None:
    """What was kept aside before the note comes back no other way than by taking the note back."""
    here = open_archive(dimse__duplicates="conflict")
    (one,) = store_all(here, series_of(1))
    conflict = store(here, version_of(one)).conflict_id
    number = reject(here, PATIENT_SAFETY, [one])
    with pytest.raises(InstanceConflict, match="archive rejections restore"):
        here.conflicts.decide(conflict, Decision.ACCEPT, "test")
    assert shown(here) == []
    here.rejections.restore(number, "test")
    assert stored(here) == {one.SOPInstanceUID: digest(one)}
    here.conflicts.decide(conflict, Decision.ACCEPT, "test")
    assert stored(here) == {one.SOPInstanceUID: digest(version_of(one))}
    check_all(here)
