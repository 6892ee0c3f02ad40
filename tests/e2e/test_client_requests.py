"""Requests as viewers and libraries really send them, letter by letter, seen on the wire or read in their source.

The clients themselves are tested where they can be run; these are the ones that need a workstation, a browser or a
laboratory, and the spellings on which other servers have failed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from pydicom import Dataset

import dicomweb
from archive_process import ArchiveServer
from objects import ct, mr, multi_frame, part10, series

JSON = "application/dicom+json"
ORIGIN = "http://viewer.example:3000"


@dataclass(frozen=True)
class Stored:
    """An archive that lets a viewer's origin in, and what it has: two studies, one with several frames."""

    server: ArchiveServer
    chest: list[Dataset]
    head: list[Dataset]
    frames: Dataset

    @property
    def base(self) -> str:
        """The DICOMweb root."""
        return self.server.dicomweb_url

    def instance(self, data_set: Dataset) -> str:
        """The resource of an instance."""
        of_series = f"{self.base}/studies/{data_set.StudyInstanceUID}/series/{data_set.SeriesInstanceUID}"
        return f"{of_series}/instances/{data_set.SOPInstanceUID}"

    def get(self, url: str, accept: str = JSON, **headers: str) -> httpx.Response:
        """GET this URL, whose query is sent just as it is written here."""
        request = httpx.Request("GET", url, headers={"Accept": accept} | headers)
        assert str(request.url) == url
        return dicomweb.CLIENT.send(request)

    def found(self, path: str) -> list[dict[str, Any]]:
        """The matches of a search."""
        answer = self.get(f"{self.base}{path}")
        assert answer.status_code in (200, 204), answer.text
        return [] if answer.status_code == 204 else answer.json()

    def studies(self, query: str) -> set[str]:
        """The UIDs of the studies that a search finds."""
        return {match["0020000D"]["Value"][0] for match in self.found(f"/studies?{query}")}


@pytest.fixture(scope="module")
def stored(module_archive: Callable[..., ArchiveServer]) -> Stored:
    """The two studies."""
    server = module_archive(environment={"ARCHIVE_HTTP_CORS_ORIGINS": ORIGIN})
    chest = series(ct, 2, PatientName="Müller^Jörg", PatientID="CHEST/7", AccessionNumber="A 1")
    chest[0].SpecificCharacterSet = chest[1].SpecificCharacterSet = "ISO_IR 192"
    head = series(mr, 3, PatientID="HEAD", Modality="MR")
    frames = multi_frame(5, StudyInstanceUID=head[0].StudyInstanceUID, PatientID="HEAD")
    files = map(part10, [*chest, *head, frames])
    assert dicomweb.store(server.dicomweb_url, *files).status_code == 200
    return Stored(server, chest, head, frames)


# --- OHIF ---


@pytest.mark.parametrize("fuzzy", ["true", "false"])
@pytest.mark.parametrize("comma", [",", "%2C"])
def test_the_study_list_of_ohif(stored: Stored, fuzzy: str, comma: str) -> None:
    """Modality is an attribute of a lower level and is ignored (Q4)."""
    fields = comma.join(("00081030", "00080060", "00080090", "00100030"))
    found = stored.found(f"/studies?limit=101&offset=0&fuzzymatching={fuzzy}&includefield={fields}")
    assert len(found) == 2
    for match in found:
        assert match["00080061"]["Value"], "OHIF shows an empty list when one study has none"
        assert match["00201206"]["Value"][0] >= 1
        assert match["00201208"]["Value"][0] >= 2
        assert "00080060" not in match
        assert {"00081030", "00080090", "00100030"} <= match.keys()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("PatientName=*ller*", "chest"),
        ("PatientName=%2AM%C3%BCller%2A", "chest"),
        ("PatientName=%2Am%C3%BCller%5Ej%C3%B6rg%2A", "chest"),
        ("PatientID=*CHEST%2F7*", "chest"),
        ("PatientID=%2AHEAD%2A", "head"),
        ("AccessionNumber=%2AA%201%2A", "chest"),
        ("AccessionNumber=*A+1*", "chest"),
        ("StudyDescription=%2AHead%2A", "head"),
        ("00080061=CT&00081030=*Thorax*", "chest"),
        ("ModalitiesInStudy=MR", "head"),
        ("StudyDate=20240311-20240311&ModalitiesInStudy=MR", "head"),
    ],
)
def test_the_filters_of_ohif(stored: Stored, query: str, expected: str) -> None:
    """Percent-encoded or not, in UTF-8."""
    common = "limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060%2C00080090%2C00100030"
    uid = getattr(stored, expected)[0].StudyInstanceUID
    assert stored.studies(f"{query}&{common}") == {uid}


