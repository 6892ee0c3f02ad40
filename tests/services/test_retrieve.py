"""Frames, bulk data and metadata against what pydicom makes of the same object."""

from __future__ import annotations

import json
import zlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy
import pydicom
import pytest
from pydicom.encaps import generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from archive.bootstrap.building import Archive
from archive.dicom.errors import Gone, NotAcceptable, NotFound
from archive.dicom.instance import Scope, Source, StoredInstance
from archive.dicom.pixels.frames import FrameTable, PixelDescription
from archive.services import retrieve
from archive.services.retrieve import Frames, Intact, Retrieve
from archive.storage.local import LocalStore
from held import settle_down
from objects import encoded, mr, multi_frame, new_uid, part10, secondary_capture

BASE = "https://archive.example/instances"


def url_of(instance: StoredInstance) -> str:
    """As a door would say it."""
    return f"{BASE}/{instance.SOPInstanceUID}"


def store(archive: Archive, file: bytes) -> Scope:
    """Store a file; the scope of its one instance."""
    with archive.ingest.part10(Source("IMPORT")) as reception:
        reception.write(file)
        return Scope(sop_instance_uids=(reception.finish().SOPInstanceUID,))


def taken(frames: Frames) -> list[bytes]:
    """The bytes of each frame, as long as it said it would be."""
    got = []
    for frame in frames.frames:
        got.append(b"".join(frame.pieces))
        assert len(got[-1]) == frame.length
    return got


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
)
def test_native_frames_come_little_endian(archive: Archive, syntax: str) -> None:
    """dicomweb.md N5: no big endian in any payload."""
    data_set = multi_frame(4)
    scope = store(archive, part10(data_set, syntax))
    frames = archive.retrieve.frames(scope, (3, 1, 3))
    size = len(data_set.PixelData) // 4
    expected = [data_set.PixelData[(number - 1) * size : number * size] for number in (3, 1, 3)]
    assert taken(frames) == expected
    assert (frames.media_type, frames.transfer_syntax_uid) == (
        "application/octet-stream",
        ExplicitVRLittleEndian,
    )


