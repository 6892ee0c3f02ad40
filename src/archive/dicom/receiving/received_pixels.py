"""The pixel data of an object that came as metadata and parts: its transfer syntax, and what the parts tell.

TABLE media type -> what is done with it (PS3.18 10.5.2). Compressed frames are kept as they are, one fragment each, and
their headers have to agree with each other and with the metadata; what the metadata leave out of the Image Pixel
Description Macro (PS3.3 C.7.6.3.1) is taken from them, and so is Lossy Image Compression, where it is plain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from archive.dicom.errors import CannotUnderstand, MissingAttribute, ObjectMismatch, UnsupportedTransferSyntax
from archive.dicom.identifiers import tag_text
from archive.dicom.receiving import codestream_kinds, pictures, videos
from archive.dicom.receiving.assembly import Bulk, Encapsulated
from archive.dicom.receiving.codestream_kinds import Kind
from archive.dicom.receiving.received import DataSet, first
from archive.dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
)

PIXEL_DATA = "7FE00010"
OCTET_STREAM = "application/octet-stream"
_OFFSET_TABLES = ("7FE00001", "7FE00002", "7FE00003")
_ROWS, _COLUMNS, _SAMPLES, _PLANAR = "00280010", "00280011", "00280002", "00280006"
_ALLOCATED, _STORED, _HIGH_BIT, _SIGN = "00280100", "00280101", "00280102", "00280103"
_COLOURS, _FRAMES, _LOSSY, _METHOD = "00280004", "00280008", "00282110", "00282114"
_NEEDED = (_SAMPLES, _COLOURS, _ROWS, _COLUMNS, _ALLOCATED)
_AGREEING = (_SAMPLES, _ROWS, _COLUMNS)

_J = "1.2.840.10008.1.2.4."
_DEFAULTS = {
    "image/dicom-rle": "1.2.840.10008.1.2.5",
    "video/mpeg": _J + "101",
    "video/mp4": _J + "102",
    "video/h265": _J + "107",
}
"""Transfer syntaxes of types whose bytes are not asked, or do not say (table 8.7.3-5: Default)."""
_FRAMES_OF_IMAGES = frozenset(
    f"image/{name}" for name in ("jpeg", "jls", "jp2", "jpx", "jph", "jphc", "jxl", "dicom-rle")
)
_TRANSFORMED = frozenset(("image/png", "image/gif"))
_VIDEOS = frozenset(("video/mpeg", "video/mp4", "video/h265"))
MEDIA_TYPES = _FRAMES_OF_IMAGES | _TRANSFORMED | _VIDEOS | {OCTET_STREAM}
"""Of pixel data, in lower case."""

_METHODS = {
    **dict.fromkeys(("50", "51", "55"), "ISO_10918_1"),
    "81": "ISO_14495_1",
    **dict.fromkeys(("91", "93"), "ISO_15444_1"),
    "203": "ISO_15444_15",
    **dict.fromkeys(("111", "112"), "ISO_18181_1"),
    **dict.fromkeys(("100", "101"), "ISO_13818_2"),
    **dict.fromkeys(("102", "103", "104", "105", "106"), "ISO_14496_10"),
    **dict.fromkeys(("107", "108"), "ISO_23008_2"),
}
"""Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1) by the last number of the transfer syntax."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a request with bulk data: its media type in lower case, and the transfer syntax that it names."""

    media_type: str
    transfer_syntax_uid: str
    bulk: Bulk


@dataclass(frozen=True, slots=True)
class Pixels:
    """What becomes of the parts: their transfer syntax, the value, and the attributes to add to the data set."""

    transfer_syntax_uid: str
    value: Bulk | Encapsulated
    added: DataSet
    is_lossy: bool = False


Keep = Callable[[Iterator[bytes]], Bulk]
"""Puts bytes aside that are too many for memory."""


def pixels(data_set: DataSet, parts: list[Part], keep: Keep) -> Pixels:
    """The pixel data of these parts, in their order. Raises InvalidObject in one of its forms, ObjectTooLarge."""
    media_type, named = parts[0].media_type, parts[0].transfer_syntax_uid
    if any((part.media_type, part.transfer_syntax_uid) != (media_type, named) for part in parts):
        raise CannotUnderstand("the parts with the frames of one image are of different types")
    if media_type in _TRANSFORMED:
        return _transformed(data_set, _only(parts), keep)
    if media_type in _VIDEOS:
        return _video(data_set, _only(parts))
    if media_type in _FRAMES_OF_IMAGES and media_type != "image/dicom-rle":
        return _compressed(data_set, parts)
    if media_type not in MEDIA_TYPES:
        raise CannotUnderstand(
            f"pixel data in a part of type {media_type[:64]}, which is none of PS3.18 8.7.3.3"
        )
    return _undescribed(data_set, parts, named or _DEFAULTS.get(media_type, EXPLICIT_VR_LITTLE_ENDIAN))


