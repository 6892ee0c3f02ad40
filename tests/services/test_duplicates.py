"""Policies for objects whose identifiers are taken (dimse.md 1.2, finding 3; reliability.md 1.3, O10): whatever is
acknowledged is safe, nothing that was stored is lost, and no patient gets into another one's study. On both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.errors import InstanceConflict, OutcomeUnknown
from archive.dicom.instance import Scope, Source
from archive.index import ae_titles, transactions
from archive.security.ae_titles import AETitle
from archive.security.rules import Rules
from archive.services.conflicts import Decision, State
from archive.services.duplicates import Policy
from archive.services.receipts import COERCED
from archive.settings.doors import DUPLICATES
from held import SCANNER, aside, check, digest, files, settle_down, store, stored, version_of
from objects import new_uid, secondary_capture
from suites.sqlite import prepare

OpenArchive = Callable[[str], Archive]


@pytest.fixture
def open_archive(tmp_path: Path, index_url: str) -> Iterator[OpenArchive]:
    """An archive with this policy."""
    with ExitStack() as stack:

        def opened(policy: str) -> Archive:
            overrides = {"dimse.duplicates": policy, "index.url": index_url, "storage.minimum_free_bytes": 0}
            settings = replace(config.load(environment={}, overrides=overrides), data=tmp_path / "data")
            prepare(settings)
            archive = building.build(settings)
            stack.callback(archive.close)
            return archive

        yield opened


def states(archive: Archive) -> list[str]:
    return [one.state for one in archive.conflicts.last()]


def test_the_settings_name_the_policies() -> None:
    assert tuple(Policy) == DUPLICATES


def test_reject_keeps_nothing_but_the_record(open_archive: OpenArchive) -> None:
    archive = open_archive("reject")
    first = secondary_capture()
    store(archive, first)
    with pytest.raises(InstanceConflict, match="other content") as refused:
        store(archive, version_of(first))
    assert (states(archive), aside(archive)) == ([State.REFUSED], {})
    assert archive.conflicts.get(refused.value.conflict_id).calling_ae_title == "SCANNER"
    assert stored(archive) == {first.SOPInstanceUID: digest(first)}
    check(archive)


def test_keep_leaves_what_is_stored_and_holds_the_other(open_archive: OpenArchive) -> None:
    archive = open_archive("keep")
    first = secondary_capture()
    second = version_of(first)
    store(archive, first)
    receipt = store(archive, second)
    assert (receipt.warning, receipt.offending, receipt.already_there) == (COERCED, (0x00080018,), False)
    assert str(receipt.conflict_id) in receipt.remark
    assert stored(archive) == {first.SOPInstanceUID: digest(first)}
    assert {key: one.state for key, one in aside(archive).items()} == {digest(second): State.KEPT}
    check(archive)


def test_replace_shows_the_new_one_and_holds_the_former(open_archive: OpenArchive) -> None:
    archive = open_archive("replace")
    first = secondary_capture(InstanceNumber=1)
    second = version_of(first, InstanceNumber=2)
    store(archive, first, Source("STOW-RS", "192.0.2.9"))
    receipt = store(archive, second)
    assert (receipt.warning, receipt.already_there) == (0, False)
    assert stored(archive) == {first.SOPInstanceUID: digest(second)}
    held = aside(archive)
    assert {key: one.state for key, one in held.items()} == {digest(first): State.REPLACED}
    assert held[digest(first)].door == "STOW-RS"
    assert b'"00200013":{"vr":"IS","Value":[2]}' in metadata(archive, first.SOPInstanceUID).replace(b" ", b"")
    check(archive)


def metadata(archive: Archive, uid: str) -> bytes:
    scope = Scope(sop_instance_uids=(uid,))
    return b"".join(archive.retrieve.metadata(scope, lambda instance: "http://x"))


def test_replacing_keeps_the_counts_and_the_study(open_archive: OpenArchive) -> None:
    archive = open_archive("replace")
    first, neighbour = secondary_capture(), None
    neighbour = version_of(first, SOPInstanceUID=new_uid())
    for each in (first, neighbour, version_of(first)):
        store(archive, each)
    found = archive.retrieve.instances(Scope(study_instance_uids=(first.StudyInstanceUID,)))
    assert {one.SOPInstanceUID for one in found} == {first.SOPInstanceUID, neighbour.SOPInstanceUID}
    archive.deletion.delete(Scope(study_instance_uids=(first.StudyInstanceUID,)))
    assert archive.retrieve.instances(Scope()) == []
    check(archive)


def test_replacing_to_and_fro_holds_each_version_once(open_archive: OpenArchive) -> None:
    """I5: two senders that take turns must not fill the disk."""
    archive = open_archive("replace")
    first = secondary_capture()
    second = version_of(first)
    for _ in range(3):
        store(archive, first)
        store(archive, second)
    assert stored(archive) == {first.SOPInstanceUID: digest(second)}
    assert set(aside(archive)) == {digest(first)}
    settle_down(archive)
    assert len(files(archive)) == 2
    check(archive)


def test_conflict_holds_it_until_somebody_decides(open_archive: OpenArchive) -> None:
    archive = open_archive("conflict")
    first = secondary_capture()
    second = version_of(first)
    store(archive, first)
    assert store(archive, second).warning == COERCED
    assert stored(archive) == {first.SOPInstanceUID: digest(first)}
    assert {key: one.state for key, one in aside(archive).items()} == {digest(second): State.OPEN}
    assert archive.conflicts.expire(1) == 0
    check(archive)


@pytest.mark.parametrize("policy", ["keep", "conflict"])
def test_the_same_again_is_held_once(open_archive: OpenArchive, policy: str) -> None:
    archive = open_archive(policy)
    first = secondary_capture()
    second = version_of(first)
    store(archive, first)
    numbers = {store(archive, second).conflict_id for _ in range(3)}
    assert len(numbers) == 1
    assert archive.conflicts.get(numbers.pop()).times == 3
    assert len(files(archive)) == 2
    check(archive)


def test_a_copy_whose_bytes_are_gone_is_held_anew(open_archive: OpenArchive) -> None:
    """Never a word of safety for bytes that are not there."""
    archive = open_archive("conflict")
    first = secondary_capture()
    second = version_of(first)
    store(archive, first)
    one = archive.conflicts.get(store(archive, second).conflict_id)
    (archive.settings.data / "objects" / one.blob_key).unlink()
    assert store(archive, second).conflict_id == one.id
    assert set(aside(archive)) == {digest(second)}
    check(archive)


def test_a_copy_is_held_once_whatever_stands_in_its_way(open_archive: OpenArchive) -> None:
    """I5: first another version has its UID, later another patient its study."""
    archive = open_archive("conflict")
    first = secondary_capture(PatientID="A")
    second = version_of(first)
    store(archive, first)
    number = store(archive, second).conflict_id
    archive.conflicts.decide(number, Decision.KEEP, "test")
    store(archive, version_of(first, SOPInstanceUID=new_uid(), StudyInstanceUID=new_uid()))
    (archive.settings.data / "objects" / archive.conflicts.get(number).blob_key).unlink()
    assert store(archive, second).conflict_id == number
    assert archive.conflicts.get(number).state == State.KEPT
    check(archive)
    archive.conflicts.decide(number, Decision.DROP, "test")
    assert store(archive, second).conflict_id == number
    archive.deletion.delete(Scope(study_instance_uids=(first.StudyInstanceUID,)))
    store(archive, secondary_capture(PatientID="B", StudyInstanceUID=first.StudyInstanceUID))
    assert store(archive, second).conflict_id == number
    assert digest(second) in aside(archive)
    check(archive)


def other_patient(first):
    return version_of(first, SOPInstanceUID=new_uid(), PatientID="SOMEBODY ELSE")


def other_study(first):
    return version_of(first, SOPInstanceUID=new_uid(), StudyInstanceUID=new_uid())


def elsewhere(first):
    return version_of(first, StudyInstanceUID=new_uid(), SeriesInstanceUID=new_uid())


def other_class(first):
    return version_of(first, SOPClassUID="1.2.840.10008.5.1.4.1.1.7.2")


def version_of_another_patient(first):
    return version_of(first, PatientID="SOMEBODY ELSE")


CONTRADICTIONS = [other_patient, other_study, elsewhere, other_class, version_of_another_patient]


@pytest.mark.parametrize("contradicting", CONTRADICTIONS)
@pytest.mark.parametrize("policy", ["reject", "keep", "replace"])
def test_what_contradicts_is_no_version(open_archive: OpenArchive, policy: str, contradicting) -> None:
    """I5: never another patient's bytes under a UID, whatever the policy for duplicates."""
    archive = open_archive(policy)
    first = secondary_capture()
    store(archive, first)
    with pytest.raises(InstanceConflict):
        store(archive, contradicting(first))
    assert stored(archive) == {first.SOPInstanceUID: digest(first)}
    assert (states(archive), aside(archive)) == ([State.REFUSED], {})
    check(archive)


