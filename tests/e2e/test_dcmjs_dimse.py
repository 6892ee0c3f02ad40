"""dcmjs-dimse of npm, a third independent stack: many viewers' back ends and integration engines speak with it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless

import dcmtk
import encoded_objects
from archive_process import ArchiveServer
from dcmjs import Ask
from device_headers import new_uid
from holdings import add_ae_title, instances_of, kept, save, uids
from objects import mr, secondary_capture, series

SUCCESS, PENDING, UNKNOWN_DESTINATION = 0x0000, 0xFF00, 0xA801


@pytest.fixture(scope="module")
def study(archive_server: ArchiveServer, tmp_path_factory: pytest.TempPathFactory, ask: Ask) -> list[Dataset]:
    """Three MR of one patient, stored by dcmjs-dimse."""
    several = series(mr, 3, PatientID=new_uid()[-12:], PatientName="Node^Nora")
    paths = save(tmp_path_factory.mktemp("dcmjs"), *several)
    said = ask(archive_server, *({"kind": "store", "path": str(path)} for path in paths))
    assert said.statuses == [[SUCCESS]] * 3, said
    return several


def test_echo_with_an_asynchronous_window_is_answered_honestly(
    archive_server: ArchiveServer, ask: Ask
) -> None:
    """We perform one operation at a time, and say so (PS3.7 D.3.3.3; T15)."""
    window = {"asyncOps": {"maxAsyncOpsInvoked": 8, "maxAsyncOpsPerformed": 8}}
    said = ask(archive_server, *[{"kind": "echo"}] * 5, options=window)
    assert said.statuses == [[SUCCESS]] * 5
    assert said.association["maxAsyncOpsInvoked"] == 1


def test_another_called_ae_title_is_rejected(archive_server: ArchiveServer, ask: Ask) -> None:
    """PS3.8 Table 9-21."""
    said = ask(archive_server, {"kind": "echo"}, called="NOBODY")
    assert said.association["rejected"] == {"result": 1, "source": 1, "reason": 7}


def test_what_it_stores_is_there(archive_server: ArchiveServer, study: list[Dataset]) -> None:
    assert instances_of(archive_server, study[0].StudyInstanceUID) == uids(study)
    for data_set in study:
        assert kept(archive_server, data_set).PixelData == data_set.PixelData


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_it_stores_what_is_compressed(
    archive_server: ArchiveServer, tmp_path: Path, ask: Ask, syntax: str
) -> None:
    """It names the uncompressed transfer syntaxes first, so it decodes with codecs of its own what it has."""
    data_set = encoded_objects.encoded_in(syntax)
    (path,) = save(tmp_path, data_set, transfer_syntax_uid=syntax)
    said = ask(archive_server, {"kind": "store", "path": str(path), "syntaxes": [syntax]})
    assert said.statuses == [[SUCCESS]], said
    found = kept(archive_server, data_set)
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert found.PixelData == secondary_capture().PixelData


def test_find_at_every_level(archive_server: ArchiveServer, study: list[Dataset], ask: Ask) -> None:
    one = study[0]
    keys = {"StudyInstanceUID": one.StudyInstanceUID}
    said = ask(
        archive_server,
        {"kind": "study", "elements": {"PatientID": one.PatientID, "PatientName": ""}},
        {"kind": "series", "elements": keys | {"SeriesInstanceUID": ""}},
        {"kind": "image", "elements": keys | {"SOPInstanceUID": ""}},
        {"kind": "study", "elements": {"PatientID": new_uid()[-12:]}},
    )
    assert [sorted(statuses) for statuses in said.statuses] == [
        [SUCCESS, PENDING],
        [SUCCESS, PENDING],
        [SUCCESS, PENDING, PENDING, PENDING],
        [SUCCESS],
    ]
    assert said.results[0][0]["elements"]["StudyInstanceUID"] == one.StudyInstanceUID
    found = {answer["elements"]["SOPInstanceUID"] for answer in said.results[2] if answer["elements"]}
    assert found == uids(study)


def test_get(archive_server: ArchiveServer, study: list[Dataset], ask: Ask) -> None:
    said = ask(archive_server, {"kind": "get", "study": study[0].StudyInstanceUID})
    assert said.statuses[0][-1] == SUCCESS, said
    assert said.results[0][-1]["completed"] == 3
    pixels = {each["sopInstanceUid"]: base64.b64decode(each["pixels"]) for each in said.received}
    assert pixels == {each.SOPInstanceUID: each.PixelData for each in study}


def test_move(
    archive_server: ArchiveServer, study: list[Dataset], ask: Ask, received: Path, dcmtk_tools: None
) -> None:
    """To a stock storescp; and to somebody whom nobody knows, A801."""
    request = {"kind": "move", "study": study[0].StudyInstanceUID}
    with dcmtk.storescp(received, "DCMJSDEST") as port:
        add_ae_title(archive_server, "DCMJSDEST", port)
        said = ask(
            archive_server, request | {"destination": "DCMJSDEST"}, request | {"destination": "STRANGER"}
        )
    assert [statuses[-1] for statuses in said.statuses] == [SUCCESS, UNKNOWN_DESTINATION]
    assert len(list(received.iterdir())) == 3