@pytest.mark.parametrize("divider", ["%5C", ",", "%2C"])
def test_a_list_of_studies(stored: Stored, divider: str) -> None:
    """The standard's comma and OHIF's backslash."""
    uids = {stored.chest[0].StudyInstanceUID, stored.head[0].StudyInstanceUID}
    assert stored.studies(f"StudyInstanceUID={divider.join([*uids, '1.2.3'])}") == uids


def test_the_series_of_ohif(stored: Stored) -> None:
    study = stored.head[0].StudyInstanceUID
    found = stored.found(f"/studies/{study}/series?includefield=0008103E%2C00080021")
    counts = {match["0020000E"]["Value"][0]: match["00201209"]["Value"][0] for match in found}
    assert counts == {stored.head[0].SeriesInstanceUID: 3, stored.frames.SeriesInstanceUID: 1}


@pytest.mark.parametrize(
    "accept",
    [
        'application/dicom+json, multipart/related; type="application/dicom+json"',
        "multipart/related; type=application/dicom+xml, application/dicom+json",
        "application/dicom+json,application/json;q=0.9,*/*;q=0.1",
        "application/json",
    ],
)
def test_metadata_by_a_list_of_types(stored: Stored, accept: str) -> None:
    of_series = stored.instance(stored.head[0]).partition("/instances")[0]
    answer = stored.get(f"{of_series}/metadata", accept)
    assert answer.status_code == 200
    if "json" in answer.headers["content-type"]:
        assert len(answer.json()) == 3


FRAME_ACCEPTS = [
    'multipart/related; type="application/octet-stream"; transfer-syntax="*"',
    'multipart/related; type="application/octet-stream"; transfer-syntax=*',
    "multipart/related; type=application/octet-stream; transfer-syntax=*",
    "multipart/related;type=application/octet-stream;transfer-syntax=*",
    "multipart/related; transfer-syntax=*; type=application/octet-stream",
    'multipart/related; type="image/jls"; transfer-syntax=1.2.840.10008.1.2.4.80, '
    'multipart/related; type="image/jls"; transfer-syntax=1.2.840.10008.1.2.4.81, '
    'multipart/related; type="image/jp2"; transfer-syntax=1.2.840.10008.1.2.4.90, '
    'multipart/related; type="image/jp2"; transfer-syntax=1.2.840.10008.1.2.4.91, '
    'multipart/related; type="image/jpx"; transfer-syntax=1.2.840.10008.1.2.4.92, '
    'multipart/related; type="image/jpx"; transfer-syntax=1.2.840.10008.1.2.4.93, '
    'multipart/related; type="application/octet-stream"; transfer-syntax=*, '
    'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50',
]
"""OHIF, Cornerstone before and now, and the eight alternatives of its microscopy viewer."""


@pytest.mark.parametrize("accept", FRAME_ACCEPTS)
def test_a_frame_as_viewers_ask_for_it(stored: Stored, accept: str) -> None:
    """N2, N6. Cornerstone searches the part for the literal `Content-Type:`, and takes a frame without transfer-syntax
    for Implicit VR Little Endian."""
    answer = stored.get(f"{stored.instance(stored.frames)}/frames/2", accept, Origin=ORIGIN)
    assert answer.status_code == 200
    assert (
        b"Content-Type: application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1\r\n" in answer.content
    )
    (part,) = dicomweb.parts(answer)
    size = 64 * 64 * 2
    assert part.body == stored.frames.PixelData[size : 2 * size]
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_cornerstone_streams_a_frame_by_ranges(stored: Stored) -> None:
    """N14: 206, Content-Range, and the same boundary each time."""
    url, accept = f"{stored.instance(stored.frames)}/frames/1", FRAME_ACCEPTS[2]
    whole = stored.get(url, accept)
    pieces, start = b"", 0
    while start < len(whole.content):
        piece = stored.get(url, accept, Range=f"bytes={start}-{start + 2999}", Origin=ORIGIN)
        assert piece.status_code == 206
        first, last = start, min(start + 3000, len(whole.content)) - 1
        assert piece.headers["content-range"] == f"bytes {first}-{last}/{len(whole.content)}"
        assert piece.headers["content-type"] == whole.headers["content-type"]
        pieces += piece.content
        start += 3000
    assert pieces == whole.content


