"""dimse.md 1.4 rows "Transcode when the destination lacks the stored TS" and "Raw pass-through without decode", by both
C-MOVE and C-GET: what the receiver takes is what it gets, and what cannot be had so fails alone with a reason."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.pixels import pixel_array
from pydicom.uid import (
    JPEG2000,
    MPEG4HP41,
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, build_role, evt

from archive.dicom.part10 import FileMetaReader
from archive.network.requestor import Proposal
from archive.security.rules import Rules
from door import AE_TITLE, Door, keep, store
from identifiers import data_set
from objects import ct, new_uid
from receivers import receiver

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")
"""Its remarks about its own files."""

MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
Contexts = Sequence[tuple[str, Sequence[str]]]
Got = tuple[Dataset, dict[str, tuple[str, bytes]]]
Retrieving = Callable[..., Got]


def keep_file(door: Door, name: str, **changes: str) -> Dataset:
    """Store a file of pydicom's by C-STORE, as it is; its attributes."""
    path = get_testdata_file(name, download=False)
    assert path is not None
    raw = Path(path).read_bytes()
    reader = FileMetaReader()
    reader.feed(raw[:65536])
    syntax = reader.meta.transfer_syntax_uid
    kept = parsed(syntax, raw[reader.meta.length :])
    with door.open(Proposal(kept.SOPClassUID, (syntax,))) as association:
        answer = store(association, raw[reader.meta.length :], kept.SOPClassUID, kept.SOPInstanceUID)
    assert answer.Status == 0
    return kept


def parsed(syntax: str, data: bytes) -> Dataset:
    uid = UID(syntax)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if uid == DeflatedExplicitVRLittleEndian:
            import zlib

            data = zlib.decompress(data, -zlib.MAX_WBITS)
        found = read_dataset(BytesIO(data), uid.is_implicit_VR, uid.is_little_endian)
        found.file_meta = FileMetaDataset()
        found.file_meta.TransferSyntaxUID = uid
        if "PixelData" in found:
            found["PixelData"].is_undefined_length = uid.is_encapsulated
    return found


def pixels(found: Dataset) -> np.ndarray:
    return pixel_array(found, raw=True)


def by_study(kept: Dataset) -> Dataset:
    return data_set("STUDY", StudyInstanceUID=kept.StudyInstanceUID)


@pytest.fixture(params=["C-MOVE", "C-GET"])
def retrieving(request: pytest.FixtureRequest, door: Door) -> Retrieving:
    """(identifier, contexts that the receiver takes) -> final response, and what came with its transfer syntax."""
    return {"C-MOVE": _moved, "C-GET": _got}[request.param].__get__(door)


def _moved(door: Door, identifier: Dataset, contexts: Contexts, rules: Rules | None = None) -> Got:
    with receiver(contexts) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port, rules)
        association = door.associate([(MOVE, [ImplicitVRLittleEndian])])
        responses = list(association.send_c_move(identifier, "RECEIVER", MOVE))
        association.release()
    return responses[-1][0], {uid: (syntax, data) for uid, syntax, data, _ in received.objects}


def _got(door: Door, identifier: Dataset, contexts: Contexts) -> Got:
    came: dict[str, tuple[str, bytes]] = {}

    def on_store(event: evt.Event) -> int:
        data = event.request.DataSet.getvalue()
        came[str(event.request.AffectedSOPInstanceUID)] = (str(event.context.transfer_syntax), data)
        return 0

    ae = AE("WORKSTATION")
    ae.add_requested_context(GET, ExplicitVRLittleEndian)
    for abstract, transfers in contexts:
        for transfer in transfers:
            ae.add_requested_context(abstract, transfer)
    roles = [build_role(abstract, scp_role=True) for abstract in {one for one, _ in contexts}]
    handlers = [(evt.EVT_C_STORE, on_store)]
    association = ae.associate(
        "127.0.0.1", door.port, ae_title=AE_TITLE, ext_neg=roles, evt_handlers=handlers
    )
    assert association.is_established
    responses = list(association.send_c_get(identifier, GET))
    association.release()
    return responses[-1][0], came


FILES = {
    "MR_small_jp2klossless.dcm": MRImageStorage,
    "MR_small_RLE.dcm": MRImageStorage,
    "MR_small_bigendian.dcm": MRImageStorage,
    "MR_small_implicit.dcm": MRImageStorage,
    "CT_small.dcm": CTImageStorage,
    "SC_rgb_rle_16bit_2frame.dcm": SecondaryCaptureImageStorage,
    "image_dfl.dcm": None,
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "taken",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        JPEG2000Lossless,
        RLELossless,
    ],
)
def test_any_form_that_the_receiver_takes(door: Door, retrieving: Retrieving, name: str, taken: str) -> None:
    kept = keep_file(door, name)
    (stored,) = door.stored().values()
    if taken == DeflatedExplicitVRLittleEndian and getattr(retrieving, "__name__", "") == "_moved":
        return  # not proposed: who takes that takes others
    final, came = retrieving(by_study(kept), [(kept.SOPClassUID, [taken])])
    assert (final.Status, final.get("ErrorComment")) == (0, None)
    syntax, data = came[kept.SOPInstanceUID]
    assert syntax == taken
    if stored.transfer_syntax_uid == taken:
        assert data == door.data_set(kept.SOPInstanceUID)
    again = parsed(taken, data)
    assert again.PatientID == kept.PatientID
    assert again.SOPInstanceUID == kept.SOPInstanceUID
    assert np.array_equal(pixels(again), pixels(kept))