@pytest.mark.parametrize("contradicting", CONTRADICTIONS)
def test_what_contradicts_is_quarantined(open_archive: OpenArchive, contradicting) -> None:
    """dimse.md 1.2: study and patient conflicts."""
    archive = open_archive("conflict")
    first = secondary_capture()
    second = contradicting(first)
    store(archive, first)
    assert store(archive, second).warning == COERCED
    assert stored(archive) == {first.SOPInstanceUID: digest(first)}
    assert {key: one.state for key, one in aside(archive).items()} == {digest(second): State.OPEN}
    check(archive)


def test_each_ae_title_has_its_policy(open_archive: OpenArchive) -> None:
    """The entry's rule counts, the setting for whoever has none, and a rule that is no policy loses nothing."""
    archive = open_archive("keep")
    for title, policy in (("REPLACER", "replace"), ("REJECTER", "reject"), ("NEWER", "of next year")):
        entry = AETitle(title, "192.0.2.1", 104, Rules(duplicates=policy))
        archive.database.write(lambda connection, entry=entry: ae_titles.add(connection, entry))
    first = secondary_capture()
    store(archive, first)
    for title in ("REJECTER", "NEWER"):
        with pytest.raises(InstanceConflict):
            store(archive, version_of(first), replace(SCANNER, calling_ae_title=title))
    assert store(archive, version_of(first)).warning == COERCED
    newer = version_of(first, PatientComments="third")
    store(archive, newer, replace(SCANNER, calling_ae_title="REPLACER"))
    assert stored(archive) == {first.SOPInstanceUID: digest(newer)}
    check(archive)