def _only(parts: list[Part]) -> Part:
    if len(parts) > 1:
        raise CannotUnderstand("several parts for one attribute that takes one")
    return parts[0]


# --- native, and what tells nothing of itself ---


def _undescribed(data_set: DataSet, parts: list[Part], uid: str) -> Pixels:
    """Octets: native, or frames of the transfer syntax that is named. RLE has no header that tells its size."""
    for tag in _NEEDED:
        if not first(data_set, tag):
            raise _untold(tag)
    syntax = TRANSFER_SYNTAXES.get(uid)
    if uid in (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN):
        bulk = _only(parts).bulk
        _check_length(data_set, bulk.length)
        return Pixels(EXPLICIT_VR_LITTLE_ENDIAN, bulk, {})
    if syntax is None or not syntax.encapsulated:
        raise UnsupportedTransferSyntax(
            "the transfer syntax that a part names cannot be stored from bulk data"
        )
    frames = tuple(part.bulk for part in parts)
    if not syntax.video:
        _check_frames(data_set, len(frames))
    return Pixels(uid, Encapsulated(frames), {})


def _check_length(data_set: DataSet, length: int) -> None:
    """Native pixel data that are too short would be read beyond their end."""
    number = {tag: _number(data_set, tag) for tag in (_ROWS, _COLUMNS, _SAMPLES, _ALLOCATED)}
    bits = number[_ROWS] * number[_COLUMNS] * number[_SAMPLES] * number[_ALLOCATED]
    bits *= _number(data_set, _FRAMES) or 1
    colours = first(data_set, _COLOURS)
    bits = bits * 2 // 3 if colours == "YBR_FULL_422" else bits
    if 8 * length < bits:
        needed = (bits + 7) // 8
        raise ObjectMismatch(
            f"the pixel data have {length} bytes where {needed} are needed", int(PIXEL_DATA, 16)
        )


def _number(data_set: DataSet, tag: str) -> int:
    text = first(data_set, tag)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0


def _check_frames(data_set: DataSet, frames: int) -> None:
    said = first(data_set, _FRAMES)
    if said and said != str(frames):
        raise ObjectMismatch(
            f"NumberOfFrames is not {frames}, the number of parts with frames", int(_FRAMES, 16)
        )


# --- compressed frames ---


def _compressed(data_set: DataSet, parts: list[Part]) -> Pixels:
    kinds = [_recognised(part) for part in parts]
    if any(replace(kind, codestream=kinds[0].codestream) != kinds[0] for kind in kinds):
        raise ObjectMismatch("the frames of one image are not of one size and kind")
    kind = kinds[0]
    try:
        uid = codestream_kinds.chosen_syntax(kind, parts[0].transfer_syntax_uid)
    except ValueError as wrong:
        raise UnsupportedTransferSyntax(f"a part is not what its header says: {wrong}") from None
    _check_frames(data_set, len(kinds))
    added = _described(data_set, _macro(kind))
    if len(kinds) > 1:
        added |= _unless_there(data_set, {_FRAMES: _value("IS", str(len(kinds)))})
    added |= _lossy(data_set, uid) if kind.lossy else {}
    return Pixels(uid, Encapsulated(tuple(kind.codestream for kind in kinds)), added, kind.lossy)


def _recognised(part: Part) -> Kind:
    try:
        return codestream_kinds.recognise(part.bulk)
    except ValueError as wrong:
        raise CannotUnderstand(f"a part of type {part.media_type} cannot be read: {wrong}") from None


def _macro(kind: Kind) -> DataSet:
    return _pixel_description(
        (kind.rows, kind.columns), kind.samples, kind.precision, kind.PhotometricInterpretation, kind.signed
    )


def _pixel_description(
    size: tuple[int, int], samples: int, precision: int, colours: str, signed: bool = False
) -> DataSet:
    """The Image Pixel Description Macro as far as it is known; zero and empty mean that it is not."""
    known: dict[str, Any] = {_ROWS: size[0], _COLUMNS: size[1], _SAMPLES: samples}
    if precision:
        allocated = next((bits for bits in (8, 16, 32) if precision <= bits), 64)
        known |= {_ALLOCATED: allocated, _STORED: precision, _HIGH_BIT: precision - 1, _SIGN: int(signed)}
    if samples > 1:
        known[_PLANAR] = 0
    made = {tag: _value("US", number) for tag, number in known.items() if number or tag in (_SIGN, _PLANAR)}
    return made | ({_COLOURS: _value("CS", colours)} if colours else {})