@pytest.mark.parametrize("name", FILES)
def test_what_is_taken_as_stored_passes_through(door: Door, retrieving: Retrieving, name: str) -> None:
    """Whatever else the receiver takes."""
    kept = keep_file(door, name)
    (stored,) = door.stored().values()
    syntaxes = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless]
    taken = [*(uid for uid in syntaxes if uid != stored.transfer_syntax_uid), stored.transfer_syntax_uid]
    final, came = retrieving(by_study(kept), [(kept.SOPClassUID, taken)])
    assert final.Status == 0
    assert came[kept.SOPInstanceUID] == (stored.transfer_syntax_uid, door.data_set(kept.SOPInstanceUID))


def test_a_study_in_many_forms(door: Door, retrieving: Retrieving) -> None:
    """Each as the receiver takes it; and a class that it does not take fails alone."""
    study = new_uid()
    made = [ct(StudyInstanceUID=study, Rows=8, Columns=8, PixelData=bytes(128)) for _ in range(4)]
    syntaxes = (
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    )
    for one, syntax in zip(made, syntaxes, strict=True):
        keep(door, one, transfer_syntax=syntax)
    final, came = retrieving(
        data_set("STUDY", StudyInstanceUID=study),
        [(CTImageStorage, [ExplicitVRBigEndian, ImplicitVRLittleEndian])],
    )
    assert final.Status == 0
    found = {uid: syntax for uid, (syntax, _) in came.items()}
    expected = (ImplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian)
    assert found == {str(one.SOPInstanceUID): syntax for one, syntax in zip(made, expected, strict=True)}


def test_what_cannot_be_had_so_fails_with_the_reason(door: Door, retrieving: Retrieving) -> None:
    kept = keep_file(door, "SC_rgb_rle_2frame.dcm")
    final, came = retrieving(by_study(kept), [(kept.SOPClassUID, [MPEG4HP41])])
    assert (final.Status, final.NumberOfFailedSuboperations, came) == (0xA702, 1, {})
    assert any(said in final.ErrorComment for said in ("without loss", "no form of"))
    final, came = retrieving(by_study(kept), [(EnhancedMRImageStorage, [ExplicitVRLittleEndian])])
    assert (final.Status, came) == (0xA702, {})
    assert final.ErrorComment == f"receiver takes no form of {SecondaryCaptureImageStorage}"


def test_a_broken_codestream_fails_alone(door: Door, retrieving: Retrieving) -> None:
    """Before its first byte has gone out, so the association lives on."""
    broken = keep_file(door, "JPEG2000-embedded-sequence-delimiter.dcm")
    study = data_set("STUDY", StudyInstanceUID=[broken.StudyInstanceUID, "1.2.3.4"])
    good = ct(StudyInstanceUID="1.2.3.4", Rows=8, Columns=8, PixelData=bytes(128))
    keep(door, good)
    taken = [(uid, [ExplicitVRLittleEndian]) for uid in {str(broken.SOPClassUID), str(CTImageStorage)}]
    final, came = retrieving(study, taken)
    assert (final.Status, final.NumberOfFailedSuboperations) == (0xB000, 1)
    assert set(came) == {good.SOPInstanceUID}
    assert final.ErrorComment
    assert final.ErrorComment[:3] != "ask"


def test_a_destination_gets_what_it_prefers(door: Door) -> None:
    """The rule `transfer_syntax` of its entry; what cannot be made so comes as stored."""
    made = ct(Rows=8, Columns=8, PixelData=np.arange(64, dtype="<u2").tobytes())
    keep(door, made)
    taken = [(CTImageStorage, [ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, JPEGBaseline8Bit])]
    for preferred, expected in (
        (JPEGLSLossless, JPEGLSLossless),
        (JPEG2000Lossless, JPEG2000Lossless),
        (JPEGBaseline8Bit, ExplicitVRLittleEndian),
        (JPEG2000, ExplicitVRLittleEndian),
        ("", ExplicitVRLittleEndian),
    ):
        final, came = _moved(door, by_study(made), taken, Rules(transfer_syntax=preferred))
        assert final.Status == 0
        assert came[made.SOPInstanceUID][0] == expected
        if expected != JPEGLSLossless:  # which pydicom cannot decode here
            assert np.array_equal(pixels(parsed(*came[made.SOPInstanceUID])), pixels_of(made))


def pixels_of(made: Dataset) -> np.ndarray:
    return np.frombuffer(made.PixelData, "<u2").reshape(made.Rows, made.Columns)
