"""What tests of rejection notes ask of an archive: what is shown, what is held, and that index and files agree."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pydicom.dataset import Dataset

from archive.bootstrap.building import Archive
from archive.dicom.instance import Scope
from archive.services.rejections import Fate, State
from held import settle_down, store, stored
from objects import new_uid, secondary_capture
from rejection_notes import rejection_note


def series_of(number: int, **keywords: object) -> list[Dataset]:
    """Instances of one series."""
    study, series = keywords.pop("StudyInstanceUID", new_uid()), new_uid()
    return [
        secondary_capture(
            StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=place + 1, **keywords
        )
        for place in range(number)
    ]


def store_all(archive: Archive, data_sets: Sequence[Dataset]) -> list[Dataset]:
    for one in data_sets:
        store(archive, one)
    return list(data_sets)


def reject(archive: Archive, title: str, rejected: Sequence[Dataset]) -> int:
    """Store a note as C-STORE does; its number."""
    store(archive, rejection_note(title, rejected))
    return archive.rejections.last(1)[0][0].id


def uids(data_sets: Sequence[Dataset]) -> list[str]:
    return sorted(one.SOPInstanceUID for one in data_sets)


def shown(archive: Archive) -> list[str]:
    return sorted(stored(archive))


def fates(archive: Archive, number: int) -> dict[str, str]:
    return {one.SOPInstanceUID: one.fate for one in archive.rejections.references(number)}


def held(archive: Archive) -> dict[str, str]:
    """By SOP Instance UID the digest of what is held, whose bytes are read."""
    found = {}
    for one, _ in archive.rejections.last():
        for uid, fate in fates(archive, one.id).items():
            if fate == Fate.HELD:
                instance, blob = archive.rejections.open_copy(one.id, uid)
                with blob:
                    data = blob.read(instance.data_set_offset, instance.data_set_length)
                assert hashlib.sha256(data).hexdigest() == instance.sha256
                found[uid] = instance.sha256
    return found


def pointed_to(archive: Archive) -> list[str]:
    """The keys of all bytes that something points to."""
    keys = [instance.blob_key for instance in archive.retrieve.instances(Scope())]
    keys += [one.blob_key for one in archive.conflicts.last() if one.has_copy]
    for one, _ in archive.rejections.last():
        keys.append(one.note.stored.blob_key)
        for uid, fate in fates(archive, one.id).items():
            if fate == Fate.HELD:
                instance, blob = archive.rejections.open_copy(one.id, uid)
                blob.close()
                keys.append(instance.blob_key)
    return sorted(set(keys))


def check_all(archive: Archive) -> None:
    """Index and files agree (reliability.md I1, I3, I5), once the jobs have done their part; and nothing is both shown
    and kept out."""
    settle_down(archive)
    assert sorted(archive.store.keys()) == pointed_to(archive)
    stored(archive)
    held(archive)
    for one, _ in archive.rejections.last(states=(State.ACTIVE,)):
        if one.reason != "113039":
            kept_out = {uid for uid, fate in fates(archive, one.id).items() if fate != Fate.RESTORED}
            assert not kept_out & set(shown(archive))
