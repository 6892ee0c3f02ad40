"""Killed between any two steps of coercing and compressing an object (reliability.md 4.3, I1, I3): it is stored as it
is to be, or not at all, and sending it again ends as it should. On both engines."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import RLELossless

import crashes
from archive import config
from archive.bootstrap import building, preparing
from archive.dicom.instance import Scope, Source
from held import check
from objects import mr, part10

SETTINGS: dict[str, Any] = {
    "coercion_rules": [{"prefix": {"PatientID": "GH-"}}],
    "compression": [{"transfer_syntax": "RLELossless"}],
}


@pytest.mark.parametrize(
    ("point", "at"),
    # the bytes of an object that is shaped go one step after the other: those that came, then those that were coerced
    [
        ("read back", 1),
        ("discarding", 1),
        ("discarding", 2),
        ("received", 1),
        ("published", 1),
        ("changed", 1),
        ("committed", 1),
    ],
)
def test_whole_or_not_at_all(tmp_path: Path, index_url: str, point: str, at: int) -> None:
    data_set = mr(PatientID="7")
    file = tmp_path / "object.dcm"
    file.write_bytes(part10(data_set))
    overrides = {"index.url": index_url, "storage.minimum_free_bytes": 0, **SETTINGS}
    settings = replace(config.load(environment={}, overrides=overrides), data=tmp_path / "data")
    preparing.prepare(settings)
    order = {
        "point": point,
        "at": at,
        "do": "store",
        "policy": "reject",
        "file": str(file),
        "settings": SETTINGS,
    }
    order |= {"data": str(tmp_path / "data"), "index": index_url}
    crashes.kill(order)
    archive = building.build(settings)
    try:
        stored = archive.retrieve.instances(Scope())
        assert len(stored) == (point == "committed")
        for key in set(archive.store.keys()) - {one.blob_key for one in stored}:
            archive.store.delete(key)  # published, and nobody was told
        archive.store.sweep(0)
        assert list((tmp_path / "data" / "spool").iterdir()) == []
        with archive.ingest.part10(Source("STOW-RS")) as reception:
            reception.write(file.read_bytes())
            receipt = reception.finish()
        assert receipt.already_there == (point == "committed")
        instance = archive.retrieve.instance(Scope())
        with archive.retrieve.open(instance) as blob:
            found = dcmread(BytesIO(blob.read(0, blob.length)))
        assert (found.PatientID, found.file_meta.TransferSyntaxUID) == ("GH-7", RLELossless)
        assert found.pixel_array.tobytes() == data_set.PixelData
        check(archive)
    finally:
        archive.close()
