"""Objects that rules coerce on their way in, and what is kept of them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from archive.bootstrap.building import Archive
from archive.dicom.instance import Scope, Source
from archive.services.receipts import Receipt
from objects import encoded

Rule = dict[str, Any]
SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]


def store(
    archive: Archive, data_set: Dataset, syntax: str = ExplicitVRLittleEndian, calling: str = "SCANNER"
) -> Receipt:
    source = Source("DIMSE", "192.0.2.1", calling, "ARCHIVE")
    with archive.ingest.data_set(syntax, data_set.SOPClassUID, data_set.SOPInstanceUID, source) as reception:
        reception.write(encoded(data_set, syntax))
        return reception.finish()


def kept(archive: Archive, data_set: Dataset) -> Dataset:
    instance = archive.retrieve.instance(Scope(sop_instance_uids=(data_set.SOPInstanceUID,)))
    with archive.retrieve.open(instance) as blob:
        return dcmread(BytesIO(blob.read(0, blob.length)))


def modified(found: Dataset) -> Dataset:
    """What the last item of the Original Attributes Sequence says was there before."""
    return found.OriginalAttributesSequence[-1].ModifiedAttributesSequence[0]
