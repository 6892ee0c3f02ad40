"""Store requests of metadata and bulk data, written without our own code: pydicom makes the JSON, text the XML."""

from __future__ import annotations

import json
from collections.abc import Iterable
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import httpx
import pydicom
from pydicom.dataset import Dataset

from objects import secondary_capture
from web_door import STUDIES, Door

JSON = "application/dicom+json"
XML = "application/dicom+xml"
OCTETS = "application/octet-stream"
DESCRIPTION = (
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "NumberOfFrames"),
)
"""The Image Pixel Description Macro, and the number of frames."""

Part = tuple[str, str, bytes]
"""Content-Type, Content-Location (none when empty), content."""


def related(parts: Iterable[Part]) -> bytes:
    """A multipart body with boundary BOUNDARY."""
    body = b""
    for content_type, location, content in parts:
        body += f"--BOUNDARY\r\nContent-Type: {content_type}\r\n".encode()
        body += f"Content-Location: {location}\r\n".encode() if location else b""
        body += b"\r\n" + content + b"\r\n"
    return body + b"--BOUNDARY--\r\n"


def post(
    door: Door, parts: Iterable[Part], root: str = JSON, path: str = STUDIES, **headers: str
) -> httpx.Response:
    """Store these parts."""
    content_type = f'multipart/related; type="{root}"; boundary=BOUNDARY'
    return door.client.post(path, content=related(parts), headers={"Content-Type": content_type} | headers)


def without_description(data_set: Dataset) -> Dataset:
    """The data set without what a codestream tells."""
    for keyword in DESCRIPTION:
        data_set.pop(keyword, None)
    return data_set


def without_pixels(**keywords: Any) -> Dataset:
    """An object that needs no bulk data."""
    bare = secondary_capture(**keywords)
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
        del bare[keyword]
    return bare


def bare() -> Dataset:
    """An image whose description is left to the codestream."""
    return without_description(secondary_capture())


def described(stored: Dataset) -> tuple[Any, ...]:
    """The Image Pixel Description Macro in short."""
    return (
        stored.SamplesPerPixel,
        stored.PhotometricInterpretation,
        stored.BitsAllocated,
        stored.BitsStored,
        stored.HighBit,
        stored.PixelRepresentation,
    )


def model(data_set: Dataset, uri: str = "") -> dict[str, Any]:
    """The DICOM JSON Model; with a `uri` its pixel data are there."""
    made = json.loads(json.dumps(data_set.to_json_dict()))
    if uri:
        vr = made.get("7FE00010", {"vr": "OW"})["vr"]
        made["7FE00010"] = {"vr": vr, "BulkDataURI": uri}
    return made


def metadata(*models: dict[str, Any]) -> Part:
    """A part with metadata in JSON."""
    return JSON, "", json.dumps(models).encode()


def native_model(made: dict[str, Any]) -> bytes:
    """The same in XML, written on purpose without the library under test."""
    head = '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">'
    return f'<?xml version="1.0" encoding="UTF-8"?>{head}{_attributes(made)}</NativeDicomModel>'.encode()


def _attributes(made: dict[str, Any]) -> str:
    return "".join(
        f'<DicomAttribute tag="{tag}" vr="{element["vr"]}">{_content(element)}</DicomAttribute>'
        for tag, element in made.items()
    )


def _content(element: dict[str, Any]) -> str:
    if "BulkDataURI" in element:
        return f"<BulkData uri={quoteattr(element['BulkDataURI'])}/>"
    if "InlineBinary" in element:
        return f"<InlineBinary>{element['InlineBinary']}</InlineBinary>"
    values = enumerate(element.get("Value", ()), start=1)
    return "".join(_value(element["vr"], number, value) for number, value in values)


def _value(vr: str, number: int, value: Any) -> str:
    if vr == "SQ":
        return f'<Item number="{number}">{_attributes(value)}</Item>'
    if vr == "PN":
        groups = "".join(f"<{group}>{_components(text)}</{group}>" for group, text in value.items())
        return f'<PersonName number="{number}">{groups}</PersonName>'
    return "" if value is None else f'<Value number="{number}">{escape(str(value))}</Value>'


def _components(name: str) -> str:
    parts = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
    pairs = zip(parts, name.split("^"), strict=False)
    return "".join(f"<{part}>{escape(text)}</{part}>" for part, text in pairs if text)


def fetched(door: Door, data_set: Dataset) -> pydicom.FileDataset:
    """The object as it is stored, read by pydicom."""
    path = (
        f"{STUDIES}/{data_set.StudyInstanceUID}/series/{data_set.SeriesInstanceUID}"
        f"/instances/{data_set.SOPInstanceUID}"
    )
    answer = door.client.get(path, headers={"Accept": "application/dicom; transfer-syntax=*"})
    assert answer.status_code == 200, answer.text
    return pydicom.dcmread(BytesIO(answer.content))


def failures(answer: httpx.Response) -> list[tuple[str, int]]:
    """SOP Instance UID and Failure Reason of what was refused; the UID is empty in Other Failures Sequence."""
    module = answer.json()
    found = [*module.get("00081198", {}).get("Value", ()), *module.get("0008119A", {}).get("Value", ())]
    return [(item.get("00081155", {}).get("Value", [""])[0], item["00081197"]["Value"][0]) for item in found]


def stored_uids(answer: httpx.Response) -> list[str]:
    """SOP Instance UIDs of what was stored."""
    return [item["00081155"]["Value"][0] for item in answer.json().get("00081199", {}).get("Value", ())]
