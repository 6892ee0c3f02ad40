"""wsidicom opens a whole-slide study over DICOMweb and sees the pixels that were stored.

It searches instances by SOP Class UID, series and modality, asks for AvailableTransferSyntaxUID, fetches many frames
in one request, and takes only 406 for "try another transfer syntax".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless
from wsidicom import WsiDicom, WsiDicomWebClient
from wsidicom.errors import WsiDicomNotFoundError

import dicomweb
from archive_process import ArchiveServer
from objects import mr, part10
from whole_slide import HEIGHT, LEVELS, WIDTH, Slide, picture, slide

# wsidicom has no use for the bulk data that its metadata names, and pydicom says so.
pytestmark = pytest.mark.filterwarnings("ignore:No bulk data URI handler:UserWarning")


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    """An archive for the slides."""
    return module_archive()


@pytest.fixture(
    scope="module", params=[JPEG2000Lossless, ExplicitVRLittleEndian], ids=["JPEG 2000", "native"]
)
def stored(request: pytest.FixtureRequest, server: ArchiveServer) -> Slide:
    """A slide in the archive, and in its study an object that is none."""
    made = slide(request.param)
    files = [part10(each, made.transfer_syntax_uid) for each in made.levels]
    files.append(part10(mr(StudyInstanceUID=made.levels[0].StudyInstanceUID)))
    assert dicomweb.store(server.dicomweb_url, *files).status_code == 200
    return made


class Bytes(WsiDicomWebClient):
    """dicomweb-client 0.61 gives frames as bytearray, which pydicom takes for a list of values when it decodes native
    ones for wsidicom 0.36; whatever the server."""

    def get_frames(self, *arguments: Any) -> Iterator[bytes]:
        return map(bytes, super().get_frames(*arguments))


def client(server: ArchiveServer) -> WsiDicomWebClient:
    """wsidicom's client of the archive."""
    return Bytes(DICOMwebClient(server.dicomweb_url))


def opened(server: ArchiveServer, stored: Slide, *requested: str) -> WsiDicom:
    """The slide as wsidicom has it."""
    first = stored.levels[0]
    return WsiDicom.open_web(
        client(server), first.StudyInstanceUID, [first.SeriesInstanceUID], requested or None
    )


def test_the_search_says_what_each_level_is_stored_in(server: ArchiveServer, stored: Slide) -> None:
    first = stored.levels[0]
    found = list(client(server).get_wsi_instances(first.StudyInstanceUID, [first.SeriesInstanceUID]))
    assert {instance for _, instance, _ in found} == {each.SOPInstanceUID for each in stored.levels}
    for _, _, syntaxes in found:
        assert syntaxes is not None
        assert stored.transfer_syntax_uid in syntaxes


def test_every_level_has_the_pixels_that_were_stored(server: ArchiveServer, stored: Slide) -> None:
    with opened(server, stored) as found:
        assert len(found.levels) == LEVELS
        assert (found.size.width, found.size.height) == (WIDTH, HEIGHT)
        for number, level in enumerate(found.levels):
            whole = found.read_region((0, 0), level.level, (WIDTH >> number, HEIGHT >> number))
            assert np.array_equal(np.asarray(whole.convert("RGB")), picture(number))


def test_a_region_across_tiles(server: ArchiveServer, stored: Slide) -> None:
    with opened(server, stored) as found:
        region = found.read_region((300, 200), 0, (333, 222))
    assert np.array_equal(np.asarray(region.convert("RGB")), picture(0)[200:422, 300:633])


def test_frames_in_one_request(server: ArchiveServer, stored: Slide) -> None:
    """wsidicom asks /frames/1,2,5,6 and splits the answer."""
    first = stored.levels[0]
    place = (first.StudyInstanceUID, first.SeriesInstanceUID, first.SOPInstanceUID)
    several = list(client(server).get_frames(*place, [1, 2, 9, 10], stored.transfer_syntax_uid))
    alone = [
        next(client(server).get_frames(*place, [number], stored.transfer_syntax_uid))
        for number in (1, 2, 9, 10)
    ]
    assert several == alone


def test_what_is_not_available_is_406(server: ArchiveServer, stored: Slide) -> None:
    """An honest 406 makes it try the next; without one it would decode something else."""
    first = stored.levels[0]
    place = (first.StudyInstanceUID, first.SeriesInstanceUID, first.SOPInstanceUID)
    assert client(server).is_transfer_syntax_supported(*place, stored.transfer_syntax_uid)
    assert client(server).is_transfer_syntax_supported(*place, ExplicitVRLittleEndian)
    assert not client(server).is_transfer_syntax_supported(*place, RLELossless)
    with pytest.raises(WsiDicomNotFoundError):
        opened(server, stored, RLELossless)


def test_the_exact_query_of_wsidicom(server: ArchiveServer, stored: Slide) -> None:
    """Requirements, section 6."""
    first = stored.levels[0]
    query = (
        f"{server.dicomweb_url}/studies/{first.StudyInstanceUID}/instances?00080016=1.2.840.10008.5.1.4.1.1.77.1.6"
        f"&0020000E={first.SeriesInstanceUID},1.2.3&00080060=SM&includefield=AvailableTransferSyntaxUID"
    )
    answer = httpx.get(query, headers={"Accept": "application/dicom+json"})
    assert len(answer.json()) == LEVELS
    assert all(stored.transfer_syntax_uid in each["00083002"]["Value"] for each in answer.json())
