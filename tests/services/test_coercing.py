"""Coercion on the one way into the archive (S6): through every door, with re-sends that stay the same object."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import orjson
import pytest
import zstandard
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.config import load
from archive.dicom.errors import InstanceConflict
from archive.dicom.instance import Scope, Source
from archive.index import instances
from archive.services.receipts import COERCED, Receipt
from objects import data_set_bytes, encoded, mr, part10
from suites.sqlite import prepare

SCANNER = Source("DIMSE", calling_ae_title="SCANNER")
Open = Callable[..., Archive]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """An archive of one folder, with the coercion of the test's choice; several times, if it likes."""
    with ExitStack() as stack:

        def begin(**wanted: str) -> Archive:
            overrides = {"data": str(tmp_path), "storage.minimum_free_bytes": 0, "coercion": wanted}
            settings = load(environment={}, overrides=overrides)
            prepare(settings)
            archive = building.build(settings)
            stack.callback(archive.close)
            return archive

        yield begin


def store(archive: Archive, data_set: Dataset, syntax: str = ExplicitVRLittleEndian) -> Receipt:
    """As C-STORE does, in pieces."""
    raw = encoded(data_set, syntax)
    with archive.ingest.data_set(syntax, data_set.SOPClassUID, data_set.SOPInstanceUID, SCANNER) as reception:
        for start in range(0, len(raw), 10_000):
            reception.write(raw[start : start + 10_000])
        return reception.finish()


def kept(archive: Archive, data_set: Dataset) -> bytes:
    """The whole file."""
    instance = archive.retrieve.instance(Scope(sop_instance_uids=(data_set.SOPInstanceUID,)))
    with archive.retrieve.open(instance) as blob:
        return blob.read(0, blob.length)


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
)
def test_the_object_its_row_and_its_metadata_are_coerced(opened: Open, syntax: str) -> None:
    archive, data_set = opened(InstitutionName="General", PatientName="NEW^NAME"), mr(PatientName="OLD^NAME")
    assert store(archive, data_set, syntax).warning == COERCED
    found = dcmread(BytesIO(kept(archive, data_set)))
    assert (found.InstitutionName, found.PatientName) == ("General", "NEW^NAME")
    [item] = found.OriginalAttributesSequence
    assert (item.ModifyingSystem, item.SourceOfPreviousValues) == ("ARCHIVE", "SCANNER")
    assert item.ModifiedAttributesSequence[0].PatientName == "OLD^NAME"
    assert found.PixelData == data_set.PixelData
    scope = Scope(sop_instance_uids=(data_set.SOPInstanceUID,))
    with archive.database.read() as connection:
        [stored] = instances.instances(connection, scope)
        [compressed] = instances.metadata(connection, [stored]).values()
    metadata = orjson.loads(zstandard.decompress(compressed))
    assert metadata["00100010"]["Value"] == [{"Alphabetic": "NEW^NAME"}]
    assert metadata["04000561"]["vr"] == "SQ"
    file = kept(archive, data_set)
    assert stored.sha256 == hashlib.sha256(file[stored.data_set_offset :]).hexdigest()
    assert stored.received_sha256 == hashlib.sha256(encoded(data_set, syntax)).hexdigest()


def test_nothing_to_coerce_is_no_warning(opened: Open) -> None:
    archive, data_set = opened(InstitutionName="General"), mr(InstitutionName="General")
    assert store(archive, data_set).warning == 0
    assert kept(archive, data_set).endswith(encoded(data_set))


def test_a_re_send_is_the_same_object(opened: Open) -> None:
    """The moment of coercion is in the stored bytes, so these are never the same twice."""
    archive, data_set = opened(InstitutionName="General"), mr()
    first, again = store(archive, data_set), store(archive, data_set)
    assert (first.already_there, again.already_there) == (False, True)
    assert again.warning == COERCED
    with archive.ingest.part10(Source("STOW-RS")) as reception:
        reception.write(part10(data_set))
        assert reception.finish().already_there
    with pytest.raises(InstanceConflict):
        store(archive, mr(SOPInstanceUID=data_set.SOPInstanceUID, PatientComments="other"))


def test_what_was_fetched_from_here_is_the_same_object(opened: Open) -> None:
    archive, data_set = opened(InstitutionName="General"), mr()
    store(archive, data_set)
    with archive.ingest.part10(Source("STOW-RS")) as reception:
        reception.write(kept(archive, data_set))
        receipt = reception.finish()
    assert (receipt.already_there, receipt.warning) == (True, 0)


def test_a_re_send_after_the_setting_has_changed(opened: Open) -> None:
    data_set = mr()
    store(opened(InstitutionName="General"), data_set)
    for archive in (opened(), opened(InstitutionName="Other")):
        again = store(archive, data_set)
        assert (again.already_there, again.warning) == (True, COERCED)
    assert dcmread(BytesIO(kept(archive, data_set))).InstitutionName == "General"


def test_the_same_object_before_and_after_coercion_began(opened: Open) -> None:
    data_set = mr()
    store(opened(), data_set)
    again = store(opened(InstitutionName="General"), data_set)
    assert again.already_there
    assert kept(opened(), data_set).endswith(encoded(data_set))


def test_without_the_setting_bytes_are_as_received(opened: Open) -> None:
    archive, data_set = opened(), mr()
    store(archive, data_set)
    assert data_set_bytes(kept(archive, data_set)) == encoded(data_set)
    with archive.database.read() as connection:
        stored = instances.find_instance(connection, data_set.SOPInstanceUID)
    assert stored is not None
    assert stored.received_sha256 == ""