def test_a_deflated_object_is_inflated_once_for_frames_in_order(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small object can inflate to a large one, and a request may name ten thousand frames."""
    data_set = secondary_capture(Rows=64, Columns=64, NumberOfFrames=500)
    data_set.PixelData = bytes(64 * 64 * 500)
    scope = store(archive, part10(data_set, DeflatedExplicitVRLittleEndian))
    begun = []
    inflate = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", lambda *options: begun.append(1) or inflate(*options))
    assert taken(archive.retrieve.frames(scope, range(1, 501))) == [bytes(64 * 64)] * 500
    assert len(begun) == 1
    assert len(taken(archive.retrieve.frames(scope, (500, 1, 250)))) == 3
    with pytest.raises(NotAcceptable, match="ascending"):
        archive.retrieve.frames(scope, [500, 1] * 20)


def test_odd_frames_of_bytes_in_big_endian_words(archive: Archive) -> None:
    """8-bit pixels in OW are turned round two by two, across the ends of frames too (PS3.5 8.1.1, annex D)."""
    data_set = secondary_capture(Rows=3, Columns=3, NumberOfFrames=2)
    in_big_endian_words = bytes(number ^ 1 for number in range(18))
    data_set.add_new("PixelData", "OW", in_big_endian_words)
    scope = store(archive, part10(data_set, ExplicitVRBigEndian))
    assert taken(archive.retrieve.frames(scope, (1, 2))) == [bytes(range(9)), bytes(range(9, 18))]


def test_wide_cells_in_big_endian(archive: Archive) -> None:
    """Cells of 32 bits in OW are turned round whole, in frames and in bulk data."""
    cells = numpy.arange(18, dtype="<u4") * 0x01020304
    data_set = secondary_capture(
        Rows=3, Columns=3, NumberOfFrames=2, BitsAllocated=32, BitsStored=32, HighBit=31
    )
    data_set.add_new("PixelData", "OW", cells.astype(">u4").tobytes())
    scope = store(archive, part10(data_set, ExplicitVRBigEndian))
    assert b"".join(taken(archive.retrieve.frames(scope, (1, 2)))) == cells.tobytes()
    assert b"".join(archive.retrieve.bulk_data(scope, "7FE00010")[1]) == cells.tobytes()


def test_frames_of_single_bits_are_aligned(archive: Archive) -> None:
    """dicomweb.md N12."""
    bits = numpy.random.default_rng(7).integers(0, 2, 3 * 15, dtype=numpy.uint8)
    data_set = secondary_capture(
        Rows=3, Columns=5, NumberOfFrames=3, BitsAllocated=1, BitsStored=1, HighBit=0
    )
    data_set.PixelData = numpy.packbits(bits, bitorder="little").tobytes()
    scope = store(archive, part10(data_set))
    for number, frame in enumerate(taken(archive.retrieve.frames(scope, (1, 2, 3)))):
        got = numpy.unpackbits(numpy.frombuffer(frame, numpy.uint8), bitorder="little")
        assert got[:15].tolist() == bits[number * 15 : number * 15 + 15].tolist()
        assert not got[15:].any()


@pytest.mark.parametrize(
    "name", ["examples_ybr_color.dcm", "SC_rgb_rle_2frame.dcm", "JPEG2000.dcm", "693_J2KI.dcm"]
)
def test_encapsulated_frames_come_as_stored(archive: Archive, pydicom_data: Path, name: str) -> None:
    path = next(pydicom_data.rglob(name))
    data_set = pydicom.dcmread(path)
    number = int(data_set.get("NumberOfFrames", 1))
    scope = store(archive, path.read_bytes())
    frames = archive.retrieve.frames(scope, range(1, number + 1))
    assert taken(frames) == list(generate_frames(data_set.PixelData, number_of_frames=number))
    assert frames.transfer_syntax_uid == data_set.file_meta.TransferSyntaxUID


@pytest.mark.parametrize("number", [0, 5, -1])
def test_a_frame_that_is_not_there(archive: Archive, number: int) -> None:
    """dicomweb.md R2: known before the first byte."""
    scope = store(archive, part10(multi_frame(4)))
    with pytest.raises(NotFound):
        archive.retrieve.frames(scope, (1, number))


def test_no_frames_without_pixel_data(archive: Archive) -> None:
    data_set = secondary_capture(SOPClassUID="1.2.840.10008.5.1.4.1.1.66", PixelData=None)
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel"):
        delattr(data_set, keyword)
    scope = store(archive, part10(data_set))
    with pytest.raises(NotFound, match="no pixel data"):
        archive.retrieve.frames(scope, (1,))
    assert archive.retrieve.number_of_frames(archive.retrieve.instance(scope)) == 0


def test_every_bulk_data_uri_of_the_metadata_leads_to_its_value(archive: Archive) -> None:
    data_set = mr()
    data_set.add_new(0x00091001, "OB", bytes(range(256)) * 20)
    data_set.add_new(0x00090010, "LO", "TEST")
    scope = store(archive, part10(data_set, ExplicitVRBigEndian))
    (text,) = archive.retrieve.metadata(scope, url_of)
    metadata = json.loads(text)
    prefix = f"{BASE}/{data_set.SOPInstanceUID}/bulkdata/"
    uris = {tag: each["BulkDataURI"] for tag, each in metadata.items() if "BulkDataURI" in each}
    assert set(uris) == {"00091001", "7FE00010"}
    for tag, uri in uris.items():
        assert uri.startswith(prefix)
        value, pieces = archive.retrieve.bulk_data(scope, uri.removeprefix(prefix))
        assert b"".join(pieces) == data_set[tag].value
        assert value.length == len(data_set[tag].value)


def test_a_value_cannot_pass_for_a_bulk_data_uri(archive: Archive) -> None:
    said = '"BulkDataURI":"bulkdata/7FE00010"'
    scope = store(archive, part10(secondary_capture(PatientComments=said)))
    (text,) = archive.retrieve.metadata(scope, url_of)
    assert json.loads(text)["00104000"]["Value"] == [said]


def test_no_bulk_data_of_that_name(archive: Archive) -> None:
    scope = store(archive, part10(secondary_capture()))
    for path in ("00100010", "../../etc/passwd", ""):
        with pytest.raises(NotFound):
            archive.retrieve.bulk_data(scope, path)


def test_metadata_of_more_than_one_batch_keeps_its_order(archive: Archive) -> None:
    first = secondary_capture()
    for number in range(1, 451):
        data_set = secondary_capture(
            StudyInstanceUID=first.StudyInstanceUID,
            SeriesInstanceUID=first.SeriesInstanceUID,
            PatientID=first.PatientID,
            InstanceNumber=number,
        )
        with archive.ingest.data_set(
            ExplicitVRLittleEndian, data_set.SOPClassUID, data_set.SOPInstanceUID, Source("IMPORT")
        ) as reception:
            reception.write(encoded(data_set))
            reception.finish()
    texts = archive.retrieve.metadata(Scope(study_instance_uids=(first.StudyInstanceUID,)), url_of)
    numbers = [json.loads(text)["00200013"]["Value"][0] for text in texts]
    assert numbers == list(range(1, 451))


def test_nothing_stored_under_a_study(archive: Archive) -> None:
    with pytest.raises(NotFound):
        archive.retrieve.metadata(Scope(study_instance_uids=("1.2.3",)), url_of)


def test_a_frame_table_that_packs_well_and_holds_much_is_not_remembered() -> None:
    small = FrameTable(True, 1, 0, 16, PixelDescription(Rows=1, Columns=1), fragments=array("I", [8]))
    large = replace(small, number_of_frames=100_000, fragments=array("I", [8] * 100_000))
    assert len(large.pack()) < 512
    retrieve._remembered.cache_clear()
    for table, remembered in ((small, 1), (large, 1)):
        assert retrieve._unpacked(table.pack()).fragments == table.fragments
        assert retrieve._remembered.cache_info().currsize == remembered


class Deleting(LocalStore):
    """Somebody deletes, or replaces, just when it is looked at."""

    def __init__(self, archive: Archive, meanwhile: Callable[[], None]) -> None:
        super().__init__(archive.settings.data)
        self._meanwhile: list[Callable[[], None]] = [meanwhile]

    def lengths(self, keys: Sequence[str]) -> list[int]:
        while self._meanwhile:
            self._meanwhile.pop()()
        return super().lengths(keys)


def test_what_was_deleted_meanwhile_is_not_taken_for_damaged(archive: Archive) -> None:
    study, series = new_uid(), new_uid()
    first, second = (mr(StudyInstanceUID=study, SeriesInstanceUID=series) for _ in range(2))
    for one in (first, second):
        store(archive, part10(one))

    def delete(*uids: str) -> None:
        archive.deletion.delete(Scope((study,), (series,) if uids else (), uids))
        settle_down(archive)

    def looked(*uids: str) -> Intact:
        return Retrieve(Deleting(archive, lambda: delete(*uids)), archive.database).intact(Scope((study,)))

    intact = looked(first.SOPInstanceUID)
    assert [one.SOPInstanceUID for one in intact.instances] == [second.SOPInstanceUID]
    assert not intact.damaged
    with pytest.raises(Gone):
        looked()