def test_the_preflight_of_a_frame(stored: Stored) -> None:
    """The quotes in Accept cost one for each frame: they may be kept for long."""
    answer = httpx.options(
        f"{stored.instance(stored.frames)}/frames/1",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "accept,authorization,range",
        },
    )
    assert answer.status_code in (200, 204)
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert {"accept", "authorization", "range"} <= allowed
    assert int(answer.headers["access-control-max-age"]) >= 600


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/thumbnail?viewport=256%2C256", "*/*"),
        ("/thumbnail?viewport=256,256", "image/jpeg"),
        ("/rendered?accept=image%2Fjpeg", "*/*"),
        ("/rendered?accept=image/jpeg", "text/html,application/xhtml+xml,*/*;q=0.8"),
        ("/rendered?viewport=64,64&window=40,400,linear", "image/jpeg"),
    ],
)
def test_the_small_pictures_of_ohif(stored: Stored, path: str, accept: str) -> None:
    answer = stored.get(f"{stored.instance(stored.chest[0])}{path}", accept)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("accept", ["application/octet-stream", "*/*", "application/octet-stream, */*;q=0.5"])
def test_bulk_data_as_a_single_part(stored: Stored, accept: str) -> None:
    """OHIF's ECG viewer; N8."""
    answer = stored.get(f"{stored.instance(stored.chest[0])}/bulkdata/7FE00010", accept)
    assert answer.status_code == 200
    body = dicomweb.parts(answer)[0].body if "multipart" in answer.headers["content-type"] else answer.content
    assert body == stored.chest[0].PixelData
    assert accept != "application/octet-stream" or body == answer.content


# --- Weasis and others ---


def test_weasis_begins_with_an_empty_parameter(stored: Stored) -> None:
    """`?&includefield=`; and it appends /instances to the RetrieveURL of a series."""
    assert stored.studies("&includefield=00081030&includefield=00080061&PatientID=HEAD") == {
        stored.head[0].StudyInstanceUID
    }
    study = stored.head[0].StudyInstanceUID
    for of_series in stored.found(f"/studies/{study}/series?&includefield=00080201&includefield=0008103E"):
        url = of_series["00081190"]["Value"][0]
        answer = stored.get(f"{url}/instances?&includefield=00080201")
        assert len(answer.json()) == of_series["00201209"]["Value"][0]


def test_weasis_reads_dates_as_strings_and_names_as_objects(stored: Stored) -> None:
    """The JSON reader of dcm4che takes neither numbers for DA and TM nor plain strings for PN."""
    for match in stored.found("/instances?includefield=all"):
        for element in match.values():
            for value in element.get("Value", ()):
                assert element["vr"] not in ("DA", "TM", "DT", "UI", "LO", "SH", "CS") or isinstance(
                    value, str
                )
                assert element["vr"] != "PN" or isinstance(value, dict)


@pytest.mark.parametrize("transfer_syntax", ["", "&transferSyntax=*", "&transferSyntax=1.2.840.10008.1.2.1"])
def test_wado_uri_as_weasis_and_cornerstone_write_it(stored: Stored, transfer_syntax: str) -> None:
    image = stored.chest[0]
    uids = (
        f"studyUID={image.StudyInstanceUID}&seriesUID={image.SeriesInstanceUID}"
        f"&objectUID={image.SOPInstanceUID}"
    )
    url = f"{stored.server.http_url}/wado?requestType=WADO&{uids}&contentType=application%2Fdicom{transfer_syntax}"
    answer = stored.get(url, "application/dicom, */*")
    assert answer.content == part10(image)


def test_a_study_with_the_stricter_types_of_libraries(stored: Stored) -> None:
    """dicomweb-client reads a store answer only when its type is exactly this, without a charset."""
    answer = dicomweb.store(stored.base, part10(stored.chest[0]))
    assert answer.headers["content-type"] == JSON
    assert stored.get(f"{stored.base}/studies?PatientID=HEAD").headers["content-type"] == JSON
    nothing = stored.get(f"{stored.base}/studies?PatientID=NOBODY")
    assert (nothing.status_code, nothing.content) == (204, b"")


def test_slicer_pages_until_a_page_is_empty(stored: Stored) -> None:
    """An offset that is ignored would let it page for ever."""
    pages = [stored.found(f"/instances?limit=4&offset={offset}") for offset in (0, 4, 8)]
    assert [len(page) for page in pages] == [4, 2, 0]
