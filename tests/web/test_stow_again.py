"""What one archive gives as metadata and bulk data another one takes, for real objects (R1, S2, S3)."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from archive.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from stow_bodies import JSON, XML, Part, failures, metadata, native_model, post
from web_door import Door, parts, running, settings_for

BULK = 'multipart/related; type="{}"; transfer-syntax=*'


@pytest.fixture(scope="module", params=[JSON, XML])
def other(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[str, Door]]:
    """A second archive, for metadata of this type: the digits of numbers get lost in the XML of this test."""
    with running(settings_for(tmp_path_factory.mktemp("other"))) as second:
        yield request.param, second


def sample_files() -> list[str]:
    """The files that come with pydicom, by name. Some share a SOP Instance UID, so each is deleted in the end."""
    folder = Path(pydicom.data.__file__).parent / "test_files"
    return sorted(path.name for path in folder.glob("*.dcm"))


def bulk_uris(found: dict[str, Any], within: bool = False) -> Iterator[str]:
    """Every BulkDataURI but that of the pixel data."""
    for tag, element in found.items():
        if "BulkDataURI" in element and (within or tag != "7FE00010"):
            yield element["BulkDataURI"]
        for item in element.get("Value", ()) if element["vr"] == "SQ" else ():
            yield from bulk_uris(item, within=True)


def gathered(door: Door, found: dict[str, Any]) -> list[Part]:
    """The parts with its bulk data, as this archive gives them."""
    gathered: list[Part] = []
    for uri in bulk_uris(found):
        answer = door.client.get(uri, headers={"Accept": "application/octet-stream"})
        assert answer.status_code == 200, uri
        gathered.append(("application/octet-stream", uri, answer.content))
    pixels = found.get("7FE00010", {}).get("BulkDataURI")
    if pixels:
        accept = ", ".join(BULK.format(kind) for kind in ("application/octet-stream", "image/*", "video/*"))
        answer = door.client.get(pixels, headers={"Accept": accept})
        assert answer.status_code == 200, answer.text
        gathered += [(headers["Content-Type"], pixels, body) for headers, body in parts(answer)]
    return gathered


def instance(door: Door, url: str) -> pydicom.FileDataset:
    """The object as it is stored."""
    answer = door.client.get(url, headers={"Accept": "application/dicom; transfer-syntax=*"})
    return pydicom.dcmread(io.BytesIO(answer.content))


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One of its own: others store some of these files as well, and files that share their UIDs."""
    with running(settings_for(tmp_path_factory.mktemp("first"))) as opened:
        yield opened


@pytest.mark.parametrize("name", sample_files())
def test_from_one_archive_to_another(door: Door, other: tuple[str, Door], name: str) -> None:
    root, second = other
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    raw = (Path(pydicom.data.__file__).parent / "test_files" / name).read_bytes()
    stored = door.store(raw)
    if stored.status_code != 200:
        assert failures(stored)[0][1] in (0xA900, 0xC000, 0x0122)
        return
    url = stored.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    [found] = door.client.get(f"{url}/metadata", headers={"Accept": JSON}).json()
    head = (XML, "", native_model(found)) if root == XML else metadata(found)
    answer = post(second, [head, *gathered(door, found)], root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert answer.status_code in (200, 202), answer.headers["warning"]
        ours = url.replace(door.base, second.base)
        _same(instance(door, url), instance(second, ours))
    for at, one in ((door, url), (second, ours)):
        assert at.client.delete(one).status_code == 204


def _same(one: pydicom.FileDataset, again: pydicom.FileDataset) -> None:
    syntax = TRANSFER_SYNTAXES[one.file_meta.TransferSyntaxUID]
    if syntax.encapsulated:
        assert again.file_meta.TransferSyntaxUID == one.file_meta.TransferSyntaxUID
    if "PixelData" in one and not syntax.video:
        assert np.array_equal(_pixels(one), _pixels(again))


def _pixels(data_set: pydicom.FileDataset) -> Any:
    try:
        return data_set.pixel_array
    except Exception:  # noqa: BLE001 - what pydicom cannot decode it cannot decode twice
        return None
