"""What tests of corrections ask of an archive: each way of asking must give the same answer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import orjson
import sqlalchemy as sa
import zstandard
from pydicom import dcmread
from pydicom.dataset import Dataset

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.attributes import BY_KEYWORD
from archive.dicom.instance import Level, Scope
from archive.dicom.patient_key import PatientKey
from archive.dicom.query import Key, Query, SingleValue, Universal, Wildcard
from archive.index import instances
from archive.index.corrections_schema import corrected_object, rewritten
from archive.index.schema import patient
from archive.index.schema import study as study_table
from archive.services.correcting import text_of
from archive.services.corrections import State
from device_headers import with_attributes
from held import settle_down, store, stored
from objects import new_uid, secondary_capture
from suites.sqlite import prepare

DOE, ROE, POE = PatientKey("1"), PatientKey("2"), PatientKey("3", "HOSPITAL")


@contextlib.contextmanager
def opened_archive(folder: Path, index_url: str, **overrides: object) -> Iterator[Archive]:
    """An archive of its own, on this engine."""
    given = {"index.url": index_url, "storage.minimum_free_bytes": 0, **overrides}
    settings = replace(config.load(environment={}, overrides=given), data=folder / "data")
    prepare(settings)
    archive = building.build(settings)
    try:
        yield archive
    finally:
        archive.close()


def store_all(archive: Archive, *data_sets: Dataset) -> list[Dataset]:
    for one in data_sets:
        store(archive, one)
    return list(data_sets)


def kept(archive: Archive, one: Dataset) -> Dataset:
    """The object as it is retrieved."""
    instance = archive.retrieve.instance(Scope(sop_instance_uids=(one.SOPInstanceUID,)))
    with archive.retrieve.open(instance) as blob:
        return dcmread(BytesIO(blob.read(0, blob.length)))


def says(archive: Archive, one: Dataset, *keywords: str) -> tuple[str, ...]:
    """What the object says: its bytes, its metadata and its study must agree."""
    found = kept(archive, one)
    told = tuple(_plain(found, keyword) for keyword in keywords)
    with archive.database.read() as connection:
        stored = instances.instances(connection, Scope(sop_instance_uids=(one.SOPInstanceUID,)))
        [compressed] = instances.metadata(connection, stored).values()
    metadata = orjson.loads(zstandard.decompress(compressed))
    tags = [f"{found.data_element(k).tag:08X}" if k in found else "" for k in keywords]
    assert tuple(text_of(metadata.get(tag, {})) for tag in tags) == told
    return told


def _plain(found: Dataset, keyword: str) -> str:
    value = found.get(keyword)
    if value is None:
        return ""
    return str(value) if not isinstance(value, list) else "\\".join(map(str, value))


def answers(archive: Archive, level: Level, *shown: str, **keys: str) -> list[tuple[str, ...]]:
    """What is found by these keys (`*` is a wildcard), of each the attributes that are to be shown."""
    wanted = [Key((BY_KEYWORD[k].tag,), Wildcard(v) if "*" in v else SingleValue(v)) for k, v in keys.items()]
    wanted += [Key((BY_KEYWORD[k].tag,), Universal()) for k in shown if k not in keys]
    found = archive.search.find(Query(level, tuple(wanted))).matches
    return sorted(tuple(text_of(one.get(BY_KEYWORD[k].tag_hex, {})) for k in shown) for one in found)


def whose(archive: Archive) -> dict[str, tuple[str, str, str]]:
    """PatientID, issuer and name of every object by its SOP Instance UID. Bytes, metadata, the rows of instances,
    studies and patients all agree about it, and there is no patient without a study."""
    found = {}
    for instance in archive.retrieve.instances(Scope()):
        data_set = Dataset()
        data_set.SOPInstanceUID = instance.SOPInstanceUID
        told = says(archive, data_set, *WHOSE)
        if told[0]:  # else it goes where its study is
            [its] = answers(archive, Level.STUDY, *WHOSE, StudyInstanceUID=instance.StudyInstanceUID)
            assert its[0] == told[0]
            assert told[1] in ("", its[1])
        found[instance.SOPInstanceUID] = told
    patients = {told[:2] for told in found.values() if told[0]}
    assert {told[:2] for told in answers(archive, Level.PATIENT, *WHOSE) if told[0]} == patients
    for told in set(found.values()):
        if told[0]:
            assert told in answers(archive, Level.STUDY, *WHOSE, PatientID=told[0])
    return found


def of(key: PatientKey, name: str, study: str = "", **keywords: object) -> Dataset:
    """An object of this patient."""
    whose = {
        "PatientID": key.PatientID,
        "IssuerOfPatientID": key.IssuerOfPatientID or None,
        "PatientName": name,
    }
    made = secondary_capture(StudyInstanceUID=study or new_uid(), PatientBirthDate="", PatientSex="")
    return with_attributes(made, {**whose, **keywords})


def keys(archive: Archive) -> list[str]:
    """Every blob that something points to."""
    found = [instance.blob_key for instance in archive.retrieve.instances(Scope())]
    found += [one.blob_key for one in archive.conflicts.last() if one.has_copy]
    with archive.database.read() as connection:
        former = sa.select(corrected_object.c.blob_key).where(corrected_object.c.blob_key != "")
        found += connection.execute(former).scalars()
    return found


def agree(archive: Archive) -> None:
    """Index and files agree, once the jobs have done their part (reliability.md I1, I3, I5): nothing is pending, and
    each blob is pointed to once, as what is stored or as what it was before."""
    settle_down(archive)
    assert not [one for one in archive.corrections.last() if one.state == State.PENDING]
    with archive.database.read() as connection:
        assert not connection.execute(sa.select(rewritten.c.blob_key)).all()
        empty = sa.select(patient.c.id).where(~sa.exists().where(study_table.c.patient_id == patient.c.id))
        assert not connection.execute(empty).all()
    assert sorted(archive.store.keys()) == sorted(keys(archive))
    stored(archive)
    whose(archive)


WHOSE = ("PatientID", "IssuerOfPatientID", "PatientName")
