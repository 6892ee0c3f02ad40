"""What the demonstration consists of: each instance with its UIDs, made only when it is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from io import BytesIO

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

from archive.cli.demo import images, reports
from archive.cli.demo.patients import CHEST, CT, HEART, MR, Series, Study
from archive.dicom.identifiers import IMPLEMENTATION_CLASS_UID


@dataclass(frozen=True, slots=True)
class Planned:
    """One instance. `make` gives its data set."""

    StudyInstanceUID: str
    SOPInstanceUID: str
    make: Callable[[], Dataset]

    def file(self) -> bytes:
        """It as a PS3.10 file."""
        data_set, meta = self.make(), FileMetaDataset()
        meta.MediaStorageSOPClassUID = data_set.SOPClassUID
        meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
        written = BytesIO()
        file = FileDataset(None, data_set, file_meta=meta, preamble=bytes(128))
        dcmwrite(written, file, enforce_file_format=True)
        return written.getvalue()


Maker = Callable[[Series, int], Dataset]


def planned(today: date) -> Iterator[Planned]:
    """All of it, as of this day."""
    for study, number, modality, description, make, count in _SERIES:
        series = Series(study, number, modality, description, today)
        for instance in range(1, count + 1):
            yield Planned(study.StudyInstanceUID, series.instance(instance), partial(make, series, instance))


_SERIES: tuple[tuple[Study, int, str, str, Maker, int], ...] = (
    (CT, 1, "CT", "Head 3.0 H31", images.ct_slice, images.CT_SLICES),
    (CT, 2, "SR", "Report", reports.structured_report, 1),
    (CT, 3, "DOC", "Report (PDF)", reports.pdf_report, 1),
    (MR, 1, "MR", "T1 SE sagittal", images.mr_slice, images.MR_SLICES),
    (MR, 2, "MR", "T2 TSE axial", images.mr_slice, images.MR_SLICES),
    (CHEST, 1, "DX", "Chest PA", images.chest, 1),
    (HEART, 1, "US", "Apical four-chamber", images.heart, 1),
)
