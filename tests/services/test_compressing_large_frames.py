"""Frames that are too large to be held in memory several times stay as they came (dimse.md 1.2)."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from archive.bootstrap import building
from archive.config import load
from archive.dicom.instance import Scope, Source
from archive.services import compressing
from objects import ct, encoded
from suites.sqlite import prepare


@pytest.mark.parametrize(("spare", "kept_as"), [(0, RLELossless), (-1, ExplicitVRLittleEndian)])
def test_a_frame_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spare: int, kept_as: str
) -> None:
    data_set = ct()
    data_set.PixelData = bytes(len(data_set.PixelData))
    monkeypatch.setattr(compressing, "LARGEST_FRAME", len(data_set.PixelData) + spare)
    rules = [{"transfer_syntax": "RLELossless"}]
    settings = load(environment={}, overrides={"data": str(tmp_path / "data"), "compression": rules})
    prepare(settings)
    archive = building.build(settings)
    try:
        syntax, source = ExplicitVRLittleEndian, Source("DIMSE", "192.0.2.1", "SCANNER", "ARCHIVE")
        ingest = archive.ingest
        with ingest.data_set(syntax, data_set.SOPClassUID, data_set.SOPInstanceUID, source) as reception:
            reception.write(encoded(data_set, syntax))
            reception.finish()
        scope = Scope(sop_instance_uids=(data_set.SOPInstanceUID,))
        assert archive.retrieve.instance(scope).transfer_syntax_uid == kept_as
    finally:
        archive.close()