def _described(data_set: DataSet, told: DataSet) -> DataSet:
    """What the metadata leave out of it. Raises ObjectMismatch where they contradict it, MissingAttribute for what
    nobody tells."""
    for tag in _AGREEING:
        if first(data_set, tag) and tag in told and first(data_set, tag) != first(told, tag):
            raise ObjectMismatch(f"{tag_text(int(tag, 16))} is not what the pixel data say", int(tag, 16))
    if _number(data_set, _ALLOCATED) and _number(data_set, _ALLOCATED) < _number(told, _STORED):
        raise ObjectMismatch("BitsAllocated is less than the pixel data have", int(_ALLOCATED, 16))
    added = _unless_there(data_set, told)
    # Bits are described together or not at all.
    if first(data_set, _ALLOCATED):
        added.pop(_ALLOCATED, None)
    for tag in _NEEDED:
        if not first(data_set | added, tag):
            raise _untold(tag)
    return added


def _untold(tag: str) -> MissingAttribute:
    return MissingAttribute(
        f"{tag_text(int(tag, 16))} is absent, and the pixel data do not tell it", int(tag, 16)
    )


def _unless_there(data_set: DataSet, told: DataSet) -> DataSet:
    return {tag: element for tag, element in told.items() if not first(data_set, tag)}


def _lossy(data_set: DataSet, uid: str) -> DataSet:
    """What lossy compression has to be said (PS3.3 C.7.6.1.1.5), unless the metadata say anything about it."""
    method = _METHODS.get(uid.removeprefix(_J).partition(".")[0], "")
    if first(data_set, _LOSSY):
        return {}
    return {_LOSSY: _value("CS", "01")} | ({_METHOD: _value("CS", method)} if method else {})


def _value(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


# --- pictures and videos ---


def _transformed(data_set: DataSet, part: Part, keep: Keep) -> Pixels:
    picture = pictures.decode(part.media_type, part.bulk)
    colours = "MONOCHROME2" if picture.samples == 1 else "RGB"
    if picture.number_of_frames > 1 or first(data_set, _FRAMES):
        _check_frames(data_set, picture.number_of_frames)
    told = _pixel_description((picture.rows, picture.columns), picture.samples, picture.precision, colours)
    added = _described(data_set, told)
    if _number(data_set | added, _ALLOCATED) != picture.precision:
        raise ObjectMismatch(
            f"BitsAllocated is not {picture.precision}, as the picture has it", int(_ALLOCATED, 16)
        )
    if _number(data_set, _PLANAR):
        raise ObjectMismatch("PlanarConfiguration is not 0, as the picture has it", int(_PLANAR, 16))
    if picture.number_of_frames > 1:
        added |= _unless_there(data_set, {_FRAMES: _value("IS", str(picture.number_of_frames))})
    return Pixels(EXPLICIT_VR_LITTLE_ENDIAN, keep(picture.frames), added)


def _video(data_set: DataSet, part: Part) -> Pixels:
    try:
        video = videos.recognise(part.bulk)
    except ValueError as wrong:
        raise CannotUnderstand(f"a part of type {part.media_type} cannot be read: {wrong}") from None
    recognised = video.transfer_syntax_uid if video is not None else _DEFAULTS[part.media_type]
    uid = part.transfer_syntax_uid or recognised
    syntax = TRANSFER_SYNTAXES.get(uid)
    if syntax is None or not syntax.video:
        raise UnsupportedTransferSyntax("no transfer syntax for a video of this profile and level")
    value = Encapsulated((part.bulk,))
    if video is None:
        added = _described(data_set, {})
    else:
        told = _pixel_description((video.rows, video.columns), 3, video.precision, "YBR_PARTIAL_420")
        _check_frames(data_set, video.frames)
        added = _described(data_set, told)
        added |= _unless_there(data_set, {_FRAMES: _value("IS", str(video.frames))})
    return Pixels(uid, value, added | _lossy(data_set, uid), is_lossy=True)


def completed(data_set: DataSet, found: Pixels) -> tuple[DataSet, bool]:
    """The data set with what the parts told, and whether anything of it had to be left out: offset tables of pixel data
    that are put together anew. Its VR by PS3.5 A.4 and 8.1.2."""
    vr = data_set[PIXEL_DATA]["vr"]
    if isinstance(found.value, Encapsulated):
        vr = "OB"
    elif vr != "OB" or _number(data_set | found.added, _ALLOCATED) > 8:
        vr = "OW"
    kept: Mapping[str, dict[str, Any]] = {t: e for t, e in data_set.items() if t not in _OFFSET_TABLES}
    whole = {**kept, **found.added, PIXEL_DATA: {**data_set[PIXEL_DATA], "vr": vr}}
    return whole, len(kept) < len(data_set)