@pytest.mark.parametrize("policy", ["reject", "keep", "replace", "conflict"])
def test_many_versions_at_once(open_archive: OpenArchive, policy: str) -> None:
    """Whatever was acknowledged is stored or held, each once; exactly one is shown."""
    archive = open_archive(policy)
    first = secondary_capture()
    versions = [version_of(first, PatientComments=f"version {number}") for number in range(12)]

    def attempt(each):
        try:
            store(archive, each)
        except InstanceConflict:
            return None
        return digest(each)

    with ThreadPoolExecutor(12) as pool:
        acknowledged = {each for each in pool.map(attempt, versions + versions) if each}
    safe = set(stored(archive).values()) | set(aside(archive))
    assert acknowledged == safe
    assert len(stored(archive)) == 1
    assert len(acknowledged) == (1 if policy == "reject" else 12)
    check(archive)


@pytest.mark.parametrize("policy", ["keep", "replace", "conflict"])
def test_a_commit_that_was_not_confirmed(
    open_archive: OpenArchive, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """reliability.md 1.4: the outcome is read again, and the bytes that are pointed to stay."""
    archive = open_archive(policy)
    first = secondary_capture()
    second = version_of(first)
    store(archive, first)
    commit, lost = transactions.commit, []

    def loses_its_answer(connection: object) -> None:
        commit(connection)
        if not lost:
            lost.append(True)
            raise OutcomeUnknown("the answer was lost")

    monkeypatch.setattr(transactions, "commit", loses_its_answer)
    receipt = store(archive, second)
    assert lost
    assert receipt.warning == (0 if policy == "replace" else COERCED)
    assert set(stored(archive).values()) | set(aside(archive)) == {digest(first), digest(second)}
    check(archive)


def test_deleting_takes_what_was_decided_along_and_leaves_what_is_open(open_archive: OpenArchive) -> None:
    """I7; and an instance may be deleted to make room for the right one."""
    archive = open_archive("replace")
    first = secondary_capture()
    store(archive, first)
    store(archive, version_of(first))
    archive.ae_titles.add("DOUBTER", "192.0.2.1", 104, Rules(duplicates="conflict"))
    doubtful = other_patient(first)
    store(archive, doubtful, replace(SCANNER, calling_ae_title="DOUBTER"))
    archive.deletion.delete(Scope(study_instance_uids=(first.StudyInstanceUID,)))
    assert stored(archive) == {}
    assert set(aside(archive)) == {digest(doubtful)}
    settle_down(archive)
    assert len(files(archive)) == 1
    check(archive)
